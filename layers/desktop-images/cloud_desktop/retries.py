"""When to try one call again: pure decisions, no I/O.

How often to look at an operation is another policy and not decided here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from cloud_desktop.constants import (
    ATTEMPTS,
    BACKOFF_LONGEST_SECONDS,
    BACKOFF_SECONDS,
    POLL_INTERVAL_HEADER,
    RETRIES_SECONDS,
    RETRY_AFTER_HEADER,
    RETRY_AFTER_LONGEST_SECONDS,
    RETRY_AFTER_OBEYED_SECONDS,
    USEFUL_SECONDS,
)
from cloud_desktop.errors import ApiError, BadAnswerError, CloudDesktopError, Code, NextStep, TransportError

_SECONDS: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)s?")
_GATEWAY_STATUSES: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The bounds. Durations in seconds."""

    attempts: int = ATTEMPTS
    backoff: float = BACKOFF_SECONDS
    longest_backoff: float = BACKOFF_LONGEST_SECONDS
    whole: float = RETRIES_SECONDS
    """No attempt starts later than this after the first one."""
    obeyed: float = RETRY_AFTER_OBEYED_SECONDS
    """A server that asks for more than this is not asked again here: the caller gets its wish in `retry_after`."""


DEFAULT_POLICY: Final = RetryPolicy()


def is_passing(error: CloudDesktopError) -> bool:
    """Say whether the same call may well succeed a moment later.

    That is: no answer; UNAVAILABLE; throttling; and a gateway that speaks in place of the API with 429, 502, 503 or
    504. A quota that is used up is not throttling.
    """
    if isinstance(error, ApiError):
        throttled = error.code is Code.RESOURCE_EXHAUSTED and error.next_step is NextStep.WAIT
        return throttled or error.code is Code.UNAVAILABLE
    if isinstance(error, BadAnswerError):
        return error.http_status in _GATEWAY_STATUSES
    return isinstance(error, TransportError)


def decide(
    error: CloudDesktopError,
    *,
    attempt: int,
    elapsed: float,
    left: float,
    jitter: float,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> float | None:
    """Say how many seconds to pause before the next attempt, or None to give up.

    Full jitter: a uniform share of a ceiling that doubles with each attempt. A server's wish is obeyed up to the
    policy's bound and never undercut.

    Args:
        error: What the last attempt ended with.
        attempt: Its number, from 1.
        elapsed: Seconds since the first attempt began.
        left: Seconds the invocation has left; no pause reaches beyond them.
        jitter: A random number from 0 up to 1.
        policy: The bounds.

    >>> gone = TransportError("reset", method="GET", path="/")
    >>> decide(gone, attempt=2, elapsed=1.0, left=60.0, jitter=0.5)
    0.5
    >>> decide(gone, attempt=4, elapsed=1.0, left=60.0, jitter=0.5) is None
    True
    """
    if attempt >= policy.attempts or not is_passing(error):
        return None
    pause = jitter * min(policy.longest_backoff, policy.backoff * 2.0 ** (attempt - 1))
    if error.retry_after is not None:
        if error.retry_after > policy.obeyed:
            return None
        pause = max(pause, error.retry_after)
    if elapsed + pause > policy.whole or pause + USEFUL_SECONDS > left:
        return None
    return pause


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a `Retry-After`: seconds or an HTTP date. None where it is missing, malformed, negative or past.

    A wish of more than a day is read as a day.

    >>> now = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)
    >>> parse_retry_after("120", now), parse_retry_after("Sat, 01 Aug 2026 10:00:30 GMT", now)
    (120.0, 30.0)
    >>> parse_retry_after("-5", now), parse_retry_after("nan", now), parse_retry_after("9" * 400, now)
    (None, None, None)
    """
    if value is None:
        return None
    if (seconds := _seconds(value)) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    wait = (moment - now).total_seconds()
    return min(wait, RETRY_AFTER_LONGEST_SECONDS) if wait > 0 else None


def server_wish(headers: Mapping[str, str], details: Iterable[Mapping[str, Any]], now: datetime) -> float | None:
    """Find how long the server asks to wait: `Retry-After`, else a google.rpc.RetryInfo among the details."""
    wish = parse_retry_after(headers.get(RETRY_AFTER_HEADER), now)
    for detail in details:
        if wish is None and str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            wish = _seconds(str(detail.get("retryDelay", "")))
    return wish


def poll_hint(headers: Mapping[str, str], now: datetime) -> float | None:
    """Find in how many seconds the server wants an operation to be read again: its own header, else `Retry-After`."""
    hint = _seconds(headers.get(POLL_INTERVAL_HEADER, ""))
    return hint if hint is not None else parse_retry_after(headers.get(RETRY_AFTER_HEADER), now)


def _seconds(text: str) -> float | None:
    if (match := _SECONDS.fullmatch(text.strip())) is None:
        return None
    seconds = float(match[1])
    return min(seconds, RETRY_AFTER_LONGEST_SECONDS) if math.isfinite(seconds) else None
