"""What an answer means: the JSON object of a success, or the error it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from cloud_desktop.constants import (
    ATTEMPTS,
    DETAIL_DEPTH,
    EXCERPT_LENGTH,
    MESSAGE_LENGTH,
    REQUEST_ID_HEADERS,
    REQUEST_ID_LENGTH,
)
from cloud_desktop.errors import ApiError, BadAnswerError, Code, api_error_class, code_from_http
from cloud_desktop.redaction import redact
from cloud_desktop.retries import poll_hint, server_wish
from cloud_desktop.wire import Answer, Timeouts

Model = TypeVar("Model", bound=BaseModel)

_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one service, before it has a token. Bodies and secrets do not show in its text form."""

    method: str
    origin: str
    path: str
    """Already percent-encoded, without the query."""
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    """Sent as JSON."""
    form: Mapping[str, str] | None = field(default=None, repr=False)
    """Sent form-encoded, in the place of a JSON body."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    idempotency_key: str | None = None
    harmless: bool = False
    """A POST that may be repeated though it has no idempotency key, since it changes nothing."""
    attempts: int = ATTEMPTS
    timeouts: Timeouts = field(default_factory=Timeouts)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts sent along that must not come back in an error."""
    confidential: bool = False
    """The answer is a credential: no error quotes any of it but the server's own message."""

    @property
    def repeatable(self) -> bool:
        """Whether a second arrival changes nothing."""
        return self.method == "GET" or self.idempotency_key is not None or self.harmless


@dataclass(frozen=True, slots=True)
class Reply:
    """The JSON object of a success."""

    call: Call = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    request_id: str
    received_at: datetime

    def read(self, model: type[Model]) -> Model:
        """Read the body as one model; see `read_part`."""
        return self.read_part(self.body, model)

    def read_part(self, part: object, model: type[Model]) -> Model:
        """Read a part of the body as one model.

        Raises:
            BadAnswerError: a field is missing or has the wrong type; it names the fields and quotes no value.
        """
        # Raised outside the handler: pydantic's own error holds the whole input.
        try:
            return model.model_validate(part)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, line['loc']))} ({line['type']})" for line in error.errors()[:5]]
        raise self.bad(f"that is not a {model.__name__}: " + redact(", ".join(problems)))

    def bad(self, problem: str) -> BadAnswerError:
        """Describe this answer as one that the API does not document."""
        return BadAnswerError(
            problem,
            http_status=self.status,
            method=self.call.method,
            path=self.call.path,
            request_id=self.request_id,
        )

    @property
    def poll_after(self) -> float | None:
        """Seconds after which the server wants to be asked again."""
        return poll_hint(self.headers, self.received_at)


def read_answer(answer: Answer, call: Call, *, sent_id: str, secrets: tuple[str, ...], now: datetime) -> Reply:
    """Turn an answer into the JSON object it holds.

    Args:
        answer: What came back.
        call: What was asked.
        sent_id: The request id that this client sent, used where the server names none.
        secrets: Texts that must not appear in an error.
        now: The wall clock, for a `Retry-After` that is a date.

    Raises:
        ApiError: the API refused.
        BadAnswerError: the answer is not what the API documents.
    """
    named = _request_id(answer.headers, secrets)
    request_id = named or sent_id
    text = answer.body.decode("utf-8", errors="replace")
    content = _parse(text)
    if answer.status in _SUCCESS and isinstance(content, dict):
        return Reply(call, answer.status, answer.headers, content, request_id, now)
    if answer.status not in _SUCCESS and answer.status not in _REDIRECT:
        if not text.strip():
            content = {}
        if isinstance(content, dict):
            raise _refusal(answer, call, _redacted(content, secrets), named=named, sent_id=sent_id, now=now)
    redirected = answer.status in _REDIRECT
    raise BadAnswerError(
        "a redirect, which is not followed" if redirected else "without the JSON object that the API documents",
        http_status=answer.status,
        method=call.method,
        path=call.path,
        request_id=request_id,
        excerpt="" if call.confidential or redirected else redact(" ".join(text.split()), secrets)[:EXCERPT_LENGTH],
        retry_after=server_wish(answer.headers, (), now),
    )


def _refusal(
    answer: Answer,
    call: Call,
    content: Mapping[str, Any],
    *,
    named: str | None,
    sent_id: str,
    now: datetime,
) -> ApiError:
    given = content.get("details")
    details = [detail for detail in given if isinstance(detail, dict)] if isinstance(given, list) else []
    words = (content.get("message"), content.get("error_description"), content.get("error"))
    message = next((text for text in words if isinstance(text, str) and text), "no message")
    code = _code(content.get("code"))
    if code is None:
        code = code_from_http(answer.status)
    return api_error_class(code)(
        code,
        message[:MESSAGE_LENGTH],
        details=details,
        http_status=answer.status,
        method=call.method,
        path=call.path,
        request_id=named or _request_id_detail(details) or sent_id,
        retry_after=server_wish(answer.headers, details, now),
    )


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _code(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len("100"):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value == Code.OK:
        return None
    return value


def _redacted(value: Any, secrets: tuple[str, ...], depth: int = 0) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if depth > DETAIL_DEPTH:
        return None
    if isinstance(value, dict):
        return {redact(key, secrets): _redacted(item, secrets, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_redacted(item, secrets, depth + 1) for item in value]
    return value


def _request_id(headers: Mapping[str, str], secrets: tuple[str, ...]) -> str | None:
    return next((redact(_plain(headers[name]), secrets) for name in REQUEST_ID_HEADERS if headers.get(name)), None)


def _request_id_detail(details: list[dict[str, Any]]) -> str | None:
    for detail in details:
        request_id = detail.get("requestId")
        if str(detail.get("@type", "")).endswith("google.rpc.RequestInfo") and isinstance(request_id, str):
            return _plain(request_id) or None
    return None


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:REQUEST_ID_LENGTH]
