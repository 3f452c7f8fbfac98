"""Who may call: IAM tokens, authorized keys (JWT, PS256) and the exchange of OIDC tokens.

Facts: docs iam/operations/iam-token/create-for-sa.md and iam/operations/wlif/setup-wlif.md,
P:iam/v1/iam_token_service.proto.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.emulator.status import Code, Refusal, bad_field
from local.emulator.wire import timestamp

TOKEN_LIFETIME = timedelta(hours=12)
JWT_AUDIENCES = ("https://iam.api.yandexcloud.kz/iam/v1/tokens", "https://iam.api.cloud.yandex.net/iam/v1/tokens")
_JWT_LIMIT = 8000
_JWT_LIFETIME_SECONDS = 3600
_CLOCK_SKEW_SECONDS = 60
_KEY_PREAMBLE = "PLEASE DO NOT REMOVE THIS LINE! Yandex.Cloud SA Key ID <{}>\n"
_EXCHANGE_FORM: Mapping[str, str] = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
}


class ExchangeRefused(Exception):  # noqa: N818 - an answer of the service, not a defect of the emulator
    """The token exchange said no; `error` is one of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True)
class IamToken:
    """An IAM token and when it expires; the text stays out of repr."""

    text: str
    expires_at: datetime
    subject: str

    def __repr__(self) -> str:
        return f"IamToken(expires_at={self.expires_at}, subject={self.subject!r})"


@dataclass(frozen=True)
class _AuthorizedKey:
    service_account_id: str
    public_key: rsa.RSAPublicKey


class OidcIssuer:
    """An OIDC issuer that a workload identity federation trusts; signs RS256 (as AWS STS can) for tests.

    Args:
        url: The `iss` of its tokens.
        audiences: The `aud` values the federation accepts.
        clock: Tells the `iat` and `exp` of the tokens.
    """

    def __init__(self, url: str, audiences: tuple[str, ...], clock: Callable[[], datetime]) -> None:
        self.url = url
        self.audiences = audiences
        self._clock = clock
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, *, subject: str, audience: str | None = None, lifetime: float = 300.0) -> str:
        """Make a signed token for `subject` that lives `lifetime` seconds."""
        now = self._clock().timestamp()
        claims = {
            "iss": self.url,
            "sub": subject,
            "aud": audience or self.audiences[0],
            "iat": now,
            "exp": now + lifetime,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "emulated"})

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims; raises jwt.PyJWTError where signature or audience is wrong (times are not looked at)."""
        return _decode(token, self._key.public_key(), "RS256", self.audiences)


class Identity:
    """Issues and checks tokens. Every step is one dict access, which needs no lock."""

    def __init__(self, clock: Callable[[], datetime], static_token: str | None) -> None:
        self._clock = clock
        self._static_token = static_token or None
        self._tokens: dict[str, IamToken] = {}
        self._keys: dict[str, _AuthorizedKey] = {}
        self._issuers: dict[str, OidcIssuer] = {}
        self._credentials: set[tuple[str, str, str]] = set()

    def issue_token(self, subject: str, lifetime: timedelta = TOKEN_LIFETIME) -> IamToken:
        """Make a token in the form of today's IAM tokens."""
        text = f"t1.{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(64)}"
        token = IamToken(text, self._clock() + lifetime, subject)
        self._tokens[text] = token
        return token

    def revoke_tokens(self) -> None:
        """Forget every issued token and the static one."""
        self._tokens.clear()
        self._static_token = None

    def authenticate(self, header: str | None) -> str:
        """Return the subject behind an Authorization header; raises Refusal with UNAUTHENTICATED."""
        scheme, _, text = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise Refusal(Code.UNAUTHENTICATED, "The Authorization header must hold: Bearer <IAM token>")
        if self._static_token is not None and secrets.compare_digest(text.encode(), self._static_token.encode()):
            return "ajestatictoken000000"
        token = self._tokens.get(text)
        if token is None:
            raise Refusal(Code.UNAUTHENTICATED, "The token is invalid")
        if token.expires_at <= self._clock():
            raise Refusal(Code.UNAUTHENTICATED, "The token has expired")
        return token.subject

    def issue_key(self, key_id: str, service_account_id: str) -> dict[str, str]:
        """Make an authorized key document, as `yc iam key create` writes it, and trust it from now on."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._keys[key_id] = _AuthorizedKey(service_account_id, key.public_key())
        return {
            "id": key_id,
            "service_account_id": service_account_id,
            "created_at": timestamp(self._clock()),
            "key_algorithm": "RSA_2048",
            "public_key": public.decode(),
            "private_key": _KEY_PREAMBLE.format(key_id) + private.decode(),
        }

    def token_for_jwt(self, body: object, own_url: str) -> IamToken:
        """Carry out POST /iam/v1/tokens; raises Refusal.

        The audience must be the token URL of a region or `own_url`, the one the request came to.
        """
        values = body if isinstance(body, dict) else {}
        if "yandexPassportOauthToken" in values:
            raise Refusal(Code.UNAUTHENTICATED, "OAuth tokens of Yandex accounts are not accepted here; send a jwt")
        text = values.get("jwt")
        if not isinstance(text, str) or not text:
            raise bad_field("jwt", "is required")
        if len(text) > _JWT_LIMIT:
            raise bad_field("jwt", f"must be at most {_JWT_LIMIT} characters, has {len(text)}")
        try:
            header = jwt.get_unverified_header(text)
            key = self._keys.get(str(header.get("kid")))
            if key is None:
                raise Refusal(Code.UNAUTHENTICATED, "The JWT names an unknown key id (kid)")
            claims = _decode(text, key.public_key, "PS256", (*JWT_AUDIENCES, own_url))
        except jwt.PyJWTError as error:
            raise Refusal(Code.UNAUTHENTICATED, f"The JWT was not accepted: {error}") from None
        if claims["iss"] != key.service_account_id:
            raise Refusal(Code.UNAUTHENTICATED, "The JWT's iss is not the service account of its key")
        if flaw := self._time_flaw(claims) or _lifetime_flaw(claims):
            raise Refusal(Code.UNAUTHENTICATED, f"The JWT {flaw}")
        return self.issue_token(key.service_account_id)

    def add_issuer(self, url: str, audiences: tuple[str, ...]) -> OidcIssuer:
        """Create a workload identity federation for a new issuer. Without any, only the shape of tokens is checked."""
        issuer = OidcIssuer(url, audiences, self._clock)
        self._issuers[url] = issuer
        return issuer

    def add_federated_credential(self, *, issuer: str, subject: str, service_account_id: str) -> None:
        """Let `subject` of `issuer` act as the service account; the subject must match exactly."""
        self._credentials.add((issuer, subject, service_account_id))

    def exchange(self, form: Mapping[str, str]) -> IamToken:
        """Carry out POST /oauth/token (RFC 8693); raises ExchangeRefused."""
        for name, expected in _EXCHANGE_FORM.items():
            if form.get(name) != expected:
                error = "unsupported_grant_type" if name == "grant_type" else "invalid_request"
                raise ExchangeRefused(error, f"{name} must be {expected}")
        account, subject_token = form.get("audience", ""), form.get("subject_token", "")
        if not account or not subject_token:
            raise ExchangeRefused("invalid_request", "audience and subject_token are required")
        try:
            claims = self._verified(subject_token)
        except jwt.PyJWTError as error:
            raise ExchangeRefused("invalid_grant", f"subject_token was not accepted: {error}") from None
        if flaw := self._time_flaw(claims):
            raise ExchangeRefused("invalid_grant", f"subject_token {flaw}")
        if self._issuers and (claims["iss"], claims["sub"], account) not in self._credentials:
            raise ExchangeRefused("invalid_grant", "no federated credential links this subject to the service account")
        return self.issue_token(account)

    def _verified(self, token: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token, options={"verify_signature": False, "require": ["iss", "sub", "aud", "exp"]}
        )
        if not self._issuers:
            return claims
        if claims["iss"] not in self._issuers:
            raise ExchangeRefused("invalid_grant", f"no federation trusts the issuer {claims['iss']}")
        return self._issuers[claims["iss"]].verify(token)

    def _time_flaw(self, claims: Mapping[str, Any]) -> str:
        now = self._clock().timestamp()
        if float(claims["exp"]) <= now:
            return "has expired"
        return "was issued in the future (iat)" if float(claims.get("iat", 0)) > now + _CLOCK_SKEW_SECONDS else ""


def _lifetime_flaw(claims: Mapping[str, Any]) -> str:
    lifetime = float(claims["exp"]) - float(claims["iat"])
    return f"lives {lifetime:.0f} s, more than {_JWT_LIFETIME_SECONDS} s" if lifetime > _JWT_LIFETIME_SECONDS else ""


def _decode(token: str, key: rsa.RSAPublicKey, algorithm: str, audiences: tuple[str, ...]) -> dict[str, Any]:
    """Verify signature and audience; times are checked against the injected clock by the caller."""
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=audiences,
        options={
            "require": ["iss", "aud", "iat", "exp"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    return claims
