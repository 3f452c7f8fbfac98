"""When to look again: soon at first, later the longer it takes, never beyond what a queue can delay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from image_pipeline.schedule import FIRST_LOOK, LONGEST_PAUSE, QUEUE_LIMIT, bounded, next_pause, retry_pause

SECONDS = st.floats(0, 10**9)


@given(SECONDS)
def test_a_pause_is_fifteen_percent_of_the_wait_from_five_seconds_to_five_minutes(waited: float) -> None:
    pause = next_pause(waited)

    assert FIRST_LOOK <= pause <= LONGEST_PAUSE
    assert pause in {FIRST_LOOK, LONGEST_PAUSE} or 0 <= pause - waited * 0.15 < 1


@given(SECONDS, SECONDS)
def test_pauses_never_become_shorter(one: float, other: float) -> None:
    assert next_pause(min(one, other)) <= next_pause(max(one, other))


@given(SECONDS, st.floats(-(10**9), 10**9))
def test_a_hint_of_the_server_wins_within_the_queues_limit(waited: float, hint: float) -> None:
    pause = next_pause(waited, hint)

    assert 1 <= pause <= QUEUE_LIMIT
    assert pause in {1, QUEUE_LIMIT} or 0 <= pause - hint < 1


def test_a_copy_of_an_hour_costs_about_forty_looks() -> None:
    waited, looks = 0.0, 0
    while waited < 3600:
        waited += next_pause(waited)
        looks += 1

    assert 35 <= looks <= 45


@given(st.integers(1, 10**6))
def test_retries_come_ever_more_slowly(failures: int) -> None:
    assert 60 <= retry_pause(failures) <= retry_pause(failures + 1) <= QUEUE_LIMIT


@given(SECONDS, st.integers(0, 100), st.integers(100, 1000))
def test_bounds_hold(seconds: float, least: int, most: int) -> None:
    assert least <= bounded(seconds, least, most) <= most
