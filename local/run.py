"""`make run`: the whole job on this machine, with the real functions, the real wire and no account.

Emulated Yandex APIs and a local AWS are started, an Audit Trails file is put into the bucket, and the copies it leads
to are followed until all are ACTIVE and cleanup has retired what its plan said.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote_plus

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from local.emulator.http import EmulatorServer
from local.emulator.world import World
from local.host import LocalHost

ROOT = Path(__file__).parent.parent
SOURCE, TARGET = "b1gsource", "b1gtarget"
SECRET = "yandex-service-account-key"  # noqa: S105 - the name of one
EVENT_IMAGE, EVENT_BUCKET = "fd8computeimage00001", "audit-trails-b1gsource"
"""What the files of events/ speak of."""
LONGEST = 120.0
"""Seconds after which a run that has not ended has failed."""
OWNED = {"managed-by": "desktop-image-copy", "route": "office"}
POLICY = {
    "routes": [
        {
            "name": "office",
            "source": {"folder_id": SOURCE, "family": "win11-*", "labels": {"cloud-desktop": "true"}},
            "target": {"folder_id": TARGET, "labels": {"channel": "stable"}, "description": "from {id}"},
            "retention": {"keep_last": 2, "min_age_days": 7, "max_deletions": 1},
        }
    ],
    "cleanup": "apply",
}


@dataclass
class Story:
    """The images of the run, and what should become of them."""

    world: World
    expected: set[str] = field(default_factory=set)
    records: list[dict[str, Any]] = field(default_factory=list)

    def tell(self) -> None:
        """Put images into the emulated folders and write the audit records of their creation."""
        now = datetime.now(UTC)
        for name, days in (("win11-office-june", 60), ("win11-office-july", 30)):
            self.world.add_desktop_image(
                folder_id=TARGET,
                name=name,
                labels={**OWNED, "source-image": f"fd8{name.replace('-', '')}", "source-family": "win11-office"},
                created_at=now - timedelta(days=days),
            )
        office = self._image("win11-office-20260801", "win11-office")
        self._announce(office, "DONE")
        self._announce(office, "DONE")
        self._announce(self._image("win11-office-20260815", "win11-office"), "DONE")
        self._announce(self._image("win11-dev-20260801", "win11-dev"), "DONE")
        self._announce(self._image("ubuntu-2404-20260801", "ubuntu-2404", expected=False), "DONE")
        self._announce(self._image("win11-dev-20260815", "win11-dev", expected=False), "STARTED")

    def tell_of_one(self) -> None:
        """Put the one image there that the files of events/ speak of."""
        labels = {"cloud-desktop": "true"}
        self.world.add_compute_image(
            folder_id=SOURCE, name="win11-20260801", family="win11-office", labels=labels, image_id=EVENT_IMAGE
        )
        self.expected.add(EVENT_IMAGE)
        self._announce(EVENT_IMAGE, "DONE")

    def _image(self, name: str, family: str, *, expected: bool = True) -> str:
        image = self.world.add_compute_image(
            folder_id=SOURCE, name=name, family=family, labels={"cloud-desktop": "true"}
        )
        if expected:
            self.expected.add(image.id)
        return image.id

    def _announce(self, image_id: str, status: str) -> None:
        self.records.append(
            {
                "event_id": f"event-{len(self.records)}",
                "event_source": "compute",
                "event_type": "yandex.cloud.audit.compute.CreateImage",
                "event_time": datetime.now(UTC).isoformat(),
                "authorization": {"authorized": True},
                "event_status": status,
                "details": {"image_id": image_id},
            }
        )


class Screen:
    """A live table on a terminal, one line a change elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._said: dict[str, str] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Write a line above the table."""
        self._console.print(f"[dim]{self._clock()}[/dim]  {text}", highlight=False)

    def show(self, copies: list[dict[str, Any]]) -> None:
        """Show the copies as they are now."""
        if self._live:
            self._live.update(_table(copies), refresh=True)
        for copy in copies:
            line = f"{copy['name']}: {copy['state']} - {copy['reason']}"
            if self._said.get(copy["imageId"]) != line:
                self._said[copy["imageId"]] = line
                if not self._live:
                    self.say(line)

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:5.1f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job once. Returns 0 only if every expected copy is ACTIVE and nothing was copied twice."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--event", type=Path, help="announce one image by this event instead, a file of events/")
    event: Path | None = parser.parse_args(arguments).event
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(soft_wrap=True)
    world = World(copy_seconds=3, delete_seconds=1)
    story = Story(world)
    story.tell_of_one() if event else story.tell()
    try:
        with EmulatorServer(world) as emulator, _host(emulator.url, world) as host, Screen(console) as screen:
            screen.say(f"emulated Yandex APIs at {emulator.url}, HTTP API at {host.api_url}")
            return _run_event(story, host, screen, event) if event else _run(story, host, screen)
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started has been stopped")
        return 130


def _host(url: str, world: World) -> LocalHost:
    services = ("CloudDesktopUrl", "ComputeUrl", "OperationUrl", "IamUrl", "TokenExchangeUrl", "QuotaUrl")
    return LocalHost(
        template=ROOT / "template.yaml",
        parameters={
            **dict.fromkeys(services, url),
            "ImagePolicy": json.dumps(POLICY),
            "ServiceAccountKeySecret": SECRET,
        },
        secrets={SECRET: json.dumps(world.issue_service_account_key())},
    )


def _run(story: Story, host: LocalHost, screen: Screen) -> int:
    key = "trail/2026/08/records.json"
    bucket = host.resource("TrailBucket").ref
    host.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(story.records).encode())
    screen.say(f"put an Audit Trails file with {len(story.records)} records into s3://{bucket}/{key}")
    copies: list[dict[str, Any]] = []
    for copies in _watch(host, screen):
        if story.expected <= {copy["imageId"] for copy in copies if copy["state"] == "ACTIVE"}:
            break
    screen.say("all expected copies are ACTIVE; firing the cleanup timer")
    plan = httpx.get(f"{host.api_url}/cleanup", timeout=30).json()
    for judged in plan["images"]:
        screen.say(f"plan: {judged['name']}: {judged['verdict']} - {'; '.join(judged['reasons'])}")
    to_retire = {judged["imageId"] for judged in plan["images"] if judged["verdict"] == "delete"}
    host.fire("CleanupFunctionCleanup")
    for copies in _watch(host, screen):
        if to_retire <= {copy.get("desktopImageId") for copy in copies if copy["state"] == "RETIRED"}:
            break
    return _sum_up(story, host, screen, copies, len(to_retire))


def _run_event(story: Story, host: LocalHost, screen: Screen, path: Path) -> int:
    """Hand the event to copy-on-new-compute-image, with the trail file that it may speak of in its bucket."""
    s3 = host.aws.client("s3")
    s3.create_bucket(Bucket=EVENT_BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    event = json.loads(path.read_text(encoding="utf-8"))
    for key in re.findall(r"golden[/%][^\"\\]+?\.json(?:\.gz)?", json.dumps(event)):
        s3.put_object(Bucket=EVENT_BUCKET, Key=unquote_plus(key), Body=json.dumps(story.records).encode())
    taken = host.invoke("CopyOnNewComputeImageFunction", event)
    screen.say(f"{path.name}: {'taken' if taken.error is None else taken.error}")
    copies: list[dict[str, Any]] = []
    for copies in _watch(host, screen):
        if story.expected <= {copy["imageId"] for copy in copies if copy["state"] == "ACTIVE"}:
            break
    return _sum_up(story, host, screen, copies, 0)


def _watch(host: LocalHost, screen: Screen) -> Iterator[list[dict[str, Any]]]:
    """Yield the copies whenever they may have changed; ends with an error when that takes too long."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        copies = httpx.get(f"{host.api_url}/copies", timeout=30).json()["copies"]
        screen.show(copies)
        yield copies
        time.sleep(0.3)
    for function in host.functions:
        for line in host.logs(function)[-20:]:
            screen.say(f"{function}: {line[:400]}")
    raise SystemExit(f"the run has not ended after {LONGEST:.0f} s; above are the functions' last lines")


def _sum_up(story: Story, host: LocalHost, screen: Screen, copies: list[dict[str, Any]], retired: int) -> int:
    active = {copy["imageId"] for copy in copies if copy["state"] == "ACTIVE"}
    made = Counter(image.source_image_id for image in story.world.desktop_images(TARGET) if image.operation_id)
    twice = [image_id for image_id, times in made.items() if times > 1]
    unexpected = made.keys() - story.expected
    dead = host.dead_letters()
    good = story.expected <= active and not twice and not unexpected and not dead
    screen.say(
        f"{'[green]done[/green]' if good else '[red]failed[/red]'}: {len(story.expected & active)} of "
        f"{len(story.expected)} expected copies ACTIVE, {retired} old image retired, {len(twice)} copied twice, "
        f"{len(unexpected)} copied unexpectedly, {len(dead)} dead letters"
    )
    return 0 if good else 1


def _table(copies: list[dict[str, Any]]) -> Table:
    table = Table("desktop image", "source image", "state", "reason")
    colours = {"ACTIVE": "green", "FAILED": "red", "LOST": "red", "TIMED_OUT": "red", "RETIRED": "dim"}
    for copy in sorted(copies, key=lambda copy: copy["createdAt"]):
        colour = colours.get(copy["state"], "yellow")
        table.add_row(copy["name"], copy["imageId"], f"[{colour}]{copy['state']}[/{colour}]", copy["reason"])
    return table


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
