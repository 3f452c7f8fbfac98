"""The whole pipeline in one process: real use cases, client and ledger; only the clock and the queue are ours."""

from __future__ import annotations

import heapq
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cloud_desktop import Endpoints, YandexCloud
from cloud_desktop.tokens import IamToken
from image_pipeline import wake_ups
from image_pipeline.adapters import Adapters
from image_pipeline.app import TIME_TO_FINISH
from image_pipeline.clean_up import CleanupReport, clean_up
from image_pipeline.copies import Copy
from image_pipeline.events import ImageAnnounced
from image_pipeline.follow import wake
from image_pipeline.ledger import Ledger
from image_pipeline.notices import Notices
from image_pipeline.policy import Policy, parse_policy
from image_pipeline.start import Result, take_image
from image_pipeline.sweep import SweepReport, sweep
from image_pipeline.trail_files import TrailFiles
from local.emulator.faults import Faults
from local.emulator.transport import EmulatorTransport
from local.emulator.world import World
from tests.rig.aws import Aws
from tests.rig.clock import Clock
from tests.rig.table import MemoryTable

SOURCE = "b1gsource"
TARGET = "b1gtarget"
ORIGIN = "http://127.0.0.1:1"


def policy_json(**changes: Any) -> str:
    """The policy of design.md section 5, less its patterns, with top-level changes."""
    route = {
        "name": "office",
        "source": {"folder_id": SOURCE, "family": "win11-*"},
        "target": {"folder_id": TARGET, "labels": {"channel": "stable"}, "description": "from {id}"},
    }
    return json.dumps({"routes": [route], **changes})


class VirtualQueue:
    """A queue whose delays pass on the test's clock. At least once, any order: tests duplicate and drop at will."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = itertools.count()
        self.waiting: list[tuple[datetime, int, wake_ups.WakeUp]] = []
        self.sent: list[tuple[wake_ups.WakeUp, int]] = []

    def send(self, wake_up: wake_ups.WakeUp, *, after: int) -> None:
        assert 0 <= after <= 900
        self.sent.append((wake_up, after))
        self.put(wake_up, after)

    def put(self, wake_up: wake_ups.WakeUp, after: float = 0) -> None:
        due = self._clock() + timedelta(seconds=after)
        heapq.heappush(self.waiting, (due, next(self._order), wake_up))

    def take(self, nth: int = 0) -> tuple[datetime, wake_ups.WakeUp]:
        """Take the next message out, or one of those after it."""
        self.waiting.sort()
        due, _, wake_up = self.waiting.pop(nth % len(self.waiting))
        return due, wake_up

    def clear(self) -> None:
        self.waiting.clear()


class Mailbox:
    """A notice channel that keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []

    def send(self, subject: str, notice: dict[str, Any]) -> None:
        self.notices.append({"subject": subject, **notice})


class Record:
    """Telemetry that tests read."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.metrics: Counter[str] = Counter()

    def log(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})

    warn = log

    def fail(self, event: str, error: Exception, **fields: object) -> None:
        self.log(event, error=str(error), **fields)

    def log_copy(self, event: str, copy: Copy, **fields: object) -> None:
        self.log(event, state=copy.state, reason=copy.reason, seq=copy.seq, **fields)

    def measure(self, metric: str, value: float = 1) -> None:
        self.metrics[metric] += value  # type: ignore[assignment]

    def begin(self, **keys: Any) -> None: ...

    def flush(self) -> None: ...


class Tokens:
    """A token source whose tokens the emulator issues, twelve hours of the test's clock each."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    def token(self) -> IamToken:
        return IamToken(self._world.issue_token(), self._clock() + timedelta(hours=12))


class Rig:
    """Everything of one test. Without `aws` the ledger is a table in memory."""

    def __init__(
        self,
        aws: Aws | None = None,
        *,
        policy: str | None = None,
        world: Mapping[str, Any] | None = None,
        remaining: Callable[[], float] = lambda: math.inf,
        wrap: Callable[[Any], Any] = lambda port: port,
    ) -> None:
        self.clock = Clock()
        self.world = World(clock=self.clock, **{"copy_seconds": 60, **(world or {})})
        self.faults = Faults(sleep=self.clock.sleep)
        self.queue = VirtualQueue(self.clock)
        self.mailbox = Mailbox()
        self.record = Record()
        self.policy: Policy = parse_policy(policy or policy_json())
        self.table: Any = aws.client("dynamodb") if aws else MemoryTable()
        self._table_name = aws.table() if aws else "copies"
        self._remaining = remaining
        self._wrap = wrap
        self._emulator = EmulatorTransport(self.world, self.faults)
        self.restart()

    def restart(self) -> None:
        """Begin a new process: whatever was only in memory is gone."""
        telemetry: Any = self.record
        no_files: Any = None
        self.ledger = Ledger(self._wrap(self.table), self._table_name)
        self.adapters = Adapters(
            cloud=self.cloud(),
            ledger=self.ledger,
            queue=self._wrap(self.queue),
            notices=Notices((self._wrap(self.mailbox),)),
            telemetry=telemetry,
            trail_files=TrailFiles(lambda: no_files),
            policy=lambda: self.policy,
            clock=self.clock,
            remaining=self._remaining,
        )

    def cloud(self) -> YandexCloud:
        return YandexCloud(
            Endpoints(**dict.fromkeys(Endpoints.__dataclass_fields__, ORIGIN)),
            Tokens(self.world, self.clock),
            transport=self._wrap(self._emulator),
            clock=self.clock,
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
            random=lambda: 0.5,
            remaining=lambda: self._remaining() - TIME_TO_FINISH,
        )

    def add_image(self, **fields: Any) -> str:
        defaults = {"folder_id": SOURCE, "name": "win11-20260801", "family": "win11-office"}
        return self.world.add_compute_image(**{**defaults, **fields}).id

    def take(self, image_id: str) -> list[Result]:
        """Announce an image, as one invocation."""
        self.ledger.forget_snapshot()
        return take_image(self.adapters, ImageAnnounced(image_id))

    def sweep(self) -> SweepReport:
        """Let the sweep's timer fire."""
        self.ledger.forget_snapshot()
        return sweep(self.adapters)

    def clean_up(self) -> CleanupReport:
        """Let the cleanup's timer fire."""
        self.ledger.forget_snapshot()
        return clean_up(self.adapters)

    def deliver_next(self) -> Copy | None:
        """Deliver the next message at its time."""
        due, wake_up = self.queue.take()
        self.clock.move_to(due)
        self.ledger.forget_snapshot()
        return wake(self.adapters, wake_up)

    def settle(self, *, most: int = 500) -> None:
        """Deliver messages until the queue is empty."""
        for _ in range(most):
            if not self.queue.waiting:
                return
            self.deliver_next()
        raise AssertionError(f"the queue is not empty after {most} deliveries: {self.queue.waiting[:3]}")

    def row(self, image_id: str, folder_id: str = TARGET) -> Copy:
        row = self.ledger.get(folder_id, image_id)
        assert row is not None, f"no row for {folder_id}/{image_id}"
        return row
