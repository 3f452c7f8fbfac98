"""Nothing is lost: the process dies right before and right after every call it makes, one at a time.

Promise 2 of design.md. The calls are counted by running the story once, so a new call is a new crash point by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from image_pipeline.copies import State
from tests.rig.mortal import Died, Mortality
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json

VISIBILITY = 360
"""Seconds until the queue delivers the message of a dead process again; template.yaml says as much."""
ROUTE = {
    "name": "office",
    "source": {"folder_id": SOURCE},
    "target": {"folder_id": TARGET, "labels": {"channel": "stable"}},
    "retention": {"keep_last": 1, "min_age_days": 1},
}


class Story:
    """A copy, one that has to make room, a cleanup: a trigger is delivered again when the process dies over it."""

    def __init__(self, mortality: Mortality, **world: Any) -> None:
        policy = policy_json(routes=[ROUTE], cleanup="apply", quota={"images": 2})
        self.rig = Rig(policy=policy, world={"quota_images": 2, **world}, wrap=mortality.wrap)
        self.deaths = 0
        self.images: list[str] = []

    def tell(self) -> None:
        for number in range(3):
            self.images.append(self.rig.add_image(name=f"win11-{number}", ready_after=30.0 if number == 0 else None))
            self.deliver(lambda: self.rig.take(self.images[-1]))
            self.drain()
            self.rig.clock.advance(days=3)
        self.deliver(self.rig.clean_up)
        self.drain()

    def drain(self) -> None:
        for _ in range(300):
            if not self.rig.queue.waiting:
                return
            _, _, wake_up = self.rig.queue.waiting[0]
            try:
                self.rig.deliver_next()
            except Died:
                self._bury()
                self.rig.queue.put(wake_up, VISIBILITY)
        raise AssertionError("the queue is never empty")

    def deliver(self, trigger: Callable[[], Any]) -> None:
        for _ in range(3):
            try:
                trigger()
            except Died:
                self._bury()
                continue
            return
        raise AssertionError("one death kills one delivery only")

    def _bury(self) -> None:
        self.deaths += 1
        self.rig.restart()


def count_calls(**world: Any) -> list[str]:
    mortality = Mortality()
    Story(mortality, **world).tell()
    return mortality.calls


CALLS = count_calls()


def check(story: Story) -> None:
    rig = story.rig
    rows = {row.image_id: row for row in rig.ledger.copies()}
    assert [rows[image_id].state for image_id in story.images] == [State.RETIRED, State.RETIRED, State.ACTIVE]
    made = Counter(image.source_image_id for image in rig.world.desktop_images(TARGET))
    assert made == {story.images[-1]: 1}, "exactly one desktop image, of the newest source"
    copies = [operation for operation in rig.world.operations() if operation.method.endswith("Copy")]
    assert len(copies) == len(story.images), "nothing was copied twice"
    assert not any(row.notice_due for row in rows.values())
    told = {(notice["imageId"], notice["state"]) for notice in rig.mailbox.notices}
    ids = {notice["noticeId"] for notice in rig.mailbox.notices}
    verdicts = {(image_id, "ACTIVE") for image_id in story.images} | {
        (image_id, "RETIRED") for image_id in story.images[:2]
    }
    assert verdicts <= told
    assert len(ids) == len(told), "a notice that comes twice has the same id"


def test_without_a_death_the_story_ends_well() -> None:
    story = Story(Mortality())

    story.tell()

    check(story)
    assert len(story.rig.mailbox.notices) == len({notice["noticeId"] for notice in story.rig.mailbox.notices})


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda number: f"{number}-{CALLS[number]}")
def test_a_death_at_any_call_loses_nothing_and_makes_nothing_twice(number: int, after: bool) -> None:
    story = Story(Mortality(number, after=after))

    story.tell()

    assert story.deaths == 1
    check(story)


def test_the_crash_points_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = Counter(call.split("/", maxsplit=1)[0].strip() if "/" not in call else "HTTP" for call in CALLS)
    with capsys.disabled():
        print(f"\ncrash points covered: {2 * len(CALLS)} ({dict(kinds)})")  # noqa: T201 - the issue asks to see it

    assert kinds["HTTP"] > 20
    assert kinds["send"] > 5
