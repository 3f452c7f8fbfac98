"""One call: address, token, time limits, retries, and what the answer means."""

from __future__ import annotations

import itertools
import json
import math
import random as random_numbers
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlencode

from cloud_desktop.answers import Call, Reply, read_answer
from cloud_desktop.constants import IDEMPOTENCY_HEADER, REQUEST_ID_HEADER, USEFUL_SECONDS, USER_AGENT
from cloud_desktop.errors import (
    ApiError,
    BadAnswerError,
    Code,
    OutOfTimeError,
    TransportError,
)
from cloud_desktop.retries import DEFAULT_POLICY, decide
from cloud_desktop.tokens import CachedToken, Clock, IamToken, utc_now
from cloud_desktop.wire import Wire

_UNAUTHORIZED: Final = 401

Fetch = Callable[[Call], Reply]
"""Makes one call."""


class Transport:
    """Makes calls over one pool of connections.

    `remaining` gives the seconds that the current invocation has left and may be replaced for each invocation.
    Time-outs are shortened to it, no pause crosses it, and a call for which too little is left is not started.
    """

    def __init__(
        self,
        wire: Wire | None = None,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_numbers.random,
        remaining: Callable[[], float] | None = None,
    ) -> None:
        self._wire = wire or Wire(monotonic=monotonic)
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._random = random
        self.remaining = remaining

    def fetch(self, call: Call) -> Reply:
        """Make one call without a token; see `call`."""
        return self._repeat(call, None)

    def call(self, call: Call, tokens: CachedToken) -> Reply:
        """Make one call; repeat it where that is safe and may help; renew the token once if it is refused.

        Raises:
            ApiError: the API refused.
            BadAnswerError: the answer is not what the API documents.
            TransportError: no answer; OutOfTimeError where the call was not started.
            CredentialsError: there is no token to send.
        """
        token = tokens.token()
        try:
            return self._repeat(call, token)
        except (ApiError, BadAnswerError) as error:
            if not _token_refused(error) or not tokens.invalidate(token):
                raise
        return self._repeat(call, tokens.token())

    def close(self) -> None:
        """Close every connection."""
        self._wire.close()

    def _repeat(self, call: Call, token: IamToken | None) -> Reply:
        started = self._monotonic()
        policy = replace(DEFAULT_POLICY, attempts=call.attempts if call.repeatable else 1)
        request_id = str(uuid.uuid4())
        failed: ApiError | BadAnswerError | TransportError | None = None
        for attempt in itertools.count(1):
            left = self._left()
            if left < USEFUL_SECONDS:
                raise failed or OutOfTimeError(left, method=call.method, path=call.path)
            try:
                return self._attempt(call, token, request_id, left)
            except (ApiError, BadAnswerError, TransportError) as error:
                if isinstance(error, TransportError):
                    arrived_before = failed is not None and getattr(failed, "maybe_applied", True)
                    error.maybe_applied = error.maybe_applied or arrived_before
                failed = error
                pause = decide(
                    error,
                    attempt=attempt,
                    elapsed=self._monotonic() - started,
                    left=self._left(),
                    jitter=self._random(),
                    policy=policy,
                )
                if pause is None:
                    raise
            self._sleep(pause)
        raise AssertionError("unreachable: the loop above has no end")  # pragma: no cover

    def _attempt(self, call: Call, token: IamToken | None, request_id: str, left: float) -> Reply:
        content, headers = _render(call)
        headers[REQUEST_ID_HEADER] = request_id
        if token is not None:
            headers["Authorization"] = f"Bearer {token.value}"
        answer = self._wire.exchange(
            call.method,
            call.origin,
            f"{call.path}?{urlencode(call.query, quote_via=quote)}" if call.query else call.path,
            headers=headers,
            content=content,
            timeouts=call.timeouts.within(left),
        )
        secrets = call.secrets if token is None else (*call.secrets, token.value)
        return read_answer(answer, call, sent_id=request_id, secrets=secrets, now=self._clock())

    def _left(self) -> float:
        return math.inf if self.remaining is None else self.remaining()


def _token_refused(error: ApiError | BadAnswerError) -> bool:
    if isinstance(error, ApiError):
        return error.code is Code.UNAUTHENTICATED
    return error.http_status == _UNAUTHORIZED


def _render(call: Call) -> tuple[bytes | None, dict[str, str]]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": USER_AGENT, **call.headers}
    if call.idempotency_key is not None:
        headers[IDEMPOTENCY_HEADER] = call.idempotency_key
    if call.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return urlencode(call.form).encode(), headers
    if call.body is not None:
        headers["Content-Type"] = "application/json"
        return json.dumps(call.body, ensure_ascii=False, separators=(",", ":")).encode(), headers
    return None, headers
