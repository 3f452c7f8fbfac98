"""What befalls one invocation at one of the calls that leave it: death, an error of AWS, another process in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import httpx
from botocore.exceptions import ClientError

from tests.rig.mortal import Died, Mortality

Happening = Literal["dies before", "dies after", "fails before", "fails after", "twice", "sweep", "clean up", "deliver"]
HAPPENINGS: tuple[Happening, ...] = get_args(Happening)
MEANWHILE = frozenset({"sweep", "clean up", "deliver"})
FAULTS = (
    "refused,times=2",
    "reset_before,times=5",
    "reset_after,route=POST images:copy,times=5",
    "reset_after,times=2",
    "lost_answer,route=POST images:copy,seconds=25,times=3",
    "short_answer,route=DELETE images/*,times=5",
    "latency,seconds=40",
    "answer,status=429,times=5",
    "answer,status=429,retry_after=31536000",
    "answer,status=429,retry_after=-1,times=5",
    "answer,status=500,body=html",
    "answer,status=503,body=empty,times=5",
    "answer,status=504,after_effect=true,route=POST images:copy,times=5",
    "mangled,body=truncated,times=5",
    "hint,route=GET operations/*,retry_after=86400",
    "redirect",
    "expired_token",
    "refusal,code=ABORTED,route=POST images:copy",
    "forbidden,route=POST images:copy",
    "quota_full",
    "too_many_operations,times=2",
    "duplicate_name",
    "labels_refused",
    "delete_refused",
    "operation_fails,code=UNAVAILABLE",
    "operation_fails,code=INTERNAL,times=6",
    "operation_fails,code=RESOURCE_EXHAUSTED,times=2",
    "operation_fails,code=PERMISSION_DENIED",
    "operation_fails,code=UNAVAILABLE,route=DELETE images/*",
    "error_before_done,code=ABORTED,seconds=30",
    "done_with_neither",
    "fresh_operation_404",
    "operation_forgotten",
    "image_stays_creating",
    "image_stays_creating,seconds=100",
)
"""Faults of the cloud, in the emulator's own words; times is 1 where it is left out."""


@dataclass(frozen=True)
class Fate:
    """At the call numbered `at` of an invocation this happens, once.

    Attributes:
        at: Number of the call, from 0; an invocation that makes fewer calls is spared.
        what: `dies` before the call or after it took effect; the call `fails` likewise, as far as the caller can see;
            it is made `twice`, as a client does that lost the first answer; or another process does a whole `sweep`,
            `clean up` or delivery first.
    """

    at: int
    what: Happening


class Process(Mortality):
    """The ports of a process that meets a new fate with each invocation.

    Args:
        meanwhile: Does what another process does in between.
    """

    def __init__(self, meanwhile: Callable[[str], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile
        self._fate: Fate | None = None
        self._number = 0
        self.met: Fate | None = None

    def begin(self, fate: Fate | None) -> None:
        """Begin an invocation."""
        self._fate, self._number, self.met = fate, 0, None

    def run(self, name: str, call: Callable[[], Any]) -> Any:
        """Make one call, or let happen what was decided for it."""
        number, fate = self._number, self._fate
        self._number += 1
        if fate is None or number != fate.at:
            return call()
        self._fate, self.met = None, fate
        if fate.what in MEANWHILE:
            self._meanwhile(fate.what)
            return call()
        if fate.what.endswith("after") or fate.what == "twice":
            answer = call()
            if fate.what == "twice":
                return call()
            del answer
        if fate.what.startswith("dies"):
            raise Died(f"{fate.what} call {number}, {name}")
        raise _error(name)


def _error(name: str) -> Exception:
    if "/" in name:
        return httpx.ReadError("[Errno 104] Connection reset by peer")
    return ClientError({"Error": {"Code": "InternalServerError", "Message": "emulated"}}, name)
