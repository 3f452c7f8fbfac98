"""Hosts of their own: time limits, concurrency, and leaving."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.host import LocalHost

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def impatient() -> Iterator[LocalHost]:
    host = LocalHost(
        template=FIXTURES / "template.yaml",
        parameters={"Greeting": "hello"},
        properties={"EchoFunction": {"Timeout": 0.4}},
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
    assert failed.error.message.endswith("Task timed out after 0.40 seconds")
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


def test_leaving_kills_what_runs(impatient: LocalHost) -> None:
    impatient.invoke("EchoFunction", {})
    (pid,) = impatient.functions["EchoFunction"].pids
    impatient.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not [thread for thread in threading.enumerate() if thread.name in {"moto", "event-bus", "http-gateway"}]
