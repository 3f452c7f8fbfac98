"""What is deployed knows nothing of what runs on a developer's machine, not even in an import that comes late."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOYED = sorted([*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.py")])
NOT_THERE = {"local", "tests", "moto", "flask", "rich", "typer", "pytest", "yandexcloud", "google", "awslambdaric"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str() as module):
                names.add(module)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_deployed_module_imports_nothing_that_is_not_deployed(path: Path) -> None:
    assert not imported(path) & NOT_THERE


def test_there_are_three_handlers() -> None:
    assert [path.name for path in DEPLOYED if path.is_relative_to(ROOT / "functions")] == [
        "cleanup.py",
        "copy_on_new_compute_image.py",
        "poll_operation.py",
    ]
