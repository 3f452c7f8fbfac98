from __future__ import annotations

import gzip
import traceback
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from cloud_desktop import constants
from cloud_desktop.errors import (
    AlreadyExistsError,
    ApiError,
    BadAnswerError,
    CloudDesktopError,
    Code,
    CredentialsError,
    NextStep,
    NotFoundError,
    OutOfTimeError,
    TransportError,
    UnauthenticatedError,
)
from cloud_desktop.tokens import IamToken
from cloud_desktop.wire import Timeouts, Wire
from tests.unit.cloud_desktop.fakes import TOKEN, FakeTime, Services, answer, client_of, refusal

IMAGE = {"id": "e3v"}
OPERATION = {"id": "op"}


def copy(services: Services, time: FakeTime | None = None, remaining: float | None = None) -> object:
    client = client_of(services, time, remaining=None if remaining is None else lambda: remaining)
    return client.desktop_images.copy(folder_id="b1g", name="n", image_id="fd8")


def get(services: Services, time: FakeTime | None = None, remaining: float | None = None) -> object:
    client = client_of(services, time, remaining=None if remaining is None else lambda: remaining)
    return client.desktop_images.get("e3v")


def test_a_request_carries_what_it_must() -> None:
    services = Services(answer(IMAGE))
    get(services)
    request = services.request
    assert str(request.url) == "http://desktop.test/cloud-desktop/v1/images/e3v"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert UUID(request.headers["x-request-id"]).version == 4
    assert "idempotency-key" not in request.headers
    assert request.extensions["timeout"] == {"connect": 5.0, "read": 20.0, "write": 10.0, "pool": 5.0}


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.PoolTimeout("busy"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        refusal(14, 503),
        refusal(8, 429),
        httpx.Response(503, html="<h1>503</h1>"),
        httpx.Response(502),
    ],
)
def test_passing_trouble_is_overcome_with_the_same_key(trouble: httpx.Response | Exception) -> None:
    time = FakeTime()
    services = Services(trouble, answer(OPERATION))
    copy(services, time)
    first, second = services.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    assert first.content == second.content
    assert time.naps == [0.25]


def test_attempts_are_bounded_and_the_pauses_grow() -> None:
    time = FakeTime()
    services = Services(*[refusal(14, 503, "down") for _ in range(4)])
    with pytest.raises(ApiError, match="down") as caught:
        get(services, time)
    assert caught.value.next_step is NextStep.RETRY
    assert time.naps == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("code", "status"),
    [(1, 499), (2, 500), (3, 400), (4, 504), (5, 404), (6, 409), (7, 403), (9, 400), (10, 409), (13, 500), (15, 500)],
)
def test_other_refusals_go_to_the_caller_at_once(code: int, status: int) -> None:
    with pytest.raises(ApiError) as caught:
        copy(Services(refusal(code, status)))
    assert caught.value.code == code


def test_an_exhausted_image_quota_is_parked_at_once() -> None:
    with pytest.raises(ApiError) as caught:
        copy(Services(refusal(8, 429, "Quota limit vdi.desktopImages.count exceeded", Retry_After="1")))
    assert caught.value.next_step is NextStep.PARK


def test_what_has_no_key_and_changes_something_is_sent_once() -> None:
    services = Services(refusal(14, 503))
    with pytest.raises(ApiError):
        client_of(services).operations.cancel("op")
    assert services.request.method == "POST"


def test_a_short_wish_is_obeyed_and_a_long_one_handed_on() -> None:
    time = FakeTime()
    get(Services(refusal(8, 429, Retry_After="3"), answer(IMAGE)), time)
    assert time.naps == [3.0]
    with pytest.raises(ApiError) as caught:
        get(Services(refusal(8, 429, Retry_After="120")), time)
    assert (caught.value.retry_after, caught.value.next_step) == (120.0, NextStep.WAIT)
    with pytest.raises(BadAnswerError) as odd:
        get(Services(httpx.Response(503, text="busy", headers={"Retry-After": "Sat, 01 Aug 2026 10:01:00 GMT"})), time)
    assert odd.value.retry_after == pytest.approx(57.0)


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e9", "x", "Mon, 01 Jan 1990 00:00:00 GMT"])
def test_a_hostile_wish_is_as_good_as_none(value: str) -> None:
    time = FakeTime()
    get(Services(refusal(14, 503, Retry_After=value), answer(IMAGE)), time)
    assert time.naps == [0.25]


def test_a_year_is_not_waited_for() -> None:
    time = FakeTime()
    with pytest.raises(ApiError) as caught:
        get(Services(refusal(14, 503, Retry_After="31536000")), time)
    assert caught.value.retry_after == 86_400.0
    assert time.naps == []


@pytest.mark.parametrize(
    ("trouble", "maybe_applied"),
    [
        ([httpx.ConnectError("refused")], False),
        ([httpx.ConnectTimeout("slow")], False),
        ([httpx.PoolTimeout("busy")], False),
        ([httpx.ReadTimeout("slow")], True),
        ([httpx.WriteError("reset")], True),
        ([httpx.RemoteProtocolError("gone")], True),
        ([httpx.ConnectError("x"), httpx.ConnectError("x"), httpx.ConnectError("x"), httpx.ConnectError("x")], False),
        ([httpx.ReadTimeout("x"), httpx.ConnectError("x"), httpx.ConnectError("x"), httpx.ConnectError("x")], True),
        ([refusal(14, 503), httpx.ConnectError("x"), httpx.ConnectError("x"), httpx.ConnectError("x")], True),
    ],
)
def test_a_lost_call_says_whether_it_may_have_arrived(
    trouble: list[httpx.Response | Exception], maybe_applied: bool
) -> None:
    time = FakeTime()
    left = iter([60.0] * 7 + [0.6] * 9) if len(trouble) > 1 else iter([60.0, 0.6])
    client = client_of(Services(*trouble), time, remaining=lambda: next(left))
    with pytest.raises(TransportError) as caught:
        client.desktop_images.delete("e3v")
    assert caught.value.maybe_applied is maybe_applied
    assert caught.value.request_id
    assert caught.value.method == "DELETE"


def test_time_limits_shrink_to_what_is_left() -> None:
    services = Services(answer(IMAGE))
    get(services, remaining=2.0)
    assert services.request.extensions["timeout"] == {"connect": 2.0, "read": 2.0, "write": 2.0, "pool": 2.0}


def test_with_too_little_left_nothing_is_sent() -> None:
    with pytest.raises(OutOfTimeError, match=r"0\.4 s are left") as caught:
        get(Services(), remaining=0.4)
    assert not caught.value.maybe_applied


def test_no_pause_crosses_the_end_of_the_invocation() -> None:
    time = FakeTime()
    with pytest.raises(ApiError):
        get(Services(refusal(14, 503)), time, remaining=0.7)
    assert time.naps == []


def test_time_lost_in_a_pause_does_not_hide_the_trouble() -> None:
    left = iter([60.0, 60.0, 0.1])
    services = Services(httpx.ReadTimeout("slow"))
    with pytest.raises(TransportError, match="ReadTimeout") as caught:
        client_of(services, remaining=lambda: next(left)).desktop_images.delete("e3v")
    assert caught.value.maybe_applied


def test_the_limit_may_be_set_for_each_invocation() -> None:
    client = client_of(Services(answer(IMAGE)))
    assert client.remaining is None
    client.remaining = lambda: 0.0
    with pytest.raises(OutOfTimeError):
        client.desktop_images.get("e3v")
    client.remaining = lambda: 9.0
    assert client.desktop_images.get("e3v").id == "e3v"


def test_all_attempts_together_are_bounded_in_time() -> None:
    time = FakeTime()

    def slow(request: httpx.Request) -> httpx.Response:
        time.advance(20)
        raise httpx.ReadTimeout("slow", request=request)

    services = Services(slow, slow)
    with pytest.raises(TransportError):
        get(services, time)
    assert len(services.requests) == 2


def test_an_answer_that_drips_in_is_cut_off() -> None:
    time = FakeTime()

    def drip() -> Iterator[bytes]:
        while True:
            time.advance(4)
            yield b" "

    with pytest.raises(TransportError, match="ReadTimeout") as caught:
        get(Services(httpx.Response(200, content=drip())), time)
    assert time.seconds == 1000.0 + 32
    assert caught.value.maybe_applied


def test_an_answer_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_desktop.wire.ANSWER_BYTES", 1000)
    with pytest.raises(BadAnswerError, match="more than 1000 bytes"):
        get(Services(httpx.Response(200, content=iter([b"x" * 600] * 3))))


def test_a_broken_encoding_is_a_bad_answer() -> None:
    headers = {"Content-Encoding": "gzip"}
    with pytest.raises(BadAnswerError, match="encoding that cannot be undone"):
        get(Services(httpx.Response(200, content=iter([b"no gzip"]), headers=headers)))
    packed = gzip.compress(b'{"id": "e3v"}')
    assert get(Services(httpx.Response(200, content=iter([packed]), headers=headers)))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_and_the_token_stays_here(status: int) -> None:
    services = Services(httpx.Response(status, headers={"Location": "http://elsewhere.test/"}))
    with pytest.raises(BadAnswerError, match="redirect") as caught:
        copy(services)
    assert services.request.url.host == "desktop.test"
    assert caught.value.http_status == status


def test_cookies_are_not_kept() -> None:
    services = Services(httpx.Response(200, json=IMAGE, headers={"Set-Cookie": "session=1; Path=/"}), answer(IMAGE))
    client = client_of(services)
    client.desktop_images.get("a")
    client.desktop_images.get("b")
    assert "cookie" not in services.requests[1].headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("<html>hello</html>", 200),
        ("", 200),
        ("", 204),
        ("[]", 200),
        ('"text"', 200),
        ("null", 200),
        ("{", 200),
        ('{"id": NaN}', 200),
        ('{"id": ""}', 200),
        ("{}", 200),
        ('{"id": "x", "storageSize": "many"}', 200),
        ("[" * 100_000, 200),
        ("<html>no</html>", 404),
        ("[]", 400),
        ("\udcff", 500),
    ],
)
def test_what_the_api_does_not_document_is_a_bad_answer(body: str, status: int) -> None:
    content = body.encode("utf-8", "surrogateescape")
    with pytest.raises(BadAnswerError, match=rf"GET /cloud-desktop/v1/images/e3v answered HTTP {status} ") as caught:
        get(Services(httpx.Response(status, content=content, headers={"X-Request-Id": "abc"})))
    assert caught.value.http_status == status
    assert caught.value.request_id == "abc"
    assert caught.value.next_step is NextStep.RETRY
    assert len(caught.value.excerpt) <= 120


def test_a_bad_field_is_named_and_its_value_is_not() -> None:
    with pytest.raises(BadAnswerError, match=r"not a DesktopImage: createdAt \(value_error\)") as caught:
        get(Services(answer({"id": "x", "createdAt": "hunter2"})))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_codes_callers_ask_about_have_their_classes() -> None:
    with pytest.raises(NotFoundError):
        get(Services(refusal(5, 404)))
    with pytest.raises(AlreadyExistsError):
        copy(Services(refusal(6, 409)))


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({"code": 5, "message": "gone"}, 500, Code.NOT_FOUND, "gone"),
        ({"code": "7", "message": "no"}, 400, Code.PERMISSION_DENIED, "no"),
        ({"code": 99, "message": "odd"}, 400, Code.UNKNOWN, "odd"),
        ({"code": 0, "message": "fine?"}, 404, Code.NOT_FOUND, "fine?"),
        ({"code": True}, 404, Code.NOT_FOUND, "no message"),
        ({"code": "many", "details": "x"}, 403, Code.PERMISSION_DENIED, "no message"),
        ({"code": None, "message": None}, 400, Code.INVALID_ARGUMENT, "no message"),
        ({"message": "Not Found"}, 404, Code.NOT_FOUND, "Not Found"),
        ({"error": "invalid_grant", "error_description": "expired"}, 400, Code.INVALID_ARGUMENT, "expired"),
        ({"error": "invalid_grant"}, 400, Code.INVALID_ARGUMENT, "invalid_grant"),
        (None, 409, Code.ABORTED, "no message"),
    ],
)
def test_the_body_decides_and_the_status_fills_in(
    body: dict[str, object] | None, status: int, code: Code, message: str
) -> None:
    response = httpx.Response(status) if body is None else answer(body, status)
    with pytest.raises(ApiError) as caught:
        get(Services(response))
    assert (caught.value.code, caught.value.message, caught.value.http_status) == (code, message, status)


def test_request_ids_come_from_wherever_the_server_puts_them() -> None:
    info = [{"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "from-body"}]
    for headers, details, expected in (
        ({"X_Request_Id": "a", "X_Server_Trace_Id": "b"}, info, "a"),
        ({"X_Server_Request_Id": "c"}, info, "c"),
        ({"X_Server_Trace_Id": "d" * 500}, info, "d" * 128),
        ({}, [5, {"requestId": "x"}, *info], "from-body"),
    ):
        with pytest.raises(ApiError) as caught:
            get(Services(refusal(5, 404, "m", details, **headers)))
        assert caught.value.request_id == expected
        assert expected in str(caught.value)
    services = Services(refusal(5, 404))
    with pytest.raises(ApiError) as mine:
        get(services)
    assert mine.value.request_id == services.request.headers["x-request-id"]


class Renewing:
    """Gives token after token."""

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.given = 0

    def token(self) -> IamToken:
        self.given += 1
        return IamToken(f"t1.token-number-{self.given}", self.time.now.replace(hour=22))


def test_a_refused_token_is_renewed_exactly_once() -> None:
    time = FakeTime()
    tokens = Renewing(time)
    services = Services(refusal(16, 401), answer(OPERATION))
    client_of(services, time, tokens).desktop_images.delete("e3v", idempotency_key=UUID(int=5))
    assert [request.headers["authorization"][-1] for request in services.requests] == ["1", "2"]
    assert {request.headers["idempotency-key"] for request in services.requests} == {str(UUID(int=5))}

    services = Services(refusal(16, 401), httpx.Response(401, html="<p>no</p>"))
    with pytest.raises(BadAnswerError) as odd:
        client_of(services, time, tokens).desktop_images.get("e3v")
    assert odd.value.next_step is NextStep.WAIT

    services = Services(httpx.Response(401, html="<p>no</p>"), refusal(16, 403))
    tokens.given = 0
    with pytest.raises(UnauthenticatedError) as caught:
        client_of(services, time, tokens).desktop_images.get("e3v")
    assert caught.value.next_step is NextStep.WAIT
    assert tokens.given == 2


def test_a_token_that_cannot_be_renewed_is_sent_once() -> None:
    services = Services(refusal(16, 401))
    with pytest.raises(UnauthenticatedError):
        get(services)
    assert len(services.requests) == 1


def test_without_a_token_nothing_is_sent() -> None:
    class Nothing:
        def token(self) -> IamToken:
            raise CredentialsError("none")

    with pytest.raises(CredentialsError):
        client_of(Services(), tokens=Nothing()).desktop_images.get("e3v")


@pytest.mark.parametrize(
    "make",
    [
        lambda: refusal(3, 400, f"bad token {TOKEN}", [{"@type": f"x {TOKEN}", "a": [{"b": f"Bearer {TOKEN}"}]}]),
        lambda: refusal(3, 400, "no", X_Request_Id=TOKEN),
        lambda: httpx.Response(500, text=f"you sent {TOKEN}"),
        lambda: httpx.Response(500, text=f"you sent {TOKEN}", headers={"X-Request-Id": TOKEN}),
        lambda: httpx.Response(302, headers={"Location": f"http://elsewhere/?t={TOKEN}"}),
        lambda: answer({"id": {TOKEN: 1}, "labels": {TOKEN: 5}}),
        lambda: httpx.LocalProtocolError(f"Illegal header value {TOKEN}"),
        lambda: httpx.ReadError(f"x {TOKEN}"),
    ],
)
def test_no_error_shows_the_token(make: object) -> None:
    assert callable(make)
    left = iter([9.0, 0.6])
    with pytest.raises(CloudDesktopError) as caught:
        client_of(Services(make()), remaining=lambda: next(left)).desktop_images.get("e3v")
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.args) + repr(vars(error))
    assert TOKEN not in shown
    assert "hidden" in shown or isinstance(error, TransportError | BadAnswerError)
    assert error.__context__ is None


def test_nesting_without_end_is_cut_off() -> None:
    nested: object = "x"
    for _ in range(60):
        nested = [nested]
    with pytest.raises(ApiError) as caught:
        get(Services(refusal(3, 400, "m", [{"a": nested}])))
    assert str(caught.value.details).count("[") < 40


def test_an_address_that_cannot_be_used_was_never_reached() -> None:
    wire = Wire(Services())
    for origin in ("http://[::1", "http://a\x00b"):
        with pytest.raises(TransportError) as caught:
            wire.exchange("GET", origin, "/x?y=1", headers={}, content=None, timeouts=Timeouts())
        assert caught.value.path == "/x"
        assert caught.value.request_id is None
    assert not caught.value.maybe_applied


def test_closing_closes_the_connections() -> None:
    services = Services()
    client_of(services).close()
    assert services.closed


def test_the_bounds_fit_each_other() -> None:
    assert constants.RETRY_AFTER_OBEYED_SECONDS < constants.RETRIES_SECONDS
    assert constants.READ_SECONDS <= constants.ATTEMPT_SECONDS
