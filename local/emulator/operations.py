"""Operations of Cloud Desktop: how they run, end, are found again by their key, and get lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from local.emulator.records import DesktopImage, Operation, Outcome
from local.emulator.status import Code, Refusal, Status
from local.emulator.timeline import Timeline

_DESCRIPTIONS = {
    "Copy": "Copy desktop image",
    "CopyFromDesktop": "Copy desktop image from desktop",
    "Update": "Update desktop image",
    "Delete": "Delete desktop image",
}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What an operation does when it ends.

    Attributes:
        method: Copy, CopyFromDesktop, Update or Delete.
        image_id: The desktop image it is about.
        seconds: How long it takes.
        succeed: Makes the change, returns the image to announce (None for Delete); a Refusal fails the operation.
        fail: Takes back what the beginning of the operation did.
    """

    method: str
    image_id: str
    seconds: float
    succeed: Callable[[datetime], DesktopImage | None]
    fail: Callable[[], None]


@dataclass(frozen=True)
class Caller:
    """Who calls, with which Idempotency-Key (None where there is none)."""

    subject: str = "test"
    key: str | None = None


class Operations:
    """Every operation of the cloud.

    Args:
        timeline: Ends the operations.
        max_active: So many may run at once; one more is refused.
    """

    def __init__(self, timeline: Timeline, max_active: int) -> None:
        self.max_active = max_active
        self._timeline = timeline
        self._operations: dict[str, Operation] = {}
        self._by_key: dict[tuple[str, str], str] = {}
        self._hidden_looks: dict[str, float] = {}

    def get(self, operation_id: str) -> Operation:
        """Return an operation as it is now; raises Refusal with NOT_FOUND, also while it is hidden."""
        with self._timeline.looking():
            operation = self._operations.get(operation_id)
            hidden = self._hidden_looks.get(operation_id, 0)
            if operation is not None and hidden:
                self._hidden_looks[operation_id] = hidden - 1
            if operation is None or hidden:
                raise Refusal(Code.NOT_FOUND, f"Operation {operation_id} not found")
            return operation

    def cancel(self, operation_id: str) -> Operation:
        """Refuse to cancel: no method of Cloud Desktop is marked cancelable (P:operation/operation_service.proto)."""
        operation = self.get(operation_id)
        raise Refusal(Code.FAILED_PRECONDITION, f"Operation {operation.id} cannot be cancelled")

    def all(self) -> list[Operation]:
        """Return every operation in the order of creation, the forgotten ones too."""
        with self._timeline.looking():
            return list(self._operations.values())

    def forget(self, operation_id: str, *, key_too: bool = False) -> None:
        """Answer NOT_FOUND from now on; the work goes on. A replay still finds it by its key, unless `key_too`."""
        with self._timeline.looking():
            self._hidden_looks[operation_id] = math.inf
            if key_too:
                self._by_key = {key: id_ for key, id_ in self._by_key.items() if id_ != operation_id}

    def replay(self, method: str, caller: Caller) -> Operation | None:
        """Return the operation that this method started under the caller's key, in its current state."""
        with self._timeline.looking():
            id_ = self._by_key.get((method, caller.key)) if caller.key else None
            return self._operations[id_] if id_ else None

    def check_room(self) -> None:
        """Raise Refusal where as many operations run as may.

        Code and text are those of Compute (yc-actions/yc-github-runner issue 700); Cloud Desktop's are not documented.
        """
        if sum(not operation.done for operation in self._operations.values()) >= self.max_active:
            raise Refusal(Code.RESOURCE_EXHAUSTED, "The limit on maximum number of active operations has exceeded.")

    def start(self, operation_id: str, work: Work, caller: Caller, outcome: Outcome) -> Operation:
        """Start an operation that does `work` and goes the way of `outcome`; returns it as it is after zero seconds."""
        with self._timeline.looking() as now:
            self._operations[operation_id] = Operation(
                id=operation_id,
                method=work.method,
                image_id=work.image_id,
                created_at=now,
                modified_at=now,
                created_by=caller.subject,
                description=_DESCRIPTIONS[work.method],
            )
            if caller.key:
                self._by_key[work.method, caller.key] = operation_id
            self._hidden_looks[operation_id] = math.inf if outcome.forgotten else outcome.hidden_looks
            self._timeline.later(now, work.seconds, lambda at: self._end(operation_id, work, outcome, at))
        with self._timeline.looking():
            return self._operations[operation_id]

    def _end(self, operation_id: str, work: Work, outcome: Outcome, now: datetime) -> None:
        if outcome.error is not None:
            error = Status(outcome.error, f"Emulated failure with {outcome.error.name}")
            if outcome.rollback_seconds:
                self._change(operation_id, now, error=error)
                self._timeline.later(
                    now, outcome.rollback_seconds, lambda at: self._fail(operation_id, work, error, at)
                )
            else:
                self._fail(operation_id, work, error, now)
            return
        try:
            response = work.succeed(now)
        except Refusal as refusal:
            self._fail(operation_id, work, refusal.status, now)
        else:
            self._change(operation_id, now, done=True, response=response, answerless=outcome.answerless)

    def _fail(self, operation_id: str, work: Work, error: Status, now: datetime) -> None:
        work.fail()
        self._change(operation_id, now, done=True, error=error)

    def _change(self, operation_id: str, now: datetime, **changes: bool | Status | DesktopImage | None) -> None:
        operation = self._operations[operation_id]
        self._operations[operation_id] = replace(operation, modified_at=now, **changes)  # type: ignore[arg-type]
