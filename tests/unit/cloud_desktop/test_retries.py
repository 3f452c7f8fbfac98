from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop.constants import RETRY_AFTER_LONGEST_SECONDS, USEFUL_SECONDS
from cloud_desktop.errors import ApiError, BadAnswerError, CloudDesktopError, CredentialsError, TransportError
from cloud_desktop.retries import DEFAULT_POLICY, decide, is_passing, parse_retry_after, poll_hint, server_wish

NOW = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)
DAY = RETRY_AFTER_LONGEST_SECONDS


def refused(code: int, message: str = "", retry_after: float | None = None) -> ApiError:
    return ApiError(code, message, http_status=500, method="GET", path="/", retry_after=retry_after)


def odd(http_status: int) -> BadAnswerError:
    return BadAnswerError("odd", http_status=http_status, method="GET", path="/")


LOST = TransportError("reset", method="GET", path="/")


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (LOST, True),
        (refused(14), True),
        (refused(8), True),
        (refused(8, "Quota exceeded"), False),
        (refused(9, "too many active operations"), False),
        *[(refused(code), False) for code in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16)],
        *[(odd(status), True) for status in (429, 502, 503, 504)],
        *[(odd(status), False) for status in (200, 302, 400, 401, 404, 500)],
        (CredentialsError("no"), False),
    ],
)
def test_only_passing_trouble_is_worth_another_attempt(error: CloudDesktopError, passing: bool) -> None:
    assert is_passing(error) is passing
    assert (decide(error, attempt=1, elapsed=0, left=60, jitter=0.5) is not None) is passing


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("5s", 5.0),
        ("Sat, 01 Aug 2026 10:02:00 GMT", 120.0),
        ("Sat, 01 Aug 2026 10:02:00 -0000", 120.0),
        ("31536000", DAY),
        ("Fri, 01 Aug 2127 10:00:00 GMT", DAY),
        (None, None),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("1_0", None),
        ("٣", None),
        ("soon", None),
        ("0x10", None),
        ("9" * 400, None),
        ("Sat, 01 Aug 2026 09:59:59 GMT", None),
        ("Sat, 01 Aug 2026 10:00:00 GMT", None),
        ("Sat, 99 Aug 2026 10:00:00 GMT", None),
        ("Sat, 01 Aug 99999 10:00:00 GMT", None),
    ],
)
def test_a_retry_after_is_read_and_never_trusted(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@given(st.text())
def test_no_retry_after_can_do_harm(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= DAY


@given(st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_date_is_a_bounded_wait_or_none(moment: datetime) -> None:
    seconds = parse_retry_after(format_datetime(moment, usegmt=True), NOW)
    assert seconds is None or 0 < seconds <= DAY
    assert (seconds is None) == (moment.replace(microsecond=0) <= NOW)


def test_the_body_may_carry_the_wish_too() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"}
    assert server_wish({}, [{"@type": "x", "retryDelay": "9s"}, info], NOW) == 3.5
    assert server_wish({"retry-after": "2"}, [info], NOW) == 2.0
    assert server_wish({"retry-after": "nan"}, [info], NOW) == 3.5
    assert server_wish({}, [{**info, "retryDelay": {"seconds": 5}}], NOW) is None


def test_advice_about_polling_comes_from_its_own_header_first() -> None:
    assert poll_hint({"x-operation-poll-interval": "30", "retry-after": "5"}, NOW) == 30.0
    assert poll_hint({"x-operation-poll-interval": "-1", "retry-after": "5"}, NOW) == 5.0
    assert poll_hint({"x-operation-poll-interval": "99999999"}, NOW) == DAY
    assert poll_hint({}, NOW) is None


def test_the_ceiling_doubles_up_to_its_bound() -> None:
    policy = DEFAULT_POLICY.__class__(attempts=10, whole=1000)
    pauses = [decide(LOST, attempt=attempt, elapsed=0, left=100, jitter=1.0, policy=policy) for attempt in range(1, 8)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 0.25), (0.0, 0.25), (0.1, 0.25), (3.0, 3.0), (10.0, 10.0), (10.1, None), (DAY, None)],
)
def test_a_wish_is_obeyed_up_to_a_bound_and_never_undercut(retry_after: float | None, pause: float | None) -> None:
    assert decide(refused(14, retry_after=retry_after), attempt=1, elapsed=0, left=60, jitter=0.5) == pause


def test_every_bound_ends_the_attempts() -> None:
    assert decide(LOST, attempt=4, elapsed=0, left=60, jitter=0.5) is None
    assert decide(LOST, attempt=1, elapsed=30.0, left=60, jitter=0.5) is None
    assert decide(LOST, attempt=1, elapsed=0, left=0.25 + USEFUL_SECONDS, jitter=0.5) == 0.25
    assert decide(LOST, attempt=1, elapsed=0, left=0.2 + USEFUL_SECONDS, jitter=0.5) is None


@given(st.integers(1, 10), st.floats(0, 60), st.floats(0, 60), st.floats(0, 1, exclude_max=True), st.floats(0, DAY))
def test_no_pause_leaves_its_bounds(attempt: int, elapsed: float, left: float, jitter: float, wish: float) -> None:
    pause = decide(refused(8, retry_after=wish), attempt=attempt, elapsed=elapsed, left=left, jitter=jitter)
    assert pause is None or (wish <= pause <= 10 and pause < left and elapsed + pause <= DEFAULT_POLICY.whole)
