"""Where an IAM token comes from: exactly one source, chosen by the environment.

| set                             | source                                                                             |
|---------------------------------|------------------------------------------------------------------------------------|
| `YC_TOKEN`                      | that token                                                                         |
| `YC_SERVICE_ACCOUNT_KEY_FILE`   | an authorized key: a path or the JSON itself                                       |
| `YC_SERVICE_ACCOUNT_KEY_SECRET` | an authorized key in a secret store, read when first needed                        |
| `YC_SERVICE_ACCOUNT_ID`         | a web identity token, exchanged for this service account's token                   |
| none of the four                | the function's own service account: its context's token, else the metadata service |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from cloud_desktop.answers import Call
from cloud_desktop.authorized_key import AuthorizedKey, AuthorizedKeyFromSecret
from cloud_desktop.constants import (
    KEY_FILE_VARIABLE,
    KEY_SECRET_VARIABLE,
    METADATA_ADDRESS,
    METADATA_HEADERS,
    METADATA_PATH,
    METADATA_SECONDS,
    METADATA_VARIABLE,
    SERVICE_ACCOUNT_VARIABLE,
    TOKEN_EXCHANGE_PATH,
    TOKEN_VARIABLE,
)
from cloud_desktop.endpoints import Endpoints, parse_origin
from cloud_desktop.errors import ConfigurationError, CredentialsError, NextStep
from cloud_desktop.issued import issued_token, obtain
from cloud_desktop.tokens import CachedToken, Clock, IamToken, StaticToken, TokenSource, is_sendable, utc_now
from cloud_desktop.transport import Fetch, Transport
from cloud_desktop.wire import Timeouts

_SOURCES: Final = (TOKEN_VARIABLE, KEY_FILE_VARIABLE, KEY_SECRET_VARIABLE, SERVICE_ACCOUNT_VARIABLE)
_ADDRESS: Final = re.compile(r"[^/@?#]+")
_METADATA_TIMEOUTS: Final = Timeouts(*[METADATA_SECONDS] * 5)


class MetadataToken:
    """Asks the metadata service for the token of the service account that this machine or function runs as.

    It is asked once, with time-outs of a second: elsewhere than on Yandex Cloud nobody answers at its address.
    """

    def __init__(self, fetch: Fetch, *, address: str = METADATA_ADDRESS, clock: Clock = utc_now) -> None:
        self._fetch = fetch
        self._origin = f"http://{address}"
        self._clock = clock

    def token(self) -> IamToken:
        """Ask for a token.

        Raises:
            CredentialsError: nobody answers, or there is no service account.
        """
        call = Call(
            "GET",
            self._origin,
            METADATA_PATH,
            headers=METADATA_HEADERS,
            attempts=1,
            timeouts=_METADATA_TIMEOUTS,
            confidential=True,
        )
        asked = (
            f"None of {', '.join(_SOURCES)} is set, the function's context carries no usable token, and the metadata "
            f"service at {self._origin}"
        )
        body = obtain(self._fetch, call, asked)
        return issued_token(body.get("access_token"), asked, now=self._clock(), expires_in=body.get("expires_in"))


class FunctionContextToken:
    """Holds the token that a Yandex function finds in its context, until it is taken.

    Each offered token is given once: whoever asks again found it refused or at its end, and is sent to the fallback.
    """

    def __init__(self, fallback: TokenSource | None = None, *, clock: Clock = utc_now) -> None:
        self.fallback = fallback
        self._clock = clock
        self._offered: IamToken | None = None

    def offer(self, context_token: object) -> None:
        """Put in what `context.token` holds: a mapping or an object with `access_token` and `expires_in`.

        Call it at the start of each invocation; anything else, None included, is passed over.
        """
        value, expires_in = _field(context_token, "access_token"), _field(context_token, "expires_in")
        if is_sendable(value):
            self._offered = issued_token(value, "The context", now=self._clock(), expires_in=expires_in)

    def token(self) -> IamToken:
        """Give the offered token, once, else the fallback's.

        Raises:
            CredentialsError: there is neither.
        """
        offered, self._offered = self._offered, None
        if offered is not None and (offered.expires_at is None or offered.expires_at > self._clock()):
            return offered
        if self.fallback is None:
            raise CredentialsError("The function's context carries no usable token", next_step=NextStep.WAIT)
        return self.fallback.token()


class ExchangedToken:
    """Exchanges a JWT that an OIDC issuer signed for the token of a service account: no key is kept anywhere.

    Needs a workload identity federation that trusts the issuer, and a federated credential that links its subject to
    the service account.
    """

    def __init__(
        self,
        service_account_id: str,
        subject_token: Callable[[], str],
        *,
        token_exchange: str,
        fetch: Fetch,
        clock: Clock = utc_now,
    ) -> None:
        self._service_account_id = service_account_id
        self._subject_token = subject_token
        self._token_exchange = token_exchange
        self._fetch = fetch
        self._clock = clock

    def token(self) -> IamToken:
        """Get a JWT and exchange it.

        Raises:
            CredentialsError: there is no JWT, or it was refused.
        """
        asked = f"The token exchange for the service account {self._service_account_id}"
        try:
            subject_token = self._subject_token()
        except Exception as error:
            raise CredentialsError(
                f"{asked} needs a web identity token, which cannot be had ({type(error).__name__})",
                next_step=NextStep.RETRY,
            ) from error
        if not is_sendable(subject_token):
            raise CredentialsError(f"{asked} needs a web identity token, and what was given is none")
        call = Call(
            "POST",
            self._token_exchange,
            TOKEN_EXCHANGE_PATH,
            form={
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "audience": self._service_account_id,
                "subject_token": subject_token,
                "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            },
            harmless=True,
            secrets=(subject_token,),
            confidential=True,
        )
        body = obtain(self._fetch, call, asked)
        return issued_token(body.get("access_token"), asked, now=self._clock(), expires_in=body.get("expires_in"))


def token_source(
    environ: Mapping[str, str],
    *,
    endpoints: Endpoints,
    fetch: Fetch | None = None,
    clock: Clock = utc_now,
    read_secret: Callable[[str], str] | None = None,
    web_identity_token: Callable[[str], str] | None = None,
    context_token: FunctionContextToken | None = None,
) -> CachedToken:
    """Choose the credential source that the environment names; an empty variable counts as not set.

    Args:
        environ: The environment.
        endpoints: Where IAM and the token exchange answer.
        fetch: Makes the calls; a transport of its own by default.
        clock: The wall clock.
        read_secret: Gives the text of a secret by name or ARN; called when the first token is needed.
        web_identity_token: Gives a JWT for an audience, which is the service account's id.
        context_token: Where the handler puts the token of a Yandex function's context.

    Raises:
        ConfigurationError: more than one source is set, or one is malformed or cannot work here.
    """
    chosen = [variable for variable in _SOURCES if environ.get(variable)]
    if len(chosen) > 1:
        others = " and ".join(chosen[1:])
        raise ConfigurationError(chosen[0], f"and {others} are both set; exactly one credential source may be set")
    make_call = fetch or Transport(clock=clock).fetch
    if not chosen:
        own = context_token or FunctionContextToken(clock=clock)
        address = _metadata_address(environ.get(METADATA_VARIABLE) or METADATA_ADDRESS)
        own.fallback = own.fallback or MetadataToken(make_call, address=address, clock=clock)
        return CachedToken(own, clock=clock)
    variable, value = chosen[0], environ[chosen[0]]
    source: TokenSource
    if variable == TOKEN_VARIABLE:
        source = _static(value)
    elif variable == KEY_FILE_VARIABLE:
        source = AuthorizedKey.from_path_or_text(value, iam=endpoints.iam, fetch=make_call, clock=clock)
    elif variable == KEY_SECRET_VARIABLE:
        read = _available(read_secret, variable, "a secret store")
        source = AuthorizedKeyFromSecret(value, read, iam=endpoints.iam, fetch=make_call, clock=clock)
    else:
        issue = _available(web_identity_token, variable, "a web identity")
        source = ExchangedToken(
            value, lambda: issue(value), token_exchange=endpoints.token_exchange, fetch=make_call, clock=clock
        )
    return CachedToken(source, clock=clock)


def _available(means: Callable[[str], str] | None, variable: str, what: str) -> Callable[[str], str]:
    if means is None:
        raise ConfigurationError(variable, f"needs {what}, and there is none here; set {KEY_FILE_VARIABLE} instead")
    return means


def _static(value: str) -> StaticToken:
    token = value.strip()
    if not is_sendable(token):
        raise ConfigurationError(
            TOKEN_VARIABLE, "must be an IAM token, one word of visible ASCII characters such as t1.9eu..."
        )
    return StaticToken(token)


def _metadata_address(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ConfigurationError(METADATA_VARIABLE, f"must be a host or host:port such as {METADATA_ADDRESS}")
    return parse_origin(METADATA_VARIABLE, f"http://{address}").removeprefix("http://")


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
