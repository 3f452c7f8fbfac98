"""Every lever of design.md section 3 is one: with it the promise holds, and without it the same scenario fails.

A lever that could be taken out unnoticed would be untested, or useless.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from cloud_desktop import DesktopImage, Operation
from image_pipeline import clean_up, follow, schedule, state_machine, wake_ups
from image_pipeline.copies import Copy, State, Step
from image_pipeline.ledger import Ledger
from image_pipeline.planning import make_plan, mark_for_deletion
from image_pipeline.state_machine import ImageSeen, OperationSeen
from local.emulator.faults import Fault
from local.emulator.status import Code
from tests.rig.pipeline import SOURCE, TARGET, Rig, VirtualQueue, policy_json

COPY = "POST /cloud-desktop/v1/images:copy"
LOOK = "GET /operations/{operationId}"


class Died(BaseException):
    """The process is gone."""


def before(port: Any, name: str, action: Callable[[], object]) -> None:
    """Do something once, right before the port's method is carried out the next time."""
    method = getattr(port, name)

    def first(*arguments: Any, **named: Any) -> Any:
        setattr(port, name, method)
        action()
        return method(*arguments, **named)

    setattr(port, name, first)


def die() -> None:
    raise Died


def store(rig: Rig, row: Copy, **changes: Any) -> None:
    assert rig.ledger.replace(
        row.model_copy(update={"version": row.version + 1, **changes}), expected_version=row.version
    )


def two_begin_at_once() -> None:
    """Two events of one image meet: the second begins while the first is about to store its row."""
    rig = Rig()
    image_id = rig.add_image()
    before(rig.ledger, "create", lambda: rig.take(image_id))
    rig.take(image_id)
    assert rig.world.calls[COPY] == 1, "the row of the first was overwritten, and the copy asked for again"


def two_submit_at_once() -> None:
    """The same, while the first is about to ask for the copy: only the key makes it one operation."""
    rig = Rig()
    image_id = rig.add_image()
    before(rig.adapters.cloud.desktop_images, "copy", lambda: rig.take(image_id))
    rig.take(image_id)
    rig.settle()
    assert len(rig.world.desktop_images(TARGET)) == 1


def every_message_comes_twice() -> None:
    rig = Rig(world={"copy_seconds": 600})
    rig.take(rig.add_image())
    looks = 0
    while rig.queue.waiting and looks < 200:
        _, _, message = rig.queue.waiting[0]
        rig.deliver_next()
        rig.queue.put(message)
        rig.deliver_next()
        looks += 1
    assert rig.world.calls[LOOK] == looks, "a stale message costs no call"


def an_old_look_ends_late() -> None:
    """A process that has slept since its look stores what it saw then."""
    rig = Rig()
    image_id = rig.add_image()
    rig.take(image_id)
    stale = rig.row(image_id)
    rig.settle()
    follow.follow(rig.adapters, stale.model_copy(update={"step": Step.READ_SOURCE, "state": State.WAITING_FOR_SOURCE}))
    assert rig.world.calls[COPY] == 1, "an ACTIVE copy was thrown back to its beginning"


def death_after_the_row_is_stored() -> None:
    """The row says that it waits; whatever wakes it must be on its way by then."""
    rig = Rig()
    rig.take(rig.add_image(ready_after=60.0))
    _, _, message = rig.queue.waiting[0]
    put_item = rig.table.put_item

    def stored_and_gone(**item: Any) -> None:
        put_item(**item)
        raise Died

    rig.table.put_item = stored_and_gone
    with pytest.raises(Died):
        rig.deliver_next()
    rig.table.put_item = put_item
    rig.queue.put(message)
    rig.settle()
    [row] = rig.ledger.copies()
    assert row.state is State.ACTIVE


def death_before_the_notice() -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.take(image_id)
    before(rig.mailbox, "send", die)
    while True:
        _, _, message = rig.queue.waiting[0]
        try:
            rig.deliver_next()
        except Died:
            break
    rig.queue.put(message)
    rig.settle()
    assert [notice["state"] for notice in rig.mailbox.notices] == ["ACTIVE"]


def an_operation_that_never_ends() -> None:
    rig = Rig(world={"copy_seconds": 10**9})
    image_id = rig.add_image()
    rig.take(image_id)
    for _ in range(400):
        if rig.queue.waiting:
            rig.deliver_next()
    assert rig.row(image_id).state is State.TIMED_OUT


def done_is_not_active() -> None:
    rig = Rig()
    rig.faults.add(Fault(kind="image_stays_creating", seconds=3600))
    rig.take(rig.add_image())
    while rig.queue.waiting:
        rig.deliver_next()
        statuses = {image.status for image in rig.world.desktop_images(TARGET)}
        assert not rig.mailbox.notices or statuses == {"ACTIVE"}, "success was announced of an image that is CREATING"


def a_server_that_asks_for_a_year() -> None:
    """The virtual queue takes no more than the 900 seconds of the real one."""
    rig = Rig()
    rig.faults.add(Fault(kind="answer", route="POST images:copy", status=429, retry_after="31536000", times=3))
    image_id = rig.add_image()
    rig.take(image_id)
    rig.settle()
    assert rig.row(image_id).state is State.ACTIVE


def an_operation_that_is_rolling_back() -> None:
    """It has its error and is not done: what it has made is still there."""
    rig = Rig()
    rig.faults.add(Fault(kind="error_before_done", code=Code.UNAVAILABLE, seconds=3600))
    rig.take(rig.add_image())
    while rig.queue.waiting:
        rig.deliver_next()
        assert len(rig.world.desktop_images(TARGET)) <= 1, "a second copy was begun before the first had ended"


def pinned_a_second_ago() -> None:
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
        rig.take(images[-1])
        rig.settle()
        rig.clock.advance(days=2)
    planned = make_plan(rig.adapters)
    with pytest.MonkeyPatch.context() as patch:
        plans = iter([planned])
        patch.setattr(clean_up, "make_plan", lambda adapters: next(plans, None) or make_plan(adapters))
        before(rig.adapters.ledger, "copies", lambda: store(rig, rig.row(images[0]), pinned=True))
        rig.clean_up()
    rig.settle()
    assert rig.row(images[0]).state is State.ACTIVE


def _unconditional(self: Ledger, copy: Copy, **_: Any) -> bool:
    return self._put(copy, "attribute_not_exists(folder_id) OR attribute_exists(folder_id)", {})


def no_conditional_create(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "create", _unconditional)


def no_compare_and_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "replace", _unconditional)


def a_random_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(follow, "idempotency_key", lambda _copy: uuid.uuid4())


def no_sequence_check(patch: pytest.MonkeyPatch) -> None:
    def wake(adapters: Any, wake_up: wake_ups.WakeUp) -> Copy:
        copy = adapters.ledger.get(wake_up.folder_id, wake_up.image_id)
        return follow.follow(adapters, copy, seq=wake_up.seq)

    patch.setattr("tests.rig.pipeline.wake", wake)


def the_wake_up_after_the_row(patch: pytest.MonkeyPatch) -> None:
    send, replace = VirtualQueue.send, Ledger.replace
    held: list[Callable[[], None]] = []

    def replace_then_send(self: Ledger, copy: Copy, *, expected_version: int) -> bool:
        stored = replace(self, copy, expected_version=expected_version)
        while held:
            held.pop()()
        return stored

    def hold(queue: VirtualQueue, wake_up: wake_ups.WakeUp, *, after: int) -> None:
        held.append(lambda: send(queue, wake_up, after=after))

    patch.setattr(VirtualQueue, "send", hold)
    patch.setattr(Ledger, "replace", replace_then_send)


def no_notice_due(patch: pytest.MonkeyPatch) -> None:
    replace = Ledger.replace

    def forgetful(self: Ledger, copy: Copy, *, expected_version: int) -> bool:
        return replace(self, copy.model_copy(update={"notice_due": False}), expected_version=expected_version)

    patch.setattr(Ledger, "replace", forgetful)


def no_deadline(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("image_pipeline.schedule.DEFAULT_DEADLINE", 10**8)
    begin = state_machine._wait

    def wait(copy: Copy, *arguments: Any, **named: Any) -> Any:
        return begin(copy.model_copy(update={"deadline_at": None}), *arguments, **named)

    patch.setattr(state_machine, "_wait", wait)


def no_verification(patch: pytest.MonkeyPatch) -> None:
    def believe(_cloud: Any, copy: Copy) -> ImageSeen:
        image = DesktopImage(id=copy.desktop_image_id or "", status="ACTIVE", labels=copy.labels)
        return ImageSeen(image)

    patch.setattr(follow, "_read_image", believe)


def no_bound_on_pauses(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schedule, "bounded", lambda seconds, _least, _most: math.ceil(seconds))


def no_regard_for_done(patch: pytest.MonkeyPatch) -> None:
    def hasty(operation: Operation) -> OperationSeen:
        return OperationSeen(operation.model_copy(update={"done": operation.done or operation.error is not None}))

    patch.setattr(follow, "OperationSeen", hasty)


def no_second_look_at_the_plan(patch: pytest.MonkeyPatch) -> None:
    def retire(adapters: Any, judgement: Any) -> Copy | None:
        going = mark_for_deletion(adapters, judgement)
        return going and follow.follow(adapters, going)

    patch.setattr(clean_up, "_retire_if_still_planned", retire)


LEVERS = [
    (two_begin_at_once, no_conditional_create),
    (two_submit_at_once, a_random_key),
    (every_message_comes_twice, no_sequence_check),
    (an_old_look_ends_late, no_compare_and_set),
    (death_after_the_row_is_stored, the_wake_up_after_the_row),
    (death_before_the_notice, no_notice_due),
    (an_operation_that_never_ends, no_deadline),
    (done_is_not_active, no_verification),
    (a_server_that_asks_for_a_year, no_bound_on_pauses),
    (an_operation_that_is_rolling_back, no_regard_for_done),
    (pinned_a_second_ago, no_second_look_at_the_plan),
]
IDS = [without.__name__ for _, without in LEVERS]


@pytest.mark.parametrize(("scenario", "_without"), LEVERS, ids=IDS)
def test_with_the_lever_the_promise_holds(scenario: Callable[[], None], _without: object) -> None:
    scenario()


@pytest.mark.parametrize(("scenario", "without"), LEVERS, ids=IDS)
def test_without_the_lever_the_same_scenario_fails(
    scenario: Callable[[], None], without: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)

    with pytest.raises(AssertionError):
        scenario()
