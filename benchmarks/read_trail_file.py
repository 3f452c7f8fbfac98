"""How long a trail file of 50 MB with 100,000 records takes to read, and what memory the whole process needs for it.

    python -m benchmarks.read_trail_file

Compared with `json.load`, the simplest thing that one would write. Each way runs in a process of its own that has
imported what the function imports, so the memory is that of the function. Exit status 1 if the function's way needs
200 MB or a tenth of the function's timeout of 300 s.
"""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

MEGABYTE = 1_000_000
RECORDS, SIZE = 100_000, 50 * MEGABYTE
MEMORY_ALLOWED = 200 * MEGABYTE
SECONDS_ALLOWED = 30.0
CREATED_EVERY = 5000
"""One record of so many announces an image, the others are what a busy cloud writes beside it."""


class Measured(NamedTuple):
    """What one way of reading found and cost; `peak` is the process's resident memory in bytes."""

    found: dict[str, int]
    seconds: float
    peak: int


def write_trail_file(path: Path, *, records: int = RECORDS, size: int = SIZE, packed: bool = False) -> None:
    """Write a JSON array of so many records and so many bytes, one record at a time."""
    with gzip.open(path, "wb", compresslevel=6) if packed else path.open("wb") as opened:
        file = cast("IO[bytes]", opened)
        file.write(b"[")
        for number in range(records):
            bare = json.dumps(_record(number, "")).encode()
            room = size // records - len(bare) - 1
            file.write((b"," if number else b"") + json.dumps(_record(number, "x" * max(room, 0))).encode())
        file.write(b"]")


def _record(number: int, filling: str) -> dict[str, Any]:
    created = number % CREATED_EVERY == 0
    return {
        "event_id": f"cnpevent{number:012}",
        "event_source": "compute",
        "event_type": "yandex.cloud.audit.compute." + ("CreateImage" if created else "UpdateInstance"),
        "event_time": "2026-08-01T09:55:00Z",
        "authentication": {"authenticated": True, "subject_type": "SERVICE_ACCOUNT", "subject_id": "ajepacker"},
        "authorization": {"authorized": True},
        "event_status": "DONE",
        "details": {"image_id": f"fd8image{number:012}"} if created else {"instance_id": f"fhm{number:017}"},
        "request_parameters": {"description": filling},
    }


def read_as_the_function_does(file: IO[bytes]) -> Counter[str]:
    from image_pipeline.events import read_audit_records  # noqa: PLC0415 - in the measured process alone
    from image_pipeline.trail_files import TrailFiles  # noqa: PLC0415 - in the measured process alone

    class Bucket:
        def get_object(self, **_: str) -> dict[str, Any]:
            return {"Body": file}

    bucket: Any = Bucket()
    found: Counter[str] = Counter()
    for image_id, reason in read_audit_records(TrailFiles(lambda: bucket).records("bucket", "key")):
        found["announced" if image_id else reason] += 1
    return found


def read_at_once(file: IO[bytes]) -> Counter[str]:
    from image_pipeline.events import read_audit_records  # noqa: PLC0415 - in the measured process alone

    return Counter("announced" if image_id else reason for image_id, reason in read_audit_records(json.load(file)))


def read_at_once_gzip(file: IO[bytes]) -> Counter[str]:
    return read_at_once(cast("IO[bytes]", gzip.GzipFile(fileobj=file)))


WAYS: dict[str, Callable[[IO[bytes]], Counter[str]]] = {
    "function": read_as_the_function_does,
    "json.load": read_at_once,
    "json.load gzip": read_at_once_gzip,
}


def measure(way: str, path: Path) -> Measured:
    """Read the file in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), way, str(path)], capture_output=True, text=True, check=True
    )
    return Measured(**json.loads(done.stdout))


def _measured_process(way: str, path: str) -> None:
    import image_pipeline.app  # noqa: F401, PLC0415 - what the function has in memory before any file

    with Path(path).open("rb") as file:
        started = time.perf_counter()
        found = WAYS[way](file)
        seconds = time.perf_counter() - started
    print(json.dumps(Measured(dict(found), seconds, _peak_memory())._asdict()))


def _peak_memory() -> int:
    """Return the most bytes this process had resident: on Linux since it was started, not since its parent was."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def main(records: int = RECORDS, size: int = SIZE) -> int:
    print(f"{records:,} records, {size / MEGABYTE:.0f} MB; peak memory of the whole process")
    print(f"{'':24}{'seconds':>9}{'MB':>8}")
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for packed, simple in ((False, "json.load"), (True, "json.load gzip")):
            path = Path(folder) / ("trail.json.gz" if packed else "trail.json")
            write_trail_file(path, records=records, size=size, packed=packed)
            streamed, at_once = measure("function", path), measure(simple, path)
            if streamed.found != at_once.found:
                raise AssertionError(f"{streamed.found} and {at_once.found} differ")
            for name, cost in ((f"function{' gzip' * packed}", streamed), (simple, at_once)):
                print(f"{name:24}{cost.seconds:>9.2f}{cost.peak / MEGABYTE:>8.0f}")
            ratios = streamed.seconds / at_once.seconds, streamed.peak / at_once.peak
            print(f"{'  function : json.load':24}{ratios[0]:>9.2f}{ratios[1]:>8.2f}")
            measured.append(streamed)
    kept = all(cost.peak < MEMORY_ALLOWED and cost.seconds < SECONDS_ALLOWED for cost in measured)
    print(
        f"{'kept' if kept else 'BROKEN'}: under {MEMORY_ALLOWED / MEGABYTE:.0f} MB and under {SECONDS_ALLOWED:.0f} s, "
        "a tenth of the function's timeout"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _measured_process(*sys.argv[1:])
    else:
        sys.exit(main())
