"""HTTP calls as the functions get them, answered by the routers with a rig's adapters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from image_pipeline import http_router
from image_pipeline.http_api import CLEANUP_API, COPY_API, POLL_API
from local.host.http_events import joined
from tests.rig.pipeline import Rig

ROUTERS = {"images:copy": COPY_API, "sweep": COPY_API, "copies": POLL_API, "operations": POLL_API}


@dataclass(frozen=True)
class Answer:
    """What the caller gets."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json", self
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """The google.rpc code of an error, once its form has been checked."""
        assert set(self.json) == {"code", "message", "details"}, self.body
        assert all(detail["@type"].startswith("type.googleapis.com/google.rpc.") for detail in self.json["details"])
        code: int = self.json["code"]
        return code

    @property
    def message(self) -> str:
        message: str = self.json["message"]
        return message


def event(method: str, target: str, body: object = None, **headers: str) -> dict[str, Any]:
    """A call in payload format 2.0; a `body` that is not text is sent as JSON."""
    path, _, query = target.partition("?")
    path = unquote(path)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **headers},
        "queryStringParameters": joined(parse_qsl(query, keep_blank_values=True)),
        "requestContext": {"http": {"method": method, "path": path}, "requestId": "r", "stage": "$default"},
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "isBase64Encoded": False,
    }


def answer(rig: Rig, call: dict[str, Any]) -> Answer:
    """Answer a call in payload format 2.0 as one invocation."""
    rig.ledger.forget_snapshot()
    path = call["rawPath"]
    api = CLEANUP_API if path.endswith("/pin") else ROUTERS.get(path.split("/")[1], CLEANUP_API)
    given = http_router.resolve(api, call, None, rig.adapters)
    assert api.context == {}, "the router kept something of the call"
    return Answer(given["statusCode"], given["headers"], given["body"])


def call(rig: Rig, method: str, target: str, body: object = None, **headers: str) -> Answer:
    """Make a call and return its answer."""
    return answer(rig, event(method, target, body, **headers))
