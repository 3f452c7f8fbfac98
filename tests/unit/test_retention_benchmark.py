"""The benchmark runs, and compares with something that does less but not nothing."""

from __future__ import annotations

import pytest

from benchmarks.plan_cleanup import NOW, main, policy, simplest, world
from image_pipeline.retention import plan_cleanup


def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(many=2000, few=500) in {0, 1}
    printed = capsys.readouterr().out
    assert "2,000 images, 20 families" in printed
    assert "bytes an image held" in printed


def test_the_simplest_way_deletes_what_is_not_ours() -> None:
    images, copies = world(2000, families=1)

    going = {image.id for image in simplest(images)}
    planned = {judgement.image_id for judgement in plan_cleanup(images, copies, policy(), NOW).to_delete}

    assert planned <= going
    assert going - planned
