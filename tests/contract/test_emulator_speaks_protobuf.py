"""The emulator's JSON, held against the official protobuf classes: strictly, with every Any unpacked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from google.protobuf import any_pb2, empty_pb2, json_format, message
from google.rpc import error_details_pb2, status_pb2
from yandex.cloud.clouddesktop.v1 import desktop_image_pb2, desktop_image_service_pb2
from yandex.cloud.compute.v1 import image_pb2, image_service_pb2
from yandex.cloud.endpoint import api_endpoint_service_pb2
from yandex.cloud.iam.v1 import iam_token_service_pb2
from yandex.cloud.operation import operation_pb2
from yandex.cloud.quota import quota_pb2
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2

from local.emulator.faults import Fault, Faults
from local.emulator.transport import EmulatorTransport
from local.emulator.world import World

IMAGES = "/cloud-desktop/v1/images"
START = datetime(2026, 8, 1, 10, tzinfo=UTC)


class Cloud:
    """A World whose clock the test moves, a client of it, and its answers parsed strictly."""

    def __init__(self) -> None:
        self.now = START
        self.faults = Faults(sleep=self.pass_time)
        self.world = World(clock=lambda: self.now)
        self.client = httpx.Client(
            transport=EmulatorTransport(self.world, self.faults),
            base_url="https://cloud.test",
            headers={"Authorization": f"Bearer {self.world.issue_token()}"},
        )

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def call(self, into: message.Message, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        response = self.client.request(method, path, json=body)
        assert response.status_code == status, response.text
        return json_format.ParseDict(response.json(), into)

    def copy(self, **more: Any) -> Any:
        image = self.world.add_compute_image(folder_id="b1gsource", name="win11", labels={"cloud-desktop": "true"})
        body = {"folderId": "b1gtarget", "name": "win11", "imageId": image.id, **more}
        return self.call(operation_pb2.Operation(), "POST", f"{IMAGES}:copy", body)

    def operation(self, operation_id: str) -> Any:
        return self.call(operation_pb2.Operation(), "GET", f"/operations/{operation_id}")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def unpack(packed: any_pb2.Any, into: message.Message) -> Any:
    assert packed.Unpack(into), f"{packed.type_url} is not {into.DESCRIPTOR.full_name}"
    return into


def test_copy_from_its_start_to_its_end(cloud: Cloud) -> None:
    started = cloud.copy(labels={"channel": "stable"}, description="from fd8")

    assert not started.done
    metadata = unpack(started.metadata, desktop_image_service_pb2.CopyDesktopImageMetadata())
    running_image = cloud.call(desktop_image_pb2.DesktopImage(), "GET", f"{IMAGES}/{metadata.image_id}")
    assert running_image.status == desktop_image_pb2.DesktopImage.CREATING

    cloud.pass_time(3)
    done = cloud.operation(started.id)
    assert done.done
    image = unpack(done.response, desktop_image_pb2.DesktopImage())
    assert image.id == metadata.image_id
    assert image.status == desktop_image_pb2.DesktopImage.ACTIVE
    assert (image.name, dict(image.labels), image.description) == ("win11", {"channel": "stable"}, "from fd8")
    assert image.storage_size == 20 * 2**30
    assert done.created_at.ToDatetime(UTC) == START


def test_failed_operation(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="error_before_done", seconds=5))
    started = cloud.copy()

    cloud.pass_time(3)
    failing = cloud.operation(started.id)
    assert (failing.done, failing.error.code) == (False, 13)
    cloud.pass_time(5)
    failed = cloud.operation(started.id)
    assert (failed.done, failed.WhichOneof("result"), failed.error.code) == (True, "error", 13)


def test_update_and_delete(cloud: Cloud) -> None:
    image = cloud.world.add_desktop_image(folder_id="b1gtarget", name="old")

    body = {"updateMask": "labels", "labels": {"a": "b"}}
    updated = cloud.call(operation_pb2.Operation(), "PATCH", f"{IMAGES}/{image.id}", body)
    unpack(updated.metadata, desktop_image_service_pb2.UpdateDesktopImageMetadata())
    cloud.pass_time(1)
    after = unpack(cloud.operation(updated.id).response, desktop_image_pb2.DesktopImage())
    assert (after.name, dict(after.labels)) == ("old", {"a": "b"})

    deleted = cloud.call(operation_pb2.Operation(), "DELETE", f"{IMAGES}/{image.id}")
    unpack(deleted.metadata, desktop_image_service_pb2.DeleteDesktopImageMetadata())
    cloud.pass_time(1)
    unpack(cloud.operation(deleted.id).response, empty_pb2.Empty())


def test_copy_from_desktop(cloud: Cloud) -> None:
    body = {"desktopId": cloud.world.add_desktop("b1gtarget")}
    started = cloud.call(operation_pb2.Operation(), "POST", f"{IMAGES}:copyFromDesktop", body)
    unpack(started.metadata, desktop_image_service_pb2.CopyFromDesktopMetadata())


def test_lists_and_their_pages(cloud: Cloud) -> None:
    cloud.world.add_desktop_image(folder_id="b1gtarget", name="one", labels={"a": "b"})
    cloud.world.add_compute_image(folder_id="b1gsource", name="one", family="f", description="d", labels={"x": "y"})
    cloud.world.add_compute_image(folder_id="b1gsource", status="ERROR")

    found = desktop_image_service_pb2.ListDesktopImagesResponse()
    cloud.call(found, "GET", f"{IMAGES}?folderId=b1gtarget&pageSize=1")
    assert len(found.desktop_images) == 1
    assert found.next_page_token
    sources = image_service_pb2.ListImagesResponse()
    cloud.call(sources, "GET", "/compute/v1/images?folderId=b1gsource")
    assert sorted(image.status for image in sources.images) == [image_pb2.Image.READY, image_pb2.Image.ERROR]
    latest = cloud.call(image_pb2.Image(), "GET", "/compute/v1/images:latestByFamily?folderId=b1gsource&family=f")
    assert cloud.call(image_pb2.Image(), "GET", f"/compute/v1/images/{latest.id}") == latest


def test_errors_and_their_details(cloud: Cloud) -> None:
    missing = cloud.call(status_pb2.Status(), "GET", f"{IMAGES}/e3vnone", status=404)
    unpack(missing.details[-1], error_details_pb2.RequestInfo())

    cloud.world.rules.quota_images = 0
    source = cloud.world.add_compute_image(folder_id="b1gsource")
    body = {"folderId": "b1gtarget", "name": "n", "imageId": source.id}
    full = cloud.call(status_pb2.Status(), "POST", f"{IMAGES}:copy", body, status=429)
    assert full.code == 8
    failure = unpack(full.details[0], quota_pb2.QuotaFailure())
    assert failure.violations[0].metric.name == "vdi.desktopImages.count"

    wrong = cloud.call(status_pb2.Status(), "POST", f"{IMAGES}:copy", body | {"name": "n" * 51}, status=400)
    assert unpack(wrong.details[0], error_details_pb2.BadRequest()).field_violations[0].field == "name"


def test_iam_token(cloud: Cloud) -> None:
    key = cloud.world.issue_service_account_key()
    now = int(START.timestamp())
    claims = {
        "iss": key["service_account_id"],
        "aud": "https://iam.api.yandexcloud.kz/iam/v1/tokens",
        "iat": now,
        "exp": now + 3600,
    }
    signed = jwt.encode(claims, key["private_key"], algorithm="PS256", headers={"kid": key["id"]})

    token = iam_token_service_pb2.CreateIamTokenResponse()
    cloud.call(token, "POST", "/iam/v1/tokens", {"jwt": signed})
    assert token.iam_token.startswith("t1.")
    assert token.expires_at.ToDatetime(UTC) == START + timedelta(hours=12)


def test_quota_limits(cloud: Cloud) -> None:
    resource = "resource.id=b1gcloud&resource.type=resource-manager.cloud"
    path = "/quota-manager/v1/quotaLimits"
    listed = quota_limit_service_pb2.ListQuotaLimitsResponse()
    cloud.call(listed, "GET", f"{path}?service=cloud-desktop&{resource}")
    assert [limit.quota_id for limit in listed.quota_limits] == ["vdi.desktopImages.count", "vdi.desktopImages.size"]
    cloud.call(quota_limit_service_pb2.ListServicesResponse(), "GET", f"{path}/services?resourceType=x")
    one = type(listed.quota_limits[0])()
    cloud.call(one, "GET", f"{path}/vdi.desktopImages.count?{resource}")
    assert (one.limit.value, one.usage.value, one.HasField("usage")) == (8, 0, True)


def test_endpoints(cloud: Cloud) -> None:
    listed = cloud.call(api_endpoint_service_pb2.ListApiEndpointsResponse(), "GET", "/endpoints")
    assert "clouddesktops" in [endpoint.id for endpoint in listed.endpoints]
