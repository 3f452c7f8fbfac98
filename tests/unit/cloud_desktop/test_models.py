from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cloud_desktop.errors import Code, NextStep
from cloud_desktop.models import (
    ComputeImage,
    ComputeImageStatus,
    DesktopImage,
    DesktopImageStatus,
    Operation,
    QuotaLimit,
    Status,
    parse_timestamp,
)


def test_a_desktop_image_as_documented() -> None:
    image = DesktopImage.model_validate(
        {
            "id": "e3vimg",
            "folderId": "b1g",
            "createdAt": "2026-08-01T10:00:00.123456789Z",
            "status": "ACTIVE",
            "name": "Образ 🖥",
            "labels": {"channel": "stable"},
            "description": "d",
            "storageSize": "21474836480",
            "minDiskSize": 64424509440,
            "newField": {"x": 1},
        }
    )
    assert image.created_at == datetime(2026, 8, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert (image.storage_size, image.min_disk_size) == (21474836480, 64424509440)
    assert image.status == DesktopImageStatus.ACTIVE
    assert image.name == "Образ 🖥"


@pytest.mark.parametrize("model", [DesktopImage, ComputeImage, Operation])
def test_everything_but_the_id_may_be_absent_or_null(model: type[DesktopImage | ComputeImage | Operation]) -> None:
    bare = model.model_validate({"id": "x"})
    assert bare == model.model_validate(
        {"id": "x"} | {key: None for key in model.model_json_schema()["properties"] if key != "id"}
    )
    wrongs: list[object] = [{}, {"id": ""}, {"id": None}, {"id": 5}, [], "x", None]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        DesktopImage(id="x").name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("status", "read"), [("RETIRED_SOMEHOW", "RETIRED_SOMEHOW"), (17, "17"), (None, "STATUS_UNSPECIFIED")]
)
def test_an_unknown_status_passes(status: object, read: str) -> None:
    assert DesktopImage.model_validate({"id": "x", "status": status}).status == read
    assert ComputeImage.model_validate({"id": "x", "status": status}).status == read


def test_a_compute_image_as_documented() -> None:
    image = ComputeImage.model_validate(
        {
            "id": "fd8",
            "family": "win11",
            "size": "1",
            "storageSize": "9223372036854775807",
            "productIds": ["p"],
            "status": "READY",
            "os": {"type": "WINDOWS", "nvidia": {"driver": "x"}},
            "pooled": True,
            "hardwareGeneration": {"legacyFeatures": {}},
            "kmsKey": {"keyId": "k"},
        }
    )
    assert image.storage_size == 2**63 - 1
    assert image.os is not None
    assert image.os.type == "WINDOWS"
    assert image.status == ComputeImageStatus.READY


@pytest.mark.parametrize("size", ["9223372036854775808", "1.5", "", "1_0", " 1", "٣", True, 1.5, [], 2**64, "9" * 5000])
def test_what_is_no_int64_is_refused(size: object) -> None:
    with pytest.raises(ValidationError):
        DesktopImage.model_validate({"id": "x", "storageSize": size})


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_int64_goes_out_as_a_string_and_comes_back(size: int) -> None:
    image = DesktopImage(id="x", storage_size=size)
    wire = image.model_dump(mode="json", by_alias=True)
    assert wire["storageSize"] == str(size)
    assert DesktopImage.model_validate(wire) == image
    assert DesktopImage.model_validate({"id": "x", "storageSize": size}) == image
    assert DesktopImage(id="x", storage_size=3.0).storage_size == 3


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 9))
def test_a_timestamp_of_any_precision_is_cut_to_microseconds(moment: datetime, digits: int) -> None:
    fraction = f"{moment.microsecond:06}123"[:digits]
    text = f"{moment:%m-%dT%H:%M:%S}" + (f".{fraction}" if fraction else "") + "Z"
    expected = moment.replace(microsecond=int(fraction.ljust(6, "0")[:6]))
    assert parse_timestamp(f"{moment.year:04}-{text}") == expected


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_image_survives_its_own_json(moment: datetime) -> None:
    image = DesktopImage(id="x", created_at=moment, labels={"a": "b"})
    assert DesktopImage.model_validate_json(image.model_dump_json(by_alias=True)) == image


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-08-01T16:00:00+06:00", datetime(2026, 8, 1, 10, tzinfo=UTC)),
        ("2026-08-01t04:30:00.5-05:30", datetime(2026, 8, 1, 10, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_timestamps_at_the_edges(text: str, moment: datetime) -> None:
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-08-01",
        "2026-08-01T10:00:00",
        "2026-08-01 10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-08-01T10:00:00.Z",
        "2026-08-01T10:00:00.1234567890Z",
        "0001-01-01T00:00:00+01:00",
        "2026-08-01T10:00:00+24:00",
        "2026-08-01T10:00:00Z\n",
    ],
)
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|month)"):
        parse_timestamp(text)
    with pytest.raises(ValidationError):
        DesktopImage.model_validate({"id": "x", "createdAt": text})


def test_a_moment_without_a_zone_is_refused() -> None:
    moment = datetime(2026, 8, 1)  # noqa: DTZ001
    with pytest.raises(ValidationError):
        DesktopImage(id="x", created_at=moment)
    assert DesktopImage(id="x", created_at=moment.replace(tzinfo=UTC)).created_at == moment.replace(tzinfo=UTC)
    with pytest.raises(ValidationError):
        DesktopImage.model_validate({"id": "x", "createdAt": 5})
    assert moment + timedelta(0) == moment


def test_a_running_operation_may_lack_done() -> None:
    running = Operation.model_validate({"id": "op", "metadata": {"@type": "t", "imageId": "e3v"}})
    assert not running.done
    assert running.image_id == "e3v"
    assert (running.error, running.response) == (None, None)


@pytest.mark.parametrize("metadata", [{}, {"imageId": ""}, {"imageId": 5}, {"imageId": None}])
def test_an_operation_may_name_no_image(metadata: dict[str, Any]) -> None:
    assert Operation(id="op", metadata=metadata).image_id is None


@pytest.mark.parametrize("done", ["true", 1, "no", []])
def test_done_is_a_boolean_and_nothing_like_it(done: object) -> None:
    with pytest.raises(ValidationError):
        Operation.model_validate({"id": "op", "done": done})


def test_a_failed_operation_says_what_happens_next() -> None:
    failed = Operation.model_validate({"id": "op", "done": True, "error": {"code": 8, "message": "Quota exceeded"}})
    assert failed.error is not None
    assert (failed.error.rpc_code, failed.error.next_step) == (Code.RESOURCE_EXHAUSTED, NextStep.PARK)
    assert failed.error.details == []
    assert Status(code=77).rpc_code is Code.UNKNOWN


def test_advice_about_polling_is_no_part_of_the_body() -> None:
    operation = Operation.model_validate({"id": "op", "pollAfter": 99}).with_poll_after(None)
    assert operation.poll_after is None
    advised = operation.with_poll_after(7.0)
    assert advised.poll_after == 7.0
    assert "pollAfter" not in advised.model_dump(by_alias=True)


@pytest.mark.parametrize(
    ("wire", "read"),
    [(8, 8.0), (8.5, 8.5), ("8", 8.0), ("NaN", None), ("Infinity", None), (float("inf"), None), (None, None)],
)
def test_quota_numbers_may_be_missing_or_no_numbers(wire: object, read: float | None) -> None:
    assert QuotaLimit.model_validate({"quotaId": "q", "limit": wire}) == QuotaLimit(quota_id="q", limit=read)
