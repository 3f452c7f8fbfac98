"""What copy-on-new-compute-image does with an event: every announced image is taken, every timer is a sweep."""

from __future__ import annotations

from collections import Counter
from typing import Any

from image_pipeline.adapters import Adapters
from image_pipeline.events import ImageAnnounced, Reading, TimerFired, TrailFileStored, read_audit_records
from image_pipeline.start import Outcome, Result, take_image
from image_pipeline.sweep import sweep


class TrailFilePartlyTakenError(Exception):
    """Some images of a trail file could not be begun; the file's event comes again, and those begun are found begun."""


def take(adapters: Adapters, reading: Reading) -> dict[str, Any]:
    """Do what the event asks for. Safe to repeat: what has been begun is found begun.

    Raises:
        CloudDesktopError, ClientError, TrailFileError: something is not done; the event has to come again.
    """
    left_alone = Counter(reading.left_alone)
    results: list[Result] = []
    answer: dict[str, Any] = {}
    for intent in reading.intents:
        match intent:
            case ImageAnnounced():
                results += take_image(adapters, intent)
            case TrailFileStored(bucket, key):
                _take_file(adapters, bucket, key, results, left_alone)
            case TimerFired():
                answer["sweep"] = sweep(adapters).answer()
    _say(adapters, reading, results, left_alone)
    outcomes = Counter(result.outcome.value for result in results)
    return {
        **answer,
        "images": [
            {"imageId": r.image_id, "route": r.route, "outcome": r.outcome.value, "reason": r.reason}
            for r in results[:100]
        ],
        "outcomes": dict(outcomes),
        "leftAlone": dict(left_alone),
    }


def _take_file(adapters: Adapters, bucket: str, key: str, results: list[Result], left_alone: Counter[str]) -> None:
    taken: set[str] = set()
    failed: list[Exception] = []
    for image_id, reason in read_audit_records(adapters.trail_files.records(bucket, key)):
        if image_id is None:
            left_alone[reason] += 1
        elif image_id in taken:
            left_alone["announced twice"] += 1
        else:
            taken.add(image_id)
            try:
                results += take_image(adapters, ImageAnnounced(image_id))
            except Exception as error:  # noqa: BLE001 - one image must not stop the others; raised below
                adapters.telemetry.fail("image_failed", error, image_id=image_id)
                failed.append(error)
    if failed:
        raise TrailFilePartlyTakenError(
            f"{len(failed)} of {len(taken)} images of s3://{bucket}/{key} could not be begun, "
            f"the first with: {failed[0]}"
        )


def _say(adapters: Adapters, reading: Reading, results: list[Result], left_alone: Counter[str]) -> None:
    adapters.telemetry.log(
        "event_taken",
        intents=len(reading.intents),
        outcomes=dict(Counter(result.outcome.value for result in results)),
        left_alone=dict(left_alone),
    )
    announced = any(not isinstance(intent, TimerFired) for intent in reading.intents)
    if announced and not any(result.outcome is not Outcome.SKIPPED for result in results):
        adapters.telemetry.measure("EventSelectedNothing")
