from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cloud_desktop.authorized_key import AuthorizedKey
from cloud_desktop.client import YandexCloud
from cloud_desktop.credentials import FunctionContextToken, token_source
from cloud_desktop.errors import ConfigurationError, CredentialsError, NextStep, OutOfTimeError
from cloud_desktop.tokens import CachedToken
from tests.unit.cloud_desktop.fakes import (
    ENDPOINTS,
    PRIVATE_KEY,
    START,
    FakeTime,
    Services,
    answer,
    client_of,
    key_json,
    pem,
    refusal,
)

WEB_IDENTITY = "opaque-web-identity"
SECRET_LINE = pem().splitlines()[3]


def source(services: Services, environ: dict[str, str], time: FakeTime | None = None, **means: Any) -> CachedToken:
    time = time or FakeTime()
    client = client_of(services, time)
    return token_source(environ, endpoints=ENDPOINTS, fetch=client.fetch, clock=time.clock, **means)


def test_a_token_is_used_as_it_is() -> None:
    environ = {"YC_TOKEN": " t1.x\n", "YC_SERVICE_ACCOUNT_KEY_FILE": "", "YC_SERVICE_ACCOUNT_ID": ""}
    assert source(Services(), environ).token().value == "t1.x"
    with pytest.raises(ConfigurationError, match="YC_TOKEN must be an IAM token") as caught:
        source(Services(), {"YC_TOKEN": "hunter2 hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("YC_TOKEN", "YC_SERVICE_ACCOUNT_KEY_FILE"),
        ("YC_SERVICE_ACCOUNT_KEY_FILE", "YC_SERVICE_ACCOUNT_KEY_SECRET"),
        ("YC_TOKEN", "YC_SERVICE_ACCOUNT_ID"),
        ("YC_TOKEN", "YC_SERVICE_ACCOUNT_KEY_SECRET", "YC_SERVICE_ACCOUNT_ID"),
    ],
)
def test_more_than_one_source_is_an_error_that_names_them(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="exactly one credential source") as caught:
        source(Services(), dict.fromkeys(names, "hunter2"))
    assert all(name in str(caught.value) for name in names)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("as_file", [True, False])
def test_an_authorized_key_is_exchanged_for_a_token(as_file: bool, tmp_path: Path) -> None:
    time = FakeTime()
    path = tmp_path / "key.json"
    path.write_text(key_json(), encoding="utf-8-sig")
    services = Services(answer({"iamToken": "t1.fresh", "expiresAt": "2026-08-01T22:00:00.123456789Z"}))
    environ = {"YC_SERVICE_ACCOUNT_KEY_FILE": str(path) if as_file else "\n " + key_json()}
    tokens = source(services, environ, time)
    token = tokens.token()
    assert tokens.token() is token
    assert token.value == "t1.fresh"
    assert token.expires_at == START + timedelta(hours=12, microseconds=123456)

    assert str(services.request.url) == "http://iam.test/iam/v1/tokens"
    assert "authorization" not in services.request.headers
    assertion = services.sent["jwt"]
    assert jwt.get_unverified_header(assertion) == {"typ": "JWT", "alg": "PS256", "kid": "ajekey00000000000001"}
    claims = jwt.decode(
        assertion,
        PRIVATE_KEY.public_key(),
        algorithms=["PS256"],
        audience="http://iam.test/iam/v1/tokens",
        options={"verify_iat": False, "verify_exp": False},
    )
    now = int(START.timestamp())
    assert claims == {
        "iss": "ajesa000000000000001",
        "aud": "http://iam.test/iam/v1/tokens",
        "iat": now,
        "exp": now + 3600,
    }
    assert len(assertion) <= 8000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "does not hold a JSON object"),
        ("{" * 5000, "does not hold a JSON object"),
        ('{"id": "x"} trailing ' + SECRET_LINE, "does not hold a JSON object"),
        ('{"id": ""}', "lacks id, service_account_id, private_key"),
        (key_json(id=None), "lacks id"),
        (key_json(service_account_id=5), "lacks service_account_id"),
        (key_json(private_key=SECRET_LINE), "not an RSA key"),
        (key_json(private_key=pem()[:300]), "not an RSA key"),
        (key_json(private_key="\ud800" + pem()[:40] + "\ud800"), "not an RSA key"),
        (key_json(private_key=pem(ec.generate_private_key(ec.SECP256R1()))), "not an RSA key"),
        (key_json(private_key=pem(rsa.generate_private_key(65537, 1024))), "not an RSA key"),  # noqa: S505
    ],
    ids=lambda value: value if value.startswith(("does", "lacks", "not")) else "key",
)
def test_a_malformed_key_is_refused_at_once_and_never_shown(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        source(Services(), {"YC_SERVICE_ACCOUNT_KEY_FILE": text})
    error = caught.value
    assert str(error).startswith("YC_SERVICE_ACCOUNT_KEY_FILE ")
    assert "it must be the JSON of an authorized key" in str(error)
    assert error.__context__ is None
    assert SECRET_LINE not in "".join(traceback.format_exception(error)) + repr(vars(error))


def test_a_key_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 100_000)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for value in (str(tmp_path / "missing"), str(tmp_path), str(large), str(binary), "a\0b", pem(), "~nobody-here/x"):
        with pytest.raises(ConfigurationError, match=r"YC_SERVICE_ACCOUNT_KEY_FILE names a file that cannot") as caught:
            source(Services(), {"YC_SERVICE_ACCOUNT_KEY_FILE": value})
        assert SECRET_LINE not in "".join(traceback.format_exception(caught.value))
        assert value not in str(caught.value)


def test_a_key_does_not_show_itself() -> None:
    key = AuthorizedKey.from_text(key_json(), iam="http://iam.test", fetch=client_of(Services()).fetch)
    assert SECRET_LINE not in repr(key) + repr(vars(key))


@pytest.mark.parametrize(
    ("trouble", "next_step"),
    [
        (refusal(16, 401), NextStep.WAIT),
        (refusal(3, 400), NextStep.WAIT),
        (refusal(5, 404), NextStep.WAIT),
        (refusal(13, 500), NextStep.RETRY),
        (httpx.Response(500, text="<html>"), NextStep.RETRY),
        (answer({"iamToken": 5}), NextStep.RETRY),
        (answer({"iamToken": "two words"}), NextStep.RETRY),
        (answer({}), NextStep.RETRY),
    ],
)
def test_a_refused_key_is_for_an_operator_and_an_outage_passes(trouble: httpx.Response, next_step: NextStep) -> None:
    tokens = source(Services(trouble), {"YC_SERVICE_ACCOUNT_KEY_FILE": key_json()})
    with pytest.raises(CredentialsError, match="ajekey00000000000001") as caught:
        tokens.token()
    assert caught.value.next_step is next_step


def test_the_token_service_is_asked_again_in_passing_trouble() -> None:
    services = Services(
        httpx.ReadTimeout("slow"), refusal(14, 503), answer({"iamToken": "t1.x", "expiresAt": "2026-08-01T22:00:00Z"})
    )
    assert source(services, {"YC_SERVICE_ACCOUNT_KEY_FILE": key_json()}).token().value == "t1.x"
    limited = source(Services(refusal(8, 429, Retry_After="60")), {"YC_SERVICE_ACCOUNT_KEY_FILE": key_json()})
    with pytest.raises(CredentialsError) as caught:
        limited.token()
    assert (caught.value.next_step, caught.value.retry_after) == (NextStep.WAIT, 60.0)


@pytest.mark.parametrize("expires_at", [None, "soon", 5])
def test_an_end_that_cannot_be_read_is_taken_for_ten_minutes(expires_at: object) -> None:
    services = Services(answer({"iamToken": "t1.x", "expiresAt": expires_at}))
    token = source(services, {"YC_SERVICE_ACCOUNT_KEY_FILE": key_json()}).token()
    assert token.expires_at == START + timedelta(minutes=10)


def echo(status: int) -> Callable[[httpx.Request], httpx.Response]:
    def handler(request: httpx.Request) -> httpx.Response:
        text = request.content.decode()
        if status == 200:
            return httpx.Response(200, text=f"<p>{text}</p>")
        return answer({"code": 3, "message": f"cannot read {text}", "details": [{"sent": text}]}, status)

    return handler


@pytest.mark.parametrize("status", [200, 400])
def test_what_was_sent_for_a_token_is_never_shown(status: int) -> None:
    for environ in ({"YC_SERVICE_ACCOUNT_KEY_FILE": key_json()}, {"YC_SERVICE_ACCOUNT_ID": "ajesa"}):
        services = Services(echo(status))
        with pytest.raises(CredentialsError) as caught:
            source(services, environ, web_identity_token=lambda _: WEB_IDENTITY).token()
        content = services.request.content.decode()
        sent = [json.loads(content)["jwt"]] if content.startswith("{") else parse_qs(content)["subject_token"]
        cause = caught.value.__cause__
        assert cause is not None
        shown = "".join(traceback.format_exception(caught.value)) + repr(vars(cause)) + repr(cause.args)
        assert sent[0] not in shown


def test_a_secret_is_read_when_the_first_token_is_needed_and_again_after_a_refusal() -> None:
    time = FakeTime()
    names: list[str] = []

    def read(name: str) -> str:
        names.append(name)
        return key_json()

    fresh = {"iamToken": "t1.x", "expiresAt": "2026-08-01T10:00:00Z"}
    services = Services(answer(fresh), answer(fresh), refusal(16, 401), answer(fresh))
    tokens = source(services, {"YC_SERVICE_ACCOUNT_KEY_SECRET": "arn:x"}, time, read_secret=read)
    assert names == []
    tokens.token()
    tokens.token()
    assert names == ["arn:x"]
    with pytest.raises(CredentialsError):
        tokens.token()
    tokens.token()
    assert names == ["arn:x", "arn:x"]


def test_a_secret_that_cannot_be_used_is_waited_for() -> None:
    def broken(name: str) -> str:
        raise LookupError(name)

    tokens = source(Services(), {"YC_SERVICE_ACCOUNT_KEY_SECRET": "s"}, read_secret=broken)
    with pytest.raises(
        CredentialsError, match=r"named by YC_SERVICE_ACCOUNT_KEY_SECRET cannot be read \(LookupError\)"
    ) as caught:
        tokens.token()
    assert caught.value.next_step is NextStep.RETRY
    tokens = source(Services(), {"YC_SERVICE_ACCOUNT_KEY_SECRET": "s"}, read_secret=lambda _: SECRET_LINE)
    with pytest.raises(CredentialsError, match="YC_SERVICE_ACCOUNT_KEY_SECRET does not hold a JSON object") as caught:
        tokens.token()
    assert caught.value.next_step is NextStep.WAIT
    assert SECRET_LINE not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("variable", ["YC_SERVICE_ACCOUNT_KEY_SECRET", "YC_SERVICE_ACCOUNT_ID"])
def test_a_source_that_cannot_work_here_is_refused_at_once(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} needs a .* set YC_SERVICE_ACCOUNT_KEY_FILE instead"):
        source(Services(), {variable: "x"})


def test_a_web_identity_is_exchanged() -> None:
    audiences: list[str] = []

    def issue(audience: str) -> str:
        audiences.append(audience)
        return "header.claims.signature"

    services = Services(answer({"access_token": "t1.x", "token_type": "Bearer", "expires_in": 43200}))
    token = source(services, {"YC_SERVICE_ACCOUNT_ID": "ajesa"}, web_identity_token=issue).token()
    assert (token.value, token.expires_at) == ("t1.x", START + timedelta(hours=12))
    assert audiences == ["ajesa"]
    assert str(services.request.url) == "http://exchange.test/oauth/token"
    assert services.request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(services.request.content.decode()) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "requested_token_type": ["urn:ietf:params:oauth:token-type:access_token"],
        "audience": ["ajesa"],
        "subject_token": ["header.claims.signature"],
        "subject_token_type": ["urn:ietf:params:oauth:token-type:id_token"],
    }


def test_without_a_web_identity_nothing_is_exchanged() -> None:
    def broken(_: str) -> str:
        raise LookupError

    tokens = source(Services(), {"YC_SERVICE_ACCOUNT_ID": "ajesa"}, web_identity_token=broken)
    with pytest.raises(CredentialsError, match=r"cannot be had \(LookupError\)"):
        tokens.token()
    tokens = source(Services(), {"YC_SERVICE_ACCOUNT_ID": "ajesa"}, web_identity_token=lambda _: "")
    with pytest.raises(CredentialsError, match="what was given is none"):
        tokens.token()


METADATA_URL = "/computeMetadata/v1/instance/service-accounts/default/token"


@pytest.mark.parametrize(
    ("environ", "origin"),
    [({}, "http://169.254.169.254"), ({"YC_METADATA_ADDR": "127.0.0.1:99"}, "http://127.0.0.1:99")],
)
def test_the_metadata_service_is_asked_last(environ: dict[str, str], origin: str) -> None:
    services = Services(answer({"access_token": "t1.x", "expires_in": 600, "token_type": "Bearer"}))
    assert source(services, environ).token().value == "t1.x"
    assert str(services.request.url) == origin + METADATA_URL
    assert services.request.headers["metadata-flavor"] == "Google"
    assert services.request.extensions["timeout"] == {"connect": 1.0, "read": 1.0, "write": 1.0, "pool": 1.0}


@pytest.mark.parametrize("address", ["http://x", "a/b", "user@host", "host:port", "a b", "host?x"])
def test_a_metadata_address_is_a_host(address: str) -> None:
    with pytest.raises(ConfigurationError, match="YC_METADATA_ADDR"):
        source(Services(), {"YC_METADATA_ADDR": address})


def test_with_no_source_at_all_the_error_names_every_way_out() -> None:
    services = Services(httpx.ConnectTimeout("nobody"))
    with pytest.raises(CredentialsError) as caught:
        source(services, {}).token()
    for name in ("YC_TOKEN", "YC_SERVICE_ACCOUNT_KEY_FILE", "YC_SERVICE_ACCOUNT_KEY_SECRET", "YC_SERVICE_ACCOUNT_ID"):
        assert name in str(caught.value)
    assert "169.254.169.254" in str(caught.value)
    with pytest.raises(CredentialsError, match="no usable token"):
        FunctionContextToken().token()


def test_the_context_has_the_first_word_and_each_of_its_tokens_is_given_once() -> None:
    time = FakeTime()
    context = FunctionContextToken(clock=time.clock)
    services = Services(answer({"access_token": "t1.metadata", "expires_in": "600"}))
    tokens = source(services, {}, time, context_token=context)
    context.offer({"access_token": "t1.first", "expires_in": 43200, "token_type": "Bearer"})
    first = tokens.token()
    assert (first.value, first.expires_at) == ("t1.first", START + timedelta(hours=12))
    context.offer(SimpleNamespace(access_token="t1.second", expires_in=3600))
    assert tokens.token() is first
    tokens.invalidate(first)
    second = tokens.token()
    assert second.value == "t1.second"
    tokens.invalidate(second)
    assert tokens.token().value == "t1.metadata"


def test_an_offered_token_at_its_end_is_not_used() -> None:
    time = FakeTime()
    context = FunctionContextToken(clock=time.clock)
    context.offer({"access_token": "t1.x", "expires_in": 5})
    time.advance(5)
    with pytest.raises(CredentialsError):
        context.token()


@pytest.mark.parametrize("offer", [None, "", "text", 5, {}, {"access_token": None}, {"access_token": "a b"}, []])
def test_an_offer_without_a_token_is_passed_over(offer: object) -> None:
    context = FunctionContextToken()
    context.offer({"access_token": "t1.good"})
    context.offer(offer)
    assert context.token().value == "t1.good"


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (60, 60),
        ("60", 60),
        (60.5, 60.5),
        (10**9, 43_200),
        ("inf", 43_200),
        (None, 600),
        (True, 600),
        (-5, 600),
        ("nan", 600),
        ("soon", 600),
        ([], 600),
        (10**400, 600),
    ],
)
def test_a_lifetime_is_read_and_never_trusted(expires_in: object, seconds: float) -> None:
    time = FakeTime()
    context = FunctionContextToken(clock=time.clock)
    context.offer({"access_token": "t1.x", "expires_in": expires_in})
    assert context.token().expires_at == START + timedelta(seconds=seconds)


def test_running_out_of_time_is_not_the_credentials_fault() -> None:
    client = client_of(Services(), remaining=lambda: 0.1)
    tokens = token_source(
        {"YC_SERVICE_ACCOUNT_KEY_FILE": key_json()}, endpoints=ENDPOINTS, fetch=client.fetch, clock=FakeTime().clock
    )
    with pytest.raises(OutOfTimeError):
        tokens.token()


def test_the_environment_alone_makes_a_client() -> None:
    time = FakeTime()
    services = Services(
        answer({"iamToken": "t1.fresh", "expiresAt": "2026-08-01T22:00:00Z"}), answer({"id": "a"}), answer({"id": "b"})
    )
    client = YandexCloud.from_environment(
        {
            "YC_SERVICE_ACCOUNT_KEY_FILE": key_json(),
            "YC_IAM_URL": "http://127.0.0.1:1/",
            "YC_COMPUTE_URL": "http://127.0.0.1:2",
        },
        transport=services,
        clock=time.clock,
        monotonic=time.monotonic,
        sleep=time.sleep,
        random=lambda: 0.0,
    )
    assert (client.compute_images.get("a").id, client.compute_images.get("b").id) == ("a", "b")
    assert [str(request.url) for request in services.requests] == [
        "http://127.0.0.1:1/iam/v1/tokens",
        "http://127.0.0.1:2/compute/v1/images/a",
        "http://127.0.0.1:2/compute/v1/images/b",
    ]
    assert services.requests[2].headers["authorization"] == "Bearer t1.fresh"


def test_a_source_makes_its_own_calls_when_nobody_makes_them_for_it() -> None:
    tokens = token_source({"YC_TOKEN": "t1.x"}, endpoints=ENDPOINTS)
    assert tokens.token().value == "t1.x"
