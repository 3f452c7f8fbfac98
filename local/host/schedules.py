"""EventBridge schedules in real time."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNIT_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True)
class Schedule:
    """A scheduled rule of the template.

    Attributes:
        name: Logical id of the rule: the function's followed by the event's.
        expression: `rate(...)`; one with `cron(...)` fires only by hand on this machine.
        event: The constant input of its target; None for EventBridge's own event.
    """

    name: str
    function: str
    expression: str
    arn: str
    event: Any | None

    def next_event(self) -> Any:
        """Return what the function receives when it fires now."""
        if self.event is not None:
            return self.event
        _, _, _, region, account, _ = self.arn.split(":", 5)
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": account,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": [self.arn],
            "detail": {},
        }


def period_seconds(expression: str) -> float | None:
    """Return the seconds between two firings of a rate, None for a cron expression.

    >>> period_seconds("rate(15 minutes)")
    900.0
    >>> period_seconds("cron(0 3 * * ? *)") is None
    True

    Raises:
        ValueError: It is neither.
    """
    rate = _RATE.fullmatch(expression)
    if rate is not None:
        return int(rate[1]) * _UNIT_SECONDS[rate[2]]
    if expression.startswith("cron(") and expression.endswith(")"):
        return None
    raise ValueError(f"{expression!r} is no schedule; write rate(15 minutes) or cron(0 3 * * ? *).")


class Clockwork:
    """Fires rates after each full period, the first time one period after the start, as EventBridge does.

    Args:
        fire: Called for each firing.
        wait: Lets seconds pass and says whether to stop; until `close` by default.
    """

    def __init__(self, fire: Callable[[Schedule], object], wait: Callable[[float], bool] | None = None) -> None:
        self._fire = fire
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._threads: list[threading.Thread] = []

    def start(self, schedules: list[Schedule]) -> None:
        """Begin to count."""
        for schedule in schedules:
            period = period_seconds(schedule.expression)
            if period is None:
                continue
            thread = threading.Thread(target=self._run, args=(schedule, period), name=schedule.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Fire nothing any more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _run(self, schedule: Schedule, period: float) -> None:
        while not self._wait(period):
            self._fire(schedule)
