"""Knowledge that no schema can hold, for the cases that schemathesis makes; loaded by its command line alone."""

from __future__ import annotations

from typing import Any

import schemathesis

from image_pipeline.copies import State
from image_pipeline.page_tokens import page_token

IMAGES = tuple(f"fd8computeimage{number:05}" for number in range(1, 9))
"""Compute images that the test puts into the emulator."""


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    """Give valid cases what only the API can: page tokens, and, for every other one, an image that exists."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    if case.operation.label == "GET /copies" and case.query.get("pageToken"):
        folder_id, state = case.query.get("folderId"), case.query.get("state")
        case.query["pageToken"] = page_token(
            (folder_id or "b1gtarget", IMAGES[0]), folder_id=folder_id, state=State(state) if state else None
        )
    if case.operation.label == "POST /images:copy" and isinstance(case.body, dict):
        number = sum(map(ord, str(case.body.get("imageId"))))
        if number % 2:
            case.body["imageId"] = IMAGES[number % len(IMAGES)]
