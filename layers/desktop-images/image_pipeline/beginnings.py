"""The transitions that somebody decides on, as opposed to those that an observation brings about. Pure.

An event or a request begins a copy, an administrator asks for a failed one again, a plan retires an ACTIVE one, a sweep
adopts an image that has no row and notes one that has vanished.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cloud_desktop import ComputeImage, DesktopImage
from image_pipeline import naming, schedule
from image_pipeline.copies import Copy, State, Step
from image_pipeline.policy import Route


def begin(
    image: ComputeImage, now: datetime, *, route: Route | None, folder_id: str | None = None, name: str | None = None
) -> Copy:
    """Return the copy of the image as it starts: to be submitted if the source is READY, else waiting for that.

    `folder_id` and `name` are what a caller asked for; where they are left out the route gives them.

    Raises:
        ValueError: neither the caller nor the route names the folder.
    """
    folder = folder_id or (route.target.folder_id if route else None)
    if not folder:
        raise ValueError(f"no folder to copy image {image.id} to: give folderId, or a route that takes the image")
    ready = image.status == "READY"
    seconds = round(route.deadline_hours * 3600) if route else schedule.DEFAULT_DEADLINE
    return Copy(
        folder_id=folder,
        image_id=image.id,
        route=route.name if route else None,
        name=name or naming.render_name(route.target.name if route else "{name}", image),
        state=State.COPYING if ready else State.WAITING_FOR_SOURCE,
        reason="the source image is READY" if ready else f"the source image is {image.status}",
        step=Step.CHECK_ROOM if ready else Step.READ_SOURCE,
        created_at=now,
        updated_at=now,
        since=now,
        deadline_at=now + timedelta(seconds=seconds),
        deadline_seconds=seconds,
        next_look_at=now,
        family=image.family,
        source_created_at=image.created_at,
        source_size=image.storage_size,
        labels=naming.provenance(
            image, route=route.name if route else None, labels=route.target.labels if route else {}
        ),
        description=naming.render_description(route.target.description, image) if route else "",
        policy_digest=route.digest if route else "",
    )


def restart(ended: Copy, fresh: Copy) -> Copy:
    """Return an ended copy as it starts again, with what `fresh`, a new beginning of it, says of name and labels.

    The generation rises, and with it the idempotency key, unless the last operation may still be running: then the
    same key makes the service answer with that operation instead of starting a second one.
    """
    same_request = (ended.state is State.TIMED_OUT or ended.operation_id is None) and ended.name == fresh.name
    renewed = fresh.model_copy(
        update={
            "created_at": ended.created_at,
            "generation": ended.generation if same_request else ended.generation + 1,
            "seq": ended.seq,
            "version": ended.version,
            "pinned": ended.pinned,
        }
    )
    if not same_request or ended.operation_id is None:
        return renewed
    return renewed.model_copy(
        update={
            "state": State.COPYING,
            "step": Step.READ_OPERATION,
            "operation_id": ended.operation_id,
            "desktop_image_id": ended.desktop_image_id,
        }
    )


def retire(active: Copy, reason: str, now: datetime) -> Copy:
    """Return the ACTIVE copy with its image about to be deleted."""
    return active.model_copy(
        update={
            "state": State.RETIRING,
            "step": Step.DELETE,
            "reason": reason,
            "reason_to_retire": reason,
            "operation_id": None,
            "since": now,
            "updated_at": now,
            "finished_at": None,
            "next_look_at": now,
            "deadline_at": now + timedelta(seconds=active.deadline_seconds),
            "missing_looks": 0,
            "failures": 0,
            "notice_due": False,
        }
    )


def adopt(image: DesktopImage, now: datetime, *, copy: Copy | None = None) -> Copy:
    """Return the row of an ACTIVE image that is ours by its labels: a new one, or `copy`, which had been given up."""
    made_at = image.created_at or now
    found = copy or Copy(
        folder_id=image.folder_id,
        image_id=image.labels[naming.SOURCE_IMAGE],
        route=image.labels.get(naming.ROUTE),
        name=image.name,
        state=State.ACTIVE,
        reason="",
        created_at=made_at,
        updated_at=now,
        since=now,
        deadline_seconds=schedule.DEFAULT_DEADLINE,
        family=image.labels.get(naming.SOURCE_FAMILY, ""),
        source_created_at=None,
        labels=dict(image.labels),
    )
    return found.model_copy(
        update={
            "state": State.ACTIVE,
            "step": None,
            "reason": f"image {image.id} was found ACTIVE and is ours",
            "desktop_image_id": image.id,
            "storage_size": image.storage_size,
            "active_at": made_at,
            "since": now,
            "updated_at": now,
            "finished_at": now,
            "next_look_at": None,
            "deadline_at": None,
            "notice_due": copy is not None,
        }
    )


def vanish(active: Copy, now: datetime) -> Copy:
    """Return the ACTIVE copy whose image somebody has deleted: LOST, and not made again unless it is asked for."""
    return active.model_copy(
        update={
            "state": State.LOST,
            "reason": f"image {active.desktop_image_id} was deleted by somebody else",
            "since": now,
            "updated_at": now,
            "finished_at": now,
            "notice_due": True,
        }
    )
