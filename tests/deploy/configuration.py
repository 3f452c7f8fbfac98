"""deploy/yandex as parsed: its blocks, and the references in its expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hcl2

META = frozenset({"count", "for_each", "depends_on", "lifecycle", "provider", "dynamic"})
_INDEX = r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]"
RESOURCE = re.compile(rf"(?<![\w.])((?:yandex|aws)_\w+)\.(\w+)({_INDEX})?(?:\.(\w+))?")
NAMED = re.compile(r"(?<![\w.])(var|local)\.(\w+)")
ROOT_NAME = re.compile(r"(?<![\w.])([a-z_]\w*)\.[a-z]")
BOUND = re.compile(r"\bfor\s+(\w+)(?:,\s*(\w+))?\s+in\b")


@dataclass(frozen=True)
class Resource:
    """A resource block: type, name and body without the parser's own marks."""

    type: str
    name: str
    body: dict[str, Any]

    @property
    def address(self) -> str:
        return f"{self.type}.{self.name}"

    @property
    def is_many(self) -> bool:
        return "count" in self.body or "for_each" in self.body


def unquoted(text: str) -> str:
    """Return the contents of a string literal; the parser leaves the quotes on."""
    return text[1:-1] if text[:1] == '"' else text


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {unquoted(key): _clean(inner) for key, inner in value.items() if key != "__comments__"}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value


def is_blocks(value: Any) -> bool:
    """Whether a body's entry is a list of blocks rather than an argument."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "__is_block__" in value[0]


def literal(value: Any) -> Any:
    """Return a literal's value; None for an expression."""
    if not isinstance(value, str):
        return value
    return unquoted(value) if value[:1] == '"' and "${" not in value else None


def strings(value: Any) -> Iterator[str]:
    """Yield every string in a body, as written."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def expression(text: str) -> str:
    """Return what is evaluated in a value, without the text of string literals in it.

    >>> expression('"${var.name}-a.b"'), expression('${regex("a.b", "x${local.y}")}')
    (' var.name ', ' regex(,  local.y ) ')
    """
    code: list[str] = []
    depth = ["text"] if text[:1] == '"' else ["text", "quoted"]
    at = 0
    text = text[1:-1] if text[:1] == '"' else text
    while at < len(text):
        if depth[-1] in {"text", "quoted"} and text.startswith("${", at):
            depth.append("code")
            code.append(" ")
            at += 2
            continue
        character = text[at]
        if depth[-1] == "code":
            at += _code(character, depth, code)
        else:
            at += 2 if character == "\\" else 1
            if character == '"' and len(depth) > 2:
                depth.pop()
    return "".join(code)


def _code(character: str, depth: list[str], code: list[str]) -> int:
    if character == '"':
        depth.append("quoted")
    elif character == "{":
        depth.append("code")
        code.append(character)
    elif character == "}":
        depth.pop()
        code.append(" " if depth[-1] in {"text", "quoted"} else character)
    else:
        code.append(character)
    return 1


class Configuration:
    """All files of the directory together, as Terraform reads them."""

    def __init__(self, directory: Path) -> None:
        self.files = sorted(directory.glob("*.tf"))
        self._parsed = [_clean(hcl2.loads(path.read_text(encoding="utf-8"))) for path in self.files]

    def _blocks(self, kind: str) -> Iterator[dict[str, Any]]:
        for parsed in self._parsed:
            yield from parsed.get(kind, [])

    def _named(self, kind: str) -> dict[str, dict[str, Any]]:
        found = [(name, body) for block in self._blocks(kind) for name, body in block.items() if name != "__is_block__"]
        assert len({name for name, _ in found}) == len(found), f"two blocks {kind} of one name"
        return dict(found)

    @cached_property
    def variables(self) -> dict[str, dict[str, Any]]:
        return self._named("variable")

    @cached_property
    def outputs(self) -> dict[str, dict[str, Any]]:
        return self._named("output")

    @cached_property
    def providers(self) -> dict[str, dict[str, Any]]:
        return self._named("provider")

    @cached_property
    def terraform(self) -> dict[str, Any]:
        (block,) = self._blocks("terraform")
        return block

    @cached_property
    def locals(self) -> dict[str, Any]:
        (block,) = self._blocks("locals")
        return {name: value for name, value in block.items() if name != "__is_block__"}

    @cached_property
    def resources(self) -> dict[str, Resource]:
        found = [
            Resource(kind, name, body)
            for block in self._blocks("resource")
            for kind, named in block.items()
            if kind != "__is_block__"
            for name, body in named.items()
            if name != "__is_block__"
        ]
        assert len({resource.address for resource in found}) == len(found)
        return {resource.address: resource for resource in found}

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the bodies of the resources of a type, by name."""
        return {resource.name: resource.body for resource in self.resources.values() if resource.type == kind}

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Yield every expression with the address of the block it is in."""
        for parsed, path in zip(self._parsed, self.files, strict=True):
            for kind in parsed:
                if kind != "resource":
                    for text in strings(parsed[kind]):
                        yield f"{path.name} {kind}", expression(text)
        for address, resource in self.resources.items():
            for text in strings(resource.body):
                yield address, expression(text)
