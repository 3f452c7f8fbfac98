"""What the emulated cloud holds: frozen records, replaced when they change, so a caller keeps a snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from local.emulator.status import Code, Status

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class ComputeImage:
    """A compute image; sizes in bytes; `status` is CREATING, READY, ERROR or DELETING."""

    id: str
    folder_id: str
    created_at: datetime
    name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    family: str = ""
    storage_size: int = 20 * GIB
    min_disk_size: int = 60 * GIB
    product_ids: tuple[str, ...] = ()
    status: str = "READY"
    os_type: str = "WINDOWS"


@dataclass(frozen=True, kw_only=True)
class DesktopImage:
    """A desktop image; sizes in bytes; `status` is CREATING, ACTIVE or DELETING.

    The last fields say how it was made; tests need them, the API shows none of it.
    """

    id: str
    folder_id: str
    created_at: datetime
    status: str = "ACTIVE"
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    storage_size: int = 20 * GIB
    min_disk_size: int = 60 * GIB
    source_image_id: str = ""
    source_desktop_id: str = ""
    operation_id: str = ""
    system: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A long-running operation of Cloud Desktop.

    `method` is Copy, CopyFromDesktop, Update or Delete. `response` is the image as it was announced, None for Delete.
    `answerless` marks the defect of an operation that is done with neither error nor response.
    """

    id: str
    method: str
    image_id: str
    created_at: datetime
    modified_at: datetime
    created_by: str
    description: str
    done: bool = False
    error: Status | None = None
    response: DesktopImage | None = None
    answerless: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an operation is going to behave; the default is to succeed.

    Attributes:
        error: The operation ends with this code and what it made vanishes.
        rollback_seconds: The error shows that long before `done` (the service is cleaning up).
        answerless: The operation is done with neither error nor response.
        image_lag_seconds: The image stays CREATING that long after the operation is done; infinity means for ever.
        hidden_looks: The first looks at the operation answer NOT_FOUND.
        forgotten: Every look answers NOT_FOUND, although the work is done.
    """

    error: Code | None = None
    rollback_seconds: float = 0.0
    answerless: bool = False
    image_lag_seconds: float = 0.0
    hidden_looks: int = 0
    forgotten: bool = False


SUCCEEDS = Outcome()


@dataclass(frozen=True)
class QuotaLimit:
    """One quota of the cloud: its id, its limit and what is used of it."""

    quota_id: str
    limit: int
    usage: int


@dataclass(frozen=True)
class LoggedRequest:
    """One request as it was answered. The path carries no query and no header, hence no token.

    `status` is 0 where the caller got no answer; `fault` names the fault that was played, if any.
    """

    method: str
    path: str
    status: int
    fault: str = ""


def resource_id(prefix: str, number: int) -> str:
    """Return the `number`-th id with `prefix`: 20 characters, the same in every run, in no telling order.

    >>> resource_id("fd8", 1) == resource_id("fd8", 1), len(resource_id("fd8", 2))
    (True, 20)
    """
    digits = int.from_bytes(hashlib.sha256(f"{prefix}{number}".encode()).digest()[:16])
    alphabet = "0123456789abcdefghijklmnopqrstuv"
    return prefix + "".join(alphabet[digits >> shift & 31] for shift in range(0, 5 * (20 - len(prefix)), 5))
