"""The plan as people and programs read it: counts, quota, JSON, table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from image_pipeline.copies import State
from image_pipeline.retention import Plan, Verdict, plan_answer, plan_cleanup, plan_table
from tests.unit.test_retention import GIB, NOW, copy_of, days_ago, image, policy

QUOTA = {"images": 8, "bytes": 200 * GIB}


@pytest.fixture
def plan() -> Plan:
    """One image of each verdict, two of them foreign; and a system image, which no quota counts."""
    images = [
        image("kept", age=1, name="win11 a"),
        image("going", age=40),
        image("waiting", age=30),
        image("pinned", age=50, labels={"pinned": "finance"}),
        image("leaving", age=60),
        image("theirs", age=70, storage_size=0),
        image("Ubuntu 20.04", age=700, folder_id="standard-images", storage_size=500 * GIB),
    ]
    rows = [copy_of(each) for each in images[:5]]
    rows[1] = copy_of(images[1], active_at=days_ago(39), source_created_at=days_ago(41))
    rows[4] = copy_of(images[4], state=State.RETIRING, reason="beyond keep_last 1")
    return plan_cleanup(images, rows, policy(max_deletions=1, quota=QUOTA), NOW)


def test_the_plan_counts_itself(plan: Plan) -> None:
    assert plan.counts == {
        Verdict.DELETE: 1, Verdict.POSTPONED: 1, Verdict.KEEP: 1, Verdict.PROTECTED: 1, Verdict.NOT_READY: 1,
        Verdict.FOREIGN: 2,
    }  # fmt: skip
    assert plan.freed_bytes == 20 * GIB
    assert plan.summary == (
        "1 of 7 to delete, which frees 20.0 GiB; 1 postponed, 1 keep, 1 protected, 1 not ready, 2 foreign"
    )


def test_the_quota_counts_ours_and_what_others_made_in_our_folders(plan: Plan) -> None:
    quota, after = plan.quota, plan.quota_after

    assert (quota.images_used, quota.images_left, after.images_left) == (6, 2, 3)
    assert (quota.bytes_used, quota.bytes_left, after.bytes_left) == (100 * GIB, 100 * GIB, 120 * GIB)
    assert (quota.images_leaving, quota.bytes_leaving, quota.unknown_sizes) == (1, 20 * GIB, 1)


def test_a_folder_that_only_the_ledger_names_is_ours_too() -> None:
    images = [image("a", folder_id="by-hand"), image("b", folder_id="by-hand")]

    assert plan_cleanup(images, [copy_of(images[0])], policy(), NOW).quota.images_used == 2


def test_the_answer_is_json_in_camel_case(plan: Plan) -> None:
    answer: dict[str, Any] = json.loads(json.dumps(plan_answer(plan)))
    images = {each["imageId"]: each for each in answer.pop("images")}

    assert answer == {
        "madeAt": "2026-08-01T12:00:00+00:00",
        "cleanup": "plan",
        "summary": plan.summary,
        "counts": {"delete": 1, "postponed": 1, "keep": 1, "protected": 1, "not ready": 1, "foreign": 2},
        "freedBytes": 20 * GIB,
        "quota": {
            "images": {"limit": 8, "used": 6, "leaving": 1, "remaining": 2, "remainingAfter": 3},
            "bytes": {
                "limit": 200 * GIB,
                "used": 100 * GIB,
                "leaving": 20 * GIB,
                "remaining": 100 * GIB,
                "remainingAfter": 120 * GIB,
            },
            "imagesOfUnknownSize": 1,
        },
    }
    assert images["going"] == {
        "imageId": "going",
        "folderId": "target",
        "name": "name-of-going",
        "route": "office",
        "family": "win11",
        "sourceImageId": "source-of-going",
        "sourceCreatedAt": "2026-06-21T12:00:00+00:00",
        "status": "ACTIVE",
        "createdAt": "2026-06-22T12:00:00+00:00",
        "activeAt": "2026-06-23T12:00:00+00:00",
        "storageSize": 20 * GIB,
        "verdict": "delete",
        "reasons": list(next(each.reasons for each in plan.judgements if each.image_id == "going")),
    }
    assert images["theirs"].keys() == {
        "imageId", "folderId", "name", "status", "createdAt", "verdict", "reasons",
    }  # fmt: skip


def test_the_table_has_a_line_for_each_image(plan: Plan) -> None:
    lines = plan_table(plan).splitlines()

    assert lines[0] == f"cleanup plan of 2026-08-01T12:00:00+00:00 (cleanup: plan): {plan.summary}"
    assert lines[1] == "images: 6 of 8 there, 2 left, 3 after this plan"
    assert lines[2] == (
        "storage: 100.0 GiB of 200.0 GiB there, 100.0 GiB left, 120.0 GiB after this plan; "
        "1 images do not tell their size"
    )
    assert lines[4].split() == ["VERDICT", "FOLDER", "ROUTE", "FAMILY", "IMAGE", "NAME", "SIZE", "REASONS"]
    assert len(lines) == 5 + len(plan.judgements)
    column = lines[4].index("REASONS")
    for line, judgement in zip(lines[5:], plan.judgements, strict=True):
        assert line[column:] == "; ".join(judgement.reasons)


def test_a_name_cannot_write_into_the_terminal_or_into_other_lines() -> None:
    images = [image("a", name="\x1b[2Jwin11\nkeep\u202e")]

    table = plan_table(
        plan_cleanup(images, [copy_of(images[0], state=State.FAILED, reason="no\r\nroom")], policy(), NOW)
    )

    assert "?[2Jwin11?keep?" in table
    assert "no??room" in table
    assert len(table.splitlines()) == 6
    assert not any(not char.isprintable() for line in table.splitlines() for char in line)


def test_a_policy_without_routes_says_so() -> None:
    nothing = plan_cleanup([], [], policy().model_copy(update={"routes": ()}), NOW)

    assert nothing.summary == (
        "no desktop image was found, so nothing is planned; target folders: none, because the policy has no route"
    )
    assert plan_answer(nothing)["images"] == []
    assert len(plan_table(nothing).splitlines()) == 3
