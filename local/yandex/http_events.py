"""HTTP calls as a Yandex function gets them: at its own address, and behind an API gateway of either payload format.

Sources: the pages "Invoking a function" (Cloud Functions) and "cloud_functions extension" (API Gateway).
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from local.host.functions import TIMED_OUT, Invocation
from local.host.http_events import HttpAnswer, HttpRequest

# What never reaches a function, and what never leaves with its answer.
_TAKEN_FROM_BOTH = {"authorization", "connection", "cookie", "max-forwards"}
_FORBIDDEN_IN_ANSWERS = {"proxy-authenticate", "transfer-encoding", "via", "www-authenticate"}
_TAKEN_FROM_ANSWERS = _TAKEN_FROM_BOTH | {"host", "user-agent"}
_TAKEN_FROM_REQUESTS = _TAKEN_FROM_BOTH | {
    *("content-md5", "expect", "proxy-authenticate", "server", "te", "trailer", "transfer-encoding", "upgrade"),
    "www-authenticate",
}


def direct_event(request: HttpRequest, _route_key: str, _parameters: Mapping[str, str]) -> dict[str, Any]:
    """Write a call of a function's own address: there is no path in it."""
    return {**_common(request), "url": "", "params": {}, "multiValueParams": {}, "pathParams": {}}


def gateway_event_http(request: HttpRequest, _route_key: str, _parameters: Mapping[str, str]) -> dict[str, Any]:
    """Write a call through the gateway of deploy/yandex: it calls the function's own address, the path in the query."""
    target = urlsplit(request.target)
    query = "&".join(part for part in (target.query, urlencode({"path": unquote(target.path)})) if part)
    return direct_event(HttpRequest(request.method, f"/?{query}", request.headers, request.body), "", {})


def gateway_event_0_1(request: HttpRequest, route_key: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Write a call through a gateway, format 0.1 (the default): `url` was asked for, `path` is the specification's."""
    given = dict(parameters)
    several = {name: [value] for name, value in given.items()}
    path = route_key.split(" ", 1)[1]
    parts = {"params": given, "multiValueParams": several, "pathParams": given}
    return {**_common(request), "url": request.target, "path": path, **parts}


def gateway_event_1_0(request: HttpRequest, route_key: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Write a call through a gateway, format 1.0: `path` was asked for, `resource` is the specification's."""
    common = _common(request)
    given = dict(parameters)
    return {
        **common,
        "version": "1.0",
        "resource": route_key.split(" ", 1)[1],
        "path": urlsplit(request.target).path,
        "pathParameters": given,
        "parameters": given,
        "multiValueParameters": {name: [value] for name, value in given.items()},
        "operationId": route_key,
        "requestContext": {**common["requestContext"], "apiGateway": {"operationContext": {}}},
    }


def to_answer(invocation: Invocation) -> HttpAnswer:
    """Translate a function's answer: 504 for one that took too long, 502 for an error or anything that is no answer."""
    if invocation.error is not None:
        status = HTTPStatus.GATEWAY_TIMEOUT if invocation.error.type == TIMED_OUT else HTTPStatus.BAD_GATEWAY
        return _failed(status, invocation.payload)
    payload = invocation.payload
    if not isinstance(payload, dict) or not isinstance(payload.get("statusCode"), int):
        return _failed(
            HTTPStatus.BAD_GATEWAY, {"errorMessage": "the answer has no statusCode", "errorType": "ProxyError"}
        )
    headers = {str(name).lower(): str(value) for name, value in (payload.get("headers") or {}).items()}
    forbidden = _FORBIDDEN_IN_ANSWERS & headers.keys()
    if forbidden:
        message = f"the answer has the header {', '.join(sorted(forbidden))}"
        return _failed(HTTPStatus.BAD_GATEWAY, {"errorMessage": message, "errorType": "ProxyError"})
    kept = tuple((name, value) for name, value in headers.items() if name not in _TAKEN_FROM_ANSWERS)
    body = payload.get("body") or ""
    content = base64.b64decode(body) if payload.get("isBase64Encoded") else str(body).encode()
    return HttpAnswer(payload["statusCode"], kept, content)


def _common(request: HttpRequest) -> dict[str, Any]:
    several: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.lower() not in _TAKEN_FROM_REQUESTS:
            several.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
    request_id = str(uuid.uuid4())
    several["X-Request-Id"] = [request_id]
    several["X-Forwarded-For"] = ["127.0.0.1"]
    query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
    body, encoded = _body(request.body)
    return {
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in several.items()},
        "multiValueHeaders": several,
        "queryStringParameters": {name: values[-1] for name, values in query.items()},
        "multiValueQueryStringParameters": query,
        "requestContext": _context(request, request_id, several.get("User-Agent", [""])[-1]),
        "body": body,
        "isBase64Encoded": encoded,
    }


def _context(request: HttpRequest, request_id: str, user_agent: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "identity": {"sourceIp": "127.0.0.1", "userAgent": user_agent},
        "httpMethod": request.method,
        "requestId": request_id,
        "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(now.timestamp()),
    }


def _body(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _failed(status: HTTPStatus, document: Any) -> HttpAnswer:
    headers = (("content-type", "application/json"), ("x-function-error", "true"))
    return HttpAnswer(status, headers, json.dumps(document).encode())
