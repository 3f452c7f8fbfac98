"""A process that dies: every call that leaves it can be its last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx


class Died(BaseException):
    """The process is gone. Not an Exception: no handler of the code under test may catch it."""


class Mortality:
    """Counts the calls that leave the process, and dies right before or right after one of them.

    A port is wrapped whole: whatever method of it is called is a call that leaves, so a new one needs no list.
    """

    def __init__(self, die_at: int | None = None, *, after: bool = False) -> None:
        self.calls: list[str] = []
        self._die_at = die_at
        self._after = after
        self.died = False

    def wrap(self, port: Any) -> Any:
        return _Transport(port, self) if isinstance(port, httpx.BaseTransport) else _Port(port, self)

    def run(self, name: str, call: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        last = number == self._die_at and not self.died
        if last and not self._after:
            self._die(name)
        answer = call()
        if last:
            self._die(name)
        return answer

    def _die(self, name: str) -> None:
        self.died = True
        raise Died(f"{'after' if self._after else 'before'} call {self._die_at}, {name}")


class _Port:
    def __init__(self, port: Any, mortality: Mortality) -> None:
        self._port = port
        self._mortality = mortality

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        if not callable(member):
            return member
        return lambda *args, **kwargs: self._mortality.run(name, lambda: member(*args, **kwargs))


class _Transport(httpx.BaseTransport):
    def __init__(self, transport: httpx.BaseTransport, mortality: Mortality) -> None:
        self._transport = transport
        self._mortality = mortality

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        answer: httpx.Response = self._mortality.run(name, lambda: self._transport.handle_request(request))
        return answer
