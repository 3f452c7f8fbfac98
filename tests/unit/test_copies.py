"""The copy: what the API shows of it, and the ids that make repeating harmless."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from image_pipeline.copies import Copy, State, Step, answer, digest_uuid, idempotency_key, notice_id

NOW = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)


def a_copy(**changes: Any) -> Copy:
    return Copy(
        **{
            "folder_id": "b1gtarget",
            "image_id": "fd8computeimage00001",
            "name": "win11-pmmto6kc",
            "state": State.ACTIVE,
            "reason": "image e3v1 is ACTIVE",
            "created_at": NOW,
            "updated_at": NOW,
            "since": NOW,
            "deadline_seconds": 43200,
            **changes,
        }
    )


def test_a_copy_is_found_by_folder_and_image() -> None:
    assert a_copy().key == ("b1gtarget", "fd8computeimage00001")
    assert a_copy().correlation_id == "b1gtarget/fd8computeimage00001"


def test_the_answer_has_what_is_known_in_camel_case_and_no_more() -> None:
    assert answer(a_copy(generation=2, step=None)) == {
        "folderId": "b1gtarget",
        "imageId": "fd8computeimage00001",
        "name": "win11-pmmto6kc",
        "state": "ACTIVE",
        "reason": "image e3v1 is ACTIVE",
        "generation": 2,
        "createdAt": "2026-08-01T10:00:00Z",
        "updatedAt": "2026-08-01T10:00:00Z",
    }
    later = {"route": "office", "desktop_image_id": "e3v1", "operation_id": "op1", "finished_at": NOW}
    assert answer(a_copy(**later)).keys() - answer(a_copy()).keys() == {
        "route",
        "desktopImageId",
        "operationId",
        "finishedAt",
    }


@pytest.mark.parametrize("state", State)
def test_a_state_is_pending_or_has_ended(state: State) -> None:
    waiting = state.name.startswith("WAITING") or state in {State.COPYING, State.RETIRING}

    assert state.is_pending == waiting


STEPS = st.none() | st.sampled_from(Step)


@given(STEPS, st.integers(1, 99), st.text(max_size=20))
def test_a_key_is_a_version_4_uuid_that_only_the_intention_changes(
    step: Step | None, generation: int, name: str
) -> None:
    copy = a_copy(step=step, generation=generation, name=name)
    key = idempotency_key(copy)

    assert (key.version, key.variant) == (4, uuid.RFC_4122)
    same = {"seq": 9, "version": 9, "state": State.COPYING, "reason": "x", "updated_at": NOW + timedelta(days=1)}
    assert idempotency_key(copy.model_copy(update=same)) == key
    for change in ({"generation": generation + 1}, {"name": name + "x"}, {"folder_id": "b1g2"}, {"image_id": "fd82"}):
        assert idempotency_key(copy.model_copy(update=change)) != key


def test_copying_labelling_and_deleting_are_three_intentions() -> None:
    keys = {
        idempotency_key(a_copy(step=step, desktop_image_id="e3v1")) for step in (Step.SUBMIT, Step.LABEL, Step.DELETE)
    }

    assert len(keys) == 3
    assert idempotency_key(a_copy(step=Step.FIND_BY_NAME)) == idempotency_key(a_copy(step=Step.SUBMIT))
    assert idempotency_key(a_copy(step=Step.DELETE, desktop_image_id="e3v1")) != idempotency_key(
        a_copy(step=Step.DELETE, desktop_image_id="e3v2")
    )


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_parts_give_different_ids(one: list[str], other: list[str]) -> None:
    assume(one != other)

    assert digest_uuid(*one) != digest_uuid(*other)


def test_a_repeated_notice_has_the_id_of_the_first() -> None:
    first = notice_id(a_copy())

    assert first.version == 4
    assert notice_id(a_copy(version=5, notice_due=True, updated_at=NOW + timedelta(hours=1))) == first
    assert notice_id(a_copy(state=State.FAILED)) != first
    assert notice_id(a_copy(generation=2)) != first
    assert notice_id(a_copy(image_id="fd8b")) != first
    assert first not in {idempotency_key(a_copy(step=step)) for step in Step}


def test_a_row_of_a_later_version_is_read() -> None:
    row = {**a_copy().model_dump(mode="json"), "brand_new": 1}

    assert Copy.model_validate(row) == a_copy()
