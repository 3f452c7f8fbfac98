"""Five thousand images, three routes: the sweep selects right, and asks for no more than it must."""

from __future__ import annotations

import random

from tests.rig.pipeline import Rig, policy_json

IMAGES = 5000
LIST_COMPUTE = "GET /compute/v1/images"
LIST_DESKTOP = "GET /cloud-desktop/v1/images"
COPY = "POST /cloud-desktop/v1/images:copy"


def routes() -> list[dict[str, object]]:
    return [
        {
            "name": "windows",
            "source": {"folder_id": "b1ggolden", "family": "win*", "labels": {"cloud-desktop": "true"}},
            "target": {"folder_id": "b1gone"},
        },
        {
            "name": "all-releases",
            "source": {"folder_id": "b1ggolden", "name": "*-release"},
            "target": {"folder_id": "b1gtwo"},
        },
        {"name": "lab", "source": {"folder_id": "b1glab", "family": "lab-?"}, "target": {"folder_id": "b1gone"}},
    ]


def test_a_sweep_over_5000_images_selects_right_and_calls_once_a_page_and_once_a_copy() -> None:
    chance = random.Random(7)  # noqa: S311 - a fixed draw
    quota = {"images": 10 * IMAGES, "bytes": 2**60}
    rig = Rig(
        policy=policy_json(routes=routes(), quota=quota),
        world={"quota_images": 10 * IMAGES, "quota_bytes": 2**60, "max_active_operations": 10 * IMAGES},
    )
    expected: set[tuple[str, str]] = set()
    for number in range(IMAGES):
        folder = chance.choice(["b1ggolden", "b1glab"])
        family = chance.choice(["win10", "win11", "ubuntu", "lab-a", "lab-bb", ""])
        suffix = chance.choice(["-release", "-rc"])
        labels = chance.choice([{}, {"cloud-desktop": "true"}, {"cloud-desktop": "no"}])
        image_id = rig.add_image(folder_id=folder, family=family, name=f"i{number}{suffix}", labels=labels)
        # The policy, computed without the code under test.
        if folder == "b1ggolden" and family.startswith("win") and labels == {"cloud-desktop": "true"}:
            expected.add(("b1gone", image_id))
        if folder == "b1ggolden" and suffix == "-release":
            expected.add(("b1gtwo", image_id))
        if folder == "b1glab" and family == "lab-a":
            expected.add(("b1gone", image_id))

    report = rig.sweep()

    assert {copy.key for copy in report.started} == expected
    assert report.selected == len(expected)
    assert report.seen == IMAGES
    pages = rig.world.calls[LIST_COMPUTE] + rig.world.calls[LIST_DESKTOP]
    assert rig.world.calls[COPY] == len(expected)
    assert pages <= 2 * 4 + 2, "1000 images a page in two source folders; two target folders"
    looks_at_system_images = rig.world.calls["GET /cloud-desktop/v1/images/{imageId}"]
    assert looks_at_system_images <= 4, "labels of images not known yet, once"
    assert sum(rig.world.calls.values()) == pages + len(expected) + looks_at_system_images

    before = rig.world.calls.copy()
    again = rig.sweep()

    assert (again.started, again.already_there) == ([], len(expected))
    assert sum((rig.world.calls - before).values()) <= pages + 4, "images being copied now fill a page more"
