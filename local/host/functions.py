"""The functions of the template: their configuration, and the processes that run them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.host.process import LAMBDA_RUNTIME, FunctionProcess, FunctionTimeoutError, describe_exit
from local.host.runtime_api import Answered, Exited, InitFailed, Raised

LINES_KEPT = 10_000
TIMED_OUT = "Sandbox.Timedout"
"""Error type of an invocation that took longer than the function's timeout."""


@dataclass(frozen=True)
class FunctionConfig:
    """What the template says about a function.

    Attributes:
        code: Directory of the handler's module.
        timeout: Seconds one invocation may take.
        memory: Megabytes; told to the function, not enforced.
        environment: The whole environment of its processes.
        runtime: The command, less the handler, that runs it.
    """

    logical_id: str
    name: str
    arn: str
    code: Path
    handler: str
    timeout: float
    memory: int
    environment: Mapping[str, str]
    runtime: tuple[str, ...] = LAMBDA_RUNTIME


@dataclass(frozen=True)
class FunctionError:
    """Why an invocation failed, as Lambda reports it."""

    type: str
    message: str


@dataclass(frozen=True)
class Invocation:
    """One finished invocation.

    Attributes:
        payload: What the handler returned, or the error document.
        error: None when the handler returned.
        logs: The lines it wrote, with those of the cold start.
        seconds: From the hand-over to the outcome, a cold start included.
    """

    function: str
    request_id: str
    payload: Any
    error: FunctionError | None
    logs: tuple[str, ...]
    cold_start: bool
    seconds: float


class HostClosedError(Exception):
    """The local host was closed while an invocation waited for its turn."""


class Function:
    """A function that can be invoked; processes start when needed and serve one invocation at a time.

    Args:
        config: What to run.
        concurrency: The most processes at a time. Further invocations wait.
        on_log: Called with the logical id and each line.
    """

    def __init__(self, config: FunctionConfig, *, concurrency: int, on_log: Callable[[str, str], None]) -> None:
        self.config = config
        self._on_log = on_log
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._slots = threading.Semaphore(concurrency)
        self._lock = threading.Lock()
        self._idle: list[FunctionProcess] = []
        self._processes: set[FunctionProcess] = set()
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """Process numbers of the running processes, idle or not."""
        with self._lock:
            return tuple(sorted(process.pid for process in self._processes if process.alive))

    @property
    def lines(self) -> tuple[str, ...]:
        """The latest lines of all its processes, oldest first."""
        return tuple(self._lines)

    def invoke(self, event: Any) -> Invocation:
        """Invoke the function and wait for the outcome; a failure is returned, not raised.

        Raises:
            HostClosedError: The host was closed meanwhile.
        """
        request_id = str(uuid.uuid4())
        body = json.dumps(event).encode()
        with self._slots:
            started = time.monotonic()
            process, cold_start = self._take()
            reusable = False
            try:
                payload, error, reusable = self._run(process, request_id, body)
                logs = process.take_lines()
            finally:
                self._give_back(process, reusable=reusable)
        seconds = time.monotonic() - started
        return Invocation(self.config.logical_id, request_id, payload, error, logs, cold_start, seconds)

    def close(self) -> None:
        """Kill every process and refuse further invocations."""
        with self._lock:
            self._closed = True
            processes = list(self._processes)
        for process in processes:
            process.kill()
        for process in processes:
            self._discard(process)

    def _run(self, process: FunctionProcess, request_id: str, event: bytes) -> tuple[Any, FunctionError | None, bool]:
        """Return the answer or error document, the error, and whether the process can serve again."""
        try:
            outcome = process.invoke(request_id, event, self.config.arn, self.config.timeout)
        except FunctionTimeoutError:
            message = f"RequestId: {request_id} Error: Task timed out after {self.config.timeout:.2f} seconds"
            return *_failure(TIMED_OUT, message), False
        match outcome:
            case Answered(payload=payload):
                return json.loads(payload or b"null"), None, True
            case Raised(payload=payload) | InitFailed(payload=payload):
                document = json.loads(payload)
                error = FunctionError(str(document.get("errorType")), str(document.get("errorMessage")))
                return document, error, isinstance(outcome, Raised)
            case Exited(status=status):
                message = f"RequestId: {request_id} Error: {describe_exit(status)}"
                return *_failure("Runtime.ExitError", message), False

    def _take(self) -> tuple[FunctionProcess, bool]:
        with self._lock:
            if self._closed:
                raise HostClosedError
            while self._idle:
                process = self._idle.pop()
                if process.alive:
                    return process, False
                threading.Thread(target=self._discard, args=(process,), daemon=True).start()
            config = self.config
            process = FunctionProcess(config.code, config.handler, config.environment, self._record, config.runtime)
            self._processes.add(process)
            return process, True

    def _give_back(self, process: FunctionProcess, *, reusable: bool) -> None:
        with self._lock:
            if reusable and process.alive and not self._closed:
                self._idle.append(process)
                return
        self._discard(process)

    def _discard(self, process: FunctionProcess) -> None:
        process.close()
        with self._lock:
            self._processes.discard(process)

    def _record(self, line: str) -> None:
        self._lines.append(line)
        self._on_log(self.config.logical_id, line)


def _failure(error_type: str, message: str) -> tuple[dict[str, str], FunctionError]:
    return {"errorType": error_type, "errorMessage": message}, FunctionError(error_type, message)
