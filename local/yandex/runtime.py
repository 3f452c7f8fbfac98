"""The runtime of a Yandex function on this machine: gives the handler its events and Yandex's context.

The host runs this file with `python -I -S` in the directory of an unpacked archive, so that nothing but the archive and
the standard library can be imported. Invocations are fetched where AWS_LAMBDA_RUNTIME_API says, a name that Yandex's
runtime has too; what is fetched holds the event and what the context tells.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib
import inspect
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_INVOCATION = "/2018-06-01/runtime/invocation"
_INIT_ERROR = "/2018-06-01/runtime/init/error"


class Context:
    """What a handler can ask, by the names of the page "Python function invocation context" and its sample."""

    def __init__(self, request_id: str, deadline_ms: int, told: dict[str, Any]) -> None:
        self.request_id = self.aws_request_id = request_id
        self.deadline_ms = deadline_ms
        self.function_name = self.invoked_function_arn = told["function_id"]
        self.function_version = self.log_stream_name = told["version_id"]
        self.log_group_name = told["log_group_id"]
        self.memory_limit_in_mb = told["memory_limit_in_mb"]
        self.token = told["token"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function is stopped."""
        return max(self.deadline_ms - int(time.time() * 1000), 0)


def main(entry_point: str) -> int:
    """Serve invocations until the host is gone. Returns 1 where the module cannot be loaded."""
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    _set_up_logging()
    try:
        handler = _load(entry_point)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported
        _post(api, _INIT_ERROR, _described(error))
        return 1
    while True:
        try:
            api.request("GET", f"{_INVOCATION}/next")
            answer = api.getresponse()
            fetched = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0
        request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        context = Context(request_id, int(answer.headers["Lambda-Runtime-Deadline-Ms"]), fetched["context"])
        kind, document = _invoke(handler, fetched["event"], context)
        _post(api, f"{_INVOCATION}/{request_id}/{kind}", document)


def _load(entry_point: str) -> Callable[[Any, Context], Any]:
    module, _, function = entry_point.rpartition(".")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - without pathlib, which the function may not need
    loaded: Callable[[Any, Context], Any] = getattr(importlib.import_module(module), function)
    return loaded


def _set_up_logging() -> None:
    """Give the root logger the handler that the page "Python function runtime logging" tells of."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("[%(levelname)s]\t%(asctime)s\t%(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def _invoke(handler: Callable[[Any, Context], Any], event: Any, context: Context) -> tuple[str, bytes]:
    try:
        result = handler(event, context)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        return "response", json.dumps(result).encode()
    except Exception as error:  # noqa: BLE001 - it is the caller's to see
        return "error", _described(error)


def _described(error: BaseException) -> bytes:
    stack = traceback.format_tb(error.__traceback__)
    return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": stack}).encode()


def _post(api: http.client.HTTPConnection, path: str, document: bytes) -> None:
    api.request("POST", path, document, {"Content-Type": "application/json"})
    api.getresponse().read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
