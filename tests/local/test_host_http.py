"""The HTTP API: routes of the template, payload format 2.0 in both directions."""

from __future__ import annotations

import ast
import base64
from http import HTTPStatus

import httpx
import pytest

from local.host import FunctionError, Invocation, LocalHost
from local.host.http_events import HttpRequest, to_answer, to_event
from local.host.http_gateway import Route


def test_a_request_reaches_the_function_behind_its_route(host: LocalHost) -> None:
    answer = httpx.post(
        f"{host.api_url}/things:make?a=1&a=2&b=", json={"x": 1}, headers={"X-Twice": "1"}, cookies={"c": "d"}
    )
    assert answer.status_code == HTTPStatus.CREATED
    assert answer.headers["x-kind"] == "http"
    assert answer.cookies["a"] == "b"
    assert answer.json() == {"x": 1}
    event = ast.literal_eval(host.logs("EchoFunction")[-1].removeprefix("echo "))
    assert event["version"] == "2.0"
    assert event["routeKey"] == event["requestContext"]["routeKey"] == "POST /things:make"
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/things:make"
    assert event["rawQueryString"] == "a=1&a=2&b="
    assert event["queryStringParameters"] == {"a": "1,2", "b": ""}
    assert event["headers"]["x-twice"] == "1"
    assert event["cookies"] == ["c=d"]
    assert event["body"] == '{"x":1}'
    assert event["isBase64Encoded"] is False
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["requestId"]
    assert "pathParameters" not in event


def test_path_parameters_are_decoded_and_literals_win(host: LocalHost) -> None:
    httpx.get(f"{host.api_url}/things/big%20one/n%2F1")
    event = ast.literal_eval(host.logs("EchoFunction")[-1].removeprefix("echo "))
    assert event["routeKey"] == "GET /things/{kind}/{name}"
    assert event["pathParameters"] == {"kind": "big one", "name": "n/1"}
    httpx.get(f"{host.api_url}/things/big/newest")
    event = ast.literal_eval(host.logs("EchoFunction")[-1].removeprefix("echo "))
    assert event["routeKey"] == "GET /things/{kind}/newest"
    assert event["pathParameters"] == {"kind": "big"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/things:make"), ("POST", "/"), ("GET", "/things/a/b/c"), ("BREW", "/")]
)
def test_what_the_template_does_not_route_is_not_found(host: LocalHost, method: str, path: str) -> None:
    answer = httpx.request(method, host.api_url + path)
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert answer.json() == {"message": "Not Found"}


def test_a_body_without_a_usable_length_is_refused(host: LocalHost) -> None:
    answer = httpx.post(f"{host.api_url}/things:make", content=iter([b"chunk"]))
    assert answer.status_code == HTTPStatus.BAD_REQUEST


def request(body: bytes, content_type: str) -> HttpRequest:
    return HttpRequest("POST", "/things:make", (("Content-Type", content_type),), body)


@pytest.mark.parametrize(
    ("body", "content_type", "expected", "encoded"),
    [
        (b"{}", "application/json", "{}", False),
        ("ä".encode(), "application/problem+json; charset=utf-8", "ä", False),
        (b"a=1", "application/x-www-form-urlencoded", "a=1", False),
        (b"\x00\x01", "application/octet-stream", base64.b64encode(b"\x00\x01").decode(), True),
        (b"\xff", "application/json", base64.b64encode(b"\xff").decode(), True),
        (b"text", "", base64.b64encode(b"text").decode(), True),
    ],
)
def test_only_text_bodies_arrive_as_text(body: bytes, content_type: str, expected: str, *, encoded: bool) -> None:
    event = to_event(request(body, content_type), "POST /things:make", {})
    assert (event["body"], event["isBase64Encoded"]) == (expected, encoded)


def answered(payload: object, error: FunctionError | None = None) -> Invocation:
    return Invocation("F", "id", payload, error, (), cold_start=False, seconds=0)


def test_an_answer_without_a_status_code_is_the_body() -> None:
    answer = to_answer(answered({"a": 1}))
    assert (answer.status, answer.headers, answer.body) == (200, (("content-type", "application/json"),), b'{"a": 1}')
    assert to_answer(answered("plain")).body == b"plain"


def test_an_answer_may_be_base64() -> None:
    payload = {"statusCode": 200, "body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}
    assert to_answer(answered(payload)).body == b"\xff"


def test_a_failed_function_is_a_500_that_tells_nothing() -> None:
    answer = to_answer(answered({"errorMessage": "secret"}, FunctionError("ValueError", "secret")))
    assert (answer.status, answer.body) == (500, b'{"message": "Internal Server Error"}')


def test_a_greedy_parameter_takes_the_rest_of_the_path() -> None:
    route = Route("ANY", "/files/{proxy+}", "F")
    assert route.match("PUT", "/files/a/b.txt") == {"proxy": "a/b.txt"}
    assert route.match("PUT", "/files/") is None
    assert Route("GET", "/files/{name}", "F").match("GET", "/files/a/b") is None
