"""The ledger, on moto's DynamoDB over the wire and on the table in memory alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from image_pipeline.copies import Copy, State, Step
from image_pipeline.ledger import Ledger
from tests.rig.aws import Aws
from tests.rig.table import MemoryTable

T0 = datetime(2026, 8, 1, 10, 0, 0, 123456, tzinfo=UTC)


def row(image_id: str = "fd8a", folder_id: str = "b1gtarget", **changes: Any) -> Copy:
    fields: dict[str, Any] = {
        "folder_id": folder_id,
        "image_id": image_id,
        "name": "büro 11",
        "state": State.COPYING,
        "reason": "r",
        "step": Step.SUBMIT,
        "created_at": T0,
        "updated_at": T0,
        "since": T0,
        "deadline_seconds": 60,
        "storage_size": 2**40,
        "labels": {"a": "b"},
    }
    return Copy(**{**fields, **changes})


@pytest.fixture(params=["moto", "memory"])
def ledger(request: pytest.FixtureRequest, aws: Aws) -> Ledger:
    if request.param == "moto":
        return Ledger(aws.client("dynamodb"), aws.table())
    client: Any = MemoryTable(page=2)
    return Ledger(client, "copies")


def test_a_row_comes_back_as_it_was_stored(ledger: Ledger) -> None:
    assert ledger.get("b1gtarget", "fd8a") is None

    assert ledger.create(row())

    assert ledger.get("b1gtarget", "fd8a") == row()


def test_once_the_row_is_there_it_cannot_be_created_again(ledger: Ledger) -> None:
    ledger.create(row())

    assert not ledger.create(row(reason="second"))

    assert ledger.get("b1gtarget", "fd8a") == row()


def test_a_row_is_replaced_only_over_the_version_it_was_made_from(ledger: Ledger) -> None:
    ledger.create(row())

    assert ledger.replace(row(version=1, reason="first"), expected_version=0)
    assert not ledger.replace(row(version=1, reason="second"), expected_version=0)
    assert not ledger.replace(row("fd8missing", version=1), expected_version=0)

    stored = ledger.get("b1gtarget", "fd8a")
    assert stored is not None
    assert stored.reason == "first"


def test_copies_are_listed_whole_by_folder_and_after_a_key(ledger: Ledger) -> None:
    for folder in ("b1ga", "b1gb"):
        for number in range(5):
            ledger.create(row(f"fd8{number}", folder))
    ledger.keep_run({"madeAt": "x"}, T0)

    assert len(list(ledger.copies())) == 10
    assert [copy.image_id for copy in ledger.copies("b1gb")] == [f"fd8{number}" for number in range(5)]
    assert [copy.image_id for copy in ledger.copies("b1gb", after=("b1gb", "fd82"))] == ["fd83", "fd84"]


def test_a_snapshot_knows_this_process_own_writes_and_what_they_take_up(ledger: Ledger) -> None:
    ledger.create(row("fd8a", state=State.ACTIVE, storage_size=10))
    snapshot = ledger.snapshot()

    ledger.create(row("fd8b", operation_id="op", storage_size=5))
    ledger.replace(row("fd8a", state=State.RETIRED, version=1), expected_version=0)

    assert (snapshot.occupancy.images, snapshot.occupancy.bytes) == (1, 5)
    assert ledger.snapshot() is snapshot
    ledger.forget_snapshot()
    assert ledger.snapshot().occupancy == snapshot.occupancy


def test_the_last_runs_are_kept_newest_first(ledger: Ledger) -> None:
    for minute in range(4):
        ledger.keep_run({"run": minute}, T0.replace(minute=minute))

    assert [run["run"] for run in ledger.runs(3)] == [3, 2, 1]


def test_another_error_of_the_table_is_not_swallowed(aws: Aws) -> None:
    ledger = Ledger(aws.client("dynamodb"), "no-such-table")

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        ledger.create(row())
