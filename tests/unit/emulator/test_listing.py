from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.emulator.filters import parse_filter
from local.emulator.status import Code
from tests.unit.emulator.emulated_cloud import IMAGES, SOURCE_FOLDER, START, TARGET_FOLDER, EmulatedCloud

COMPUTE = "/compute/v1/images"


def names(cloud: EmulatedCloud, **query: str) -> list[str]:
    response = cloud.client.get(COMPUTE, params={"folderId": SOURCE_FOLDER, **query})
    assert response.status_code == 200, response.text
    return [image["name"] for image in response.json().get("images", [])]


@pytest.fixture
def three(cloud: EmulatedCloud) -> EmulatedCloud:
    for age, name in enumerate(("beta", "alpha", 'it\'s "quoted"')):
        cloud.source(name, family=name[:2], created_at=START - timedelta(days=age))
    return cloud


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name="alpha"', {"alpha"}),
        (" name = 'alpha' ", {"alpha"}),
        ('name!="alpha"', {"beta", 'it\'s "quoted"'}),
        ('name IN ("alpha", "beta")', {"alpha", "beta"}),
        ("name NOT IN ('alpha','beta')", {'it\'s "quoted"'}),
        ('name="it\'s \\"quoted\\""', {'it\'s "quoted"'}),
        ("name='it\\'s \"quoted\"'", {'it\'s "quoted"'}),
        ('name != "alpha" AND name != "beta"', {'it\'s "quoted"'}),
        ('name IN ("alpha", "beta") AND family="be" AND status="READY"', {"beta"}),
        ('Image.name="alpha"', {"alpha"}),
        ('name="none"', set()),
        ("", {"alpha", "beta", 'it\'s "quoted"'}),
    ],
)
def test_filters(three: EmulatedCloud, text: str, expected: set[str]) -> None:
    assert set(names(three, filter=text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name=alpha",
        'name="alpha',
        'name="a" AND',
        'name="a" ANDname="b"',
        'name="a" OR name="b"',
        'name IN "a"',
        "name IN ()",
        'name~"a"',
        'labels.a="b"',
        "x" * 1001,
    ],
)
def test_filters_that_are_refused(three: EmulatedCloud, text: str) -> None:
    response = three.client.get(COMPUTE, params={"folderId": SOURCE_FOLDER, "filter": text})
    assert (response.status_code, response.json()["code"]) == (400, Code.INVALID_ARGUMENT)


def test_desktop_images_are_filtered_by_name_alone(cloud: EmulatedCloud) -> None:
    cloud.finished_copy()
    params = {"folderId": TARGET_FOLDER, "filter": 'name="win11"'}
    [image] = cloud.client.get(IMAGES, params=params).json()["desktopImages"]
    assert image["name"] == "win11"
    assert cloud.client.get(IMAGES, params=params | {"filter": 'status="ACTIVE"'}).status_code == 400


@given(st.text(max_size=20))
def test_every_value_can_be_quoted(value: str) -> None:
    for quote in "\"'":
        escaped = value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
        [condition] = parse_filter(f"name={quote}{escaped}{quote}", ["name"])
        assert condition.values == {value}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", ["alpha", "beta", 'it\'s "quoted"']),
        ("name desc", ['it\'s "quoted"', "beta", "alpha"]),
        ("createdAt desc", ["beta", "alpha", 'it\'s "quoted"']),
        ("created_at asc", ['it\'s "quoted"', "alpha", "beta"]),
    ],
)
def test_orders(three: EmulatedCloud, order: str, expected: list[str]) -> None:
    assert names(three, orderBy=order) == expected


def test_without_an_order_compute_images_come_by_id(three: EmulatedCloud) -> None:
    by_id = sorted(three.world.compute_images(), key=lambda image: image.id)
    assert names(three) == [image.name for image in by_id]


@pytest.mark.parametrize("order", ["size", "name up", "name desc desc", "n" * 101])
def test_orders_that_are_refused(three: EmulatedCloud, order: str) -> None:
    response = three.client.get(COMPUTE, params={"folderId": SOURCE_FOLDER, "orderBy": order})
    assert response.status_code == 400


def pages(cloud: EmulatedCloud, path: str, **query: str) -> list[Any]:
    found, token = [], ""
    while True:
        answer = cloud.client.get(path, params={**query, "pageToken": token}).json()
        found.append(answer)
        if not (token := answer.get("nextPageToken", "")):
            return found


def test_pages_hold_everything_once(cloud: EmulatedCloud) -> None:
    expected = {cloud.source(f"image-{number}").id for number in range(7)}
    listed = pages(cloud, COMPUTE, folderId=SOURCE_FOLDER, pageSize="3")
    ids = [image["id"] for page in listed for image in page["images"]]
    assert [len(page["images"]) for page in listed] == [3, 3, 1]
    assert sorted(ids) == sorted(expected)


def test_a_page_token_belongs_to_its_query_and_survives_deletions(cloud: EmulatedCloud) -> None:
    for number in range(3):
        cloud.source(f"image-{number}")
    query = {"folderId": SOURCE_FOLDER, "orderBy": "name", "pageSize": "1"}
    token = cloud.client.get(COMPUTE, params=query).json()["nextPageToken"]
    cloud.world.remove_compute_image(cloud.world.compute_images()[1].id)

    for wrong in ({"orderBy": "id"}, {"filter": 'name="image-2"'}, {"folderId": "b1gother"}, {"pageToken": "made-up"}):
        assert cloud.client.get(COMPUTE, params=query | {"pageToken": token} | wrong).status_code == 400
    rest = cloud.client.get(COMPUTE, params=query | {"pageToken": token, "pageSize": "10"}).json()
    assert [image["name"] for image in rest["images"]] == ["image-2"]


@pytest.mark.parametrize("size", ["-1", "1001", "many", "1.5"])
def test_page_sizes_that_are_refused(cloud: EmulatedCloud, size: str) -> None:
    assert cloud.client.get(COMPUTE, params={"folderId": SOURCE_FOLDER, "pageSize": size}).status_code == 400


@pytest.mark.parametrize(("size", "expected"), [("", 100), ("0", 100), ("1000", 101)])
def test_the_default_page_holds_a_hundred(cloud: EmulatedCloud, size: str, expected: int) -> None:
    for _ in range(101):
        cloud.source()
    assert len(names(cloud, pageSize=size)) == expected


def test_list_leaves_labels_out_unless_told_otherwise(cloud: EmulatedCloud) -> None:
    image_id = cloud.finished_copy(labels={"a": "b"})
    listed = {image["id"]: image for image in cloud.call("GET", f"{IMAGES}?folderId={TARGET_FOLDER}")["desktopImages"]}
    assert "labels" not in listed[image_id]
    assert cloud.call("GET", f"{IMAGES}/{image_id}")["labels"] == {"a": "b"}

    generous = EmulatedCloud(list_includes_labels=True)
    image_id = generous.finished_copy(labels={"a": "b"})
    listed = generous.call("GET", f"{IMAGES}?folderId={TARGET_FOLDER}")["desktopImages"]
    assert {"a": "b"} in [image.get("labels") for image in listed]


def test_list_needs_a_folder(cloud: EmulatedCloud) -> None:
    assert cloud.call("GET", IMAGES, status=400)["details"][0]["fieldViolations"][0]["field"] == "folder_id"


def test_the_latest_image_of_a_family_is_a_ready_one(cloud: EmulatedCloud) -> None:
    cloud.source("old", family="f", created_at=START - timedelta(days=2))
    cloud.source("new", family="f", created_at=START - timedelta(days=1))
    cloud.source("unfinished", family="f", status="CREATING")
    path = f"{COMPUTE}:latestByFamily?folderId={SOURCE_FOLDER}&family="
    assert cloud.call("GET", f"{path}f")["name"] == "new"
    assert cloud.call("GET", f"{path}g", status=404)["code"] == Code.NOT_FOUND
    assert cloud.call("GET", path, status=400)["code"] == Code.INVALID_ARGUMENT
