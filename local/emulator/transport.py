"""The emulator inside the process of a test: an httpx transport without sockets."""

from __future__ import annotations

import httpx

from local.emulator.faults import Faults
from local.emulator.faulty import ConnectionDropped
from local.emulator.http import create_app
from local.emulator.world import World


class EmulatorTransport(httpx.BaseTransport):
    """Answers every request, whatever its host, from `world`.

    A connection that a fault drops becomes the exception that httpx raises over a real socket; a lost answer that left
    the caller waiting becomes a ReadTimeout.
    """

    def __init__(self, world: World, faults: Faults | None = None) -> None:
        self._wsgi = httpx.WSGITransport(app=create_app(world, faults))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; raises httpx.TransportError where a fault drops it."""
        try:
            return self._wsgi.handle_request(request)
        except ConnectionDropped as dropped:
            raise _as_seen(dropped, request) from None


def _as_seen(dropped: ConnectionDropped, request: httpx.Request) -> httpx.TransportError:
    if dropped.kind == "refused":
        return httpx.ConnectError("[Errno 111] Connection refused", request=request)
    if dropped.kind == "short_answer":
        return httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body", request=request
        )
    if dropped.kind == "lost_answer" and dropped.waited:
        return httpx.ReadTimeout("The read operation timed out", request=request)
    if dropped.kind == "lost_answer":
        return httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
    return httpx.ReadError("[Errno 104] Connection reset by peer", request=request)
