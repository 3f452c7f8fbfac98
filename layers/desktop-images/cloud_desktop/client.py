"""The client: where its parts are put together."""

from __future__ import annotations

import random as random_numbers
import time
from collections.abc import Callable, Mapping

from cloud_desktop.answers import Call, Reply
from cloud_desktop.credentials import FunctionContextToken, token_source
from cloud_desktop.endpoints import Endpoints
from cloud_desktop.services import ComputeImages, DesktopImages, Operations, Quotas
from cloud_desktop.tokens import CachedToken, Clock, TokenSource, utc_now
from cloud_desktop.transport import Transport
from cloud_desktop.wire import HttpTransport, Wire


class YandexCloud:
    """A client of the Yandex Cloud APIs. Build it once per process: connections and the token are kept.

    Args:
        endpoints: Where each service answers.
        tokens: Where the IAM token comes from; cached here if it is not yet.
        transport: In the place of the network, for tests.
        clock: The wall clock.
        monotonic: Seconds that never jump, for time limits.
        sleep: Pauses between attempts.
        random: A number from 0 up to 1, spreads the pauses.
        remaining: The seconds the current invocation has left; may be set anew for each.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        tokens: TokenSource,
        *,
        transport: HttpTransport | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_numbers.random,
        remaining: Callable[[], float] | None = None,
    ) -> None:
        self._tokens = tokens if isinstance(tokens, CachedToken) else CachedToken(tokens, clock=clock)
        self._transport = Transport(
            Wire(transport, monotonic=monotonic),
            clock=clock,
            monotonic=monotonic,
            sleep=sleep,
            random=random,
            remaining=remaining,
        )
        self.desktop_images = DesktopImages(self._send, endpoints.cloud_desktop)
        self.operations = Operations(self._send, endpoints.operation)
        self.compute_images = ComputeImages(self._send, endpoints.compute)
        self.quotas = Quotas(self._send, endpoints.quota)

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        *,
        read_secret: Callable[[str], str] | None = None,
        web_identity_token: Callable[[str], str] | None = None,
        context_token: FunctionContextToken | None = None,
        transport: HttpTransport | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_numbers.random,
        remaining: Callable[[], float] | None = None,
    ) -> YandexCloud:
        """Build a client from the settings alone; tokens are fetched over the same connections, on first use.

        Args:
            environ: The environment.
            read_secret: Gives the text of a secret by name or ARN.
            web_identity_token: Gives a JWT for an audience.
            context_token: Where the handler puts the token of a Yandex function's context.
            transport: As in the constructor, and so are the rest.
            clock: The wall clock.
            monotonic: Seconds that never jump.
            sleep: Pauses between attempts.
            random: A number from 0 up to 1.
            remaining: The seconds the current invocation has left.

        Raises:
            ConfigurationError: a setting is malformed, or more than one credential source is set.
        """

        def fetch(call: Call) -> Reply:
            return client.fetch(call)

        endpoints = Endpoints.from_environment(environ)
        tokens = token_source(
            environ,
            endpoints=endpoints,
            fetch=fetch,
            clock=clock,
            read_secret=read_secret,
            web_identity_token=web_identity_token,
            context_token=context_token,
        )
        client = cls(
            endpoints,
            tokens,
            transport=transport,
            clock=clock,
            monotonic=monotonic,
            sleep=sleep,
            random=random,
            remaining=remaining,
        )
        return client

    @property
    def remaining(self) -> Callable[[], float] | None:
        """The seconds that the current invocation has left; None is no limit."""
        return self._transport.remaining

    @remaining.setter
    def remaining(self, remaining: Callable[[], float] | None) -> None:
        self._transport.remaining = remaining

    def fetch(self, call: Call) -> Reply:
        """Make one call without a token, over the connections of this client."""
        return self._transport.fetch(call)

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def _send(self, call: Call) -> Reply:
        return self._transport.call(call, self._tokens)
