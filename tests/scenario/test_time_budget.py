"""No call outlives the invocation, and a batch that runs out of time gives the rest back instead of being killed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloud_desktop import OutOfTimeError
from image_pipeline import batches, wake_ups
from image_pipeline.copies import State
from image_pipeline.follow import wake
from local.emulator.faults import Fault
from tests.rig.pipeline import TARGET, Rig


def test_a_hanging_service_does_not_hold_an_invocation_beyond_its_end() -> None:
    left = 30.0
    rig = Rig(remaining=lambda: end - rig.clock.monotonic())
    end = rig.clock.monotonic() + 10**6
    rig.faults.sleep = rig.clock.sleep
    image_id = rig.add_image()
    rig.take(image_id)
    rig.faults.add(Fault(kind="answer", route="GET operations/*", status=503, times=None))
    began = rig.clock.monotonic()
    end = began + left

    rig.deliver_next()

    assert rig.clock.monotonic() <= end
    assert rig.row(image_id).state is State.COPYING


def test_without_time_nothing_is_sent_and_the_message_stays() -> None:
    left = 10**6
    rig = Rig(remaining=lambda: left)
    image_id = rig.add_image()
    rig.take(image_id)
    calls, row = rig.world.calls.copy(), rig.row(image_id)
    left = 1

    with pytest.raises(OutOfTimeError):
        rig.deliver_next()

    assert rig.world.calls == calls
    assert rig.row(image_id) == row


def test_a_batch_that_runs_out_of_time_returns_what_is_left() -> None:
    left = 60.0
    rig = Rig(remaining=lambda: left)
    images = [rig.add_image(name=f"win11-{number}") for number in range(4)]
    for image_id in images:
        rig.take(image_id)
    rig.clock.advance(5)

    def slow(event: dict[str, Any]) -> None:
        nonlocal left
        wake(rig.adapters, wake_ups.read_wake_up(event))
        left -= 28

    bodies = [json.dumps({"v": 1, "folder_id": TARGET, "image_id": image_id, "seq": 1}) for image_id in images]
    event = {
        "Records": [
            {"messageId": f"m{number}", "body": body, "eventSource": "aws:sqs"} for number, body in enumerate(bodies)
        ]
    }

    answered = batches.each_record(rig.adapters, event, None, slow)

    assert answered == {"batchItemFailures": [{"itemIdentifier": "m2"}, {"itemIdentifier": "m3"}]}
    assert [rig.row(image_id).seq for image_id in images] == [2, 2, 1, 1]
