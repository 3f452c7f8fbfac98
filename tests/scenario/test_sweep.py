"""The sweep: starts what is missing, wakes what sleeps too long, heals what went wrong, and changes nothing twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from image_pipeline.copies import State
from image_pipeline.notices import NoticeError
from local.emulator.faults import Fault
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json


def active(rig: Rig, **fields: object) -> str:
    image_id = rig.add_image(**fields)
    rig.take(image_id)
    rig.settle()
    return image_id


def test_images_are_copied_without_any_event(rig: Rig) -> None:
    images = [rig.add_image(name=f"win11-{number}") for number in range(3)]

    report = rig.sweep()
    rig.settle()

    assert (report.seen, report.selected, len(report.started)) == (3, 3, 3)
    assert all(rig.row(image_id).state is State.ACTIVE for image_id in images)


def test_repeating_it_changes_nothing(rig: Rig) -> None:
    rig.add_image()
    rig.sweep()
    rig.settle()
    before = list(rig.ledger.copies())
    calls = rig.world.calls.copy()

    report = rig.sweep()

    assert (len(report.started), report.woken, report.already_there) == (0, 0, 1)
    assert list(rig.ledger.copies()) == before
    assert not any(method.startswith(("POST", "DELETE", "PATCH")) for method in rig.world.calls - calls)


def test_a_sweep_that_selects_nothing_says_so(rig: Rig) -> None:
    rig.add_image(family="ubuntu")

    report = rig.sweep()

    assert report.answer()["message"].startswith("No image was selected: 1 were seen")
    assert report.skipped == {"office: family": 1}
    assert rig.record.metrics["SweepSelectedNothing"] == 1


def test_the_queue_emptied_in_mid_flight_is_healed(rig: Rig) -> None:
    image_id = rig.add_image()
    rig.take(image_id)
    rig.queue.clear()
    rig.clock.advance(600)

    report = rig.sweep()
    rig.settle()

    assert report.woken == 1
    assert rig.row(image_id).state is State.ACTIVE


def test_the_row_missing_while_the_image_exists_is_healed_without_a_second_copy(rig: Rig) -> None:
    image_id = active(rig)
    del rig.table.items[TARGET, image_id]

    report = rig.sweep()

    assert report.adopted == 1
    assert rig.row(image_id).state is State.ACTIVE
    assert rig.world.calls["POST /cloud-desktop/v1/images:copy"] == 1


def test_a_lost_row_is_healed_by_the_name_where_no_label_says_whose_the_image_is() -> None:
    rig = Rig(world={"accept_labels_on_copy": False})
    rig.faults.add(Fault(kind="forbidden", route="PATCH images/{imageId}", times=9))
    image_id = active(rig)
    for operation in rig.world.operations():
        rig.world.forget_operation(operation.id, key_too=True)
    rig.table.items.clear()
    rig.clock.advance(days=1)

    rig.sweep()
    rig.settle()

    assert rig.row(image_id).state is State.ACTIVE
    assert len(rig.world.desktop_images(TARGET)) == 1, "neither label nor key was left, only the name"


def test_an_image_deleted_by_hand_is_lost_and_not_made_again(rig: Rig) -> None:
    image_id = active(rig)
    rig.world.remove_desktop_image(rig.row(image_id).desktop_image_id or "")

    first, second = rig.sweep(), rig.sweep()
    rig.settle()

    assert (first.vanished, second.vanished) == (1, 0)
    assert rig.row(image_id).state is State.LOST
    assert not rig.world.desktop_images(TARGET)


def test_an_image_deleted_by_hand_while_it_is_copied_ends_in_a_verdict(rig: Rig) -> None:
    image_id = rig.add_image()
    rig.take(image_id)
    rig.world.remove_desktop_image(rig.world.desktop_images(TARGET)[0].id)

    rig.settle()

    assert rig.row(image_id).state is State.FAILED
    assert "NOT_FOUND" in rig.row(image_id).reason or "code 5" in rig.row(image_id).reason


def test_a_copy_given_up_whose_image_turns_up_is_taken_back(rig: Rig) -> None:
    image_id = active(rig)
    row = rig.row(image_id)
    rig.ledger.replace(
        row.model_copy(update={"state": State.TIMED_OUT, "version": row.version + 1}), expected_version=row.version
    )

    assert rig.sweep().adopted == 1
    assert rig.row(image_id).state is State.ACTIVE


def test_a_failure_is_tried_again_only_after_the_route_has_changed(rig: Rig) -> None:
    rig.world.deny_folder(TARGET)
    image_id = rig.add_image()
    rig.take(image_id)
    assert rig.row(image_id).state is State.FAILED
    rig.world.allow_folder(TARGET)

    assert len(rig.sweep().started) == 0
    changed = json.loads(policy_json())
    changed["routes"][0]["target"]["labels"] = {"channel": "beta"}
    rig.policy = type(rig.policy).model_validate(changed)
    assert len(rig.sweep().started) == 1
    rig.settle()
    assert rig.row(image_id).state is State.ACTIVE


def test_history_is_left_alone_with_since() -> None:
    route = {
        "name": "office",
        "source": {"folder_id": SOURCE, "since": "2026-08-02T00:00:00Z"},
        "target": {"folder_id": TARGET},
    }
    rig = Rig(policy=policy_json(routes=[route]))
    rig.add_image(name="old")
    rig.clock.advance(days=2)
    new = rig.add_image(name="new")

    report = rig.sweep()

    assert [copy.image_id for copy in report.started] == [new]
    assert report.skipped == {"office: created": 1}


def test_one_folder_without_permission_does_not_stop_the_others() -> None:
    routes = [
        {"name": name, "source": {"folder_id": f"b1g{name}"}, "target": {"folder_id": TARGET}}
        for name in ("one", "two")
    ]
    rig = Rig(policy=policy_json(routes=routes))
    rig.world.deny_folder("b1gone")
    image_id = rig.add_image(folder_id="b1gtwo")

    report = rig.sweep()

    assert [copy.image_id for copy in report.started] == [image_id]
    assert len(report.errors) == 1
    assert report.errors[0].startswith("folder b1gone: ")


def test_no_more_are_begun_than_could_ever_be_there_at_once(rig: Rig) -> None:
    for number in range(12):
        rig.add_image(name=f"win11-{number:02}")
        rig.clock.advance(60)

    report = rig.sweep()

    assert (report.selected, len(report.started), report.postponed) == (12, 8, 4)
    assert min(copy.name for copy in report.started).startswith("win11-04"), "the newest come first"


def test_a_channel_that_fails_keeps_no_copy_from_being_begun(rig: Rig) -> None:
    def refuse(*_: object) -> None:
        raise NoticeError("the webhook of NOTIFY_WEBHOOK_URL answered 500, not 2xx")

    mailbox: Any = rig.mailbox
    send, mailbox.send = mailbox.send, refuse
    told_late = rig.add_image()
    rig.take(told_late)
    with pytest.raises(NoticeError):
        rig.settle()
    fresh = rig.add_image(name="win11-2")

    report = rig.sweep()

    assert [copy.image_id for copy in report.started] == [fresh]
    assert report.errors == [
        f"copy b1gtarget/{told_late} is ACTIVE, and nobody could be told: "
        "the webhook of NOTIFY_WEBHOOK_URL answered 500, not 2xx"
    ]
    assert rig.record.metrics["NoticesFailed"] == 1
    mailbox.send = send
    rig.sweep()
    rig.settle()
    assert {notice["imageId"] for notice in rig.mailbox.notices} == {told_late, fresh}


def test_a_verdict_that_cannot_be_told_keeps_no_other_copy_from_being_begun() -> None:
    """The folder refuses each copy at once, and the channel each notice."""
    rig = Rig()

    def refuse(*_: object) -> None:
        raise NoticeError("the webhook of NOTIFY_WEBHOOK_URL answered 500, not 2xx")

    mailbox: Any = rig.mailbox
    send, mailbox.send = mailbox.send, refuse
    rig.world.deny_folder(TARGET)
    images = {rig.add_image(name=f"win11-{number}") for number in range(3)}

    report = rig.sweep()

    assert {(row.image_id, row.state) for row in rig.ledger.copies()} == {(each, State.FAILED) for each in images}
    assert len([error for error in report.errors if "was interrupted" in error]) == 3
    mailbox.send = send
    rig.sweep()
    assert {notice["imageId"] for notice in rig.mailbox.notices} == images
