"""What can go wrong between a client and Yandex Cloud, as values: which requests, how often, in which way.

A kind belongs to one of these groups:

- The connection: `refused` (a running server can only reset; stop it to refuse), `reset_before`, and after the request
  took effect `reset_after`, `lost_answer` (nothing comes back; closed after `seconds`) and `short_answer` (the
  connection ends in the middle of the answer).
- Time: `latency` of `seconds`, then the request goes its way.
- The answer: `answer` (HTTP `status` with a `body` and `retry_after`; `after_effect` if the request took effect),
  `mangled` (the true answer with its body replaced or cut), `hint` (the true answer with `retry_after`), `redirect` to
  `location`.
- A refusal of the service: `refusal` with `code`, and under names of their own the ones that matter: see REFUSALS.
- The way an operation goes, decided when it is started: see OPERATION_KINDS.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from local.emulator.records import SUCCEEDS, Outcome
from local.emulator.status import Code, Refusal, quota_exceeded

CONNECTION_KINDS = ("refused", "reset_before", "reset_after", "lost_answer", "short_answer")
ANSWER_KINDS = ("latency", "hint", "answer", "mangled", "redirect", "refusal")
OPERATION_KINDS = (
    "operation_fails",
    "error_before_done",
    "done_with_neither",
    "fresh_operation_404",
    "operation_forgotten",
    "image_stays_creating",
)
_AUTHORISED = "|".join(
    f"* {prefix}/*" for prefix in ("cloud-desktop/v1", "operations", "compute/v1", "quota-manager/v1")
)
REFUSALS: Mapping[str, tuple[str, Refusal]] = {
    "expired_token": (_AUTHORISED, Refusal(Code.UNAUTHENTICATED, "The token has expired")),
    "forbidden": (_AUTHORISED, Refusal(Code.PERMISSION_DENIED, "Permission denied")),
    "quota_full": ("POST images:copy", quota_exceeded("vdi.desktopImages.count", 8, 8, 1)),
    "too_many_operations": (
        "POST images:copy",
        Refusal(Code.RESOURCE_EXHAUSTED, "The limit on maximum number of active operations has exceeded."),
    ),
    "duplicate_name": ("POST images:copy", Refusal(Code.ALREADY_EXISTS, "Desktop image with this name already exists")),
    "labels_refused": ("POST images:copy", Refusal(Code.INVALID_ARGUMENT, "labels: unknown field")),
    "delete_refused": ("DELETE images/*", Refusal(Code.FAILED_PRECONDITION, "Desktop image is in use")),
}
KINDS = (*CONNECTION_KINDS, *ANSWER_KINDS, *REFUSALS, *OPERATION_KINDS)
BODIES = ("json", "html", "empty", "truncated")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: One of KINDS.
        route: `METHOD pattern`, where the shell pattern has to match the end of the route's template, for example
            `POST images:copy`, `GET operations/*`, `* cloud-desktop/v1/*`; several are joined by `|`. Empty: whatever
            the kind makes sense for.
        times: How many requests it hits; None means every one.
        skip: So many matching requests go well before.
        seconds: Of latency, before a lost answer is given up, between `error` and `done` (0: 1 s), of CREATING after
            `done` (0: for ever).
        code: google.rpc code of `refusal` and of failing operations; by default UNAVAILABLE and INTERNAL.
        status: HTTP status of `answer`; of `redirect` where it is 3xx, else that is 307.
        body: Of `answer` and `mangled`: one of BODIES.
        retry_after: The Retry-After header of `answer` and `hint`, however absurd.
        after_effect: `answer` comes after the request took effect.
        location: Where `redirect` points; the path of the request is appended.
        looks: How many looks `fresh_operation_404` spoils.
    """

    kind: str
    route: str = ""
    times: int | None = 1
    skip: int = 0
    seconds: float = 0.0
    code: Code | None = None
    status: int = 503
    body: str = "json"
    retry_after: str | None = None
    after_effect: bool = False
    location: str = "http://elsewhere.invalid"
    looks: int = 3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is not a kind of fault; the kinds are {', '.join(KINDS)}")
        if self.body not in BODIES:
            raise ValueError(f"{self.body!r} is not a kind of body; the kinds are {', '.join(BODIES)}")

    def matches(self, route: str) -> bool:
        """Say whether a request of `route`, such as `GET /operations/{operationId}`, can meet this fault.

        >>> Fault(kind="latency", route="GET operations/*").matches("GET /operations/{operationId}")
        True
        """
        return any(_fits(route, wanted) for wanted in (self.route or self._usual_route()).split("|"))

    def _usual_route(self) -> str:
        if self.kind in REFUSALS:
            return REFUSALS[self.kind][0]
        return "POST images:copy" if self.kind in OPERATION_KINDS else "*"

    def outcome(self) -> Outcome:
        """Return how an operation goes that is started under this fault."""
        code = self.code or Code.INTERNAL
        outcomes: Mapping[str, Outcome] = {
            "operation_fails": Outcome(error=code),
            "error_before_done": Outcome(error=code, rollback_seconds=self.seconds or 1.0),
            "done_with_neither": Outcome(answerless=True),
            "fresh_operation_404": Outcome(hidden_looks=self.looks),
            "operation_forgotten": Outcome(forgotten=True),
            "image_stays_creating": Outcome(image_lag_seconds=self.seconds or math.inf),
        }
        return outcomes.get(self.kind, SUCCEEDS)

    def refusal(self) -> Refusal | None:
        """Return what the service says under this fault, None where it is not a refusal."""
        if self.kind == "refusal":
            code = self.code or Code.UNAVAILABLE
            return Refusal(code, f"Emulated refusal with {code.name}")
        return REFUSALS[self.kind][1] if self.kind in REFUSALS else None

    @classmethod
    def parse(cls, text: object) -> Fault:
        """Read a fault from JSON or from a command line, `kind,field=value,...`; raises ValueError or TypeError.

        >>> Fault.parse("answer,status=429,retry_after=-1").retry_after
        '-1'
        """
        values: dict[str, Any]
        if isinstance(text, str):
            kind, *settings = text.split(",")
            values = {"kind": kind, **dict(_setting(setting) for setting in settings)}
        elif isinstance(text, Mapping):
            values = dict(text)
        else:
            raise TypeError(f"a fault is an object or a text, not {text!r}")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"a fault has no field {unknown[0]!r}; its fields are {', '.join(sorted(known))}")
        return cls(**{name: _READERS.get(name, str)(value) for name, value in values.items()})


def _fits(route: str, wanted: str) -> bool:
    method, _, template = route.partition(" ")
    wanted_method, _, pattern = wanted.rpartition(" ")
    return wanted_method in {"", "*", method} and (
        fnmatchcase(template, pattern) or fnmatchcase(template, f"*/{pattern}")
    )


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} in a fault is not of the form field=value")
    return name, value


def _read_times(value: object) -> int | None:
    return None if value in {None, "None", "always"} else int(str(value))


def _read_code(value: object) -> Code | None:
    if value is None:
        return None
    try:
        return Code[str(value)]
    except KeyError:
        raise ValueError(f"{value!r} is not a google.rpc code; the codes are {', '.join(Code.__members__)}") from None


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "times": _read_times,
    "skip": int,
    "seconds": float,
    "code": _read_code,
    "status": int,
    "retry_after": lambda value: value if value is None else str(value),
    "after_effect": lambda value: str(value).lower() in {"1", "true", "yes"},
    "looks": int,
}


SURVIVABLE: tuple[Fault, ...] = (
    Fault(kind="latency", seconds=0.05),
    Fault(kind="reset_before"),
    Fault(kind="reset_after"),
    Fault(kind="lost_answer"),
    Fault(kind="short_answer"),
    Fault(kind="mangled", body="truncated"),
    Fault(kind="answer", status=429),
    Fault(kind="answer", status=429, retry_after="1"),
    Fault(kind="answer", status=429, retry_after="-1"),
    Fault(kind="answer", status=429, retry_after="NaN"),
    Fault(kind="answer", status=429, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"),
    Fault(kind="answer", status=500),
    Fault(kind="answer", status=502, body="html"),
    Fault(kind="answer", status=503),
    Fault(kind="answer", status=503, body="empty"),
    Fault(kind="answer", status=504, body="html", after_effect=True),
    Fault(kind="expired_token"),
    Fault(kind="too_many_operations"),
    Fault(kind="operation_fails", code=Code.UNAVAILABLE),
    Fault(kind="error_before_done", code=Code.UNAVAILABLE, seconds=0.5),
    Fault(kind="fresh_operation_404"),
    Fault(kind="image_stays_creating", seconds=1.0),
)
"""Faults that pass: a system that tries again ends with every copy ACTIVE."""


class Faults:
    """The faults that are switched on; safe to use from several threads.

    Args:
        faults: Played in this order; a request meets the first that matches it.
        sleep: Spends the seconds of latency and of lost answers; give the test's clock.
    """

    def __init__(self, *faults: Fault, sleep: Callable[[float], None] = time.sleep) -> None:
        self.sleep = sleep
        self.fired: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._faults = list(faults)
        self._rate = 0.0
        self._seed = 0
        self._menu: tuple[Fault, ...] = ()
        self._seen: Counter[str] = Counter()

    @classmethod
    def random(
        cls,
        rate: float,
        seed: int,
        menu: Iterable[Fault] = SURVIVABLE,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Faults:
        """Make faults that hit each request with probability `rate`, drawn from `menu`.

        The n-th request of a route always meets the same fate under the same seed, whatever other threads do.
        """
        made = cls(sleep=sleep)
        made.randomise(rate, seed, menu)
        return made

    def randomise(self, rate: float, seed: int, menu: Iterable[Fault] = SURVIVABLE) -> None:
        """Play faults at random from now on, besides the ones added; a `rate` of 0 ends it."""
        with self._lock:
            self._rate, self._seed, self._menu = rate, seed, tuple(menu)

    def add(self, *faults: Fault) -> None:
        """Switch on more faults."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Switch off every fault, the random ones too; the counts stay."""
        with self._lock:
            self._faults.clear()
            self._rate = 0.0

    def pick(self, route: str, *, with_labels: bool = False) -> Fault | None:
        """Return the fault that the next request of `route` meets and use it up; None where it goes well.

        Args:
            route: Method and route template.
            with_labels: Whether the request sends labels or a description; else `labels_refused` cannot hit it.
        """
        with self._lock:
            self._seen[route] += 1
            fault = self._next_added(route, with_labels=with_labels) or self._drawn(route)
            if fault is not None:
                self.fired[fault.kind] += 1
            return fault

    def _next_added(self, route: str, *, with_labels: bool) -> Fault | None:
        for index, fault in enumerate(self._faults):
            if not fault.matches(route) or (fault.kind == "labels_refused" and not with_labels):
                continue
            if fault.skip:
                self._faults[index] = replace(fault, skip=fault.skip - 1)
                continue
            if fault.times is not None:
                self._faults[index : index + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
            return fault
        return None

    def _drawn(self, route: str) -> Fault | None:
        draw = random.Random(f"{self._seed} {route} {self._seen[route]}")  # noqa: S311 - chaos, not secrets
        if draw.random() >= self._rate:
            return None
        candidates = [fault for fault in self._menu if fault.matches(route)]
        return draw.choice(candidates) if candidates else None
