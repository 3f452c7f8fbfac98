"""Quota Manager, the endpoint registry, what is not there, and what is counted."""

from __future__ import annotations

from typing import Any

from local.emulator.records import LoggedRequest
from local.emulator.status import Code
from tests.unit.emulator.emulated_cloud import IMAGES, EmulatedCloud

QUOTAS = "/quota-manager/v1/quotaLimits"
CLOUD = "resource.id=b1gcloud&resource.type=resource-manager.cloud"


def test_quotas_follow_the_images(cloud: EmulatedCloud) -> None:
    path = f"{QUOTAS}/vdi.desktopImages.count?{CLOUD}"
    assert cloud.call("GET", path) == {"quotaId": "vdi.desktopImages.count", "limit": 8.0, "usage": 0.0}
    cloud.copy()
    assert cloud.call("GET", path)["usage"] == 1.0
    listed = cloud.call("GET", f"{QUOTAS}?service=cloud-desktop&{CLOUD}")
    assert listed["resource"] == {"id": "b1gcloud", "type": "resource-manager.cloud"}
    assert [limit["usage"] for limit in listed["quotaLimits"]] == [1.0, float(20 * 2**30)]


def test_quota_calls_that_are_refused(cloud: EmulatedCloud) -> None:
    assert cloud.call("GET", f"{QUOTAS}/vdi.none?{CLOUD}", status=404)["code"] == Code.NOT_FOUND
    for query in ("", "resource.id=x", "resource.type=resource-manager.cloud", f"{CLOUD}x"):
        path = f"{QUOTAS}/vdi.desktopImages.count?{query}"
        assert cloud.call("GET", path, status=400)["code"] == Code.INVALID_ARGUMENT
    assert cloud.call("GET", f"{QUOTAS}?{CLOUD}", status=400)["code"] == Code.INVALID_ARGUMENT
    assert "quotaLimits" not in cloud.call("GET", f"{QUOTAS}?service=compute&{CLOUD}")


def test_the_endpoint_registry_needs_no_token(cloud: EmulatedCloud) -> None:
    del cloud.client.headers["Authorization"]
    listed = cloud.call("GET", "/endpoints")["endpoints"]
    assert {"id": "clouddesktops", "address": "cloud.test"} in listed
    assert cloud.call("GET", "/endpoints/iam")["address"] == "cloud.test"
    cloud.call("GET", "/endpoints/none", status=404)


def test_paths_and_methods_that_are_not_there(cloud: EmulatedCloud) -> None:
    assert cloud.call("GET", "/nothing", status=404)["code"] == Code.NOT_FOUND
    assert cloud.call("POST", IMAGES, status=501)["code"] == Code.NOT_IMPLEMENTED


def test_every_answer_carries_its_request_id(cloud: EmulatedCloud) -> None:
    response = cloud.client.get(f"{IMAGES}/e3vnone")
    detail = response.json()["details"][-1]
    assert detail["requestId"] == response.headers["x-request-id"] == response.headers["x-server-request-id"]
    assert cloud.client.get(f"{IMAGES}/e3vnone").headers["x-request-id"] != detail["requestId"]


def test_calls_are_counted_by_route_and_logged(cloud: EmulatedCloud) -> None:
    started = cloud.copy()
    cloud.operation(started["id"])
    cloud.call("GET", "/operations/e3vnone", status=404)
    cloud.call("GET", "/nothing", status=404)

    assert cloud.world.calls == {
        "POST /cloud-desktop/v1/images:copy": 1,
        "GET /operations/{operationId}": 2,
        "GET /nothing": 1,
    }
    assert cloud.world.requests[2] == LoggedRequest("GET", "/operations/e3vnone", 404)


def test_the_control_api(cloud: EmulatedCloud) -> None:
    del cloud.client.headers["Authorization"]
    body = {"folderId": "b1gsource", "name": "win11", "labels": {"a": "b"}, "readyAfter": 5}
    image = cloud.call("POST", "/emulator/compute-images", body, status=201)
    assert image["status"] == "CREATING"
    cloud.pass_time(5)
    state = cloud.call("GET", "/emulator/state")
    assert state["computeImages"] == [image | {"status": "READY"}]

    refused: tuple[Any, ...] = ({}, [], {"folderId": "f", "colour": "blue"}, {"folderId": "f", "labels": 7})
    for wrong in refused:
        assert cloud.call("POST", "/emulator/compute-images", wrong, status=400)["code"] == Code.INVALID_ARGUMENT

    cloud.call("POST", "/emulator/faults", [{"kind": "answer", "status": 500, "times": None}, "latency,seconds=1"])
    cloud.call("GET", IMAGES, status=500)
    assert cloud.call("GET", "/emulator/state")["faults"] == {"answer": 1}
    cloud.call("DELETE", "/emulator/faults")
    cloud.call("GET", IMAGES, status=401)
    for mistake in (["nonsense"], {"kind": "latency", "colour": "blue"}, 7, {"kind": "refusal", "code": "NONE"}):
        assert cloud.call("POST", "/emulator/faults", mistake, status=400)["code"] == Code.INVALID_ARGUMENT
    assert all(not route.startswith("GET /emulator") for route in cloud.world.calls)
