"""The documented limits of the APIs, checked before anything is sent.

Lengths are in characters. Fields are called what the API calls them. Source: desktop_image_service.proto.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Final

from cloud_desktop.constants import (
    IDEMPOTENCY_HEADER,
    LABEL_COUNT,
    LABEL_KEY_PATTERN,
    LABEL_LENGTH,
    LABEL_VALUE_PATTERN,
    PAGE_SIZE,
)
from cloud_desktop.errors import InvalidRequestError

_LABEL_KEY: Final = re.compile(LABEL_KEY_PATTERN)
_LABEL_VALUE: Final = re.compile(LABEL_VALUE_PATTERN)


def check_text(field: str, value: str, limit: int | None = None, *, required: bool = True) -> str:
    """Check presence, length and that the text can be written as UTF-8; give it back.

    >>> check_text("name", "n" * 51, 50)
    Traceback (most recent call last):
        ...
    cloud_desktop.errors.InvalidRequestError: name is 51 characters long; the limit is 50
    """
    if not isinstance(value, str):
        raise InvalidRequestError(field, f"must be a string, not {type(value).__name__}")
    if required and not value:
        raise InvalidRequestError(field, "is required and must not be empty", actual=0, limit=limit)
    if limit is not None and len(value) > limit:
        raise InvalidRequestError(
            field, f"is {len(value)} characters long; the limit is {limit}", actual=len(value), limit=limit
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidRequestError(field, "holds half of a surrogate pair, which cannot be sent as UTF-8")
    return value


def check_segment(field: str, value: str, limit: int | None = None) -> str:
    """Check an id that becomes one segment of a path: what `check_text` checks, and not a step in the path."""
    if check_text(field, value, limit) in {".", ".."}:
        raise InvalidRequestError(field, f"is {value!r}, which is a step in a path and not an id")
    return value


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Check the number, the lengths and the alphabets of labels; give a copy of them.

    >>> check_labels({"Channel": "stable"})
    Traceback (most recent call last):
        ...
    cloud_desktop.errors.InvalidRequestError: labels has the key 'Channel', which does not match [a-z][-_0-9a-z]*
    """
    if len(labels) > LABEL_COUNT:
        raise InvalidRequestError(
            "labels", f"has {len(labels)} entries; the limit is {LABEL_COUNT}", actual=len(labels), limit=LABEL_COUNT
        )
    for key, value in labels.items():
        _check_label("key", key, _LABEL_KEY)
        _check_label(f"value of {key!r}", value, _LABEL_VALUE)
    return dict(labels)


def _check_label(what: str, text: str, alphabet: re.Pattern[str]) -> None:
    if not isinstance(text, str):
        raise InvalidRequestError("labels", f"has a {what} that is {type(text).__name__} and not a string")
    if len(text) > LABEL_LENGTH:
        raise InvalidRequestError(
            "labels",
            f"has a {what} of {len(text)} characters; the limit is {LABEL_LENGTH}",
            actual=len(text),
            limit=LABEL_LENGTH,
        )
    if not alphabet.fullmatch(text):
        joined = "the key" if what == "key" else f"the {what},"
        raise InvalidRequestError("labels", f"has {joined} {text!r}, which does not match {alphabet.pattern}")


def check_page_size(page_size: int) -> int:
    """Check 1 to 1000: 0 would mean the server's own default of 100, which nobody asks for by number."""
    if not 1 <= page_size <= PAGE_SIZE:
        raise InvalidRequestError(
            "pageSize", f"is {page_size}; it must be 1 to {PAGE_SIZE}", actual=page_size, limit=PAGE_SIZE
        )
    return page_size


def check_idempotency_key(key: uuid.UUID | str | None) -> str:
    """Give the canonical form of a UUID, a new random one for None.

    >>> check_idempotency_key("3F0B6C1E-7A55-4C1C-9D61-0C4C8B0F2A11")
    '3f0b6c1e-7a55-4c1c-9d61-0c4c8b0f2a11'
    """
    if key is None:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(str(key)))
    except ValueError:
        raise InvalidRequestError(IDEMPOTENCY_HEADER, "must be a UUID") from None
