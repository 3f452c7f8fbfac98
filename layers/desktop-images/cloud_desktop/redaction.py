"""Keep credentials out of what a server sends back, since a gateway may echo what it was sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_HIDDEN: Final = "[hidden]"
_LOOKS_SECRET: Final = re.compile(
    r"t1\.[A-Za-z0-9_-]{4,}={0,2}(?:\.[A-Za-z0-9_=-]+)?"  # IAM token
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?"  # JWT
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace the given secrets, and whatever has the shape of an IAM token, a JWT or a private key.

    >>> redact("token t1.9euelZqabcdef.sig and hunter2 refused", ["hunter2"])
    'token [hidden] and [hidden] refused'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, _HIDDEN)
    return _LOOKS_SECRET.sub(_HIDDEN, text)
