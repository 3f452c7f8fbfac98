"""The filter language of List calls: `<field> <operator> <value> [AND ...]` (P:compute/v1/image_service.proto).

Operators are =, !=, IN and NOT IN; values stand in single or double quotes with C escapes. The list of IN is written in
parentheses; Cloud Desktop does not document its form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from local.emulator.fields import snake
from local.emulator.status import bad_field

_STRING = r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
_CONDITION = re.compile(
    rf"\s*(?P<field>[A-Za-z_][\w.]*)\s*"
    rf"(?:(?P<operator>!?=)\s*(?P<value>{_STRING})"
    rf"|(?P<negation>NOT\s+)?IN\s*\(\s*(?P<values>{_STRING}(?:\s*,\s*{_STRING})*)\s*\))\s*"
)
_AND = re.compile(r"AND\b")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


@dataclass(frozen=True)
class Condition:
    """One condition of a filter; `negated` for != and NOT IN."""

    field: str
    values: frozenset[str]
    negated: bool

    def holds(self, record: object) -> bool:
        """Say whether `record` fulfils the condition."""
        return (str(getattr(record, self.field)) in self.values) != self.negated


def parse_filter(text: str, filterable: Sequence[str]) -> list[Condition]:
    """Parse a filter; raises Refusal with INVALID_ARGUMENT where it is malformed or names another field.

    >>> [condition] = parse_filter('name NOT IN ("a", "b")', ["name"])
    >>> condition.field, sorted(condition.values), condition.negated
    ('name', ['a', 'b'], True)
    """
    conditions: list[Condition] = []
    position = 0
    while text[position:].strip() or conditions:
        match = _CONDITION.match(text, position)
        if match is None:
            raise bad_field("filter", f"cannot be understood from {text[position:]!r} on")
        field = snake(match["field"].rpartition(".")[2])
        if field not in filterable:
            raise bad_field("filter", f"field {match['field']!r} is not one of {', '.join(filterable)}")
        values = re.findall(_STRING, match["value"] or match["values"])
        negated = match["operator"] == "!=" or match["negation"] is not None
        conditions.append(Condition(field, frozenset(_unquote(value) for value in values), negated))
        if match.end() == len(text):
            break
        conjunction = _AND.match(text, match.end())
        if conjunction is None:
            raise bad_field("filter", f"expected AND at {text[match.end() :]!r}")
        position = conjunction.end()
    return conditions


def _unquote(literal: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), literal[1:-1])
