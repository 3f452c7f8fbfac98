"""One fault at a time, of every kind the emulator knows: the right verdict, and never two images."""

from __future__ import annotations

from typing import Any

import pytest

from image_pipeline.copies import State
from local.emulator.faults import BODIES, KINDS, Fault
from local.emulator.status import Code
from tests.rig.pipeline import TARGET, Rig

POST = "POST images:copy"
LOOK = "GET operations/*"
RETRIED = (
    *(Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.INTERNAL, Code.UNAVAILABLE),
    Code.UNAUTHENTICATED,  # the credentials are wrong, not the request
)
ABSURD = ("-1", "NaN", "inf", "Thu, 01 Jan 1970 00:00:00 GMT", "31536000", "soon", "")
ACTIVE, FAILED = State.ACTIVE, State.FAILED

SURVIVED = [
    *(
        Fault(kind=kind, route=POST)
        for kind in ("refused", "reset_before", "reset_after", "lost_answer", "short_answer")
    ),
    *(Fault(kind=kind, route=LOOK, times=6) for kind in ("refused", "reset_before", "lost_answer", "short_answer")),
    Fault(kind="latency", route=LOOK, seconds=25),
    *(
        Fault(kind="answer", route=route, status=429, retry_after=text, times=5)
        for route in (POST, LOOK)
        for text in ABSURD
    ),
    *(
        Fault(kind="answer", route=POST, status=status, body=body, times=5, after_effect=after)
        for status in (500, 502, 503, 504)
        for body in BODIES
        for after in (False, True)
    ),
    *(Fault(kind="mangled", route=POST, body=body, times=5) for body in BODIES),
    *(Fault(kind="mangled", route=LOOK, body=body, times=5) for body in BODIES),
    Fault(kind="hint", route=LOOK, retry_after="7", times=3),
    Fault(kind="redirect", route=LOOK, times=3),
    Fault(kind="expired_token", times=1),
    Fault(kind="forbidden", route=LOOK, times=3),
    Fault(kind="quota_full", times=2),
    Fault(kind="too_many_operations", times=7),
    Fault(kind="labels_refused", times=1),
    *(Fault(kind="refusal", route=LOOK, code=code, times=2) for code in Code if code.value),
    *(Fault(kind="operation_fails", code=code) for code in RETRIED),
    Fault(kind="error_before_done", code=Code.UNAVAILABLE, seconds=90),
    Fault(kind="done_with_neither"),
    Fault(kind="fresh_operation_404", looks=3),
    Fault(kind="operation_forgotten"),
    Fault(kind="image_stays_creating", seconds=600),
]
FATAL = [
    *(
        (Fault(kind="operation_fails", code=code), FAILED)
        for code in Code
        if code.value and code not in {*RETRIED, Code.RESOURCE_EXHAUSTED}
    ),
    (Fault(kind="operation_fails", code=Code.INTERNAL, times=None), FAILED),
    (Fault(kind="forbidden", route=POST, times=None), FAILED),
    (Fault(kind="labels_refused", route=POST, times=None), ACTIVE),
    (Fault(kind="refusal", route=POST, code=Code.INVALID_ARGUMENT, times=None), FAILED),
    (Fault(kind="duplicate_name", times=None), FAILED),
    (Fault(kind="image_stays_creating"), State.TIMED_OUT),
    (Fault(kind="operation_fails", code=Code.RESOURCE_EXHAUSTED), ACTIVE),
]


def name(value: object) -> str:
    if not isinstance(value, Fault):
        return str(value)
    parts: list[Any] = [value.kind, value.route, value.code.name if value.code else "", value.retry_after or ""]
    if value.kind == "answer":
        parts += [value.status, value.body, "after" if value.after_effect else ""]
    if value.kind == "mangled":
        parts.append(value.body)
    return "-".join(str(part) for part in parts if part)


def copy_under(fault: Fault) -> tuple[Rig, str]:
    rig = Rig()
    rig.faults.sleep = rig.clock.sleep
    rig.faults.add(fault)
    image_id = rig.add_image()
    for _ in range(3):  # the event of a request that failed comes again
        try:
            rig.take(image_id)
        except Exception:  # noqa: BLE001, S112 - whatever it was, the trigger delivers again
            continue
        break
    rig.settle(most=2000)
    return rig, image_id


@pytest.mark.parametrize("fault", SURVIVED, ids=name)
def test_a_fault_that_passes_costs_time_and_nothing_else(fault: Fault) -> None:
    rig, image_id = copy_under(fault)

    assert rig.faults.fired[fault.kind]
    assert rig.row(image_id).state is ACTIVE, rig.row(image_id).reason
    assert len(rig.world.desktop_images(TARGET)) == 1
    succeeded = [op for op in rig.world.operations() if op.method.endswith("Copy") and op.error is None]
    assert len(succeeded) == 1, "nothing was copied twice"


@pytest.mark.parametrize(("fault", "state"), FATAL, ids=name)
def test_a_fault_that_stays_ends_in_the_verdict_that_belongs_to_it(fault: Fault, state: State) -> None:
    rig, image_id = copy_under(fault)

    row = rig.row(image_id)
    assert row.state is state, row.reason
    assert row.reason
    assert [notice["state"] for notice in rig.mailbox.notices][-1] == state
    assert len(rig.world.desktop_images(TARGET)) <= 1


def test_a_refused_deletion_keeps_the_image_and_is_not_tried_again() -> None:
    rig = Rig()
    rig.faults.add(Fault(kind="delete_refused", times=None))
    image_id = rig.add_image()
    rig.take(image_id)
    rig.settle()
    row = rig.row(image_id)
    from image_pipeline.beginnings import retire  # noqa: PLC0415 - the one test that needs it
    from image_pipeline.follow import follow  # noqa: PLC0415

    going = retire(row, "old", rig.clock()).model_copy(update={"version": row.version + 1})
    rig.ledger.replace(going, expected_version=row.version)
    follow(rig.adapters, going)
    rig.settle()

    kept = rig.row(image_id)
    assert kept.state is ACTIVE
    assert "in use" in (kept.retire_refused or "")
    assert rig.world.calls["DELETE /cloud-desktop/v1/images/{imageId}"] == 1


def test_every_kind_of_fault_is_in_a_table() -> None:
    tried = {fault.kind for fault in SURVIVED} | {fault.kind for fault, _ in FATAL} | {"delete_refused"}

    assert tried == set(KINDS)
