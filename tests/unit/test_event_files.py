"""The files in events/: each is understood, and each is told about in the README beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from image_pipeline import batches, http_events
from image_pipeline.events import ImageAnnounced, TimerFired, TrailFileStored, read_event
from image_pipeline.wake_ups import WakeUp, read_wake_up

EVENTS = Path(__file__).parents[2] / "events"
FILES = sorted(EVENTS.glob("*.json"))

IMAGE = ImageAnnounced("fd8computeimage00001")
TRAIL_FILE = TrailFileStored("audit-trails-b1gsource", "golden/cnptrail000000000001/2026/08/2026-08-01T09-55-12.json")
WAKE_UP = WakeUp(folder_id="b1gtarget", image_id="fd8computeimage00001", seq=1)


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def is_http_call(path: Path) -> bool:
    return "http" in path.stem or "api-gateway" in path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_means_what_its_name_says(path: Path) -> None:
    event = load(path)

    assert http_events.is_http(event) == is_http_call(path)
    assert batches.is_sqs(event) == path.stem.startswith("aws-sqs-")
    assert batches.is_message_queue(event) == path.stem.startswith("yandex-message-queue")
    if "wake-up" in path.stem:
        assert read_wake_up(event) == WAKE_UP
    elif not is_http_call(path):
        [intent] = read_event(event).intents
        assert intent == _meaning(path.stem)


def _meaning(name: str) -> ImageAnnounced | TrailFileStored | TimerFired:
    if re.search("schedule|timer", name):
        return TimerFired()
    if re.search("s3|object-storage", name):
        return TRAIL_FILE
    return IMAGE


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_a_json_object_or_array_of_two_spaces(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == json.dumps(load(path), indent=2, ensure_ascii=False) + "\n"


def test_the_readme_tells_about_every_file_and_no_other() -> None:
    told = re.findall(r"^\| \[(\S+)\]\((\S+)\) \|", (EVENTS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert [name for name, _ in told] == [target for _, target in told]
    assert sorted(name for name, _ in told) == [path.name for path in FILES]


def test_what_is_left_alone_in_the_mixed_files_is_counted() -> None:
    assert read_event(load(EVENTS / "yandex-cloud-logging.json")).left_alone == {
        "log entry that is no audit record": 1,
        "status STARTED": 1,
    }
    assert read_event(load(EVENTS / "yandex-data-streams.json")).left_alone == {
        "status STARTED": 1,
        "other event type": 1,
    }
