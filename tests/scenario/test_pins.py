"""A pinned image stays, whatever the plan says; with and without a region that takes labels."""

from __future__ import annotations

import pytest

from cloud_desktop import CloudDesktopError
from image_pipeline.copies import State
from image_pipeline.pins import NoSuchCopyError, set_pin
from local.emulator.faults import Fault
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json

UPDATE = "PATCH images/{imageId}"


@pytest.fixture
def rig() -> Rig:
    route = {
        "name": "office",
        "source": {"folder_id": SOURCE},
        "target": {"folder_id": TARGET},
        "retention": {"keep_last": 1, "min_age_days": 1},
    }
    rig = Rig(policy=policy_json(routes=[route], cleanup="apply"))
    for number in range(2):
        rig.take(rig.add_image(name=f"win11-{number}"))
        rig.settle()
        rig.clock.advance(days=2)
    return rig


def oldest(rig: Rig) -> str:
    return min(rig.ledger.copies(), key=lambda row: row.created_at).image_id


def labels(rig: Rig, image_id: str) -> dict[str, str]:
    return dict(rig.adapters.cloud.desktop_images.get(rig.row(image_id).desktop_image_id or "").labels)


def test_a_pinned_image_stays_and_says_so_in_its_labels(rig: Rig) -> None:
    image_id = oldest(rig)
    before = labels(rig, image_id)

    set_pin(rig.adapters, TARGET, image_id, pinned=True)
    rig.clock.advance(10)
    report = rig.clean_up()
    rig.settle()

    assert report.retired == ()
    assert rig.row(image_id).state is State.ACTIVE
    assert labels(rig, image_id) == {**before, "pinned": "true"}


def test_unpinned_it_may_go_again(rig: Rig) -> None:
    image_id = oldest(rig)
    set_pin(rig.adapters, TARGET, image_id, pinned=True)
    rig.clock.advance(10)

    set_pin(rig.adapters, TARGET, image_id, pinned=False)
    rig.clock.advance(10)
    assert "pinned" not in labels(rig, image_id)
    rig.clean_up()
    rig.settle()

    assert rig.row(image_id).state is State.RETIRED


def test_where_the_region_takes_no_labels_the_ledger_is_enough(rig: Rig) -> None:
    image_id = oldest(rig)
    rig.faults.add(Fault(kind="forbidden", route=UPDATE, times=10))

    assert set_pin(rig.adapters, TARGET, image_id, pinned=True).pinned
    rig.clean_up()
    rig.settle()

    assert rig.row(image_id).state is State.ACTIVE
    assert any(line["event"] == "pin_without_label" for line in rig.record.lines)


def test_a_pin_that_cannot_be_taken_off_is_said_to_be_still_there(rig: Rig) -> None:
    image_id = oldest(rig)
    set_pin(rig.adapters, TARGET, image_id, pinned=True)
    rig.clock.advance(10)
    rig.faults.add(Fault(kind="forbidden", route=UPDATE, times=10))

    with pytest.raises(CloudDesktopError):
        set_pin(rig.adapters, TARGET, image_id, pinned=False)

    assert rig.row(image_id).pinned


def test_repeating_it_changes_nothing(rig: Rig) -> None:
    image_id = oldest(rig)
    set_pin(rig.adapters, TARGET, image_id, pinned=True)
    rig.clock.advance(10)
    row, calls = rig.row(image_id), rig.world.calls.copy()

    set_pin(rig.adapters, TARGET, image_id, pinned=True)

    assert rig.row(image_id) == row
    assert not any(call.startswith("PATCH") for call in rig.world.calls - calls)


def test_a_copy_that_is_not_there_cannot_be_pinned(rig: Rig) -> None:
    with pytest.raises(NoSuchCopyError, match="there is no copy of image fd8none in folder b1gtarget"):
        set_pin(rig.adapters, TARGET, "fd8none", pinned=True)
