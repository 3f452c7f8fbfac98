"""Names, labels and descriptions of desktop images: pure, and the same for the same source every time."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from typing import Protocol

MANAGED_BY = "managed-by"
OWNER = "desktop-image-copy"
SOURCE_IMAGE = "source-image"
SOURCE_FAMILY = "source-family"
ROUTE = "route"
PINNED = "pinned"
KEEP_UNTIL = "keep-until"

NAME_LIMIT = 50
"""Characters of a desktop image's name (desktop_image_service.proto); a compute image's may be 63 long, or empty."""
DESCRIPTION_LIMIT = 1024
_SHORT_ID_LENGTH = 8
_UNSAFE = re.compile(r"[^-_0-9a-z]+")
_WORD = re.compile(r"[0-9a-zA-Z]+")


class Named(Protocol):
    """What a name is made of; a ComputeImage is one."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def family(self) -> str: ...  # noqa: D102
    @property
    def created_at(self) -> datetime | None: ...  # noqa: D102


def short_id(image_id: str) -> str:
    """Return eight characters that stand for the id: 40 bits of its digest, letters and digits only.

    >>> short_id("fd8computeimage00001"), short_id("fd8computeimage00002")
    ('pmmto6kc', 'p523vzjp')
    """
    return base64.b32encode(hashlib.sha256(image_id.encode()).digest())[:_SHORT_ID_LENGTH].decode().lower()


def render_name(template: str, image: Named) -> str:
    """Return the desktop image's name: 1 to 50 characters, and never that of another source.

    The last word of a name, its last run of letters and digits, is the image's id or its short id; that is what keeps
    names apart, whatever the templates and the other fields hold. A template that ends so is taken at its word while
    the result fits; otherwise the text is cut and the short id is put behind it, because two compute images may well
    have one name: in two folders, or one after the other.

    >>> from types import SimpleNamespace as Image
    >>> image = Image(id="fd8computeimage00001", name="win11", family="", created_at=datetime(2026, 8, 1, tzinfo=UTC))
    >>> render_name("{name}", image), render_name("{name} {created:%Y%m%d} ({short_id})", image)
    ('win11-pmmto6kc', 'win11 20260801 (pmmto6kc)')
    """
    text = " ".join(_render(template, image).split())
    words = _WORD.findall(text)
    if len(text) <= NAME_LIMIT and words and words[-1] in {image.id, short_id(image.id)}:
        return text
    stem = text[: NAME_LIMIT - _SHORT_ID_LENGTH - 1].rstrip(" -_.") or "image"
    return f"{stem}-{short_id(image.id)}"


def render_description(template: str, image: Named) -> str:
    """Return the description, cut to the 1024 characters that the service takes."""
    return _render(template, image)[:DESCRIPTION_LIMIT]


def provenance(image: Named, *, route: str | None, labels: dict[str, str]) -> dict[str, str]:
    """Return the labels of the copy: the route's own, and ours, which say where the image came from.

    The ownership label is what makes an image ours to retire, so a route cannot set or remove it.
    """
    ours = {MANAGED_BY: OWNER, SOURCE_IMAGE: label_value(image.id)}
    if route:
        ours[ROUTE] = label_value(route)
    if image.family:
        ours[SOURCE_FAMILY] = label_value(image.family)
    return {**labels, **ours}


def is_ours(labels: dict[str, str]) -> bool:
    """Whether the labels say that this pipeline made the image."""
    return labels.get(MANAGED_BY) == OWNER


def label_value(text: str) -> str:
    """Return the text in the alphabet of Cloud Desktop's label values: a-z, 0-9, - and _, at most 63 characters.

    Compute labels may also hold dots, slashes, backslashes and @; each run of such characters becomes one dash.

    >>> label_value("Win 11/Büro.v2")
    'win-11-b-ro-v2'
    """
    return _UNSAFE.sub("-", text.lower())[:63]


def _render(template: str, image: Named) -> str:
    return template.format(
        name=image.name,
        family=image.family,
        id=image.id,
        short_id=short_id(image.id),
        created=image.created_at or datetime.fromtimestamp(0, UTC),
    )
