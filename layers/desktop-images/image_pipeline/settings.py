"""What the environment of a function says, read once at cold start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from cloud_desktop import ConfigurationError

VARIABLES = {
    "YC_REGION": "Region of the Yandex APIs: `kz1` (default) or `ru-central1`.",
    "YC_CLOUD_DESKTOP_URL": "Origin of Cloud Desktop instead of the region's, such as `http://127.0.0.1:8080`.",
    "YC_COMPUTE_URL": "Origin of Compute Cloud instead of the region's.",
    "YC_OPERATION_URL": "Origin of the Operation API instead of the region's.",
    "YC_IAM_URL": "Origin of IAM instead of the region's.",
    "YC_TOKEN_EXCHANGE_URL": "Origin of the token exchange instead of the region's.",
    "YC_QUOTA_URL": "Origin of Quota Manager instead of the region's.",
    "YC_TOKEN": "Credential: an IAM token, used as it is. It lives twelve hours at most, so this is for trying things.",
    "YC_SERVICE_ACCOUNT_KEY_FILE": "Credential: an authorized key, as a path or as the JSON itself.",
    "YC_SERVICE_ACCOUNT_KEY_SECRET": "Credential: name or ARN of the AWS Secrets Manager secret with that JSON.",
    "YC_SERVICE_ACCOUNT_ID": "Credential without a key: account that an AWS web identity token is exchanged for.",
    "YC_METADATA_ADDR": "Where the metadata service answers, if not at `169.254.169.254`.",
    "POLL_QUEUE_URL": "Required. URL of the queue that carries wake-ups: SQS or Yandex Message Queue.",
    "COPIES_TABLE": "Required. Table that holds the ledger: DynamoDB, or YDB through its Document API.",
    "IMAGE_POLICY": "Required. The image policy as JSON, or `s3://bucket/key` of the object that holds it.",
    "NOTIFY_TOPIC_ARN": "SNS topic that verdicts are announced to; on AWS alone.",
    "NOTIFY_WEBHOOK_URL": "URL that verdicts are posted to as JSON. Treated as a secret.",
    "PLATFORM": "`aws` (default) or `yandex`: the form of log lines and metrics, and what else has to be set.",
    "POWERTOOLS_LOG_LEVEL": "Least severity that is logged; `INFO` by default.",
    "POWERTOOLS_SERVICE_NAME": "Service name on log lines and metrics; `desktop-images` by default.",
    "POWERTOOLS_METRICS_NAMESPACE": "Namespace of the metrics; `DesktopImages` by default.",
    "AWS_ENDPOINT_URL_SQS": "Where SQS answers (and `_DYNAMODB`, `_S3`, `_SNS`): how Yandex's services are reached.",
    "AWS_REGION": "Set by Lambda. Required on Yandex: the region that requests are signed for, `ru-central1`.",
    "AWS_ACCESS_KEY_ID": "Set by Lambda. Required on Yandex: the id of a static access key of the service account.",
    "AWS_SECRET_ACCESS_KEY": "Set by Lambda. Required on Yandex: the secret part of that key.",
}
"""Every environment variable of the functions and what it means; the README's table is made of this."""

_ON_YANDEX = {
    "AWS_REGION": "the region that requests to Message Queue and the Document API are signed for, ru-central1",
    "AWS_ACCESS_KEY_ID": "the id of a static access key of the function's service account",
    "AWS_SECRET_ACCESS_KEY": "the secret part of that static access key",
    "AWS_ENDPOINT_URL_SQS": "the origin of Message Queue, such as https://message-queue.api.cloud.yandex.net",
    "AWS_ENDPOINT_URL_DYNAMODB": "the Document API endpoint of the YDB database",
    "AWS_ENDPOINT_URL_S3": "the origin of Object Storage, such as https://storage.yandexcloud.net",
}
_INSTEAD = {"AWS_REGION": "AWS_DEFAULT_REGION"} | {
    name: "AWS_ENDPOINT_URL" for name in _ON_YANDEX if name.startswith("AWS_ENDPOINT_URL_")
}
_OWN_ACCOUNT = "leave it out on Yandex, where the function's own service account is used"
_NOT_ON_YANDEX = {
    "YC_SERVICE_ACCOUNT_KEY_SECRET": _OWN_ACCOUNT,
    "YC_SERVICE_ACCOUNT_ID": _OWN_ACCOUNT,
    "NOTIFY_TOPIC_ARN": "set NOTIFY_WEBHOOK_URL on Yandex, where functions are packed without SNS",
}
_TABLE = r"[-_.:/0-9a-zA-Z]{1,1024}"  # a name or an ARN; on YDB, a path
_TOPIC = r"arn:[-a-z]+:sns:[-0-9a-z]+:[0-9]+:[-_0-9a-zA-Z]{1,256}(\.fifo)?"


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
    if platform == "yandex":
        _check_yandex(environ)
    return Settings(
        poll_queue_url=_url(environ, "POLL_QUEUE_URL", "the URL of the queue that carries wake-ups", required=True),
        copies_table=_matching(
            environ, "COPIES_TABLE", _TABLE, "the name of the table that holds the ledger", required=True
        ),
        image_policy=_required(
            environ, "IMAGE_POLICY", "the image policy as JSON, or s3://bucket/key of the object that holds it"
        ),
        notify_topic_arn=_matching(
            environ, "NOTIFY_TOPIC_ARN", _TOPIC, "the ARN of an SNS topic, arn:aws:sns:...", required=False
        )
        or None,
        notify_webhook_url=_url(environ, "NOTIFY_WEBHOOK_URL", "the URL that verdicts are posted to") or None,
        platform="yandex" if platform == "yandex" else "aws",
    )


def _check_yandex(environ: Mapping[str, str]) -> None:
    """Refuse what would send a request of a Yandex function to AWS."""
    for name, remedy in _NOT_ON_YANDEX.items():
        if _optional(environ, name):
            raise ConfigurationError(name, f"works on AWS alone; {remedy}")
    for name, meaning in _ON_YANDEX.items():
        if _optional(environ, _INSTEAD.get(name, name)) is None:
            _required(environ, name, meaning)


def _optional(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _required(environ: Mapping[str, str], name: str, meaning: str) -> str:
    value = _optional(environ, name)
    if value is None:
        raise ConfigurationError(name, f"is not set; it should hold {meaning}")
    return value


def _matching(environ: Mapping[str, str], name: str, pattern: str, meaning: str, *, required: bool) -> str:
    value = _required(environ, name, meaning) if required else _optional(environ, name)
    if value is not None and not re.fullmatch(pattern, value):
        raise ConfigurationError(name, f"is malformed; it should hold {meaning}")
    return value or ""


def _url(environ: Mapping[str, str], name: str, meaning: str, *, required: bool = False) -> str:
    value = _required(environ, name, meaning) if required else _optional(environ, name)
    if value is None:
        return ""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in value):
        raise ConfigurationError(name, f"is not a URL; it should hold {meaning}, beginning with https://")
    return value
