"""Update, Delete, and who may not."""

from __future__ import annotations

from typing import Any

import pytest

from local.emulator.status import Code
from tests.unit.emulator.emulated_cloud import IMAGES, KEY, TARGET_FOLDER, EmulatedCloud


@pytest.fixture
def path(cloud: EmulatedCloud) -> str:
    return f"{IMAGES}/{cloud.finished_copy(labels={'a': 'b'}, description='old')}"


def update(cloud: EmulatedCloud, path: str, body: dict[str, Any]) -> Any:
    operation = cloud.call("PATCH", path, body)
    cloud.pass_time(1)
    return cloud.operation(operation["id"])["response"]


def test_update_overwrites_the_fields_of_its_mask(cloud: EmulatedCloud, path: str) -> None:
    image = update(cloud, path, {"updateMask": "labels,description", "labels": {"c": "d"}, "name": "ignored"})
    assert (image["name"], image["labels"], "description" in image) == ("win11", {"c": "d"}, False)


def test_update_without_a_mask_resets_what_was_not_sent(cloud: EmulatedCloud, path: str) -> None:
    image = update(cloud, path, {"name": "new"})
    assert (image["name"], "labels" in image, "description" in image) == ("new", False, False)


def test_an_update_shows_once_its_operation_is_done(cloud: EmulatedCloud, path: str) -> None:
    cloud.call("PATCH", path, {"updateMask": "name", "name": "new"})
    assert cloud.call("GET", path)["name"] == "win11"


def test_update_refuses_a_mask_of_unknown_fields(cloud: EmulatedCloud, path: str) -> None:
    error = cloud.call("PATCH", path, {"updateMask": "storageSize"}, status=400)
    assert error["details"][0]["fieldViolations"][0]["field"] == "update_mask"


def test_update_to_a_name_that_is_taken() -> None:
    cloud = EmulatedCloud(unique_names=True)
    path = f"{IMAGES}/{cloud.finished_copy()}"
    cloud.copy(name="taken")
    body = {"updateMask": "name", "name": "taken"}
    assert cloud.call("PATCH", path, body, status=409)["code"] == Code.ALREADY_EXISTS
    cloud.call("PATCH", path, body | {"name": "win11"})


def test_delete_takes_its_time(cloud: EmulatedCloud, path: str) -> None:
    operation = cloud.call("DELETE", path)
    assert cloud.call("GET", path)["status"] == "DELETING"
    assert cloud.call("DELETE", path, status=400)["code"] == Code.FAILED_PRECONDITION
    cloud.pass_time(1)
    assert cloud.operation(operation["id"])["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert cloud.call("GET", path, status=404)["code"] == Code.NOT_FOUND
    assert cloud.call("DELETE", path, status=404)["code"] == Code.NOT_FOUND


def test_delete_makes_room_in_the_quota() -> None:
    cloud = EmulatedCloud(quota_images=1)
    path = f"{IMAGES}/{cloud.finished_copy()}"
    cloud.call("DELETE", path)
    cloud.copy(status=429)
    cloud.pass_time(1)
    cloud.copy()


def test_delete_that_is_refused_as_in_use(cloud: EmulatedCloud, path: str) -> None:
    image_id = path.rpartition("/")[2]
    cloud.world.refuse_delete(image_id)
    assert cloud.call("DELETE", path, status=400)["code"] == Code.FAILED_PRECONDITION
    cloud.world.refuse_delete(image_id, refuse=False)
    cloud.call("DELETE", path)


def test_an_image_that_is_being_created_cannot_be_changed(cloud: EmulatedCloud) -> None:
    path = f"{IMAGES}/{cloud.copy()['metadata']['imageId']}"
    assert cloud.call("DELETE", path, status=400)["code"] == Code.FAILED_PRECONDITION
    assert cloud.call("PATCH", path, {"name": "n"}, status=400)["code"] == Code.FAILED_PRECONDITION


def test_system_images_are_listed_everywhere_and_cannot_be_changed(cloud: EmulatedCloud) -> None:
    images = cloud.call("GET", f"{IMAGES}?folderId=b1gnew")["desktopImages"]
    assert images
    for image in images:
        path = f"{IMAGES}/{image['id']}"
        assert image["folderId"] != "b1gnew"
        assert cloud.call("DELETE", path, status=403)["code"] == Code.PERMISSION_DENIED
        assert cloud.call("PATCH", path, {"name": "n"}, status=403)["code"] == Code.PERMISSION_DENIED


def test_images_of_a_denied_folder(cloud: EmulatedCloud, path: str) -> None:
    cloud.world.deny_folder(TARGET_FOLDER)
    for method in ("GET", "DELETE"):
        assert cloud.call(method, path, status=403)["code"] == Code.PERMISSION_DENIED
    assert cloud.call("GET", f"{IMAGES}?folderId={TARGET_FOLDER}", status=403)["code"] == Code.PERMISSION_DENIED


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_key_repeats_a_change_as_well(cloud: EmulatedCloud, path: str, method: str) -> None:
    body = {"updateMask": "name", "name": "new"} if method == "PATCH" else None
    first = cloud.call(method, path, body, Idempotency_Key=KEY)
    cloud.pass_time(1)
    again = cloud.call(method, path, body, Idempotency_Key=KEY)
    assert (again["id"], again["done"]) == (first["id"], True)
