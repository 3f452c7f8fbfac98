"""poll-operation: looks at copies that the queue wakes, and answers questions about copies and operations over HTTP."""

from __future__ import annotations

from typing import Any

from image_pipeline import batches, http_events
from image_pipeline.app import app
from image_pipeline.follow import wake
from image_pipeline.wake_ups import read_wake_up

PATHS = {"GET": "/copies"}


def handler(event: Any, context: Any) -> Any:
    """Follow the copies of a batch of wake-ups. Pending is success: the successor is sent before this returns."""
    with app().invocation(context) as adapters:
        if http_events.is_http(event):
            from image_pipeline import http_api, http_router  # noqa: PLC0415 - only HTTP calls pay for the router

            call = http_events.to_format_2(event, default_path=PATHS)
            return http_router.resolve(http_api.POLL_API, call, context, adapters)
        return batches.each_record(adapters, event, context, lambda part: wake(adapters, read_wake_up(part)))
