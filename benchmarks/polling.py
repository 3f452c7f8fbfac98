"""How often a copy is looked at until it is done, and how late the end is noticed, next to the waits one knows.

A copy of 30 minutes: the official Python SDK asks every second, botocore's ImageAvailable waiter every 15 seconds and
gives up after 40 times, and we after 15 % of the time waited, from 5 seconds to 5 minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

from image_pipeline.schedule import next_pause

DURATIONS = (10, 60, 300, 1800, 7200)


def ours() -> Iterator[float]:
    waited = 0.0
    while True:
        waited += next_pause(waited)
        yield waited


def every(seconds: float, most: int | None = None) -> Iterator[float]:
    count = 0
    while most is None or count < most:
        count += 1
        yield count * seconds


def looks(schedule: Iterator[float], duration: float) -> tuple[int, float | None]:
    """Return how many looks it takes, and how many seconds after the end the last one comes; None if it never does."""
    count = 0
    for moment in schedule:
        count += 1
        if moment >= duration:
            return count, moment - duration
    return count, None


def main() -> None:
    print(f"{'copy of':>9}  {'official SDK':>22}  {'botocore waiter':>22}  {'ours':>22}  calls, ours to SDK")
    for duration in DURATIONS:
        official = looks(every(1), duration)
        found = [official, looks(every(15, 40), duration), looks(ours(), duration)]
        cells = [f"{count} calls, {'gives up' if late is None else f'{late:.0f} s late'}" for count, late in found]
        ratio = found[2][0] / official[0]
        print(f"{duration:7} s  " + "  ".join(f"{cell:>22}" for cell in cells) + f"  {ratio:.3f}")


if __name__ == "__main__":
    main()
