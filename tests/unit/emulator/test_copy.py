from __future__ import annotations

from typing import Any

import pytest

from local.emulator.status import Code
from tests.unit.emulator.emulated_cloud import IMAGES, KEY, SOURCE_FOLDER, TARGET_FOLDER, EmulatedCloud

OTHER_KEY = "a1c9a5f0-54a0-4b21-8a3e-0b7de1f2c3d4"


def test_a_copy_moves_with_the_clock_alone(cloud: EmulatedCloud) -> None:
    source = cloud.source(size=7 * 2**30)
    started = cloud.copy(source.id, labels={"channel": "stable"}, description="from fd8")

    assert "done" not in started
    image_id = started["metadata"]["imageId"]
    cloud.pass_time(2.999)
    assert "done" not in cloud.operation(started["id"])
    assert cloud.call("GET", f"{IMAGES}/{image_id}")["status"] == "CREATING"
    cloud.pass_time(0.001)
    done = cloud.operation(started["id"])

    assert done["done"] is True
    assert done["modifiedAt"] == "2026-08-01T10:00:03.000000000Z"
    image = cloud.call("GET", f"{IMAGES}/{image_id}")
    assert done["response"] == {
        "@type": "type.googleapis.com/yandex.cloud.clouddesktop.v1.api.DesktopImage",
        **image,
    }
    assert image == {
        "id": image_id,
        "folderId": TARGET_FOLDER,
        "createdAt": "2026-08-01T10:00:00.000000000Z",
        "status": "ACTIVE",
        "name": "win11",
        "labels": {"channel": "stable"},
        "description": "from fd8",
        "storageSize": str(7 * 2**30),
        "minDiskSize": str(21 * 2**30),
    }
    [record] = cloud.world.desktop_images(TARGET_FOLDER)
    assert (record.source_image_id, record.operation_id) == (source.id, started["id"])
    assert cloud.world.desktop_images("b1gelsewhere") == []


def test_the_end_is_dated_when_it_was_due_and_not_when_somebody_looked(cloud: EmulatedCloud) -> None:
    started = cloud.copy()
    cloud.pass_time(3600)
    assert cloud.operation(started["id"])["modifiedAt"] == "2026-08-01T10:00:03.000000000Z"


def test_the_same_key_gives_the_same_operation_in_its_current_state(cloud: EmulatedCloud) -> None:
    source = cloud.source()
    first = cloud.copy(source.id, key=KEY)
    again = cloud.copy(source.id, key=KEY.upper(), name="another body")
    cloud.pass_time(3)
    later = cloud.copy(source.id, key=KEY)

    assert first == again
    assert (later["id"], later["done"]) == (first["id"], True)
    assert cloud.copy(source.id, key=OTHER_KEY)["id"] != first["id"]
    assert len(cloud.world.desktop_images()) == 2


def test_a_key_is_used_up_only_by_a_call_that_started_an_operation(cloud: EmulatedCloud) -> None:
    source = cloud.source(status="CREATING")
    cloud.copy(source.id, key=KEY, status=400)
    cloud.world.set_compute_status(source.id, "READY")
    assert cloud.copy(source.id, key=KEY)["id"]


def test_keys_of_different_methods_do_not_meet(cloud: EmulatedCloud) -> None:
    copied = cloud.copy(key=KEY)
    cloud.pass_time(3)
    path = f"{IMAGES}/{copied['metadata']['imageId']}"
    assert cloud.call("DELETE", path, Idempotency_Key=KEY)["id"] != copied["id"]


@pytest.mark.parametrize("key", ["", "once", "3f0b6c1e-7a55-4c1c-9d61"])
def test_a_key_that_is_no_uuid_is_refused(cloud: EmulatedCloud, key: str) -> None:
    assert "Idempotency-Key" in cloud.copy(key=key, status=400)["message"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"folderId": ""}, "folder_id"),
        ({"folderId": None}, "folder_id"),
        ({"name": ""}, "name"),
        ({"imageId": ""}, "image_id"),
        ({"folderId": "f" * 51}, "folder_id"),
        ({"name": "n" * 51}, "name"),
        ({"name": 7}, "name"),
        ({"imageId": "i" * 51}, "image_id"),
        ({"description": "d" * 1025}, "description"),
        ({"labels": []}, "labels"),
        ({"labels": {f"k{number}": "" for number in range(65)}}, "labels"),
        ({"labels": {"Key": "v"}}, "labels"),
        ({"labels": {"k" * 64: "v"}}, "labels"),
        ({"labels": {"k": "v" * 64}}, "labels"),
        ({"labels": {"k": "V"}}, "labels"),
        ({"labels": {"k": "a.b"}}, "labels"),
        ({"labels": {"k": 1}}, "labels"),
    ],
)
def test_limits(cloud: EmulatedCloud, changes: dict[str, Any], field: str) -> None:
    error = cloud.copy(status=400, **changes)
    assert error["code"] == Code.INVALID_ARGUMENT
    assert error["details"][0]["fieldViolations"][0]["field"] == field
    assert cloud.world.desktop_images() == []


def test_values_at_their_limits_are_taken(cloud: EmulatedCloud) -> None:
    labels = {f"k{number}" + "-" * 60: "v" * 63 for number in range(10, 74)}
    cloud.copy(name="n" * 50, description="d" * 1024, labels=labels)
    assert dict(cloud.world.desktop_images()[0].labels) == labels


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_refused(cloud: EmulatedCloud, body: bytes) -> None:
    response = cloud.client.post(f"{IMAGES}:copy", content=body)
    assert (response.status_code, response.json()["code"]) == (400, Code.INVALID_ARGUMENT)


def test_both_spellings_of_field_names_are_read(cloud: EmulatedCloud) -> None:
    body = {"folder_id": TARGET_FOLDER, "name": "n", "image_id": cloud.source().id}
    assert cloud.call("POST", f"{IMAGES}:copy", body)["id"]


def test_unknown_fields_are_tolerated_unless_strict(cloud: EmulatedCloud) -> None:
    cloud.copy(colour="blue")
    strict = EmulatedCloud(strict_fields=True)
    assert "colour" in strict.copy(colour="blue", status=400)["message"]


def test_a_service_from_before_labels_refuses_them() -> None:
    cloud = EmulatedCloud(accept_labels_on_copy=False)
    assert "labels" in cloud.copy(labels={"a": "b"}, status=400)["message"]
    assert "description" in cloud.copy(description="d", status=400)["message"]
    assert cloud.copy()["id"]


@pytest.mark.parametrize("state", ["CREATING", "ERROR", "DELETING"])
def test_a_source_that_is_not_ready(cloud: EmulatedCloud, state: str) -> None:
    assert cloud.copy(cloud.source(status=state).id, status=400)["code"] == Code.FAILED_PRECONDITION


def test_a_source_becomes_ready_after_its_time(cloud: EmulatedCloud) -> None:
    source = cloud.source(ready_after=60)
    assert cloud.copy(source.id, status=400)["code"] == Code.FAILED_PRECONDITION
    cloud.pass_time(60)
    assert cloud.copy(source.id)["id"]


def test_what_happened_to_a_source_before_its_time_stays(cloud: EmulatedCloud) -> None:
    broken, gone = cloud.source(ready_after=60), cloud.source(ready_after=60)
    cloud.world.set_compute_status(broken.id, "ERROR")
    cloud.world.remove_compute_image(gone.id)
    cloud.pass_time(60)
    assert [(image.id, image.status) for image in cloud.world.compute_images()] == [(broken.id, "ERROR")]


def test_a_source_that_does_not_exist(cloud: EmulatedCloud) -> None:
    source = cloud.source()
    cloud.world.remove_compute_image(source.id)
    assert cloud.copy(source.id, status=404)["code"] == Code.NOT_FOUND


def test_folders_that_are_denied(cloud: EmulatedCloud) -> None:
    cloud.world.deny_folder(TARGET_FOLDER)
    assert cloud.copy(status=403)["code"] == Code.PERMISSION_DENIED
    cloud.world.allow_folder(TARGET_FOLDER)
    cloud.world.deny_folder(SOURCE_FOLDER)
    assert cloud.copy(status=403)["code"] == Code.PERMISSION_DENIED
    cloud.world.allow_folder(SOURCE_FOLDER)
    cloud.copy()


def test_the_quota_counts_images_being_created_and_no_system_image() -> None:
    cloud = EmulatedCloud(quota_images=2)
    cloud.copy(name="one")
    cloud.copy(name="two")
    refusal = cloud.copy(name="three", status=429)

    assert refusal["code"] == Code.RESOURCE_EXHAUSTED
    violation = refusal["details"][0]["violations"][0]
    assert violation == {
        "metric": {"name": "vdi.desktopImages.count", "limit": "2", "usage": 2.0},
        "required": "1",
    }


def test_the_quota_of_bytes() -> None:
    cloud = EmulatedCloud(quota_bytes=50 * 2**30)
    cloud.copy(name="one")
    cloud.copy(name="two")
    refusal = cloud.copy(name="three", status=429)
    assert refusal["details"][0]["violations"][0]["metric"]["name"] == "vdi.desktopImages.size"
    assert refusal["details"][0]["violations"][0]["required"] == str(20 * 2**30)


def test_too_many_active_operations() -> None:
    cloud = EmulatedCloud(max_active_operations=1)
    cloud.copy()
    refusal = cloud.copy(status=429)
    assert refusal["code"] == Code.RESOURCE_EXHAUSTED
    assert "violations" not in refusal["details"][0]
    cloud.pass_time(3)
    cloud.copy()


def test_names_may_be_equal_unless_unique(cloud: EmulatedCloud) -> None:
    cloud.copy()
    cloud.copy()
    unique = EmulatedCloud(unique_names=True)
    unique.copy()
    assert unique.copy(status=409)["code"] == Code.ALREADY_EXISTS
    unique.copy(folderId="b1gelsewhere")


def test_an_image_deleted_by_hand_fails_its_copy(cloud: EmulatedCloud) -> None:
    started = cloud.copy()
    cloud.world.remove_desktop_image(started["metadata"]["imageId"])
    cloud.pass_time(3)
    assert cloud.operation(started["id"])["error"]["code"] == Code.NOT_FOUND


def test_copy_cannot_be_cancelled(cloud: EmulatedCloud) -> None:
    path = f"/operations/{cloud.copy()['id']}:cancel"
    for method in ("GET", "POST"):
        assert cloud.call(method, path, status=400)["code"] == Code.FAILED_PRECONDITION
    assert cloud.call("POST", "/operations/e3vnone:cancel", status=404)["code"] == Code.NOT_FOUND


def test_a_forgotten_operation_is_still_found_by_its_key(cloud: EmulatedCloud) -> None:
    source = cloud.source()
    started = cloud.copy(source.id, key=KEY)
    cloud.world.forget_operation(started["id"])
    cloud.pass_time(3)

    cloud.call("GET", f"/operations/{started['id']}", status=404)
    assert cloud.world.desktop_images()[0].status == "ACTIVE"
    assert cloud.copy(source.id, key=KEY)["done"] is True

    cloud.world.forget_operation(started["id"], key_too=True)
    assert cloud.copy(source.id, key=KEY)["id"] != started["id"]
    assert len(cloud.world.operations()) == 2


def test_copy_from_desktop(cloud: EmulatedCloud) -> None:
    desktop = cloud.world.add_desktop("b1ghome")
    cloud.call("POST", f"{IMAGES}:copyFromDesktop", {"desktopId": desktop}, Idempotency_Key=KEY)
    cloud.call("POST", f"{IMAGES}:copyFromDesktop", {"desktopId": desktop}, Idempotency_Key=KEY)
    [image] = cloud.world.desktop_images()
    assert (image.folder_id, image.source_desktop_id, image.status) == ("b1ghome", desktop, "CREATING")
    body = {"desktopId": "e3vnone"}
    assert cloud.call("POST", f"{IMAGES}:copyFromDesktop", body, status=404)["code"] == Code.NOT_FOUND
    assert cloud.call("POST", f"{IMAGES}:copyFromDesktop", {}, status=400)["code"] == Code.INVALID_ARGUMENT


def test_ids_are_the_same_in_every_run() -> None:
    assert EmulatedCloud().copy()["id"] == EmulatedCloud().copy()["id"]


def test_ids_look_like_those_of_the_cloud(cloud: EmulatedCloud) -> None:
    ids = {cloud.source().id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(image_id) == 20 and image_id.startswith("fd8") for image_id in ids)
