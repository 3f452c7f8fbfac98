"""The tokens that lead from one page of a list of copies to the next. Pure."""

from __future__ import annotations

import base64
import hashlib
import json

from image_pipeline.copies import State

_DIGEST_LENGTH = 8


def page_token(last: tuple[str, str], *, folder_id: str | None, state: State | None) -> str:
    """Return the token of the page that begins after the key, in the list that has these filters.

    The digest finds a token that was cut, changed or meant for another list. It keeps no secret: whoever may list
    copies may begin at any of them.
    """
    key = json.dumps(last).encode()
    digest = hashlib.sha256(json.dumps([folder_id, state]).encode() + b"\x00" + key).digest()
    return base64.urlsafe_b64encode(digest[:_DIGEST_LENGTH] + key).decode().rstrip("=")


def read_page_token(token: str, *, folder_id: str | None, state: State | None) -> tuple[str, str] | None:
    """Return the key that the page begins after; None if the token is not one of a list with these filters.

    >>> token = page_token(("b1gtarget", "fd8image"), folder_id=None, state=None)
    >>> read_page_token(token, folder_id=None, state=None)
    ('b1gtarget', 'fd8image')
    >>> read_page_token(token, folder_id=None, state=State.FAILED) is None
    True
    """
    try:
        key = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[_DIGEST_LENGTH:])
    except ValueError:
        return None
    match key:
        case [str(folder), str(image)] if token == page_token((folder, image), folder_id=folder_id, state=state):
            return folder, image
    return None
