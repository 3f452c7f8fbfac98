"""One scenario, two platforms: the functions do the same on either local host, and lose nothing on either."""

from __future__ import annotations

import itertools
import json
import os
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from local.emulator.faults import Fault, Faults
from local.emulator.http import EmulatorServer
from local.emulator.world import World
from local.host import DeadLetter, LocalHost
from local.host.functions import Function
from local.run import OWNED, POLICY, ROOT, SOURCE, TARGET
from local.yandex import COPY, POLL, YandexHost, shapes
from local.yandex.host import CLEANUP
from tests.rig.yandex import unpack_functions

SERVICES = ("CLOUD_DESKTOP", "COMPUTE", "OPERATION", "IAM", "TOKEN_EXCHANGE", "QUOTA")
SOON = Fault.parse("hint,route=POST images:copy|GET operations/*|DELETE images/*,retry_after=1,times=always")
"""The server asks for the next look after a second, where the pipeline would wait for five."""
VISIBILITY = 2
Wait = Callable[[Callable[[], bool]], None]


class Platform(ABC):
    """A local host, and what a scenario does with it.

    Args:
        world: The emulated cloud.
        url: Where it answers.
        deliver_twice: Hand every queue message over twice.
    """

    def __init__(self, world: World, url: str, *, deliver_twice: bool) -> None:
        self.host = self.new_host(world, url, deliver_twice=deliver_twice)
        self._files = itertools.count()

    def __enter__(self) -> Self:
        self.host.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.host.__exit__(None, None, None)

    @abstractmethod
    def new_host(self, world: World, url: str, *, deliver_twice: bool) -> Any: ...

    @property
    @abstractmethod
    def api(self) -> str: ...

    @property
    @abstractmethod
    def functions(self) -> Mapping[str, Function]:
        """The functions as `copy`, `poll` and `cleanup`."""

    @abstractmethod
    def announce(self, records: bytes) -> None:
        """Put a trail file into the bucket."""

    def next_key(self) -> str:
        return f"trail/2026/08/{next(self._files)}.json"

    @abstractmethod
    def clean_up(self) -> None:
        """Let the cleanup's timer fire."""

    def copies(self, state: str = "") -> dict[str, dict[str, Any]]:
        """The copies, by image id."""
        answer = httpx.get(f"{self.api}/copies", params={"state": state} if state else {}, timeout=30)
        return {copy["imageId"]: copy for copy in answer.raise_for_status().json()["copies"]}

    def dead_letters(self) -> list[DeadLetter]:
        letters: list[DeadLetter] = self.host.dead_letters()
        return letters

    def kill(self, function: str) -> None:
        """Kill every process of a function."""
        for pid in self.functions[function].pids:
            os.kill(pid, signal.SIGKILL)


class Aws(Platform):
    host: LocalHost

    def new_host(self, world: World, url: str, *, deliver_twice: bool) -> LocalHost:
        origins = ("CloudDesktopUrl", "ComputeUrl", "OperationUrl", "IamUrl", "TokenExchangeUrl", "QuotaUrl")
        return LocalHost(
            template=ROOT / "template.yaml",
            parameters={
                **dict.fromkeys(origins, url),
                "ImagePolicy": json.dumps(POLICY),
                "ServiceAccountKeySecret": "yandex-key",
            },
            secrets={"yandex-key": json.dumps(world.issue_service_account_key())},
            properties={"PollQueue": {"VisibilityTimeout": VISIBILITY}},
            deliver_twice=deliver_twice,
            retry_delays=(0, 0),
        )

    @property
    def api(self) -> str:
        return self.host.api_url

    @property
    def functions(self) -> Mapping[str, Function]:
        names = {"copy": "CopyOnNewComputeImageFunction", "poll": "PollOperationFunction", "cleanup": "CleanupFunction"}
        return {short: self.host.functions[name] for short, name in names.items()}

    def announce(self, records: bytes) -> None:
        bucket = self.host.resource("TrailBucket").ref
        self.host.aws.client("s3").put_object(Bucket=bucket, Key=self.next_key(), Body=records)

    def clean_up(self) -> None:
        self.host.fire("CleanupFunctionCleanup").result(timeout=60)


class Yandex(Platform):
    host: YandexHost
    code: Mapping[str, Path]

    def new_host(self, world: World, url: str, *, deliver_twice: bool) -> YandexHost:
        return YandexHost(
            code=self.code,
            policy=json.dumps(POLICY),
            environment=dict.fromkeys([f"YC_{service}_URL" for service in SERVICES], url),
            token=lambda _function: {"access_token": world.issue_token(), "expires_in": 43200},
            visibility=VISIBILITY,
            deliver_twice=deliver_twice,
            retry_interval=0,
        )

    @property
    def api(self) -> str:
        return self.host.gateway_url()

    @property
    def functions(self) -> Mapping[str, Function]:
        names = {"copy": COPY, "poll": POLL, "cleanup": CLEANUP}
        return {short: self.host.functions[name] for short, name in names.items()}

    def announce(self, records: bytes) -> None:
        self.host.store_object(self.next_key(), records)

    def clean_up(self) -> None:
        self.host.fire_timer(CLEANUP).result(timeout=60)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return unpack_functions(tmp_path_factory.mktemp("functions"))


@pytest.fixture
def faults() -> Faults:
    return Faults(SOON)


@pytest.fixture
def world() -> World:
    return World(copy_seconds=1, delete_seconds=0)


@pytest.fixture
def emulator(world: World, faults: Faults) -> Iterator[EmulatorServer]:
    with EmulatorServer(world, faults=faults) as server:
        yield server


Start = Callable[..., AbstractContextManager[Platform]]


@pytest.fixture(params=["aws", "yandex"])
def start(request: pytest.FixtureRequest, world: World, emulator: EmulatorServer) -> Start:
    if request.param == "yandex":
        Yandex.code = request.getfixturevalue("code")
    kind = Aws if request.param == "aws" else Yandex
    return lambda *, deliver_twice=False: kind(world, emulator.url, deliver_twice=deliver_twice)


def add_image(world: World, name: str, family: str = "win11-office") -> str:
    return world.add_compute_image(folder_id=SOURCE, name=name, family=family, labels={"cloud-desktop": "true"}).id


def trail_file(*images: str) -> bytes:
    return shapes.trail_file([shapes.audit_record(image, datetime.now(UTC)) for image in images])


def made(world: World) -> Counter[str | None]:
    """How often each image was copied."""
    return Counter(image.source_image_id for image in world.desktop_images(TARGET) if image.operation_id)


def test_a_trail_file_becomes_desktop_images_and_cleanup_retires_the_old_one(
    start: Start, world: World, wait: Wait
) -> None:
    for name, days in (("june", 60), ("july", 30)):
        world.add_desktop_image(
            folder_id=TARGET,
            name=f"win11-office-{name}",
            labels={**OWNED, "source-image": f"fd8{name}", "source-family": "win11-office"},
            created_at=datetime.now(UTC) - timedelta(days=days),
        )
    first, second = add_image(world, "win11-a"), add_image(world, "win11-b")
    other = add_image(world, "ubuntu", "ubuntu-2404")

    with start() as platform:
        platform.announce(trail_file(first, other, first, second))
        wait(lambda: platform.copies("ACTIVE").keys() == {first, second})
        platform.clean_up()
        wait(lambda: platform.copies("RETIRED").keys() == {"fd8june"})
        lines = [line for function in platform.functions.values() for line in function.lines]
        letters = platform.dead_letters()

    assert made(world) == {first: 1, second: 1}
    assert letters == []
    assert not [line for line in lines if '"level":"ERROR"' in line]


def test_killed_processes_and_messages_delivered_twice_copy_once(
    start: Start, world: World, faults: Faults, wait: Wait
) -> None:
    image = add_image(world, "win11-a")
    faults.clear()
    for route in ("POST images:copy", "GET operations/*"):
        faults.add(Fault.parse(f"latency,route={route},seconds=1.5,times=1"))
    faults.add(SOON)

    with start(deliver_twice=True) as platform:
        platform.announce(trail_file(image))
        for number, function in enumerate(("copy", "poll"), 1):
            wait(lambda number=number: faults.fired["latency"] == number)  # type: ignore[misc]
            platform.kill(function)
        wait(lambda: platform.copies("ACTIVE").keys() == {image})
        letters = platform.dead_letters()

    assert world.calls["POST /cloud-desktop/v1/images:copy"] >= 2, "no call was cut off"
    assert made(world) == {image: 1}
    assert letters == []


def test_what_yandexs_functions_write_is_read_by_cloud_logging(
    code: dict[str, Path], world: World, emulator: EmulatorServer, wait: Wait
) -> None:
    """Every line is JSON with a level and a message, and none holds a token or a key."""
    image = add_image(world, "win11-a")
    issued: list[str] = []

    def token(function: str) -> dict[str, Any] | None:
        issued.append(world.issue_token())
        return {"access_token": issued[-1], "expires_in": 43200, "token_type": "Bearer"}

    Yandex.code = code
    platform = Yandex(world, emulator.url, deliver_twice=False)
    platform.host._token = token
    with platform:
        platform.announce(trail_file(image))
        platform.announce(b"no trail file")
        platform.host.send("no wake-up", platform.host.services.poll)
        wait(lambda: platform.copies("ACTIVE").keys() == {image})
        wait(lambda: any("record_failed" in line for line in platform.functions["poll"].lines))
        wait(lambda: any("invocation_failed" in line for line in platform.functions["copy"].lines))
        lines = [line for function in platform.functions.values() for line in function.lines]

    written = [json.loads(line) for line in lines]
    assert {line["level"] for line in written} == {"INFO", "ERROR"}
    assert all(isinstance(line["message"], str) and line["message"] for line in written)
    assert {line["service"] for line in written} == {"desktop-images"}
    assert {"copy_advanced", "metric", "record_failed", "invocation_failed"} <= {line["message"] for line in written}
    assert issued
    assert not [secret for secret in issued if any(secret in line for line in lines)]
