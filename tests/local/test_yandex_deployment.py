"""The Yandex host is set up as deploy/yandex sets the cloud up: what differs would be proven here and fail there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

from image_pipeline.settings import VARIABLES
from local.yandex import services
from local.yandex.host import LIMITS, ROUTES, SETTINGS, YandexHost
from local.yandex.services import LocalServices

DEPLOY = Path(__file__).parents[2] / "deploy" / "yandex"


def plain(value: Any) -> Any:
    """Return what the parser gives without its marks and quotes."""
    if isinstance(value, dict):
        return {str(key).strip('"'): plain(inner) for key, inner in value.items() if not str(key).startswith("__")}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strip('"') if isinstance(value, str) else value


def blocks(file: str, kind: str) -> list[Any]:
    found: list[Any] = plain(hcl2.loads((DEPLOY / file).read_text(encoding="utf-8")).get(kind, []))
    return found


@pytest.fixture(scope="module")
def locals_() -> dict[str, Any]:
    return {name: value for block in blocks("locals.tf", "locals") for name, value in block.items()}


def resources(file: str, kind: str) -> dict[str, dict[str, Any]]:
    return {name: body for block in blocks(file, "resource") for name, body in block.get(kind, {}).items()}


def defaults() -> dict[str, Any]:
    return dict(YandexHost.__init__.__kwdefaults__ or {})


def test_the_variables_of_a_function_are_the_same(locals_: dict[str, Any]) -> None:
    host = LocalServices(policy="{}", receives=1)
    host.poll = services.Queue("url", "name")
    given = host.environment().keys() | SETTINGS.keys()
    assert given == locals_["environment"].keys() | locals_["static_key"].keys()
    alike = {name for name in given if name.startswith("AWS_ENDPOINT_URL_")}
    assert given - alike <= VARIABLES.keys()


def test_limits_and_routes_are_the_same(locals_: dict[str, Any]) -> None:
    deployed = {name: (body["timeout"], body["memory"]) for name, body in locals_["functions"].items()}
    assert deployed == LIMITS
    routes = {
        (method.upper(), path, function)
        for path, methods in locals_["routes"].items()
        for method, function in methods.items()
    }
    assert set(ROUTES) == routes


def test_queues_and_triggers_are_the_same() -> None:
    queues = resources("queues.tf", "yandex_message_queue")
    poll = queues["poll"]
    assert int(str(poll["visibility_timeout_seconds"])) == defaults()["visibility"]
    assert int(str(poll["message_retention_seconds"])) == services.RETENTION
    assert {int(str(queues[name]["message_retention_seconds"])) for name in queues if "dead" in name} == {
        services.DEAD_RETENTION
    }
    assert re.search(rf"maxReceiveCount\W+{defaults()['receives']}\b", str(poll["redrive_policy"]))

    triggers = resources("triggers.tf", "yandex_function_trigger")
    [queue] = triggers["poll"]["message_queue"]
    assert int(queue["batch_size"]) == defaults()["batch_size"]
    others = [function for name in triggers if name != "poll" for function in triggers[name]["function"]]
    assert {(int(function["retry_attempts"]), float(function["retry_interval"])) for function in others} == {
        (defaults()["retry_attempts"], defaults()["retry_interval"])
    }
