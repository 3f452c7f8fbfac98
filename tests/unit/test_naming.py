"""Names, labels and descriptions: within the service's limits, the same every time, never those of another source."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from image_pipeline.naming import (
    MANAGED_BY,
    OWNER,
    is_ours,
    label_value,
    provenance,
    render_description,
    render_name,
    short_id,
)
from image_pipeline.policy import check_template

LABEL_KEY = re.compile(r"[a-z][-_0-9a-z]{0,62}")
LABEL_VALUE = re.compile(r"[-_0-9a-z]{0,63}")
IDS = st.from_regex(r"fd8[0-9a-v]{1,47}", fullmatch=True)
TEXTS = st.text(max_size=70) | st.from_regex(r"[a-z][-_a-z0-9]{0,62}", fullmatch=True)


@dataclass(frozen=True)
class Image:
    id: str = "fd8computeimage00001"
    name: str = "win11-20260801"
    family: str = "win11-office"
    created_at: datetime | None = datetime(2026, 8, 1, 9, 55, tzinfo=UTC)


IMAGES = st.builds(Image, IDS | st.text(max_size=50), TEXTS, TEXTS, st.none() | st.datetimes(timezones=st.just(UTC)))
FIELDS = st.sampled_from(["{name}", "{family}", "{id}", "{short_id}", "{created:%Y%m%d}", "{created}", "{{", "}}"])
TEMPLATES = st.lists(FIELDS | st.text("abc XYZ-_.()ÄЖ", max_size=12), min_size=1, max_size=5).map("".join)


@given(TEMPLATES, IMAGES)
def test_a_name_fits_is_not_empty_and_is_the_same_every_time(template: str, image: Image) -> None:
    check_template(template)
    name = render_name(template, image)

    assert 1 <= len(name) <= 50
    assert name == name.strip()
    assert name == render_name(template, replace(image))


@given(st.tuples(TEMPLATES, IMAGES), st.tuples(TEMPLATES, IMAGES))
def test_two_sources_never_have_one_name(one: tuple[str, Image], other: tuple[str, Image]) -> None:
    assume(one[1].id != other[1].id)

    assert render_name(*one) != render_name(*other)


@given(TEMPLATES, IMAGES, IDS)
def test_images_that_differ_in_nothing_but_their_id_have_different_names(
    template: str, image: Image, other_id: str
) -> None:
    assume(image.id != other_id)

    assert render_name(template, image) != render_name(template, replace(image, id=other_id))


@given(st.text("ab-", min_size=1, max_size=4), st.text("ab-", max_size=4), st.sampled_from("ab-"))
def test_no_source_takes_the_name_of_another_by_what_stands_beside_its_id(id_: str, text: str, shift: str) -> None:
    assert render_name("{id}{name}", Image(id=id_, name=shift + text)) != render_name(
        "{id}{name}", Image(id=id_ + shift, name=text)
    )
    assert render_name("{name}{id}", Image(id=shift + id_, name=text)) != render_name(
        "{name}{id}", Image(id=id_, name=text + shift)
    )


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{name}", "win11-20260801-pmmto6kc"),
        ("{name}-{short_id}", "win11-20260801-pmmto6kc"),
        ("{id}", "fd8computeimage00001"),
        ("Office {created:%d.%m.%Y} ({id})", "Office 01.08.2026 (fd8computeimage00001)"),
        ("{id}-copy", "fd8computeimage00001-copy-pmmto6kc"),
        ("{short_id}{name}", "pmmto6kcwin11-20260801-pmmto6kc"),
        ("x{id}", "xfd8computeimage00001-pmmto6kc"),
        ("{{id}}", "{id}-pmmto6kc"),
        ("a  b   ", "a b-pmmto6kc"),
        ("n" * 60, "n" * 41 + "-pmmto6kc"),
        ("{family} {family} {family} {family} {id}", "win11-office win11-office win11-office wi-pmmto6kc"),
        (" ", "image-pmmto6kc"),
        ("---", "image-pmmto6kc"),
    ],
)
def test_a_template_is_taken_at_its_word_where_its_last_word_tells_the_source(template: str, name: str) -> None:
    assert render_name(template, Image()) == name


def test_an_image_without_name_family_or_time_still_has_a_name() -> None:
    bare = Image(name="", family="", created_at=None)

    assert render_name("{name}", bare) == "image-pmmto6kc"
    assert render_name("{family}-{created:%Y}", bare) == "-1970-pmmto6kc"


@given(st.text())
def test_label_values_are_always_safe_and_safe_ones_stay_as_they_are(text: str) -> None:
    value = label_value(text)

    assert LABEL_VALUE.fullmatch(value)
    assert label_value(value) == value


@given(IMAGES, st.none() | st.text(), st.dictionaries(st.just(MANAGED_BY) | st.just("channel"), st.just("mine")))
def test_every_copy_says_whose_it_is_and_where_it_came_from(
    image: Image, route: str | None, own: dict[str, str]
) -> None:
    labels = provenance(image, route=route, labels=own)

    assert is_ours(labels)
    assert labels[MANAGED_BY] == OWNER
    assert labels["source-image"] == label_value(image.id)
    assert labels.get("channel") == own.get("channel")
    assert ("route" in labels, "source-family" in labels) == (bool(route), bool(image.family))
    assert all(LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value) for key, value in labels.items())


@given(IDS)
def test_the_id_of_the_source_can_be_read_back_from_its_label(id_: str) -> None:
    assert provenance(Image(id=id_), route=None, labels={})["source-image"] == id_


def test_images_of_others_are_not_ours() -> None:
    assert not is_ours({})
    assert not is_ours({MANAGED_BY: "terraform"})


@given(TEMPLATES, IMAGES)
def test_a_description_fits(template: str, image: Image) -> None:
    assert len(render_description(template * 5, image)) <= 1024
    assert render_description("from {id}", image) == f"from {image.id}"


def test_a_short_id_has_eight_letters_or_digits() -> None:
    assert re.fullmatch(r"[0-9a-z]{8}", short_id("fd8computeimage00001"))
