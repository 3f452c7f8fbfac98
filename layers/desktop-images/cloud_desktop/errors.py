"""Everything that can go wrong, and what should happen next.

    CloudDesktopError                 every error of this package; carries next_step and retry_after
    ├── ConfigurationError            a setting is missing or malformed                        STOP
    ├── InvalidRequestError           refused here, before anything was sent                   STOP
    ├── CredentialsError              no token could be had                            RETRY or WAIT
    ├── TransportError                no answer: connect, timeout, reset                      RETRY
    │   └── OutOfTimeError            too little time left to start the call                  RETRY
    ├── BadAnswerError                an answer the API does not document             RETRY or WAIT
    └── ApiError                      the API's own refusal, see the table of `classify`
        ├── NotFoundError             NOT_FOUND                                                DROP
        ├── AlreadyExistsError        ALREADY_EXISTS                                           STOP
        └── UnauthenticatedError      UNAUTHENTICATED, after one refresh of the token          WAIT

No error holds a token, a key, a header or the request it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any, Final


class NextStep(StrEnum):
    """What the caller should do about an error."""

    RETRY = "retry"
    """Transient: do the same again soon."""
    WAIT = "wait"
    """Back-pressure, or credentials an operator must mend: do the same again later; it is not a failure."""
    PARK = "park"
    """The image quota is exhausted: wait until there is room."""
    DROP = "drop"
    """The thing is not there."""
    STOP = "stop"
    """Permanent: the same request will be refused again."""


class Code(IntEnum):
    """google.rpc codes; a number outside 0..16 reads as UNKNOWN."""

    OK = 0
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
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @classmethod
    def _missing_(cls, value: object) -> Code | None:
        return cls.UNKNOWN if isinstance(value, int) else None


_NEXT: Final[Mapping[Code, NextStep]] = {
    Code.OK: NextStep.RETRY,
    Code.CANCELLED: NextStep.STOP,
    Code.UNKNOWN: NextStep.RETRY,
    Code.INVALID_ARGUMENT: NextStep.STOP,
    Code.DEADLINE_EXCEEDED: NextStep.RETRY,
    Code.NOT_FOUND: NextStep.DROP,
    Code.ALREADY_EXISTS: NextStep.STOP,
    Code.PERMISSION_DENIED: NextStep.STOP,
    Code.RESOURCE_EXHAUSTED: NextStep.WAIT,
    Code.FAILED_PRECONDITION: NextStep.STOP,
    Code.ABORTED: NextStep.RETRY,
    Code.OUT_OF_RANGE: NextStep.STOP,
    Code.UNIMPLEMENTED: NextStep.STOP,
    Code.INTERNAL: NextStep.RETRY,
    Code.UNAVAILABLE: NextStep.RETRY,
    Code.DATA_LOSS: NextStep.STOP,
    Code.UNAUTHENTICATED: NextStep.WAIT,
}

_FROM_HTTP: Final[Mapping[int, Code]] = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    409: Code.ABORTED,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_CLIENT_ERRORS: Final = range(400, 500)
_UNAUTHORIZED: Final = 401
_TOO_MANY_REQUESTS: Final = 429

_IMAGE_METRIC: Final = re.compile(r"vdi\.desktopImages", re.IGNORECASE)
_BUSY: Final = re.compile(
    r"active operation|concurrent|too many requests|requests? (rate|limit)|rate (limit|quota)|requests? per|"
    r"per[ -](second|minute|hour)",
    re.IGNORECASE,
)
_NO_ROOM: Final = re.compile(
    r"quota|(limit|maximum|exceed|too many)[^.]*\bimages\b|\bimages\b[^.]*(limit|maximum|exceed)", re.IGNORECASE
)
_QUOTA_DETAIL: Final = re.compile(r"(yandex\.cloud\.quota|google\.rpc)\.QuotaFailure$")


def code_from_http(http_status: int) -> Code:
    """Map an HTTP status to the google.rpc code it most likely stands for, when the body names none.

    409 stands for ABORTED and ALREADY_EXISTS: ABORTED is chosen, since repeating with the same Idempotency-Key does no
    harm, while reading it as "exists" would end the copy without proof.

    >>> code_from_http(429).name, code_from_http(418).name, code_from_http(599).name
    ('RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT', 'INTERNAL')
    """
    if (known := _FROM_HTTP.get(http_status)) is not None:
        return known
    return Code.INVALID_ARGUMENT if http_status in _CLIENT_ERRORS else Code.INTERNAL


def classify(
    code: int, message: str = "", details: Sequence[Mapping[str, Any]] = (), http_status: int | None = None
) -> NextStep:
    """Say what should happen after this google.rpc status: an error answer, or the `error` of an operation.

    The code decides before the HTTP status; the status is read only where the code is outside 1..16. Without an
    `http_status` the error is an operation's verdict.

    ===================  =======  ==================================================================================
    code                 next     why
    ===================  =======  ==================================================================================
    UNAVAILABLE          RETRY    the one code Yandex documents as "try again in a few seconds"
    INTERNAL, UNKNOWN    RETRY    a defect or an outage on the other side; says nothing about the request
    DEADLINE_EXCEEDED    RETRY    the other side ran out of time
    ABORTED              RETRY    lost a race with another change
    CANCELLED            STOP     as a verdict: somebody cancelled the operation, and starting it again would fight
                                  them; as an answer to a call: RETRY, since nobody but the server can have done it
    RESOURCE_EXHAUSTED   WAIT     described as "request limit exceeded"; PARK when it is about the image quota
    FAILED_PRECONDITION  STOP     PARK when it is about a quota, WAIT when about too many active operations (which
                                  code a quota overrun gives is not documented; both are expected)
    UNAUTHENTICATED      WAIT     our credentials are wrong, not the request
    NOT_FOUND            DROP     the thing is not there
    DATA_LOSS            STOP     by definition unrecoverable
    the rest             STOP     the same request will be refused again
    ===================  =======  ==================================================================================

    >>> classify(14), classify(8, "Quota limit vdi.desktopImages.count exceeded")
    (<NextStep.RETRY: 'retry'>, <NextStep.PARK: 'park'>)
    """
    known = Code(code)
    if known != code or known is Code.OK:
        known = Code.UNKNOWN if http_status is None else code_from_http(http_status)
    if known is Code.CANCELLED and http_status is not None:
        return NextStep.RETRY
    if known in {Code.RESOURCE_EXHAUSTED, Code.FAILED_PRECONDITION}:
        return _back_pressure(message, details) or _NEXT[known]
    return _NEXT[known]


def _back_pressure(message: str, details: Sequence[Mapping[str, Any]]) -> NextStep | None:
    failures = [detail for detail in details if _QUOTA_DETAIL.search(str(detail.get("@type", "")))]
    text = " ".join([message, *(str(failure.get("violations", "")) for failure in failures)])
    if _IMAGE_METRIC.search(text):
        return NextStep.PARK
    if _BUSY.search(text):
        return NextStep.WAIT
    return NextStep.PARK if failures or _NO_ROOM.search(text) else None


class CloudDesktopError(Exception):
    """Any failure of this package."""

    next_step: NextStep = NextStep.STOP
    retry_after: float | None = None
    """Seconds the server asks to wait; at most a day, None where it asks for nothing."""


class ConfigurationError(CloudDesktopError):
    """A setting is missing or malformed; the sentence names it and what it should hold, never its value if secret."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}")
        self.variable = variable


class InvalidRequestError(CloudDesktopError):
    """A value breaks a documented limit; nothing was sent."""

    def __init__(self, field: str, problem: str, *, actual: int | None = None, limit: int | None = None) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.actual = actual
        """The length or count that was given, where that is what is wrong."""
        self.limit = limit


class CredentialsError(CloudDesktopError):
    """No IAM token could be had. RETRY: the token service was out of reach; WAIT: it refused, an operator must act."""

    def __init__(self, problem: str, *, next_step: NextStep = NextStep.WAIT, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.next_step = next_step
        self.retry_after = retry_after


class TransportError(CloudDesktopError):
    """No answer arrived."""

    next_step = NextStep.RETRY

    def __init__(
        self, problem: str, *, method: str, path: str, request_id: str | None = None, maybe_applied: bool = True
    ) -> None:
        super().__init__(f"{method} {path} got no answer: {problem}" + _with_id(request_id))
        self.method = method
        self.path = path
        self.request_id = request_id
        """The id this client sent: the server's own is unknown."""
        self.maybe_applied = maybe_applied
        """False only where the request was never sent, so a mutation cannot have happened."""


class OutOfTimeError(TransportError):
    """The invocation has too little time left to start this call; nothing was sent."""

    def __init__(self, left: float, *, method: str, path: str) -> None:
        super().__init__(f"{left:.1f} s are left of this invocation", method=method, path=path, maybe_applied=False)


class BadAnswerError(CloudDesktopError):
    """The answer is not what the API documents: not JSON, wrong types, a redirect, too long, pages without end.

    The API itself did not speak, so nothing permanent follows from it: RETRY, or WAIT after 401 and 429.
    """

    def __init__(
        self,
        problem: str,
        *,
        http_status: int,
        method: str,
        path: str,
        request_id: str | None = None,
        excerpt: str = "",
        retry_after: float | None = None,
    ) -> None:
        tail = f": {excerpt!r}" if excerpt else ""
        super().__init__(f"{method} {path} answered HTTP {http_status} {problem}{tail}{_with_id(request_id)}")
        self.http_status = http_status
        self.method = method
        self.path = path
        self.request_id = request_id
        self.excerpt = excerpt
        self.retry_after = retry_after
        waits = http_status in {_UNAUTHORIZED, _TOO_MANY_REQUESTS}
        self.next_step = NextStep.WAIT if waits else NextStep.RETRY


class ApiError(CloudDesktopError):
    """The API refused, in its own words."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        details: Sequence[Mapping[str, Any]] = (),
        http_status: int,
        method: str,
        path: str,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.code = Code(code)
        super().__init__(
            f"{method} {path} answered {self.code.name} (HTTP {http_status}): {message}{_with_id(request_id)}"
        )
        self.message = message
        self.details = [dict(detail) for detail in details]
        self.http_status = http_status
        self.method = method
        self.path = path
        self.request_id = request_id
        self.retry_after = retry_after
        self.next_step = classify(code, message, details, http_status)


class NotFoundError(ApiError):
    """NOT_FOUND: the thing is not there, or not visible to these credentials."""


class AlreadyExistsError(ApiError):
    """ALREADY_EXISTS: somebody made it before; look at what is there."""


class UnauthenticatedError(ApiError):
    """UNAUTHENTICATED: the token was refused, a fresh one too."""


_CLASSES: Final[Mapping[int, type[ApiError]]] = {
    Code.NOT_FOUND: NotFoundError,
    Code.ALREADY_EXISTS: AlreadyExistsError,
    Code.UNAUTHENTICATED: UnauthenticatedError,
}


def api_error_class(code: int) -> type[ApiError]:
    """Choose the subclass that stands for a code."""
    return _CLASSES.get(code, ApiError)


def _with_id(request_id: str | None) -> str:
    return f" (request id {request_id})" if request_id else ""
