"""HTTP events of both clouds in one form: API Gateway's payload format 2.0. Pure.

A Yandex function called directly gets no path. A Yandex API Gateway gives the path that was asked for as `url` (payload
format 0.1, where `path` is the one of the specification) or as `path` (1.0). Source: the page "cloud_functions
extension" of the API Gateway documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlencode


def is_http(event: object) -> bool:
    """Whether an event is an HTTP call rather than a trigger's."""
    return isinstance(event, dict) and "messages" not in event and ("httpMethod" in event or _is_format_2(event))


def to_format_2(event: Mapping[str, Any], *, default_path: Mapping[str, str]) -> dict[str, Any]:
    """Return the call in payload format 2.0, its path decoded.

    A call without a path is the one that `default_path` names for its method, unless a query parameter `path` chooses
    another. HEAD is taken for GET there: what it asks for is the same.
    """
    if _is_format_2(event):
        return {**event, "rawPath": unquote(event["rawPath"])}
    query = _query(event)
    method = str(event["httpMethod"]).upper()
    path = _path(event)
    if path is None:
        asked_for = query.pop("path", [""])[0]
        path = asked_for or default_path.get("GET" if method == "HEAD" else method, "/")
    headers = {str(key).lower(): str(value) for key, value in (event.get("headers") or {}).items()}
    context = event.get("requestContext") or {}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": urlencode(query, doseq=True),
        "headers": headers,
        "queryStringParameters": {key: ",".join(values) for key, values in query.items()},
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


def _query(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the values of each parameter, in the order given; the map of single values is the last resort."""
    several = event.get("multiValueQueryStringParameters")
    if several:
        return {str(key): [str(value) for value in values] for key, values in several.items() if values}
    return {str(key): [str(value)] for key, value in (event.get("queryStringParameters") or {}).items()}


def _path(event: Mapping[str, Any]) -> str | None:
    path = unquote(str(event.get("url") or event.get("path") or "").partition("?")[0])
    return path if path not in {"", "/"} else None
