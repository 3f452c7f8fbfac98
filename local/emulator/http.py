"""The World over HTTP: a WSGI application, and a server for it on the loopback address."""

from __future__ import annotations

import re
import threading
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Any

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from local.emulator import wire
from local.emulator.control import control_api
from local.emulator.faults import Faults
from local.emulator.faulty import FaultyApp
from local.emulator.routes import Routes
from local.emulator.server import LoopbackServer
from local.emulator.status import Code, Refusal
from local.emulator.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_PARAMETER = re.compile(r"<(\w+)>")
_HTTP_CODES = {404: Code.NOT_FOUND, 405: Code.NOT_IMPLEMENTED}


def create_app(world: World, faults: Faults | None = None) -> flask.Flask:
    """Build the application; every answer carries `x-request-id`, every error is a google.rpc.Status.

    It raises ConnectionDropped out of the WSGI call where a fault ends the connection: EmulatorServer and
    EmulatorTransport turn that into what a client sees.
    """
    faults = faults if faults is not None else Faults()
    app = flask.Flask("local.emulator", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    routes = Routes(world)
    for methods, template, view in routes.table():
        app.add_url_rule(template, view.__name__.lstrip("_"), view, methods=methods.split())
    app.register_blueprint(control_api(world, faults))
    app.before_request(_assign_request_id)
    app.before_request(routes.authenticate)
    app.after_request(_add_request_id)
    app.register_error_handler(Refusal, _answer_refusal)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.wsgi_app = FaultyApp(app.wsgi_app, world, faults, _router(app))  # type: ignore[method-assign]
    return app


def route_template(rule: Rule) -> str:
    """Return a rule's path as the Yandex pages write it: `/operations/{operationId}`."""
    return _PARAMETER.sub(_as_in_docs, rule.rule)


def _router(app: flask.Flask) -> Any:
    def route_of(environ: WSGIEnvironment) -> str:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        try:
            rule, _ = app.url_map.bind_to_environ(environ).match(return_rule=True)
        except HTTPException:
            return f"{method} {path}"
        return f"{method} {route_template(rule)}"

    return route_of


def _as_in_docs(parameter: re.Match[str]) -> str:
    first, *rest = parameter[1].split("_")
    return "{" + first + "".join(word.title() for word in rest) + "}"


def _assign_request_id() -> None:
    flask.g.request_id = str(uuid.uuid4())


def _add_request_id(response: flask.Response) -> flask.Response:
    for header in ("x-request-id", "x-server-request-id", "x-server-trace-id"):
        response.headers[header] = flask.g.request_id
    return response


def _answer_refusal(refusal: Refusal) -> tuple[wire.Json, int]:
    return wire.status(refusal.status, flask.g.request_id), refusal.status.code.http_status


def _answer_http_error(error: HTTPException) -> tuple[wire.Json, int]:
    code = _HTTP_CODES.get(error.code or 500, Code.INTERNAL)
    return _answer_refusal(Refusal(code, f"{flask.request.method} {flask.request.path}: {error.name}"))


class EmulatorServer:
    """Serves a World on 127.0.0.1 from a thread, HTTP/1.1 with keep-alive, as a context manager.

    Args:
        world: What is served.
        port: 0 takes a free one; `url` tells which.
        faults: What goes wrong; dropped connections are really dropped.
    """

    def __init__(self, world: World, port: int = 0, faults: Faults | None = None) -> None:
        self.world = world
        self.faults = faults if faults is not None else Faults()
        self._app = create_app(world, self.faults)
        self._port = port
        self._server: LoopbackServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The origin, such as http://127.0.0.1:8080; known once started and kept over a stop."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; raises OSError where the port is taken. After `stop` it listens on the same port again."""
        self._server = LoopbackServer(self._port, self._app)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="emulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection: clients are refused from now on. Does nothing where it is stopped."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> EmulatorServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
