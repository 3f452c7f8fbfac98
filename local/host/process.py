"""One function process under its runtime: started cold, given one invocation at a time, stopped by its own pid."""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.host.runtime_api import Answered, Exited, InitFailed, Outcome, Raised, Request, RuntimeApi

LAMBDA_RUNTIME = (sys.executable, "-m", "awslambdaric")
# Lambda allows ten seconds and then starts over inside the invocation; a laptop under load may need longer once.
INIT_LIMIT_SECONDS = 60.0


class FunctionTimeoutError(Exception):
    """The function did not answer before its deadline; its process has been killed."""


class FunctionProcess:
    """A running copy of a function.

    Args:
        code: Directory that holds the handler's module.
        handler: `module.function`.
        environment: The whole environment of the process, apart from the runtime's address.
        on_log: Called with each line the process writes, from another thread.
        runtime: The command, less the handler, of a client of the Runtime API.
    """

    def __init__(
        self,
        code: Path,
        handler: str,
        environment: Mapping[str, str],
        on_log: Callable[[str], None],
        runtime: Sequence[str] = LAMBDA_RUNTIME,
    ) -> None:
        self._on_log = on_log
        self._log_lock = threading.Lock()
        self._partial = b""
        self._lines: list[str] = []
        self._api = RuntimeApi()
        self._output, output_end = os.pipe()
        os.set_blocking(self._output, False)
        try:
            self._process = subprocess.Popen(
                [*runtime, handler],
                cwd=code,
                env={**environment, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                start_new_session=True,  # Ctrl-C in the terminal is for the host, which stops its processes in order
            )
        finally:
            os.close(output_end)
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{self.pid}", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """The operating system's number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process can take an invocation."""
        return self._process.poll() is None

    def invoke(
        self, request_id: str, event: bytes, function_arn: str, timeout: float
    ) -> Answered | Raised | InitFailed | Exited:
        """Run one invocation and return what became of it.

        Args:
            request_id: Unique among all invocations.
            event: JSON.
            function_arn: What the context's invoked_function_arn says.
            timeout: Seconds the handler may take; loading the module is not counted.

        Raises:
            FunctionTimeoutError: It took longer; the process is dead.
        """
        early = self._wait_until_ready()
        if early is not None:
            return early
        deadline = time.time() + timeout
        self._api.offer(Request(request_id, event, function_arn, deadline))
        while True:
            outcome = self._next_outcome(deadline - time.time())
            if outcome is None:
                self.kill()
                raise FunctionTimeoutError
            if isinstance(outcome, Exited | InitFailed) or outcome.request_id == request_id:
                return outcome

    def take_lines(self) -> tuple[str, ...]:
        """Return the lines written since the last call, up to those written before the last outcome was posted."""
        self._read_output()
        with self._log_lock:
            lines = tuple(self._lines)
            self._lines.clear()
        return lines

    def kill(self) -> None:
        """End the process at once, as Lambda ends a sandbox."""
        if self._process.poll() is None:
            self._process.kill()

    def close(self) -> None:
        """Kill the process and release everything it held. Safe to call twice."""
        self.kill()
        self._watcher.join(timeout=5)
        self._api.close()

    def _wait_until_ready(self) -> Exited | InitFailed | None:
        limit = time.monotonic() + INIT_LIMIT_SECONDS
        while not self._api.ready.wait(0.02):
            try:
                outcome = self._api.outcomes.get_nowait()
            except queue.Empty:
                if time.monotonic() > limit:
                    self.kill()
                    raise FunctionTimeoutError from None
                continue
            if isinstance(outcome, Exited | InitFailed):
                return outcome
        return None

    def _next_outcome(self, seconds: float) -> Outcome | None:
        try:
            return self._api.outcomes.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return None

    def _watch(self) -> None:
        while self._process.poll() is None:
            select.select([self._output], [], [], 0.1)
            if not self._read_output():
                self._process.wait()
        self._read_output()
        with self._log_lock:
            os.close(self._output)
            self._output = -1
        self._api.outcomes.put(Exited(self._process.returncode))

    def _read_output(self) -> bool:
        """Take what the pipe holds; False once the process has closed its end."""
        with self._log_lock:
            while self._output >= 0:
                try:
                    data = os.read(self._output, 65536)
                except BlockingIOError:
                    return True
                if not data:
                    return False
                *complete, self._partial = (self._partial + data).split(b"\n")
                for line in complete:
                    text = line.decode("utf-8", "replace").rstrip("\r")
                    self._lines.append(text)
                    self._on_log(text)
            return False


def describe_exit(status: int) -> str:
    """Say how a process ended, in Lambda's words.

    >>> describe_exit(1)
    'Runtime exited with error: exit status 1'
    >>> describe_exit(-9)
    'Runtime exited with error: signal: SIGKILL'
    """
    if status < 0:
        return f"Runtime exited with error: signal: {signal.Signals(-status).name}"
    return f"Runtime exited with error: exit status {status}"
