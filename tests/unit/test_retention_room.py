"""Room before the ninth copy: what is deleted for it, and what is never given up."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop import DesktopImage
from image_pipeline.copies import State
from image_pipeline.retention import Plan, Verdict, make_room, plan_cleanup
from image_pipeline.room import Offer, fewest
from tests.unit.test_retention import GIB, NOW, copy_of, image, labelled, planned, policy


def full(images: list[DesktopImage], *, size: int = 2**40, **retention: Any) -> Plan:
    """A plan in which the images given are all that the quota allows."""
    return planned(images, policy(quota={"images": len(images), "bytes": size}, **retention))


def ids(plan: Plan, *, images: int = 1, size: int = 0) -> list[str]:
    return [judgement.image_id for judgement in make_room(plan, images_needed=images, bytes_needed=size)]


def by_age(*ages: float) -> list[DesktopImage]:
    return [image(f"i{age}", age=age) for age in ages]


def test_nothing_goes_while_the_copy_fits() -> None:
    plan = planned(by_age(10, 20, 30), policy(quota={"images": 4, "bytes": 80 * GIB}))

    assert plan.quota.fits(images=1, size=20 * GIB)
    assert ids(plan, images=1, size=20 * GIB) == []


def test_the_oldest_goes_for_the_ninth_copy() -> None:
    assert ids(full(by_age(10, 20, 30, 40))) == ["i40"]
    assert ids(full(by_age(10, 20, 30, 40)), images=2) == ["i40", "i30"]


def test_what_the_plan_lets_go_anyway_is_given_up_before_what_keep_last_holds() -> None:
    kept = by_age(100, 110)
    images = [*kept, *by_age(1, 2)]
    rows = [copy_of(each, family="archive" if each in kept else "win11") for each in images]
    rules = policy(keep_last=1, floor=1, quota={"images": 4, "bytes": 2**40})

    plan = plan_cleanup(images, rows, rules, NOW)

    assert {judgement.image_id for judgement in plan.to_delete} == {"i110", "i2"}
    assert ids(plan, images=2) == ["i110", "i2"]
    assert ids(plan, images=3) == []


def test_two_images_that_may_go_anyway_are_cheaper_than_one_that_keep_last_holds() -> None:
    sizes = {"i1": 20, "i10": 60, "i20": 20, "i30": 20}
    images = [image(name, age=float(name[1:]), storage_size=size * GIB) for name, size in sizes.items()]

    assert ids(full(images, size=120 * GIB, keep_last=2), images=0, size=40 * GIB) == ["i30", "i20"]
    assert ids(full(images, size=120 * GIB, keep_last=2), images=0, size=50 * GIB) == ["i10"]


def test_the_oldest_is_deleted_first_even_where_keep_last_held_it() -> None:
    archived = by_age(90, 100)
    images = [*archived, *by_age(1, 2, 3)]
    rows = [copy_of(each, family="archive" if each in archived else "win11") for each in images]

    plan = plan_cleanup(images, rows, policy(keep_last=2, quota={"images": 5, "bytes": 2**40}), NOW)

    assert ids(plan, images=2) == ["i100", "i3"]


def test_what_is_postponed_may_make_room_within_the_cap() -> None:
    images = [image("i1", age=1), image("i10", age=10, storage_size=60 * GIB), image("i20", age=20)]

    plan = full(images, size=100 * GIB, max_deletions=1)

    assert [judgement.image_id for judgement in plan.to_delete] == ["i20"]
    assert ids(plan, images=1, size=50 * GIB) == ["i10"]


def test_keep_last_gives_way_where_nothing_else_is_left() -> None:
    plan = full(by_age(10, 20, 30), keep_last=3)

    (going,) = make_room(plan, images_needed=1, bytes_needed=0)

    assert going.image_id == "i30"
    assert going.verdict is Verdict.DELETE
    assert going.reasons[-2:] == (
        "3rd newest of its family, within keep_last 3",
        "goes to make room: 1 images and 0.0 GiB are missing",
    )


def test_the_fewest_images_go_and_of_those_the_oldest() -> None:
    sizes = {"i1": 20, "i10": 60, "i20": 60, "i30": 20, "i40": 20}
    images = [image(name, age=float(name[1:]), storage_size=size * GIB) for name, size in sizes.items()]
    plan = full(images, size=180 * GIB)

    assert ids(plan, images=0, size=50 * GIB) == ["i20"]
    assert ids(plan, images=1, size=20 * GIB) == ["i40"]
    assert ids(plan, images=1, size=80 * GIB) == ["i40", "i20"]
    assert ids(plan, images=1, size=120 * GIB) == ["i20", "i10"]


def test_it_is_all_or_nothing() -> None:
    plan = full(by_age(10, 20, 30))

    assert ids(plan, images=2) == ["i30", "i20"]
    assert ids(plan, images=3) == []
    assert ids(plan, images=1, size=2**41) == []


def test_neither_pins_nor_floor_nor_newest_nor_minimum_age_nor_refusals_give_way() -> None:
    images = [
        image("newest", age=8),
        image("floor", age=9),
        image("pinned", age=50, labels={"pinned": ""}),
        image("until", age=50, labels={"keep-until": "2026-12-31"}),
        image("refused", age=50),
        image("young", age=3),
        image("by-label", age=60, labels=labelled()),
        image("foreign", age=900),
    ]
    rows = [copy_of(each) for each in images[:-2]]
    rows[4] = copy_of(images[4], retire_refused="busy")
    rows[5] = copy_of(images[5], source_created_at=images[6].created_at)

    plan = plan_cleanup(images, rows, policy(floor=2, min_age_days=7, quota={"images": 8, "bytes": 2**40}), NOW)

    assert [judgement.image_id for judgement in plan.judgements if judgement.may_make_room] == []
    assert ids(plan) == []


def test_no_more_of_a_route_go_than_its_cap() -> None:
    plan = full(by_age(10, 20, 30, 40), max_deletions=2)

    assert ids(plan, images=2) == ["i40", "i30"]
    assert ids(plan, images=3) == []
    assert ids(full(by_age(10, 20), max_deletions=0)) == []


def test_what_is_already_leaving_counts_as_room_to_come() -> None:
    """Two copies that wait for one place: the first one's deletion is under way, so the second deletes nothing."""
    images = by_age(10, 20, 30)
    rows = [copy_of(images[0]), copy_of(images[1]), copy_of(images[2], state=State.RETIRING)]

    plan = plan_cleanup(images, rows, policy(quota={"images": 3, "bytes": 60 * GIB}), NOW)

    assert not plan.quota.fits(images=1, size=0)
    assert ids(plan, images=1, size=20 * GIB) == []
    assert ids(plan, images=2) == ["i20"]
    assert ids(plan, images=1, size=40 * GIB) == ["i20"]


def test_a_quota_that_somebody_else_knows_better_can_be_put_in() -> None:
    plan = planned(by_age(10, 20), policy(quota={"images": 8, "bytes": 2**40}))
    known_better = replace(plan, quota=replace(plan.quota, images_used=8))

    assert ids(plan) == []
    assert ids(known_better) == ["i20"]


def test_a_limit_that_was_lowered_below_what_is_there() -> None:
    plan = planned(by_age(10, 20, 30, 40), policy(quota={"images": 2, "bytes": 2**40}))

    assert plan.quota.images_left == -2
    assert ids(plan, images=1) == ["i40", "i30", "i20"]


def test_the_size_of_the_ledger_counts_where_the_service_tells_none() -> None:
    images = [image("i10", age=10), image("i20", age=20, storage_size=0), image("i30", age=30, storage_size=0)]
    rows = [copy_of(images[0]), copy_of(images[1], storage_size=30 * GIB), copy_of(images[2])]

    plan = plan_cleanup(images, rows, policy(quota={"images": 8, "bytes": 50 * GIB}), NOW)

    assert (plan.quota.bytes_used, plan.quota.unknown_sizes) == (50 * GIB, 1)
    assert ids(plan, images=1, size=30 * GIB) == ["i20"]


@pytest.mark.parametrize(("images", "size"), [(-1, 0), (0, -1)])
def test_a_negative_need_is_refused(images: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"room for {images} images and {size} bytes: neither may be negative"):
        make_room(full(by_age(10)), images_needed=images, bytes_needed=size)


OFFERS = st.lists(st.builds(Offer, route=st.sampled_from("ab"), size=st.integers(0, 6)), max_size=7)


@given(OFFERS, st.integers(0, 4), st.integers(0, 15), st.integers(0, 4), st.integers(0, 4))
def test_the_fewest_are_those_that_trying_everything_finds(
    offers: list[Offer], images: int, size: int, cap_a: int, cap_b: int
) -> None:
    caps = {"a": cap_a, "b": cap_b}

    def enough(chosen: tuple[int, ...]) -> bool:
        taken = [offers[position] for position in chosen]
        within = all(sum(offer.route == route for offer in taken) <= cap for route, cap in caps.items())
        return within and len(taken) >= images and sum(offer.size for offer in taken) >= size

    choices = (chosen for count in range(len(offers) + 1) for chosen in combinations(range(len(offers)), count))

    assert fewest(offers, images=images, size=size, caps=caps) == next(filter(enough, choices), ())
