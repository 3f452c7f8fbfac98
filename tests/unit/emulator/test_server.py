"""The emulator over real sockets on the loopback address, and as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.emulator.__main__ import main
from local.emulator.faults import Fault
from local.emulator.http import EmulatorServer
from local.emulator.world import World

IMAGES = "/cloud-desktop/v1/images"


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer(World(static_token="given")) as running:
        yield running


@pytest.fixture
def client(server: EmulatorServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer given"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=5, trust_env=False) as open_client:
        yield open_client


def local_port(response: httpx.Response) -> int:
    return int(response.extensions["network_stream"].get_extra_info("client_addr")[1])


def test_connections_are_kept(server: EmulatorServer, client: httpx.Client) -> None:
    source = server.world.add_compute_image(folder_id="b1gsource")
    listed = client.get(IMAGES, params={"folderId": "b1gtarget"})
    body = {"folderId": "b1gtarget", "name": "имя", "imageId": source.id}
    copied = client.post(f"{IMAGES}:copy", json=body)
    missing = client.get("/operations/none")

    assert [listed.status_code, copied.status_code, missing.status_code] == [200, 200, 404]
    assert local_port(listed) == local_port(copied) == local_port(missing)
    assert server.world.desktop_images()[0].name == "имя"


@pytest.mark.parametrize("kind", ["refused", "reset_before", "reset_after"])
def test_a_reset_is_a_reset(server: EmulatorServer, client: httpx.Client, kind: str) -> None:
    server.faults.add(Fault(kind=kind))
    with pytest.raises(httpx.ReadError, match="reset"):
        client.get("/endpoints")
    assert client.get("/endpoints").status_code == 200


@pytest.mark.parametrize("kind", ["lost_answer", "short_answer"])
def test_an_answer_that_does_not_arrive(server: EmulatorServer, client: httpx.Client, kind: str) -> None:
    server.faults.add(Fault(kind=kind))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/endpoints")
    assert client.get("/endpoints").status_code == 200


def test_a_stopped_server_refuses_and_comes_back_on_its_port(server: EmulatorServer, client: httpx.Client) -> None:
    client.get("/endpoints")
    server.stop()
    with pytest.raises(httpx.ConnectError):
        client.get("/endpoints")
    server.stop()
    server.start()
    assert client.get("/endpoints").status_code == 200


def test_the_loopback_address_alone_is_served(server: EmulatorServer) -> None:
    port = httpx.URL(server.url).port
    assert port is not None
    with pytest.raises(OSError, match=r"refused|assign"), socket.create_connection(("127.0.0.2", port), timeout=1):
        pass


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "local.emulator", "--port", "0", "--folder", "b1gmine"]
    options = ["--service-account-key", str(tmp_path / "key.json"), "--faults", "answer,status=500,route=GET endpoints"]
    started = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env={**os.environ, "YC_TOKEN": "given"}
    )
    with started:
        yield started
        started.kill()


def test_the_command(process: subprocess.Popen[str], tmp_path: Path) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("emulator listening on http://127.0.0.1:")
    url = line.split()[-1]
    headers = {"Authorization": "Bearer given"}
    listed = httpx.get(f"{url}/compute/v1/images?folderId=b1gmine", headers=headers, trust_env=False)
    assert len(listed.json()["images"]) == 3
    assert httpx.get(f"{url}/endpoints", trust_env=False).status_code == 500
    key_file = tmp_path / "key.json"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert json.loads(key_file.read_text())["key_algorithm"] == "RSA_2048"

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def test_a_port_that_is_taken(server: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        assert main(["--port", server.url.rpartition(":")[2]]) == 1
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), handlers, strict=True):
            signal.signal(number, handler)
    assert "Choose another --port" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--faults", "explosion"], ["--fault-rate", "2"], ["--port", "x"]])
def test_arguments_that_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert arguments[0] in capsys.readouterr().err
