"""Two processes at once, and the world changing under one of them: whoever is second finds what the first has done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloud_desktop import OutOfTimeError
from image_pipeline import wake_ups
from image_pipeline.beginnings import retire
from image_pipeline.copies import Copy, State
from image_pipeline.events import ImageAnnounced
from image_pipeline.follow import announce, follow, observe, wake
from image_pipeline.pins import BusyCopyError, set_pin
from image_pipeline.planning import make_plan, mark_for_deletion
from image_pipeline.start import Outcome, route_for, start, take_image
from local.emulator.faults import Fault
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json

COPY = "POST /cloud-desktop/v1/images:copy"
LIST = "GET images"


def touch(rig: Rig, row: Copy, **changes: Any) -> Copy:
    """Store the row as another process would."""
    changed = row.model_copy(update={"version": row.version + 1, **changes})
    assert rig.ledger.replace(changed, expected_version=row.version)
    return changed


def active(rig: Rig, **fields: Any) -> Copy:
    image_id = rig.add_image(**fields)
    rig.take(image_id)
    rig.settle()
    return rig.row(image_id)


def meanwhile(rig: Rig, name: str, action: Callable[[], object]) -> None:
    """Do something the next time the ledger's method is called, right before it is carried out."""
    method = getattr(rig.ledger, name)

    def first_the_other(*arguments: Any, **named: Any) -> Any:
        setattr(rig.ledger, name, method)
        action()
        return method(*arguments, **named)

    setattr(rig.ledger, name, first_the_other)


def test_a_row_that_another_process_has_advanced_is_left_as_it_is(rig: Rig) -> None:
    image_id = rig.add_image()
    rig.take(image_id)
    stale = rig.row(image_id)
    theirs = touch(rig, stale, reason="theirs")

    assert follow(rig.adapters, stale) == theirs
    assert rig.row(image_id) == theirs


def test_a_write_whose_answer_was_lost_is_known_as_ones_own(rig: Rig) -> None:
    """The write is repeated by botocore, and then meets the row that it has made itself."""
    image_id = rig.add_image()
    rig.take(image_id)
    replace = rig.ledger.replace

    def answer_lost(copy: Copy, *, expected_version: int) -> bool:
        replace(copy, expected_version=expected_version)
        return False

    rig.ledger.replace = answer_lost  # type: ignore[method-assign]
    for _ in range(60):
        if rig.queue.waiting:
            rig.deliver_next()

    assert rig.row(image_id).state is State.ACTIVE
    assert [notice["state"] for notice in rig.mailbox.notices] == ["ACTIVE"]


def test_a_message_without_a_row_is_dropped_and_logged(rig: Rig) -> None:
    wake_up = wake_ups.WakeUp(folder_id=TARGET, image_id="fd8none", seq=3)

    assert wake(rig.adapters, wake_up) is None
    assert rig.record.lines[-1]["event"] == "wake_up_without_copy"


def test_a_message_ahead_of_its_row_belongs_to_a_process_that_died_and_counts(rig: Rig) -> None:
    image_id = rig.add_image()
    rig.take(image_id)

    looked = wake(rig.adapters, wake_ups.WakeUp(folder_id=TARGET, image_id=image_id, seq=7))

    assert looked is not None
    assert looked.seq == 8


def test_a_verdict_announced_by_another_process_meanwhile_stays_announced(rig: Rig) -> None:
    due = touch(rig, active(rig), notice_due=True)
    meanwhile(rig, "replace", lambda: touch(rig, due, notice_due=False))

    assert not announce(rig.adapters, due).notice_due


def test_two_processes_that_begin_the_same_copy_begin_one(rig: Rig) -> None:
    image_id = rig.add_image()
    other = Rig()
    other.adapters = rig.adapters
    meanwhile(rig, "create", lambda: take_image(rig.adapters, ImageAnnounced(image_id)))

    [result] = rig.take(image_id)

    assert result.outcome is Outcome.ALREADY_THERE
    assert rig.world.calls[COPY] == 1


def test_a_row_removed_while_it_is_begun_is_an_error_and_not_a_second_copy(rig: Rig) -> None:
    image_id = rig.add_image()
    rig.ledger.create = lambda copy: False  # type: ignore[method-assign]

    with pytest.raises(RuntimeError, match="was removed while it was being begun"):
        rig.take(image_id)
    assert rig.world.calls[COPY] == 0


def test_an_image_that_no_longer_exists_is_skipped_with_the_reason(rig: Rig) -> None:
    [result] = rig.take("fd8none")

    assert (result.outcome, result.reason) == (Outcome.SKIPPED, "the image no longer exists")


@pytest.mark.parametrize("status", ["ERROR", "DELETING"])
def test_an_image_that_cannot_be_copied_is_skipped_with_the_reason(rig: Rig, status: str) -> None:
    [result] = rig.take(rig.add_image(status=status))

    assert (result.outcome, result.reason) == (Outcome.SKIPPED, f"the source image is in status {status}")
    assert rig.sweep().skipped == {result.reason: 1}


def test_a_source_that_vanishes_while_it_is_waited_for_ends_the_copy(rig: Rig) -> None:
    image_id = rig.add_image(ready_after=300.0)
    rig.take(image_id)
    rig.world.remove_compute_image(image_id)

    rig.settle()

    assert rig.row(image_id).reason == "the source image no longer exists"


def test_a_direct_call_may_name_folder_and_name_without_any_route(rig: Rig) -> None:
    image_id = rig.add_image(folder_id="b1gother")

    [result] = take_image(rig.adapters, ImageAnnounced(image_id, "b1gelsewhere", "by hand"))
    rig.settle()

    assert result.outcome is Outcome.STARTED
    row = rig.row(image_id, "b1gelsewhere")
    assert (row.name, row.route, row.state) == ("by hand", None, State.ACTIVE)


def test_without_folder_and_route_nothing_is_begun(rig: Rig) -> None:
    image = rig.adapters.cloud.compute_images.get(rig.add_image(family="ubuntu"))

    with pytest.raises(ValueError, match="give folderId, or a route that takes the image"):
        start(rig.adapters, image, route_for(rig.adapters, image, None))


def restart(rig: Rig, image_id: str) -> Copy:
    image = rig.adapters.cloud.compute_images.get(image_id)
    result = start(rig.adapters, image, route_for(rig.adapters, image, None), again=True)
    assert result.copy is not None
    return result.copy


def test_a_copy_that_timed_out_is_followed_on_when_asked_for_again(rig: Rig) -> None:
    rig.world.rules.copy_seconds = 13 * 3600
    image_id = rig.add_image()
    rig.take(image_id)
    rig.settle()
    assert rig.row(image_id).state is State.TIMED_OUT

    again = restart(rig, image_id)
    rig.settle()

    assert (again.state, again.generation) == (State.COPYING, 1)
    assert rig.row(image_id).state is State.ACTIVE
    assert rig.world.calls[COPY] == 1, "the operation was still running: no second one was begun"


def test_a_retired_image_comes_back_only_when_asked_for(rig: Rig) -> None:
    row = active(rig)
    follow(rig.adapters, touch(rig, row, **retire(row, "old", rig.clock()).model_dump(include={"state", "step"})))
    rig.settle()
    assert rig.row(row.image_id).state is State.RETIRED
    assert len(rig.sweep().started) == 0

    assert restart(rig, row.image_id).generation == 2
    rig.settle()
    assert rig.row(row.image_id).state is State.ACTIVE


def test_two_processes_that_begin_it_again_begin_one(rig: Rig) -> None:
    rig.world.deny_folder(TARGET)
    image_id = rig.add_image()
    rig.take(image_id)
    failed = rig.row(image_id)
    rig.world.allow_folder(TARGET)
    meanwhile(rig, "replace", lambda: touch(rig, failed, reason="theirs"))

    assert restart(rig, image_id).reason == "theirs"


def test_labels_that_the_region_refuses_are_put_on_once_the_image_is_active() -> None:
    rig = Rig(world={"accept_labels_on_copy": False})

    row = active(rig)

    rig.clock.advance(10)

    assert row.labels_refused
    image = rig.adapters.cloud.desktop_images.get(row.desktop_image_id or "")
    assert image.labels["source-image"] == row.image_id


def test_a_step_without_a_call_is_not_observed(rig: Rig) -> None:
    with pytest.raises(ValueError, match="asks nothing of the cloud"):
        observe(rig.adapters.cloud, active(rig))


def retiring_rig(**changes: Any) -> Rig:
    route = {
        "name": "office",
        "source": {"folder_id": SOURCE},
        "target": {"folder_id": TARGET},
        "retention": {"keep_last": 1, "min_age_days": 1},
    }
    rig = Rig(policy=policy_json(routes=[route], cleanup="apply"), **changes)
    for number in range(3):
        active(rig, name=f"win11-{number}")
        rig.clock.advance(days=2)
    return rig


def test_an_image_pinned_a_second_ago_stays() -> None:
    rig = retiring_rig()
    oldest = min(rig.ledger.copies(), key=lambda row: row.created_at)
    planned = make_plan(rig.adapters)
    assert oldest.desktop_image_id in {judgement.image_id for judgement in planned.to_delete}
    gets = rig.ledger.copies
    calls = 0

    def pin_before_the_second_plan(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:  # what was begun, the plan, and now the plan anew
            touch(rig, rig.row(oldest.image_id), pinned=True)
        return gets(*arguments, **named)

    rig.ledger.copies = pin_before_the_second_plan  # type: ignore[method-assign]
    report = rig.clean_up()
    rig.settle()

    assert rig.row(oldest.image_id).state is State.ACTIVE
    assert len(report.retired) == 1
    assert report.message.endswith("1 are left: they changed since the plan was made, or time ran out.")


def test_a_row_that_changed_after_it_was_judged_is_not_marked() -> None:
    rig = retiring_rig()
    judgement = make_plan(rig.adapters).to_delete[0]
    assert judgement.source_image_id is not None
    touch(rig, rig.row(judgement.source_image_id), desktop_image_id="e3vother")

    assert mark_for_deletion(rig.adapters, judgement) is None


def test_a_cleanup_without_time_leaves_the_rest_to_the_next() -> None:
    rig = retiring_rig(remaining=lambda: 7.0)

    report = rig.clean_up()

    assert report.retired == ()
    assert report.message.startswith("0 of 2 images are being deleted. 2 are left")


def test_a_sweep_without_time_says_what_it_left() -> None:
    rig = Rig(remaining=lambda: 7.0)
    rig.add_image()

    report = rig.sweep()

    assert report.postponed == 1
    assert report.answer()["message"] == "1 selected images are left to the next sweep, for want of time or of room."


def test_an_image_that_goes_between_the_list_and_the_look_does_not_stop_the_plan(rig: Rig) -> None:
    active(rig)
    image = rig.world.desktop_images(TARGET)[0]
    listed = list(rig.adapters.cloud.desktop_images.list(TARGET))
    rig.world.remove_desktop_image(image.id)
    rig.adapters.cloud.desktop_images.list = lambda folder_id, **_: iter(listed)  # type: ignore[method-assign]

    assert image.id in {judgement.image_id for judgement in make_plan(rig.adapters).judgements}


def test_an_image_missing_from_a_list_but_there_is_not_given_up(rig: Rig) -> None:
    row = active(rig)
    rig.adapters.cloud.desktop_images.list = lambda folder_id, **_: iter(())  # type: ignore[method-assign]

    assert rig.sweep().vanished == 0
    assert rig.row(row.image_id) == row


def test_a_pin_gives_up_where_the_row_never_rests(rig: Rig) -> None:
    row = active(rig)
    rig.ledger.replace = lambda *_, **__: False  # type: ignore[method-assign]

    with pytest.raises(BusyCopyError, match="kept changing; try again"):
        set_pin(rig.adapters, TARGET, row.image_id, pinned=True)


def test_a_row_without_an_image_is_pinned_for_when_there_is_one(rig: Rig) -> None:
    image_id = rig.add_image(ready_after=60.0)
    rig.take(image_id)

    assert set_pin(rig.adapters, TARGET, image_id, pinned=True).pinned


def test_where_the_folders_cannot_be_read_no_room_is_made_and_the_copy_waits() -> None:
    rig = Rig(policy=policy_json(quota={"images": 0}, cleanup="apply"))
    image_id = rig.add_image()
    rig.faults.add(Fault(kind="forbidden", route=LIST, times=5))

    rig.take(image_id)

    assert rig.row(image_id).state is State.WAITING_FOR_ROOM
    assert "the folders cannot be read to make some" in rig.row(image_id).reason


def test_bytes_count_as_well_as_images() -> None:
    rig = Rig(policy=policy_json(quota={"bytes": 10}))

    rig.take(rig.add_image())

    [row] = rig.ledger.copies()
    assert row.reason.startswith("no room: 0 of 8 images, 10 of 10 bytes left for ")


def test_where_quota_manager_refuses_the_policys_numbers_count() -> None:
    rig = Rig(policy=policy_json(quota={"cloud_id": "b1gcloud"}))
    rig.faults.add(Fault(kind="forbidden", route="GET quotaLimits/{quotaId}", times=9))

    assert active(rig).state is State.ACTIVE
    assert any(line["event"] == "quota_unknown" for line in rig.record.lines)


@pytest.mark.parametrize("route", [LIST, "GET quotaLimits/{quotaId}"])
def test_out_of_time_is_for_the_caller(route: str) -> None:
    quota = {"cloud_id": "b1gcloud"} if "quota" in route else {"images": 0}
    rig = Rig(policy=policy_json(quota=quota))
    services = rig.adapters.cloud.quotas if "quota" in route else rig.adapters.cloud.desktop_images

    def no_time(*_: Any, **__: Any) -> Any:
        raise OutOfTimeError(0.1, method="GET", path="/")

    setattr(services, "get" if "quota" in route else "list", no_time)

    with pytest.raises(OutOfTimeError):
        rig.take(rig.add_image())
