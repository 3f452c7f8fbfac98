"""Errors as the HTTP API gives them: google.rpc.Status, with the HTTP status that belongs to its code."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cloud_desktop import (
    ApiError,
    CloudDesktopError,
    Code,
    ConfigurationError,
    InvalidRequestError,
    OutOfTimeError,
)

HTTP_STATUS = {
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
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class HttpError(Exception):
    """A request that gets no better answer than an error."""

    def __init__(self, code: Code, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or []


def to_http_error(error: Exception) -> HttpError:
    """Return what a caller is told about an error: never a value of a setting, never a trace."""
    match error:
        case HttpError():
            return error
        case ApiError():
            details = [{"reason": "CLOUD_REFUSED", "requestId": error.request_id}] if error.request_id else []
            # Our credentials being refused is not the caller's credentials being refused.
            code = Code.INTERNAL if error.code is Code.UNAUTHENTICATED else error.code
            return HttpError(code, str(error), details)
        case InvalidRequestError():
            return HttpError(Code.INVALID_ARGUMENT, str(error))
        case ConfigurationError():
            return HttpError(Code.INTERNAL, str(error))
        case OutOfTimeError():
            return HttpError(Code.DEADLINE_EXCEEDED, str(error))
        case CloudDesktopError():
            return HttpError(Code.UNAVAILABLE, str(error))
        case ClientError():
            return HttpError(
                Code.UNAVAILABLE,
                f"{error.operation_name} of the ledger or queue failed: {error.response['Error']['Code']}",
            )
        case BotoCoreError():
            return HttpError(Code.UNAVAILABLE, f"the ledger or queue cannot be reached: {type(error).__name__}")
        case _:
            return HttpError(Code.INTERNAL, "the request could not be carried out; the log has the reason")


def status_body(error: HttpError) -> str:
    """Return the google.rpc.Status of the error as JSON."""
    return json.dumps({"code": int(error.code), "message": error.message, "details": error.details})
