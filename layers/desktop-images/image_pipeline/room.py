"""A cleanup plan as data: counted, shown as JSON or as a table, and asked for room in the quota.

Pure. `retention` decides which images may go and writes the plan; it also exports everything here that others need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from image_pipeline.policy import Policy

GIB = 2**30


class Verdict(StrEnum):
    """What is to happen to an image; the strongest finding about it decides. Listed from the strongest down."""

    FOREIGN = "foreign"
    NOT_READY = "not ready"
    PROTECTED = "protected"
    KEEP = "keep"
    POSTPONED = "postponed"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One desktop image, its verdict, and every reason for and against, each with its rule and numbers."""

    image_id: str
    folder_id: str
    name: str
    route: str | None
    family: str
    source_image_id: str | None
    source_created_at: datetime | None
    status: str
    created_at: datetime | None
    active_at: datetime | None
    storage_size: int | None
    """Bytes; None where neither the service nor the ledger knows."""
    verdict: Verdict
    reasons: tuple[str, ...]
    may_make_room: bool = False
    """Whether it may go for a copy that does not fit: nothing but keep_last or the cap stands against it."""

    @property
    def version_at(self) -> datetime | None:
        """When what the image holds was made; the newest of a family is the one with the latest."""
        return version_at(self.created_at, self.source_created_at)


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """The cloud's quota as one plan sees it: the quota is per cloud, the plan sees the folders it was given.

    What is being deleted (`leaving`) still counts as used until it is gone. An image that does not tell its size counts
    as an image and as no bytes; `unknown_sizes` says how many there are.
    """

    images_limit: int
    bytes_limit: int
    images_used: int
    bytes_used: int
    images_leaving: int = 0
    bytes_leaving: int = 0
    unknown_sizes: int = 0

    @property
    def images_left(self) -> int:
        """Images that still fit; negative where the limit is exceeded."""
        return self.images_limit - self.images_used

    @property
    def bytes_left(self) -> int:
        """Bytes that still fit; negative where the limit is exceeded."""
        return self.bytes_limit - self.bytes_used

    def fits(self, *, images: int, size: int) -> bool:
        """Whether so many images of so many bytes together fit now, before anything else is gone.

        >>> use = QuotaUse(images_limit=8, bytes_limit=100, images_used=7, bytes_used=90)
        >>> use.fits(images=1, size=10), use.fits(images=1, size=11), use.fits(images=2, size=0)
        (True, False, False)
        """
        return images <= self.images_left and size <= self.bytes_left


@dataclass(frozen=True, slots=True)
class Plan:
    """The judgement of every image, ordered by folder, route and family, the newest first, then by id."""

    judgements: tuple[Judgement, ...]
    made_at: datetime
    policy: Policy = field(repr=False)
    quota: QuotaUse
    """As seen in the images given; `dataclasses.replace` it where Quota Manager knows better."""

    @property
    def to_delete(self) -> tuple[Judgement, ...]:
        """What is to be deleted, the oldest first."""
        return oldest_first(judgement for judgement in self.judgements if judgement.verdict is Verdict.DELETE)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many images have each verdict; no verdict is left out."""
        counted = Counter(judgement.verdict for judgement in self.judgements)
        return {verdict: counted[verdict] for verdict in reversed(Verdict)}

    @property
    def freed_bytes(self) -> int:
        """Bytes that the deletions are known to free."""
        return sum(j.storage_size or 0 for j in self.judgements if j.verdict is Verdict.DELETE)

    @property
    def quota_after(self) -> QuotaUse:
        """The quota once the plan is carried out."""
        going, quota = self.to_delete, self.quota
        return replace(
            quota,
            images_used=quota.images_used - len(going),
            bytes_used=quota.bytes_used - self.freed_bytes,
            unknown_sizes=quota.unknown_sizes - sum(judgement.storage_size is None for judgement in going),
        )

    @property
    def summary(self) -> str:
        """The plan in one line; one that saw nothing, or nothing of ours, says so rather than look like a good run."""
        counts, total = self.counts, len(self.judgements)
        if not total:
            folders = ", ".join(self.policy.target_folders) or "none, because the policy has no route"
            return f"no desktop image was found, so nothing is planned; target folders: {folders}"
        if counts[Verdict.FOREIGN] == total:
            return f"none of the {total} desktop images found was made by this pipeline, so none may go"
        others = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if verdict is not Verdict.DELETE)
        return f"{counts[Verdict.DELETE]} of {total} to delete, which frees {gib(self.freed_bytes)}; {others}"


def version_at(created_at: datetime | None, source_created_at: datetime | None) -> datetime | None:
    """Return when what an image holds was made: its source, which cannot be younger than the copy, or else itself."""
    return min(created_at, source_created_at or created_at) if created_at else None


def oldest_first(judgements: Iterable[Judgement]) -> tuple[Judgement, ...]:
    """Return the judgements of images of known age in the order in which they should go."""
    newest_first = sorted(judgements, key=lambda judgement: judgement.image_id)
    newest_first.sort(key=lambda judgement: (judgement.version_at, judgement.created_at), reverse=True)
    return tuple(reversed(newest_first))


def gib(size: int) -> str:
    """Return the bytes as text.

    >>> gib(20 * GIB), gib(0)
    ('20.0 GiB', '0.0 GiB')
    """
    return f"{size / GIB:.1f} GiB"


def plan_answer(plan: Plan) -> dict[str, Any]:
    """Return the plan as the HTTP API shows it: ready for JSON, fields of an image absent where unknown."""
    quota, after = plan.quota, plan.quota_after
    return {
        "madeAt": _instant(plan.made_at),
        "cleanup": plan.policy.cleanup,
        "summary": plan.summary,
        "counts": {verdict.value: count for verdict, count in plan.counts.items()},
        "freedBytes": plan.freed_bytes,
        "quota": {
            "images": {
                "limit": quota.images_limit,
                "used": quota.images_used,
                "leaving": quota.images_leaving,
                "remaining": quota.images_left,
                "remainingAfter": after.images_left,
            },
            "bytes": {
                "limit": quota.bytes_limit,
                "used": quota.bytes_used,
                "leaving": quota.bytes_leaving,
                "remaining": quota.bytes_left,
                "remainingAfter": after.bytes_left,
            },
            "imagesOfUnknownSize": quota.unknown_sizes,
        },
        "images": [_image_answer(judgement) for judgement in plan.judgements],
    }


def _image_answer(judgement: Judgement) -> dict[str, Any]:
    shown = {
        "imageId": judgement.image_id,
        "folderId": judgement.folder_id,
        "name": judgement.name,
        "route": judgement.route,
        "family": judgement.family or None,
        "sourceImageId": judgement.source_image_id,
        "sourceCreatedAt": _instant(judgement.source_created_at),
        "status": judgement.status,
        "createdAt": _instant(judgement.created_at),
        "activeAt": _instant(judgement.active_at),
        "storageSize": judgement.storage_size,
        "verdict": judgement.verdict.value,
        "reasons": list(judgement.reasons),
    }
    return {key: value for key, value in shown.items() if value is not None}


def plan_table(plan: Plan) -> str:
    """Return the plan as text: a summary, the quota, and one line for each image, which ends in its reasons."""
    quota, after = plan.quota, plan.quota_after
    lines = [
        f"cleanup plan of {_instant(plan.made_at)} (cleanup: {plan.policy.cleanup}): {plan.summary}",
        f"images: {quota.images_used} of {quota.images_limit} there, {quota.images_left} left, "
        f"{after.images_left} after this plan",
        f"storage: {gib(quota.bytes_used)} of {gib(quota.bytes_limit)} there, {gib(quota.bytes_left)} left, "
        f"{gib(after.bytes_left)} after this plan; {quota.unknown_sizes} images do not tell their size",
    ]
    if plan.judgements:
        rows = [_COLUMNS, *(_cells(judgement) for judgement in plan.judgements)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths[:-1], strict=False)) for row in rows)
        lines += ["", *(f"{start}  {row[-1]}" for start, row in zip(padded, rows, strict=True))]
    return "\n".join(lines) + "\n"


_COLUMNS = ("VERDICT", "FOLDER", "ROUTE", "FAMILY", "IMAGE", "NAME", "SIZE", "REASONS")


def _cells(judgement: Judgement) -> tuple[str, ...]:
    """Return the line's cells; a name may hold anything, so what cannot be printed is shown as `?`."""
    cells = (
        judgement.verdict.value,
        judgement.folder_id,
        judgement.route or "-",
        judgement.family or "-",
        judgement.image_id,
        judgement.name or "-",
        "?" if judgement.storage_size is None else gib(judgement.storage_size),
        "; ".join(judgement.reasons),
    )
    return tuple("".join(char if char.isprintable() else "?" for char in cell) for cell in cells)


def _instant(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def make_room(plan: Plan, *, images_needed: int, bytes_needed: int) -> tuple[Judgement, ...]:
    """Return the deletions that make so many images and bytes fit; empty if they fit already, or if not enough may go.

    What the plan lets go anyway is tried first; where that is not enough, `keep_last` gives way. Nothing else does: no
    pin, not the newest, not the floor, not the minimum age, no image that only its label makes ours, and no more of a
    route than its `max_deletions`. The fewest images, and of those the oldest.

    What is being deleted already counts as room to come, so that two copies that wait for the last place do not both
    delete: where nothing is returned and `quota.fits` says no, wait.

    Raises:
        ValueError: a need is negative.
    """
    if images_needed < 0 or bytes_needed < 0:
        raise ValueError(f"room for {images_needed} images and {bytes_needed} bytes: neither may be negative")
    images = max(0, images_needed - plan.quota.images_left - plan.quota.images_leaving)
    size = max(0, bytes_needed - plan.quota.bytes_left - plan.quota.bytes_leaving)
    if not images and not size:
        return ()
    allowed = oldest_first(judgement for judgement in plan.judgements if judgement.may_make_room)
    expendable = [judgement for judgement in allowed if judgement.verdict is not Verdict.KEEP]
    kept = [judgement for judgement in allowed if judgement.verdict is Verdict.KEEP]
    caps = {route.name: route.retention.max_deletions for route in plan.policy.routes}
    reason = f"goes to make room: {images} images and {gib(size)} are missing"
    for pool in (expendable, expendable + kept):
        offers = [Offer(judgement.route or "", judgement.storage_size or 0) for judgement in pool]
        if chosen := fewest(offers, images=images, size=size, caps=caps):
            going = oldest_first(pool[position] for position in chosen)
            return tuple(replace(each, verdict=Verdict.DELETE, reasons=(*each.reasons, reason)) for each in going)
    return ()


class Offer(NamedTuple):
    """An image that may go: its route, and the bytes that this frees."""

    route: str
    size: int


def fewest(offers: Sequence[Offer], *, images: int, size: int, caps: Mapping[str, int]) -> tuple[int, ...]:
    """Return the positions of the fewest offers that free so many images and bytes; empty if no choice does.

    No more than `caps` of a route are taken. Among equally small choices the one that takes the earlier offers wins, so
    the caller states its preference by the order.

    >>> offers = [Offer("office", 20), Offer("office", 60), Offer("cad", 40)]
    >>> [fewest(offers, images=1, size=size, caps={"office": 1, "cad": 1}) for size in (0, 50, 70, 200)]
    [(0,), (1,), (1, 2), ()]
    """
    largest_first = sorted(range(len(offers)), key=lambda position: -offers[position].size)
    count = _least(offers, largest_first, images=images, size=size, caps=caps, most=len(offers))
    chosen: set[int] = set()
    caps = dict(caps)
    for position, offer in enumerate(offers):
        if not count:
            break
        if caps[offer.route] < 1:
            continue
        caps[offer.route] -= 1
        rest = (other for other in largest_first if other != position and other not in chosen)
        needed = size - offer.size
        if _least(offers, rest, images=count - 1, size=needed, caps=caps, most=count - 1) is None:
            caps[offer.route] += 1  # with this one among them, so few cannot be enough
            continue
        chosen.add(position)
        size = needed
        count -= 1
    return tuple(sorted(chosen))


def _least(
    offers: Sequence[Offer], largest_first: Iterable[int], *, images: int, size: int, caps: Mapping[str, int], most: int
) -> int | None:
    """Return how few offers free so much, the largest being taken first; None if `most` of them do not."""
    room = dict(caps)
    count = freed = 0
    for position in largest_first:
        if count == most or (count >= images and freed >= size):
            break
        offer = offers[position]
        if room[offer.route] > 0:
            room[offer.route] -= 1
            count += 1
            freed += offer.size
    return count if count >= images and freed >= size else None
