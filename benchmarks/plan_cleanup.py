"""How long the plan for 100,000 desktop images takes, what memory it needs, and what its care costs.

    python -m benchmarks.plan_cleanup

Compared with the simplest thing that a user would write: group, sort by age, slice, look at the age. Exit status 1 if a
plan takes two seconds or more, or if four times the images need clearly more than four times the memory.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cloud_desktop import ComputeImage, DesktopImage
from image_pipeline.copies import Copy, State
from image_pipeline.naming import provenance
from image_pipeline.policy import Policy
from image_pipeline.retention import plan_cleanup

NOW = datetime(2026, 8, 1, tzinfo=UTC)
MANY, FEW = 100_000, 25_000
ROUNDS = 3
SECONDS_ALLOWED = 2.0
GROWTH_ALLOWED = 1.1
"""Bytes per image with many images, over the same with few; 1.0 is linear."""
KEEP_LAST = 5
MIN_AGE = timedelta(days=7)

World = tuple[list[DesktopImage], list[Copy]]


def policy(routes: int = 4) -> Policy:
    retention = {
        "keep_last": KEEP_LAST,
        "min_age_days": MIN_AGE.days,
        "max_deletions": 1000,
        "pinned": ["golden-*", "fd8pinned", "*-keep", "legacy-?", "vip-*"],
    }
    names = [f"route-{number}" for number in range(routes)]
    return Policy.model_validate(
        {
            "routes": [
                {
                    "name": name,
                    "source": {"folder_id": "source"},
                    "target": {"folder_id": f"target-of-{name}"},
                    "retention": retention,
                }
                for name in names
            ]
        }
    )


def world(count: int, *, families: int) -> World:
    """Return so many images in four folders. Of ten, seven are in the ledger, two ours by label, and one is foreign."""
    images, copies = [], []
    for number in range(count):
        route, tenth = f"route-{number % 4}", number % 10
        source = ComputeImage(id=f"source-{number}", family=f"family-{number % families}")
        image = DesktopImage(
            id=f"image-{number:06}",
            folder_id=f"target-of-{route}",
            created_at=NOW - timedelta(minutes=7 * (number * 7919 % count)),
            status="ACTIVE",
            name=f"{source.family}-{number}",
            labels={} if tenth == 9 else provenance(source, route=route, labels={"channel": "stable"}),
            storage_size=20 * 2**30,
        )
        images.append(image)
        if tenth < 7:
            copies.append(row(image, source, route))
    return images, copies


def row(image: DesktopImage, source: ComputeImage, route: str) -> Copy:
    made = image.created_at or NOW
    return Copy(
        folder_id=image.folder_id,
        image_id=source.id,
        route=route,
        family=source.family,
        name=image.name,
        state=State.ACTIVE,
        reason="the image is ACTIVE",
        desktop_image_id=image.id,
        created_at=made,
        updated_at=made,
        since=made,
        source_created_at=made - timedelta(hours=1),
        active_at=made + timedelta(minutes=30),
        deadline_seconds=3600,
    )


def simplest(images: list[DesktopImage]) -> list[DesktopImage]:
    """What a user would write first: no ledger, no pins, no floor, no cap, no reasons."""
    groups = defaultdict(list)
    for image in images:
        groups[image.labels.get("route"), image.labels.get("source-family")].append(image)
    going = []
    for members in groups.values():
        members.sort(key=lambda image: image.created_at or NOW, reverse=True)
        going += [image for image in members[KEEP_LAST:] if NOW - (image.created_at or NOW) > MIN_AGE]
    return going


def best_seconds(work: Callable[[], object]) -> float:
    """Return the shortest of a few rounds, in CPU seconds: what else the machine does shall not count."""
    return min(_seconds(work) for _ in range(ROUNDS))


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def bytes_per_image(of: World) -> tuple[float, float]:
    """Return what a plan holds and what making it needs at most: bytes per image, the images themselves not counted."""
    images, copies = of
    rules = policy()
    gc.collect()
    tracemalloc.start()
    plan = plan_cleanup(images, copies, rules, NOW)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / len(plan.judgements), peak / len(plan.judgements)


def main(many: int = MANY, few: int = FEW) -> int:
    rules, slowest = policy(), 0.0
    for families in (many // 100, 1):
        images, copies = world(many, families=families)
        plan = plan_cleanup(images, copies, rules, NOW)
        ours = best_seconds(lambda: plan_cleanup(images, copies, rules, NOW))  # noqa: B023 - called at once
        naive = best_seconds(lambda: simplest(images))  # noqa: B023 - called at once
        slowest = max(slowest, ours)
        counts = ", ".join(f"{count:,} {verdict}" for verdict, count in plan.counts.items())
        print(f"{many:,} images, {families:,} families: {ours:.2f} s ({ours / many * 1e6:.1f} us an image); {counts}")
        print(
            f"  sort by age and slice: {naive:.2f} s, so the plan with its reasons costs {ours / naive:.1f} times that"
        )
    (held, peak), (held_few, peak_few) = (bytes_per_image(world(n, families=n // 100)) for n in (many, few))
    print(f"memory: {held:,.0f} bytes an image held, {peak:,.0f} at most, with {many:,} images")
    print(f"        {held_few:,.0f} bytes an image held, {peak_few:,.0f} at most, with {few:,} images")
    growth = max(held / held_few, peak / peak_few)
    met = slowest < SECONDS_ALLOWED and growth <= GROWTH_ALLOWED
    print(
        f"{'met' if met else 'MISSED'}: {slowest:.2f} s of {SECONDS_ALLOWED} s, growth {growth:.2f} of {GROWTH_ALLOWED}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
