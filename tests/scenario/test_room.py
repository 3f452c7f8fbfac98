"""Room before the ninth copy: checked, made where the rules allow it, waited for where they do not."""

from __future__ import annotations

import pytest

from image_pipeline.copies import State
from tests.rig.pipeline import SOURCE, TARGET, Rig, policy_json

COPY = "POST /cloud-desktop/v1/images:copy"


def small_quota(cleanup: str, *, images: int = 2, min_age_days: float = 7) -> str:
    route = {
        "name": "office",
        "source": {"folder_id": SOURCE, "family": "win11-*"},
        "target": {"folder_id": TARGET},
        "retention": {"keep_last": 1, "min_age_days": min_age_days},
    }
    return policy_json(routes=[route], cleanup=cleanup, quota={"images": images})


def full_rig(cleanup: str) -> tuple[Rig, list[str]]:
    """A rig whose quota of two is full with images of ten and nine days."""
    rig = Rig(policy=small_quota(cleanup), world={"quota_images": 2})
    images = []
    for name in ("win11-1", "win11-2"):
        images.append(rig.add_image(name=name))
        rig.take(images[-1])
        rig.settle()
        rig.clock.advance(days=1)
    rig.clock.advance(days=8)
    return rig, images


def test_the_oldest_is_retired_and_the_copy_follows() -> None:
    rig, [oldest, newer] = full_rig("apply")
    fresh = rig.add_image(name="win11-3")

    rig.take(fresh)
    waiting = rig.row(fresh)
    rig.settle()

    assert waiting.state is State.WAITING_FOR_ROOM
    assert waiting.reason.startswith("no room: 2 of 2 images; win11-1")
    assert rig.row(oldest).state is State.RETIRED
    assert rig.row(newer).state is State.ACTIVE
    assert rig.row(fresh).state is State.ACTIVE
    assert rig.world.calls[COPY] == 3, "no copy was asked for that could not be had"
    assert [n["state"] for n in rig.mailbox.notices[2:]] == ["WAITING_FOR_ROOM", "RETIRED", "ACTIVE"]


def test_under_plan_the_copy_waits_and_starts_by_itself_once_there_is_room() -> None:
    rig, [oldest, newer] = full_rig("plan")
    fresh = rig.add_image(name="win11-3")
    rig.take(fresh)
    begun = rig.row(fresh)
    calls = rig.world.calls.copy()
    for _ in range(20):
        rig.deliver_next()
    waiting = rig.row(fresh)
    assert rig.world.calls == calls, "waiting costs the cloud nothing"
    rig.world.remove_desktop_image(rig.row(oldest).desktop_image_id or "")
    rig.ledger.replace(
        rig.row(oldest).model_copy(update={"state": State.LOST, "version": 99}),
        expected_version=rig.row(oldest).version,
    )

    rig.settle()

    assert waiting.state is State.WAITING_FOR_ROOM
    assert begun.reason == 'no room: 2 of 2 images; win11-1-5b7xkpqc could go, but the policy says "cleanup": "plan"'
    assert waiting.reason == "no room: 2 of 2 images; the cleanup plan says what could go"
    assert rig.row(newer).state is State.ACTIVE
    assert rig.row(fresh).state is State.ACTIVE
    assert rig.world.calls["DELETE /cloud-desktop/v1/images/{imageId}"] == 0
    assert sum(n["state"] == "WAITING_FOR_ROOM" for n in rig.mailbox.notices) == 1


def test_two_copies_that_race_for_the_last_place_do_not_both_delete() -> None:
    rig = Rig(policy=small_quota("apply", images=3, min_age_days=1), world={"quota_images": 3})
    for number in range(3):
        rig.take(rig.add_image(name=f"win11-{number}"))
        rig.settle()
        rig.clock.advance(days=2)
    first, second = rig.add_image(name="win11-a"), rig.add_image(name="win11-b")

    rig.take(first)
    rig.take(second)

    assert sum(row.state is State.RETIRING for row in rig.ledger.copies()) == 1
    rig.settle(most=3000)
    assert rig.row(first).state is State.ACTIVE
    assert rig.row(second).state is State.ACTIVE
    assert len(rig.world.desktop_images(TARGET)) == 3


@pytest.mark.parametrize("cleanup", ["apply", "plan"])
def test_a_refusal_of_the_service_takes_the_same_path(cleanup: str) -> None:
    """Images of others fill the quota, which the ledger cannot know."""
    rig = Rig(policy=small_quota(cleanup, images=3, min_age_days=1), world={"quota_images": 3})
    olds = [rig.add_image(name="win11-1"), rig.add_image(name="win11-2")]
    for image_id in olds:
        rig.take(image_id)
        rig.settle()
    rig.world.add_desktop_image(folder_id="b1gelsewhere", name="by hand")
    rig.clock.advance(days=3)
    fresh = rig.add_image(name="win11-3")

    rig.take(fresh)
    assert rig.row(fresh).state is State.WAITING_FOR_ROOM
    if cleanup == "apply":
        rig.settle()
        assert rig.row(fresh).state is State.ACTIVE
        assert [rig.row(image_id).state for image_id in olds] == [State.RETIRED, State.ACTIVE]
    else:
        for _ in range(5):
            rig.deliver_next()
        assert rig.row(fresh).state is State.WAITING_FOR_ROOM
        assert all(rig.row(image_id).state is State.ACTIVE for image_id in olds)


def test_nothing_younger_than_the_minimum_age_goes_for_a_copy() -> None:
    rig = Rig(policy=small_quota("apply"), world={"quota_images": 2})
    for name in ("win11-1", "win11-2"):
        rig.take(rig.add_image(name=name))
        rig.settle()
    fresh = rig.add_image(name="win11-3")

    rig.take(fresh)

    assert rig.row(fresh).reason == "no room: 2 of 2 images; the rules let no image go for it"
    assert len(rig.world.desktop_images(TARGET)) == 2


def test_quota_manager_is_asked_where_the_policy_names_a_cloud() -> None:
    policy = policy_json(quota={"cloud_id": "b1gcloud", "images": 8})
    rig = Rig(policy=policy, world={"quota_images": 0})
    image_id = rig.add_image()

    rig.take(image_id)

    assert rig.row(image_id).reason == "no room: 0 of 0 images; the rules let no image go for it"
    assert rig.world.calls[COPY] == 0
