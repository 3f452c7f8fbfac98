"""Begin copies: from an event's image id, or because somebody asked for one."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from cloud_desktop import ComputeImage, NotFoundError
from image_pipeline.adapters import Adapters
from image_pipeline.beginnings import begin, restart
from image_pipeline.copies import Copy, State, Step
from image_pipeline.events import ImageAnnounced
from image_pipeline.follow import follow
from image_pipeline.policy import Route
from image_pipeline.selection import decide

_RESTARTABLE = frozenset({State.FAILED, State.TIMED_OUT, State.LOST, State.RETIRED})
_HOPELESS = frozenset({"ERROR", "DELETING"})


class Outcome(StrEnum):
    """What came of an image, for one route."""

    STARTED = "started"
    ALREADY_THERE = "already there"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an image for one route, and why. `copy` is the row, where there is one."""

    image_id: str
    route: str | None
    outcome: Outcome
    reason: str
    copy: Copy | None = None


def take_image(adapters: Adapters, announced: ImageAnnounced) -> list[Result]:
    """Read the image anew and begin a copy for every route that takes it.

    Safe to repeat, from any number of processes at once.

    Raises:
        CloudDesktopError: the image could not be read; nothing was begun.
    """
    try:
        image = adapters.cloud.compute_images.get(announced.image_id)
    except NotFoundError:
        return [_skip(adapters, announced.image_id, None, "the image no longer exists")]
    if announced.folder_id or announced.name:
        route = route_for(adapters, image, announced.folder_id)
        return [start(adapters, image, route, folder_id=announced.folder_id, name=announced.name)]
    policy = adapters.policy()
    results = []
    for decision in decide(image, policy):
        route = policy.route(decision.route)
        if decision.selected and route is not None:
            results.append(start(adapters, image, route))
        else:
            results.append(_skip(adapters, image.id, decision.route, decision.reason))
    return results or [_skip(adapters, image.id, None, "the policy has no routes")]


def route_for(adapters: Adapters, image: ComputeImage, folder_id: str | None) -> Route | None:
    """Return the first route that takes the image, to the folder if one is asked for; None where no route does."""
    policy = adapters.policy()
    taking = [policy.route(decision.route) for decision in decide(image, policy) if decision.selected]
    return next((r for r in taking if r and folder_id in {None, r.target.folder_id}), None)


def start(
    adapters: Adapters,
    image: ComputeImage,
    route: Route | None,
    *,
    folder_id: str | None = None,
    name: str | None = None,
    again: bool = False,
    names_there: Container[str] = (),
) -> Result:
    """Begin the copy of the image, or return the one that there is.

    The row is created before the request is made, by a conditional write that one process wins. A row that was begun
    but never got as far as a wake-up belongs to a process that died: it is taken up where it was left. `again` asks
    for an ended copy to be made once more. `names_there` are the names that the target folder is known to hold: an
    image of the copy's name may be the copy itself, whose row was lost, so it is looked at before anything is made.

    Raises:
        ValueError: neither the caller nor the route names the target folder.
    """
    fresh = begin(image, adapters.clock(), route=route, folder_id=folder_id, name=name)
    existing = adapters.ledger.get(*fresh.key)
    if existing is None:
        if image.status in _HOPELESS:
            return _skip(adapters, image.id, fresh.route, f"the source image is in status {image.status}")
        if adapters.ledger.create(_as_left_by_a_crash(fresh)):
            adapters.telemetry.log_copy("copy_begun", fresh)
            stored = _as_left_by_a_crash(fresh)
            return _result(follow(adapters, stored if fresh.name in names_there else fresh), Outcome.STARTED)
        existing = adapters.ledger.get(*fresh.key)
        if existing is None:
            raise RuntimeError(f"the row of copy {fresh.correlation_id} was removed while it was being begun")
    if existing.seq == 0 and existing.state.is_pending:
        return _result(follow(adapters, existing), Outcome.ALREADY_THERE)
    if again and existing.state in _RESTARTABLE:
        return _start_again(adapters, existing, fresh)
    return _result(existing, Outcome.ALREADY_THERE)


def _start_again(adapters: Adapters, ended: Copy, fresh: Copy) -> Result:
    renewed = restart(ended, fresh)
    stored = _as_left_by_a_crash(renewed).model_copy(update={"version": ended.version + 1, "seq": 0})
    if not adapters.ledger.replace(stored, expected_version=ended.version):
        return _result(adapters.ledger.get(*ended.key) or ended, Outcome.ALREADY_THERE)
    adapters.telemetry.log_copy("copy_begun_again", stored)
    return _result(follow(adapters, stored, seq=ended.seq), Outcome.STARTED)


def _as_left_by_a_crash(copy: Copy) -> Copy:
    """Return the copy as it is stored before its request is made: whoever finds it so must look for the image first."""
    return copy.model_copy(update={"step": Step.FIND_BY_NAME}) if copy.step is Step.CHECK_ROOM else copy


def _result(copy: Copy, outcome: Outcome) -> Result:
    return Result(copy.image_id, copy.route, outcome, copy.reason, copy)


def _skip(adapters: Adapters, image_id: str, route: str | None, reason: str) -> Result:
    adapters.telemetry.log("image_skipped", image_id=image_id, route=route, reason=reason)
    return Result(image_id, route, Outcome.SKIPPED, reason)
