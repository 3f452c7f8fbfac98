"""IMAGE_POLICY: what is written holds, and what cannot hold is refused with a sentence that names the key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop import ConfigurationError
from image_pipeline.naming import render_name
from image_pipeline.policy import Policy, check_template, parse_policy
from tests.unit.test_naming import Image

EXAMPLE: dict[str, Any] = {
    "routes": [
        {
            "name": "office",
            "source": {
                "folder_id": "b1gsource",
                "family": "win11-*",
                "name": "*",
                "labels": {"cloud-desktop": "true"},
            },
            "target": {
                "folder_id": "b1gtarget",
                "name": "{name}",
                "labels": {"channel": "stable"},
                "description": "from {id}",
            },
            "retention": {
                "keep_last": 3,
                "min_age_days": 7,
                "max_age_days": None,
                "max_deletions": 3,
                "pinned": ["fd8..."],
            },
        }
    ],
    "quota": {"images": 8, "bytes": 1099511627776},
    "cleanup": "plan",
}


def policy(path: str = "", value: object = None) -> str:
    """The example, with one value of it replaced: `routes.0.name`."""
    changed = json.loads(json.dumps(EXAMPLE))
    *parents, last = path.split(".") if path else ("unchanged",)
    place = changed
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if path:
        place[last] = value
    return json.dumps(changed)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_policy(text)
    prefix, _, sentence = str(caught.value).partition(": ")
    assert prefix == "IMAGE_POLICY is not a valid image policy"
    return sentence


def test_the_example_of_the_design_is_read_whole() -> None:
    read = parse_policy(json.dumps(EXAMPLE))

    [route] = read.routes
    assert (route.source.family, route.source.labels) == ("win11-*", {"cloud-desktop": "true"})
    assert (route.target.folder_id, route.target.description) == ("b1gtarget", "from {id}")
    assert (route.retention.keep_last, route.retention.max_age_days, route.retention.pinned) == (3, None, ("fd8...",))
    assert (read.quota.images, read.quota.bytes, read.cleanup) == (8, 2**40, "plan")
    assert parse_policy(read.model_dump_json()) == read


def test_what_is_left_out_has_its_default() -> None:
    read = parse_policy('{"routes": [{"name": "a", "source": {"folder_id": "f"}, "target": {"folder_id": "g"}}]}')

    [route] = read.routes
    assert route.source.model_dump() == {"folder_id": "f", "family": "*", "name": "*", "labels": {}, "since": None}
    assert route.target.model_dump() == {"folder_id": "g", "name": "{name}", "labels": {}, "description": ""}
    assert route.retention.model_dump() == {
        "keep_last": 3,
        "min_age_days": 7,
        "max_age_days": None,
        "floor": 1,
        "max_deletions": 3,
        "pinned": (),
    }
    assert route.deadline_hours == 12
    assert (read.quota.images, read.quota.bytes, read.cleanup) == (8, 2**40, "plan")


@pytest.mark.parametrize("place", ["routes.0", "routes.0.source", "routes.0.target", "routes.0.retention", "quota", ""])
def test_an_unknown_key_is_an_error_that_names_it(place: str) -> None:
    path = f"{place}.folderId" if place else "folderId"

    assert refusal(policy(path, "b1g")) == f"{path}: no such key; remove or correct it"


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("routes", None, "Input should be a valid"),
        ("routes.0.name", "Office", "String should match pattern"),
        ("routes.0.name", "", "String should match pattern"),
        ("routes.0.name", "o" * 64, "String should match pattern"),
        ("routes.0.name", "office\n", "String should match pattern"),
        ("routes.0.deadline_hours", 0, "greater than 0"),
        ("routes.0.deadline_hours", 721, "less than or equal to 720"),
        ("routes.0.deadline_hours", True, "must be a number, not true or false"),
        ("routes.0.source", {}, "folder_id: Field required"),
        ("routes.0.source.folder_id", "", "at least 1 character"),
        ("routes.0.source.folder_id", "f" * 51, "at most 50 characters"),
        ("routes.0.source.family", "", "at least 1 character"),
        ("routes.0.source.name", 7, "valid string"),
        ("routes.0.source.labels", {"a": 1}, "a: Input should be a valid string"),
        ("routes.0.source.since", "2026-08-01T00:00:00", "timezone"),
        ("routes.0.source.since", "yesterday", "valid datetime"),
        ("routes.0.source.since", 2026, "must be an instant such as 2026-08-01T00:00:00Z"),
        ("routes.0.target.folder_id", None, "valid string"),
        ("routes.0.target.name", "", "at least 1 character"),
        ("routes.0.target.name", "n" * 201, "at most 200 characters"),
        ("routes.0.target.name", "{size}", "unknown field {size}; the fields are {name}, {family}"),
        ("routes.0.target.name", "{}", "unknown field {}"),
        ("routes.0.target.name", "{name.upper}", "unknown field {name.upper}"),
        ("routes.0.target.name", "{name!r}", "field {name} takes no format"),
        ("routes.0.target.name", "{id:>60}", "field {id} takes no format"),
        ("routes.0.target.name", "{name", "cannot be read: expected '}'"),
        ("routes.0.target.name", "{created:{size}}", "holds another field"),
        ("routes.0.target.name", "{created:%n}", "gives unprintable text"),
        ("routes.0.target.name", "a\nb", "printable characters only"),
        ("routes.0.target.labels", {"Channel": "x"}, "label key 'Channel' must be 1 to 63 characters of a-z"),
        ("routes.0.target.labels", {"channel": "X.1"}, "value 'X.1' of label 'channel' must be at most 63"),
        ("routes.0.target.labels", {f"l{n}": "" for n in range(60)}, "holds 60 labels; at most 59 fit"),
        ("routes.0.target.description", "{nope}", "unknown field {nope}"),
        ("routes.0.target.description", "d" * 501, "at most 500 characters"),
        ("routes.0.retention.keep_last", 0, "greater than or equal to 1"),
        ("routes.0.retention.keep_last", True, "must be a number, not true or false"),
        ("routes.0.retention.keep_last", 1.5, "valid integer"),
        ("routes.0.retention.floor", 0, "greater than or equal to 1"),
        ("routes.0.retention.min_age_days", -1, "greater than or equal to 0"),
        ("routes.0.retention.min_age_days", False, "must be a number, not true or false"),
        ("routes.0.retention.max_age_days", "old", "valid number"),
        ("routes.0.retention.max_deletions", -1, "greater than or equal to 0"),
        ("routes.0.retention.pinned", "fd8", "valid array"),
        ("quota.images", -1, "greater than or equal to 0"),
        ("quota.bytes", "much", "valid integer"),
        ("cleanup", "Apply", "Input should be 'plan' or 'apply'"),
        ("cleanup", True, "Input should be 'plan' or 'apply'"),
    ],
)
def test_a_bad_value_is_an_error_that_names_its_key_and_the_rule(path: str, value: object, rule: str) -> None:
    sentence = refusal(policy(path, value))

    assert sentence.startswith(path)
    assert rule in sentence


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", "\ufeff{}", "\udc80", "[" * 100_000, '{"routes": NaN}'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    assert refusal(text).startswith(("the document: ", "routes: "))


@given(st.recursive(st.none() | st.text() | st.floats(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)))
def test_no_json_raises_anything_else(value: object) -> None:
    assert refusal(json.dumps(value))


def test_a_key_given_twice_is_refused_since_one_of_them_would_not_hold() -> None:
    pins = '"pinned": ["fd8a"], "keep_last": 3, "pinned": ["fd8b"]'
    route = f'{{"name": "a", "source": {{"folder_id": "f"}}, "target": {{"folder_id": "g"}}, "retention": {{{pins}}}}}'

    assert refusal(f'{{"routes": [{route}]}}') == "pinned: given twice; keep one"


def test_two_routes_of_one_name_are_refused() -> None:
    assert refusal(policy("routes", EXAMPLE["routes"] * 2)) == (
        "routes: two routes are named 'office'; give each its own name"
    )


def test_several_mistakes_are_told_at_once() -> None:
    text = json.dumps({"routes": [{"name": "A", "source": {}, "target": {}}], "clean": 1})

    assert [problem.split(": ")[0] for problem in refusal(text).split("; ")[:4]] == [
        "routes.0.name",
        "routes.0.source.folder_id",
        "routes.0.target.folder_id",
        "clean",
    ]


@given(
    st.text("{}!:.[]%Ynameidcretd 0", max_size=30)
    | st.lists(
        st.sampled_from(["{name}", "{created:%", "%Y", "%d", "%%", "}", "{id}", "{created", ":", "{{", "{created!s}"])
    ).map("".join)
)
def test_a_template_that_is_accepted_can_be_rendered(template: str) -> None:
    try:
        check_template(template)
    except ValueError:
        return
    assert render_name(template, Image())


def test_a_route_is_found_by_its_name() -> None:
    read = parse_policy(policy())

    assert read.route("office") is read.routes[0]
    assert read.route("gone") is None
    assert read.route(None) is None
    assert read.target_folders == ("b1gtarget",)


def test_the_digest_of_a_route_changes_with_its_idea_of_a_copy_and_not_with_retention() -> None:
    def digest(path: str = "", value: object = None) -> str:
        return parse_policy(policy(path, value)).routes[0].digest

    assert digest() == digest("routes.0.retention.keep_last", 9)
    assert len({digest(), digest("routes.0.target.name", "x"), digest("routes.0.source.family", "*")}) == 3


def test_an_instant_keeps_its_offset() -> None:
    [route] = parse_policy(policy("routes.0.source.since", "2026-08-01T06:00:00+06:00")).routes

    assert route.source.since == datetime(2026, 8, 1, tzinfo=UTC)


def test_every_key_has_a_description() -> None:
    schema = Policy.model_json_schema()
    for model in [schema, *schema["$defs"].values()]:
        for name, field in model["properties"].items():
            assert field.get("description") or "$ref" in field, f"{model['title']}.{name} is not described"
