"""The copy: one row of the ledger, one answer of the HTTP API.

A copy is the pair (target folder, source compute image). There is never more than one for a pair, which is what makes
a desktop image appear once however often its source is announced.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class State(StrEnum):
    """Where a copy stands; the reason beside it says why."""

    WAITING_FOR_SOURCE = "WAITING_FOR_SOURCE"
    COPYING = "COPYING"
    WAITING_TO_RETRY = "WAITING_TO_RETRY"
    WAITING_FOR_ROOM = "WAITING_FOR_ROOM"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    LOST = "LOST"
    RETIRING = "RETIRING"
    RETIRED = "RETIRED"

    @property
    def is_pending(self) -> bool:
        """Whether something still has to happen: such a copy always has a step and a time to be looked at."""
        return self in _PENDING


_PENDING = frozenset(
    {State.WAITING_FOR_SOURCE, State.COPYING, State.WAITING_TO_RETRY, State.WAITING_FOR_ROOM, State.RETIRING}
)


class Step(StrEnum):
    """The one call to the cloud that takes a pending copy further."""

    READ_SOURCE = "READ_SOURCE"
    FIND_BY_NAME = "FIND_BY_NAME"  # before a request that may have been made already
    ADOPT_BY_NAME = "ADOPT_BY_NAME"  # the image must be there; if it is not, the copy ends
    CHECK_ROOM = "CHECK_ROOM"
    SUBMIT = "SUBMIT"
    READ_OPERATION = "READ_OPERATION"
    READ_IMAGE = "READ_IMAGE"
    LABEL = "LABEL"
    DELETE = "DELETE"


class Copy(BaseModel):
    """One copy as the ledger keeps it. Frozen: every change is a new value, stored by compare-and-set on `version`.

    Two counters with two jobs: `version` rises with every write and guards it; `seq` rises with every wake-up sent and
    tells a current message from a stale one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    folder_id: str
    image_id: str
    route: str | None = None
    name: str
    state: State
    reason: str
    step: Step | None = None
    generation: int = 1
    seq: int = 0
    version: int = 0

    created_at: datetime
    updated_at: datetime
    since: datetime = Field(description="When the present state began: what the wait and its deadline count from.")
    deadline_at: datetime | None = None
    next_look_at: datetime | None = None
    finished_at: datetime | None = None

    operation_id: str | None = None
    desktop_image_id: str | None = None
    family: str = ""
    source_created_at: datetime | None = None
    active_at: datetime | None = None
    storage_size: int | None = Field(default=None, description="Bytes of the desktop image, once it is ACTIVE.")
    source_size: int | None = Field(default=None, description="Bytes of the compute image: what the copy may need.")
    labels: dict[str, str] = Field(default_factory=dict)
    labels_refused: bool = False
    description: str = ""
    deadline_seconds: int = Field(description="How long one wait may take before it is TIMED_OUT.")

    missing_looks: int = Field(default=0, description="Answers 'not found' in a row.")
    failures: int = Field(default=0, description="Operations that ended in a failure worth another try.")
    quota_refused: bool = Field(default=False, description="The service has just said that the quota is full.")
    notice_due: bool = Field(default=False, description="A verdict is stored that has not been announced yet.")
    pinned: bool = Field(default=False, description="Pinned by an administrator: never retired.")
    reason_to_retire: str | None = Field(default=None, description="The plan's reasons, once the image is to go.")
    retire_refused: str | None = Field(default=None, description="Why the service refused to delete the image.")
    policy_digest: str = Field(default="", description="The route as it was when the copy was last started.")

    @property
    def key(self) -> tuple[str, str]:
        """The pair that identifies the copy."""
        return self.folder_id, self.image_id

    @property
    def correlation_id(self) -> str:
        """What ties the log lines of one copy together, on both clouds."""
        return f"{self.folder_id}/{self.image_id}"


_ANSWER_FIELDS = {
    "folder_id",
    "image_id",
    "route",
    "name",
    "state",
    "reason",
    "desktop_image_id",
    "operation_id",
    "generation",
    "created_at",
    "updated_at",
    "finished_at",
    "next_look_at",
}


def answer(copy: Copy) -> dict[str, Any]:
    """Return the copy as the HTTP API shows it: camelCase, fields absent until they are known."""
    shown = copy.model_dump(mode="json", by_alias=True, include=_ANSWER_FIELDS, exclude_none=True)
    return {**shown, "pinned": True} if copy.pinned else shown


def idempotency_key(copy: Copy) -> uuid.UUID:
    """Return the `Idempotency-Key` of the copy's next mutation.

    Derived from folder, image, name and generation, so that every repetition of the same intention carries the same
    key and the service answers with the operation it already has. A digest stamped as version 4, because the service
    asks for a UUID and recommends version 4 (design guide, "Idempotency").

    A delete is another intention than the copy it ends, and so is a change of labels.
    """
    intention = copy.step if copy.step in {Step.DELETE, Step.LABEL} else Step.SUBMIT
    material = [intention.value, copy.folder_id, copy.image_id, copy.name, str(copy.generation)]
    if intention is not Step.SUBMIT:
        material.append(copy.desktop_image_id or "")
    return digest_uuid(*material)


def notice_id(copy: Copy) -> uuid.UUID:
    """Return the id of the notice about the copy's present verdict; a repeated notice has the same one.

    `since` belongs to it, because a copy may come to the same verdict twice: it waits for room again, or is made again
    and times out again, and whoever drops repeated notices must not drop that one.
    """
    return digest_uuid(
        "notice",
        copy.folder_id,
        copy.image_id,
        str(copy.generation),
        copy.state.value,
        copy.since.isoformat(timespec="microseconds"),
    )


def digest_uuid(*parts: str) -> uuid.UUID:
    """Return a UUID, stamped as version 4, that depends on nothing but the parts.

    >>> digest_uuid("a", "b") == digest_uuid("a", "b"), digest_uuid("a", "b") == digest_uuid("ab")
    (True, False)
    >>> digest_uuid("a").version
    4
    """
    material = "\x00".join(f"{len(part)}:{part}" for part in parts)
    return uuid.UUID(bytes=hashlib.sha256(material.encode()).digest()[:16], version=4)
