"""Where a copy ends under a fault, and how many operations that takes: one, unless one has ended in failure.

`test_every_fault.py` meets every kind of fault there is; here the operations are counted, and the faults that need a
scenario of their own have one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from image_pipeline.copies import Copy, State
from local.emulator.faults import CONNECTION_KINDS, Fault
from local.emulator.operations import Work
from local.emulator.status import Code, Status, quota_exceeded
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json

COPY = "POST images:copy"


@dataclass(frozen=True)
class Case:
    """A fault, and what must become of a copy under it.

    Attributes:
        operations: Copy operations that the service starts.
        says: Part of the reason in the end.
        metric: Counted on the way.
    """

    fault: str
    state: State = State.ACTIVE
    operations: int = 1
    says: str = ""
    metric: str = ""

    def __str__(self) -> str:
        return self.fault


FAILS_FOR_GOOD = (
    "INVALID_ARGUMENT",
    "PERMISSION_DENIED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "DATA_LOSS",
    "NOT_IMPLEMENTED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "CANCELLED",
)
IS_TRIED_AGAIN = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "ABORTED", "DEADLINE_EXCEEDED")
WAITS = ("RESOURCE_EXHAUSTED", "UNAUTHENTICATED")
ABSURD = ("0", "-1", "NaN", "Thu, 01 Jan 1970 00:00:00 GMT", "31536000", "9" * 400, "soon", "")
CASES = [
    # More often than the client repeats one call, so that a later invocation has to ask again.
    *(Case(f"{kind},route={COPY},times=9") for kind in CONNECTION_KINDS),
    Case(f"lost_answer,route={COPY},seconds=25,times=2"),
    Case(f"latency,route={COPY},seconds=40"),
    Case(f"answer,route={COPY},status=504,body=html,after_effect=true,times=9"),
    Case(f"mangled,route={COPY},body=truncated,times=3"),
    Case("mangled,route=GET *,body=html,skip=1,times=3"),
    Case(f"refusal,route={COPY},code=UNAUTHENTICATED,times=4", metric="Throttled"),
    Case("expired_token,times=6,skip=1", metric="Throttled"),
    Case("quota_full,times=3", metric="WaitingForRoom"),
    Case("too_many_operations,times=9", metric="Throttled"),
    *(Case(f"refusal,route={COPY},code={code},times=5") for code in (*IS_TRIED_AGAIN, *WAITS)),
    *(Case(f"refusal,route={COPY},code={code},times=5", State.FAILED, 0, code) for code in FAILS_FOR_GOOD[1:5]),
    Case("duplicate_name", State.FAILED, 0, "is taken by an image that is not this copy"),
    # An operation is not started a second time unless the first has ended in failure.
    *(Case(f"operation_fails,code={code}", operations=2) for code in (*IS_TRIED_AGAIN, *WAITS)),
    *(Case(f"operation_fails,code={code}", State.FAILED, 1, "Emulated failure") for code in FAILS_FOR_GOOD),
    Case("operation_fails,code=INTERNAL,times=always", State.FAILED, 5, "5 operations have failed, no more are tried"),
    Case("error_before_done,code=UNAVAILABLE,seconds=600", operations=2),
    Case("error_before_done,code=PERMISSION_DENIED,seconds=600", State.FAILED, 1, "code 7"),
    Case("done_with_neither", metric="OperationDefects"),
    Case("fresh_operation_404,looks=30"),
    Case("operation_forgotten"),
    Case("image_stays_creating,seconds=600"),
    Case("image_stays_creating", State.TIMED_OUT, says="is CREATING"),
]


def copied(rig: Rig, image_id: str) -> Copy:
    rig.take(image_id)
    rig.settle()
    return rig.row(image_id)


def copy_operations(rig: Rig) -> int:
    return sum(operation.method == "Copy" for operation in rig.world.operations())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_copy_ends_where_it_should_and_is_made_no_more_often(rig: Rig, case: Case) -> None:
    image_id = rig.add_image()
    fault = Fault.parse(case.fault)
    rig.faults.add(fault)

    row = copied(rig, image_id)

    assert rig.faults.fired[fault.kind], "the fault was met"
    assert (row.state, copy_operations(rig)) == (case.state, case.operations), row.reason
    assert case.says in row.reason
    assert not case.metric or rig.record.metrics[case.metric]
    assert len(rig.world.desktop_images(TARGET)) == (case.operations > 0 and case.state is not State.FAILED)
    assert rig.mailbox.notices[-1]["state"] == case.state
    assert all(0 < after <= 900 for _, after in rig.queue.sent)


def test_every_code_of_an_operation_has_its_case() -> None:
    assert {*FAILS_FOR_GOOD, *IS_TRIED_AGAIN, *WAITS} == Code.__members__.keys() - {"OK"}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wish", ABSURD, ids=lambda wish: wish[:10] or "empty")
def test_an_absurd_wish_of_the_server_neither_hurries_nor_stalls_a_copy(rig: Rig, wish: str, status: int) -> None:
    image_id = rig.add_image()
    rig.faults.add(Fault(kind="answer", status=status, route="POST images:copy", retry_after=wish, times=9))
    rig.faults.add(Fault(kind="hint", route="GET operations/*", retry_after=wish, times=3))

    row = copied(rig, image_id)

    assert row.state is State.ACTIVE
    assert all(1 <= after <= 900 for _, after in rig.queue.sent)
    assert rig.world.calls["GET /operations/{operationId}"] < 100


def test_an_image_that_may_not_be_deleted_stays_and_no_plan_chooses_it_again() -> None:
    route = {
        "name": "office",
        "source": {"folder_id": SOURCE},
        "target": {"folder_id": TARGET},
        "retention": {"keep_last": 1, "min_age_days": 1},
    }
    rig = Rig(policy=policy_json(routes=[route], cleanup="apply"))
    images = []
    for number in range(2):
        images.append(rig.add_image(name=f"win11-{number}"))
        copied(rig, images[-1])
        rig.clock.advance(days=2)
    rig.faults.add(Fault(kind="delete_refused"))

    rig.clean_up()
    rig.settle()
    kept = rig.row(images[0])
    rig.clean_up()

    assert kept.state is State.ACTIVE
    assert kept.retire_refused is not None
    assert "in use" in kept.retire_refused
    assert rig.mailbox.notices[-1]["reason"].startswith("the service refused to delete the image")
    assert rig.row(images[0]) == kept
    assert len(rig.world.desktop_images(TARGET)) == 2


def test_error_before_done_is_not_the_end(rig: Rig) -> None:
    image_id = rig.add_image()
    rig.faults.add(Fault(kind="error_before_done", code=Code.UNAVAILABLE, seconds=600))
    rig.take(image_id)
    while not rig.row(image_id).reason.startswith("rolling back"):
        rig.deliver_next()

    assert rig.row(image_id).state is State.COPYING
    assert copy_operations(rig) == 1
    rig.settle()
    first, second = rig.world.operations()[:2]
    assert second.created_at >= first.modified_at


def test_a_refused_token_is_renewed_once_and_the_request_made_again(rig: Rig) -> None:
    rig.faults.add(Fault(kind="expired_token", route="POST images:copy"))

    rig.take(rig.add_image())

    assert len(rig.world.identity._tokens) == 2
    assert rig.world.calls["POST /cloud-desktop/v1/images:copy"] == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_gets_neither_token_nor_request(status: int) -> None:
    seen: list[httpx.Request] = []

    class Watched(httpx.BaseTransport):
        def __init__(self, port: httpx.BaseTransport) -> None:
            self.handle = port.handle_request

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return self.handle(request)

    def watched(port: Any) -> Any:
        return Watched(port) if isinstance(port, httpx.BaseTransport) else port

    rig = Rig(wrap=watched)
    rig.faults.add(Fault(kind="redirect", status=status, location="https://elsewhere.example"))

    with pytest.raises(Exception, match=f"answered HTTP {status}"):
        rig.take(rig.add_image())
    rig.faults.add(Fault(kind="redirect", status=status, route="POST images:copy", times=2))
    rig.faults.add(Fault(kind="redirect", status=status, route="GET operations/*", times=2))
    rig.sweep()
    rig.settle()

    assert {request.url.host for request in seen} == {"127.0.0.1"}
    assert [row.state for row in rig.ledger.copies()] == [State.ACTIVE]


def test_back_pressure_counts_toward_nothing(rig: Rig) -> None:
    """Neither a failure of the copy nor a receive of its message, however long it lasts."""
    image_id = rig.add_image()
    rig.faults.add(Fault(kind="too_many_operations", times=None))
    rig.take(image_id)
    for _ in range(30):
        rig.deliver_next()
    row = rig.row(image_id)

    assert (row.state, row.failures, row.generation) == (State.WAITING_TO_RETRY, 0, 1)
    rig.faults.clear()
    rig.settle()
    assert rig.row(image_id).state is State.ACTIVE


def test_a_wait_for_room_ends_and_is_told_once_however_often_the_service_is_busy(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("image_pipeline.schedule.ROOM_DEADLINE", 24 * 3600)
    rig.world.rules.quota_images = 0
    image_id = rig.add_image()
    rig.take(image_id)
    began, looks = rig.clock.now, 0
    while rig.queue.waiting:
        looks += 1
        rig.world.operation_service.max_active = 15 * (looks % 2)
        rig.deliver_next()
        assert looks < 500, f"still {rig.row(image_id).state} after {rig.clock.now - began}"

    assert rig.row(image_id).state is State.TIMED_OUT
    assert [notice["state"] for notice in rig.mailbox.notices] == ["WAITING_FOR_ROOM", "TIMED_OUT"]
    assert rig.record.metrics["Throttled"] > 10


def test_operations_that_fail_for_the_quota_again_and_again_come_to_an_end(rig: Rig) -> None:
    """The request is taken each time, so there is no refusal to wait for."""
    full = quota_exceeded("vdi.desktopImages.count", 8, 8, 1).status
    end = rig.world.operation_service._fail

    def for_the_quota(operation_id: str, work: Work, error: Status, now: datetime) -> None:
        end(operation_id, work, full, now)

    rig.world.operation_service._fail = for_the_quota  # type: ignore[method-assign]
    rig.faults.add(Fault(kind="operation_fails", times=None))

    row = copied(rig, rig.add_image())

    assert (row.state, copy_operations(rig)) == (State.FAILED, 5)
    assert "no more are tried" in row.reason
