"""API Gateway's payload format 2.0: an HTTP request as an event, and a function's return value as an HTTP answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from local.host.functions import Invocation
from local.host.template import ACCOUNT_ID

_TEXT_TYPES = re.compile(r"(text/.*|application/(.*\+)?(json|xml|x-www-form-urlencoded|javascript))(;.*)?")


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came in.

    Attributes:
        target: Path and query, still percent-encoded.
        headers: In their order, repeated ones included.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class HttpAnswer:
    """What goes back to the caller; header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def to_event(request: HttpRequest, route_key: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Write a request as the function behind `route_key` receives it."""
    target = urlsplit(request.target)
    headers = joined((name.lower(), value) for name, value in request.headers if name.lower() != "cookie")
    cookies = [value for name, value in request.headers if name.lower() == "cookie"]
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": unquote(target.path),
        "rawQueryString": target.query,
        "headers": headers,
        "requestContext": _context(request, route_key, headers),
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = [part.strip() for cookie in cookies for part in cookie.split(";")]
    if parameters:
        event["pathParameters"] = dict(parameters)
    if target.query:
        event["queryStringParameters"] = joined(parse_qsl(target.query, keep_blank_values=True))
    if request.body:
        text = _as_text(request.body, headers.get("content-type", ""))
        event["isBase64Encoded"] = text is None
        event["body"] = base64.b64encode(request.body).decode() if text is None else text
    return event


def to_answer(invocation: Invocation) -> HttpAnswer:
    """Translate a function's answer: with a statusCode it is a response, without one it is the JSON body of a 200."""
    payload = invocation.payload
    if invocation.error is not None:
        return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
    if not isinstance(payload, dict) or "statusCode" not in payload:
        body = payload if isinstance(payload, str) else json.dumps(payload)
        return HttpAnswer(HTTPStatus.OK, (("content-type", "application/json"),), body.encode())
    headers = {str(name).lower(): str(value) for name, value in (payload.get("headers") or {}).items()}
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    cookies = [("set-cookie", str(cookie)) for cookie in payload.get("cookies") or []]
    content = payload.get("body") or ""
    text = content if isinstance(content, str) else json.dumps(content)
    encoded = base64.b64decode(text) if payload.get("isBase64Encoded") else text.encode()
    return HttpAnswer(int(payload["statusCode"]), (*headers.items(), *cookies), encoded)


def error_answer(status: HTTPStatus, message: str) -> HttpAnswer:
    """Return an error of the gateway itself."""
    return HttpAnswer(status, (("content-type", "application/json"),), json.dumps({"message": message}).encode())


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join repeated names with commas, as this format does.

    >>> joined([("a", "1"), ("b", "2"), ("a", "3")])
    {'a': '1,3', 'b': '2'}
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _context(request: HttpRequest, route_key: str, headers: Mapping[str, str]) -> dict[str, Any]:
    now = time.time()
    return {
        "accountId": ACCOUNT_ID,
        "apiId": "local",
        "domainName": headers.get("host", "localhost"),
        "domainPrefix": "local",
        "http": {
            "method": request.method,
            "path": unquote(urlsplit(request.target).path),
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": uuid.uuid4().hex[:16],
        "routeKey": route_key,
        "stage": "$default",
        "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now * 1000),
    }


def _as_text(body: bytes, content_type: str) -> str | None:
    if _TEXT_TYPES.fullmatch(content_type) is None:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
