"""deploy/yandex against what the provider documents: names, kinds, references, layout. No binary is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_pipeline.policy import parse_policy
from tests.deploy.configuration import (
    BOUND,
    META,
    NAMED,
    RESOURCE,
    ROOT_NAME,
    Configuration,
    expression,
    is_blocks,
    literal,
    strings,
    unquoted,
)
from tests.deploy.conftest import ROOT
from tests.deploy.formatting import layout_problems

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "provider_schema.json").read_text(encoding="utf-8"))
EXAMPLE = ROOT / "deploy" / "yandex" / "terraform.tfvars.example"
GUIDE = ROOT / "docs" / "deploy-yandex.md"
LITERALS = {"string": str, "number": int, "bool": bool}


def test_the_files_are_laid_out_as_terraform_fmt_does(configuration: Configuration) -> None:
    assert len(configuration.files) > 5
    found = {path.name: list(layout_problems(path.read_text(encoding="utf-8"))) for path in configuration.files}
    assert {name: problems for name, problems in found.items() if problems} == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a {\n  b = 1\n  long = 2\n}\n", "the equals sign in line 2 is not in the column"),
        ("a {\n  b    = 1\n\n  long = 2\n}\n", "the equals sign in line 2 is not in the column"),
        ("a {\n  b    = {\n    c = 1\n  }\n  long = 2\n}\n", None),
        ("a {\n  b = {\n    c = 1\n  }\n  long = 2\n}\n", None),
        ("a {\n   b = 1\n}\n", "line 2 is not indented by 2 spaces"),
        ('a {\n  b = c([\n    "}",\n  ])\n}\n', None),
        ("a {\n  b = c([\n    1,\n    ])\n}\n", "line 4 is not indented by 2 spaces"),
        ("a {} \n", "line 1 ends in spaces"),
        ("a {}", "the file does not end in exactly one newline"),
    ],
)
def test_the_layout_check_can_fail(text: str, problem: str | None) -> None:
    found = list(layout_problems(text))
    if problem is None:
        assert found == []
    else:
        assert any(problem in sentence for sentence in found)


def entries(body: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield name, value and whether it is a block; a dynamic block counts as one of the block it makes."""
    for name, value in body.items():
        if name == "dynamic":
            for made in value:
                for block, dynamic in made.items():
                    if block != "__is_block__":
                        assert set(dynamic) == {"for_each", "content", "__is_block__"}
                        yield block, dynamic["content"], True
        elif name not in META | {"__is_block__"}:
            yield name, value, is_blocks(value)


def problems(body: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    arguments = schema["required"] | schema["optional"]
    blocks = schema.get("blocks", {})
    given = dict[str, Any]()
    for name, value, is_block in entries(body):
        given[name] = value
        if is_block and name in blocks:
            if len(value) > blocks[name].get("max", len(value)):
                yield f"{where}.{name} may be there once"
            for inner in value:
                yield from problems(inner, blocks[name], f"{where}.{name}")
        elif is_block or name not in arguments:
            yield f"{where} has no {'block' if is_block else 'argument'} {name}"
        elif literal(value) is not None and type(literal(value)) is not LITERALS.get(arguments[name], type(value)):
            yield f"{where}.{name} must be a {arguments[name]}"
    for name in schema["required"]:
        if name not in given:
            yield f"{where} needs {name}"
    for choice in schema.get("exactly_one", []):
        if sum(name in given for name in choice) != 1:
            yield f"{where} needs exactly one of {', '.join(choice)}"


def test_every_resource_is_as_the_provider_documents_it(configuration: Configuration) -> None:
    assert {resource.type for resource in configuration.resources.values()} == set(SCHEMA["resources"])
    for resource in configuration.resources.values():
        assert list(problems(resource.body, SCHEMA["resources"][resource.type], resource.address)) == []


def test_every_provider_is_as_documented_and_pinned(configuration: Configuration) -> None:
    assert set(configuration.providers) == set(SCHEMA["providers"])
    for name, body in configuration.providers.items():
        assert list(problems(body, SCHEMA["providers"][name], name)) == []
    (required,) = configuration.terraform["required_providers"]
    assert unquoted(required["yandex"]["source"]) == "yandex-cloud/yandex"
    assert unquoted(required["yandex"]["version"]) == ">= 0.222.0, < 1.0.0"
    assert unquoted(required["aws"]["version"]) == "~> 5.0"
    assert unquoted(configuration.terraform["required_version"]) == ">= 1.10"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('name = "a"\nfunction {\n id = "f"\n}\ntimer = { cron_expression = "x" }', "t has no argument timer"),
        (
            'name = "a"\nfunction {\n id = "f"\n retry_attempts = 2\n}\ntimer {\n}',
            "t.function.retry_attempts must be a st",
        ),
        ('name = "a"\nfunction {\n id = "f"\n}', "t needs exactly one of timer, message_queue"),
        ('function {\n id = "f"\n}\ntimer {\n}', "t.timer needs cron_expression"),
        ('function {\n id = "f"\n}\nfunction {\n id = "f"\n}', "t.function may be there once"),
        ("function {\n}\npause = true", "t has no argument pause"),
        ("labels {\n}\n", "t has no block labels"),
    ],
)
def test_the_schema_check_can_fail(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "main.tf").write_text(f'resource "yandex_function_trigger" "t" {{\n{text}\n}}\n')
    (resource,) = Configuration(tmp_path).resources.values()
    found = list(problems(resource.body, SCHEMA["resources"][resource.type], "t"))
    assert any(sentence.startswith(problem) for sentence in found), found


def known_attributes(kind: str) -> set[str]:
    schema = SCHEMA["resources"][kind]
    return {*schema["required"], *schema["optional"], *schema["computed"]}


def unresolved(configuration: Configuration) -> Iterator[str]:
    named = {"var": configuration.variables, "local": configuration.locals}
    for where, code in configuration.expressions():
        for scope, name in NAMED.findall(code):
            if name not in named[scope]:
                yield f"{where}: {scope}.{name}"
        for kind, name, index, attribute in RESOURCE.findall(code):
            resource = configuration.resources.get(f"{kind}.{name}")
            if resource is None or (attribute and attribute not in known_attributes(kind)):
                yield f"{where}: {kind}.{name}.{attribute}"
            elif attribute and resource.is_many != bool(index):
                yield f"{where}: {kind}.{name} {'needs' if resource.is_many else 'takes no'} index"
        yield from unknown_roots(configuration, where, code)


def unknown_roots(configuration: Configuration, where: str, code: str) -> Iterator[str]:
    resource = configuration.resources.get(where)
    known = {"var", "local", *(kind for kind in SCHEMA["resources"])}
    known |= {name for pair in BOUND.findall(code) for name in pair}
    if resource is not None:
        known |= {"each"} if "for_each" in resource.body else set()
        known |= {"self"} if "postcondition" in str(resource.body.get("lifecycle")) else set()
        known |= {name for name, _, is_block in entries(resource.body) if is_block}
        known |= set(re.findall(r"'dynamic': \[\{'(\w+)'", str(resource.body)))
    for root in set(ROOT_NAME.findall(code)) - known:
        yield f"{where}: {root}"


def test_every_reference_resolves(configuration: Configuration) -> None:
    assert list(unresolved(configuration)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("value = var.nobody", "m.tf output: var.nobody"),
        ("value = local.nobody", "m.tf output: local.nobody"),
        ('value = "a ${yandex_function.one.nobody} b"', "m.tf output: yandex_function.one.nobody"),
        ("value = yandex_function.two.id", "m.tf output: yandex_function.two.id"),
        ("value = yandex_function.one[0].id", "m.tf output: yandex_function.one takes no index"),
        ("value = yandex_function.many.id", "m.tf output: yandex_function.many needs index"),
        ("value = each.value", "m.tf output: each"),
        ("value = [for a in [] : b.c]", "m.tf output: b"),
    ],
)
def test_the_reference_check_can_fail(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "m.tf").write_text(
        'locals {\n}\nresource "yandex_function" "one" {\n}\nresource "yandex_function" "many" {\n  count = 1\n}\n'
        f'output "o" {{\n  {text}\n}}\n'
    )
    assert list(unresolved(Configuration(tmp_path))) == [problem]


def test_nothing_is_declared_in_vain(configuration: Configuration) -> None:
    used = {f"{scope}.{name}" for _, code in configuration.expressions() for scope, name in NAMED.findall(code)}
    bodies = [configuration.providers, configuration.locals, configuration.outputs]
    bodies += [resource.body for resource in configuration.resources.values()]
    outside = {name for body in bodies for text in strings(body) for name in NAMED.findall(expression(text))}
    assert {name for scope, name in outside if scope == "var"} == set(configuration.variables)
    assert {f"local.{name}" for name in configuration.locals} <= used


def test_every_variable_and_output_says_what_it_is(configuration: Configuration) -> None:
    for name, body in configuration.variables.items():
        assert set(body) - {"__is_block__"} <= {
            "description",
            "type",
            "default",
            "validation",
            "ephemeral",
            "sensitive",
        }
        assert {"description", "type"} <= set(body), name
        assert unquoted(body["description"]).endswith("."), name
    for name, body in configuration.outputs.items():
        assert unquoted(body["description"]).endswith("."), name


def test_the_example_sets_what_must_be_set(configuration: Configuration, tmp_path: Path) -> None:
    copied = tmp_path / "example.tf"
    copied.write_text("locals {\n" + EXAMPLE.read_text(encoding="utf-8") + "}\n")
    example = Configuration(tmp_path).locals
    required = {
        name for name, body in configuration.variables.items() if "default" not in body and "ephemeral" not in body
    }
    assert required <= set(example) <= set(configuration.variables)
    policy = re.search(r"<<-JSON\n(.*?)\nJSON", EXAMPLE.read_text(encoding="utf-8"), re.DOTALL)
    assert policy is not None
    assert parse_policy(policy[1]).cleanup == "plan"


def test_the_guide_knows_every_variable_and_no_other_output(configuration: Configuration) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    assert [name for name in configuration.variables if not re.search(rf"`(TF_VAR_)?{name}`", guide)] == []
    assert set(re.findall(r"terraform output -(?:raw|json) (\w+)", guide)) <= set(configuration.outputs)
    for address in re.findall(r"(?:-target|-replace)='?([\w.]+)|state rm ([\w.]+)", guide):
        assert "".join(address) in configuration.resources
