"""POST /images:copy: the seed document's request, made safe to repeat."""

from __future__ import annotations

import base64
from http import HTTPStatus

import pytest

from cloud_desktop import Code
from image_pipeline.copies import State
from local.emulator.faults import Fault
from tests.rig.http import Answer, answer, call, event
from tests.rig.pipeline import SOURCE, TARGET, Rig

COPY = "POST /cloud-desktop/v1/images:copy"


def post(rig: Rig, body: object) -> Answer:
    return call(rig, "POST", "/images:copy", body)


def test_the_seed_documents_own_body_begins_the_copy() -> None:
    rig = Rig()
    image_id = rig.add_image()

    answered = post(rig, {"folderId": "b1gelsewhere", "name": "my image", "imageId": image_id})

    assert answered.status == HTTPStatus.ACCEPTED
    assert answered.json == {
        "folderId": "b1gelsewhere",
        "imageId": image_id,
        "name": "my image",
        "state": "COPYING",
        "reason": answered.json["reason"],
        "desktopImageId": rig.world.desktop_images("b1gelsewhere")[0].id,
        "operationId": rig.world.operations()[0].id,
        "generation": 1,
        "createdAt": "2026-08-01T10:00:00Z",
        "updatedAt": "2026-08-01T10:00:00Z",
        "nextLookAt": "2026-08-01T10:00:05Z",
    }


def test_repeating_it_returns_the_same_copy_and_asks_for_nothing_more() -> None:
    rig = Rig()
    body = {"folderId": TARGET, "name": "my image", "imageId": rig.add_image()}
    first = post(rig, body)

    second = post(rig, body)
    rig.settle()
    third = post(rig, body)

    assert (second.status, second.json) == (first.status, first.json)
    assert third.json["state"] == "ACTIVE"
    assert third.json["operationId"] == first.json["operationId"]
    assert rig.world.calls[COPY] == 1


def test_a_route_gives_the_folder_and_the_name() -> None:
    rig = Rig()
    answered = post(rig, {"imageId": rig.add_image(name="win11")})

    assert answered.json["folderId"] == TARGET
    assert answered.json["route"] == "office"
    assert answered.json["name"].startswith("win11-")


def test_null_is_absent() -> None:
    rig = Rig()
    assert post(rig, {"imageId": rig.add_image(), "folderId": None, "name": None}).status == HTTPStatus.ACCEPTED


def test_without_a_route_the_folder_has_to_be_named() -> None:
    rig = Rig()
    image_id = rig.add_image(family="ubuntu")

    refused = post(rig, {"imageId": image_id})
    taken = post(rig, {"imageId": image_id, "folderId": TARGET})

    assert (refused.status, refused.code) == (400, Code.INVALID_ARGUMENT)
    assert refused.message == f"folderId: needed, since no route takes image {image_id}"
    assert taken.status == HTTPStatus.ACCEPTED
    assert "route" not in taken.json


def test_another_name_for_the_same_pair_gives_the_copy_that_there_is() -> None:
    rig = Rig()
    image_id = rig.add_image()
    post(rig, {"imageId": image_id, "folderId": TARGET, "name": "first"})

    repeated = post(rig, {"imageId": image_id, "folderId": TARGET, "name": "second"})

    assert (repeated.status, repeated.json["name"]) == (HTTPStatus.ACCEPTED, "first")
    assert rig.world.calls[COPY] == 1


def test_a_copy_that_failed_is_made_again_under_any_name() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.world.deny_folder(TARGET)
    failed = post(rig, {"imageId": image_id, "folderId": TARGET, "name": "first"})
    rig.world.allow_folder(TARGET)

    again = post(rig, {"imageId": image_id, "folderId": TARGET, "name": "second"})

    assert failed.json["state"] == "FAILED"
    assert (again.status, again.json["name"], again.json["state"]) == (202, "second", "COPYING")


def test_a_folder_without_permission_is_what_the_copy_says() -> None:
    rig = Rig()
    rig.world.deny_folder(TARGET)

    answered = post(rig, {"imageId": rig.add_image()})

    assert answered.status == HTTPStatus.ACCEPTED
    assert answered.json["state"] == "FAILED"
    assert "PERMISSION_DENIED" in answered.json["reason"]


def test_a_source_folder_without_permission_is_403() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.world.deny_folder(SOURCE)

    answered = post(rig, {"imageId": image_id})

    assert (answered.status, answered.code) == (403, Code.PERMISSION_DENIED)
    assert answered.json["details"][0]["@type"] == "type.googleapis.com/google.rpc.RequestInfo"


def test_an_image_that_does_not_exist_is_404() -> None:
    answered = post(Rig(), {"imageId": "fd8nosuchimage"})
    assert (answered.status, answered.code) == (404, Code.NOT_FOUND)
    assert "fd8nosuchimage" in answered.message


def test_an_image_that_can_never_be_copied_is_refused_with_its_status() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.world.set_compute_status(image_id, "ERROR")

    answered = post(rig, {"imageId": image_id})

    assert (answered.status, answered.code) == (400, Code.FAILED_PRECONDITION)
    assert answered.message == f"image {image_id} cannot be copied: the source image is in status ERROR"
    assert rig.ledger.get(TARGET, image_id) is None


def test_an_image_that_is_still_creating_is_waited_for() -> None:
    rig = Rig()
    answered = post(rig, {"imageId": rig.add_image(ready_after=300.0)})
    assert (answered.status, answered.json["state"]) == (202, State.WAITING_FOR_SOURCE)


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "imageId", "required"),
        (None, "imageId", "required"),
        ("", "imageId", "required"),
        ({"imageId": ""}, "imageId", "at least 1 character"),
        ({"imageId": "fd8", "name": "n" * 51}, "name", "at most 50 characters"),
        ({"imageId": "fd8", "name": ""}, "name", "at least 1 character"),
        ({"imageId": "f" * 51}, "imageId", "at most 50 characters"),
        ({"imageId": "../operations"}, "imageId", "pattern"),
        ({"imageId": "fd8", "folderId": "b1g/x"}, "folderId", "pattern"),
        ({"imageId": 8}, "imageId", "valid string"),
        ({"imageId": ["fd8"]}, "imageId", "valid string"),
        ({"imageId": "fd8", "name": "\ud800"}, "name", "unicode"),
        ({"imageId": "fd8", "labels": {"a": "b"}}, "labels", "not permitted"),
        ({"image_id": "fd8"}, "imageId", "required"),
    ],
)
def test_a_field_that_does_not_hold_what_it_should_is_named(body: object, field: str, said: str) -> None:
    answered = post(Rig(), body)

    assert (answered.status, answered.code) == (400, Code.INVALID_ARGUMENT)
    [detail] = answered.json["details"]
    violations = {violation["field"]: violation["description"] for violation in detail["fieldViolations"]}
    assert said in violations[field]
    assert f"{field}: {violations[field]}" in answered.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "the body is not JSON: Expecting property name enclosed in double quotes"),
        ("imageId=fd8", "the body is not JSON: Expecting value"),
        ("[" * 100_000, "the body is not JSON: it nests too deep or holds too long a number"),
        ('{"imageId": ' + "1" * 5000 + "}", "the body is not JSON: it nests too deep or holds too long a number"),
        ('[{"imageId": "fd8"}]', "the body must be a JSON object"),
        ("null", "the body must be a JSON object"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: str, said: str) -> None:
    answered = post(Rig(), body)
    assert (answered.status, answered.code, answered.message) == (400, Code.INVALID_ARGUMENT, said)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain", ""]
)
def test_json_is_read_whatever_the_content_type_says(content_type: str) -> None:
    rig = Rig()
    sent = event("POST", "/images:copy", {"imageId": rig.add_image()})
    sent["headers"] = {"Content-Type": content_type} if content_type else {}
    assert answer(rig, sent).status == HTTPStatus.ACCEPTED


def test_a_body_may_be_base64() -> None:
    rig = Rig()
    body = f'{{"imageId": "{rig.add_image()}", "name": "büro"}}'
    sent = event("POST", "/images:copy", base64.b64encode(body.encode()).decode())

    answered = answer(rig, {**sent, "isBase64Encoded": True})

    assert answered.json["name"] == "büro"


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"imageId": "fd8", "name": "\xff"}'])
def test_bytes_that_are_not_text_are_refused(body: bytes) -> None:
    sent = event("POST", "/images:copy", base64.b64encode(body).decode())
    answered = answer(Rig(), {**sent, "isBase64Encoded": True})
    assert (answered.status, answered.code) == (400, Code.INVALID_ARGUMENT)


def test_back_pressure_of_the_compute_service_is_passed_on() -> None:
    rig = Rig()
    rig.faults.add(Fault(kind="answer", route="GET compute/v1/images/*", status=429, times=None))
    answered = post(rig, {"imageId": rig.add_image()})
    assert (answered.status, answered.code) == (429, Code.RESOURCE_EXHAUSTED)
