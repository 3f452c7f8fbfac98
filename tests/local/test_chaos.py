"""A small run of `make chaos`: real processes under the real runtime client, killed while a fifth of all calls fail."""

from __future__ import annotations

from local.chaos import run_chaos
from local.emulator.faults import SURVIVABLE

# An operation that fails is tried again after a minute, which is for the long run.
QUICK = [fault for fault in SURVIVABLE if fault.kind not in {"operation_fails", "error_before_done"}]


def test_killed_processes_faulty_calls_and_double_deliveries_lose_nothing_and_copy_nothing_twice() -> None:
    outcome = run_chaos(images=6, fault_rate=0.2, kill_every=3.0, seed=1, limit=100.0, menu=QUICK)

    assert outcome.good, outcome.report()
    assert outcome.kills
    assert sum(outcome.faults.values()) > 10
