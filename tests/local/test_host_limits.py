"""Hosts of their own: time limits, concurrency, and leaving."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.host import LocalHost
from tests.local.conftest import LogBook

FIXTURES = Path(__file__).parent / "fixtures"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def impatient() -> Iterator[LocalHost]:
    host = LocalHost(
        template=FIXTURES / "template.yaml",
        parameters={"Greeting": "hello"},
        properties={"EchoFunction": {"Timeout": 1}},
        layer=FIXTURES / "layer",
        concurrency=2,
    )
    with host:
        yield host


def test_a_function_that_takes_too_long_is_stopped(impatient: LocalHost) -> None:
    warm = impatient.invoke("EchoFunction", {})
    failed = impatient.invoke("EchoFunction", {"do": "hang"})
    assert failed.error is not None
    assert failed.error.type == "Sandbox.Timedout"
    assert failed.error.message.endswith("Task timed out after 1.00 seconds")
    assert failed.logs == ("echo {'do': 'hang'}",)
    again = impatient.invoke("EchoFunction", {})
    assert again.cold_start
    assert again.payload["pid"] != warm.payload["pid"]
    # One process serves one invocation at a time; the second concurrent one gets its own.
    with ThreadPoolExecutor(2) as pool:
        hanging = pool.submit(impatient.invoke, "EchoFunction", {"do": "hang"})
        other = pool.submit(impatient.invoke, "EchoFunction", {"do": "hang"})
        assert hanging.result(20).error is not None
        assert other.result(20).error is not None
    assert len(impatient.logs("EchoFunction")) == 5


def test_each_batch_may_be_delivered_twice() -> None:
    book = LogBook()
    with LocalHost(
        template=FIXTURES / "template.yaml",
        parameters={"Greeting": "hello"},
        layer=FIXTURES / "layer",
        on_log=book.add,
        deliver_twice=True,
    ) as host:
        host.aws.client("sqs").send_message(QueueUrl=host.resource("Work").ref, MessageBody="again")
        lines = book.wait_for("ConsumeFunction", '"received": "again"', times=2)
    assert lines[0] == lines[1]


SCRIPT = """
import sys, threading
from pathlib import Path
from local.host import LocalHost

fixtures = Path(sys.argv[1])
with LocalHost(template=fixtures / "template.yaml", parameters={"Greeting": "hello"}, layer=fixtures / "layer") as host:
    host.invoke("EchoFunction", {})
    host.invoke("ConsumeFunction", {"Records": []})
    print(*host.functions["EchoFunction"].pids, *host.functions["ConsumeFunction"].pids, flush=True)
    threading.Event().wait()
"""


def test_no_function_outlives_its_host(wait: Callable[[Callable[[], bool]], None]) -> None:
    command = [sys.executable, "-c", SCRIPT, str(FIXTURES)]
    with (
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as interrupted,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as killed,
    ):
        pids = [*read_pids(interrupted), *read_pids(killed)]
        assert len(pids) == 4
        interrupted.send_signal(signal.SIGINT)
        killed.kill()
        interrupted.wait(timeout=20)
    wait(lambda: not any(runs(pid) for pid in pids))


def read_pids(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(pid) for pid in process.stdout.readline().split()]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan that has ended stays in the table until init collects it, which not every container's init does.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_leaving_kills_what_runs(impatient: LocalHost) -> None:
    impatient.invoke("EchoFunction", {})
    (pid,) = impatient.functions["EchoFunction"].pids
    impatient.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not [thread for thread in threading.enumerate() if thread.name in {"moto", "event-bus", "http-gateway"}]
