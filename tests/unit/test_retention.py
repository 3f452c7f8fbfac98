"""The rules of the cleanup plan, one by one. The builders here serve the other test_retention modules too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cloud_desktop import DesktopImage
from image_pipeline.copies import Copy, State
from image_pipeline.naming import MANAGED_BY, OWNER, ROUTE, SOURCE_FAMILY, SOURCE_IMAGE
from image_pipeline.policy import Policy
from image_pipeline.retention import Judgement, Plan, Verdict, plan_cleanup

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
GIB = 2**30


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def image(image_id: str, *, age: float | None = 30, **changes: Any) -> DesktopImage:
    """An ACTIVE image of 20 GiB, made so many days ago."""
    fields: dict[str, Any] = {
        "id": image_id,
        "folder_id": "target",
        "created_at": None if age is None else days_ago(age),
        "status": "ACTIVE",
        "name": f"name-of-{image_id}",
        "storage_size": 20 * GIB,
    }
    return DesktopImage.model_validate({**fields, **changes})


def copy_of(desktop_image: DesktopImage, **changes: Any) -> Copy:
    """The row of the ledger that made the image."""
    fields: dict[str, Any] = {
        "folder_id": desktop_image.folder_id,
        "image_id": f"source-of-{desktop_image.id}",
        "route": "office",
        "family": "win11",
        "name": desktop_image.name,
        "state": State.ACTIVE,
        "reason": "it is ACTIVE",
        "desktop_image_id": desktop_image.id,
        "created_at": NOW,
        "updated_at": NOW,
        "since": NOW,
        "deadline_seconds": 3600,
    }
    return Copy.model_validate({**fields, **changes})


def labelled(**labels: str) -> dict[str, str]:
    """The labels of an image that only they make ours."""
    return {MANAGED_BY: OWNER, ROUTE: "office", SOURCE_FAMILY: "win11", SOURCE_IMAGE: "source", **labels}


def policy(*, quota: dict[str, int] | None = None, cleanup: str = "plan", **retention: Any) -> Policy:
    """One route, office, into the folder target; by default nothing but the newest stays."""
    rules = {"keep_last": 1, "min_age_days": 0, "max_deletions": 100, **retention}
    source, target = {"folder_id": "source"}, {"folder_id": "target"}
    routes = [{"name": "office", "source": source, "target": target, "retention": rules}]
    return Policy.model_validate({"routes": routes, "cleanup": cleanup, **({"quota": quota} if quota else {})})


def planned(images: list[DesktopImage], rules: Policy, **row: Any) -> Plan:
    """The plan for images that are all in the ledger."""
    return plan_cleanup(images, [copy_of(each, **row) for each in images], rules, NOW)


def verdicts(plan: Plan) -> dict[str, str]:
    return {judgement.image_id: judgement.verdict.value for judgement in plan.judgements}


def of(plan: Plan, image_id: str) -> Judgement:
    (judgement,) = [judgement for judgement in plan.judgements if judgement.image_id == image_id]
    return judgement


def two(**old: Any) -> list[DesktopImage]:
    """A newest image, and an old one that nothing but the changes can save."""
    return [image("new", age=1), image("old", age=50, **old)]


def test_keeps_the_newest_of_each_family_and_says_why_the_others_may_go() -> None:
    images = [image(f"i{age}", age=age) for age in (10, 20, 30, 41)]

    plan = planned(images, policy(keep_last=2, min_age_days=7))

    assert verdicts(plan) == {"i10": "keep", "i20": "keep", "i30": "delete", "i41": "delete"}
    assert of(plan, "i10").reasons == (
        "the newest ACTIVE of its family",
        "1st newest of 4 ACTIVE in its family, floor 1",
        "ACTIVE for 10 days, min_age_days 7",
        "1st newest of its family, within keep_last 2",
    )
    assert of(plan, "i30").reasons == (
        "ACTIVE for 30 days, min_age_days 7",
        "3rd newest of its family, beyond keep_last 2",
        "2nd oldest of 2 that may go, max_deletions 100 in one run",
    )


def test_folders_routes_and_families_are_counted_apart() -> None:
    images = [image(f"i{number}", age=number) for number in range(1, 7)]
    families = ["win11", "win10", "win11", "win10", "", ""]
    rows = [copy_of(each, family=family) for each, family in zip(images, families, strict=True)]

    plan = plan_cleanup(images, rows, policy(), NOW)

    assert verdicts(plan) == {"i1": "keep", "i2": "keep", "i3": "delete", "i4": "delete", "i5": "keep", "i6": "delete"}


def test_an_image_is_kept_until_it_has_the_minimum_age() -> None:
    plan = planned([image("new", age=1), image("young", age=6.999), image("due", age=7)], policy(min_age_days=7))

    assert verdicts(plan) == {"new": "keep", "young": "keep", "due": "delete"}
    assert "ACTIVE for 6.99 days, less than min_age_days 7" in of(plan, "young").reasons


def test_the_age_counts_from_when_the_image_became_active() -> None:
    images = two()
    rows = [copy_of(images[0]), copy_of(images[1], active_at=days_ago(3))]

    plan = plan_cleanup(images, rows, policy(min_age_days=7), NOW)

    assert verdicts(plan) == {"new": "keep", "old": "keep"}
    assert of(plan, "old").active_at == days_ago(3)


def test_an_image_cannot_have_been_active_before_it_was_made() -> None:
    images = [image("new", age=1), image("young", age=3)]
    rows = [copy_of(images[0]), copy_of(images[1], active_at=days_ago(100))]

    assert verdicts(plan_cleanup(images, rows, policy(min_age_days=7), NOW)) == {"new": "keep", "young": "keep"}


def test_max_age_overrules_keep_last_but_neither_the_floor_nor_the_newest() -> None:
    images = [image(f"i{age}", age=age) for age in (100, 110, 120, 130)]

    plan = planned(images, policy(keep_last=4, floor=2, max_age_days=90))

    assert verdicts(plan) == {"i100": "keep", "i110": "keep", "i120": "delete", "i130": "delete"}
    assert of(plan, "i120").reasons[1:3] == (
        "ACTIVE for 120 days, more than max_age_days 90",
        "3rd newest of its family, within keep_last 4, which max_age_days overrules",
    )


def test_an_image_of_exactly_the_maximum_age_is_kept() -> None:
    plan = planned(
        [image("new", age=1), image("at", age=90), image("over", age=90.01)], policy(keep_last=3, max_age_days=90)
    )

    assert verdicts(plan) == {"new": "keep", "at": "keep", "over": "delete"}


def test_the_minimum_age_wins_over_the_maximum_age() -> None:
    plan = planned(two(), policy(min_age_days=60, max_age_days=10))

    assert verdicts(plan) == {"new": "keep", "old": "keep"}


def test_the_floor_wins_over_a_smaller_keep_last() -> None:
    images = [image(f"i{age}", age=age) for age in (1, 2, 3, 4)]

    plan = planned(images, policy(keep_last=1, floor=3))

    assert verdicts(plan) == {"i1": "keep", "i2": "keep", "i3": "keep", "i4": "delete"}
    assert "3rd newest of 4 ACTIVE in its family, floor 3" in of(plan, "i3").reasons


def test_newest_means_the_newest_source_and_the_last_one_copied_is_kept_beside_it() -> None:
    """A sweep that copies history may copy the newest source first; an old source may be put back on purpose."""
    images = [image("newest-source", age=30), image("middle", age=29), image("copied-last", age=28)]
    made = [days_ago(31), days_ago(300), days_ago(400)]
    rows = [copy_of(each, source_created_at=moment) for each, moment in zip(images, made, strict=True)]

    plan = plan_cleanup(images, rows, policy(), NOW)

    assert verdicts(plan) == {"newest-source": "keep", "middle": "delete", "copied-last": "keep"}
    assert "the last one copied of its family, though not the newest" in of(plan, "copied-last").reasons


def test_a_source_time_after_that_of_its_copy_cannot_make_an_image_newest() -> None:
    images = [image("a", age=2), image("b", age=1)]
    rows = [copy_of(images[0], source_created_at=NOW), copy_of(images[1])]

    plan = plan_cleanup(images, rows, policy(), NOW)

    assert verdicts(plan) == {"a": "delete", "b": "keep"}


def test_of_two_copies_of_equally_new_sources_the_later_copy_is_newer() -> None:
    images = [image("a", age=2), image("b", age=1)]

    plan = planned(images, policy(), source_created_at=days_ago(5))

    assert verdicts(plan) == {"a": "delete", "b": "keep"}


def test_images_of_the_same_instant_are_ranked_by_id() -> None:
    assert verdicts(planned([image("b"), image("a")], policy())) == {"a": "keep", "b": "delete"}


@pytest.mark.parametrize("value", ["", "true", "yes", "1", "nope", "whatever"])
def test_a_pin_label_protects(value: str) -> None:
    plan = planned(two(labels={"pinned": value}), policy())

    assert verdicts(plan)["old"] == "protected"
    assert f"pinned by label pinned={value}" in of(plan, "old").reasons


@pytest.mark.parametrize("value", ["false", "False", "0", "no", " no "])
def test_a_pin_label_can_say_no(value: str) -> None:
    assert verdicts(planned(two(labels={"pinned": value}), policy()))["old"] == "delete"


def test_a_pin_in_the_ledger_protects() -> None:
    images = two()

    plan = plan_cleanup(images, [copy_of(images[0]), copy_of(images[1], pinned=True)], policy(), NOW)

    assert verdicts(plan)["old"] == "protected"
    assert "pinned in the ledger" in of(plan, "old").reasons


@pytest.mark.parametrize("entry", ["old", "source-of-old", "name-of-old", "*-of-ol?"])
def test_the_policy_pins_by_id_by_source_and_by_pattern_of_the_name(entry: str) -> None:
    plan = planned(two(), policy(pinned=["other", entry]))

    assert verdicts(plan) == {"new": "keep", "old": "protected"}
    assert f"pinned by the policy: {entry}" in of(plan, "old").reasons


@pytest.mark.parametrize("entry", ["ol", "NAME-OF-OLD", "*-of-ol", "old*"])
def test_a_pin_of_the_policy_matches_the_whole_name_in_its_own_case(entry: str) -> None:
    assert verdicts(planned(two(), policy(pinned=[entry])))["old"] == "delete"


@pytest.mark.parametrize(
    ("day", "verdict"), [("2026-08-02", "protected"), ("2026-08-01", "protected"), ("2026-07-31", "delete")]
)
def test_a_keep_until_label_holds_to_the_end_of_its_day(day: str, verdict: str) -> None:
    plan = planned(two(labels={"keep-until": day}), policy())

    assert verdicts(plan)["old"] == verdict
    assert any(f"keep-until={day}" in reason for reason in of(plan, "old").reasons)


def test_the_day_of_keep_until_ends_in_utc() -> None:
    early_in_almaty = datetime(2026, 8, 2, 3, 0, tzinfo=timezone(timedelta(hours=5)))
    images = two(labels={"keep-until": "2026-08-01"})

    plan = plan_cleanup(images, [copy_of(each) for each in images], policy(), early_in_almaty)

    assert verdicts(plan)["old"] == "protected"


@pytest.mark.parametrize("value", ["", "soon", "2026-02-30", "20260101", "2026-w01-1", "01-01-2026", "2026-1-1"])
def test_an_unreadable_keep_until_protects_and_says_so(value: str) -> None:
    plan = planned(two(labels={"keep-until": value}), policy())

    assert verdicts(plan)["old"] == "protected"
    assert (
        f"label keep-until={value} is not a date YYYY-MM-DD, so it holds; correct or remove it"
        in of(plan, "old").reasons
    )


def test_labels_that_the_region_refused_count_as_the_ledger_has_them() -> None:
    images = two()
    refused = copy_of(images[1], labels={"pinned": "true"}, labels_refused=True)

    assert verdicts(plan_cleanup(images, [copy_of(images[0]), refused], policy(), NOW))["old"] == "protected"


def test_a_label_put_on_later_counts_beside_those_that_the_region_refused() -> None:
    images = two(labels={"pinned": "finance"})
    refused = copy_of(images[1], labels={"channel": "stable"}, labels_refused=True)

    assert verdicts(plan_cleanup(images, [copy_of(images[0]), refused], policy(), NOW))["old"] == "protected"


def test_labels_of_the_image_count_where_the_region_takes_them() -> None:
    """Whoever takes the pin off an image has unpinned it, although the copy was made with it."""
    images = two(labels={"channel": "stable"})
    row = copy_of(images[1], labels={"pinned": "true"})

    assert verdicts(plan_cleanup(images, [copy_of(images[0]), row], policy(), NOW))["old"] == "delete"


def test_a_refusal_of_the_service_is_remembered() -> None:
    images = two()
    refused = copy_of(images[1], retire_refused="FAILED_PRECONDITION: a desktop group has it")

    plan = plan_cleanup(images, [copy_of(images[0]), refused], policy(), NOW)

    assert verdicts(plan)["old"] == "protected"
    assert "the service refused to delete it: FAILED_PRECONDITION: a desktop group has it" in of(plan, "old").reasons


def test_an_image_of_somebody_else_is_foreign_whatever_else_is_true_of_it() -> None:
    images = [
        image("mine", age=1),
        image("theirs", age=900, status="CREATING", labels={"pinned": "true", "route": "office"}),
    ]

    plan = plan_cleanup(images, [copy_of(images[0])], policy(pinned=["*"]), NOW)

    judgement = of(plan, "theirs")
    assert judgement.verdict is Verdict.FOREIGN
    assert judgement.reasons == (
        "not made by this pipeline: not in the ledger and without the label managed-by=desktop-image-copy",
    )
    assert (judgement.route, judgement.family, judgement.source_image_id) == (None, "", None)


def test_another_value_of_the_ownership_label_is_not_ours() -> None:
    images = [image("a", labels=labelled(**{MANAGED_BY: "packer"}))]

    assert verdicts(plan_cleanup(images, [], policy(), NOW)) == {"a": "foreign"}


def test_the_ownership_label_alone_makes_an_image_ours() -> None:
    images = [image("new", age=1, labels=labelled()), image("old", age=50, labels=labelled())]

    plan = plan_cleanup(images, [], policy(), NOW)

    assert verdicts(plan) == {"new": "keep", "old": "delete"}
    judgement = of(plan, "old")
    assert (judgement.route, judgement.family, judgement.source_image_id) == ("office", "win11", "source")
    assert not judgement.may_make_room


def test_images_of_the_ledger_and_images_of_the_label_are_one_family() -> None:
    images = [image("new", age=1), image("old", age=50, labels=labelled())]

    assert verdicts(plan_cleanup(images, [copy_of(images[0])], policy(), NOW)) == {"new": "keep", "old": "delete"}


def test_labels_say_what_the_row_does_not() -> None:
    images = [image("new", age=1), image("old", age=50, labels=labelled())]
    rows = [copy_of(images[0]), copy_of(images[1], route=None, family="")]

    plan = plan_cleanup(images, rows, policy(), NOW)

    assert verdicts(plan) == {"new": "keep", "old": "delete"}
    assert (of(plan, "old").route, of(plan, "old").family) == ("office", "win11")


@pytest.mark.parametrize("status", ["CREATING", "DELETING", "STATUS_UNSPECIFIED", "REBUILDING"])
def test_an_image_that_is_not_active_is_not_ready_and_not_counted(status: str) -> None:
    plan = planned([image("new", age=1, status=status), image("old", age=50)], policy())

    assert verdicts(plan) == {"new": "not ready", "old": "keep"}
    assert of(plan, "new").reasons == (f"its status is {status}, not ACTIVE",)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_an_image_whose_copy_is_not_active_is_not_ready_and_not_counted(state: State) -> None:
    images = [image("new", age=1, labels=labelled()), image("old", age=50)]
    rows = [copy_of(images[0], state=state, reason="so it is"), copy_of(images[1])]

    plan = plan_cleanup(images, rows, policy(), NOW)

    assert verdicts(plan) == {"new": "not ready", "old": "keep"}
    assert of(plan, "new").reasons == (f"its copy is {state}, not ACTIVE: so it is",)


def test_no_rule_lets_an_image_go_whose_route_left_the_policy() -> None:
    plan = planned(two(), policy(), route="retired-route")

    assert set(verdicts(plan).values()) == {"protected"}
    assert of(plan, "old").reasons == ("route retired-route is not in the policy, so no rule says that it may go",)


def test_no_rule_lets_an_image_go_that_was_copied_by_hand() -> None:
    plan = planned(two(), policy(), route=None)

    assert of(plan, "old").reasons == ("it belongs to no route, so no rule says that it may go",)


def test_no_rule_lets_an_image_go_in_a_folder_that_the_route_has_left() -> None:
    plan = planned(two(folder_id="former"), policy())

    assert of(plan, "old").verdict is Verdict.PROTECTED
    assert of(plan, "old").reasons == (
        "route office has target folder target, not former, so no rule says that it may go",
    )


def test_an_image_of_unknown_age_is_protected_and_takes_no_place() -> None:
    images = [image("unknown", age=None), image("a", age=10), image("b", age=20)]

    plan = planned(images, policy())

    assert verdicts(plan) == {"a": "keep", "b": "delete", "unknown": "protected"}
    assert of(plan, "unknown").reasons == ("its age is unknown: no creation time with a UTC offset",)


def test_an_image_from_the_future_is_kept_and_takes_no_place() -> None:
    images = [image("skewed", age=-0.1), image("a", age=10), image("b", age=20)]

    plan = planned(images, policy())

    assert verdicts(plan) == {"skewed": "keep", "a": "keep", "b": "delete"}
    assert of(plan, "skewed").reasons == (
        "made at 2026-08-01T14:24:00+00:00, which is after now, 2026-08-01T12:00:00+00:00; one clock is wrong",
    )


def test_over_the_cap_the_oldest_go_first_and_the_others_are_postponed() -> None:
    images = [image(f"i{age}", age=age) for age in (1, 10, 20, 30, 40)]
    rows = [copy_of(each, family=family) for each, family in zip(images, "aabab", strict=True)]

    plan = plan_cleanup(
        [*images, image("b0", age=2)], [*rows, copy_of(image("b0"), family="b")], policy(max_deletions=2), NOW
    )

    assert verdicts(plan) == {
        "i1": "keep", "i10": "postponed", "i30": "delete", "b0": "keep", "i20": "postponed", "i40": "delete",
    }  # fmt: skip
    assert [judgement.image_id for judgement in plan.to_delete] == ["i40", "i30"]
    assert of(plan, "i20").reasons[-1] == "3rd oldest of 4 that may go, max_deletions 2 in one run"


def test_a_cap_of_zero_lets_nothing_go() -> None:
    assert verdicts(planned(two(), policy(max_deletions=0))) == {"new": "keep", "old": "postponed"}


def test_all_reasons_are_there_for_and_against() -> None:
    images = [image("new", age=1), image("old", age=3, labels={"pinned": "", "keep-until": "2026-07-01"})]
    rows = [copy_of(images[0]), copy_of(images[1], pinned=True, retire_refused="busy")]

    plan = plan_cleanup(images, rows, policy(min_age_days=7, pinned=["old"]), NOW)

    assert of(plan, "old").reasons == (
        "pinned by label pinned=",
        "pinned in the ledger",
        "pinned by the policy: old",
        "label keep-until=2026-07-01: that day is over",
        "the service refused to delete it: busy",
        "ACTIVE for 3 days, less than min_age_days 7",
        "2nd newest of its family, beyond keep_last 1",
    )


def test_the_strongest_reason_is_the_verdict() -> None:
    images = [
        image("pinned-and-newest", age=1, labels={"pinned": ""}),
        image("leaving-and-pinned", age=2),
        image("no-route-and-from-the-future", age=-1),
    ]
    rows = [
        copy_of(images[0]),
        copy_of(images[1], state=State.RETIRING, pinned=True),
        copy_of(images[2], route=None),
    ]

    assert verdicts(plan_cleanup(images, rows, policy(), NOW)) == {
        "pinned-and-newest": "protected",
        "leaving-and-pinned": "not ready",
        "no-route-and-from-the-future": "protected",
    }


def test_the_plan_is_ordered_by_folder_route_family_newest_first_and_id() -> None:
    images = [
        image("z", age=1),
        image("b", age=5),
        image("a", age=5),
        image("y", age=9),
        image("x", folder_id="a-folder"),
    ]
    rows = [copy_of(each, family="win11" if each.id != "y" else "alpine") for each in images[:-1]]

    plan = plan_cleanup(images, rows, policy(), NOW)

    assert [judgement.image_id for judgement in plan.judgements] == ["x", "y", "z", "a", "b"]


def test_an_image_listed_twice_counts_once() -> None:
    images = two()

    assert verdicts(planned([*images, *two()], policy(keep_last=2))) == {"new": "keep", "old": "keep"}


def test_an_image_listed_twice_with_different_contents_is_not_ready() -> None:
    images = [*two(), image("old", age=50, name="renamed", labels={"pinned": "true"})]

    for order in (images, images[::-1]):
        plan = planned(order, policy())
        assert verdicts(plan) == {"new": "keep", "old": "not ready"}
        assert of(plan, "old").reasons[0] == "listed twice with different contents; list it again"
    assert planned(images, policy()) == planned(images[::-1], policy())


def test_a_copy_that_has_no_image_yet_changes_nothing() -> None:
    images = two()
    rows = [copy_of(each) for each in images]
    waiting = copy_of(image("later"), desktop_image_id=None, state=State.WAITING_FOR_ROOM)

    assert plan_cleanup(images, [waiting, *rows], policy(), NOW) == plan_cleanup(images, rows, policy(), NOW)


def test_of_two_rows_for_one_image_the_more_protective_counts() -> None:
    images = two()
    rows = [copy_of(images[0]), copy_of(images[1], image_id="s1", pinned=True), copy_of(images[1], image_id="s2")]

    assert verdicts(plan_cleanup(images, rows, policy(), NOW))["old"] == "protected"
    assert verdicts(plan_cleanup(images, rows[::-1], policy(), NOW))["old"] == "protected"


def test_a_naive_clock_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^now is 2026-08-01T12:00:00, without a UTC offset; give an aware time"):
        plan_cleanup([], [], policy(), NOW.replace(tzinfo=None))


def test_a_naive_time_in_the_ledger_leaves_the_age_unknown() -> None:
    images = two()
    rows = [copy_of(images[0]), copy_of(images[1], active_at=days_ago(40).replace(tzinfo=None))]

    assert verdicts(plan_cleanup(images, rows, policy(), NOW))["old"] == "protected"


def test_a_naive_source_time_in_the_ledger_does_not_count() -> None:
    images = two()
    rows = [copy_of(images[0], source_created_at=days_ago(90).replace(tzinfo=None)), copy_of(images[1])]

    plan = plan_cleanup(images, rows, policy(), NOW)

    assert verdicts(plan) == {"new": "keep", "old": "delete"}
    assert of(plan, "new").source_created_at is None


def test_now_may_have_any_offset() -> None:
    images = two()
    rows = [copy_of(each) for each in images]
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))

    assert plan_cleanup(images, rows, policy(), elsewhere) == plan_cleanup(images, rows, policy(), NOW)
