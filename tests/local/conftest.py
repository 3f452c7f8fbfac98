"""A host over the fixture template, started once per module, and a log that tests can wait on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.host import LocalHost

FIXTURES = Path(__file__).parent / "fixtures"


class LogBook:
    """Collects the lines of all functions."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def add(self, function: str, line: str) -> None:
        with self._changed:
            self._lines.append((function, line))
            self._changed.notify_all()

    def wait_for(self, function: str, *parts: str, times: int = 1, seconds: float = 20) -> list[str]:
        """Wait until `function` wrote `times` lines that contain all `parts`; return them."""

        def matching() -> list[str]:
            return [line for name, line in self._lines if name == function and all(part in line for part in parts)]

        with self._changed:
            assert self._changed.wait_for(lambda: len(matching()) >= times, seconds), self._lines
            return matching()


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that nobody announces."""
    deadline = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        deadline.wait(0.05)
    pytest.fail(f"did not come true within {seconds} s")


@pytest.fixture(scope="module")
def log() -> LogBook:
    return LogBook()


@pytest.fixture(scope="module")
def host(log: LogBook) -> Iterator[LocalHost]:
    host = LocalHost(
        template=FIXTURES / "template.yaml",
        parameters={"Greeting": "hello"},
        secrets={"key": "kept"},
        environment={"EXTRA_SETTING": "set"},
        properties={"Work": {"VisibilityTimeout": 1}},
        layer=FIXTURES / "layer",
        on_log=log.add,
        retry_delays=(0, 0),
    )
    with host:
        yield host


@pytest.fixture
def wait() -> Callable[[Callable[[], bool]], None]:
    return eventually
