"""The same calls on Yandex Cloud: a function called at its own address, and behind an API gateway (0.1 and 1.0)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from cloud_desktop import Code
from tests.rig.aws import Aws
from tests.rig.deployed import Deployed, deployed
from tests.rig.pipeline import SOURCE, TARGET, policy_json

Shape = Callable[[str, str, Any], dict[str, Any]]


def direct(method: str, target: str, body: Any = None) -> dict[str, Any]:
    """A function called at its own address: there is no path but the query parameter."""
    path, _, query = target.partition("?")
    several = {**parse_qs(query, keep_blank_values=True), "path": [unquote(path)]}
    return {
        "httpMethod": method,
        "headers": {"Content-Type": "application/json", "Host": "functions.yandexcloud.net"},
        "url": "",
        "params": {},
        "multiValueParams": {},
        "pathParams": {},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": {name: values[-1] for name, values in several.items()},
        "multiValueQueryStringParameters": several,
        "requestContext": {"identity": {"sourceIp": "203.0.113.5"}, "httpMethod": method, "requestId": "r"},
        "body": base64.b64encode(json.dumps(body).encode()).decode() if body is not None else "",
        "isBase64Encoded": True,
    }


def gateway_0_1(method: str, target: str, body: Any = None) -> dict[str, Any]:
    """Format 0.1: `url` is what was asked for, `path` the path of the specification."""
    several = parse_qs(target.partition("?")[2], keep_blank_values=True)
    event = direct(method, target, body)
    return {
        **event,
        "url": target,
        "path": "/{proxy+}",
        "queryStringParameters": {name: values[-1] for name, values in several.items()},
        "multiValueQueryStringParameters": several,
        "body": json.dumps(body) if body is not None else "",
        "isBase64Encoded": False,
    }


def gateway_1_0(method: str, target: str, body: Any = None) -> dict[str, Any]:
    """Format 1.0: `path` is what was asked for; maps without entries are null."""
    event = gateway_0_1(method, target, body)
    path = event.pop("url").partition("?")[0]
    for name in ("queryStringParameters", "multiValueQueryStringParameters"):
        event[name] = event[name] or None
    return {**event, "version": "1.0", "resource": "/{proxy+}", "path": path, "pathParameters": {"proxy": path[1:]}}


@pytest.fixture(scope="module")
def functions(aws: Aws) -> Iterator[Deployed]:
    with deployed(aws, platform="yandex", policy=policy_json(quota={"images": 100})) as running:
        yield running


@pytest.fixture(params=[direct, gateway_0_1, gateway_1_0])
def shape(request: pytest.FixtureRequest) -> Shape:
    found: Shape = request.param
    return found


def add_image(functions: Deployed) -> str:
    return functions.world.add_compute_image(folder_id=SOURCE, name="win11", family="win11-office").id


def answered(given: dict[str, Any]) -> tuple[int, Any]:
    assert set(given) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert given["headers"]["Content-Type"] == "application/json"
    assert given["isBase64Encoded"] is False
    return given["statusCode"], json.loads(given["body"])


def test_a_copy_from_the_request_to_the_operation(functions: Deployed, shape: Shape) -> None:
    image_id = add_image(functions)

    status, copy = answered(functions.invoke("copy", shape("POST", "/images:copy", {"imageId": image_id})))
    assert (status, copy["folderId"]) == (202, TARGET)
    status, same = answered(functions.invoke("copy", shape("POST", "/images%3Acopy", {"imageId": image_id})))
    assert (status, same) == (202, copy)
    status, found = answered(functions.invoke("poll", shape("GET", f"/copies/{TARGET}/{image_id}", None)))
    assert (status, found) == (200, copy)
    status, operation = answered(functions.invoke("poll", shape("GET", f"/operations/{copy['operationId']}", None)))
    assert (status, operation["id"], operation["done"]) == (200, copy["operationId"], True)


def test_lists_and_their_parameters(functions: Deployed, shape: Shape) -> None:
    for _ in range(2):
        functions.invoke("copy", shape("POST", "/images:copy", {"imageId": add_image(functions)}))

    target = f"/copies?folderId={TARGET}&state=ACTIVE&pageSize=1"
    status, first = answered(functions.invoke("poll", shape("GET", target, None)))
    status, second = answered(
        functions.invoke("poll", shape("GET", f"{target}&pageToken={first['nextPageToken']}", None))
    )

    assert status == 200
    assert len(first["copies"]) == len(second["copies"]) == 1
    assert first["copies"] != second["copies"]
    assert answered(functions.invoke("poll", shape("GET", "/copies?state=LOST", None))) == (200, {"copies": []})


def test_a_parameter_given_twice_is_refused_and_not_guessed(functions: Deployed, shape: Shape) -> None:
    status, error = answered(functions.invoke("poll", shape("GET", "/copies?state=ACTIVE&state=LOST", None)))
    assert (status, error["code"]) == (400, Code.INVALID_ARGUMENT)


def test_errors_have_the_same_form(functions: Deployed, shape: Shape) -> None:
    for function, method, target, body, status in (
        ("copy", "POST", "/images:copy", {}, 400),
        ("copy", "POST", "/images:copy", {"imageId": "fd8nosuchimage"}, 404),
        ("copy", "GET", "/images:copy", None, 405),
        ("copy", "POST", "/nowhere", None, 404),
        ("poll", "GET", "/copies/b1gx/fd8x", None, 404),
        ("poll", "GET", "/copies/{folderId}/fd8x", None, 400),
    ):
        given, error = answered(functions.invoke(function, shape(method, target, body)))
        assert (given, set(error)) == (status, {"code", "message", "details"}), target


def test_the_plan_as_a_table(functions: Deployed, shape: Shape) -> None:
    event = shape("GET", "/cleanup", None)
    given = functions.invoke("cleanup", {**event, "headers": {"Accept": "text/plain"}})
    assert given["headers"]["Content-Type"] == "text/plain; charset=utf-8"
    assert given["body"].startswith("cleanup plan of ")
    status, plan = answered(functions.invoke("cleanup", event))
    assert (status, plan["cleanup"]) == (200, "plan")


@pytest.mark.parametrize(
    ("function", "method", "status", "field"),
    [
        ("copy", "POST", 400, "message"),
        ("copy", "GET", 404, "message"),
        ("poll", "GET", 200, "copies"),
        ("cleanup", "GET", 200, "images"),
        ("cleanup", "POST", 200, "applied"),
    ],
)
def test_without_a_path_the_method_says_what_is_meant(
    functions: Deployed, function: str, method: str, status: int, field: str
) -> None:
    for url in ("", "/", "/?integration=raw"):
        query = {"queryStringParameters": {}, "multiValueQueryStringParameters": {"integration": ["raw"]}}
        given, content = answered(functions.invoke(function, {**direct(method, ""), **query, "url": url}))
        assert given == status
        assert field in content


@pytest.mark.parametrize("function", ["poll", "cleanup"])
def test_head_without_a_path_is_get(functions: Deployed, function: str) -> None:
    given = functions.invoke(function, {**direct("HEAD", ""), "multiValueQueryStringParameters": {}})
    assert (given["statusCode"], given["body"]) == (200, "")


def test_an_event_is_not_changed(functions: Deployed) -> None:
    event = direct("GET", "/copies")
    before = json.dumps(event)
    functions.invoke("poll", event)
    assert json.dumps(event) == before
