"""`make run-yandex`: the packed functions as Yandex Cloud runs them, woken by each of its triggers, without an account.

The functions are packed as for an upload and run from the unpacked archives alone. Each trigger announces one image;
the copies are followed until all are ACTIVE, then the cleanup timer fires and what its plan said is retired.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from rich.console import Console

from local.emulator.faults import Faults
from local.emulator.http import EmulatorServer
from local.emulator.routes import METADATA_PATH
from local.emulator.world import World
from local.run import OWNED, POLICY, SOURCE, TARGET
from local.yandex import CLEANUP, COPY, POLL, YandexHost, shapes
from local.yandex.archives import ArchivesError, make_archives

LONGEST = 60.0
"""Seconds after which a run whose copies are not all ACTIVE has failed."""
ROOM = 20
SERVICES = ("CLOUD_DESKTOP", "COMPUTE", "OPERATION", "IAM", "TOKEN_EXCHANGE", "QUOTA")
Fire = Callable[[YandexHost, str], object]


def _record(image_id: str) -> dict[str, Any]:
    return shapes.audit_record(image_id, datetime.now(UTC))


def _call(url: str) -> Callable[[str], object]:
    return lambda image_id: httpx.post(url, json={"imageId": image_id}, timeout=30).raise_for_status()


TRIGGERS: Mapping[str, Fire] = {
    "Object Storage": lambda host, image: host.store_object(f"trail/{image}.json", shapes.trail_file([_record(image)])),
    "Cloud Logging": lambda host, image: host.write_log(_record(image)),
    "Data Streams": lambda host, image: host.put_stream_records(_record(image)),
    "Message Queue": lambda host, image: host.send(json.dumps(_record(image))),
    "Event Router, bare": lambda host, image: host.route(_record(image), "bare"),
    "Event Router, array": lambda host, image: host.route(_record(image), "array"),
    "Event Router, messages": lambda host, image: host.route(_record(image), "messages"),
    "timer: sweep": lambda host, _image: host.fire_timer(COPY),
    "HTTP, the function itself": lambda host, image: _call(f"{host.direct_url}/{COPY}")(image),
    "API gateway of deploy/yandex": lambda host, image: _call(f"{host.gateway_url()}/images:copy")(image),
    "API gateway, format 0.1": lambda host, image: _call(f"{host.gateway_url('0.1')}/images:copy")(image),
    "API gateway, format 1.0": lambda host, image: _call(f"{host.gateway_url('1.0')}/images:copy")(image),
}


@dataclass
class Run:
    """One run: which trigger announced which image, and when.

    Attributes:
        fired: Name of the trigger and time of its firing, by image.
        active: Images whose copy has been seen ACTIVE.
    """

    world: World
    host: YandexHost
    console: Console
    fired: dict[str, tuple[str, float]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    def go(self) -> int:
        """Fire each trigger, wait for the copies, clean up. Returns 0 only if every image was copied exactly once."""
        for number, (trigger, fire) in enumerate(TRIGGERS.items(), 1):
            image = self.world.add_compute_image(
                folder_id=SOURCE,
                name=f"win11-{number:02}",
                family="win11-office",
                labels={"cloud-desktop": "true"},
            )
            self.fired[image.id] = (trigger, time.monotonic())
            fire(self.host, image.id)
            if not self._wait(lambda copies, wanted=image.id: wanted in {copy["imageId"] for copy in copies}):  # type: ignore[misc]
                return self._give_up(f"{trigger} has begun no copy")
        if not self._wait(lambda _copies: self.fired.keys() <= self.active):
            return self._give_up("not every copy is ACTIVE")
        plan = self.host.fire_timer(CLEANUP).result(timeout=LONGEST).payload
        retiring = {judged["imageId"] for judged in plan["images"] if judged["verdict"] == "delete"}
        if not retiring or not self._wait(lambda copies: retiring <= _retired(copies)):
            return self._give_up("cleanup has retired nothing")
        self.say(f"{'timer: cleanup':<30} {len(retiring)} old image retired: {plan['summary']}")
        return self._sum_up(len(retiring))

    def say(self, text: str) -> None:
        """Write a line with the seconds since the beginning."""
        self.console.print(f"[dim]{time.monotonic() - self.began:5.1f} s[/dim]  {text}", highlight=False)

    def _wait(self, done: Callable[[list[dict[str, Any]]], bool]) -> bool:
        while time.monotonic() - self.began < LONGEST:
            copies = httpx.get(f"{self.host.gateway_url()}/copies", timeout=30).raise_for_status().json()["copies"]
            for copy in copies:
                self._see(copy)
            if done(copies):
                return True
            time.sleep(0.2)
        return False

    def _see(self, copy: dict[str, Any]) -> None:
        image = copy["imageId"]
        if copy["state"] != "ACTIVE" or image in self.active or image not in self.fired:
            return
        self.active.add(image)
        trigger, fired_at = self.fired[image]
        self.say(f"{trigger:<30} {copy['name']}: ACTIVE {time.monotonic() - fired_at:.1f} s after it fired")

    def _give_up(self, why: str) -> int:
        for function in self.host.functions:
            for line in self.host.logs(function)[-10:]:
                self.say(f"{function}: {line[:400]}")
        self.say(f"[red]failed[/red] after {time.monotonic() - self.began:.0f} s: {why}; above are the last lines")
        return 1

    def _sum_up(self, retired: int) -> int:
        made = Counter(image.source_image_id for image in self.world.desktop_images(TARGET) if image.operation_id)
        twice = [image for image, times in made.items() if times > 1]
        unexpected = made.keys() - self.fired.keys()
        dead = self.host.dead_letters()
        tokens = self.world.calls[f"GET {METADATA_PATH}"]
        good = not twice and not unexpected and not dead and tokens == 1
        self.say(
            f"{'[green]done[/green]' if good else '[red]failed[/red]'}: {len(self.active)} of {len(TRIGGERS)} triggers "
            f"led to one ACTIVE copy, {retired} old image retired, {len(twice)} copied twice, {len(unexpected)} copied "
            f"unexpectedly, {len(dead)} dead letters; tokens came with the context, for {POLL} from the metadata "
            f"service ({tokens} request)"
        )
        return 0 if good else 1


def run(code: Mapping[str, Path], python: str, console: Console, faults: Faults | None = None) -> int:
    """Run the unpacked functions once, with what goes wrong at the emulator. Returns the exit status."""
    world = World(copy_seconds=1, delete_seconds=1, quota_images=ROOM)
    for name, days in (("june", 60), ("july", 30), ("may", 90)):
        world.add_desktop_image(
            folder_id=TARGET,
            name=f"win11-office-{name}",
            labels={**OWNED, "source-image": f"fd8{name}", "source-family": "win11-office"},
            created_at=datetime.now(UTC) - timedelta(days=days),
        )

    def token(function: str) -> dict[str, Any] | None:
        if function == POLL:
            return None
        return {"access_token": world.issue_token(), "expires_in": 43200, "token_type": "Bearer"}

    with EmulatorServer(world, faults=faults) as emulator:
        environment = {f"YC_{service}_URL": emulator.url for service in SERVICES}
        environment["YC_METADATA_ADDR"] = emulator.url.removeprefix("http://")
        policy = json.dumps({**POLICY, "quota": {"images": ROOM}})
        with YandexHost(code=code, policy=policy, environment=environment, token=token, python=python) as host:
            started = Run(world, host, console)
            started.say(f"emulated Yandex APIs at {emulator.url}, API gateway at {host.gateway_url()}")
            return started.go()


def main() -> int:
    """Pack, unpack and run. Returns 0 only if every trigger led to exactly one ACTIVE copy."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    console = Console(soft_wrap=True)
    try:
        with tempfile.TemporaryDirectory(prefix="run-yandex-") as directory:
            console.print("packing the functions")
            archives = make_archives(Path(directory))
            console.print(f"running {archives}", highlight=False)
            return run(archives.code, archives.python, console)
    except ArchivesError as error:
        console.print(f"[red]failed[/red]: {error}")
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started has been stopped")
        return 130


def _retired(copies: list[dict[str, Any]]) -> set[str | None]:
    return {copy.get("desktopImageId") for copy in copies if copy["state"] == "RETIRED"}


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """End the run in order; whoever presses twice must not interrupt that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
