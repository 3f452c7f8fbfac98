"""Is there room for one more desktop image, and if not, may some be made?

The quota known to the policy (or told by Quota Manager) is checked against the ledger before a copy is submitted.
Where it is full, or the service has just said so, the cleanup plan is asked for the fewest deletions its rules allow;
they are made only where the policy says `apply`. Of all copies that wait, the one that has waited longest makes room,
so two that race for the last place do not both delete for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cloud_desktop import CloudDesktopError, OutOfTimeError
from image_pipeline import occupancy
from image_pipeline.adapters import Adapters
from image_pipeline.copies import Copy, State
from image_pipeline.planning import make_plan, mark_for_deletion
from image_pipeline.retention import Plan, QuotaUse, make_room
from image_pipeline.state_machine import RoomSeen

IMAGES_QUOTA = "vdi.desktopImages.count"
SIZE_QUOTA = "vdi.desktopImages.size"
_ROOM = RoomSeen(fits=True, reason="")


def check_room(adapters: Adapters, copy: Copy) -> RoomSeen:
    """Return whether the copy fits, having made room for it where it does not and the rules allow that.

    Advisory: the service has the last word, and its refusal leads back here with `quota_refused` set. The cloud is only
    asked where the policy names a cloud to ask Quota Manager about, when a wait begins, and by the copy that may make
    room; however many wait, they do so on the ledger.
    """
    quota = _quota(adapters)
    if not copy.quota_refused and quota.fits(images=1, size=occupancy.size(copy)):
        return _ROOM
    rows = adapters.ledger.snapshot().rows.values()
    full = _full(quota, copy)
    if leaving := sum(row.state is State.RETIRING for row in rows):
        return RoomSeen(fits=False, reason=f"{full}; {leaving} being deleted")
    if copy.state is State.WAITING_FOR_ROOM and not copy.quota_refused and adapters.policy().cleanup != "apply":
        return RoomSeen(fits=False, reason=f"{full}; the cleanup plan says what could go")
    if not _is_first_in_line(adapters, copy, rows):
        return RoomSeen(fits=False, reason=f"{full}; another copy has waited longer and goes first")
    try:
        plan = _full_plan(adapters, copy, quota)
    except OutOfTimeError:
        raise
    except CloudDesktopError as error:
        return RoomSeen(fits=False, reason=f"{full}, and the folders cannot be read to make some: {error}")
    if plan.quota.fits(images=1, size=occupancy.size(copy)):
        return _ROOM
    return RoomSeen(fits=False, reason=_make_room(adapters, copy, plan))


def _quota(adapters: Adapters) -> QuotaUse:
    quota = adapters.policy().quota
    used = adapters.ledger.snapshot().occupancy
    known = QuotaUse(quota.images, quota.bytes, images_used=used.images, bytes_used=used.bytes)
    return _told(adapters, quota.cloud_id, known) if quota.cloud_id else known


def _told(adapters: Adapters, cloud_id: str, known: QuotaUse) -> QuotaUse:
    """Return what Quota Manager says. It is a preview API and its usage may lag, so a failure of it changes nothing."""
    try:
        images = adapters.cloud.quotas.get(IMAGES_QUOTA, cloud_id=cloud_id)
        size = adapters.cloud.quotas.get(SIZE_QUOTA, cloud_id=cloud_id)
    except OutOfTimeError:
        raise
    except CloudDesktopError as error:
        adapters.telemetry.warn("quota_unknown", error=str(error))
        return known
    return QuotaUse(
        images_limit=known.images_limit if images.limit is None else int(images.limit),
        bytes_limit=known.bytes_limit if size.limit is None else int(size.limit),
        images_used=max(known.images_used, int(images.usage or 0)),
        bytes_used=max(known.bytes_used, int(size.usage or 0)),
    )


def _full_plan(adapters: Adapters, copy: Copy, told: QuotaUse) -> Plan:
    """Return the plan with the quota as it is best known: a refusal of the service outweighs every count of ours."""
    plan = make_plan(adapters)
    seen = plan.quota
    best = replace(
        seen,
        images_limit=told.images_limit,
        bytes_limit=told.bytes_limit,
        images_used=max(seen.images_used, told.images_used) if copy.quota_refused else seen.images_used,
        bytes_used=max(seen.bytes_used, told.bytes_used) if copy.quota_refused else seen.bytes_used,
    )
    if copy.quota_refused:
        best = replace(best, images_used=max(best.images_used, best.images_limit))
    return replace(plan, quota=best)


def _make_room(adapters: Adapters, copy: Copy, plan: Plan) -> str:
    full = _full(plan.quota, copy)
    going = make_room(plan, images_needed=1, bytes_needed=occupancy.size(copy))
    if not going:
        return f"{full}; the rules let no image go for it"
    names = ", ".join(judgement.name or judgement.image_id for judgement in going)
    if plan.policy.cleanup != "apply":
        return f'{full}; {names} could go, but the policy says "cleanup": "plan"'
    retired = [each for each in going if mark_for_deletion(adapters, each, wake=True) is not None]
    return f"{full}; {names} being deleted" if retired else f"{full}; {names} changed while being judged"


def _full(quota: QuotaUse, copy: Copy) -> str:
    full = f"no room: {quota.images_used} of {quota.images_limit} images"
    if quota.bytes_left < occupancy.size(copy):
        full += f", {quota.bytes_left} of {quota.bytes_limit} bytes left for {occupancy.size(copy)}"
    return full


def _is_first_in_line(adapters: Adapters, copy: Copy, rows: Iterable[Copy]) -> bool:
    waiting = [row for row in rows if row.state is State.WAITING_FOR_ROOM and row.key != copy.key]
    mine = (copy.since if copy.state is State.WAITING_FOR_ROOM else adapters.clock(), copy.key)
    return all(mine < (row.since, row.key) for row in waiting)
