"""Write the README's generated tables from the code: `python -m local.docs`. A test fails where they have drifted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cloud_desktop import Code, NextStep, classify
from cloud_desktop.errors import api_error_class
from cloud_desktop.retries import is_passing
from image_pipeline.policy import Policy, Quota, Retention, Route, Source, Target
from image_pipeline.settings import VARIABLES
from image_pipeline.state_machine import MOST_FAILURES

README = Path(__file__).parent.parent / "README.md"
_BLOCK = "<!-- {name}: made by `make docs` -->\n"
_END = "<!-- end -->"

_AFTER_AN_OPERATION = {
    NextStep.RETRY: f"a new generation after 1, 2, 4, 8 minutes; `FAILED` after {MOST_FAILURES} failures",
    NextStep.WAIT: "tried again after a minute, without counting as a failure",
    NextStep.PARK: f"a new generation once there is room; `FAILED` after {MOST_FAILURES} failures",
    NextStep.DROP: "`FAILED`",
    NextStep.STOP: "`FAILED`",
}
_AFTER_A_CALL = {
    NextStep.RETRY: "tried again after the next wait, with the same idempotency key",
    NextStep.WAIT: "waits as long as the service asks and tries again; never a failure",
    NextStep.PARK: "waits for room",
    NextStep.DROP: "`FAILED` where the copy is asked for; the first three of a fresh operation or image are forgiven",
    NextStep.STOP: "`FAILED` where the copy is asked for; elsewhere looked at again until the deadline",
}


def settings_table() -> str:
    """Return the table of environment variables."""
    return _table(("variable", "meaning"), ((f"`{name}`", meaning) for name, meaning in VARIABLES.items()))


def policy_table() -> str:
    """Return the table of the policy's keys."""
    parts: list[tuple[str, type[BaseModel]]] = [
        ("", Policy),
        ("quota.", Quota),
        ("routes[].", Route),
        ("routes[].source.", Source),
        ("routes[].target.", Target),
        ("routes[].retention.", Retention),
    ]
    nested = {"source", "target", "retention", "quota"}
    return _table(
        ("key", "default", "meaning"),
        (
            (f"`{prefix}{name}`", _default(field), field.description or "")
            for prefix, model in parts
            for name, field in model.model_fields.items()
            if name not in nested
        ),
    )


def failures_table() -> str:
    """Return the table of what follows an error, by its google.rpc code."""
    rows: list[tuple[str, str, str]] = []
    for code in Code:
        if code is not Code.OK:
            after_an_operation = _AFTER_AN_OPERATION[classify(code, "", [])]
            rows.append((f"{code.value} {code.name}", _after_a_call(code), after_an_operation))
    full = "8, 9 that speak of an image quota"
    rows.append((full, _AFTER_A_CALL[NextStep.PARK], _AFTER_AN_OPERATION[NextStep.PARK]))
    return _table(("code", "answered to a call", "error of a finished operation"), rows)


def _after_a_call(code: Code) -> str:
    error = api_error_class(code)(code, "", http_status=500, method="POST", path="/")
    again = _AFTER_A_CALL[error.next_step]
    return f"tried again at once, up to three times; then {again}" if is_passing(error) else again


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "policy": policy_table,
    "failures": failures_table,
}


def with_tables(text: str) -> str:
    """Return the text with every generated block written anew."""
    for name, table in TABLES.items():
        begin = _BLOCK.format(name=name)
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(_END)
        if not found or not closed:
            raise ValueError(f"README.md needs a block that begins with {begin.strip()} and ends with {_END}")
        text = f"{before}{begin}\n{table()}\n{_END}{after}"
    return text


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, dict):
        return "`{}`"
    return {None: "`null`", (): "`[]`", "": "empty"}.get(value, f"`{value}`")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, str, str]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def main() -> int:
    """Write the README."""
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
