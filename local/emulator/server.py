"""A small threaded WSGI server with HTTP/1.1 keep-alive that can drop a connection as networks do.

Werkzeug's own server closes after every answer, so connection reuse could not be tested against it.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from local.emulator.faulty import Answer, ConnectionDropped, run

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_IDLE_SECONDS = 75.0


class LoopbackServer(ThreadingHTTPServer):
    """Serves `app` on 127.0.0.1; every connection has its thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, app: WSGIApplication) -> None:
        self.app = app
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for the host's name, as http.server does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then serve it in a thread."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection and forget it."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """End every open connection, also an idle one."""
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that went away; print everything else."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "emulator"
    sys_version = ""
    timeout = _IDLE_SECONDS
    wbufsize = -1
    server: LoopbackServer

    def answer(self) -> None:
        """Run the application for one request and send what it says."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = run(self.server.app, self._environ(body))
        except ConnectionDropped as dropped:
            self._drop(dropped)
        else:
            self._send(answer, answer.body)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer  # noqa: N815 - http.server looks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Log nothing; World keeps a log."""

    def _environ(self, body: bytes) -> dict[str, Any]:
        url = urlsplit(self.path)
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(url.path, "latin-1"),
            "QUERY_STRING": url.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": self.request_version,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        return environ | {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}

    def _send(self, answer: Answer, body: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _drop(self, dropped: ConnectionDropped) -> None:
        self.close_connection = True
        if dropped.kind == "short_answer" and dropped.answer is not None:
            self._send(dropped.answer, dropped.answer.body[: len(dropped.answer.body) // 2])
        elif dropped.kind != "lost_answer":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.connection.close()
