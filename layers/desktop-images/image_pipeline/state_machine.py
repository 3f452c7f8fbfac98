"""The heart: `advance(copy, observation, now) -> (copy', effects)`. Pure, total, and the only place that judges.

    WAITING_FOR_SOURCE ──source READY──▶ COPYING ──done, and the image ACTIVE──▶ ACTIVE ──▶ RETIRING ──▶ RETIRED
                                          ▲  │                                     ▲            │
      busy, or failed but worth a retry   │  ├─▶ FAILED     permanent failure      └── refused ─┘
                     WAITING_TO_RETRY ◀───┤  ├─▶ TIMED_OUT  the deadline has passed
      no room left   WAITING_FOR_ROOM ◀───┘  └─▶ LOST       nothing is to be found any more

A pending copy has a `step`, the one call that takes it further. The driver (`follow`) makes that call, hands the
answer in as an observation, and carries the effects out: a wake-up *before* the row is stored, so that a copy that is
stored as waiting always has a message on its way; metrics after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cloud_desktop import (
    AlreadyExistsError,
    CloudDesktopError,
    DesktopImage,
    NextStep,
    NotFoundError,
    Operation,
    classify,
)
from image_pipeline import schedule
from image_pipeline.copies import Copy, State, Step
from image_pipeline.naming import MANAGED_BY, OWNER, SOURCE_IMAGE, label_value, short_id

FORGIVEN_MISSES = 3
"""Answers 'not found' that a fresh operation or image may give while replicas lag; the Go SDK forgives as many."""
MOST_FAILURES = 5
"""Operations that may fail before the copy is FAILED for good."""
CLOCK_SKEW = timedelta(minutes=2)
REASON_LIMIT = 500


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """The source image as Compute has it; `status` is None when it no longer exists."""

    status: str | None


@dataclass(frozen=True, slots=True)
class NameSearched:
    """The desktop images in the target folder that have the copy's name."""

    images: tuple[DesktopImage, ...]


@dataclass(frozen=True, slots=True)
class OperationSeen:
    """An operation, just started or looked at."""

    operation: Operation


@dataclass(frozen=True, slots=True)
class ImageSeen:
    """The desktop image; None when it does not exist."""

    image: DesktopImage | None


@dataclass(frozen=True, slots=True)
class RoomSeen:
    """Whether the quota has room for the copy; if not, the reason says what is being done about it."""

    fits: bool
    reason: str


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The step's call gave an error instead of an answer."""

    error: CloudDesktopError


Observation = SourceSeen | NameSearched | RoomSeen | OperationSeen | ImageSeen | CallFailed


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Look at the copy again after so many seconds; carried out before the row is stored."""

    after: int


@dataclass(frozen=True, slots=True)
class Measure:
    """Add to a metric of the namespace; carried out after the row is stored."""

    metric: str
    value: float = 1


Effect = LookAgain | Measure
Move = tuple[Copy, tuple[Effect, ...]]


def advance(copy: Copy, observation: Observation, now: datetime) -> Move:
    """Return the copy as it is after the observation, and what has to be done about it.

    Total: every observation is answered at every step; an ended copy stays as it is. Neither `version` nor `seq` is
    touched; they belong to whoever stores the row and sends the wake-up.
    """
    match copy.step, observation:
        case None, _:
            return copy, ()
        case _, CallFailed(error):
            return _call_failed(copy, error, now)
        case Step.READ_SOURCE, SourceSeen(status):
            return _source_seen(copy, status, now)
        case Step.FIND_BY_NAME | Step.ADOPT_BY_NAME, NameSearched(images):
            return _name_searched(copy, images, now)
        case Step.CHECK_ROOM, RoomSeen(fits, reason):
            return _room_seen(copy, now, reason, fits=fits)
        case Step.LABEL, _:
            return _active(copy, now)
        case _, OperationSeen(operation):
            return _operation_seen(copy, operation, now)
        case Step.READ_IMAGE, ImageSeen(image):
            return (
                _retired_image_seen(copy, image, now) if copy.state is State.RETIRING else _image_seen(copy, image, now)
            )
        case _:
            raise TypeError(f"step {copy.step} cannot be answered with {type(observation).__name__}")


def _source_seen(copy: Copy, status: str | None, now: datetime) -> Move:
    match status:
        case "READY":
            return _proceed(copy, now, Step.CHECK_ROOM, State.COPYING, "the source image is READY")
        case "ERROR" | "DELETING":
            return _end(copy, State.FAILED, f"the source image is in status {status}", now)
        case None:
            return _end(copy, State.FAILED, "the source image no longer exists", now)
        case _:
            return _wait(copy, now, f"the source image is {status}")


def _name_searched(copy: Copy, images: tuple[DesktopImage, ...], now: datetime) -> Move:
    own = next((image for image in images if _is_copy(image, copy)), None)
    if own is not None:
        found = copy.model_copy(update={"desktop_image_id": own.id})
        return _proceed(found, now, Step.READ_IMAGE, State.COPYING, f"image {own.id} of this name is the copy")
    if copy.step is Step.FIND_BY_NAME:
        return _proceed(copy, now, Step.CHECK_ROOM, copy.state, copy.reason)
    if copy.operation_id:
        return _end(
            copy, State.LOST, f"operation {copy.operation_id} is forgotten and no image of the name exists", now
        )
    return _end(copy, State.FAILED, f"the name {copy.name!r} is taken by an image that is not this copy", now)


def _is_copy(image: DesktopImage, copy: Copy) -> bool:
    if image.status == "DELETING":
        return False
    if image.labels.get(MANAGED_BY) == OWNER:
        return image.labels.get(SOURCE_IMAGE) == label_value(copy.image_id)
    if short_id(copy.image_id) in image.name:  # a region without labels; the name itself is made of the source's id
        return True
    return image.created_at is not None and image.created_at >= copy.created_at - CLOCK_SKEW


def _operation_seen(copy: Copy, operation: Operation, now: datetime) -> Move:
    seen = copy.model_copy(
        update={
            "operation_id": operation.id,
            "missing_looks": 0,
            "desktop_image_id": copy.desktop_image_id or operation.image_id,
            "quota_refused": False,
        }
    )
    if seen.state not in {State.COPYING, State.RETIRING}:
        seen = _enter(seen, State.COPYING, now)
    seen = seen.model_copy(update={"step": Step.READ_OPERATION})
    if not operation.done:
        doing = "deleting the image" if seen.state is State.RETIRING else "copying"
        if operation.error is not None:
            doing = f"rolling back after {_failure(operation.error)}"
        return _wait(seen, now, doing, hint=operation.poll_after)
    if operation.error is not None:
        return _operation_failed(seen, operation, now)
    if operation.response is None and seen.state is not State.RETIRING:
        move = _proceed(
            seen, now, _step_to_image(seen), State.COPYING, "the operation ended with neither result nor error"
        )
        return move[0], (*move[1], Measure("OperationDefects"))
    response_id = (operation.response or {}).get("id")
    if isinstance(response_id, str) and response_id and seen.state is State.COPYING:
        seen = seen.model_copy(update={"desktop_image_id": response_id})
    return _proceed(seen, now, _step_to_image(seen), seen.state, "the operation is done, verifying the image")


def _step_to_image(copy: Copy) -> Step:
    return Step.READ_IMAGE if copy.desktop_image_id else Step.ADOPT_BY_NAME


def _operation_failed(copy: Copy, operation: Operation, now: datetime) -> Move:
    assert operation.error is not None  # noqa: S101 - the caller has looked
    error = operation.error
    reason = f"operation {operation.id} failed: {_failure(error)}"
    next_step = classify(error.code, error.message, error.details)
    again = copy.model_copy(
        update={"generation": copy.generation + 1, "operation_id": None, "failures": copy.failures + 1}
    )
    if copy.state is State.RETIRING:
        if next_step in {NextStep.RETRY, NextStep.WAIT} and again.failures < MOST_FAILURES:
            return _wait(
                again.model_copy(update={"step": Step.DELETE}), now, reason, hint=schedule.retry_pause(again.failures)
            )
        return _stay(copy, reason, now)
    again = again.model_copy(update={"step": Step.CHECK_ROOM, "desktop_image_id": None})
    if next_step is NextStep.PARK and again.failures < MOST_FAILURES:
        # Counted all the same: a service that takes every request and fails it would never let the wait end.
        return _quota_refused(again, reason, now)
    if next_step is NextStep.WAIT:
        again = again.model_copy(update={"failures": copy.failures})
        return _wait(_enter(again, State.WAITING_TO_RETRY, now), now, reason, hint=schedule.retry_pause(1))
    if next_step is NextStep.RETRY and again.failures < MOST_FAILURES:
        return _wait(_enter(again, State.WAITING_TO_RETRY, now), now, reason, hint=schedule.retry_pause(again.failures))
    if next_step in {NextStep.RETRY, NextStep.PARK}:
        reason = f"{reason} ({again.failures} operations have failed, no more are tried)"
    return _end(copy, State.FAILED, reason, now)


def _image_seen(copy: Copy, image: DesktopImage | None, now: datetime) -> Move:
    if image is None:
        seen = copy.model_copy(update={"missing_looks": copy.missing_looks + 1})
        if seen.missing_looks <= FORGIVEN_MISSES:
            return _wait(seen, now, f"image {copy.desktop_image_id} cannot be found yet")
        return _end(seen, State.LOST, f"image {copy.desktop_image_id} does not exist although it was being made", now)
    seen = copy.model_copy(update={"missing_looks": 0, "storage_size": image.storage_size})
    match image.status:
        case "ACTIVE":
            unlabelled = any(image.labels.get(key) != value for key, value in copy.labels.items())
            if unlabelled:
                return _proceed(seen, now, Step.LABEL, State.COPYING, "the image is ACTIVE, putting its labels on")
            return _active(seen, now)
        case "DELETING":
            return _end(seen, State.LOST, f"image {image.id} is being deleted by somebody else", now)
        case status:
            return _wait(seen, now, f"image {image.id} is {status}")


def _active(copy: Copy, now: datetime) -> Move:
    active = copy.model_copy(update={"active_at": now, "failures": 0})
    move = _end(active, State.ACTIVE, f"image {copy.desktop_image_id} is ACTIVE", now)
    took = (now - copy.since).total_seconds()
    return move[0], (*move[1], Measure("CopySeconds", took))


def _retired_image_seen(copy: Copy, image: DesktopImage | None, now: datetime) -> Move:
    if image is None:
        return _end(copy, State.RETIRED, copy.reason_to_retire or "deleted", now)
    return _wait(copy, now, f"the image is still {image.status}")


def _call_failed(copy: Copy, error: CloudDesktopError, now: datetime) -> Move:
    reason = str(error)[:REASON_LIMIT]
    match copy.step:
        case Step.SUBMIT:
            return _submit_failed(copy, error, reason, now)
        case Step.LABEL:
            return _active(copy, now)
        case Step.DELETE:
            if isinstance(error, NotFoundError):
                return _end(copy, State.RETIRED, "the image was already gone", now)
            if error.next_step in {NextStep.STOP, NextStep.PARK}:
                return _stay(copy, f"the service refused to delete the image: {reason}", now)
        case Step.READ_OPERATION if isinstance(error, NotFoundError):
            return _operation_missing(copy, now)
        case _:
            pass
    return _wait(copy, now, f"could not look: {reason}", hint=error.retry_after, effects=_throttled(error))


def _submit_failed(copy: Copy, error: CloudDesktopError, reason: str, now: datetime) -> Move:
    if isinstance(error, AlreadyExistsError):
        return _proceed(copy, now, Step.ADOPT_BY_NAME, State.COPYING, reason)
    match error.next_step:
        case NextStep.PARK:
            return _quota_refused(copy, reason, now)
        case NextStep.WAIT:
            waiting = _wait_to_retry(copy, now)
            return _wait(waiting, now, reason, hint=error.retry_after, effects=_throttled(error))
        case NextStep.RETRY:
            # The request may have taken effect: look for the image first, in case the key has been forgotten as well.
            waiting = _wait_to_retry(copy.model_copy(update={"step": Step.FIND_BY_NAME}), now)
            return _wait(waiting, now, reason, hint=error.retry_after)
        case _ if _may_be_about_labels(error) and copy.labels and not copy.labels_refused:
            bare = copy.model_copy(update={"labels_refused": True})
            return _proceed(bare, now, Step.SUBMIT, copy.state, f"trying without labels and description: {reason}")
        case _:
            return _end(copy, State.FAILED, reason, now)


def _wait_to_retry(copy: Copy, now: datetime) -> Copy:
    """Enter the wait, unless the copy waits for room: that goes on, with its deadline, until a request is taken."""
    return copy if copy.state is State.WAITING_FOR_ROOM else _enter(copy, State.WAITING_TO_RETRY, now)


def _may_be_about_labels(error: CloudDesktopError) -> bool:
    """Labels came to Copy late, and a region may not take them; INVALID_ARGUMENT is all that it can say then."""
    return getattr(error, "code", None) == 3  # noqa: PLR2004 - google.rpc.Code.INVALID_ARGUMENT


def _operation_missing(copy: Copy, now: datetime) -> Move:
    seen = copy.model_copy(update={"missing_looks": copy.missing_looks + 1})
    if seen.missing_looks <= FORGIVEN_MISSES:
        return _wait(seen, now, f"operation {copy.operation_id} cannot be found yet")
    seen = seen.model_copy(update={"missing_looks": 0})
    return _proceed(
        seen, now, _step_to_image(seen), copy.state, f"operation {copy.operation_id} is forgotten, asking for the image"
    )


def _throttled(error: CloudDesktopError) -> tuple[Effect, ...]:
    return (Measure("Throttled"),) if error.next_step is NextStep.WAIT else ()


def _room_seen(copy: Copy, now: datetime, reason: str, *, fits: bool) -> Move:
    seen = copy.model_copy(update={"quota_refused": False})
    if fits:
        # Stays WAITING_FOR_ROOM until the service has taken the request: it is the one to say that there is room.
        return _proceed(seen, now, Step.SUBMIT, copy.state, copy.reason)
    parked, effects = _park(seen, now)
    pause = schedule.room_pause((now - parked.since).total_seconds())
    moved, more = _wait(parked, now, reason, hint=pause)
    return moved, (*effects, *more)


def _quota_refused(copy: Copy, reason: str, now: datetime) -> Move:
    """Take the refusal to the room check at once: it makes room where it may, and says what is waited for."""
    parked, effects = _park(copy.model_copy(update={"quota_refused": True}), now)
    moved, _ = _proceed(parked, now, Step.CHECK_ROOM, State.WAITING_FOR_ROOM, reason)
    return moved, effects


def _park(copy: Copy, now: datetime) -> Move:
    parked = _enter(copy, State.WAITING_FOR_ROOM, now).model_copy(update={"step": Step.CHECK_ROOM})
    if copy.state is State.WAITING_FOR_ROOM:
        return parked, ()
    deadline = now + timedelta(seconds=schedule.ROOM_DEADLINE)
    return parked.model_copy(update={"deadline_at": deadline, "notice_due": True}), (Measure("WaitingForRoom"),)


def _enter(copy: Copy, state: State, now: datetime) -> Copy:
    if copy.state is state:
        return copy
    update: dict[str, Any] = {"state": state, "since": now}
    if copy.state is State.WAITING_FOR_ROOM:
        # That it waited is no longer news, and a notice still due would speak of a state that is no verdict.
        update |= {"deadline_at": now + timedelta(seconds=copy.deadline_seconds), "notice_due": False}
    return copy.model_copy(update=update)


def _proceed(copy: Copy, now: datetime, step: Step, state: State, reason: str) -> Move:
    """Take the next step at once, within the same invocation."""
    moved = _enter(copy, state, now)
    return moved.model_copy(
        update={"step": step, "reason": reason[:REASON_LIMIT], "updated_at": now, "next_look_at": now}
    ), ()


def _wait(
    copy: Copy, now: datetime, reason: str, *, hint: float | None = None, effects: tuple[Effect, ...] = ()
) -> Move:
    """Look again later, unless the deadline has passed."""
    if copy.deadline_at is not None and now >= copy.deadline_at:
        return _timed_out(copy, reason, now)
    pause = schedule.next_pause((now - copy.since).total_seconds(), hint)
    if copy.deadline_at is not None:
        pause = min(pause, schedule.bounded((copy.deadline_at - now).total_seconds(), 1, pause))
    waiting = copy.model_copy(
        update={"reason": reason[:REASON_LIMIT], "updated_at": now, "next_look_at": now + timedelta(seconds=pause)}
    )
    return waiting, (LookAgain(pause), *effects)


def _timed_out(copy: Copy, reason: str, now: datetime) -> Move:
    waited = f"after {round((now - copy.since).total_seconds())} s"
    if copy.state is State.RETIRING:
        return _stay(copy, f"the image was not deleted {waited}: {reason}", now)
    return _end(copy, State.TIMED_OUT, f"gave up {waited}: {reason}", now)


def _stay(copy: Copy, reason: str, now: datetime) -> Move:
    """Keep the image after all; the refusal is remembered, so that no plan chooses it again."""
    kept = copy.model_copy(update={"retire_refused": reason[:REASON_LIMIT]})
    return _end(kept, State.ACTIVE, reason, now, metric="RetirementsRefused")


def _end(copy: Copy, state: State, reason: str, now: datetime, *, metric: str | None = None) -> Move:
    """Give the verdict. It is announced after the row is stored; `notice_due` remembers that until it has happened."""
    ended = copy.model_copy(
        update={
            "state": state,
            "reason": reason[:REASON_LIMIT],
            "step": None,
            "since": now,
            "updated_at": now,
            "finished_at": now,
            "next_look_at": None,
            "deadline_at": None,
            "notice_due": True,
        }
    )
    return ended, (Measure(metric or VERDICT_METRICS[state]),)


VERDICT_METRICS = {
    State.ACTIVE: "CopiesActive",
    State.FAILED: "CopiesFailed",
    State.TIMED_OUT: "CopiesTimedOut",
    State.LOST: "CopiesLost",
    State.RETIRED: "CopiesRetired",
}


def _failure(error: Any) -> str:
    return f"code {error.code}: {error.message}" if error.message else f"code {error.code}"
