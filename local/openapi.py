"""Writes docs/openapi.json, the OpenAPI 3.1 document of the HTTP API, from the routes of the three functions.

Powertools describes each function by itself and assumes answers that this API never gives (422). Here the three become
one document that says each thing once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from image_pipeline.http_api import CLEANUP_API, COPY_API, POLL_API

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "openapi.json"
DESCRIPTION = """\
Copies compute images of Yandex Cloud to Cloud Desktop, follows each copy to its end and retires old ones.

The API is closed to the public. On AWS every request is signed for `execute-api` (Signature Version 4) by somebody who
may invoke the API; on Yandex Cloud it carries `Authorization: Bearer <IAM token>` of somebody who may invoke the
functions. Who is not let in is refused by the cloud itself, in its own form; so is, on AWS, a call that does not exist.

A function of Yandex Cloud that is called at its own address takes the path from the query parameter `path`, for example
`?path=/copies`; without it `POST` means `/images:copy` at copy-on-new-compute-image, `GET` means `/copies` at
poll-operation and `/cleanup` at cleanup, and `POST` means `/cleanup` at cleanup.
"""
TAGS = {
    "copies": "Copies of compute images, as the ledger has them.",
    "operations": "Operations of Cloud Desktop.",
    "cleanup": "The plan that retires old desktop images.",
}
_ERRORS = range(400, 600)
_NEVER_GIVEN = "422"


def document() -> dict[str, Any]:
    """Return the document; the same for the same code, whatever the Python version."""
    parts = [json.loads(api.get_openapi_json_schema()) for api in (COPY_API, POLL_API, CLEANUP_API)]
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for part in parts:
        for path in sorted(part["paths"]):
            paths.setdefault(path, {}).update(part["paths"][path])
        schemas |= part["components"]["schemas"]
    errors: dict[str, Any] = {}
    for operation in (operation for path in paths.values() for operation in path.values()):
        _tidy(operation, errors)
    components = {"responses": dict(sorted(errors.items())), "schemas": _used(schemas, [paths, errors])}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    described: dict[str, Any] = _plain({"paths": paths, "components": components})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Desktop image copy", "version": version, "description": DESCRIPTION},
        "servers": [{"url": "/", "description": "The stack's output ApiUrl, or your gateway on Yandex Cloud"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        **described,
    }


def text() -> str:
    """Return the document as the file holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text(), encoding="utf-8")


def _tidy(operation: dict[str, Any], errors: dict[str, Any]) -> None:
    """Order the responses, and move those that tell of an error into `errors`, where each stands once."""
    responses = operation.pop("responses")
    responses.pop(_NEVER_GIVEN, None)
    for status in sorted(responses):
        if int(status) in _ERRORS:
            name = HTTPStatus(int(status)).phrase.replace(" ", "")
            errors[name] = responses[status]
            responses[status] = {"$ref": f"#/components/responses/{name}"}
    operation["responses"] = {status: responses[status] for status in sorted(responses)}
    if "parameters" in operation:
        operation["parameters"] = [
            {key: parameter[key] for key in ("name", "in", "required", "description")}
            | {"schema": _in_a_url(parameter["schema"])}
            for parameter in operation["parameters"]
        ]


def _in_a_url(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a parameter may hold: no null, which no URL can express, and no second description."""
    bare = {key: value for key, value in schema.items() if key not in {"anyOf", "description"}}
    for choice in schema.get("anyOf", []):
        if choice != {"type": "null"}:
            bare |= choice
    return bare


def _used(schemas: dict[str, Any], roots: list[Any]) -> dict[str, Any]:
    """Return the schemas that the roots refer to, directly or through others, by name."""
    names: set[str] = set()
    waiting = list(roots)
    while waiting:
        for name in _references(waiting.pop()):
            if name not in names:
                names.add(name)
                waiting.append(schemas[name])
    return {name: schemas[name] for name in sorted(names)}


def _references(value: Any) -> Iterator[str]:
    prefix = "#/components/schemas/"
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(prefix):
            yield reference.removeprefix(prefix)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def _plain(value: Any) -> Any:
    """Leave out titles, which are nothing but the names in other letters, and write whole numbers as such."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key != "title" or not isinstance(item, str)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


if __name__ == "__main__":
    main()
