"""A clock that only moves when told to, and services that answer from a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloud_desktop.client import YandexCloud
from cloud_desktop.endpoints import Endpoints
from cloud_desktop.tokens import StaticToken, TokenSource

ENDPOINTS = Endpoints(
    cloud_desktop="http://desktop.test",
    compute="http://compute.test",
    operation="http://operation.test",
    iam="http://iam.test",
    token_exchange="http://exchange.test",
    quota="http://quota.test",
)
TOKEN = "t1.9euelZqTnJuKzs6Mj5CVzsqd.signature"
START = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)

Script = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class FakeTime:
    """A wall clock and a monotonic one that move together; sleeping moves them and is written down."""

    def __init__(self) -> None:
        self.now = START
        self.seconds = 1000.0
        self.naps: list[float] = []

    def clock(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class Services(httpx.BaseTransport):
    """Answers requests in the order of a script and remembers them."""

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.requests: list[httpx.Request] = []
        self.closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        if not self.script:
            raise AssertionError(f"nothing is scripted for {request.method} {request.url}")
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def close(self) -> None:
        self.closed = True

    @property
    def request(self) -> httpx.Request:
        """The only request."""
        (request,) = self.requests
        return request

    @property
    def sent(self) -> Any:
        """The JSON body of the only request."""
        return json.loads(self.request.content)


def answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def refusal(
    code: int, status: int, message: str = "no", details: list[Any] | None = None, **headers: str
) -> httpx.Response:
    return answer({"code": code, "message": message, "details": details or []}, status, **headers)


def client_of(
    services: Services,
    time: FakeTime | None = None,
    tokens: TokenSource | None = None,
    remaining: Callable[[], float] | None = None,
    random: Callable[[], float] = lambda: 0.5,
) -> YandexCloud:
    time = time or FakeTime()
    return YandexCloud(
        ENDPOINTS,
        tokens or StaticToken(TOKEN),
        transport=services,
        clock=time.clock,
        monotonic=time.monotonic,
        sleep=time.sleep,
        random=random,
        remaining=remaining,
    )


PRIVATE_KEY: RSAPrivateKey = generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any = PRIVATE_KEY) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def key_json(**changes: Any) -> str:
    fields = {
        "id": "ajekey00000000000001",
        "service_account_id": "ajesa000000000000001",
        "created_at": "2026-08-01T10:00:00Z",
        "key_algorithm": "RSA_2048",
        "private_key": "PLEASE DO NOT REMOVE THIS LINE! Yandex.Cloud SA Key ID <ajekey>\n" + pem(),
    }
    return json.dumps({name: value for name, value in (fields | changes).items() if value is not None})
