"""`make run-yandex`: every trigger leads to one copy, and the status says whether it did."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local import run_yandex
from local.emulator.faults import Fault, Faults
from local.run_yandex import TRIGGERS, run
from local.yandex import COPY, YandexHost, archives
from local.yandex.archives import ArchivesError, find_python, kind_of, make_archives
from tests.rig.yandex import unpack_functions


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return unpack_functions(tmp_path_factory.mktemp("functions"))


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=500)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def soon() -> Faults:
    hint = "hint,route=POST images:copy|GET operations/*|DELETE images/*,retry_after=1,times=always"
    return Faults(Fault.parse(hint))


def test_every_trigger_leads_to_one_active_copy(code: dict[str, Path], console: Console, soon: Faults) -> None:
    status = run(code, sys.executable, console, soon)

    told = text(console)
    assert status == 0, told
    for trigger in TRIGGERS:
        assert len(re.findall(rf"^ *[\d.]+ s  {re.escape(trigger)} .*: ACTIVE", told, re.MULTILINE)) == 1, told
    assert f"done: {len(TRIGGERS)} of {len(TRIGGERS)} triggers led to one ACTIVE copy, 1 old image retired" in told
    assert "from the metadata service (1 request)" in told


class Started:
    """The processes of the functions when something happened."""

    pids: tuple[int, ...] = ()

    def alive(self) -> Iterator[int]:
        for pid in self.pids:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                continue
            yield pid


def test_an_interrupt_leaves_nothing_behind(
    code: dict[str, Path], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started()

    def interrupted(host: YandexHost, _image: str) -> object:
        host.invoke(COPY, {"messages": []})
        started.pids = host.functions[COPY].pids
        raise KeyboardInterrupt

    monkeypatch.setattr(run_yandex, "TRIGGERS", {"interrupted": interrupted})
    with pytest.raises(KeyboardInterrupt):
        run(code, sys.executable, console)
    assert started.pids
    assert list(started.alive()) == []


def test_a_trigger_that_begins_no_copy_fails_the_run(
    code: dict[str, Path], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_yandex, "TRIGGERS", {"silent": lambda _host, _image: None})
    monkeypatch.setattr(run_yandex, "LONGEST", 1.0)
    assert run(code, sys.executable, console) == 1
    assert "failed after 1 s: silent has begun no copy" in text(console)


@pytest.fixture
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets a handler for the process that it is; here that is the tests'."""
    monkeypatch.setattr(signal, "signal", lambda _number, _handler: None)


@pytest.mark.usefixtures("no_signals")
def test_interrupting_the_command_ends_it_with_130(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def interrupted(_directory: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_yandex, "make_archives", interrupted)
    assert run_yandex.main() == 130
    assert "everything that was started has been stopped" in capsys.readouterr().out


def test_a_second_interrupt_does_not_disturb_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", set_to.__setitem__)
    with pytest.raises(KeyboardInterrupt):
        run_yandex._interrupt(signal.SIGINT, None)
    assert set_to == {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}


@pytest.mark.usefixtures("no_signals")
def test_without_a_packer_the_command_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UV", "/nowhere/uv")
    with pytest.raises(ArchivesError):
        make_archives(tmp_path)
    assert run_yandex.main() == 1
    told = capfd.readouterr()
    assert "uv was not found (looked for /nowhere/uv)" in told.err
    assert "failed: the functions could not be packed; the line above says why" in told.out


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ({sys.executable: archives.UPLOADED}, (sys.executable, True)),
        ({"/bin/python3.12": archives.UPLOADED}, ("/bin/python3.12", True)),
        ({"/bin/python3.12": "cpython 3.12 linux aarch64"}, (sys.executable, False)),
        ({}, (sys.executable, False)),
    ],
)
def test_the_uploaded_archives_are_run_where_an_interpreter_can(
    monkeypatch: pytest.MonkeyPatch, kinds: dict[str, str], found: tuple[str, bool]
) -> None:
    monkeypatch.setattr(archives, "kind_of", kinds.get)
    monkeypatch.setattr(shutil, "which", lambda _name: "/bin/python3.12")
    assert find_python() == found


def test_an_interpreter_is_asked_what_it_is() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f" {version} {sys.platform} " in (kind_of(sys.executable) or "")
    assert kind_of("/nowhere/python") is None
