"""`make run`, as a whole and with an event of its own; the exit status is the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import run

EVENTS = Path(__file__).parent.parent.parent / "events"


def test_the_whole_job_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([]) == 0

    last = capsys.readouterr().out.splitlines()[-1]
    assert "done: 3 of 3 expected copies ACTIVE, 1 old image retired, 0 copied twice, 0 copied unexpectedly" in last


@pytest.mark.parametrize("event", ["aws-sqs-sns-s3-notification", "yandex-cloud-logging"])
def test_an_event_of_ones_own_ends_the_same_way(event: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--event", str(EVENTS / f"{event}.json")]) == 0

    assert "1 of 1 expected copies ACTIVE" in capsys.readouterr().out
