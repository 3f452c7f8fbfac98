"""HTTP events of both clouds in one form: API Gateway's payload format 2.0. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit


def is_http(event: object) -> bool:
    """Whether an event is an HTTP call rather than a trigger's."""
    return isinstance(event, dict) and "messages" not in event and ("httpMethod" in event or _is_format_2(event))


def to_format_2(event: Mapping[str, Any], *, default_path: Mapping[str, str]) -> dict[str, Any]:
    """Return the call in payload format 2.0.

    A Yandex API Gateway gives the path as `url` (payload format 0.1) or `path` (1.0). A direct call of a Yandex
    function has no path: `default_path` says, by method, which call is meant, and a query parameter `path` chooses
    another.
    """
    if _is_format_2(event):
        return dict(event)
    query = event.get("multiValueQueryStringParameters") or {
        key: [value] for key, value in (event.get("queryStringParameters") or {}).items()
    }
    method = str(event["httpMethod"]).upper()
    path = _path(event) or next(iter(query.pop("path", [])), None) or default_path.get(method, "/")
    headers = {str(key).lower(): value for key, value in (event.get("headers") or {}).items()}
    context = event.get("requestContext") or {}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": urlencode(query, doseq=True),
        "headers": headers,
        "queryStringParameters": {key: ",".join(str(v) for v in values) for key, values in query.items()},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": (context.get("identity") or {}).get("sourceIp", "")},
            "requestId": context.get("requestId", ""),
            "stage": "$default",
        },
        "body": event.get("body") or None,
        "isBase64Encoded": bool(event.get("isBase64Encoded")),
    }


def _is_format_2(event: Mapping[str, Any]) -> bool:
    context = event.get("requestContext")
    return isinstance(context, dict) and isinstance(context.get("http"), dict) and "rawPath" in event


def _path(event: Mapping[str, Any]) -> str | None:
    for name in ("url", "path"):
        value = event.get(name)
        if isinstance(value, str) and value and "{" not in value:
            path = urlsplit(value).path
            return path if path not in {"", "/"} else None
    return None
