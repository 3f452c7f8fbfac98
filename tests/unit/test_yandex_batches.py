"""A Message Queue trigger knows only the whole batch: what a failing record makes come back is found done."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from image_pipeline import batches
from image_pipeline.batches import BatchFailedError
from local.yandex import shapes
from tests.rig.aws import Aws
from tests.rig.deployed import MODULES, Deployed, deployed
from tests.rig.pipeline import SOURCE, TARGET
from tests.rig.yandex import Context, ServiceCall, recorded_calls

NOW = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def deployment(aws: Aws) -> Iterator[Deployed]:
    with deployed(aws, platform="yandex") as running:
        yield running


@pytest.fixture
def functions(deployment: Deployed) -> Deployed:
    deployment.start_over()
    return deployment


def batch(*bodies: object) -> dict[str, Any]:
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return shapes.queue(
        shapes.queue_arn("q"), [{"MessageId": f"m{at}", "Body": text} for at, text in enumerate(texts)], NOW
    )


def invoke(function: str, event: Any, context: Any = None) -> Any:
    return importlib.import_module(MODULES[function]).handler(event, context or Context())


def wake_ups(calls: list[ServiceCall]) -> list[dict[str, Any]]:
    return [json.loads(call.parameters["MessageBody"]) for call in calls if call.operation == "SendMessage"]


def begin(functions: Deployed, how_many: int, status: str = "READY") -> list[dict[str, Any]]:
    """Begin copies of images with this status, and return the wake-ups that were sent."""
    with recorded_calls() as calls:
        for at in range(how_many):
            image = functions.world.add_compute_image(
                folder_id=SOURCE, name=f"win11-{at}", family="win11-office", status=status
            )
            invoke("copy", {"imageId": image.id})
    return wake_ups(calls)


def deliver_with_poison(event: Any) -> list[ServiceCall]:
    with (
        recorded_calls() as calls,
        pytest.raises(BatchFailedError, match="1 of 3 records failed"),
    ):
        invoke("poll", event)
    return calls


def test_copies_that_went_on_are_not_looked_at_again(functions: Deployed) -> None:
    functions.world.rules.copy_seconds = 3600
    first, last = begin(functions, 2)
    event = batch(first, "no wake-up", last)

    assert [wake_up["seq"] for wake_up in wake_ups(deliver_with_poison(event))] == [2, 2]
    seen = Counter(functions.world.calls)

    for _ in range(3):
        again = deliver_with_poison(event)
        assert Counter(call.operation for call in again) == {"GetItem": 2}
    assert functions.world.calls == seen, "a redelivered record asked Yandex Cloud again"


def test_copies_that_ended_are_not_looked_at_again(functions: Deployed) -> None:
    first, last = begin(functions, 2, status="CREATING")
    for image in functions.world.compute_images():
        functions.world.set_compute_status(image.id, "READY")
    event = batch(first, "no wake-up", last)

    deliver_with_poison(event)
    assert [image.status for image in functions.world.desktop_images(TARGET)] == ["ACTIVE", "ACTIVE"]
    seen = Counter(functions.world.calls)

    again = deliver_with_poison(event)
    assert Counter(call.operation for call in again) == {"GetItem": 2}
    assert functions.world.calls == seen


def test_new_images_are_begun_once_beside_a_record_that_fails(functions: Deployed) -> None:
    functions.world.rules.copy_seconds = 3600
    images = [
        functions.world.add_compute_image(folder_id=SOURCE, name=f"win11-{at}", family="win11-office").id
        for at in range(2)
    ]
    first, last = (shapes.audit_record(image, NOW) for image in images)
    event = batch(first, {"nobody": "knows this"}, last)

    with recorded_calls() as calls, pytest.raises(BatchFailedError, match="1 of 3 records failed"):
        invoke("copy", event)
    assert len(wake_ups(calls)) == 2

    with recorded_calls() as again, pytest.raises(BatchFailedError, match="1 of 3 records failed"):
        invoke("copy", event)
    assert {call.operation for call in again} == {"GetItem"}
    assert functions.world.calls["POST /cloud-desktop/v1/images:copy"] == 2
    assert sorted(image.source_image_id for image in functions.world.desktop_images(TARGET)) == sorted(images)


def test_a_good_batch_returns(functions: Deployed) -> None:
    functions.world.rules.copy_seconds = 3600
    assert invoke("poll", batch(*begin(functions, 3))) == {"processed": 3}


def test_records_that_there_is_no_time_for_come_back_untouched(functions: Deployed) -> None:
    functions.world.rules.copy_seconds = 3600
    event = batch(*begin(functions, 2))
    seen = Counter(functions.world.calls)

    with recorded_calls() as calls, pytest.raises(BatchFailedError, match=r"2 of 2 .* no time is left for this record"):
        invoke("poll", event, Context(seconds=batches.TIME_FOR_A_RECORD - 0.5))

    assert calls == []
    assert functions.world.calls == seen
