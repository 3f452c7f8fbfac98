"""cleanup: plans which desktop images to retire and, where the policy says so, retires them; by timer or over HTTP."""

from __future__ import annotations

from typing import Any

from image_pipeline import http_events
from image_pipeline.app import app
from image_pipeline.clean_up import clean_up
from image_pipeline.events import TimerFired, UnknownEventError, read_event

PATHS = {"GET": "/cleanup", "POST": "/cleanup"}


def handler(event: Any, context: Any) -> Any:
    """Answer a call, or carry the plan out when the timer fires. Safe to repeat."""
    with app().invocation(context) as adapters:
        if http_events.is_http(event):
            from image_pipeline import http_api, http_router  # noqa: PLC0415 - only HTTP calls pay for the router

            call = http_events.to_format_2(event, default_path=PATHS)
            return http_router.resolve(http_api.CLEANUP_API, call, context, adapters)
        if TimerFired() not in read_event(event).intents:
            raise UnknownEventError('cleanup is called by a timer, by {"action": "cleanup"} or over HTTP')
        return clean_up(adapters).answer()
