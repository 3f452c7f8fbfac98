"""The emulator's README tells what there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import local.emulator
from local.emulator.faults import KINDS, Fault
from local.emulator.http import create_app, route_template
from local.emulator.world import World

README = (Path(local.emulator.__file__).parent / "README.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL)))


def test_every_route_is_listed_and_none_that_is_not_there() -> None:
    routes = {
        f"{method} {route_template(rule)}"
        for rule in create_app(World()).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {word for word in WORDS if re.match(r"[A-Z]+ /", word)} == routes


def test_every_fault_and_its_fields_are_listed() -> None:
    assert set(KINDS) <= WORDS
    assert {field.name for field in fields(Fault)} - {"kind"} <= WORDS
