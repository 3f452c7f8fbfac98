"""google.rpc.Status as the Yandex gateway speaks it: codes, their HTTP statuses, and the refusal the rules raise.

The mapping is the one of the error page (docs en/_includes/errors-handling.md@2116527).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TYPE_PREFIX = "type.googleapis.com/"


class Code(enum.IntEnum):
    """A google.rpc.Code, under the names that the Yandex error page uses."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    NOT_IMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def http_status(self) -> int:
        """The HTTP status that carries this code.

        >>> Code.FAILED_PRECONDITION.http_status
        400
        """
        return _HTTP_STATUS[self]


_HTTP_STATUS: Mapping[Code, int] = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.NOT_IMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


@dataclass(frozen=True)
class Status:
    """A google.rpc.Status; `details` are JSON objects with `@type`."""

    code: Code
    message: str
    details: tuple[Mapping[str, Any], ...] = ()


class Refusal(Exception):  # noqa: N818 - a rule said no; not a defect of the emulator
    """A rule of the emulated service refused the call; carries the Status to answer with."""

    def __init__(self, code: Code, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(f"{code.name}: {message}")
        self.status = Status(code, message, tuple(details))


def bad_field(field: str, description: str) -> Refusal:
    """Make the INVALID_ARGUMENT that names a request field (google.rpc.BadRequest)."""
    detail = {
        "@type": TYPE_PREFIX + "google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": description}],
    }
    return Refusal(Code.INVALID_ARGUMENT, f"{field}: {description}", [detail])


def quota_exceeded(metric: str, limit: int, usage: int, required: int) -> Refusal:
    """Make the RESOURCE_EXHAUSTED of a quota, with the detail of P:quota/quota.proto."""
    detail = {
        "@type": TYPE_PREFIX + "yandex.cloud.quota.QuotaFailure",
        "violations": [
            {"metric": {"name": metric, "limit": str(limit), "usage": float(usage)}, "required": str(required)}
        ],
    }
    return Refusal(Code.RESOURCE_EXHAUSTED, f"Quota limit {metric} exceeded", [detail])
