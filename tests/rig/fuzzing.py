"""schemathesis against a running API, with the document of this repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
LONGEST = 120
"""Seconds after which a run is given up; it takes about ten."""


def fuzz(url: str, directory: Path, *arguments: str, examples: int) -> None:
    """Run every phase and every check on every call, the same cases each time.

    Args:
        url: Origin of the API.
        directory: For what schemathesis writes.
        arguments: More arguments of `schemathesis run`.
        examples: Cases a call, in each of the phases that could go on for ever.

    Raises:
        AssertionError: A check failed, or a call was not tested; with the report.
    """
    calls = sum(len(methods) for methods in json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"].values())
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(DOCUMENT), "--url", url, "--checks", "all"),
            *("--generation-deterministic", "--max-examples", str(examples), "--continue-on-failure", "--no-color"),
            *arguments,
        ],
        cwd=directory,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.rig.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert f"Tested: {calls}\n" in ran.stdout, ran.stdout
    assert "Skipped" not in ran.stdout.partition("SUMMARY")[2], ran.stdout
