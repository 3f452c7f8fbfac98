"""The composition root of the local host in Yandex mode: services, functions, triggers and gateways, and their end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.host import DeadLetter
from local.host.functions import Function, FunctionConfig, Invocation
from local.host.http_gateway import HttpGateway, Route
from local.yandex import http_events, shapes
from local.yandex.services import BUCKET, LocalServices, Queue
from local.yandex.triggers import Deliveries, QueueReader, QueueTrigger

COPY, POLL, CLEANUP = "copy-on-new-compute-image", "poll-operation", "cleanup"
LIMITS = {COPY: (300, 512), POLL: (60, 256), CLEANUP: (120, 256)}
"""Seconds that an invocation may take, and megabytes that its context tells; those of deploy/yandex."""
SETTINGS = {
    "PLATFORM": "yandex",
    "YC_REGION": "kz1",
    "POWERTOOLS_SERVICE_NAME": "desktop-images",
    "POWERTOOLS_LOG_LEVEL": "INFO",
}
RUNTIME = Path(__file__).parent / "runtime.py"
ROUTES = (
    ("POST", "/images:copy", COPY),
    ("POST", "/sweep", COPY),
    ("GET", "/copies", POLL),
    ("GET", "/copies/{folderId}/{imageId}", POLL),
    ("GET", "/operations/{operationId}", POLL),
    ("GET", "/cleanup", CLEANUP),
    ("POST", "/cleanup", CLEANUP),
    ("POST", "/copies/{folderId}/{imageId}/pin", CLEANUP),
    ("DELETE", "/copies/{folderId}/{imageId}/pin", CLEANUP),
)


class YandexHost:
    """Runs the packed functions on this machine while its `with` block lasts; everything listens on loopback only.

    Args:
        code: Directory of an unpacked archive, by function.
        policy: The image policy, as JSON.
        environment: Variables for every function, over those that deploy/yandex sets.
        token: Gives what `context.token` of a function holds, anew for each invocation; None for nothing.
        python: The interpreter that runs the functions.
        on_log: Called with a function's name and each line it writes, from other threads; must not block.
        batch_size: Messages a queue trigger hands over at a time.
        timeout: Seconds that an invocation of any function may take; those of deploy/yandex by default.
        visibility: Seconds until a batch that failed comes back.
        receives: How often a message is received before it goes to the dead-letter queue.
        deliver_twice: Hand every queue batch over a second time, as at-least-once delivery may.
        retry_attempts: Further tries of the triggers that keep no queue.
        retry_interval: Seconds before each of them.

    Attributes:
        services: The queues, the table and the bucket.
    """

    def __init__(
        self,
        *,
        code: Mapping[str, Path],
        policy: str,
        environment: Mapping[str, str],
        token: Callable[[str], Mapping[str, Any] | None],
        python: str = sys.executable,
        on_log: Callable[[str, str], None] | None = None,
        timeout: float | None = None,
        batch_size: int = 1,
        visibility: int = 360,
        receives: int = 5,
        deliver_twice: bool = False,
        retry_attempts: int = 2,
        retry_interval: float = 60.0,
    ) -> None:
        self.services = LocalServices(policy=policy, receives=receives)
        self._code = dict(code)
        self._environment = dict(environment)
        self._token = token
        self._python = python
        self._timeout = timeout
        self._on_log = on_log or (lambda _function, _line: None)
        self._queue_trigger = partial(
            QueueTrigger, batch_size=batch_size, visibility=visibility, deliver_twice=deliver_twice
        )
        self._new_deliveries = partial(Deliveries, attempts=retry_attempts, interval=retry_interval)
        self._functions: dict[str, Function] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def functions(self) -> Mapping[str, Function]:
        """The functions by name; `pids` of one are the processes it has now."""
        return self._functions

    @property
    def direct_url(self) -> str:
        """Origin of the functions' own addresses; the path is a function's name."""
        return self._direct.url

    def gateway_url(self, integration: str = "http") -> str:
        """Return the origin of an API gateway: `http` as in deploy/yandex, or payload format `0.1` or `1.0`."""
        return self._gateways[integration].url

    def invoke(self, function: str, event: Any) -> Invocation:
        """Invoke a function and wait, as triggers and `?integration=raw` do; a failure is in the result.

        Raises:
            HostClosedError: The host is closing.
        """
        told = {
            "function_id": function_id(function),
            "version_id": f"{function_id(function)}-v1",
            "log_group_id": "e23loggroup000000001",
            "memory_limit_in_mb": LIMITS[function][1],
            "token": self._token(function),
        }
        return self._functions[function].invoke({"event": event, "context": told})

    def fire_timer(self, function: str) -> Future[Invocation]:
        """Let the timer trigger of a function fire now: the sweep's or the cleanup's."""
        payload = json.dumps({"source": "schedule", "action": "sweep" if function == COPY else "cleanup"})
        return self._deliver(function, shapes.timer("a1stimer000000000001", payload, _now()))

    def store_object(self, key: str, content: bytes) -> Future[Invocation]:
        """Put an object into the bucket; its trigger tells the copy function."""
        self.services.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)
        return self._deliver(COPY, shapes.object_created(BUCKET, key, _now()))

    def write_log(self, *records: Mapping[str, Any]) -> Future[Invocation]:
        """Write audit records into the log group; its trigger tells the copy function."""
        return self._deliver(COPY, shapes.log_entries(records, _now()))

    def put_stream_records(self, *records: Mapping[str, Any]) -> Future[Invocation]:
        """Put audit records into the data stream; its trigger tells the copy function."""
        return self._deliver(COPY, shapes.stream_records(records))

    def route(self, record: Mapping[str, Any], form: str) -> Future[Invocation]:
        """Put an audit record on the bus; a rule tells the copy function in one of the forms of `shapes.routed`."""
        return self._deliver(COPY, shapes.routed(record, form))

    def send(self, body: str, queue: Queue | None = None) -> None:
        """Send a message to a queue with a trigger, by default the one that new images are announced in."""
        url = (queue or self.services.images).url
        self.services.aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    def logs(self, function: str) -> tuple[str, ...]:
        """Return the latest lines of a function, oldest first."""
        return self._functions[function].lines

    def dead_letters(self) -> list[DeadLetter]:
        """Return what lies in the dead-letter queues; it stays there."""
        return self.services.dead_letters()

    def close(self) -> None:
        """Stop everything that was started, by process id and in bounded time. Safe to call twice."""
        self._closing.close()

    def _start(self) -> None:
        self.services.start()
        self._closing.callback(self.services.stop)
        for name, code in self._code.items():
            self._functions[name] = Function(self._config(name, code), concurrency=1, on_log=self._on_log)
        self._deliveries = self._new_deliveries(self.invoke, self.services.give_up)
        self._closing.callback(self._deliveries.close)
        # Closing runs backwards: no more tries, then the processes end, then nothing keeps a source from ending.
        self._start_gateways()
        for queue, function in ((self.services.poll, POLL), (self.services.images, COPY)):
            self._start_reader(queue, function)
        for started in self._functions.values():
            self._closing.callback(started.close)
        self._closing.callback(self._deliveries.stop)

    def _start_gateways(self) -> None:
        routes = [Route(*route) for route in ROUTES]
        direct = [Route("ANY", f"/{name}", name) for name in self._code]
        formats = {
            "http": http_events.gateway_event_http,
            "0.1": http_events.gateway_event_0_1,
            "1.0": http_events.gateway_event_1_0,
        }
        self._gateways = {name: self._gateway(routes, write_event) for name, write_event in formats.items()}
        self._direct = self._gateway(direct, http_events.direct_event)

    def _gateway(self, routes: list[Route], write_event: Callable[..., Any]) -> HttpGateway:
        gateway = HttpGateway(routes, self.invoke, write_event=write_event, read_answer=http_events.to_answer)
        self._closing.callback(gateway.close)
        return gateway

    def _start_reader(self, queue: Queue, function: str) -> None:
        trigger = self._queue_trigger(queue.url, shapes.queue_arn(queue.name), function)
        reader = QueueReader(trigger, self.services.aws.client("sqs"), self.invoke)
        self._closing.callback(reader.close)
        reader.start()

    def _config(self, name: str, code: Path) -> FunctionConfig:
        handler = f"{name.replace('-', '_')}.handler"
        reserved = {
            "LAMBDA_TASK_ROOT": str(code),
            "LAMBDA_RUNTIME_DIR": str(RUNTIME.parent),
            "LD_LIBRARY_PATH": str(code / "shared-libs"),
            "PATH": os.defpath,
            "_HANDLER": handler,
        }
        return FunctionConfig(
            logical_id=name,
            name=name,
            arn=function_id(name),
            code=code,
            handler=handler,
            timeout=LIMITS[name][0] if self._timeout is None else self._timeout,
            memory=LIMITS[name][1],
            environment={**reserved, **SETTINGS, **self.services.environment(), **self._environment},
            runtime=(self._python, "-I", "-S", "-u", str(RUNTIME)),
        )

    def _deliver(self, function: str, event: Any) -> Future[Invocation]:
        return self._deliveries.submit(function, event)


def function_id(name: str) -> str:
    """Return the id that a function has here.

    >>> function_id("cleanup")
    'd4ecleanup'
    """
    return f"d4e{name.replace('-', '')[:17]}"


def _now() -> datetime:
    return datetime.now(UTC)
