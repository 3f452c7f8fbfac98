"""The composition root: builds what the functions work with, once per process, from the environment.

Nothing is built at import, so a module of a function can be imported anywhere; the first invocation of a process pays,
and a setting that is missing or malformed fails it with a sentence that names the variable.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from cloud_desktop import FunctionContextToken, YandexCloud
from image_pipeline.adapters import Adapters
from image_pipeline.ledger import Ledger
from image_pipeline.notices import Channel, Notices, Topic, Webhook
from image_pipeline.policy_source import policy_source
from image_pipeline.settings import Settings, read_settings
from image_pipeline.telemetry import Telemetry
from image_pipeline.trail_files import TrailFiles
from image_pipeline.wake_ups import Queue

TIME_TO_FINISH = 3.0
"""Seconds of an invocation that calls to the cloud leave alone, for the wake-up, the row and the answer."""
_ATTEMPTS = 4
_AWS_CALLS = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": _ATTEMPTS})
_CONFLICT_PAUSE = 0.1
_ONLY_DOCUMENTED = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
"""Without the checksum headers that botocore adds for S3 and no page of Object Storage documents."""
_RELEVANT = ("YC_", "AWS_", "POLL_QUEUE_URL", "COPIES_TABLE", "IMAGE_POLICY", "NOTIFY_", "PLATFORM", "POWERTOOLS_")


class App:
    """One process's adapters, and the bounds of the invocation it is in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.settings: Settings = read_settings(environ)
        self._context_token = FunctionContextToken()
        self._ends_at = math.inf
        telemetry = Telemetry(self.settings.platform)
        self._opened: list[Any] = []
        client = self.client = _clients(environ, self.settings, self._opened)
        self.adapters = Adapters(
            cloud=YandexCloud.from_environment(
                environ,
                read_secret=lambda name: _read_secret(client("secretsmanager"), name),
                web_identity_token=lambda audience: _web_identity_token(client("sts"), audience),
                context_token=self._context_token,
                remaining=lambda: self._remaining() - TIME_TO_FINISH,
            ),
            ledger=Ledger(client("dynamodb"), self.settings.copies_table),
            queue=Queue(client("sqs"), self.settings.poll_queue_url),
            notices=Notices(_channels(self.settings, client)),
            telemetry=telemetry,
            trail_files=TrailFiles(lambda: client("s3")),
            policy=policy_source(self.settings.image_policy, lambda: client("s3"), telemetry),
            clock=lambda: datetime.now(UTC),
            remaining=self._remaining,
        )

    @contextmanager
    def invocation(self, context: Any, *, quiet: bool = False) -> Iterator[Adapters]:
        """Give the adapters for one invocation: its deadline, its token on Yandex, its id on every log line.

        `quiet` is for a person at a terminal, who sees errors themselves: nothing is logged, no metric is written.
        """
        telemetry = self.adapters.telemetry
        if quiet:
            telemetry.hush()
        request_id = getattr(context, "aws_request_id", None) or getattr(context, "request_id", None)  # Lambda, Yandex
        telemetry.begin(function_request_id=request_id)
        self.adapters.ledger.forget_snapshot()
        self._context_token.offer(getattr(context, "token", None))
        left = getattr(context, "get_remaining_time_in_millis", None)
        self._ends_at = time.monotonic() + left() / 1000 if callable(left) else math.inf
        try:
            yield self.adapters
        except Exception as error:
            telemetry.fail("invocation_failed", error)
            raise
        finally:
            telemetry.flush()

    def close(self) -> None:
        """Close every connection."""
        self.adapters.cloud.close()
        for client in self._opened:
            client.close()

    def _remaining(self) -> float:
        return self._ends_at - time.monotonic()


_built: dict[tuple[tuple[str, str], ...], App] = {}


def app(environ: Mapping[str, str] | None = None) -> App:
    """Return the process's app; another one only if a setting has changed, as it does between tests.

    Raises:
        ConfigurationError: a setting is missing or malformed.
    """
    environ = os.environ if environ is None else environ
    settings = tuple(sorted((name, value) for name, value in environ.items() if name.startswith(_RELEVANT)))
    if settings not in _built:
        forget_app()
        _built[settings] = App(dict(environ))
    return _built[settings]


def forget_app() -> None:
    """Close what the process has built; the next call of `app` builds anew."""
    while _built:
        _built.popitem()[1].close()


def _clients(environ: Mapping[str, str], settings: Settings, opened: list[Any]) -> Any:
    session = boto3.session.Session(region_name=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None)
    config = _AWS_CALLS.merge(_ONLY_DOCUMENTED) if settings.platform == "yandex" else _AWS_CALLS

    @cache
    def client(service: Any) -> Any:
        made = session.client(service, config=config)
        if service == "dynamodb":
            made.meta.events.register("needs-retry.dynamodb", _pause_after_conflict)
        opened.append(made)
        return made

    return client


def _pause_after_conflict(response: Any, attempts: int, **_: Any) -> float | None:
    """Repeat a write that the Document API refused because another was in progress, which botocore does not.

    Nothing was written then, so the repeated write meets the row as the other one left it. Source: the page "PutItem
    method", TransactionConflictException.
    """
    code = response[1].get("Error", {}).get("Code") if response else None
    return _CONFLICT_PAUSE * attempts if code == "TransactionConflictException" and attempts < _ATTEMPTS else None


def _channels(settings: Settings, client: Any) -> tuple[Channel, ...]:
    channels: list[Channel] = []
    if settings.notify_topic_arn:
        channels.append(Topic(client("sns"), settings.notify_topic_arn))
    if settings.notify_webhook_url:
        channels.append(Webhook(settings.notify_webhook_url))
    return tuple(channels)


def _read_secret(client: Any, name: str) -> str:
    secret: str = client.get_secret_value(SecretId=name)["SecretString"]
    return secret


def _web_identity_token(client: Any, audience: str) -> str:
    """Return a JWT of the function's own AWS role (outbound identity federation); RS256, which any verifier takes."""
    token: str = client.get_web_identity_token(Audience=[audience], SigningAlgorithm="RS256", DurationSeconds=300)[
        "WebIdentityToken"
    ]
    return token
