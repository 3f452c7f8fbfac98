"""The HTTP API on a loopback port.

Requests are not signed here: whoever reaches the loopback interface is let in, as the IAM authorizer would let in its
callers. The routes and the functions behind them are those of the template.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from local.host.functions import HostClosedError, Invocation
from local.host.http_events import HttpAnswer, HttpRequest, error_answer, to_answer, to_event

_PARAMETER = re.compile(r"\{([^}+]+)(\+?)\}")
MAXIMUM_BODY = 10 * 1024 * 1024  # API Gateway's payload limit


@dataclass(frozen=True)
class Route:
    """One route of the HTTP API.

    Attributes:
        method: Upper case, or ANY.
        path: With {parameters} in braces, `{proxy+}` for the rest of the path.
        function: Logical id of the function behind it.
    """

    method: str
    path: str
    function: str

    @property
    def key(self) -> str:
        """API Gateway's route key."""
        return f"{self.method} {self.path}"

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the path parameters when the request is for this route."""
        if self.method not in {"ANY", method}:
            return None
        pattern = ""
        end = 0
        for parameter in _PARAMETER.finditer(self.path):
            pattern += re.escape(self.path[end : parameter.start()])
            pattern += f"(?P<{parameter[1]}>.+)" if parameter[2] else f"(?P<{parameter[1]}>[^/]+)"
            end = parameter.end()
        matched = re.fullmatch(pattern + re.escape(self.path[end:]), path)
        return {name: unquote(value) for name, value in matched.groupdict().items()} if matched else None

    @property
    def precedence(self) -> tuple[int, int, int]:
        """Order of selection: full matches first, then parameters, then greedy ones, and ANY after its equals."""
        return (self.path.count("+}"), self.path.count("{"), self.method == "ANY")


class HttpGateway:
    """Serves the routes until closed.

    Args:
        routes: What to serve.
        invoke: Runs one invocation by logical id.
        write_event: Writes a request as the function behind a route key gets it, with the path parameters.
        read_answer: Reads what the function returned.
    """

    def __init__(
        self,
        routes: list[Route],
        invoke: Callable[[str, Any], Invocation],
        *,
        write_event: Callable[[HttpRequest, str, Mapping[str, str]], Any] = to_event,
        read_answer: Callable[[Invocation], HttpAnswer] = to_answer,
    ) -> None:
        self.routes = sorted(routes, key=lambda route: route.precedence)
        self.invoke = invoke
        self.write_event = write_event
        self.read_answer = read_answer
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="http-gateway", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Origin of the API."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route for a request and its path parameters."""
        for route in self.routes:
            parameters = route.match(method, path)
            if parameters is not None:
                return route, parameters
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, gateway: HttpGateway) -> None:
        self.gateway = gateway
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away needs no answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    error_content_type = "application/json"
    error_message_format = '{"message": "%(message)s"}'
    disable_nagle_algorithm = True  # head and body are two writes; the second would wait 40 ms for an acknowledgement

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the functions log their requests."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        answer = self._answer()
        self.send_response(answer.status)
        for name, value in answer.headers:
            if name not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _answer(self) -> HttpAnswer:
        gateway = cast("_Server", self.server).gateway
        length = self.headers.get("content-length") or "0"
        if not length.isdigit() or "transfer-encoding" in self.headers:
            self.close_connection = True
            return error_answer(HTTPStatus.BAD_REQUEST, "Bad Request")
        if int(length) > MAXIMUM_BODY:
            self.close_connection = True
            return error_answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")
        body = self.rfile.read(int(length))
        found = gateway.find(self.command, urlsplit(self.path).path)
        if found is None:
            return error_answer(HTTPStatus.NOT_FOUND, "Not Found")
        route, parameters = found
        request = HttpRequest(self.command, self.path, tuple(self.headers.items()), body)
        event = gateway.write_event(request, route.key, parameters)
        try:
            return gateway.read_answer(gateway.invoke(route.function, event))
        except HostClosedError:
            return error_answer(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")
