"""Errors as the HTTP API gives them: google.rpc.Status, with the HTTP status that belongs to its code.

What a caller is told is about the caller's request. So a refusal that only an operator of this stack can mend (our
credentials, a missing permission on AWS) is INTERNAL, and what another try may well survive is UNAVAILABLE.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cloud_desktop import (
    ApiError,
    CloudDesktopError,
    Code,
    ConfigurationError,
    CredentialsError,
    InvalidRequestError,
    NextStep,
    OutOfTimeError,
)
from image_pipeline.notices import NoticeError
from image_pipeline.pins import BusyCopyError, NoSuchCopyError

HTTP_STATUS: Mapping[Code, int] = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
"""Every code that an answer may carry with the status that it stands for (the same at Google and at Yandex).

The one exception is 405, for which there is no code: it comes with UNIMPLEMENTED, which otherwise stands for 501.
"""
_RETOLD: Mapping[Code, Code] = {
    Code.UNAUTHENTICATED: Code.INTERNAL,  # our credentials are refused, not the caller's
    Code.CANCELLED: Code.UNAVAILABLE,
    Code.UNKNOWN: Code.INTERNAL,
    Code.DATA_LOSS: Code.INTERNAL,
    Code.UNIMPLEMENTED: Code.INTERNAL,
    Code.OK: Code.INTERNAL,
}
_AWS_IS_BUSY = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_SERVER_ERRORS = 500
_TYPE = "type.googleapis.com/google.rpc."


class HttpError(Exception):
    """A request that gets no better answer than an error. The message is shown to the caller."""

    def __init__(self, code: Code, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = [dict(detail) for detail in details]

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return HTTP_STATUS[self.code]

    @property
    def body(self) -> str:
        """The google.rpc.Status of the answer, as JSON."""
        return json.dumps({"code": int(self.code), "message": self.message, "details": self.details})


def bad_request(violations: Sequence[tuple[str, str]]) -> HttpError:
    """Return the error for a request whose fields do not hold what they should: (field, description) of each.

    >>> bad_request([("imageId", "Field required")]).message
    'imageId: Field required'
    """
    listed = [{"field": field, "description": description} for field, description in violations]
    return HttpError(
        Code.INVALID_ARGUMENT,
        "; ".join(f"{field}: {description}" for field, description in violations),
        [{"@type": f"{_TYPE}BadRequest", "fieldViolations": listed}],
    )


def to_http_error(error: Exception) -> HttpError:
    """Return what a caller is told about an error: never a value of a setting, never a trace."""
    match error:
        case HttpError():
            return error
        case ApiError():
            known = error.request_id
            details = [{"@type": f"{_TYPE}RequestInfo", "requestId": known}] if known else []
            return HttpError(_RETOLD.get(error.code, error.code), str(error), details)
        case NoSuchCopyError():
            return HttpError(Code.NOT_FOUND, str(error))
        case BusyCopyError():
            return HttpError(Code.ABORTED, str(error))
        case InvalidRequestError():
            return HttpError(Code.INVALID_ARGUMENT, str(error))
        case ConfigurationError():
            return HttpError(Code.INTERNAL, str(error))
        case OutOfTimeError():
            return HttpError(Code.DEADLINE_EXCEEDED, str(error))
        case CredentialsError() if error.next_step is not NextStep.RETRY:
            return HttpError(Code.INTERNAL, str(error))
        case CloudDesktopError() | NoticeError():
            return HttpError(Code.UNAVAILABLE, str(error))
        case ClientError():
            return _of_aws(error)
        case BotoCoreError():
            return HttpError(Code.UNAVAILABLE, f"the ledger or the queue gave no answer: {type(error).__name__}")
        case _:
            return HttpError(Code.INTERNAL, "the request could not be carried out; the log has the reason")


def _of_aws(error: ClientError) -> HttpError:
    """The service's own message is left out: it may name the account, the role and the resource."""
    reason = error.response.get("Error", {}).get("Code", "no code")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    passing = reason in _AWS_IS_BUSY or status >= _SERVER_ERRORS
    return HttpError(
        Code.UNAVAILABLE if passing else Code.INTERNAL,
        f"{error.operation_name} was refused to this function: {reason}",
    )
