"""What the use cases act through. Built once per process by `app`; tests build it from the emulator and moto."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cloud_desktop import YandexCloud
from image_pipeline.ledger import Ledger
from image_pipeline.notices import Notices
from image_pipeline.policy import Policy
from image_pipeline.telemetry import Telemetry
from image_pipeline.trail_files import TrailFiles
from image_pipeline.wake_ups import Queue

ENOUGH_TIME = 8.0
"""Seconds that must be left of an invocation for another copy to be begun in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Everything outside the pure core."""

    cloud: YandexCloud
    ledger: Ledger
    queue: Queue
    notices: Notices
    telemetry: Telemetry
    trail_files: TrailFiles
    policy: Callable[[], Policy]
    clock: Callable[[], datetime]
    remaining: Callable[[], float]
    """Seconds left of the invocation; infinite where nobody sets a limit."""
    known_foreign: set[str] = field(default_factory=set)
    """Desktop images that were looked at and are not ours, so that a warm process does not ask for each again."""

    def has_time(self) -> bool:
        """Whether there is time to begin something more."""
        return self.remaining() > ENOUGH_TIME
