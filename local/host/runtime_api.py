"""The Lambda Runtime API for one function process: awslambdaric fetches invocations here and posts their outcomes.

One server per process, because the runtime finds it by address alone
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
"""

from __future__ import annotations

import json
import queue
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

_PREFIX = "/2018-06-01/runtime"
_OUTCOME = re.compile(rf"{_PREFIX}/invocation/(?P<request_id>[^/]+)/(?P<kind>response|error)")


@dataclass(frozen=True)
class Request:
    """One invocation on its way to the runtime.

    Attributes:
        deadline: Unix time in seconds at which the function is stopped.
    """

    request_id: str
    event: bytes
    function_arn: str
    deadline: float


@dataclass(frozen=True)
class Answered:
    """The handler returned; `payload` is the JSON it returned."""

    request_id: str
    payload: bytes


@dataclass(frozen=True)
class Raised:
    """The handler raised; `payload` is the error document."""

    request_id: str
    payload: bytes


@dataclass(frozen=True)
class InitFailed:
    """The handler's module could not be loaded; `payload` is the error document."""

    payload: bytes


@dataclass(frozen=True)
class Exited:
    """The process ended. `status` is its exit status, negative for a signal's number."""

    status: int


Outcome = Answered | Raised | InitFailed | Exited


class RuntimeApi:
    """Serves one runtime process on a loopback port.

    Attributes:
        ready: Set when the runtime has loaded the handler and asks for its first invocation.
        outcomes: What happened, in order. Whoever watches the process adds `Exited`.
    """

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="runtime-api", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API takes them."""
        return f"127.0.0.1:{self._server.server_port}"

    def offer(self, request: Request) -> None:
        """Let the runtime's next question be answered with `request`."""
        self._requests.put(request)

    def next_request(self) -> Request | None:
        """Wait for the next invocation; None when the API closes."""
        self.ready.set()
        return self._requests.get()

    def close(self) -> None:
        """Stop serving. The process should have ended before."""
        self._requests.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A runtime that was killed leaves a broken connection; its end is reported by whoever watches the process."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; the second would wait 40 ms for an acknowledgement

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the outcome says it."""

    def do_GET(self) -> None:
        if self.path != f"{_PREFIX}/invocation/next":
            self._send(HTTPStatus.NOT_FOUND)
            return
        request = self._api.next_request()
        if request is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(request.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": request.function_arn,
            "Content-Type": "application/json",
        }
        self._send(HTTPStatus.OK, request.event, headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._read_chunks()
        outcome = _OUTCOME.fullmatch(self.path)
        if outcome is not None:
            kind = Answered if outcome["kind"] == "response" else Raised
            self._api.outcomes.put(kind(outcome["request_id"], body))
        elif self.path == f"{_PREFIX}/init/error":
            self._api.outcomes.put(InitFailed(body))
        else:
            self._send(HTTPStatus.NOT_FOUND)
            return
        self._send(HTTPStatus.ACCEPTED, json.dumps({"status": "OK"}).encode())

    @property
    def _api(self) -> RuntimeApi:
        return cast("_Server", self.server).api

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
