"""Plays faults around a WSGI application, counts and logs its requests."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from local.emulator import wire
from local.emulator.faults import OPERATION_KINDS, Fault, Faults
from local.emulator.records import LoggedRequest
from local.emulator.status import Code, Refusal
from local.emulator.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONTROL_PREFIX = "/emulator/"
OUTCOME_KEY = "emulator.outcome"
_HTML = (
    b"<html><head><title>Bad Gateway</title></head><body><h1>The upstream server is not available</h1></body></html>"
)
_CODE_OF_STATUS = {
    429: Code.RESOURCE_EXHAUSTED,
    500: Code.INTERNAL,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


class ConnectionDropped(Exception):  # noqa: N818 - an event on the wire
    """The connection ends here instead of with an answer; whoever serves the application has to make it so.

    Attributes:
        kind: A connection kind of faults.py.
        waited: Seconds that the caller was left waiting.
        answer: What `short_answer` would have said.
    """

    def __init__(self, kind: str, waited: float, answer: Answer | None = None) -> None:
        super().__init__(f"emulated {kind}")
        self.kind = kind
        self.waited = waited
        self.answer = answer


@dataclass(frozen=True)
class Answer:
    """One whole HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def with_body(self, body: bytes, content_type: str | None = None) -> Answer:
        """Return the answer with another body."""
        changed = {"content-length"} | ({"content-type"} if content_type else set())
        kept = [(name, value) for name, value in self.headers if name.lower() not in changed]
        typed = [("Content-Type", content_type)] if content_type else []
        return Answer(self.status, (*kept, *typed, ("Content-Length", str(len(body)))), body)

    def with_header(self, name: str, value: str) -> Answer:
        """Return the answer with one header more."""
        return Answer(self.status, (*self.headers, (name, value)), self.body)


def run(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Have a WSGI application answer one request, as a whole."""
    said: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
        said.append((status, headers))
        return bytes

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()
    status, headers = said[-1]
    return Answer(int(status.partition(" ")[0]), tuple(headers), body)


class FaultyApp:
    """A WSGI application around another one.

    Args:
        app: What answers where all goes well.
        world: Where requests are counted and logged. Those to the control API are not, and meet no fault.
        faults: What goes wrong.
        route_of: Names the route of a request: method and template.
    """

    def __init__(
        self, app: WSGIApplication, world: World, faults: Faults, route_of: Callable[[WSGIEnvironment], str]
    ) -> None:
        self._app = app
        self._world = world
        self._faults = faults
        self._route_of = route_of

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; raises ConnectionDropped."""
        if environ["PATH_INFO"].startswith(CONTROL_PREFIX):
            return self._app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        route = self._route_of(environ)
        self._world.count_request(route)
        fault = self._faults.pick(route, with_labels=_has_labels(body))
        status, name = 0, "" if fault is None else fault.kind
        try:
            answer = self._true_answer(environ) if fault is None else self._play(fault, environ)
            status = answer.status
        finally:
            self._world.requests.append(LoggedRequest(environ["REQUEST_METHOD"], environ["PATH_INFO"], status, name))
        start_response(f"{status} {_phrase(status)}", list(answer.headers))
        return [answer.body]

    def _play(self, fault: Fault, environ: WSGIEnvironment) -> Answer:
        match fault.kind:
            case "refused" | "reset_before":
                raise ConnectionDropped(fault.kind, 0.0)
            case "reset_after" | "lost_answer" | "short_answer":
                answer = self._true_answer(environ)
                self._faults.sleep(fault.seconds)
                raise ConnectionDropped(fault.kind, fault.seconds, answer)
            case "latency":
                self._faults.sleep(fault.seconds)
                return self._true_answer(environ)
            case "mangled":
                return _mangle(self._true_answer(environ), fault.body)
            case "hint":
                return self._true_answer(environ).with_header("Retry-After", fault.retry_after or "0")
            case "redirect":
                status = fault.status if fault.status in range(300, 400) else HTTPStatus.TEMPORARY_REDIRECT
                location = fault.location.rstrip("/") + environ["PATH_INFO"]
                return Answer(int(status), (("Location", location), ("Content-Length", "0")), b"")
            case "answer":
                if fault.after_effect:
                    self._true_answer(environ)
                return _made_up(fault)
            case kind if kind in OPERATION_KINDS:
                return self._true_answer(environ | {OUTCOME_KEY: fault.outcome()})
            case _:
                return _refused(fault)

    def _true_answer(self, environ: WSGIEnvironment) -> Answer:
        return run(self._app, environ)


def _made_up(fault: Fault) -> Answer:
    code = fault.code or _CODE_OF_STATUS.get(fault.status, Code.UNKNOWN)
    answer = _json_answer(fault.status, Refusal(code, f"Emulated HTTP {fault.status}"))
    if fault.retry_after is not None:
        answer = answer.with_header("Retry-After", fault.retry_after)
    return _mangle(answer, fault.body)


def _refused(fault: Fault) -> Answer:
    refusal = fault.refusal()
    if refusal is None:
        raise AssertionError(f"nothing plays faults of kind {fault.kind}")
    return _json_answer(refusal.status.code.http_status, refusal)


def _json_answer(status: int, refusal: Refusal) -> Answer:
    request_id = str(uuid.uuid4())
    body = json.dumps(wire.status(refusal.status, request_id)).encode()
    headers = (("Content-Type", "application/json"), ("x-request-id", request_id), ("Content-Length", str(len(body))))
    return Answer(status, headers, body)


def _mangle(answer: Answer, body: str) -> Answer:
    match body:
        case "html":
            return answer.with_body(_HTML, "text/html")
        case "empty":
            return answer.with_body(b"")
        case "truncated":
            return answer.with_body(answer.body[: len(answer.body) // 2])
        case _:
            return answer


def _has_labels(body: bytes) -> bool:
    try:
        values = json.loads(body or b"{}")
    except ValueError:
        return False
    return isinstance(values, dict) and bool({"labels", "description"} & values.keys())


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Emulated"
