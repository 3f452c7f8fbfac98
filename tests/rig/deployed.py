"""The three handlers as a deployment has them: their environment, moto behind boto3, the emulator behind HTTP."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from image_pipeline.app import forget_app
from local.emulator.http import EmulatorServer
from local.emulator.world import World
from tests.rig.aws import Aws
from tests.rig.pipeline import policy_json

MODULES = {"copy": "copy_on_new_compute_image", "poll": "poll_operation", "cleanup": "cleanup"}


@dataclass(frozen=True)
class Deployed:
    """The functions, and the world that they act on."""

    world: World

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke `copy`, `poll` or `cleanup` with an event."""
        return importlib.import_module(MODULES[function]).handler(event, None)


@contextmanager
def deployed(aws: Aws, *, platform: str = "aws", policy: str | None = None) -> Iterator[Deployed]:
    """Set the environment of the functions while the block lasts."""
    world = World(copy_seconds=0, delete_seconds=0, quota_images=1000)
    services = ("CLOUD_DESKTOP", "COMPUTE", "OPERATION", "IAM", "TOKEN_EXCHANGE", "QUOTA")
    with EmulatorServer(world) as emulator, pytest.MonkeyPatch.context() as environment:
        settings = {
            **aws.environment(),
            **{f"YC_{service}_URL": emulator.url for service in services},
            "YC_TOKEN": world.issue_token(),
            "POLL_QUEUE_URL": aws.queue(),
            "COPIES_TABLE": aws.table(),
            "IMAGE_POLICY": policy or policy_json(),
            "PLATFORM": platform,
        }
        for name, value in settings.items():
            environment.setenv(name, value)
        try:
            yield Deployed(world)
        finally:
            forget_app()
