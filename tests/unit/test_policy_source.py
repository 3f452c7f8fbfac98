"""Where the policy comes from: the variable once, an object again each minute, and the last good one when it is bad."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from cloud_desktop import ConfigurationError
from image_pipeline.policy import Policy
from image_pipeline.policy_source import LARGEST_POLICY, REFRESH_SECONDS, policy_source
from tests.rig.aws import Aws
from tests.rig.clock import Clock
from tests.rig.pipeline import Record, policy_json


class Source:
    """A policy in a bucket, the clock that its age is measured by, and what is said about it."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self.reads = 0
        self.reachable = True
        self.clock = Clock()
        self.record = Record()
        telemetry: Any = self.record
        self.policy = policy_source(
            f"s3://{self._bucket}/config/policy.json", self._s3, telemetry, monotonic=self.clock.monotonic
        )

    def _s3(self) -> Any:
        self.reads += 1
        if not self.reachable:
            raise EndpointConnectionError(endpoint_url="http://s3")
        return self._client

    def put(self, text: str | bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key="config/policy.json", Body=text)

    def remove(self) -> None:
        self._client.delete_object(Bucket=self._bucket, Key="config/policy.json")

    def refusal(self) -> str:
        with pytest.raises(ConfigurationError) as caught:
            self.policy()
        return str(caught.value).replace(self._bucket, "bucket")


@pytest.fixture(scope="module")
def bucket(aws: Aws) -> tuple[Any, str]:
    return aws.client("s3"), aws.bucket()


@pytest.fixture
def source(bucket: tuple[Any, str]) -> Source:
    source = Source(*bucket)
    source.remove()
    return source


def nothing() -> Any:
    raise AssertionError("no bucket is asked for a policy that the variable holds")


def fixed(text: str) -> Policy:
    telemetry: Any = Record()
    return policy_source(text, nothing, telemetry)()


def test_json_in_the_variable_is_the_policy() -> None:
    assert fixed(policy_json(cleanup="apply")).cleanup == "apply"


@pytest.mark.parametrize("setting", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key"])
def test_half_an_address_is_refused_at_once(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=r"it should hold the policy as JSON, or s3://bucket/key$"):
        fixed(setting)


def test_json_that_is_no_policy_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="IMAGE_POLICY is not a valid image policy: routes: Field required"):
        fixed("{}")


def test_an_object_is_read_when_it_is_first_asked_for_and_again_after_a_minute(source: Source) -> None:
    source.put(policy_json())
    assert source.reads == 0
    assert source.policy().cleanup == "plan"
    source.put(policy_json(cleanup="apply"))

    source.clock.advance(REFRESH_SECONDS - 1)
    assert source.policy().cleanup == "plan"
    source.clock.advance(1)
    assert source.policy().cleanup == "apply"
    assert source.reads == 2


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_an_object_saved_with_a_byte_order_mark_is_read(source: Source, mark: bytes) -> None:
    source.put(mark + policy_json().encode())

    assert source.policy().routes[0].name == "office"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "which is not a valid image policy: the document: Invalid JSON"),
        (policy_json(cleanUp="apply"), "which is not a valid image policy: cleanUp: no such key"),
        (b"\xff\xfe", "which is not a valid image policy: the document: Invalid JSON"),
        (" " * (LARGEST_POLICY + 1), f"which is larger than {LARGEST_POLICY} bytes"),
        (None, "which cannot be read: NoSuchKey"),
    ],
)
def test_a_bad_object_leaves_the_last_good_policy_in_force_and_is_counted(
    source: Source, text: str | bytes | None, problem: str
) -> None:
    source.put(policy_json(cleanup="apply"))
    source.policy()
    if text is None:
        source.remove()
    else:
        source.put(text)

    for _ in range(3):
        source.clock.advance(REFRESH_SECONDS)
        assert source.policy().cleanup == "apply"

    assert source.record.metrics["PolicyRejected"] == 3
    assert problem in str(source.record.lines[0]["error"])
    source.put(policy_json())
    source.clock.advance(REFRESH_SECONDS)
    assert source.policy().cleanup == "plan"
    assert source.record.metrics["PolicyRejected"] == 3


def test_a_bad_object_is_not_read_again_before_its_minute_is_over(source: Source) -> None:
    source.put(policy_json())
    source.policy()
    source.put("{")
    source.clock.advance(REFRESH_SECONDS)

    for _ in range(5):
        source.policy()

    assert source.reads == 2


def test_without_a_good_policy_every_call_fails_and_reads_anew(source: Source) -> None:
    assert source.refusal() == "IMAGE_POLICY names s3://bucket/config/policy.json, which cannot be read: NoSuchKey"
    source.reachable = False
    assert source.refusal().endswith("which cannot be read: EndpointConnectionError")
    source.reachable = True
    source.put(policy_json())

    assert source.policy().routes[0].name == "office"
    assert source.record.metrics["PolicyRejected"] == 0
