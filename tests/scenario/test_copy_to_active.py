"""copy → poll → ACTIVE, through the real use cases, against the emulator."""

from __future__ import annotations

from image_pipeline.copies import State, idempotency_key
from image_pipeline.start import Outcome
from tests.rig.aws import Aws
from tests.rig.pipeline import TARGET, Rig


def test_a_selected_image_becomes_active(rig: Rig) -> None:
    image_id = rig.add_image()

    [result] = rig.take(image_id)

    assert result.outcome is Outcome.STARTED
    assert result.copy is not None
    assert result.copy.state is State.COPYING
    assert [(message.seq, after) for message, after in rig.queue.sent] == [(1, 5)]
    rig.settle()
    row = rig.row(image_id)
    assert row.state is State.ACTIVE
    [desktop_image] = rig.world.desktop_images(TARGET)
    assert row.desktop_image_id == desktop_image.id
    assert rig.mailbox.notices[0]["state"] == "ACTIVE"
    assert not row.notice_due
    assert rig.world.calls["POST /cloud-desktop/v1/images:copy"] == 1


def test_the_same_on_the_wire_of_a_real_table(aws: Aws) -> None:
    rig = Rig(aws)
    image_id = rig.add_image()

    rig.take(image_id)
    rig.settle()

    assert rig.row(image_id).state is State.ACTIVE


def test_an_image_announced_again_is_not_copied_again(rig: Rig) -> None:
    image_id = rig.add_image()
    for _ in range(3):
        rig.take(image_id)
    rig.settle()
    rig.take(image_id)
    rig.settle()

    assert len(rig.world.desktop_images(TARGET)) == 1
    assert rig.world.calls["POST /cloud-desktop/v1/images:copy"] == 1


def test_an_image_that_no_route_takes_is_left_alone_with_the_reason(rig: Rig) -> None:
    image_id = rig.add_image(family="ubuntu")

    [result] = rig.take(image_id)

    assert result.outcome is Outcome.SKIPPED
    assert result.reason == "family 'ubuntu' does not match 'win11-*'"
    assert list(rig.ledger.copies()) == []


def test_an_image_still_creating_is_waited_for(rig: Rig) -> None:
    image_id = rig.add_image(ready_after=300.0)

    rig.take(image_id)
    assert rig.row(image_id).state is State.WAITING_FOR_SOURCE
    rig.settle()

    assert rig.row(image_id).state is State.ACTIVE


def test_the_key_is_that_of_the_intention(rig: Rig) -> None:
    image_id = rig.add_image()
    [result] = rig.take(image_id)
    assert result.copy is not None

    key = idempotency_key(result.copy)

    assert key.version == 4
    assert key == idempotency_key(result.copy.model_copy(update={"seq": 9, "reason": "other"}))
    assert key != idempotency_key(result.copy.model_copy(update={"generation": 2}))
