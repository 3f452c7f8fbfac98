"""The packed functions, made by deploy/package.py and unpacked where an interpreter of this machine can run them.

The archives that are uploaded need CPython 3.12 on x86_64 Linux. Where this machine has it they are run as they are;
elsewhere the same packer makes them for the interpreter at hand.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
UPLOADED = "cpython 3.12 linux x86_64"
_ASK = (
    "import sys, platform as p; "
    "print(sys.implementation.name, '.'.join(map(str, sys.version_info[:2])), sys.platform, p.machine())"
)


class ArchivesError(Exception):
    """The functions could not be packed; the packer has said why."""


@dataclass(frozen=True)
class Archives:
    """The unpacked functions.

    Attributes:
        code: Directory by function.
        python: The interpreter that can run them.
        uploaded: Whether they are the very archives that are uploaded.
        sizes: Bytes of each archive.
    """

    code: dict[str, Path]
    python: str
    uploaded: bool
    sizes: dict[str, int]

    def __str__(self) -> str:
        what = "the archives that are uploaded" if self.uploaded else "archives packed for this machine"
        return f"{what}, under {kind_of(self.python)} ({self.python})"


def kind_of(python: str) -> str | None:
    """Return an interpreter's implementation, version, system and machine; None where it does not run."""
    try:
        asked = subprocess.run([python, "-I", "-S", "-c", _ASK], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()


def find_python() -> tuple[str, bool]:
    """Return an interpreter, and whether it can run the archives that are uploaded."""
    for python in (sys.executable, shutil.which("python3.12")):
        if python is not None and kind_of(python) == UPLOADED:
            return python, True
    return sys.executable, False


def make_archives(directory: Path) -> Archives:
    """Pack every function into `directory` and unpack it there; asks the package index for wheels it has not yet.

    Raises:
        ArchivesError: The packer failed; its sentence is on standard error.
    """
    python, uploaded = find_python()
    command = [sys.executable, str(ROOT / "deploy" / "package.py"), "yandex", str(directory)]
    packed = subprocess.run([*command, *([] if uploaded else ["--here"])], stdout=subprocess.DEVNULL, check=False)
    if packed.returncode:
        raise ArchivesError("the functions could not be packed; the line above says why")
    functions = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))["functions"]
    for name, described in functions.items():
        with zipfile.ZipFile(directory / described["file"]) as archive:
            archive.extractall(directory / name)
    return Archives(
        code={name: directory / name for name in functions},
        python=python,
        uploaded=uploaded,
        sizes={name: described["bytes"] for name, described in functions.items()},
    )
