"""Selection: which routes take an image, and the one sentence that says why the others do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_pipeline.policy import Policy, parse_policy
from image_pipeline.selection import Decision, decide


@dataclass(frozen=True)
class Image:
    id: str = "fd8computeimage00001"
    folder_id: str = "b1gsource"
    name: str = "win11-20260801"
    family: str = "win11-office"
    labels: Mapping[str, str] = field(default_factory=dict)
    status: str = "READY"
    created_at: datetime | None = datetime(2026, 8, 1, 9, 55, tzinfo=UTC)


def policy(*sources: Mapping[str, Any]) -> Policy:
    routes = [
        {
            "name": f"route-{number}",
            "source": {"folder_id": "b1gsource", **source},
            "target": {"folder_id": "b1gtarget"},
        }
        for number, source in enumerate(sources, 1)
    ]
    return parse_policy(json.dumps({"routes": routes}))


def decision(image: Image, **source: Any) -> Decision:
    [only] = decide(image, policy(source))
    return only


def test_an_image_may_be_taken_by_several_routes_in_the_policys_order() -> None:
    decisions = decide(Image(), policy({}, {"family": "ubuntu-*"}, {"family": "win11-*", "name": "*2026*"}))

    assert [(d.route, d.selected, d.reason) for d in decisions] == [
        ("route-1", True, "selected by route route-1"),
        ("route-2", False, "family 'win11-office' does not match 'ubuntu-*'"),
        ("route-3", True, "selected by route route-3"),
    ]


@pytest.mark.parametrize(
    ("image", "source", "reason"),
    [
        (Image(folder_id="b1gother"), {}, "folder b1gother is not b1gsource"),
        (Image(family=""), {"family": "win*"}, "family '' does not match 'win*'"),
        (Image(family="Win11"), {"family": "win*"}, "family 'Win11' does not match 'win*'"),
        (Image(family="win11-office-old"), {"family": "win11-office"}, "does not match 'win11-office'"),
        (Image(name="test-1"), {"name": "[!t]*"}, "name 'test-1' does not match '[!t]*'"),
        (Image(), {"labels": {"vdi": "true"}}, "label vdi is missing"),
        (Image(labels={"vdi": "no"}), {"labels": {"vdi": "true"}}, "label vdi is 'no', not 'true'"),
        (Image(labels={"vdi": ""}), {"labels": {"vdi": "true"}}, "label vdi is '', not 'true'"),
        (Image(labels={"a": "1"}), {"labels": {"a": "1", "b": "2"}}, "label b is missing"),
        (
            Image(),
            {"since": "2026-08-01T09:55:00.5Z"},
            "created 2026-08-01T09:55:00+00:00, before 2026-08-01T09:55:00.500000+00:00",
        ),
        (Image(created_at=None), {"since": "2026-08-01T00:00:00Z"}, "created at an unknown time, before 2026-08-01T00"),
    ],
)
def test_the_first_rule_that_does_not_hold_is_the_reason(image: Image, source: dict[str, Any], reason: str) -> None:
    decided = decision(image, **source)

    assert not decided.selected
    assert reason in decided.reason


@pytest.mark.parametrize(
    ("image", "source"),
    [
        (Image(family="", name=""), {}),
        (Image(family="win11-office"), {"family": "win1[01]-*"}),
        (Image(family="a.b"), {"family": "a?b"}),
        (Image(labels={"a": "1", "b": "2", "c": "3"}), {"labels": {"a": "1", "b": "2"}}),
        (Image(), {"since": "2026-08-01T09:55:00Z"}),
        (Image(created_at=None), {}),
        (Image(status="CREATING"), {}),
    ],
)
def test_an_image_is_taken_where_every_rule_holds(image: Image, source: dict[str, Any]) -> None:
    assert decision(image, **source).selected


WORDS = st.sampled_from(["", "win11", "win11-office", "ubuntu", "Win11", "*"])
PATTERNS = st.sampled_from(["*", "win*", "*office", "?*", "ubuntu", "[uw]*", "[*]"])
LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2"]))


@given(
    st.builds(
        Image,
        folder_id=st.sampled_from(["b1gsource", "b1gother"]),
        name=WORDS,
        family=WORDS,
        labels=LABELS,
        created_at=st.none() | st.sampled_from([datetime(2026, 8, day, tzinfo=UTC) for day in (1, 2, 3)]),
    ),
    st.fixed_dictionaries({"family": PATTERNS, "name": PATTERNS, "labels": LABELS}),
    st.none() | st.just("2026-08-02T00:00:00Z"),
)
def test_a_route_takes_what_all_its_rules_allow(image: Image, source: dict[str, Any], since: str | None) -> None:
    decided = decision(image, **source, since=since)

    young = image.created_at is not None and image.created_at.day >= 2
    assert decided.selected == all(
        (
            image.folder_id == "b1gsource",
            fnmatchcase(image.family, source["family"]),
            fnmatchcase(image.name, source["name"]),
            source["labels"].items() <= image.labels.items(),
            since is None or young,
        )
    )
    assert decided.reason
    assert decided.reason.startswith("selected") == decided.selected


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_since_is_the_first_instant_that_counts(moment: datetime) -> None:
    image = Image(created_at=moment)

    assert decision(image, since=moment.isoformat()).selected
    assert not decision(
        replace(image, created_at=moment - timedelta(microseconds=1)), since=moment.isoformat()
    ).selected


def test_a_policy_without_routes_decides_nothing() -> None:
    assert decide(Image(), policy()) == []
