"""The composition root of the local host: reads the template, creates what it describes, connects it, stops it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.host import wiring
from local.host.asynchronous import LAMBDA_RETRY_DELAYS, AsyncInvoker
from local.host.aws import REGION, LocalAws
from local.host.event_bus import EventBus
from local.host.functions import Function, Invocation
from local.host.http_gateway import HttpGateway
from local.host.queues import QueuePoller
from local.host.schedules import Clockwork, Schedule
from local.host.stack import Physical, Stack
from local.host.template import Template

STACK_NAME = "desktop-images"


@dataclass(frozen=True)
class DeadLetter:
    """A message in a queue where messages end.

    Attributes:
        queue: Logical id of the dead-letter queue or failure destination.
        body: As it was sent.
    """

    queue: str
    body: str


class LocalHost:
    """Runs a SAM template on this machine while its `with` block lasts; everything it starts listens on loopback only.

    Args:
        template: The SAM template; code paths are relative to it.
        parameters: The template's parameters.
        secrets: Secrets Manager secrets to create, by name.
        environment: Variables for every function, over the template's.
        properties: Template properties to replace, by logical id, for example
            `{"PollQueue": {"VisibilityTimeout": 2}}` so that a lost batch comes back sooner than in six minutes.
        layer: Directory for PYTHONPATH: the layer's source, or the `python` directory of a built layer.
        on_log: Called with a function's logical id and each line it writes, from other threads; must not block.
        concurrency: Processes per function, and batches in flight per queue.
        deliver_twice: Hand every queue batch over a second time, as at-least-once delivery may.
        retry_delays: Seconds before the further tries of an asynchronous invocation.

    Attributes:
        aws: The local AWS; `aws.endpoint` and `aws.client("s3")`.
    """

    def __init__(
        self,
        *,
        template: Path,
        parameters: Mapping[str, str],
        secrets: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        properties: Mapping[str, Mapping[str, Any]] | None = None,
        layer: Path | None = None,
        on_log: Callable[[str, str], None] | None = None,
        concurrency: int = 1,
        deliver_twice: bool = False,
        retry_delays: Sequence[float] = LAMBDA_RETRY_DELAYS,
    ) -> None:
        self.aws = LocalAws()
        self._template = Template(template, parameters, region=REGION, stack_name=STACK_NAME)
        self._stack = Stack(self._template, self.aws, STACK_NAME, properties or {})
        self._secrets = dict(secrets or {})
        self._environment = dict(environment or {})
        self._layer = layer or self._template.directory / "layers" / "desktop-images"
        self._on_log = on_log or (lambda _function, _line: None)
        self._concurrency = concurrency
        self._deliver_twice = deliver_twice
        self._retry_delays = retry_delays
        self._functions: dict[str, Function] = {}
        self._schedules: dict[str, Schedule] = {}
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
    def api_url(self) -> str:
        """Origin of the HTTP API."""
        return self._gateway.url

    @property
    def functions(self) -> Mapping[str, Function]:
        """The functions by logical id; `pids` of one are the processes it has now."""
        return self._functions

    def resource(self, logical_id: str) -> Physical:
        """Return a created resource; its `ref` is the queue's URL, the table's or bucket's name, the topic's ARN."""
        return self._stack.physical(logical_id)

    def invoke(self, function: str, event: Any) -> Invocation:
        """Invoke a function by logical id and wait; a failure of the function is in the result.

        Raises:
            HostClosedError: The host is closing.
        """
        return self._functions[function].invoke(event)

    def fire(self, schedule: str) -> Future[Invocation]:
        """Fire a schedule now, by the rule's logical id: the function's followed by the event's.

        Raises:
            KeyError: There is no such schedule; the message lists those there are.
        """
        if schedule not in self._schedules:
            raise KeyError(f"{schedule} is no schedule of the template; it has {', '.join(sorted(self._schedules))}.")
        return self._fire(self._schedules[schedule])

    def logs(self, function: str) -> tuple[str, ...]:
        """Return the latest lines of a function, oldest first."""
        return self._functions[function].lines

    def dead_letters(self) -> list[DeadLetter]:
        """Return what lies in dead-letter queues and failure destinations; it stays there."""
        sqs = self.aws.client("sqs")
        found = []
        for logical_id in wiring.dead_letter_queues(self._stack):
            url = self.resource(logical_id).ref
            seen: dict[str, str] = {}
            while True:
                answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
                messages = {message["MessageId"]: message["Body"] for message in answer.get("Messages", [])}
                if not messages.keys() - seen.keys():
                    break
                seen.update(messages)
            found += [DeadLetter(logical_id, body) for body in seen.values()]
        return found

    def close(self) -> None:
        """Stop everything that was started, by process id and in bounded time. Safe to call twice."""
        self._closing.close()

    def _start(self) -> None:
        self.aws.start()
        self._closing.callback(self.aws.stop)
        for name, value in self._secrets.items():
            self.aws.client("secretsmanager").create_secret(Name=name, SecretString=value)
        self._stack.create_all()
        surroundings = {"PYTHONPATH": str(self._layer), **self.aws.environment()}
        for config in wiring.function_configs(self._stack, surroundings, self._environment):
            function = Function(config, concurrency=self._concurrency, on_log=self._on_log)
            self._functions[config.logical_id] = function
        self._asynchronous = AsyncInvoker(
            self.invoke,
            configs=wiring.async_configs(self._stack),
            send=self._send,
            function_arn=lambda logical_id: self._functions[logical_id].config.arn,
            retry_delays=self._retry_delays,
        )
        self._closing.callback(self._asynchronous.close)
        # Closing runs backwards: no more tries, then the processes end, then nothing keeps a source from ending.
        self._start_sources()
        for function in self._functions.values():
            self._closing.callback(function.close)
        self._closing.callback(self._asynchronous.stop)

    def _start_sources(self) -> None:
        schedules = wiring.schedules(self._stack)
        self._schedules = {schedule.name: schedule for schedule in schedules}
        self._gateway = HttpGateway(wiring.routes(self._stack), self.invoke)
        self._closing.callback(self._gateway.close)
        bus = EventBus(self.aws.client("sqs"), self.aws.client("events"), self._asynchronous.submit)
        self._closing.callback(bus.close)
        bus.start(wiring.rules(self._stack))
        for mapping in wiring.queue_mappings(self._stack, deliver_twice=self._deliver_twice):
            poller = QueuePoller(mapping, self.aws.client("sqs"), self.invoke, pollers=self._concurrency)
            self._closing.callback(poller.close)
            poller.start()
        clockwork = Clockwork(self._fire)
        self._closing.callback(clockwork.close)
        clockwork.start(schedules)

    def _send(self, queue_url: str, body: str) -> None:
        self.aws.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body)

    def _fire(self, schedule: Schedule) -> Future[Invocation]:
        return self._asynchronous.submit(schedule.function, schedule.next_event())
