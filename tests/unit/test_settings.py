"""The settings of a function on AWS: each missing or malformed one is named, and none that is secret is shown."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop import ConfigurationError
from image_pipeline.settings import Settings, read_settings

REQUIRED = {
    "POLL_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/desktop-images-poll",
    "COPIES_TABLE": "desktop-images-CopiesTable-1A2B3C",
    "IMAGE_POLICY": "s3://config/policy.json",
}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:verdicts"
WEBHOOK = "https://hooks.example.com/services/T000/B000/hush?x=1"


def refusal(**changes: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_settings({**REQUIRED, **changes})
    return str(caught.value)


def test_what_is_set_is_read_and_the_rest_has_its_default() -> None:
    assert read_settings(REQUIRED) == Settings(
        poll_queue_url=REQUIRED["POLL_QUEUE_URL"],
        copies_table=REQUIRED["COPIES_TABLE"],
        image_policy=REQUIRED["IMAGE_POLICY"],
        notify_topic_arn=None,
        notify_webhook_url=None,
        platform="aws",
    )
    told = read_settings({**REQUIRED, "NOTIFY_TOPIC_ARN": TOPIC, "NOTIFY_WEBHOOK_URL": WEBHOOK, "PLATFORM": "aws"})
    assert (told.notify_topic_arn, told.notify_webhook_url) == (TOPIC, WEBHOOK)


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_variable_is_not_set(empty: str) -> None:
    optional = dict.fromkeys(("NOTIFY_TOPIC_ARN", "NOTIFY_WEBHOOK_URL", "PLATFORM"), empty)

    assert read_settings({**REQUIRED, **optional}) == read_settings(REQUIRED)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("POLL_QUEUE_URL", "the URL of the queue that carries wake-ups"),
        ("COPIES_TABLE", "the name of the table that holds the ledger"),
        ("IMAGE_POLICY", "the image policy as JSON, or s3://bucket/key of the object that holds it"),
    ],
)
@pytest.mark.parametrize("empty", ["", "  ", None])
def test_a_missing_setting_is_named_with_what_it_should_hold(name: str, meaning: str, empty: str | None) -> None:
    environ = {**REQUIRED, name: empty or ""} if empty is not None else {k: v for k, v in REQUIRED.items() if k != name}
    with pytest.raises(ConfigurationError) as caught:
        read_settings(environ)

    assert str(caught.value) == f"{name} is not set; it should hold {meaning}"


@pytest.mark.parametrize("name", ["POLL_QUEUE_URL", "NOTIFY_WEBHOOK_URL"])
@pytest.mark.parametrize(
    "value",
    [
        "desktop-images-poll",
        "sqs.eu-central-1.amazonaws.com/1/q",
        "ftp://hush/q",
        "https://",
        "https:///hush",
        "http://[::1",
        "https://hush:99999/q",
        "https://hush:0/q",
        "https://hush/a b",
        "https://hush/\x07",
    ],
)
def test_what_is_no_url_is_refused_and_not_shown(name: str, value: str) -> None:
    sentence = refusal(**{name: value})

    assert sentence.startswith(f"{name} is not a URL; it should hold the URL ")
    assert sentence.endswith(", beginning with https://")
    assert "hush" not in sentence


@pytest.mark.parametrize("value", ["my table", "${CopiesTable}", "t" * 1025, "Tabelle-Ä"])
def test_what_is_no_table_name_is_refused(value: str) -> None:
    assert refusal(COPIES_TABLE=value) == (
        "COPIES_TABLE is malformed; it should hold the name of the table that holds the ledger"
    )


@pytest.mark.parametrize(
    "value", ["verdicts", TOPIC.replace("sns", "sqs"), TOPIC + ":9f4e-subscription", "arn:aws:sns"]
)
def test_what_is_no_topic_is_refused(value: str) -> None:
    assert refusal(NOTIFY_TOPIC_ARN=value) == (
        "NOTIFY_TOPIC_ARN is malformed; it should hold the ARN of an SNS topic, arn:aws:sns:..."
    )


@pytest.mark.parametrize("arn", [TOPIC, TOPIC.replace("aws", "aws-cn"), TOPIC + ".fifo"])
def test_topics_of_every_partition_are_taken(arn: str) -> None:
    assert read_settings({**REQUIRED, "NOTIFY_TOPIC_ARN": arn}).notify_topic_arn == arn


def test_an_unknown_platform_is_refused() -> None:
    assert refusal(PLATFORM="gcp") == "PLATFORM is 'gcp'; set it to aws or yandex, or leave it out for aws"


def test_secrets_and_the_policy_do_not_show_in_the_text_form() -> None:
    shown = repr(read_settings({**REQUIRED, "NOTIFY_WEBHOOK_URL": WEBHOOK}))

    assert "hush" not in shown
    assert "policy.json" not in shown


@given(st.dictionaries(st.sampled_from([*REQUIRED, "NOTIFY_TOPIC_ARN", "NOTIFY_WEBHOOK_URL", "PLATFORM"]), st.text()))
def test_no_text_in_a_variable_raises_anything_else(changes: dict[str, Any]) -> None:
    with suppress(ConfigurationError):
        read_settings({**REQUIRED, **changes})
