"""What hurt the users of other cleaners, as cases of one table. The names are those of the incidents.

Each row is a world, the policy that an administrator might have had, the verdicts, and a sentence that must be told.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import ModuleType

import pytest

from cloud_desktop import DesktopImage
from image_pipeline import retention, room
from image_pipeline.copies import Copy, State
from image_pipeline.policy import Policy
from image_pipeline.retention import make_room, plan_cleanup, plan_table
from tests.unit.test_retention import NOW, copy_of, image, labelled, planned, policy, verdicts


@dataclass(frozen=True)
class Incident:
    name: str
    images: list[DesktopImage]
    rules: Policy
    verdicts: dict[str, str]
    told: str
    rows: list[Copy] | None = None
    """The ledger; None: every image has its row."""
    now: datetime = field(default=NOW)


def weekly(count: int, *, start: float = 0, family: str = "win11") -> list[DesktopImage]:
    return [image(f"{family}-{number}", age=start + 7 * number) for number in range(1, count + 1)]


def rows_of(images: list[DesktopImage], **row: object) -> list[Copy]:
    return [copy_of(each, **row) for each in images]


INCIDENTS = [
    Incident(
        # The filter saw instances, not launch templates: an image that people needed was deleted. Here nothing can see
        # what a desktop group has, so an administrator's pin and the service's own refusal are what holds.
        name="cloud-custodian-6554-in-use-image-missed",
        images=[
            image("new"),
            image("of-a-group", age=60, labels={"pinned": "group-finance"}),
            image("refused", age=70),
        ],
        rows=[
            *rows_of([image("new"), image("of-a-group")]),
            copy_of(image("refused"), retire_refused="FAILED_PRECONDITION: a desktop group has it"),
        ],
        rules=policy(),
        verdicts={"new": "keep", "of-a-group": "protected", "refused": "protected"},
        told="the service refused to delete it: FAILED_PRECONDITION: a desktop group has it",
    ),
    Incident(
        # Another account's consumers are invisible: an image that this pipeline did not make is nobody's to judge here.
        name="cloud-custodian-5924-blind-across-accounts",
        images=[image("new"), image("shared-by-others", age=900)],
        rows=rows_of([image("new")]),
        rules=policy(),
        verdicts={"new": "keep", "shared-by-others": "foreign"},
        told="not made by this pipeline",
    ),
    Incident(
        # The recipe users had to build themselves: an age, a number to keep for each application, a share per run.
        name="cloud-custodian-6818-age-and-count-and-cap",
        images=weekly(8),
        rules=policy(keep_last=3, min_age_days=30, max_deletions=2),
        verdicts={
            **{f"win11-{number}": "keep" for number in (1, 2, 3, 4)},
            **{f"win11-{number}": "postponed" for number in (5, 6)},
            **{f"win11-{number}": "delete" for number in (7, 8)},
        },
        told="3rd oldest of 4 that may go, max_deletions 2 in one run",
    ),
    Incident(
        # Deletes everything older than AGE_DAYS in the folder: no floor, no cap, no filter, no report.
        name="yc-serverless-cloudops-08-snapshots-clean-up",
        images=[*weekly(6, start=365), image("made-by-hand", age=900)],
        rows=rows_of(weekly(6, start=365)),
        rules=policy(keep_last=1, min_age_days=7, max_age_days=30, floor=2, max_deletions=3),
        verdicts={
            "win11-1": "keep",
            "win11-2": "keep",
            "win11-3": "postponed",
            **{f"win11-{number}": "delete" for number in (4, 5, 6)},
            "made-by-hand": "foreign",
        },
        told="2nd newest of 6 ACTIVE in its family, floor 2",
    ),
    Incident(
        # One age rule alone: a golden image that nobody had to rebuild for a year is the only one, and it goes.
        name="one-age-rule-deletes-everything",
        images=[image("golden", age=365)],
        rules=policy(max_age_days=90),
        verdicts={"golden": "keep"},
        told="the newest ACTIVE of its family",
    ),
    Incident(
        # Compares a UTC creation time with naive local time: at UTC+5, an image looks five hours older than it is.
        name="bonclay7-naive-local-time",
        images=[image("new", age=0.5), image("six-days-and-22-hours", age=6 + 22 / 24)],
        rules=policy(min_age_days=7),
        verdicts={"new": "keep", "six-days-and-22-hours": "keep"},
        told="ACTIVE for 6.91 days, less than min_age_days 7",
        now=NOW.astimezone(timezone(timedelta(hours=5))),
    ),
    Incident(
        # Keeping the previous N, and nothing else: a morning of repeated builds pushes out what people log into.
        name="bonclay7-keep-previous-and-a-burst-of-builds",
        images=[image(f"build-{hour}", age=hour / 24) for hour in range(1, 5)] + [image("of-last-week", age=6)],
        rules=policy(keep_last=2, min_age_days=7),
        verdicts={**{f"build-{hour}": "keep" for hour in range(1, 5)}, "of-last-week": "keep"},
        told="5th newest of its family, beyond keep_last 2",
    ),
    Incident(
        # Rules by recipe were asked for: under one count for all, only the application built most often stays.
        name="ec2-image-builder-roadmap-99-one-count-for-all-recipes",
        images=[*weekly(2), *weekly(2, start=100, family="cad")],
        rows=[*rows_of(weekly(2)), *rows_of(weekly(2, start=100, family="cad"), family="cad")],
        rules=policy(keep_last=1),
        verdicts={"win11-1": "keep", "win11-2": "delete", "cad-1": "keep", "cad-2": "delete"},
        told="1st newest of its family, within keep_last 1",
    ),
    Incident(
        # A tag of another case matched nothing, and the run was a success with zero images.
        name="serverless-ami-baker-10-empty-selection-taken-as-success",
        images=[image("a", labels={"managed-by": "Desktop-Image-Copy"}), image("b")],
        rows=[],
        rules=policy(),
        verdicts={"a": "foreign", "b": "foreign"},
        told="none of the 2 desktop images found was made by this pipeline, so none may go",
    ),
    Incident(
        name="serverless-ami-baker-10-empty-folder-taken-as-success",
        images=[],
        rules=policy(),
        verdicts={},
        told="no desktop image was found, so nothing is planned; target folders: target",
    ),
    Incident(
        # The new image was called registered while it was pending, so its predecessor went too early.
        name="twoliter-582-registered-while-pending",
        images=[image("new", age=1, status="CREATING"), image("says-active", age=2), image("predecessor", age=30)],
        rows=[
            *rows_of([image("new"), image("predecessor")]),
            copy_of(image("says-active"), state=State.COPYING, reason="the operation is running"),
        ],
        rules=policy(),
        verdicts={"new": "not ready", "says-active": "not ready", "predecessor": "keep"},
        told="its copy is COPYING, not ACTIVE: the operation is running",
    ),
    Incident(
        # An expiry label decided alone; one that cannot be read must not be an expiry.
        name="yc-serverless-snapshot-expiration-label",
        images=[image("new"), image("a", age=40, labels={"keep-until": "1754042400"})],
        rules=policy(),
        verdicts={"new": "keep", "a": "protected"},
        told="label keep-until=1754042400 is not a date YYYY-MM-DD, so it holds; correct or remove it",
    ),
    Incident(
        # Opt-in by label only, and whatever the configuration names is pinned.
        name="compiler-explorer-infra-2223-opt-in-and-named-in-configuration",
        images=[image("new", labels=labelled()), image("named", age=60, labels=labelled()), image("not-in", age=90)],
        rows=[],
        rules=policy(pinned=["named"], min_age_days=30),
        verdicts={"new": "keep", "named": "protected", "not-in": "foreign"},
        told="pinned by the policy: named",
    ),
]


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.name)
def test_incident(incident: Incident) -> None:
    rows = rows_of(incident.images) if incident.rows is None else incident.rows

    plan = plan_cleanup(incident.images, rows, incident.rules, incident.now)

    assert verdicts(plan) == incident.verdicts
    text = plan_table(plan)
    assert incident.told in text
    assert "in use" not in text.lower()
    assert "unused" not in text.lower()


def test_bonclay7_naive_local_time_is_refused() -> None:
    with pytest.raises(ValueError, match="without a UTC offset"):
        plan_cleanup([], [], policy(), datetime(2026, 8, 1, 12, 0))  # noqa: DTZ001 - the mistake itself


def test_buildkite_1416_no_cap_on_one_run() -> None:
    """After a change of the rules every image may go at once: ten go, and the next runs see the others again."""
    images = weekly(40)
    going = {judgement.image_id for judgement in planned(images, policy(max_deletions=10)).to_delete}

    after = planned([each for each in images if each.id not in going], policy(max_deletions=10))

    assert going == {f"win11-{number}" for number in range(31, 41)}
    assert {judgement.image_id for judgement in after.to_delete} == {f"win11-{number}" for number in range(21, 31)}


def test_wata727_266_protecting_every_old_version_frees_nothing() -> None:
    """Where the rules keep everything and the quota is full, what keep_last holds gives way, and nothing stronger."""
    images = weekly(8)
    full = planned(images, policy(keep_last=8, quota={"images": 8, "bytes": 2**40}))

    assert not full.to_delete
    assert [judgement.image_id for judgement in make_room(full, images_needed=1, bytes_needed=0)] == ["win11-8"]


def test_widdix_shows_every_candidate_with_the_reasons_on_both_sides() -> None:
    table = plan_table(planned(weekly(3), policy(keep_last=2, min_age_days=30)))

    (line,) = [line for line in table.splitlines() if "win11-3" in line]
    assert line.startswith("keep ")
    assert "ACTIVE for 21 days, less than min_age_days 30" in line
    assert "3rd newest of its family, beyond keep_last 2" in line


@pytest.mark.parametrize("module", [retention, room], ids=lambda module: module.__name__)
def test_no_word_of_the_planner_claims_to_know_what_people_log_into(module: ModuleType) -> None:
    source = inspect.getsource(module).lower()

    assert "unused" not in source
    assert "in use" not in source
