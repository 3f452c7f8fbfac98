"""What the environment of a function says, read once at cold start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from cloud_desktop import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """The pipeline's own settings; those of the Yandex APIs are read by `cloud_desktop`. Empty means not set."""

    poll_queue_url: str
    copies_table: str
    image_policy: str = field(repr=False)
    notify_topic_arn: str | None = None
    notify_webhook_url: str | None = field(default=None, repr=False)
    platform: Literal["aws", "yandex"] = "aws"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of a function.

    Raises:
        ConfigurationError: a setting is missing or malformed; the sentence names the variable and what it should hold.
    """
    platform = _optional(environ, "PLATFORM") or "aws"
    if platform not in {"aws", "yandex"}:
        raise ConfigurationError("PLATFORM", f"is {platform!r}; set it to aws or yandex, or leave it out for aws")
    return Settings(
        poll_queue_url=_url(environ, "POLL_QUEUE_URL", "the URL of the queue that carries wake-ups", required=True),
        copies_table=_required(environ, "COPIES_TABLE", "the name of the table that holds the ledger"),
        image_policy=_required(
            environ, "IMAGE_POLICY", "the image policy as JSON, or s3://bucket/key of the object that holds it"
        ),
        notify_topic_arn=_optional(environ, "NOTIFY_TOPIC_ARN"),
        notify_webhook_url=_url(environ, "NOTIFY_WEBHOOK_URL", "the URL that verdicts are posted to") or None,
        platform="yandex" if platform == "yandex" else "aws",
    )


def _optional(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _required(environ: Mapping[str, str], name: str, meaning: str) -> str:
    value = _optional(environ, name)
    if value is None:
        raise ConfigurationError(name, f"is not set; it should hold {meaning}")
    return value


def _url(environ: Mapping[str, str], name: str, meaning: str, *, required: bool = False) -> str:
    value = _required(environ, name, meaning) if required else _optional(environ, name)
    if value is None:
        return ""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(name, f"is not a URL; it should hold {meaning}, beginning with https://")
    return value
