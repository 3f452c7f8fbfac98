"""A World under a clock that the test moves, with a client that talks to it in the process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from local.emulator.faults import Faults
from local.emulator.records import ComputeImage
from local.emulator.transport import EmulatorTransport
from local.emulator.world import World

IMAGES = "/cloud-desktop/v1/images"
SOURCE_FOLDER = "b1gsource"
TARGET_FOLDER = "b1gtarget"
START = datetime(2026, 8, 1, 10, tzinfo=UTC)
KEY = "3f0b6c1e-7a55-4c1c-9d61-0c4c8b0f2a11"


class EmulatedCloud:
    """`world`, its `faults`, and `call` to send a request to it; `settings` are those of World."""

    def __init__(self, **settings: Any) -> None:
        self.now = START
        self.faults = Faults(sleep=self.pass_time)
        self.world = World(clock=lambda: self.now, **settings)
        self.client = httpx.Client(
            transport=EmulatorTransport(self.world, self.faults),
            base_url="https://cloud.test",
            headers={"Authorization": f"Bearer {self.world.issue_token()}"},
        )

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """Return the JSON of the answer, which must have `status`; underscores in header names become dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.request(method, path, json=body, headers=named)
        assert response.status_code == status, response.text
        return response.json()

    def source(self, name: str = "win11", **more: Any) -> ComputeImage:
        return self.world.add_compute_image(folder_id=SOURCE_FOLDER, name=name, **more)

    def copy(self, source_id: str | None = None, *, status: int = 200, key: str | None = None, **changes: Any) -> Any:
        """Ask for a copy of a fresh image, or of `source_id`; `changes` go into the body."""
        body = {"folderId": TARGET_FOLDER, "name": "win11", "imageId": source_id or self.source().id, **changes}
        headers = {} if key is None else {"Idempotency_Key": key}
        return self.call("POST", f"{IMAGES}:copy", body, status=status, **headers)

    def operation(self, operation_id: str) -> Any:
        return self.call("GET", f"/operations/{operation_id}")

    def finished_copy(self, **changes: Any) -> str:
        """Copy to the end; returns the id of the desktop image."""
        operation = self.copy(**changes)
        self.pass_time(self.world.rules.copy_seconds)
        image_id: str = self.operation(operation["id"])["response"]["id"]
        return image_id
