"""copy-on-new-compute-image: begins a copy for every compute image that a route selects.

Called by events of storage, audit trails and queues, by a timer (the sweep) and over HTTP, on either cloud.
"""

from __future__ import annotations

from typing import Any

from image_pipeline import batches, http_events
from image_pipeline.app import app
from image_pipeline.events import read_event
from image_pipeline.intake import take

PATHS = {"POST": "/images:copy"}


def handler(event: Any, context: Any) -> Any:
    """Take the event. Raises if any of it is not done, so that it is delivered again or kept for a person."""
    with app().invocation(context) as adapters:
        if http_events.is_http(event):
            from image_pipeline import http_api, http_router  # noqa: PLC0415 - only HTTP calls pay for the router

            call = http_events.to_format_2(event, default_path=PATHS)
            return http_router.resolve(http_api.COPY_API, call, context, adapters)
        if batches.is_sqs(event) or batches.is_message_queue(event):
            return batches.each_record(adapters, event, context, lambda part: take(adapters, read_event(part)))
        return take(adapters, read_event(event))
