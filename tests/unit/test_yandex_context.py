"""The handlers with Yandex's context: its token first, the metadata service next, nothing of it ever logged."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cloud_desktop import CredentialsError
from image_pipeline.app import app
from local.emulator.routes import METADATA_PATH
from local.yandex import shapes
from tests.rig.aws import Aws
from tests.rig.deployed import MODULES, Deployed, deployed
from tests.rig.pipeline import SOURCE, TARGET
from tests.rig.yandex import Context

NOW = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)
METADATA = f"GET {METADATA_PATH}"


@pytest.fixture(scope="module")
def deployment(aws: Aws) -> Iterator[Deployed]:
    """A function without any credential setting, where AWS's names mean Yandex."""
    with deployed(aws, platform="yandex") as running, pytest.MonkeyPatch.context() as environment:
        environment.delenv("YC_TOKEN")
        environment.setenv("YC_METADATA_ADDR", os.environ["YC_IAM_URL"].removeprefix("http://"))
        for name, value in {
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
            "LAMBDA_TASK_ROOT": "/function/code",
            "LAMBDA_RUNTIME_DIR": "/function/runtime",
            "_HANDLER": "copy_on_new_compute_image.handler",
        }.items():
            environment.setenv(name, value)
        environment.setenv("POWERTOOLS_SERVICE_NAME", "context")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "sentinel-in-the-environment")
        yield running


@pytest.fixture
def functions(deployment: Deployed) -> Deployed:
    """A process that has no token yet; forgetting it is faster than building another."""
    deployment.start_over()
    running = app()
    running._context_token._offered = None
    tokens = running.adapters.cloud._tokens
    if tokens._token is not None:
        tokens.invalidate(tokens._token)
    return deployment


@pytest.fixture
def lines(functions: Deployed) -> Callable[[], list[str]]:
    """The lines logged since the test began; Powertools would write to the output of the process's first day."""
    stream = io.StringIO()
    for handler in app().adapters.telemetry.logger.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.stream = stream
    return lambda: stream.getvalue().splitlines()


def token(functions: Deployed, **changes: Any) -> dict[str, Any]:
    return {"access_token": functions.world.issue_token(), "expires_in": 42299, "token_type": "Bearer", **changes}


def announce(functions: Deployed) -> dict[str, Any]:
    image = functions.world.add_compute_image(folder_id=SOURCE, name="win11", family="win11-office")
    return shapes.stream_records([shapes.audit_record(image.id, NOW)])


def invoke(function: str, event: Any, context: Any) -> Any:
    return importlib.import_module(MODULES[function]).handler(event, context)


def statuses(functions: Deployed) -> list[str]:
    return [image.status for image in functions.world.desktop_images(TARGET)]


def test_the_contexts_token_is_enough(functions: Deployed) -> None:
    invoke("copy", announce(functions), Context(token(functions)))
    assert statuses(functions) == ["ACTIVE"]
    assert functions.world.calls[METADATA] == 0


class Token:
    """The token as an object with attributes, in case a runtime gives one."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.__dict__ = given


def test_the_token_may_be_an_object(functions: Deployed) -> None:
    given: Any = Token(token(functions))
    invoke("copy", announce(functions), Context(given))
    assert (statuses(functions), functions.world.calls[METADATA]) == (["ACTIVE"], 0)


@pytest.mark.parametrize(
    "given",
    [None, {}, {"access_token": ""}, {"access_token": "a b", "expires_in": 600}],
)
def test_without_one_the_metadata_service_is_asked_once(functions: Deployed, given: Any) -> None:
    for _ in range(2):
        invoke("copy", announce(functions), Context(given))
    assert statuses(functions) == ["ACTIVE", "ACTIVE"]
    assert functions.world.calls[METADATA] == 1


def test_a_context_without_the_attribute_is_one_without_a_token(functions: Deployed) -> None:
    context = Context()
    del context.token
    invoke("copy", announce(functions), context)
    assert (statuses(functions), functions.world.calls[METADATA]) == (["ACTIVE"], 1)


def test_a_refused_token_is_replaced_by_the_metadata_services(functions: Deployed) -> None:
    invoke("copy", announce(functions), Context(token(functions, access_token="t1.revoked")))
    assert (statuses(functions), functions.world.calls[METADATA]) == (["ACTIVE"], 1)


def test_a_later_invocation_brings_the_token_that_an_old_one_is_replaced_by(functions: Deployed) -> None:
    invoke("copy", announce(functions), Context(token(functions)))
    functions.world.identity.revoke_tokens()
    invoke("copy", announce(functions), Context(token(functions)))
    assert (statuses(functions), functions.world.calls[METADATA]) == (["ACTIVE", "ACTIVE"], 0)


def test_where_there_is_neither_the_sentence_says_where_a_token_was_sought(
    functions: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YC_METADATA_ADDR", "127.0.0.1:1")
    with pytest.raises(CredentialsError, match=r"the function's context carries no usable token.*http://127.0.0.1:1"):
        invoke("copy", announce(functions), Context())


def test_the_request_id_of_the_context_is_on_every_line(functions: Deployed, lines: Callable[[], list[str]]) -> None:
    context = Context(token(functions))
    invoke("copy", announce(functions), context)
    written = [json.loads(line) for line in lines()]
    assert {line["function_request_id"] for line in written} == {context.request_id}
    assert {line["level"] for line in written} == {"INFO"}


SECRETS = {"event": "sentinel-in-the-event", "context": "sentinel-in-the-context"}


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_the_event_or_the_context_is_logged_whole(
    functions: Deployed, lines: Callable[[], list[str]], *, fails: bool
) -> None:
    given = token(functions, expires_in=600)
    context = Context(given)
    context.log_group_name = SECRETS["context"]  # type: ignore[attr-defined]
    [record] = announce(functions)["messages"]
    record["authentication"] = {"subject_name": SECRETS["event"]}
    body = json.dumps({"imageId": record["details"]["image_id"], "comment": SECRETS["event"]})
    if fails:
        functions.world.deny_folder(SOURCE)
    shown = ""
    for event in (
        {"messages": [record]},
        shapes.log_entries([record], NOW),
        shapes.queue("q", [{"MessageId": "m", "Body": json.dumps(record)}], NOW),
        {"httpMethod": "POST", "headers": {"X-Comment": SECRETS["event"]}, "url": "", "body": body},
        {"messages": [{"event_metadata": {"event_type": SECRETS["event"]}, "details": {"it": SECRETS["event"]}}]},
    ):
        try:
            invoke("copy", event, context)
        except Exception as error:  # noqa: BLE001 - whichever it is, the runtime prints it
            shown += f"{error}\n"

    written = "\n".join(lines())
    for secret in (*SECRETS.values(), given["access_token"], os.environ["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in written + shown
    assert written.count("\n") > 5
    assert shown.count("\n") == (4 if fails else 1)


def test_yandexs_events_are_understood_where_the_platform_is_not_set(
    functions: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLATFORM")
    invoke("copy", announce(functions), Context(token(functions)))
    assert statuses(functions) == ["ACTIVE"]

    answered = invoke("poll", {"httpMethod": "GET", "headers": {}, "url": "/copies"}, Context())
    [copy] = json.loads(answered["body"])["copies"]
    wake_up = json.dumps({"v": 1, "folder_id": TARGET, "image_id": copy["imageId"], "seq": 1})
    event = shapes.queue("q", [{"MessageId": "m", "Body": wake_up}], NOW)
    assert invoke("poll", event, Context()) == {"processed": 1}
    assert invoke("cleanup", shapes.timer("a1s", "", NOW), Context())["cleanup"] == "plan"
