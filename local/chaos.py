"""`make chaos`: the real functions, killed at random, every message delivered twice, a fifth of all API calls faulty.

Ends well only if every image is a desktop image exactly once in each of two folders, nothing is lost and nothing stuck.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from image_pipeline.copies import Copy, State
from image_pipeline.ledger import Ledger
from local.emulator.faults import SURVIVABLE, Fault, Faults
from local.emulator.http import EmulatorServer
from local.emulator.world import World
from local.host import LocalHost

ROOT = Path(__file__).parent.parent
SOURCE, TARGETS = "b1gsource", ("b1gone", "b1gtwo")
SECRET = "yandex-service-account-key"  # noqa: S105 - the name of one
IMAGES_A_FILE = 25
SWEEP_EVERY = 30.0
LOOK_EVERY = 2.0
"""Seconds; every look reads the whole ledger, which costs the functions their share of the machine."""
VISIBILITY = 20
"""Seconds until a batch whose process was killed comes back; six minutes in template.yaml."""


@dataclass(slots=True)
class Outcome:
    """What became of the copies, and what they went through."""

    wanted: int
    states: Counter[str]
    twice: int
    kills: int
    faults: Counter[str]
    dead_letters: int
    seconds: float
    stuck: list[Copy] = field(default_factory=list)

    @property
    def active(self) -> int:
        """Copies that are ACTIVE."""
        return self.states[State.ACTIVE.value]

    @property
    def good(self) -> bool:
        """Whether nothing was lost, copied twice or left stuck."""
        return self.active == self.wanted and not self.twice and sum(self.states.values()) == self.wanted

    def report(self) -> str:
        """Return the outcome as lines of text."""
        stuck = sum(count for state, count in self.states.items() if State(state).is_pending)
        lost = self.wanted - self.active - stuck
        faults = ", ".join(f"{count} {kind}" for kind, count in self.faults.most_common())
        lines = [
            f"{'done' if self.good else 'failed'} after {self.seconds:.0f} s: "
            f"{self.active} of {self.wanted} copies ACTIVE, "
            f"{lost} lost, {self.twice} copied twice, {stuck} stuck",
            f"survived: {self.kills} processes killed, every message delivered twice, "
            f"{self.dead_letters} dead letters that a sweep made good, {sum(self.faults.values())} faults: {faults}",
        ]
        lines += [f"  {copy.correlation_id}: {copy.state} - {copy.reason}" for copy in self.stuck[:10]]
        return "\n".join(lines)


def run_chaos(
    *,
    images: int,
    fault_rate: float,
    kill_every: float,
    seed: int,
    limit: float,
    menu: Iterable[Fault] = SURVIVABLE,
) -> Outcome:
    """Copy `images` images over two routes while everything goes wrong; give up after `limit` seconds."""
    began = time.monotonic()
    wanted = images * len(TARGETS)
    world = World(copy_seconds=1, quota_images=10 * wanted, quota_bytes=2**60, max_active_operations=10 * wanted)
    faults = Faults.random(fault_rate, seed, menu)
    for number in range(images):
        world.add_compute_image(folder_id=SOURCE, name=f"win11-{number:04}", family="win11")
    with EmulatorServer(world, faults=faults) as emulator, _host(emulator.url, world, wanted) as host:
        ledger = Ledger(host.aws.client("dynamodb"), host.resource("CopiesTable").ref)
        with _killing(host, every=kill_every, seed=seed) as kills:
            _announce(host, [image.id for image in world.compute_images()])
            _until_all_are_active(host, ledger, wanted, end=began + limit)
        rows = list(ledger.copies())
        made = Counter((image.folder_id, image.source_image_id) for image in world.desktop_images())
        return Outcome(
            wanted=wanted,
            states=Counter(row.state.value for row in rows),
            twice=sum(times > 1 for times in made.values()),
            kills=len(kills),
            faults=Counter(faults.fired),
            dead_letters=len(host.dead_letters()),
            seconds=time.monotonic() - began,
            stuck=[row for row in rows if row.state is not State.ACTIVE],
        )


def _host(url: str, world: World, wanted: int) -> LocalHost:
    routes = [
        {"name": f"route-{folder}", "source": {"folder_id": SOURCE}, "target": {"folder_id": folder}}
        for folder in TARGETS
    ]
    services = ("CloudDesktopUrl", "ComputeUrl", "OperationUrl", "IamUrl", "TokenExchangeUrl", "QuotaUrl")
    return LocalHost(
        template=ROOT / "template.yaml",
        parameters={
            **dict.fromkeys(services, url),
            "ImagePolicy": json.dumps({"routes": routes, "quota": {"images": 10 * wanted, "bytes": 2**60}}),
            "ServiceAccountKeySecret": SECRET,
        },
        secrets={SECRET: json.dumps(world.issue_service_account_key())},
        properties={"PollQueue": {"VisibilityTimeout": VISIBILITY}},
        concurrency=4,
        deliver_twice=True,
        retry_delays=(1, 2),
    )


def _announce(host: LocalHost, image_ids: list[str]) -> None:
    """Put trail files into the bucket, each of which announces some images, twice."""
    for start in range(0, len(image_ids), IMAGES_A_FILE):
        some = image_ids[start : start + IMAGES_A_FILE]
        records = [
            {
                "event_type": "yandex.cloud.audit.compute.CreateImage",
                "event_status": "DONE",
                "authorization": {"authorized": True},
                "details": {"image_id": image_id},
            }
            for image_id in some + some[::-1]
        ]
        bucket = host.resource("TrailBucket").ref
        host.aws.client("s3").put_object(Bucket=bucket, Key=f"trail/{start}.json", Body=json.dumps(records).encode())


@contextmanager
def _killing(host: LocalHost, *, every: float, seed: int) -> Iterator[list[int]]:
    """Kill a function process, chosen at random, again and again while the block lasts; gives the pids killed."""
    chance = random.Random(seed)  # noqa: S311 - chaos, not secrets
    stop = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not stop.wait(chance.uniform(0.5, 1.5) * every):
            pids = [pid for function in host.functions.values() for pid in function.pids]
            if pids:
                pid = chance.choice(pids)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill, name="killer", daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def _until_all_are_active(host: LocalHost, ledger: Ledger, wanted: int, *, end: float) -> None:
    next_sweep = time.monotonic() + SWEEP_EVERY
    while time.monotonic() < end:
        rows = list(ledger.copies())
        if len(rows) == wanted and all(row.state is State.ACTIVE for row in rows):
            return
        if time.monotonic() >= next_sweep:
            next_sweep = time.monotonic() + SWEEP_EVERY
            with suppress(CancelledError):
                host.fire("CopyOnNewComputeImageFunctionSweep")
        time.sleep(LOOK_EVERY)


def main(
    images: Annotated[int, typer.Option(min=1, help="Images, each copied over two routes.")] = 200,
    fault_rate: Annotated[float, typer.Option(min=0, max=0.9, help="Share of API calls that go wrong.")] = 0.2,
    kill_every: Annotated[float, typer.Option(min=0.1, help="Seconds between two kills, on average.")] = 4.0,
    seed: Annotated[int, typer.Option(help="Which faults, and which processes.")] = 1,
    limit: Annotated[float, typer.Option(help="Seconds after which it has failed.")] = 290.0,
) -> None:
    """Run the chaos and say what was survived."""
    outcome = run_chaos(images=images, fault_rate=fault_rate, kill_every=kill_every, seed=seed, limit=limit)
    typer.echo(outcome.report())
    raise typer.Exit(0 if outcome.good else 1)


def _entry() -> Any:
    return typer.run(main)


if __name__ == "__main__":
    sys.exit(_entry())
