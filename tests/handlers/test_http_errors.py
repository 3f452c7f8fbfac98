"""What a caller is told of everything that can go wrong: the right status, the right form, and no secret."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cloud_desktop import (
    ApiError,
    BadAnswerError,
    Code,
    ConfigurationError,
    CredentialsError,
    InvalidRequestError,
    NextStep,
    OutOfTimeError,
    TransportError,
)
from image_pipeline.http_errors import HTTP_STATUS, HttpError, to_http_error
from image_pipeline.notices import NoticeError
from image_pipeline.pins import BusyCopyError, NoSuchCopyError
from local.emulator.faults import Fault
from tests.rig.http import call
from tests.rig.pipeline import Rig

SECRET = "t1.9euelZqVerySecret.c2lnbmF0dXJl"


def refused_by_aws(code: str, status: int = 400) -> ClientError:
    error: Any = {
        "Error": {"Code": code, "Message": "arn:aws:iam::123456789012:role/secret-role is not authorized"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(error, "Scan")


def refused_by_the_cloud(code: Code) -> ApiError:
    return ApiError(code, "no", http_status=400, method="GET", path="/operations/x", request_id="r-1")


CONNECTION: dict[str, Any] = {"method": "GET", "path": "/operations/x"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (refused_by_the_cloud(Code.INVALID_ARGUMENT), 400, Code.INVALID_ARGUMENT),
        (refused_by_the_cloud(Code.FAILED_PRECONDITION), 400, Code.FAILED_PRECONDITION),
        (refused_by_the_cloud(Code.OUT_OF_RANGE), 400, Code.OUT_OF_RANGE),
        (refused_by_the_cloud(Code.PERMISSION_DENIED), 403, Code.PERMISSION_DENIED),
        (refused_by_the_cloud(Code.NOT_FOUND), 404, Code.NOT_FOUND),
        (refused_by_the_cloud(Code.ALREADY_EXISTS), 409, Code.ALREADY_EXISTS),
        (refused_by_the_cloud(Code.ABORTED), 409, Code.ABORTED),
        (refused_by_the_cloud(Code.RESOURCE_EXHAUSTED), 429, Code.RESOURCE_EXHAUSTED),
        (refused_by_the_cloud(Code.UNAVAILABLE), 503, Code.UNAVAILABLE),
        (refused_by_the_cloud(Code.DEADLINE_EXCEEDED), 504, Code.DEADLINE_EXCEEDED),
        # Neither of these is the caller's doing.
        (refused_by_the_cloud(Code.UNAUTHENTICATED), 500, Code.INTERNAL),
        (refused_by_the_cloud(Code.UNKNOWN), 500, Code.INTERNAL),
        (refused_by_the_cloud(Code.UNIMPLEMENTED), 500, Code.INTERNAL),
        (refused_by_the_cloud(Code.DATA_LOSS), 500, Code.INTERNAL),
        (refused_by_the_cloud(Code.CANCELLED), 503, Code.UNAVAILABLE),
        (InvalidRequestError("name", "is 51 characters long; the limit is 50"), 400, Code.INVALID_ARGUMENT),
        (ConfigurationError("IMAGE_POLICY", "is not JSON"), 500, Code.INTERNAL),
        (CredentialsError("the key is refused"), 500, Code.INTERNAL),
        (CredentialsError("no answer from IAM", next_step=NextStep.RETRY), 503, Code.UNAVAILABLE),
        (TransportError("connection reset", **CONNECTION), 503, Code.UNAVAILABLE),
        (OutOfTimeError(0.3, **CONNECTION), 504, Code.DEADLINE_EXCEEDED),
        (BadAnswerError("that is not JSON", http_status=502, **CONNECTION), 503, Code.UNAVAILABLE),
        (NoticeError("the webhook of NOTIFY_WEBHOOK_URL gave no answer"), 503, Code.UNAVAILABLE),
        (NoSuchCopyError("there is no such copy"), 404, Code.NOT_FOUND),
        (BusyCopyError("the copy kept changing; try again"), 409, Code.ABORTED),
        (refused_by_aws("ThrottlingException"), 503, Code.UNAVAILABLE),
        (refused_by_aws("InternalFailure", 500), 503, Code.UNAVAILABLE),
        (refused_by_aws("AccessDeniedException"), 500, Code.INTERNAL),
        (refused_by_aws("ResourceNotFoundException"), 500, Code.INTERNAL),
        (EndpointConnectionError(endpoint_url="https://x"), 503, Code.UNAVAILABLE),
        (ZeroDivisionError(SECRET), 500, Code.INTERNAL),
        (HttpError(Code.NOT_FOUND, "there is no copy"), 404, Code.NOT_FOUND),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int, code: Code) -> None:
    told = to_http_error(error)
    assert (told.status, told.code) == (status, code)
    assert SECRET not in told.body
    assert "123456789012" not in told.body


def test_every_code_that_the_cloud_may_answer_has_a_status() -> None:
    assert {to_http_error(refused_by_the_cloud(code)).status for code in Code} == set(HTTP_STATUS.values())


def test_the_cloud_s_request_id_is_handed_on() -> None:
    told = to_http_error(refused_by_the_cloud(Code.NOT_FOUND))
    assert told.details == [{"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "r-1"}]


def test_a_refusal_of_aws_names_the_call_and_the_reason() -> None:
    assert to_http_error(refused_by_aws("AccessDeniedException")).message == (
        "Scan was refused to this function: AccessDeniedException"
    )


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(kind="forbidden", times=None), 403, Code.PERMISSION_DENIED),
        (Fault(kind="expired_token", times=None), 500, Code.INTERNAL),
        (Fault(kind="reset_before", route="GET operations/*", times=None), 503, Code.UNAVAILABLE),
        (Fault(kind="mangled", route="GET operations/*", body="html", times=None), 503, Code.UNAVAILABLE),
        (Fault(kind="answer", route="GET operations/*", status=429, times=None), 429, Code.RESOURCE_EXHAUSTED),
    ],
)
def test_a_failing_cloud_is_told_apart_by_status_and_code(fault: Fault, status: int, code: Code) -> None:
    rig = Rig()
    rig.faults.add(fault)
    answered = call(rig, "GET", "/operations/e3voperation")
    assert (answered.status, answered.code) == (status, code)
    assert "t1." not in answered.body, "no token in an answer"


def test_an_invocation_without_time_is_504() -> None:
    rig = Rig()

    class NoTime:
        def get(self, operation_id: str) -> None:
            raise OutOfTimeError(0.2, method="GET", path=f"/operations/{operation_id}")

    cloud: Any = rig.adapters.cloud
    cloud.operations = NoTime()
    answered = call(rig, "GET", "/operations/e3voperation")
    assert (answered.status, answered.code) == (504, Code.DEADLINE_EXCEEDED)


@pytest.mark.parametrize(
    ("error", "status"), [(refused_by_aws("ThrottlingException"), 503), (refused_by_aws("AccessDeniedException"), 500)]
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/copies"), ("GET", "/copies/b1g/fd8"), ("POST", "/sweep"), ("GET", "/cleanup")]
)
def test_a_ledger_that_refuses_is_no_fault_of_the_caller(
    error: ClientError, status: int, method: str, path: str
) -> None:
    rig = Rig()

    def refuse(**_: object) -> None:
        raise error

    for name in ("get_item", "put_item", "scan", "query"):
        setattr(rig.table, name, refuse)
    answered = call(rig, method, path)
    assert answered.status == status
    assert answered.code in {Code.UNAVAILABLE, Code.INTERNAL}
    assert rig.record.lines[-1]["event"] == "http_call_failed"


def test_a_defect_is_told_to_the_log_and_not_to_the_caller() -> None:
    rig = Rig()

    def break_down(**_: object) -> None:
        raise ZeroDivisionError(SECRET)

    rig.table.scan = break_down
    answered = call(rig, "GET", "/copies")
    assert (answered.status, answered.message) == (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the request could not be carried out; the log has the reason",
    )
    assert rig.record.lines == [{"event": "http_call_failed", "error": SECRET, "http_status": 500}]
