"""The three handlers as a deployment has them: their environment, moto behind boto3, the emulator behind HTTP."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from cloud_desktop import YandexCloud
from image_pipeline.app import forget_app
from local.emulator.faults import Faults
from local.emulator.http import EmulatorServer
from local.emulator.world import World
from tests.rig.aws import Aws
from tests.rig.pipeline import SOURCE, TARGET, policy_json

MODULES = {"copy": "copy_on_new_compute_image", "poll": "poll_operation", "cleanup": "cleanup"}


@dataclass(frozen=True)
class Deployed:
    """The functions, and the world that they act on."""

    world: World
    faults: Faults
    settings: Mapping[str, str]
    forget_rows: Callable[[], None]

    def start_over(self) -> None:
        """Make the world and the ledger empty again, which is faster than another deployment."""
        self.forget_rows()
        self.faults.clear()
        self.world.calls.clear()
        self.world.rules.copy_seconds = 0
        for image in self.world.desktop_images():
            self.world.remove_desktop_image(image.id)
        for source in self.world.compute_images():
            self.world.remove_compute_image(source.id)
        for operation in self.world.operations():
            self.world.forget_operation(operation.id, key_too=True)
        for folder_id in (SOURCE, TARGET):
            self.world.allow_folder(folder_id)

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke `copy`, `poll` or `cleanup` with an event."""
        return importlib.import_module(MODULES[function]).handler(event, None)


@contextmanager
def deployed(
    aws: Aws, *, platform: str = "aws", policy: str | None = None, with_key: bool = False, **changes: str
) -> Iterator[Deployed]:
    """Set the environment of the functions while the block lasts; with an authorized key instead of a token."""
    world = World(copy_seconds=0, delete_seconds=0, quota_images=1000)
    services = ("CLOUD_DESKTOP", "COMPUTE", "OPERATION", "IAM", "TOKEN_EXCHANGE", "QUOTA")
    faults = Faults()
    with EmulatorServer(world, faults=faults) as emulator, pytest.MonkeyPatch.context() as environment:
        settings = {
            **aws.environment(),
            **{f"YC_{service}_URL": emulator.url for service in services},
            "YC_TOKEN": world.issue_token(),
            "POLL_QUEUE_URL": aws.queue(),
            "COPIES_TABLE": aws.table(),
            "IMAGE_POLICY": policy or policy_json(),
            "PLATFORM": platform,
            **changes,
        }
        if with_key:
            del settings["YC_TOKEN"]
            settings["YC_SERVICE_ACCOUNT_KEY_FILE"] = json.dumps(world.issue_service_account_key())
        # Nothing sleeps: the pauses between the client's attempts are its default, which the app takes.
        defaults: Any = YandexCloud.from_environment.__func__.__kwdefaults__  # type: ignore[attr-defined]
        environment.setitem(defaults, "sleep", lambda _seconds: None)
        for name, value in settings.items():
            environment.setenv(name, value)
        try:
            yield Deployed(world, faults, settings, lambda: _empty(aws, settings["COPIES_TABLE"]))
        finally:
            forget_app()


def _empty(aws: Aws, table: str) -> None:
    dynamodb = aws.client("dynamodb")
    for item in dynamodb.scan(TableName=table)["Items"]:
        key = {name: item[name] for name in ("folder_id", "image_id")}
        dynamodb.delete_item(TableName=table, Key=key)
