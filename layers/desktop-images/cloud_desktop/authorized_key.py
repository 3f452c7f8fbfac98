"""Tokens for a service account's authorized key. PyJWT and cryptography are imported only when a key is used."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cloud_desktop.answers import Call
from cloud_desktop.constants import JWT_SECONDS, KEY_FILE_BYTES, KEY_FILE_VARIABLE, KEY_SECRET_VARIABLE, TOKEN_PATH
from cloud_desktop.errors import ConfigurationError, CredentialsError, NextStep
from cloud_desktop.issued import issued_token, obtain
from cloud_desktop.tokens import Clock, IamToken, utc_now
from cloud_desktop.transport import Fetch

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_FIELDS: Final = ("id", "service_account_id", "private_key")
_PEM_START: Final = "-----BEGIN"
_KEY_BITS: Final = 2048
_EXPECTED: Final = (
    "it must be the JSON of an authorized key, with id, service_account_id and private_key, "
    "as `yc iam key create --output` writes it"
)


class AuthorizedKey:
    """Signs a short-lived JWT with the key and exchanges it for an IAM token.

    The JWT is PS256, the only algorithm IAM takes; its audience is the region's own token address, since keys of one
    region are unknown in the other. The private key is held as an object whose text form does not show it.
    """

    def __init__(
        self,
        key_id: str,
        service_account_id: str,
        private_key: RSAPrivateKey,
        *,
        iam: str,
        fetch: Fetch,
        clock: Clock = utc_now,
    ) -> None:
        self.key_id = key_id
        self.service_account_id = service_account_id
        self._private_key = private_key
        self._iam = iam
        self._fetch = fetch
        self._clock = clock

    @classmethod
    def from_text(
        cls, text: str, *, iam: str, fetch: Fetch, clock: Clock = utc_now, variable: str = KEY_FILE_VARIABLE
    ) -> AuthorizedKey:
        """Read the JSON of an authorized key. A line before the PEM block, as Yandex writes one, is skipped.

        Raises:
            ConfigurationError: the text is not such a key; it names the variable and repeats nothing of the text.
        """
        fields = _read_fields(text, variable)
        key = _load_pem(fields["private_key"], variable)
        return cls(fields["id"], fields["service_account_id"], key, iam=iam, fetch=fetch, clock=clock)

    @classmethod
    def from_path_or_text(
        cls, value: str, *, iam: str, fetch: Fetch, clock: Clock = utc_now, variable: str = KEY_FILE_VARIABLE
    ) -> AuthorizedKey:
        """Take the JSON itself, or the path of a file that holds it.

        Raises:
            ConfigurationError: the file cannot be read, or does not hold an authorized key.
        """
        text = value if value.lstrip().startswith("{") else _read_file(value, variable)
        return cls.from_text(text, iam=iam, fetch=fetch, clock=clock, variable=variable)

    def token(self) -> IamToken:
        """Ask IAM for a token.

        Raises:
            CredentialsError: IAM refused or did not answer.
        """
        assertion = self._assertion()
        call = Call(
            "POST",
            self._iam,
            TOKEN_PATH,
            body={"jwt": assertion},
            harmless=True,
            secrets=(assertion,),
            confidential=True,
        )
        asked = f"IAM, asked with the authorized key {self.key_id},"
        body = obtain(self._fetch, call, asked)
        return issued_token(body.get("iamToken"), asked, now=self._clock(), expires_at=body.get("expiresAt"))

    def _assertion(self) -> str:
        import jwt  # noqa: PLC0415 - heavy, and needed for this one credential source

        issued_at = int(self._clock().timestamp())
        claims = {
            "iss": self.service_account_id,
            "aud": f"{self._iam}{TOKEN_PATH}",
            "iat": issued_at,
            "exp": issued_at + JWT_SECONDS,
        }
        return jwt.encode(claims, self._private_key, algorithm="PS256", headers={"kid": self.key_id})


class AuthorizedKeyFromSecret:
    """Reads the authorized key from a secret store when the first token is needed.

    The key is kept; after a refusal it is read again, so that a rotated secret takes effect without a restart.
    """

    def __init__(
        self, name: str, read_secret: Callable[[str], str], *, iam: str, fetch: Fetch, clock: Clock = utc_now
    ) -> None:
        self._name = name
        self._read_secret = read_secret
        self._iam = iam
        self._fetch = fetch
        self._clock = clock
        self._key: AuthorizedKey | None = None

    def token(self) -> IamToken:
        """Ask IAM for a token with the key in the secret.

        Raises:
            CredentialsError: the secret cannot be read or holds no authorized key, or IAM gave no token.
        """
        key = self._key or self._read()
        self._key = None
        issued = key.token()
        self._key = key
        return issued

    def _read(self) -> AuthorizedKey:
        try:
            text = self._read_secret(self._name)
        except Exception as error:
            raise CredentialsError(
                f"The secret named by {KEY_SECRET_VARIABLE} cannot be read ({type(error).__name__})",
                next_step=NextStep.RETRY,
            ) from error
        try:
            return AuthorizedKey.from_text(
                text, iam=self._iam, fetch=self._fetch, clock=self._clock, variable=KEY_SECRET_VARIABLE
            )
        except ConfigurationError as error:
            # Not a ConfigurationError any more: it shows first in the middle of the work, which must wait and not fail.
            raise CredentialsError(f"The secret named by {error}") from error


def _read_file(path: str, variable: str) -> str:
    # Neither the path nor the cause is repeated: the value may be a key in a form that is not recognised.
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(KEY_FILE_BYTES + 1)
            text = content.decode("utf-8-sig") if len(content) <= KEY_FILE_BYTES else None
    except (OSError, ValueError, RuntimeError) as error:
        text, reason = None, type(error).__name__
    else:
        reason = f"it is larger than {KEY_FILE_BYTES} bytes"
    if text is None:
        raise ConfigurationError(
            variable, f"names a file that cannot be read as text ({reason}); {_EXPECTED}, or the path of such a file"
        )
    return text


def _read_fields(text: str, variable: str) -> Mapping[str, str]:
    # Errors are raised outside the handler, for the decoder's own would carry the whole key along as their context.
    fields: Any
    try:
        fields = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ConfigurationError(variable, f"does not hold a JSON object; {_EXPECTED}")
    missing = [name for name in _FIELDS if not isinstance(fields.get(name), str) or not fields[name]]
    if missing:
        raise ConfigurationError(variable, f"lacks {', '.join(missing)}; {_EXPECTED}")
    return {name: fields[name] for name in _FIELDS}


def _load_pem(pem: str, variable: str) -> RSAPrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(pem[max(pem.find(_PEM_START), 0) :].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _KEY_BITS:
        raise ConfigurationError(
            variable, f"has a private_key that is not an RSA key in PEM of {_KEY_BITS} bits or more; {_EXPECTED}"
        )
    return key
