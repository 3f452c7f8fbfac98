from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from local.emulator.faults import KINDS, OPERATION_KINDS, REFUSALS, SURVIVABLE, Fault, Faults
from local.emulator.status import Code
from tests.unit.emulator.emulated_cloud import IMAGES, KEY, START, TARGET_FOLDER, EmulatedCloud

LIST = f"{IMAGES}?folderId={TARGET_FOLDER}"


@pytest.mark.parametrize(
    ("kind", "seconds", "error", "took_effect"),
    [
        ("refused", 0.0, httpx.ConnectError, False),
        ("reset_before", 0.0, httpx.ReadError, False),
        ("reset_after", 0.0, httpx.ReadError, True),
        ("lost_answer", 0.0, httpx.RemoteProtocolError, True),
        ("lost_answer", 30.0, httpx.ReadTimeout, True),
        ("short_answer", 0.0, httpx.RemoteProtocolError, True),
    ],
)
def test_connections_that_break(
    cloud: EmulatedCloud, kind: str, seconds: float, error: type[Exception], took_effect: bool
) -> None:
    cloud.faults.add(Fault(kind=kind, route="POST images:copy", seconds=seconds))
    source = cloud.source()
    with pytest.raises(error):
        cloud.copy(source.id, key=KEY)

    assert len(cloud.world.desktop_images()) == took_effect
    assert (cloud.now - START).total_seconds() == seconds
    assert cloud.world.requests[-1].fault == kind
    cloud.copy(source.id, key=KEY)
    assert len(cloud.world.desktop_images()) == 1


def test_latency_passes_on_the_injected_clock(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="latency", seconds=7))
    cloud.call("GET", LIST)
    assert (cloud.now - START).total_seconds() == 7


@pytest.mark.parametrize("retry_after", ["5", "-1", "NaN", "31536000", "Thu, 01 Jan 1970 00:00:00 GMT", None])
def test_throttling(cloud: EmulatedCloud, retry_after: str | None) -> None:
    cloud.faults.add(Fault(kind="answer", status=429, retry_after=retry_after))
    response = cloud.client.get(LIST)
    assert (response.status_code, response.headers.get("Retry-After")) == (429, retry_after)
    assert response.json()["code"] == Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_bodies_of_server_errors(cloud: EmulatedCloud, status: int) -> None:
    for body in ("json", "html", "empty", "truncated"):
        cloud.faults.add(Fault(kind="answer", status=status, body=body))
    as_json, html, empty, truncated = (cloud.client.get(LIST) for _ in range(4))
    assert {answer.status_code for answer in (as_json, html, empty, truncated)} == {status}
    assert as_json.json()["details"][0]["requestId"] == as_json.headers["x-request-id"]
    assert (html.headers["Content-Type"], html.text[:6]) == ("text/html", "<html>")
    assert empty.content == b""
    with pytest.raises(json.JSONDecodeError):
        truncated.json()


def test_an_error_after_the_effect(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="answer", status=504, body="html", after_effect=True))
    body = {"folderId": TARGET_FOLDER, "name": "n", "imageId": cloud.source().id}
    assert cloud.client.post(f"{IMAGES}:copy", json=body).text.startswith("<html>")
    assert len(cloud.world.desktop_images()) == 1


def test_a_good_answer_with_a_bad_body(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="mangled", body="html"))
    response = cloud.client.get(LIST)
    assert (response.status_code, response.text[:6]) == (200, "<html>")


def test_a_hint_when_to_look_again(cloud: EmulatedCloud) -> None:
    started = cloud.copy()
    cloud.faults.add(Fault(kind="hint", retry_after="60", route="GET operations/*"))
    response = cloud.client.get(f"/operations/{started['id']}")
    assert (response.headers["Retry-After"], response.json()["id"]) == ("60", started["id"])


def test_a_redirect_keeps_the_path(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="redirect", location="http://127.0.0.1:1/"), Fault(kind="redirect", status=301))
    response = cloud.client.get(LIST)
    assert (response.status_code, response.headers["Location"]) == (307, f"http://127.0.0.1:1{IMAGES}")
    assert cloud.client.get(LIST).status_code == 301


@pytest.mark.parametrize("kind", REFUSALS)
def test_refusals_by_name(cloud: EmulatedCloud, kind: str) -> None:
    image_id = cloud.finished_copy()
    cloud.faults.add(Fault(kind=kind))
    refusal = REFUSALS[kind][1].status
    if kind == "delete_refused":
        answer = cloud.call("DELETE", f"{IMAGES}/{image_id}", status=refusal.code.http_status)
    else:
        cloud.call("GET", "/endpoints")
        answer = cloud.copy(labels={"a": "b"}, status=refusal.code.http_status)
    assert (answer["code"], answer["message"]) == (refusal.code, refusal.message)
    assert len(cloud.world.desktop_images()) == 1


def test_labels_are_refused_only_where_there_are_some(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="labels_refused"))
    cloud.copy()
    cloud.copy(description="d", status=400)
    cloud.copy(description="d")


@pytest.mark.parametrize("code", Code)
def test_refusals_by_code(cloud: EmulatedCloud, code: Code) -> None:
    cloud.faults.add(Fault(kind="refusal", code=code))
    assert cloud.call("GET", LIST, status=code.http_status)["code"] == code


@pytest.mark.parametrize("code", Code)
def test_operations_that_fail(cloud: EmulatedCloud, code: Code) -> None:
    cloud.faults.add(Fault(kind="operation_fails", code=code))
    started = cloud.copy()
    cloud.pass_time(3)
    failed = cloud.operation(started["id"])
    assert (failed["done"], failed["error"]["code"], "response" in failed) == (True, code, False)
    assert cloud.world.desktop_images() == []


def test_an_error_before_done(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="error_before_done", seconds=10))
    started = cloud.copy()
    cloud.pass_time(3)
    failing = cloud.operation(started["id"])
    assert ("done" in failing, failing["error"]["code"]) == (False, Code.INTERNAL)
    assert cloud.world.desktop_images()[0].status == "CREATING"
    cloud.pass_time(10)
    assert cloud.operation(started["id"])["done"] is True
    assert cloud.world.desktop_images() == []


def test_done_with_neither(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="done_with_neither"))
    started = cloud.copy()
    cloud.pass_time(3)
    assert cloud.operation(started["id"]).keys() & {"done", "error", "response"} == {"done"}


def test_a_fresh_operation_that_is_not_found_yet(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="fresh_operation_404", looks=2))
    path = f"/operations/{cloud.copy()['id']}"
    assert [cloud.client.get(path).status_code for _ in range(3)] == [404, 404, 200]


def test_an_operation_that_is_forgotten(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="operation_forgotten"))
    started = cloud.copy()
    cloud.pass_time(3)
    cloud.call("GET", f"/operations/{started['id']}", status=404)
    assert cloud.world.desktop_images()[0].status == "ACTIVE"


def test_an_image_that_stays_creating(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="image_stays_creating", seconds=60), Fault(kind="image_stays_creating"))
    passing, lasting = (cloud.copy(name=name) for name in ("passing", "lasting"))
    cloud.pass_time(3)
    assert cloud.operation(passing["id"])["response"]["status"] == "ACTIVE"
    assert [image.status for image in cloud.world.desktop_images()] == ["CREATING", "CREATING"]
    cloud.world.remove_desktop_image(lasting["metadata"]["imageId"])
    cloud.pass_time(10**6)
    assert [image.status for image in cloud.world.desktop_images()] == ["ACTIVE"]


def test_a_delete_that_fails_gives_the_image_back(cloud: EmulatedCloud) -> None:
    image_id = cloud.finished_copy()
    cloud.faults.add(Fault(kind="operation_fails", route="DELETE images/*", code=Code.FAILED_PRECONDITION))
    cloud.call("DELETE", f"{IMAGES}/{image_id}")
    cloud.pass_time(1)
    assert cloud.world.desktop_images()[0].status == "ACTIVE"


def test_times_and_skip(cloud: EmulatedCloud) -> None:
    cloud.faults.add(Fault(kind="answer", skip=1, times=2))
    assert [cloud.client.get(LIST).status_code for _ in range(4)] == [200, 503, 503, 200]
    cloud.faults.add(Fault(kind="answer", times=None))
    assert {cloud.client.get(LIST).status_code for _ in range(5)} == {503}
    cloud.faults.clear()
    assert cloud.client.get(LIST).status_code == 200
    assert cloud.faults.fired == {"answer": 7}


@pytest.mark.parametrize(
    ("pattern", "route", "matches"),
    [
        ("*", "GET /endpoints", True),
        ("POST images:copy", "POST /cloud-desktop/v1/images:copy", True),
        ("POST images:copy", "GET /cloud-desktop/v1/images:copy", False),
        ("POST images", "POST /cloud-desktop/v1/images:copy", False),
        ("GET images", "GET /compute/v1/images", True),
        ("GET cloud-desktop/v1/images", "GET /compute/v1/images", False),
        ("* operations/*", "POST /operations/{operationId}:cancel", True),
        ("operations/*", "GET /operations/{operationId}", True),
        ("GET a|GET endpoints", "GET /endpoints", True),
    ],
)
def test_routes(pattern: str, route: str, matches: bool) -> None:
    assert Fault(kind="latency", route=pattern).matches(route) is matches


def test_an_expired_token_is_no_answer_to_asking_for_one() -> None:
    assert not Fault(kind="expired_token").matches("POST /iam/v1/tokens")
    assert Fault(kind="expired_token").matches("GET /operations/{operationId}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("reset_after", Fault(kind="reset_after")),
        (
            "answer,status=429,retry_after=-1,times=always,after_effect=true",
            Fault(kind="answer", status=429, retry_after="-1", times=None, after_effect=True),
        ),
        ({"kind": "refusal", "code": "ABORTED", "times": 2}, Fault(kind="refusal", code=Code.ABORTED, times=2)),
        ({"kind": "answer", "code": None, "retry_after": None}, Fault(kind="answer")),
        ("lost_answer,seconds=2.5,skip=1", Fault(kind="lost_answer", seconds=2.5, skip=1)),
    ],
)
def test_faults_are_read_from_text_and_json(text: Any, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    "text",
    ["", "explosion", "answer,status", "answer,colour=blue", "answer,status=x", "answer,body=x", "refusal,code=x"],
)
def test_faults_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Fault.parse(text)


def fates(faults: Faults, route: str, count: int = 200) -> list[Fault | None]:
    return [faults.pick(route) for _ in range(count)]


def test_random_faults_repeat_under_their_seed_whatever_else_is_called() -> None:
    copy, look = "POST /cloud-desktop/v1/images:copy", "GET /operations/{operationId}"
    alone = fates(Faults.random(0.2, 7), copy)
    busy = Faults.random(0.2, 7)
    fates(busy, look)
    assert fates(busy, copy) == alone
    assert fates(Faults.random(0.2, 8), copy) != alone
    assert 20 <= sum(fault is not None for fault in alone) <= 60


def test_random_faults_of_one_kind(cloud: EmulatedCloud) -> None:
    cloud.faults.randomise(1.0, 1, [Fault(kind="answer", status=500)])
    cloud.call("GET", LIST, status=500)
    cloud.faults.randomise(0.0, 1)
    cloud.call("GET", LIST)


def test_random_faults_leave_other_routes_alone() -> None:
    drawn = fates(Faults.random(1.0, 1), "GET /operations/{operationId}")
    assert all(fault is None or fault.kind not in OPERATION_KINDS for fault in drawn)


def test_what_is_survivable_ends() -> None:
    assert {fault.kind for fault in SURVIVABLE} <= set(KINDS)
    assert not {fault.kind for fault in SURVIVABLE} & {"operation_forgotten", "done_with_neither", "forbidden"}
    assert all(fault.seconds for fault in SURVIVABLE if fault.kind == "image_stays_creating")
