"""Bad input gets a clear error and loses nothing. One test for each way to be bad."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop import ApiError, BadAnswerError, ConfigurationError
from image_pipeline.app import forget_app
from image_pipeline.batches import BatchFailedError
from image_pipeline.copies import State
from image_pipeline.events import UnknownEventError, read_event
from local.emulator.faults import Fault
from tests.rig.aws import Aws
from tests.rig.deployed import Deployed, deployed
from tests.rig.http import event
from tests.rig.pipeline import SOURCE, TARGET, policy_json

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def deployment(aws: Aws) -> Iterator[Deployed]:
    with deployed(aws) as running:
        yield running


@pytest.fixture
def functions(deployment: Deployed) -> Deployed:
    deployment.start_over()
    return deployment


def add_image(functions: Deployed, **fields: Any) -> str:
    return functions.world.add_compute_image(**{"folder_id": SOURCE, "name": "win11", "family": "win11-a", **fields}).id


def sqs(*bodies: str) -> dict[str, Any]:
    records = [
        {"messageId": f"m{number}", "body": body, "eventSource": "aws:sqs", "attributes": {}}
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


@pytest.mark.parametrize("function", ["copy", "cleanup"])
@pytest.mark.parametrize("unknown", [{}, [], None, 7, {"Records": [{}]}, {"foo": {"token": "t1.secret"}}, "not JSON"])
def test_an_unknown_trigger_fails_and_shows_no_value(functions: Deployed, function: str, unknown: Any) -> None:
    with pytest.raises(UnknownEventError) as caught:
        functions.invoke(function, unknown)

    assert "t1.secret" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Records",
                        "messages",
                        "detail",
                        "detail-type",
                        "details",
                        "event_metadata",
                        "event_type",
                        "imageId",
                    ]
                )
                | st.text(),
                inner,
            )
        ),
    )
)
def test_junk_is_an_unknown_event_and_never_another_error(junk: Any) -> None:
    with contextlib.suppress(UnknownEventError):
        read_event(junk)


def test_a_message_that_is_no_wake_up_is_the_only_one_to_come_again(functions: Deployed) -> None:
    image_id = add_image(functions)
    functions.world.rules.copy_seconds = 3600
    functions.invoke("copy", {"imageId": image_id})
    good = json.dumps({"v": 1, "folder_id": TARGET, "image_id": image_id, "seq": 1})

    answered = functions.invoke(
        "poll", sqs("{", good, '{"v": 2}', '{"v": 1, "folder_id": "", "image_id": 5, "seq": -1}')
    )

    assert answered == {"batchItemFailures": [{"itemIdentifier": name} for name in ("m0", "m2", "m3")]}
    assert functions.world.calls["GET /operations/{operationId}"] == 1


def test_on_yandex_the_others_are_done_before_the_batch_fails(functions: Deployed) -> None:
    image_id = add_image(functions)
    functions.world.rules.copy_seconds = 3600
    functions.invoke("copy", {"imageId": image_id})
    bodies = ["{", json.dumps({"v": 1, "folder_id": TARGET, "image_id": image_id, "seq": 1})]
    messages = [{"event_metadata": {}, "details": {"message": {"message_id": "m", "body": body}}} for body in bodies]

    with pytest.raises(BatchFailedError, match="1 of 2 records failed, the first with: a message is not a wake-up"):
        functions.invoke("poll", {"messages": messages})

    assert functions.world.calls["GET /operations/{operationId}"] == 1


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("POLL_QUEUE_URL", "", "POLL_QUEUE_URL is not set; it should hold the URL of the queue that carries wake-ups"),
        ("POLL_QUEUE_URL", "my-queue", "POLL_QUEUE_URL is not a URL; it should hold the URL"),
        ("COPIES_TABLE", "", "COPIES_TABLE is not set; it should hold the name of the table"),
        ("IMAGE_POLICY", "", "IMAGE_POLICY is not set; it should hold the image policy as JSON"),
        ("IMAGE_POLICY", "{", "IMAGE_POLICY is not a valid image policy: the document: Invalid JSON"),
        ("IMAGE_POLICY", "s3://bucket", "IMAGE_POLICY is 's3://bucket'; it should hold the policy as JSON, or s3://"),
        ("IMAGE_POLICY", policy_json(cleanUp="apply"), "cleanUp: no such key; remove or correct it"),
        ("PLATFORM", "azure", "PLATFORM is 'azure'; set it to aws or yandex"),
        ("YC_REGION", "mars", "YC_REGION is 'mars'; it must be one of"),
        ("YC_IAM_URL", "iam", "YC_IAM_URL is not an http or https address"),
        ("NOTIFY_WEBHOOK_URL", "hooks", "NOTIFY_WEBHOOK_URL is not a URL"),
    ],
)
def test_a_missing_or_malformed_setting_names_the_variable(
    functions: Deployed, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        functions.invoke("poll", sqs("{}"))

    assert sentence in str(caught.value)


def test_two_credential_sources_are_an_error_that_names_both(
    functions: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YC_SERVICE_ACCOUNT_ID", "ajeaccount")

    with pytest.raises(ConfigurationError, match="YC_TOKEN and YC_SERVICE_ACCOUNT_ID are both set"):
        functions.invoke("copy", {"imageId": "fd8any"})


def test_an_over_long_name_is_refused_before_anything_is_sent(functions: Deployed) -> None:
    answered = functions.invoke(
        "copy", event("POST", "/images:copy", {"imageId": add_image(functions), "name": "x" * 51})
    )

    assert answered["statusCode"] == 400
    assert "name: String should have at most 50 characters" in json.loads(answered["body"])["message"]
    assert not functions.world.calls


def test_an_image_that_does_not_exist_is_left_alone_with_the_reason(functions: Deployed) -> None:
    answered = functions.invoke("copy", {"imageId": "fd8none"})

    [outcome] = answered["images"]
    assert (outcome["outcome"], outcome["reason"]) == ("skipped", "the image no longer exists")


def test_a_target_folder_without_permission_ends_the_copy_with_the_reason(functions: Deployed) -> None:
    functions.world.deny_folder(TARGET)
    image_id = add_image(functions)

    functions.invoke("copy", {"imageId": image_id})

    found = json.loads(functions.invoke("poll", event("GET", f"/copies/{TARGET}/{image_id}"))["body"])
    assert found["state"] == State.FAILED
    assert "PERMISSION_DENIED" in found["reason"]


def test_a_source_folder_without_permission_fails_the_event_so_that_it_comes_again(functions: Deployed) -> None:
    image_id = add_image(functions)
    functions.world.deny_folder(SOURCE)

    with pytest.raises(ApiError, match="PERMISSION_DENIED"):
        functions.invoke("copy", {"imageId": image_id})


@pytest.mark.parametrize("body", ["html", "empty", "truncated"])
def test_an_answer_that_is_not_json_fails_the_event_so_that_it_comes_again(functions: Deployed, body: str) -> None:
    image_id = add_image(functions)
    functions.faults.add(Fault(kind="mangled", route="GET images/{imageId}", body=body, times=9))

    with pytest.raises(BadAnswerError):
        functions.invoke("copy", {"imageId": image_id})
    functions.faults.clear()
    functions.invoke("copy", {"imageId": image_id})

    assert len(functions.world.desktop_images(TARGET)) == 1


@pytest.mark.parametrize("module", ["copy_on_new_compute_image", "poll_operation", "cleanup"])
def test_a_cold_start_imports_only_what_it_uses(module: str) -> None:
    probe = f"import sys, {module}, image_pipeline.app; print(*sys.modules)"
    paths = [ROOT / "layers" / "desktop-images", *(ROOT / "functions").iterdir()]
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env={"PYTHONPATH": ":".join(str(path) for path in paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    heavy = {"aws_lambda_powertools.event_handler", "aws_lambda_powertools.utilities.batch", "jwt", "cryptography"}

    assert "image_pipeline.app" in loaded
    assert not heavy & loaded
    assert not {name for name in loaded if name.split(".")[0] in {"local", "moto", "flask", "typer", "ijson"}}


def test_importing_a_handler_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_app()
    for path in (ROOT / "functions").rglob("*.py"):
        code = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        assert len(code) <= 40, f"{path.name} is {len(code)} lines; a handler is at most 40"
