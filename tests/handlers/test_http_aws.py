"""The handlers on AWS, called by an HTTP API; the Yandex shapes are in test_http_yandex."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.rig.aws import Aws
from tests.rig.deployed import Deployed, deployed
from tests.rig.http import event
from tests.rig.pipeline import SOURCE, TARGET


@pytest.fixture(scope="module")
def functions(aws: Aws) -> Iterator[Deployed]:
    with deployed(aws) as running:
        yield running


def test_each_function_answers_its_calls(functions: Deployed) -> None:
    image_id = functions.world.add_compute_image(folder_id=SOURCE, name="win11", family="win11-office").id

    begun = functions.invoke("copy", event("POST", "/images:copy", {"imageId": image_id}))
    found = functions.invoke("poll", event("GET", f"/copies/{TARGET}/{image_id}"))
    planned = functions.invoke("cleanup", event("GET", "/cleanup"))

    assert (begun["statusCode"], found["statusCode"], planned["statusCode"]) == (202, 200, 200)
    assert json.loads(found["body"]) == json.loads(begun["body"])
    assert json.loads(found["body"])["desktopImageId"] in planned["body"]


@pytest.mark.parametrize("path", ["/images:copy", "/images%3Acopy"])
def test_a_path_may_come_encoded_or_decoded(functions: Deployed, path: str) -> None:
    given = functions.invoke("copy", {**event("POST", "/images:copy", {}), "rawPath": path})
    assert given["statusCode"] == 400
    assert json.loads(given["body"])["message"] == "imageId: Field required"
