"""Request bodies: field names in both spellings, types, and the limits of desktop_image_service.proto."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.emulator.status import Code, Refusal, bad_field

ID_LIMIT = 50
NAME_LIMIT = 50
DESCRIPTION_LIMIT = 1024
LABELS_LIMIT = 64
_LABEL_KEY = re.compile(r"[a-z][-_0-9a-z]{0,62}")
_LABEL_VALUE = re.compile(r"[-_0-9a-z]{0,63}")


@dataclass(frozen=True, kw_only=True)
class CopyRequest:
    """CopyDesktopImageRequest or CopyFromDesktopRequest: exactly one of `image_id` and `desktop_id` is set."""

    folder_id: str
    name: str
    image_id: str = ""
    desktop_id: str = ""
    labels: Mapping[str, str]
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class UpdateRequest:
    """UpdateDesktopImageRequest; `mask` holds the fields to overwrite (all of them where no mask was sent)."""

    image_id: str
    mask: frozenset[str]
    name: str = ""
    labels: Mapping[str, str]
    description: str = ""


_COPY_FIELDS = ("folder_id", "name", "labels", "description", "image_id")
_COPY_FROM_DESKTOP_FIELDS = ("folder_id", "name", "labels", "description", "desktop_id")
_UPDATE_FIELDS = ("update_mask", "image_id", "name", "labels", "description")
_MASKABLE = frozenset({"name", "labels", "description"})


def parse_copy(body: object, *, accept_labels: bool, strict: bool) -> CopyRequest:
    """Check the body of Copy; raises Refusal with INVALID_ARGUMENT.

    Args:
        body: The parsed JSON.
        accept_labels: False emulates the service before 2026-02-26 (P:10289b3), without labels and description.
        strict: Refuse unknown fields. What the real transcoder does with them is not documented.
    """
    known = _COPY_FIELDS if accept_labels else ("folder_id", "name", "image_id")
    values = _object(body, known, strict=strict or not accept_labels)
    return CopyRequest(
        folder_id=_text(values, "folder_id", ID_LIMIT, required=True),
        name=_text(values, "name", NAME_LIMIT, required=True),
        image_id=_text(values, "image_id", ID_LIMIT, required=True),
        labels=_labels(values),
        description=_text(values, "description", DESCRIPTION_LIMIT),
    )


def parse_copy_from_desktop(body: object, *, strict: bool) -> CopyRequest:
    """Check the body of CopyFromDesktop, where folder and name are optional; raises Refusal."""
    values = _object(body, _COPY_FROM_DESKTOP_FIELDS, strict=strict)
    return CopyRequest(
        folder_id=_text(values, "folder_id", ID_LIMIT),
        name=_text(values, "name", NAME_LIMIT),
        desktop_id=_text(values, "desktop_id", ID_LIMIT, required=True),
        labels=_labels(values),
        description=_text(values, "description", DESCRIPTION_LIMIT),
    )


def parse_update(image_id: str, body: object, *, strict: bool) -> UpdateRequest:
    """Check the body of Update; raises Refusal. Without a mask every field is overwritten (docs update.md@fc22b15)."""
    values = _object(body, _UPDATE_FIELDS, strict=strict)
    mask_text = _text(values, "update_mask", 1000)
    mask = frozenset(snake(path.strip()) for path in mask_text.split(",") if path.strip())
    if unknown := mask - _MASKABLE:
        raise bad_field("update_mask", f"unknown paths {', '.join(sorted(unknown))}")
    return UpdateRequest(
        image_id=image_id,
        mask=mask or _MASKABLE,
        name=_text(values, "name", NAME_LIMIT),
        labels=_labels(values),
        description=_text(values, "description", DESCRIPTION_LIMIT),
    )


def parse_idempotency_key(header: str | None) -> str | None:
    """Return the key in canonical form, None where the header is absent; raises Refusal unless it is a UUID."""
    if header is None:
        return None
    try:
        return str(uuid.UUID(header))
    except ValueError:
        raise Refusal(Code.INVALID_ARGUMENT, "Idempotency-Key must be a UUID") from None


def check_id(field: str, value: str) -> str:
    """Return `value`, an id from a path or a query; raises Refusal where it is empty or over 50 characters."""
    return _text({field: value}, field, ID_LIMIT, required=True)


def _object(body: object, known: tuple[str, ...], *, strict: bool) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refusal(Code.INVALID_ARGUMENT, "The request body must be a JSON object")
    values = {snake(str(key)): value for key, value in body.items() if value is not None}
    if strict and (unknown := sorted(values.keys() - set(known))):
        raise bad_field(unknown[0], "unknown field")
    return {key: value for key, value in values.items() if key in known}


def _text(values: Mapping[str, Any], field: str, limit: int, *, required: bool = False) -> str:
    value = values.get(field, "")
    if not isinstance(value, str):
        raise bad_field(field, "must be a string")
    if required and not value:
        raise bad_field(field, "is required")
    if len(value) > limit:
        raise bad_field(field, f"must be at most {limit} characters, has {len(value)}")
    return value


def _labels(values: Mapping[str, Any]) -> dict[str, str]:
    labels = values.get("labels", {})
    if not isinstance(labels, dict):
        raise bad_field("labels", "must be an object")
    if len(labels) > LABELS_LIMIT:
        raise bad_field("labels", f"must hold at most {LABELS_LIMIT} entries, holds {len(labels)}")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            raise bad_field("labels", f"key {key!r} does not match [a-z][-_0-9a-z]* of 1-63 characters")
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            raise bad_field("labels", f"value of {key!r} does not match [-_0-9a-z]* of at most 63 characters")
    return dict(labels)


def snake(name: str) -> str:
    """Return the proto spelling of a JSON name; proto3 JSON parsers accept both.

    >>> snake("folderId"), snake("folder_id")
    ('folder_id', 'folder_id')
    """
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
