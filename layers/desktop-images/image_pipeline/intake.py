"""What copy-on-new-compute-image does with an event: every announced image is taken, every timer is a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cloud_desktop import ConfigurationError, OutOfTimeError
from image_pipeline.adapters import Adapters
from image_pipeline.events import (
    ImageAnnounced,
    Intent,
    Reading,
    TimerFired,
    TrailFileStored,
    UnknownEventError,
    read_audit_records,
)
from image_pipeline.start import Outcome, Result, take_image
from image_pipeline.sweep import sweep

_RESULTS_IN_ANSWER = 100


class EventPartlyTakenError(Exception):
    """Some of an event is not done; the event comes again, and what is done by then is found done."""


def take(adapters: Adapters, reading: Reading) -> dict[str, Any]:
    """Do what the event asks for. Safe to repeat: what has been begun is found begun.

    One image, file or part that fails does not stop the others; it is raised after them.

    Raises:
        CloudDesktopError, ClientError, TrailFileError: one thing is not done.
        EventPartlyTakenError: several things are not done.
        UnknownEventError: everything known is done, and a part of the event is not known.
    """
    taking = _Taking(adapters, Counter(reading.left_alone))
    try:
        for intent in reading.intents:
            with taking.going_on(intent):
                taking.carry_out(intent)
    finally:
        _say(adapters, reading, taking)
    if len(taking.failed) == 1:
        raise taking.failed[0]
    if taking.failed:
        raise EventPartlyTakenError(
            f"{len(taking.failed)} parts of the event are not done, the first because of: {taking.failed[0]}"
        )
    if reading.unknown:
        raise UnknownEventError(f"the rest of the event is done, but {reading.unknown[0]}")
    return taking.answer()


@dataclass(slots=True)
class _Taking:
    adapters: Adapters
    left_alone: Counter[str]
    results: list[Result] = field(default_factory=list)
    swept: dict[str, Any] = field(default_factory=dict)
    failed: list[Exception] = field(default_factory=list)

    @contextmanager
    def going_on(self, part: Intent) -> Iterator[None]:
        """Note an error of one part, so that the others are still taken; all end where none could be any better."""
        try:
            yield
        except (OutOfTimeError, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001 - one part must not stop the others; `take` raises it
            self.adapters.telemetry.fail("event_part_failed", error, **_place(part))
            self.failed.append(error)

    def carry_out(self, intent: Intent) -> None:
        match intent:
            case ImageAnnounced():
                self.results += take_image(self.adapters, intent)
            case TrailFileStored(bucket, key):
                self._take_file(bucket, key)
            case TimerFired():
                self.swept = {"sweep": sweep(self.adapters).answer()}

    def _take_file(self, bucket: str, key: str) -> None:
        taken: set[str] = set()
        for image_id, reason in read_audit_records(self.adapters.trail_files.records(bucket, key)):
            if image_id is None:
                self.left_alone[reason] += 1
            elif image_id in taken:
                self.left_alone["announced twice"] += 1
            else:
                taken.add(image_id)
                announced = ImageAnnounced(image_id)
                with self.going_on(announced):
                    self.carry_out(announced)

    def answer(self) -> dict[str, Any]:
        return {
            **self.swept,
            "images": [
                {"imageId": r.image_id, "route": r.route, "outcome": r.outcome.value, "reason": r.reason}
                for r in self.results[:_RESULTS_IN_ANSWER]
            ],
            "outcomes": self.outcomes(),
            "leftAlone": dict(self.left_alone),
        }

    def outcomes(self) -> dict[str, int]:
        return dict(Counter(result.outcome.value for result in self.results))


def _place(part: Intent) -> dict[str, str]:
    match part:
        case ImageAnnounced(image_id):
            return {"image_id": image_id}
        case TrailFileStored(bucket, key):
            return {"bucket": bucket, "key": key}
        case TimerFired():
            return {}


def _say(adapters: Adapters, reading: Reading, taking: _Taking) -> None:
    adapters.telemetry.log(
        "event_taken",
        intents=len(reading.intents),
        outcomes=taking.outcomes(),
        left_alone=dict(taking.left_alone),
        failed=len(taking.failed),
    )
    if unknown := taking.left_alone["unknown record"]:
        adapters.telemetry.measure("UnknownRecords", unknown)
    if taking.results and all(result.outcome is Outcome.SKIPPED for result in taking.results):
        adapters.telemetry.measure("EventSelectedNothing")
