"""Every shape in events/ ends the same way: one copy, ACTIVE; or the answer that the call asks for."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_pipeline.copies import State
from image_pipeline.events import ImageAnnounced, TimerFired, TrailFileStored, read_event
from tests.rig.aws import REGION, Aws
from tests.rig.deployed import Deployed, deployed
from tests.rig.pipeline import SOURCE, TARGET

EVENTS = Path(__file__).parent.parent.parent / "events"
FILES = sorted(EVENTS.glob("*.json"))
IMAGE = "fd8computeimage00001"
BUCKET = "audit-trails-b1gsource"
RECORDS = [
    {"event_type": "yandex.cloud.audit.compute.CreateImage", "event_status": status, "details": {"image_id": image}}
    for status, image in (("STARTED", IMAGE), ("DONE", IMAGE), ("DONE", IMAGE), ("ERROR", "fd8other000000000001"))
]
ANSWERS = {"list-copies", "cleanup", "wake-up"}
ANNOUNCING = [path for path in FILES if not any(part in path.stem for part in ANSWERS)]


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def deployment(aws: Aws) -> Iterator[Deployed]:
    s3 = aws.client("s3")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    with deployed(aws) as running:
        yield running


@pytest.fixture
def functions(deployment: Deployed) -> Deployed:
    deployment.start_over()
    deployment.world.add_compute_image(
        folder_id=SOURCE, name="win11", family="win11-office", image_id=IMAGE, labels={"cloud-desktop": "true"}
    )
    return deployment


def store_trail_file(aws: Aws, event: Any) -> None:
    """Put the file where the event says it is."""
    intents = read_event(event).intents if not is_http(event) else ()
    for intent in intents:
        if isinstance(intent, TrailFileStored):
            aws.client("s3").put_object(Bucket=intent.bucket, Key=intent.key, Body=json.dumps(RECORDS).encode())


def is_http(event: Any) -> bool:
    return isinstance(event, dict) and ("httpMethod" in event or "rawPath" in event)


@pytest.mark.parametrize("path", ANNOUNCING, ids=lambda path: path.stem)
def test_whatever_announces_the_image_it_is_copied_once_and_active(functions: Deployed, aws: Aws, path: Path) -> None:
    event = load(path)
    store_trail_file(aws, event)

    for _ in range(2):  # at least once, as every trigger delivers
        answered = functions.invoke("copy", copy.deepcopy(event))

    if is_http(event):
        assert answered["statusCode"] in {200, 202}, answered
    [image] = functions.world.desktop_images(TARGET)
    assert (image.source_image_id, image.status) == (IMAGE, "ACTIVE")
    listed = functions.invoke("poll", load(EVENTS / "aws-http-api-list-copies.json"))
    [row] = json.loads(listed["body"])["copies"]
    assert (row["imageId"], row["state"]) == (IMAGE, State.ACTIVE)


@pytest.mark.parametrize("name", ["aws-sqs-wake-up", "yandex-message-queue-wake-up"])
def test_a_wake_up_of_either_queue_takes_the_copy_further(functions: Deployed, name: str) -> None:
    functions.world.rules.copy_seconds = 3600
    functions.invoke("copy", {"imageId": IMAGE})
    before = functions.world.calls["GET /operations/{operationId}"]

    functions.invoke("poll", load(EVENTS / f"{name}.json"))

    assert functions.world.calls["GET /operations/{operationId}"] == before + 1


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if "cleanup" in path.stem or path.stem == "yandex-timer"],
    ids=lambda path: path.stem,
)
def test_cleanup_is_reached_by_timer_and_call(functions: Deployed, path: Path) -> None:
    answered = functions.invoke("cleanup", load(path))

    plan = json.loads(answered["body"]) if "body" in answered else answered
    assert plan["summary"].startswith("none of the 2 desktop images found was made by this pipeline")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_named_in_the_table_of_events(path: Path) -> None:
    table = (EVENTS / "README.md").read_text(encoding="utf-8")

    assert f"[{path.name}]({path.name})" in table


@pytest.mark.parametrize("path", [path for path in ANNOUNCING if not is_http(load(path))], ids=lambda path: path.stem)
def test_the_intents_of_every_shape(path: Path) -> None:
    reading = read_event(load(path))

    assert reading.unknown == ()
    [intent] = reading.intents
    match intent:
        case ImageAnnounced(image_id):
            assert image_id == IMAGE
        case TrailFileStored(bucket, key):
            assert bucket == BUCKET
            assert re.fullmatch(r".+\.json(\.gz)?", key)
        case TimerFired():
            assert "schedule" in path.stem or "timer" in path.stem
