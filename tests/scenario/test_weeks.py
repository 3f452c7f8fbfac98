"""Twenty images in ten weeks against a quota of eight, with cleanup on its own or an administrator in its place."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from image_pipeline.copies import Copy, State
from image_pipeline.pins import set_pin
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json

MIN_AGE = timedelta(days=7)
FAMILIES = ("win11-office", "win11-cad")
COPY = "POST /cloud-desktop/v1/images:copy"


class Weeks:
    """The simulated time: an image every three and a half days, timers as in template.yaml."""

    def __init__(self, cleanup: str, images: int = 20, rest: timedelta = timedelta(days=10)) -> None:
        route = {
            "name": "office",
            "source": {"folder_id": SOURCE},
            "target": {"folder_id": TARGET},
            "retention": {"keep_last": 3, "min_age_days": MIN_AGE.days, "max_deletions": 2},
        }
        self.rig = Rig(policy=policy_json(routes=[route], cleanup=cleanup, quota={"images": 8}))
        self.images = images
        self.rest = rest
        self.by_hand = cleanup == "plan"
        self.born: dict[str, datetime] = {}
        self.gone: dict[str, datetime] = {}
        self.sources: list[str] = []
        self.pinned = ""

    def pass_by(self) -> None:
        for number in range(self.images):
            image_id = self.rig.add_image(name=f"{FAMILIES[number % 2]}-{number}", family=FAMILIES[number % 2])
            self.sources.append(image_id)
            self.rig.take(image_id)
            self._run(timedelta(days=3.5))
            if number == 1:
                self.pinned = self.sources[0]
                set_pin(self.rig.adapters, TARGET, self.pinned, pinned=True)
        self._run(self.rest)

    def _run(self, span: timedelta) -> None:
        end = self.rig.clock() + span
        while self.rig.clock() < end:
            until = min(end, self.rig.clock() + timedelta(hours=12))
            while self.rig.queue.waiting and self.rig.queue.waiting[0][0] <= until:
                self.rig.deliver_next()
                self._watch()
            self.rig.clock.move_to(until)
            self.rig.sweep()
            report = self.rig.clean_up()
            if self.by_hand:
                for judgement in report.plan.to_delete:
                    self.rig.world.remove_desktop_image(judgement.image_id)
            self._watch()

    def _watch(self) -> None:
        there = {image.id: image for image in self.rig.world.desktop_images(TARGET) if image.status != "DELETING"}
        for image_id in there:
            self.born.setdefault(image_id, self.rig.clock())
        for image_id in self.born.keys() - there.keys() - self.gone.keys():
            self.gone[image_id] = self.rig.clock()


def newest(rows: list[Copy], family: str) -> Copy:
    return max((row for row in rows if row.family == family), key=lambda row: row.created_at)


@pytest.mark.parametrize("cleanup", ["apply", "plan"])
def test_ten_weeks_end_with_the_newest_of_every_family_active(cleanup: str) -> None:
    weeks = Weeks(cleanup)

    weeks.pass_by()

    rig = weeks.rig
    rows = list(rig.ledger.copies())
    assert {row.image_id for row in rows} == set(weeks.sources)
    for family in FAMILIES:
        assert newest(rows, family).state is State.ACTIVE
    assert rig.row(weeks.pinned).state is State.ACTIVE, "the oldest of all, and pinned"
    assert all(died - weeks.born[image_id] >= MIN_AGE for image_id, died in weeks.gone.items())
    assert len(weeks.gone) >= 10
    assert len(rig.world.desktop_images(TARGET)) <= 8
    assert not [row for row in rows if row.state.is_pending], "every wait for room has ended by itself"
    waited = {notice["imageId"] for notice in rig.mailbox.notices if notice["state"] == "WAITING_FOR_ROOM"}
    refused = rig.world.calls[COPY] - len(weeks.sources)
    assert refused <= len(waited), "a refusal for want of quota is followed by a visible wait, and no hot retry"


def test_under_plan_with_nobody_to_delete_the_ninth_copy_waits_and_says_so() -> None:
    weeks = Weeks("plan", images=9, rest=timedelta())
    weeks.by_hand = False

    weeks.pass_by()

    states = [weeks.rig.row(image_id).state for image_id in weeks.sources]
    assert states[:8] == [State.ACTIVE] * 8
    assert set(states[8:]) <= {State.WAITING_FOR_ROOM, State.TIMED_OUT}
    assert weeks.gone == {}
    told = {notice["imageId"] for notice in weeks.rig.mailbox.notices if notice["state"] == "WAITING_FOR_ROOM"}
    assert told == set(weeks.sources[8:])
