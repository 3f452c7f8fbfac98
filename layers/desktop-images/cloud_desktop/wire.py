"""One HTTP exchange. The only module that knows httpx.

What is decided here: redirects are not followed, so a token never goes to a host that nobody named; cookies are not
kept; proxies of the environment are not used, since loopback and the metadata service must be reached directly and a
token should pass nothing that was not configured for it (a private certificate authority still works:
`SSL_CERT_FILE`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from cloud_desktop.constants import (
    ANSWER_BYTES,
    ATTEMPT_SECONDS,
    CONNECT_SECONDS,
    CONNECTIONS,
    KEEPALIVE_SECONDS,
    POOL_SECONDS,
    READ_SECONDS,
    REQUEST_ID_HEADER,
    WRITE_SECONDS,
)
from cloud_desktop.errors import BadAnswerError, TransportError
from cloud_desktop.redaction import redact

HttpTransport = httpx.BaseTransport
"""What may be put in the place of the network: `httpx.MockTransport(handler)` in tests."""

_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each phase, and for one exchange as a whole."""

    connect: float = CONNECT_SECONDS
    read: float = READ_SECONDS
    write: float = WRITE_SECONDS
    pool: float = POOL_SECONDS
    whole: float = ATTEMPT_SECONDS

    def within(self, seconds: float) -> Timeouts:
        """Shorten every phase to what is left."""
        return Timeouts(
            *(min(seconds, phase) for phase in (self.connect, self.read, self.write, self.pool, self.whole))
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A pool of connections, kept between invocations."""

    def __init__(
        self, transport: HttpTransport | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        limits = httpx.Limits(
            max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS
        )
        self._client = httpx.Client(
            transport=transport or httpx.HTTPTransport(verify=httpx.create_ssl_context(), limits=limits),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def exchange(
        self,
        method: str,
        origin: str,
        target: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        timeouts: Timeouts,
    ) -> Answer:
        """Send one request and read the whole answer, whatever its status.

        Args:
            method: The HTTP method.
            origin: Scheme, host and port.
            target: Path and query, already percent-encoded.
            headers: Sent as they are; never repeated in an error.
            content: The body.
            timeouts: For the phases and the whole.

        Raises:
            TransportError: no answer, or it did not end in time.
            BadAnswerError: the answer is too long, or its encoding cannot be undone.
        """
        path, request_id = target.partition("?")[0], headers.get(REQUEST_ID_HEADER)
        ends = self._monotonic() + timeouts.whole
        phases = httpx.Timeout(connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=timeouts.pool)
        # Raised outside the handlers: httpx's errors hold the request with its Authorization header, and an error
        # raised inside would keep them as its context.
        try:
            with self._client.stream(
                method, origin + target, headers=dict(headers), content=content, timeout=phases
            ) as response:
                body = self._read(response, ends)
                names = {name.lower(): value for name, value in response.headers.items()}
                if isinstance(body, bytes):
                    return Answer(response.status_code, names, body)
                status, problem = response.status_code, body
        except (httpx.TransportError, httpx.InvalidURL) as error:
            sent = not isinstance(error, (*_NEVER_SENT, httpx.InvalidURL))
            status, problem = None, _describe(error, origin)
        if status is None:
            raise TransportError(problem, method=method, path=path, request_id=request_id, maybe_applied=sent)
        raise BadAnswerError(problem, http_status=status, method=method, path=path, request_id=request_id)

    def _read(self, response: httpx.Response, ends: float) -> bytes | str:
        """Read the body; where it cannot be used, say why."""
        body = bytearray()
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    return f"with more than {ANSWER_BYTES} bytes"
                if self._monotonic() > ends:
                    raise httpx.ReadTimeout("the answer does not end")
        except httpx.DecodingError:
            return "in an encoding that cannot be undone"
        return bytes(body)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def _describe(error: Exception, origin: str) -> str:
    # Only the words of a failed connection are quoted: those of a protocol error may repeat a header.
    words = f" ({redact(str(error))})" if isinstance(error, httpx.ConnectError) and str(error) else ""
    return f"{type(error).__name__}{words} at {origin}"
