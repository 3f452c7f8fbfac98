"""IAM tokens and when to fetch a new one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from cloud_desktop.constants import TOKEN_AGE_SECONDS, TOKEN_MARGIN_SECONDS, TOKEN_REFRESH_PAUSE_SECONDS
from cloud_desktop.errors import CloudDesktopError

Clock = Callable[[], datetime]
"""The wall clock: an aware datetime."""

_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")


def utc_now() -> datetime:
    """Read the wall clock."""
    return datetime.now(UTC)


def is_sendable(value: object) -> bool:
    """Say whether a value can stand in an Authorization header: visible ASCII, no space, no line break."""
    return isinstance(value, str) and _SENDABLE.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class IamToken:
    """A token and its end; None where the end is unknown. Its text form hides the value."""

    value: str = field(repr=False)
    expires_at: datetime | None = None


class TokenSource(Protocol):
    """Whatever can give an IAM token."""

    def token(self) -> IamToken:
        """Give a token.

        Raises:
            CredentialsError: none can be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token used as it is (`YC_TOKEN`): it cannot be renewed."""

    value: str = field(repr=False)

    def token(self) -> IamToken:
        """Give it."""
        return IamToken(self.value)


class CachedToken:
    """A token source that asks its own source only when it must.

    A token is kept for an hour at most (IAM advises a fresh one "every hour"), and not up to its end: five minutes
    before, or a fifth of a short life. Where renewing fails while the old token is still good, the old one goes on
    serving and the source is left alone for a minute. Two threads at once may fetch twice, which does no harm.
    """

    def __init__(self, source: TokenSource, *, clock: Clock = utc_now, margin: float = TOKEN_MARGIN_SECONDS) -> None:
        self._source = source
        self._clock = clock
        self._margin = margin
        self._token: IamToken | None = None
        self._refresh_at: datetime | None = None

    def token(self) -> IamToken:
        """Give the kept token, or fetch one."""
        now = self._clock()
        kept = self._token
        if kept is not None and (self._refresh_at is None or now < self._refresh_at):
            return kept
        try:
            fresh = self._source.token()
        except CloudDesktopError:
            if kept is None or kept.expires_at is None or kept.expires_at <= now:
                raise
            self._refresh_at = now + timedelta(seconds=TOKEN_REFRESH_PAUSE_SECONDS)
            return kept
        self._token = fresh
        self._refresh_at = self._end_of_use(fresh, now)
        return fresh

    def invalidate(self, token: IamToken) -> bool:
        """Forget a token that a server refused; False where the source has no other to give."""
        if self._token is not None and self._token.value == token.value:
            self._token = None
        return token.expires_at is not None

    def _end_of_use(self, token: IamToken, now: datetime) -> datetime | None:
        if token.expires_at is None:
            return None
        life = (token.expires_at - now).total_seconds()
        return now + timedelta(seconds=min(TOKEN_AGE_SECONDS, life - min(self._margin, life / 5)))
