"""What the documents say is what the code does: tables, links, commands and variables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from image_pipeline.policy import parse_policy
from image_pipeline.settings import VARIABLES
from local.docs import with_tables

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_generated_tables_are_those_of_the_code() -> None:
    assert with_tables(README) == README, "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_named_exists(document: Path) -> None:
    for target in re.findall(r"\bmake ([a-z][a-z-]+)", document.read_text(encoding="utf-8")):
        if f"`make {target}" in document.read_text(encoding="utf-8") or f"$ make {target}" in README:
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{document.name} names make {target}"


def test_every_variable_that_the_code_reads_is_documented() -> None:
    read: set[str] = set()
    for path in (ROOT / "layers" / "desktop-images").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        read |= set(re.findall(r"environ(?:\.get)?[\(\[]\"([A-Z_]+)\"", text))
        read |= set(re.findall(r"\(environ, \"([A-Z_]+)\"", text))
        read |= set(re.findall(r"\"(YC_[A-Z_]+)\"", text))
    documented_by_boto = {"AWS_REGION", "AWS_DEFAULT_REGION"}

    assert {name for name in read if not name.endswith("_")} - documented_by_boto <= VARIABLES.keys()


def test_the_policy_in_the_readme_is_a_policy() -> None:
    [example] = re.findall(r"```json\n(.*?)```", README, re.DOTALL)

    assert parse_policy(example).routes[0].name == "office"
