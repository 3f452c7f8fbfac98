"""How long to wait before the next look, and when a wait is over. Numbers of this module are seconds."""

from __future__ import annotations

import math

FIRST_LOOK = 5
LONGEST_PAUSE = 300
SHARE_OF_TIME_WAITED = 0.15
QUEUE_LIMIT = 900
"""The longest delay a message can have, on SQS and on Message Queue alike."""

DEFAULT_DEADLINE = 12 * 3600
"""No source says how long a copy takes, so the default is generous and the observed duration is a metric."""
ROOM_DEADLINE = 30 * 24 * 3600
"""Room may be made by a person or by the minimum age of an image: a wait for it is measured in days."""


def next_pause(waited: float, hint: float | None = None) -> int:
    """Return the whole seconds until the next look.

    15 % of the time already waited, from 5 s to 5 min: a short copy is noticed quickly, a copy of an hour costs about
    forty looks. A hint of the server wins, bounded to what a queue message can be delayed by.

    >>> [next_pause(waited) for waited in (0, 60, 600, 1800, 7200)]
    [5, 9, 90, 270, 300]
    >>> next_pause(0, hint=42), next_pause(0, hint=86400), next_pause(3600, hint=0)
    (42, 900, 1)
    """
    if hint is not None:
        return bounded(hint, 1, QUEUE_LIMIT)
    return bounded(waited * SHARE_OF_TIME_WAITED, FIRST_LOOK, LONGEST_PAUSE)


def room_pause(waited: float) -> int:
    """Return the whole seconds until the next look for room: as `next_pause`, up to the queue's limit.

    Waiting for a place may take weeks, and each look reads the ledger and, where it is full, the folders.

    >>> [room_pause(waited) for waited in (0, 600, 86400)]
    [5, 90, 900]
    """
    return bounded(waited * SHARE_OF_TIME_WAITED, FIRST_LOOK, QUEUE_LIMIT)


def retry_pause(failures: int) -> int:
    """Return the pause before a new generation: one minute, doubled with each failure, up to the queue's limit.

    >>> [retry_pause(failures) for failures in (1, 2, 3, 9)]
    [60, 120, 240, 900]
    """
    return bounded(60 * 2 ** min(failures - 1, 10), 60, QUEUE_LIMIT)


def bounded(seconds: float, least: int, most: int) -> int:
    """Return whole seconds, rounded up, within the bounds."""
    return max(least, min(most, math.ceil(seconds)))
