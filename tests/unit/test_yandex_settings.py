"""What has to be set on Yandex Cloud, so that nothing signed with a Yandex key is ever sent to AWS."""

from __future__ import annotations

import pytest

from cloud_desktop import ConfigurationError
from image_pipeline.settings import VARIABLES, read_settings

ON_BOTH = {
    "POLL_QUEUE_URL": "https://message-queue.api.cloud.yandex.net/b1gcloud/dj6000/poll",
    "COPIES_TABLE": "desktop-images/copies",
    "IMAGE_POLICY": '{"routes": []}',
}
YANDEX = {
    **ON_BOTH,
    "PLATFORM": "yandex",
    "AWS_REGION": "ru-central1",
    "AWS_ACCESS_KEY_ID": "YCAJE",
    "AWS_SECRET_ACCESS_KEY": "YCO",
    "AWS_ENDPOINT_URL_SQS": "https://message-queue.api.cloud.yandex.net",
    "AWS_ENDPOINT_URL_DYNAMODB": "https://docapi.serverless.yandexcloud.net/ru-central1/b1gcloud/etn000",
    "AWS_ENDPOINT_URL_S3": "https://storage.yandexcloud.net",
}
RESERVED = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
    "LAMBDA_TASK_ROOT": "/function/code",
    "LAMBDA_RUNTIME_DIR": "/function/runtime",
    "_HANDLER": "poll_operation.handler",
}


def test_everything_set_is_enough() -> None:
    settings = read_settings(YANDEX)
    assert (settings.platform, settings.copies_table) == ("yandex", "desktop-images/copies")


@pytest.mark.parametrize("platform", ["aws", "yandex"])
def test_the_names_that_both_clouds_reserve_tell_nothing(platform: str) -> None:
    assert read_settings({**YANDEX, "PLATFORM": platform, **RESERVED}).platform == platform
    assert read_settings({**ON_BOTH, "PLATFORM": "", **RESERVED}).platform == "aws"


@pytest.mark.parametrize("name", sorted(name for name in YANDEX if name.startswith("AWS_")))
@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_missing_is_named(name: str, value: str | None) -> None:
    environ = {key: given for key, given in YANDEX.items() if key != name}
    if value is not None:
        environ[name] = value
    with pytest.raises(ConfigurationError, match=f"{name} is not set; it should hold "):
        read_settings(environ)
    read_settings({**environ, "PLATFORM": "aws"})


def test_botocores_own_alternatives_are_enough() -> None:
    general = {
        **{name: value for name, value in YANDEX.items() if "ENDPOINT" not in name and name != "AWS_REGION"},
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        "AWS_DEFAULT_REGION": "ru-central1",
    }
    assert read_settings(general).platform == "yandex"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("YC_SERVICE_ACCOUNT_KEY_SECRET", "leave it out on Yandex, where the function's own service account is used"),
        ("YC_SERVICE_ACCOUNT_ID", "leave it out on Yandex, where the function's own service account is used"),
        ("NOTIFY_TOPIC_ARN", "set NOTIFY_WEBHOOK_URL on Yandex"),
    ],
)
def test_what_needs_aws_is_refused(name: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} works on AWS alone; {remedy}"):
        read_settings({**YANDEX, name: "x"})
    read_settings({**YANDEX, name: ""})


def test_what_is_required_is_documented() -> None:
    alike = {name for name in YANDEX if name.startswith("AWS_ENDPOINT_URL_")}
    assert YANDEX.keys() - alike <= VARIABLES.keys()
    assert all(
        name.removeprefix("AWS_ENDPOINT_URL") in VARIABLES["AWS_ENDPOINT_URL_SQS"] for name in alike - VARIABLES.keys()
    )
