"""GET /copies, GET /copies/{folderId}/{imageId}, GET /operations/{operationId} and POST /sweep."""

from __future__ import annotations

import math
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote, urlencode

import pytest

from cloud_desktop import Code
from image_pipeline.copies import Copy, State
from local.emulator.faults import Fault
from tests.rig.aws import Aws
from tests.rig.http import Answer, call
from tests.rig.pipeline import SOURCE, TARGET, Rig
from tests.rig.table import MemoryTable


def filled(rig: Rig, count: int = 7) -> list[tuple[str, str]]:
    """Put copies into two folders, every third of them FAILED; return their keys."""
    now = rig.clock()
    keys = []
    for number in range(count):
        copy = Copy(
            folder_id=f"b1gfolder{number % 2}",
            image_id=f"fd8{number:03}",
            name=f"win11-{number}",
            state=State.FAILED if number % 3 == 0 else State.ACTIVE,
            reason="made for a test",
            created_at=now,
            updated_at=now,
            since=now,
            deadline_seconds=60,
        )
        assert rig.ledger.create(copy)
        keys.append(copy.key)
    return keys


def pages(rig: Rig, **query: object) -> list[list[tuple[str, str]]]:
    """Follow the page tokens to the end."""
    found = []
    token = ""
    while True:
        answered = call(rig, "GET", f"/copies?{urlencode({**query, 'pageToken': token})}")
        assert answered.status == HTTPStatus.OK, answered
        found.append([(copy["folderId"], copy["imageId"]) for copy in answered.json["copies"]])
        token = answered.json.get("nextPageToken", "")
        if not token:
            return found


def refused(answered: Answer) -> tuple[int, int, str]:
    return answered.status, answered.code, answered.message


def test_an_empty_ledger_has_one_empty_page() -> None:
    assert call(Rig(), "GET", "/copies").json == {"copies": []}


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 8])
def test_pages_give_every_copy_once(page_size: int) -> None:
    rig = Rig()
    keys = filled(rig)
    found = pages(rig, pageSize=page_size)
    assert len(found) == math.ceil(len(keys) / page_size), "no page is empty, also where the last one is full"
    assert all(len(page) == page_size for page in found[:-1])
    assert sorted(key for page in found for key in page) == sorted(keys)


def test_pages_of_dynamodb_itself(aws: Aws) -> None:
    rig = Rig(aws)
    keys = filled(rig)
    assert sorted(key for page in pages(rig, pageSize=2) for key in page) == sorted(keys)
    in_folder = [key for key in keys if key[0] == "b1gfolder1"]
    assert [key for page in pages(rig, pageSize=2, folderId="b1gfolder1") for key in page] == in_folder


def test_a_page_may_span_several_pages_of_the_table() -> None:
    rig = Rig()
    rig.table = MemoryTable(page=2)
    rig.restart()
    keys = filled(rig)
    assert [len(page) for page in pages(rig, pageSize=5)] == [5, 2]
    assert sorted(key for page in pages(rig, pageSize=5) for key in page) == sorted(keys)


def test_filters_may_be_combined_and_paged() -> None:
    rig = Rig()
    filled(rig, 20)
    query = {"state": "FAILED", "folderId": "b1gfolder0"}
    expected = [("b1gfolder0", f"fd8{number:03}") for number in (0, 6, 12, 18)]
    assert pages(rig, pageSize=3, **query) == [expected[:3], expected[3:]]
    assert pages(rig, state="LOST") == [[]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=active", "state"),
        ("state=", "state"),
        ("state=ACTIVE&state=FAILED", "state"),
        ("folderId=", "folderId"),
        ("folderId=%23", "folderId"),
        ("pageSize=0", "pageSize"),
        ("pageSize=1001", "pageSize"),
        ("pageSize=ten", "pageSize"),
        ("pageSize=1.5", "pageSize"),
        ("pageToken=" + "x" * 501, "pageToken"),
    ],
)
def test_a_malformed_filter_is_named(query: str, field: str) -> None:
    answered = call(Rig(), "GET", f"/copies?{query}")
    assert (answered.status, answered.code) == (400, Code.INVALID_ARGUMENT)
    assert all(violation["field"] == field for violation in answered.json["details"][0]["fieldViolations"])


def test_a_token_that_was_changed_or_belongs_to_another_list_is_refused() -> None:
    rig = Rig()
    filled(rig)
    token = call(rig, "GET", "/copies?pageSize=2").json["nextPageToken"]
    assert call(rig, "GET", f"/copies?pageSize=3&pageToken={token}").status == HTTPStatus.OK
    changed = {token[:at] + ("B" if token[at] == "A" else "A") + token[at + 1 :] for at in range(len(token))}
    spoiled = {token[:-1], token + "A", token + "!", token + "=", "x", "é", "W10", " ", *changed}
    for wrong in (f"pageToken={quote(each)}" for each in spoiled):
        said = "pageToken: not one that this call has given for these filters"
        assert refused(call(rig, "GET", f"/copies?{wrong}")) == (400, Code.INVALID_ARGUMENT, said), wrong
    for other in ("folderId=b1gfolder0", "state=ACTIVE"):
        assert call(rig, "GET", f"/copies?{other}&pageToken={token}").status == HTTPStatus.BAD_REQUEST


def test_one_copy() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.take(image_id)
    rig.settle()

    answered = call(rig, "GET", f"/copies/{TARGET}/{image_id}")

    assert answered.status == HTTPStatus.OK
    assert answered.json["state"] == "ACTIVE"
    assert answered.json["finishedAt"] > answered.json["createdAt"]


def test_a_copy_that_is_not_there_is_404() -> None:
    said = "there is no copy of image fd8x in folder b1gx"
    assert refused(call(Rig(), "GET", "/copies/b1gx/fd8x")) == (404, Code.NOT_FOUND, said)


def test_a_row_of_the_ledger_that_is_no_copy_cannot_be_asked_for() -> None:
    assert call(Rig(), "GET", "/copies/%23cleanup/last").status == HTTPStatus.NOT_FOUND
    answered = call(Rig(), "GET", "/copies/:cleanup/last")
    assert (answered.status, answered.code) == (400, Code.INVALID_ARGUMENT)
    assert answered.message.startswith("folderId: ")


def test_an_operation_as_cloud_desktop_has_it() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.take(image_id)
    operation_id = rig.row(image_id).operation_id

    running = call(rig, "GET", f"/operations/{operation_id}").json
    rig.clock.advance(61)
    ended = call(rig, "GET", f"/operations/{operation_id}").json

    assert running["id"] == operation_id
    assert running["done"] is False
    assert running["metadata"]["imageId"] == rig.row(image_id).desktop_image_id
    assert running["createdAt"] == "2026-08-01T10:00:00Z"
    assert {"error", "response", "pollAfter", "poll_after"}.isdisjoint(running)
    assert ended["done"] is True
    assert ended["response"]["status"] == "ACTIVE"
    assert ended["modifiedAt"] == "2026-08-01T10:01:00Z"


def test_a_failed_operation_says_why() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.faults.add(Fault(kind="operation_fails"))
    rig.take(image_id)
    operation_id = rig.row(image_id).operation_id
    rig.clock.advance(61)

    ended = call(rig, "GET", f"/operations/{operation_id}").json

    assert ended["done"] is True
    assert ended["error"]["code"] == Code.INTERNAL
    assert set(ended["error"]) == {"code", "message", "details"}


def test_an_operation_that_is_not_there_is_404() -> None:
    answered = call(Rig(), "GET", "/operations/e3vnosuchoperation")
    assert (answered.status, answered.code) == (404, Code.NOT_FOUND)


def test_a_sweep_says_what_it_found_and_did() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.add_image(family="ubuntu")

    first = call(rig, "POST", "/sweep")
    second = call(rig, "POST", "/sweep")

    assert first.status == HTTPStatus.OK
    assert (first.json["seen"], first.json["selected"]) == (2, 1)
    assert [copy["imageId"] for copy in first.json["started"]] == [image_id]
    assert sum(first.json["skipped"].values()) == 1
    assert (second.json["started"], second.json["alreadyThere"]) == ([], 1)


def test_a_sweep_that_cannot_read_a_folder_says_so_and_is_no_error() -> None:
    rig = Rig()
    rig.world.deny_folder(SOURCE)
    answered = call(rig, "POST", "/sweep")
    assert answered.status == HTTPStatus.OK
    assert answered.json["errors"][0].startswith(f"folder {SOURCE}: ")


def test_an_overslept_copy_is_woken_by_the_sweep() -> None:
    rig = Rig()
    rig.take(rig.add_image())
    rig.queue.clear()
    rig.clock.now += timedelta(hours=1)
    assert call(rig, "POST", "/sweep").json["woken"] == 1
