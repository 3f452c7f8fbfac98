"""JSON printed from the official protobuf classes reads into our models, whole and with nothing but an id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import any_pb2, empty_pb2, json_format, message, timestamp_pb2, wrappers_pb2
from google.rpc import error_details_pb2, status_pb2
from yandex.cloud.clouddesktop.v1 import desktop_image_pb2, desktop_image_service_pb2
from yandex.cloud.compute.v1 import hardware_generation_pb2, image_pb2, kek_pb2
from yandex.cloud.operation import operation_pb2
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2

from cloud_desktop.errors import Code
from cloud_desktop.models import ComputeImage, DesktopImage, Operation, QuotaLimit, Status

CREATED = timestamp_pb2.Timestamp(seconds=1785578400, nanos=123456789)
CREATED_AT = datetime(2026, 8, 1, 10, 0, 0, 123456, tzinfo=UTC)
DESKTOP_IMAGE = desktop_image_pb2.DesktopImage(
    id="e3vimage",
    folder_id="b1gtarget",
    created_at=CREATED,
    status=desktop_image_pb2.DesktopImage.ACTIVE,
    name="win11",
    labels={"channel": "stable", "empty": ""},
    description="from fd8",
    storage_size=2**40,
    min_disk_size=2**41,
)


def printed(value: message.Message, *, defaults: bool = False) -> Any:
    """Return proto3 JSON; with `defaults` the fields without a value are printed too, as some gateways do."""
    return json_format.MessageToDict(value, always_print_fields_with_no_presence=defaults)


def packed(value: message.Message) -> any_pb2.Any:
    into = any_pb2.Any()
    into.Pack(value)
    return into


@pytest.mark.parametrize("defaults", [False, True])
def test_a_whole_desktop_image(defaults: bool) -> None:
    image = DesktopImage.model_validate(printed(DESKTOP_IMAGE, defaults=defaults))
    assert image.model_dump() == {
        "id": "e3vimage",
        "folder_id": "b1gtarget",
        "created_at": CREATED_AT,
        "status": "ACTIVE",
        "name": "win11",
        "labels": {"channel": "stable", "empty": ""},
        "description": "from fd8",
        "storage_size": 2**40,
        "min_disk_size": 2**41,
    }


def test_every_field_of_a_desktop_image_has_a_place_in_the_model() -> None:
    fields = {field.name for field in desktop_image_pb2.DesktopImage.DESCRIPTOR.fields}
    assert fields == set(DesktopImage.model_fields)


@pytest.mark.parametrize("defaults", [False, True])
@pytest.mark.parametrize(
    ("bare", "model"),
    [
        (desktop_image_pb2.DesktopImage(id="x"), DesktopImage),
        (image_pb2.Image(id="x"), ComputeImage),
        (operation_pb2.Operation(id="x"), Operation),
    ],
)
def test_values_with_nothing_but_an_id(bare: message.Message, model: type[DesktopImage], defaults: bool) -> None:
    assert model.model_validate(printed(bare, defaults=defaults)).model_dump() == model(id="x").model_dump()


@pytest.mark.parametrize("status", desktop_image_pb2.DesktopImage.Status.keys())
def test_the_states_of_a_desktop_image(status: str) -> None:
    value = desktop_image_pb2.DesktopImage(id="x", status=desktop_image_pb2.DesktopImage.Status.Value(status))
    assert DesktopImage.model_validate(printed(value)).status == status


@pytest.mark.parametrize("status", image_pb2.Image.Status.keys())
def test_the_states_of_a_compute_image(status: str) -> None:
    value = image_pb2.Image(id="x", status=image_pb2.Image.Status.Value(status))
    assert ComputeImage.model_validate(printed(value)).status == status


def test_a_status_that_is_newer_than_the_models() -> None:
    json = printed(desktop_image_pb2.DesktopImage(id="x")) | {"status": "ARCHIVED"}
    assert DesktopImage.model_validate(json).status == "ARCHIVED"


@pytest.mark.parametrize("defaults", [False, True])
def test_a_whole_compute_image(defaults: bool) -> None:
    value = image_pb2.Image(
        id="fd8image",
        folder_id="b1gsource",
        created_at=CREATED,
        name="win11",
        description="d",
        labels={"a": "b"},
        family="win11-office",
        size=1,
        storage_size=2,
        min_disk_size=3,
        product_ids=["f2e"],
        status=image_pb2.Image.READY,
        os=image_pb2.Os(type=image_pb2.Os.WINDOWS, nvidia=image_pb2.Nvidia(driver="550")),
        pooled=True,
        hardware_generation=hardware_generation_pb2.HardwareGeneration(),
        kms_key=kek_pb2.KMSKey(key_id="abj"),
    )
    image = ComputeImage.model_validate(printed(value, defaults=defaults))

    assert (image.id, image.folder_id, image.name, image.family) == ("fd8image", "b1gsource", "win11", "win11-office")
    assert (image.created_at, image.status, image.labels, image.product_ids) == (
        CREATED_AT,
        "READY",
        {"a": "b"},
        ["f2e"],
    )
    assert (image.size, image.storage_size, image.min_disk_size) == (1, 2, 3)
    assert image.os is not None
    assert image.os.type == "WINDOWS"


METADATA = packed(desktop_image_service_pb2.CopyDesktopImageMetadata(image_id="e3vimage"))


@pytest.mark.parametrize("defaults", [False, True])
def test_an_operation_that_runs(defaults: bool) -> None:
    value = operation_pb2.Operation(
        id="e3vop", description="d", created_at=CREATED, created_by="aje", modified_at=CREATED, metadata=METADATA
    )
    operation = Operation.model_validate(printed(value, defaults=defaults))
    assert (operation.done, operation.image_id, operation.error, operation.response) == (False, "e3vimage", None, None)
    assert (operation.created_at, operation.modified_at, operation.created_by) == (CREATED_AT, CREATED_AT, "aje")


@pytest.mark.parametrize("defaults", [False, True])
def test_an_operation_that_is_done(defaults: bool) -> None:
    value = operation_pb2.Operation(id="e3vop", done=True, metadata=METADATA, response=packed(DESKTOP_IMAGE))
    operation = Operation.model_validate(printed(value, defaults=defaults))
    assert (operation.done, operation.error) == (True, None)
    assert DesktopImage.model_validate(operation.response).storage_size == 2**40


def test_a_delete_that_is_done() -> None:
    value = operation_pb2.Operation(id="e3vop", done=True, response=packed(empty_pb2.Empty()))
    operation = Operation.model_validate(printed(value))
    assert (operation.done, operation.error, operation.response is None) == (True, None, False)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("defaults", [False, True])
def test_an_operation_that_failed(done: bool, defaults: bool) -> None:
    error = status_pb2.Status(code=9, message="no", details=[packed(error_details_pb2.RequestInfo(request_id="r"))])
    value = operation_pb2.Operation(id="e3vop", done=done, metadata=METADATA, error=error)
    operation = Operation.model_validate(printed(value, defaults=defaults))
    assert operation.done is done
    assert operation.error is not None
    assert (operation.error.rpc_code, operation.error.message) == (Code.FAILED_PRECONDITION, "no")
    assert operation.error.details[0]["requestId"] == "r"


@pytest.mark.parametrize("code", range(17))
def test_every_code_of_a_status(code: int) -> None:
    assert Status.model_validate(printed(status_pb2.Status(code=code))).rpc_code == code


def test_a_quota_limit() -> None:
    limit_class = quota_limit_service_pb2.ListQuotaLimitsResponse.DESCRIPTOR.fields_by_name["quota_limits"]
    value = limit_class.message_type._concrete_class(
        quota_id="vdi.desktopImages.count",
        limit=wrappers_pb2.DoubleValue(value=8),
        usage=wrappers_pb2.DoubleValue(value=0),
    )
    limit = QuotaLimit.model_validate(printed(value))
    assert (limit.quota_id, limit.limit, limit.usage) == ("vdi.desktopImages.count", 8, 0)
