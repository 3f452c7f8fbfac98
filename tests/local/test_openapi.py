"""docs/openapi.json is what the code says, and says each thing once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from image_pipeline import http_models
from local import openapi
from local.host import Template
from tests.rig.http import call
from tests.rig.pipeline import Rig

ROOT = Path(__file__).parents[2]
DOCUMENT = openapi.document()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a document with its JSON pointer."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from nodes(item, f"{path}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from nodes(item, f"{path}/{number}")


def test_the_file_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == openapi.text(), "run `make openapi`"


def test_main_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "DOCUMENT", tmp_path / "docs" / "openapi.json")
    openapi.main()
    assert json.loads((tmp_path / "docs" / "openapi.json").read_text()) == DOCUMENT


def test_its_calls_are_those_that_the_template_routes() -> None:
    parameters = {"ImagePolicy": '{"routes": []}', "ServiceAccountKeySecret": "yandex/key"}
    template = Template(ROOT / "template.yaml", parameters, region="eu-central-1", stack_name="desktop-images")
    [api] = template.of_type("AWS::ApiGatewayV2::Api")
    routed = {
        f"{method.upper()} {path}" for path, methods in api.properties["Body"]["paths"].items() for method in methods
    }
    assert set(OPERATIONS) == routed


def test_every_reference_leads_somewhere_and_everything_shared_is_referred_to() -> None:
    referred = {node["$ref"] for _, node in nodes(DOCUMENT) if "$ref" in node}
    shared = {f"#/components/{kind}/{name}" for kind, named in DOCUMENT["components"].items() for name in named}
    assert referred == shared


@pytest.mark.parametrize("call", OPERATIONS)
def test_every_call_is_described(call: str) -> None:
    operation = OPERATIONS[call]
    assert re.fullmatch(r"[a-z][a-zA-Z]+", operation["operationId"])
    assert operation["summary"]
    assert operation["description"].endswith(".")
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert {"500", "503"} <= set(operation["responses"])
    assert any(status.startswith("2") for status in operation["responses"])
    assert "422" not in operation["responses"], "an invalid request is answered with 400"
    assert list(operation["responses"]) == sorted(operation["responses"])
    takes_input = "parameters" in operation or "requestBody" in operation
    assert not takes_input or "400" in operation["responses"]
    for parameter in operation.get("parameters", []):
        assert parameter["description"].endswith(".")
        assert "anyOf" not in parameter["schema"]


def test_no_schema_is_noise() -> None:
    assert not [name for name in DOCUMENT["components"]["schemas"] if "Validation" in name]
    assert not [path for path, node in nodes(DOCUMENT["components"]) if isinstance(node.get("title"), str)]
    assert all(schema["description"] for schema in DOCUMENT["components"]["schemas"].values())


def test_every_error_is_a_status() -> None:
    for answer in DOCUMENT["components"]["responses"].values():
        assert answer["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}


@pytest.mark.parametrize(
    ("method", "path", "model"),
    [
        ("POST", "/sweep", http_models.SweepAnswer),
        ("GET", "/copies", http_models.CopiesAnswer),
        ("GET", "/copies/{folder_id}/{image_id}", http_models.CopyAnswer),
        ("GET", "/operations/{operation_id}", http_models.OperationAnswer),
        ("GET", "/cleanup", http_models.PlanAnswer),
        ("POST", "/cleanup", http_models.CleanupAnswer),
    ],
)
def test_an_answer_has_no_field_that_the_document_lacks(method: str, path: str, model: Any) -> None:
    rig = Rig()
    image_id = rig.add_image()
    rig.take(image_id)
    rig.add_image(name="win11-new")
    rig.settle()
    row = rig.row(image_id)
    target = path.format(folder_id=row.folder_id, image_id=image_id, operation_id=row.operation_id)

    answered = call(rig, method, target).json

    described = TypeAdapter(model).json_schema()
    assert set(answered) <= set(described["properties"])
    assert set(described["required"]) <= set(answered)
    for name, nested in ((name, value) for name, value in answered.items() if isinstance(value, list) and value):
        reference = described["properties"][name]["items"].get("$ref", "").rpartition("/")[2]
        if reference:
            fields = described["$defs"][reference]
            assert all(set(fields["required"]) <= set(each) <= set(fields["properties"]) for each in nested)
