"""What holds for every plan, whatever the images, the ledger and the policy are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop import DesktopImage
from image_pipeline.copies import Copy, State
from image_pipeline.naming import is_ours
from image_pipeline.policy import Policy
from image_pipeline.retention import Judgement, Plan, Verdict, make_room, plan_answer, plan_cleanup, plan_table
from tests.unit.test_retention import GIB, NOW, copy_of, image, labelled

World = tuple[list[DesktopImage], list[Copy], Policy]

# Most images are plain: in the ledger, ACTIVE, of a known age and route. The others have one thing about them.
QUIRKS: dict[str, dict[str, Any]] = {
    "by label alone": {"row": None, "image": {}},
    "of somebody else": {"row": None, "image": {"labels": {"pinned": "no"}}},
    "of the system": {"row": None, "image": {"labels": {}, "folder_id": "system"}},
    "creating": {"image": {"status": "CREATING"}},
    "of a new status": {"image": {"status": "NEWER"}},
    "leaving": {"row": {"state": State.RETIRING}},
    "failed": {"row": {"state": State.FAILED}},
    "of no age": {"image": {"created_at": None}},
    "of the future": {"image": {"created_at": NOW + timedelta(hours=1)}},
    "just active": {"row": {"active_at": NOW - timedelta(hours=1)}},
    "of a naive time": {"row": {"active_at": datetime(2026, 7, 1)}},  # noqa: DTZ001
    "of a new source": {"row": {"source_created_at": NOW - timedelta(days=1)}},
    "of an old source": {"row": {"source_created_at": NOW - timedelta(days=400)}},
    "pinned by label": {"image": {"labels": {"pinned": ""}}},
    "pinned in the ledger": {"row": {"pinned": True}},
    "refused": {"row": {"retire_refused": "busy"}},
    "kept today": {"image": {"labels": {"keep-until": "2026-08-01"}}},
    "kept yesterday": {"image": {"labels": {"keep-until": "2026-07-31"}}},
    "kept until nobody knows": {"image": {"labels": {"keep-until": "soon"}}},
    "of a former route": {"row": {"route": "gone"}},
    "in a former folder": {"image": {"folder_id": "second"}},
    "of unknown size": {"image": {"storage_size": 0}},
}
HOMES = st.sampled_from([("office", "target", "win11")] * 4 + [("office", "target", ""), ("cad", "second", "win11")])


@st.composite
def images_with_rows(draw: st.DrawFn, number: int) -> tuple[DesktopImage, Copy | None]:
    route, folder_id, family = draw(HOMES)
    quirk = QUIRKS[draw(st.sampled_from(sorted(QUIRKS)))] if draw(st.integers(0, 2)) == 0 else {}
    made = image(
        f"i{number}",
        **{
            "age": draw(st.integers(0, 60)),
            "folder_id": folder_id,
            "storage_size": draw(st.integers(1, 40)) * GIB,
            "labels": labelled(route=route, **{"source-family": family}) if "row" in quirk else {},
            **quirk.get("image", {}),
        },
    )
    row = quirk.get("row", {})
    return made, None if row is None else copy_of(made, **{"route": route, "family": family, **row})


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    def route(name: str, folder_id: str) -> dict[str, Any]:
        retention = {
            "keep_last": draw(st.integers(1, 4)),
            "min_age_days": draw(st.sampled_from([0, 5, 20.5])),
            "max_age_days": draw(st.sampled_from([None, None, 10, 40])),
            "floor": draw(st.integers(1, 3)),
            "max_deletions": draw(st.sampled_from([3, 1, 9, 0])),
            "pinned": draw(st.lists(st.sampled_from(["i3", "source-of-i5", "*7", "nothing"]), max_size=2)),
        }
        return {
            "name": name,
            "source": {"folder_id": "source"},
            "target": {"folder_id": folder_id},
            "retention": retention,
        }

    return Policy.model_validate({"routes": [route("office", "target"), route("cad", "second")]})


@st.composite
def worlds(draw: st.DrawFn) -> World:
    both = [draw(images_with_rows(number)) for number in range(draw(st.integers(0, 12)))]
    return [each for each, _ in both], [row for _, row in both if row], draw(policies())


WORLDS = worlds()
NEEDS = st.tuples(st.integers(0, 4), st.integers(0, 100).map(lambda size: size * GIB))


def plan_of(world: World) -> Plan:
    return plan_cleanup(*world, NOW)


def full(plan: Plan) -> Plan:
    """The plan in a cloud whose quota is just what is there."""
    quota = plan.quota
    return replace(plan, quota=replace(quota, images_limit=quota.images_used, bytes_limit=quota.bytes_used))


def _alive(plan: Plan, going: set[str]) -> Counter[tuple[str, str | None, str]]:
    """Return how many images of each group are known to be ACTIVE and stay; an independent count."""
    return Counter(
        (each.folder_id, each.route, each.family)
        for each in plan.judgements
        if each.status == "ACTIVE"
        and each.verdict not in {Verdict.NOT_READY, Verdict.FOREIGN}
        and each.image_id not in going
    )


def hold_promises(world: World, plan: Plan, going: tuple[Judgement, ...]) -> None:
    """Check that these deletions break no promise, from the images, rows and policy alone."""
    images = {each.id: each for each in world[0]}
    rows = {row.desktop_image_id: row for row in world[1]}
    ids = {each.image_id for each in going}
    assert len(ids) == len(going)
    before, after = _alive(plan, set()), _alive(plan, ids)
    for each in going:
        made, row = images[each.image_id], rows.get(each.image_id)
        route = world[2].route(each.route)
        assert route is not None
        rules = route.retention
        assert row is not None or is_ours(made.labels), "foreign"
        assert made.status == "ACTIVE"
        assert row is None or row.state is State.ACTIVE
        assert made.created_at is not None
        assert row is None or row.active_at is None or row.active_at.tzinfo is not None
        since = max(made.created_at, row.active_at) if row and row.active_at else made.created_at
        assert NOW - since >= timedelta(days=rules.min_age_days), "younger than the minimum age"
        assert made.labels.get("pinned") in {None, "no"}, "pinned by label"
        assert made.labels.get("keep-until") in {None, "2026-07-31"}, "kept until a date, or unreadable"
        assert row is None or not (row.pinned or row.retire_refused), "pinned in the ledger, or refused"
        assert not {each.image_id, each.source_image_id} & {*rules.pinned}, "pinned by id"
        assert not ("*7" in rules.pinned and made.name.endswith("7")), "pinned by name"
        group = (each.folder_id, each.route, each.family)
        assert after[group] >= min(rules.floor, before[group]), "below the floor"
        staying = [
            other
            for other in plan.judgements
            if (other.folder_id, other.route, other.family) == group
            and other.status == "ACTIVE"
            and other.verdict is not Verdict.NOT_READY
            and other.image_id not in ids
        ]
        assert any(other.created_at and other.created_at >= made.created_at for other in staying), "the last copied"
        assert any(other.version_at and each.version_at and other.version_at >= each.version_at for other in staying), (
            "the newest"
        )
    for name, count in Counter(each.route for each in going).items():
        rules_of = world[2].route(name)
        assert rules_of is not None
        assert count <= rules_of.retention.max_deletions, "more than the cap"


@given(WORLDS)
def test_a_plan_breaks_no_promise(world: World) -> None:
    plan = plan_of(world)

    hold_promises(world, plan, plan.to_delete)


@given(WORLDS, NEEDS)
def test_making_room_breaks_no_promise_and_makes_enough_or_nothing(world: World, needs: tuple[int, int]) -> None:
    plan = full(plan_of(world))
    going = make_room(plan, images_needed=needs[0], bytes_needed=needs[1])

    hold_promises(world, plan, going)
    assert {each.image_id for each in going} <= {row.desktop_image_id for row in world[1]}, "not in the ledger"
    if going:
        assert len(going) + plan.quota.images_leaving >= needs[0]
        assert sum(each.storage_size or 0 for each in going) + plan.quota.bytes_leaving >= needs[1]


@given(WORLDS, NEEDS, st.randoms(use_true_random=False))
def test_the_order_of_images_and_copies_does_not_matter(world: World, needs: tuple[int, int], random: Any) -> None:
    images, copies, rules = world
    shuffled = random.sample(images, len(images)), random.sample(copies, len(copies)), rules

    plan, again = plan_of(world), plan_of(shuffled)

    assert plan == again
    assert make_room(full(plan), images_needed=needs[0], bytes_needed=needs[1]) == make_room(
        full(again), images_needed=needs[0], bytes_needed=needs[1]
    )


@given(WORLDS)
def test_planning_twice_gives_the_same(world: World) -> None:
    assert plan_of(world) == plan_of(world)
    assert plan_answer(plan_of(world)) == plan_answer(plan_of(world))
    assert plan_table(plan_of(world)) == plan_table(plan_of(world))


@given(WORLDS)
def test_every_image_has_one_judgement_and_every_judgement_a_reason(world: World) -> None:
    plan = plan_of(world)

    assert sorted(each.image_id for each in plan.judgements) == sorted(each.id for each in world[0])
    assert sum(plan.counts.values()) == len(world[0])
    for each in plan.judgements:
        assert each.reasons
        assert all(reason.strip() for reason in each.reasons)


@given(WORLDS)
def test_carrying_a_plan_out_to_the_end_still_breaks_no_promise(world: World) -> None:
    """Plan and delete until nothing goes any more: the floor holds over all runs together, and the newest are there."""
    images, copies, rules = world
    first = plan_of(world)
    before = _alive(first, set())
    for _ in range(len(images) + 1):
        plan = plan_cleanup(images, copies, rules, NOW)
        if not plan.to_delete:
            break
        going = {each.image_id for each in plan.to_delete}
        images = [each for each in images if each.id not in going]
    assert not plan.to_delete
    after = _alive(plan, set())
    for group, count in before.items():
        route = rules.route(group[1])
        assert after[group] >= min(count, route.retention.floor if route else count)


@given(WORLDS)
def test_a_stricter_policy_lets_no_other_image_go(world: World) -> None:
    """Every rule only ever protects more: with none of the cap's choices in the way, stricter means a subset."""
    images, copies, rules = world
    strict, loose = _with(rules, keep_last=9), _with(rules)

    goes = {each.image_id for each in plan_cleanup(images, copies, loose, NOW).to_delete}

    assert {each.image_id for each in plan_cleanup(images, copies, strict, NOW).to_delete} <= goes


def _with(rules: Policy, **changes: Any) -> Policy:
    update = {**changes, "max_deletions": 100}
    routes = [
        route.model_copy(update={"retention": route.retention.model_copy(update=update)}) for route in rules.routes
    ]
    return rules.model_copy(update={"routes": tuple(routes)})


@given(WORLDS)
def test_an_image_pinned_a_second_ago_stays(world: World) -> None:
    images, copies, rules = world
    for going in plan_of(world).to_delete:
        pinned = [
            each.model_copy(update={"labels": {**each.labels, "pinned": ""}}) if each.id == going.image_id else each
            for each in images
        ]
        judged = {each.image_id: each for each in plan_cleanup(pinned, copies, rules, NOW).judgements}
        assert judged[going.image_id].verdict is Verdict.PROTECTED
        assert judged[going.image_id].may_make_room is False


@given(WORLDS)
def test_the_quota_after_the_plan_is_the_quota_of_the_world_after_it(world: World) -> None:
    images, copies, rules = world
    plan = plan_of(world)
    going = {each.image_id for each in plan.to_delete}

    after = plan_cleanup([each for each in images if each.id not in going], copies, rules, NOW).quota

    assert after == plan.quota_after
