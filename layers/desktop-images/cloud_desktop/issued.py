"""What token services answer, read with care: an error here must never show a token."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cloud_desktop.answers import Call
from cloud_desktop.constants import TOKEN_LONGEST_LIFETIME_SECONDS, TOKEN_UNKNOWN_LIFETIME_SECONDS
from cloud_desktop.errors import ApiError, BadAnswerError, CredentialsError, NextStep, OutOfTimeError, TransportError
from cloud_desktop.models import parse_timestamp
from cloud_desktop.tokens import IamToken, is_sendable
from cloud_desktop.transport import Fetch


def obtain(fetch: Fetch, call: Call, asked: str) -> Mapping[str, Any]:
    """Make the call of a credential source.

    Raises:
        CredentialsError: no usable answer. What would be a permanent refusal of a request is WAIT here: it is the
            credentials that are wrong, and the work that needs them can go on when an operator has put them right.
        OutOfTimeError: too little time left to ask.
    """
    try:
        return fetch(call).body
    except OutOfTimeError:
        raise
    except (ApiError, BadAnswerError, TransportError) as error:
        next_step = NextStep.RETRY if error.next_step is NextStep.RETRY else NextStep.WAIT
        raise CredentialsError(
            f"{asked} gave no token: {error}", next_step=next_step, retry_after=error.retry_after
        ) from error


def issued_token(
    value: object, asked: str, *, now: datetime, expires_at: object = None, expires_in: object = None
) -> IamToken:
    """Check a token and work out its end: a timestamp or a number of seconds; ten minutes where neither is readable.

    Raises:
        CredentialsError: the answer holds no token.
    """
    if not isinstance(value, str) or not is_sendable(value):
        raise CredentialsError(f"{asked} answered without a token", next_step=NextStep.RETRY)
    return IamToken(value, _end(now, expires_at, expires_in))


def _end(now: datetime, expires_at: object, expires_in: object) -> datetime:
    if isinstance(expires_at, str):
        try:
            return parse_timestamp(expires_at)
        except ValueError:
            pass
    seconds = TOKEN_UNKNOWN_LIFETIME_SECONDS
    if isinstance(expires_in, (int, float, str)) and not isinstance(expires_in, bool):
        try:
            given = float(expires_in)
        except (ValueError, OverflowError):
            given = -1.0
        if given >= 0:
            seconds = min(given, TOKEN_LONGEST_LIFETIME_SECONDS)
    return now + timedelta(seconds=seconds)
