from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop.errors import (
    AlreadyExistsError,
    ApiError,
    BadAnswerError,
    Code,
    ConfigurationError,
    CredentialsError,
    InvalidRequestError,
    NextStep,
    NotFoundError,
    OutOfTimeError,
    TransportError,
    UnauthenticatedError,
    api_error_class,
    classify,
    code_from_http,
)

QUOTA_FAILURE = [{"@type": "type.googleapis.com/yandex.cloud.quota.QuotaFailure", "violations": []}]
RATE_FAILURE = [
    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"description": "10 requests per second"}]}
]
METRIC_FAILURE = [
    {
        "@type": "type.googleapis.com/yandex.cloud.quota.QuotaFailure",
        "violations": [{"metric": {"name": "vdi.desktopImages.count", "limit": 8, "usage": 8}, "required": 9}],
    }
]


@pytest.mark.parametrize(
    ("code", "message", "details", "http_status", "expected"),
    [
        (0, "", [], None, NextStep.RETRY),
        (1, "", [], None, NextStep.STOP),
        (1, "", [], 499, NextStep.RETRY),
        (2, "", [], 500, NextStep.RETRY),
        (3, "quota", [], 400, NextStep.STOP),
        (4, "", [], 504, NextStep.RETRY),
        (5, "", [], 404, NextStep.DROP),
        (6, "", [], 409, NextStep.STOP),
        (7, "", [], 403, NextStep.STOP),
        (8, "", [], 429, NextStep.WAIT),
        (8, "request limit exceeded", [], 429, NextStep.WAIT),
        (8, "Request rate quota exceeded", [], 429, NextStep.WAIT),
        (8, "The limit on maximum number of active operations has exceeded", [], 429, NextStep.WAIT),
        (8, "The limit on maximum number of active operations has exceeded", QUOTA_FAILURE, 429, NextStep.WAIT),
        (8, "", RATE_FAILURE, 429, NextStep.WAIT),
        (8, "Quota limit vdi.desktopImages.count exceeded", [], 429, NextStep.PARK),
        (8, "Quota exceeded", [], None, NextStep.PARK),
        (8, "Limit on the number of desktop images is exceeded", [], None, NextStep.PARK),
        (8, "Too many images in the cloud", [], None, NextStep.PARK),
        (8, "no", QUOTA_FAILURE, 429, NextStep.PARK),
        (8, "active operations", METRIC_FAILURE, 429, NextStep.PARK),
        (8, "no", [{"@type": "type.googleapis.com/google.rpc.RequestInfo"}, {}], 429, NextStep.WAIT),
        (9, "image is not READY", [], 400, NextStep.STOP),
        (9, "desktop image is in use", [], 400, NextStep.STOP),
        (9, "Quota limit exceeded", [], 400, NextStep.PARK),
        (9, "no", METRIC_FAILURE, 400, NextStep.PARK),
        (9, "too many active operations", [], 400, NextStep.WAIT),
        (10, "", [], 409, NextStep.RETRY),
        (11, "", [], 400, NextStep.STOP),
        (12, "", [], 501, NextStep.STOP),
        (13, "", [], 500, NextStep.RETRY),
        (14, "", [], 503, NextStep.RETRY),
        (15, "", [], 500, NextStep.STOP),
        (16, "", [], 401, NextStep.WAIT),
        (99, "", [], None, NextStep.RETRY),
        (99, "", [], 404, NextStep.DROP),
        (99, "quota", [], 429, NextStep.PARK),
        (-1, "", [], 400, NextStep.STOP),
        (13, "", [], 404, NextStep.RETRY),
        (5, "", [], 500, NextStep.DROP),
    ],
)
def test_the_code_decides_what_happens_next(
    code: int, message: str, details: list[dict[str, Any]], http_status: int | None, expected: NextStep
) -> None:
    assert classify(code, message, details, http_status) is expected


@given(st.integers(), st.text(), st.none() | st.integers(100, 999))
def test_every_status_has_a_next_step(code: int, message: str, http_status: int | None) -> None:
    assert classify(code, message, [], http_status) in NextStep


@pytest.mark.parametrize(
    ("http_status", "code"),
    [
        (400, Code.INVALID_ARGUMENT),
        (401, Code.UNAUTHENTICATED),
        (403, Code.PERMISSION_DENIED),
        (404, Code.NOT_FOUND),
        (405, Code.UNIMPLEMENTED),
        (408, Code.DEADLINE_EXCEEDED),
        (409, Code.ABORTED),
        (422, Code.INVALID_ARGUMENT),
        (429, Code.RESOURCE_EXHAUSTED),
        (499, Code.CANCELLED),
        (500, Code.INTERNAL),
        (502, Code.UNAVAILABLE),
        (503, Code.UNAVAILABLE),
        (504, Code.DEADLINE_EXCEEDED),
        (520, Code.INTERNAL),
    ],
)
def test_a_status_without_a_body_stands_for_a_code(http_status: int, code: Code) -> None:
    assert code_from_http(http_status) is code


def test_a_code_that_is_not_a_number_is_none() -> None:
    assert Code(1234) is Code.UNKNOWN
    with pytest.raises(ValueError, match="valid Code"):
        Code("NOT_FOUND")  # type: ignore[arg-type]


def test_subclasses_stand_for_the_codes_callers_ask_about() -> None:
    assert [api_error_class(code) for code in (5, 6, 16, 3)] == [
        NotFoundError,
        AlreadyExistsError,
        UnauthenticatedError,
        ApiError,
    ]


def test_an_api_error_says_what_was_asked_and_how_to_find_it_again() -> None:
    error = NotFoundError(5, "gone", http_status=404, method="GET", path="/x/1", request_id="abc", retry_after=3.0)
    assert str(error) == "GET /x/1 answered NOT_FOUND (HTTP 404): gone (request id abc)"
    assert (error.code, error.message, error.details, error.http_status) == (Code.NOT_FOUND, "gone", [], 404)
    assert (error.request_id, error.retry_after, error.next_step) == ("abc", 3.0, NextStep.DROP)


def test_every_error_says_what_happens_next() -> None:
    assert ConfigurationError("YC_REGION", "is odd").next_step is NextStep.STOP
    assert InvalidRequestError("name", "is long").next_step is NextStep.STOP
    assert CredentialsError("none").next_step is NextStep.WAIT
    assert TransportError("reset", method="GET", path="/").next_step is NextStep.RETRY
    assert OutOfTimeError(0.1, method="GET", path="/").next_step is NextStep.RETRY
    assert not OutOfTimeError(0.1, method="GET", path="/").maybe_applied
    for status, expected in ((200, NextStep.RETRY), (404, NextStep.RETRY), (502, NextStep.RETRY)):
        assert BadAnswerError("odd", http_status=status, method="GET", path="/").next_step is expected
    for status in (401, 429):
        assert BadAnswerError("odd", http_status=status, method="GET", path="/").next_step is NextStep.WAIT
