"""Real sockets on loopback: what a fake transport cannot show."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cloud_desktop.client import YandexCloud
from cloud_desktop.errors import BadAnswerError, TransportError
from cloud_desktop.tokens import StaticToken
from tests.unit.cloud_desktop.fakes import ENDPOINTS, TOKEN, FakeTime

GOOD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id": "x"}'
Serve = Callable[[socket.socket], None]


def receive(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (part := connection.recv(65536)):
            return b""
        received += part
    return received


@contextmanager
def server(*connections: Serve) -> Iterator[str]:
    """Accept one connection after another and serve each with its own function."""
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        for serve in connections:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                serve(connection)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(timeout=10)
        listener.close()
        assert not thread.is_alive()


def client_at(origin: str) -> YandexCloud:
    time = FakeTime()
    return YandexCloud(
        replace(ENDPOINTS, cloud_desktop=origin),
        StaticToken(TOKEN),
        clock=time.clock,
        monotonic=time.monotonic,
        sleep=time.sleep,
    )


def test_one_connection_serves_several_invocations() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while request := receive(connection):
            seen.append(request)
            connection.sendall(GOOD)

    with server(serve) as origin:
        client = client_at(origin)
        assert [client.desktop_images.get(name).id for name in "ab"] == ["x", "x"]
        client.close()
    assert [request.split()[1] for request in seen] == [b"/cloud-desktop/v1/images/a", b"/cloud-desktop/v1/images/b"]


def test_a_connection_that_went_stale_is_replaced() -> None:
    answered = threading.Event()

    def once(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(GOOD)
        receive(connection)

    def rest(connection: socket.socket) -> None:
        while receive(connection):
            connection.sendall(GOOD)
            answered.set()

    with server(once, rest) as origin:
        client = client_at(origin)
        client.desktop_images.get("a")
        # The server reads this request and hangs up without a word, as a frozen connection does.
        client.desktop_images.delete("b")
        client.close()
    assert answered.is_set()


def test_a_mutation_cut_off_may_have_been_applied() -> None:
    def hang_up(connection: socket.socket) -> None:
        receive(connection)

    with server(*[hang_up] * 4) as origin:
        client = client_at(origin)
        with pytest.raises(TransportError) as caught:
            client.desktop_images.delete("b")
        client.close()
    assert caught.value.maybe_applied


def test_nobody_listening_is_nothing_applied() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(TransportError, match="ConnectError") as caught:
        client_at(origin).desktop_images.delete("b")
    assert not caught.value.maybe_applied


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    def serve(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(GOOD)

    with server(serve) as origin:
        client = client_at(origin)
        assert client.desktop_images.get("a").id == "x"
        client.close()


def test_a_real_redirect_does_not_take_the_token_along() -> None:
    def redirect(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    with server(redirect) as origin:
        client = client_at(origin)
        with pytest.raises(BadAnswerError, match="redirect"):
            client.desktop_images.get("a")
        client.close()
