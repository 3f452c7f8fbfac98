"""Which calls there are, under every method, and what becomes of one that is not there."""

from __future__ import annotations

import pytest

from cloud_desktop import Code
from tests.rig.http import answer, call, event
from tests.rig.pipeline import Rig

CALLS = {
    "/images:copy": "OPTIONS, POST",
    "/sweep": "OPTIONS, POST",
    "/copies": "GET, HEAD, OPTIONS",
    "/copies/b1gtarget/fd8image": "GET, HEAD, OPTIONS",
    "/operations/e3voperation": "GET, HEAD, OPTIONS",
    "/cleanup": "GET, HEAD, OPTIONS, POST",
}


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"])
def test_a_method_that_a_path_does_not_take_is_405_and_says_which_it_takes(path: str, method: str) -> None:
    answered = call(Rig(), method, path)

    if method in CALLS[path]:
        assert answered.status != 405
    else:
        assert (answered.status, answered.code) == (405, Code.UNIMPLEMENTED)
        assert answered.headers["Allow"] == CALLS[path]
        assert answered.message == f"{path} does not take {method}; it takes {CALLS[path]}"


@pytest.mark.parametrize("path", CALLS)
def test_options_says_which_methods_a_path_takes(path: str) -> None:
    answered = call(Rig(), "OPTIONS", path)
    assert (answered.status, answered.headers["Allow"], answered.body) == (204, CALLS[path], "")


@pytest.mark.parametrize("path", [path for path, methods in CALLS.items() if "HEAD" in methods])
def test_head_is_get_without_the_body(path: str) -> None:
    got, head = call(Rig(), "GET", path), call(Rig(), "HEAD", path)
    assert got.body
    assert (head.status, head.headers, head.body) == (got.status, got.headers, "")


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
@pytest.mark.parametrize(
    "path",
    ["/", "/copies/", "/copies/a", "/copies/a/b/c", "//copies", "/images", "/images:copy/", "/operations/", "/é"],
)
def test_a_path_that_is_not_there_is_404(method: str, path: str) -> None:
    answered = call(Rig(), method, path)
    assert answered.status == 404
    if method != "HEAD":
        assert answered.code == Code.NOT_FOUND
        assert answered.message == f"there is no {path} here"


def test_the_method_may_be_written_small() -> None:
    assert call(Rig(), "get", "/copies").status == 200


def test_what_the_edge_cannot_read_still_gets_an_answer_that_tells_nothing() -> None:
    rig = Rig()
    answered = answer(rig, {**event("POST", "/images:copy", "not base64"), "isBase64Encoded": True})

    assert (answered.status, answered.code) == (500, Code.INTERNAL)
    assert answered.message == "the request could not be carried out; the log has the reason"
    assert rig.record.lines[-1]["event"] == "http_call_failed"


def test_a_refusal_is_logged_as_what_it_is() -> None:
    rig = Rig()
    call(rig, "GET", "/copies/b1gx/fd8x")
    assert rig.record.lines == [
        {
            "event": "http_call_refused",
            "http_status": 404,
            "reason": "there is no copy of image fd8x in folder b1gx",
        }
    ]
