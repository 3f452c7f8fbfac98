"""Serve the emulated Yandex APIs on 127.0.0.1 until SIGTERM or SIGINT: `python -m local.emulator --port 8080`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from local.emulator.faults import Fault, Faults
from local.emulator.http import EmulatorServer
from local.emulator.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator; returns the exit status."""
    options = _parser().parse_args(arguments)
    world = World(
        copy_seconds=options.copy_seconds,
        quota_images=options.quota_images,
        quota_bytes=options.quota_bytes,
        max_active_operations=options.max_active_operations,
        static_token=os.environ.get("YC_TOKEN"),
    )
    add_first_images(world, options.folder)
    if options.service_account_key:
        write_key(options.service_account_key, world.issue_service_account_key())
    faults = Faults(*options.faults)
    faults.randomise(options.fault_rate, options.seed)
    server = EmulatorServer(world, options.port, faults)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server.start()
    except OSError as error:
        sys.stderr.write(f"Port {options.port} of 127.0.0.1 cannot be used: {error.strerror}. Choose another --port.\n")
        return 1
    sys.stdout.write(f"emulator listening on {server.url}\n")
    sys.stdout.flush()
    stop.wait()
    server.stop()
    return 0


def add_first_images(world: World, folder_id: str) -> None:
    """Create three compute images to begin with: two of one family that carry a label, one of another."""
    for name in ("win11-office-20260801", "win11-office-20260901"):
        world.add_compute_image(
            folder_id=folder_id,
            name=name,
            family="win11-office",
            labels={"cloud-desktop": "true"},
            description="Windows 11",
        )
    world.add_compute_image(folder_id=folder_id, name="build-agent-7", family="build-agent")


def write_key(path: Path, key: dict[str, str]) -> None:
    """Write an authorized key where only the owner can read it, over whatever is there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        json.dump(key, file, indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.emulator", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--folder", default="b1gsource", help="folder that starts with a few compute images")
    parser.add_argument("--copy-seconds", type=float, default=3.0, help="how long a copy runs")
    parser.add_argument("--quota-images", type=int, default=8, help="desktop images per cloud")
    parser.add_argument("--quota-bytes", type=int, default=2**40, help="their total size")
    parser.add_argument("--max-active-operations", type=int, default=15, help="operations that may run at once")
    parser.add_argument(
        "--service-account-key", type=Path, metavar="PATH", help="write an authorized key there, accept it"
    )
    parser.add_argument(
        "--faults",
        type=_fault,
        action="append",
        default=[],
        metavar="KIND[,FIELD=VALUE...]",
        help="a fault to play, for example 'reset_after,route=POST images:copy,times=2'; may be repeated",
    )
    parser.add_argument("--fault-rate", type=_rate, default=0.0, help="share of requests that meet a random fault")
    parser.add_argument("--seed", type=int, default=0, help="of the random faults")
    return parser


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, is {text}")
    return rate


if __name__ == "__main__":
    sys.exit(main())
