"""A small AWS on this machine: moto's server on a loopback port, and clients that reach it and nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

REGION = "eu-central-1"

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_SESSION_TOKEN": "local",
}

_running = threading.Lock()


class LocalAws:
    """SQS, DynamoDB, S3, SNS, Secrets Manager and EventBridge, emulated by moto behind real HTTP.

    Moto keeps its state in the process, so there can be one at a time; starting it forgets what an earlier one held.

    Args:
        region: Where everything is; one that AWS does not have needs MOTO_ALLOW_NONEXISTENT_REGION.

    Attributes:
        endpoint: Origin for every service, as AWS_ENDPOINT_URL takes it. Empty until started.
    """

    def __init__(self, region: str = REGION) -> None:
        self.region = region
        self.endpoint = ""
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._session = _session(region)
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()

    def start(self) -> None:
        """Serve on a free loopback port.

        Raises:
            RuntimeError: Another one is running in this process.
        """
        if not _running.acquire(blocking=False):
            raise RuntimeError("A local host is already running in this process; close it before starting another.")
        moto_api_backend.reset()
        application = _OneAtATime(DomainDispatcherApplication(create_backend_app))
        self._server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_QuietHandler)
        self.endpoint = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="moto", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close the clients. Safe to call twice."""
        if self._server is None:
            return
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._server.shutdown()
        self._server.server_close()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._server = None
        _running.release()

    def client(self, service: str) -> Any:
        """Return the boto3 client for `service`. Threads may share it; it ignores this machine's AWS settings."""
        with self._clients_lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    service,  # type: ignore[call-overload]
                    endpoint_url=self.endpoint,
                    config=Config(proxies={}, retries={"total_max_attempts": 1}, max_pool_connections=32),
                )
            return self._clients[service]

    def environment(self) -> dict[str, str]:
        """Return the variables that make a process's AWS SDK talk to this AWS alone."""
        return {
            **_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _session(region: str) -> boto3.Session:
    # The developer's own profile and files must neither be needed nor be able to break or redirect a local run.
    settings = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    core = botocore.session.Session(session_vars=settings)
    core.set_credentials(*_CREDENTIALS.values())
    return boto3.Session(botocore_session=core, region_name=region)


class _OneAtATime:
    """Serves one request after the other: moto is not thread safe (a send during a delete can lose the message)."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with self._lock:
            answer = self._application(environ, start_response)
            try:
                return list(answer)
            finally:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing: the caller sees every answer."""
