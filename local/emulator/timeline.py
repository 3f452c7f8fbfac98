"""What happens when: one clock, one lock, and the events that are due at a later instant.

Nothing runs in the background. An event takes place on the first look at or after the instant it is due, in the order
of those instants, so an injected clock moves everything that hangs on a timeline.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from math import isinf

from local.emulator.records import resource_id

Clock = Callable[[], datetime]


class Timeline:
    """The events of one emulated cloud; `clock` must tell aware instants."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.RLock()
        self._due: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = count()
        self._ids = count(1)

    @contextmanager
    def looking(self) -> Iterator[datetime]:
        """Hold the lock with everything due by now done; yields now."""
        with self._lock:
            now = self.clock()
            while self._due and self._due[0][0] <= now:
                instant, _, action = heapq.heappop(self._due)
                action(instant)
            yield now

    def later(self, start: datetime, seconds: float, action: Callable[[datetime], None]) -> None:
        """Do `action` once `seconds` have passed since `start`, never if they are infinite; call it while looking."""
        if not isinf(seconds):
            heapq.heappush(self._due, (start + timedelta(seconds=seconds), next(self._order), action))

    def next_id(self, prefix: str) -> str:
        """Return a new id that starts with `prefix`; ids are the same in every run."""
        return resource_id(prefix, next(self._ids))
