"""The template as written, and as a deployment sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.host import Template

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"

KEY_PARAMETERS = {"ImagePolicy": '{"routes": []}', "ServiceAccountKeySecret": "yandex/key"}
KEYLESS_PARAMETERS = {"ImagePolicy": "s3://policies/desktop/images.json", "ServiceAccountId": "aje0123456789abcdefg"}


def lookup(logical_id: str, attribute: str | None) -> str:
    """Stand for a created resource in a readable form."""
    return f"<{logical_id}>" if attribute is None else f"<{logical_id}.{attribute}>"


def expand(parameters: dict[str, str]) -> Template:
    return Template(TEMPLATE, parameters, region="eu-central-1", stack_name="desktop-images")


def resolved(template: Template, resource_type: str) -> dict[str, dict[str, Any]]:
    """Return the resolved properties of the resources of one type, by logical id."""
    return {
        resource.logical_id: template.resolve(dict(resource.properties), lookup)
        for resource in template.of_type(resource_type)
    }


@pytest.fixture(scope="session")
def source() -> dict[str, Any]:
    document: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="session")
def template() -> Template:
    """The stack with a key in Secrets Manager and the policy as JSON."""
    return expand(KEY_PARAMETERS)


@pytest.fixture(scope="session")
def keyless() -> Template:
    """The stack without a key and with the policy in a bucket."""
    return expand(KEYLESS_PARAMETERS)
