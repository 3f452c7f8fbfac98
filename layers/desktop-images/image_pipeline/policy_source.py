"""Where the policy comes from: the variable itself, or a bucket object that may change while functions are warm."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from cloud_desktop import ConfigurationError
from image_pipeline.policy import VARIABLE, Policy, parse_policy
from image_pipeline.telemetry import Telemetry

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REFRESH_SECONDS = 60.0
LARGEST_POLICY = 1024 * 1024
"""Bytes; a policy of a thousand routes is a fifth of that."""


def policy_source(
    setting: str, s3: Callable[[], S3Client], telemetry: Telemetry, *, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[], Policy]:
    """Return what gives the policy in force.

    JSON is read once, here, so a mistake shows at cold start. An object is read when first asked for and again after a
    minute; if the new text is invalid or cannot be read, the last good policy stays in force and the metric
    `PolicyRejected` counts it.

    Raises:
        ConfigurationError: the variable holds neither JSON nor s3://bucket/key, or the JSON breaks a rule.
    """
    if not setting.startswith("s3://"):
        policy = parse_policy(setting)
        return lambda: policy
    bucket, _, key = setting.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ConfigurationError(VARIABLE, f"is {setting!r}; it should hold the policy as JSON, or s3://bucket/key")
    return _Object(bucket, key, s3, telemetry, monotonic)


class _Object:
    def __init__(
        self, bucket: str, key: str, s3: Callable[[], S3Client], telemetry: Telemetry, monotonic: Callable[[], float]
    ) -> None:
        self._bucket, self._key, self._s3, self._telemetry, self._monotonic = bucket, key, s3, telemetry, monotonic
        self._policy: Policy | None = None
        self._read_at = float("-inf")

    def __call__(self) -> Policy:
        if self._policy is not None and self._monotonic() - self._read_at < REFRESH_SECONDS:
            return self._policy
        try:
            self._policy = self._read()
        except ConfigurationError as error:
            if self._policy is None:
                raise
            self._telemetry.warn("policy_rejected", error=str(error))
            self._telemetry.measure("PolicyRejected")
        self._read_at = self._monotonic()
        return self._policy

    def _read(self) -> Policy:
        origin = f"names s3://{self._bucket}/{self._key}, which "
        try:
            text = self._s3().get_object(Bucket=self._bucket, Key=self._key)["Body"].read(LARGEST_POLICY + 1)
        except ClientError as error:
            raise ConfigurationError(VARIABLE, f"{origin}cannot be read: {error.response['Error']['Code']}") from None
        except BotoCoreError as error:
            raise ConfigurationError(VARIABLE, f"{origin}cannot be read: {type(error).__name__}") from None
        if len(text) > LARGEST_POLICY:
            raise ConfigurationError(VARIABLE, f"{origin}is larger than {LARGEST_POLICY} bytes")
        return parse_policy(text.decode("utf-8-sig", errors="replace"), origin=origin)
