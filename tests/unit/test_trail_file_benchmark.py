"""The benchmark of reading trail files, small: the function's memory does not grow with the file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.read_trail_file import CREATED_EVERY, MEGABYTE, MEMORY_ALLOWED, main, measure, write_trail_file


def test_four_times_the_file_takes_hardly_more_memory(tmp_path: Path) -> None:
    peaks = []
    for records in (5000, 20_000):
        path = tmp_path / "trail.json"
        write_trail_file(path, records=records, size=records * 500)
        found, _, peak = measure("function", path)
        assert found == {"announced": records // CREATED_EVERY, "other event type": records - records // CREATED_EVERY}
        peaks.append(peak)

    assert peaks[1] - peaks[0] < 3 * MEGABYTE, "the larger file is 7.5 MB larger"
    assert max(peaks) < MEMORY_ALLOWED


def test_the_benchmark_runs_and_says_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(records=2000, size=MEGABYTE) == 0

    printed = capsys.readouterr().out
    assert "2,000 records, 1 MB" in printed
    assert "function : json.load" in printed
    assert "kept: under 200 MB and under 30 s" in printed


@pytest.mark.parametrize("packed", [True, False])
def test_the_file_has_the_size_and_the_records_that_were_asked_for(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "trail.json"
    write_trail_file(path, records=100, size=60_000, packed=packed)

    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    assert len(content) == pytest.approx(60_000, rel=0.01)
    assert len(json.loads(content)) == 100
