"""Taking events: one part that fails does not stop the others, and what was found is said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cloud_desktop import ApiError, ConfigurationError, OutOfTimeError
from image_pipeline.adapters import Adapters
from image_pipeline.copies import State
from image_pipeline.events import ImageAnnounced, Reading, TimerFired, TrailFileStored, UnknownEventError, read_event
from image_pipeline.intake import EventPartlyTakenError, take
from image_pipeline.trail_files import TrailFileError, TrailFiles
from local.emulator.faults import Fault
from tests.rig.aws import Aws
from tests.rig.pipeline import Rig


class Files:
    """Trail files by key; a fault is raised after the records before it."""

    def __init__(self, **files: list[Any]) -> None:
        self._files = files

    def records(self, bucket: str, key: str) -> Iterator[object]:
        for record in self._files[key]:
            if isinstance(record, Exception):
                raise record
            yield record


class _WithoutScan:
    """A ledger whose rows can be had one by one, but not all together."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        if name == "copies":
            raise ZeroDivisionError
        return getattr(self._ledger, name)


def created(image_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "event_type": "yandex.cloud.audit.compute.CreateImage",
        "event_status": "DONE",
        "details": {"image_id": image_id},
        **changes,
    }


def with_files(rig: Rig, **files: list[Any]) -> Adapters:
    stored: Any = Files(**files)
    return dataclasses.replace(rig.adapters, trail_files=stored)


def file(key: str) -> TrailFileStored:
    return TrailFileStored("trails", key)


def outcomes(rig: Rig) -> dict[str, int]:
    [line] = [line for line in rig.record.lines if line["event"] == "event_taken"]
    counted: dict[str, int] = line["outcomes"]
    return counted


def test_a_trail_file_starts_what_routes_take_and_counts_the_rest(rig: Rig) -> None:
    taken, other = rig.add_image(), rig.add_image(family="ubuntu-24")
    records = [
        {"event_type": "yandex.cloud.audit.compute.CreateInstance"},
        created(taken, event_status="STARTED"),
        "not a record",
        created(taken),
        created(other),
        created(taken),
        created("fd8gone"),
    ]

    answer = take(with_files(rig, a=records), Reading((file("a"),)))

    assert answer["outcomes"] == {"started": 1, "skipped": 2}
    assert answer["leftAlone"] == {
        "other event type": 1,
        "status STARTED": 1,
        "not a record": 1,
        "announced twice": 1,
    }
    assert [(image["imageId"], image["outcome"], image["reason"]) for image in answer["images"]][1:] == [
        (other, "skipped", "family 'ubuntu-24' does not match 'win11-*'"),
        ("fd8gone", "skipped", "the image no longer exists"),
    ]
    assert rig.row(taken).state is State.COPYING
    assert rig.record.metrics["EventSelectedNothing"] == 0


def test_an_image_that_cannot_be_read_does_not_stop_those_after_it(rig: Rig) -> None:
    hidden, open_ = rig.add_image(folder_id="b1gclosed"), rig.add_image()
    rig.world.deny_folder("b1gclosed")

    with pytest.raises(ApiError, match="PERMISSION_DENIED"):
        take(with_files(rig, a=[created(hidden), created(open_)]), Reading((file("a"),)))

    assert rig.row(open_).state is State.COPYING
    assert outcomes(rig) == {"started": 1}
    [failure] = [line for line in rig.record.lines if line["event"] == "event_part_failed"]
    assert failure["image_id"] == hidden


def test_a_broken_file_stops_neither_its_first_records_nor_the_next_file(rig: Rig) -> None:
    first, second = rig.add_image(), rig.add_image(name="win11-b")
    adapters = with_files(rig, a=[created(first), TrailFileError("a is not complete")], b=[created(second)])

    with pytest.raises(TrailFileError, match="a is not complete"):
        take(adapters, Reading((file("a"), file("b"))))

    assert rig.row(first).state is rig.row(second).state is State.COPYING
    [failure] = [line for line in rig.record.lines if line["event"] == "event_part_failed"]
    assert (failure["bucket"], failure["key"]) == ("trails", "a")


def test_a_sweep_that_fails_does_not_stop_the_images_after_it(rig: Rig) -> None:
    image = rig.add_image()
    reading = Reading((TimerFired(), ImageAnnounced(image, "b1gtarget", "By hand")))
    ledger: Any = _WithoutScan(rig.ledger)

    with pytest.raises(ZeroDivisionError):
        take(dataclasses.replace(rig.adapters, ledger=ledger), reading)

    assert rig.row(image).name == "By hand"


def test_several_failures_are_one_error_that_counts_them(rig: Rig) -> None:
    adapters = with_files(rig, a=[TrailFileError("a is empty")], b=[TrailFileError("b is empty")])

    with pytest.raises(EventPartlyTakenError, match=r"^2 parts of the event are not done, .* a is empty$"):
        take(adapters, Reading((file("a"), file("b"))))


def test_what_is_taken_again_is_found_begun(rig: Rig) -> None:
    image = rig.add_image()
    reading = Reading((file("a"), ImageAnnounced(image)))

    answers = [take(with_files(rig, a=[created(image)]), reading) for _ in range(2)]

    assert [answer["outcomes"] for answer in answers] == [{"started": 1, "already there": 1}, {"already there": 2}]
    rig.settle()
    assert rig.world.calls["POST /cloud-desktop/v1/images:copy"] == 1


@pytest.mark.parametrize(
    "error", [OutOfTimeError(0.5, method="GET", path="/x"), ConfigurationError("IMAGE_POLICY", "is wrong")]
)
def test_an_error_that_all_parts_would_meet_ends_the_event_at_once(rig: Rig, error: Exception) -> None:
    adapters = with_files(rig, a=[error], b=[created(rig.add_image())])

    with pytest.raises(type(error)):
        take(adapters, Reading((file("a"), file("b"))))

    assert list(rig.ledger.copies()) == []
    assert outcomes(rig) == {}


def test_the_known_parts_are_done_before_the_unknown_ones_fail_the_event(rig: Rig) -> None:
    image = rig.add_image()
    records = [
        {"EventSource": "aws:sns", "Sns": {"Message": json.dumps({"imageId": image})}},
        {"eventSource": "aws:kinesis", "kinesis": {"data": "x"}},
    ]

    with pytest.raises(UnknownEventError, match="rest of the event is done, but in Records, no record of S3"):
        take(rig.adapters, read_event({"Records": records}))

    assert rig.row(image).state is State.COPYING


def test_unknown_records_of_a_stream_are_counted_by_a_metric(rig: Rig) -> None:
    image = rig.add_image()

    answer = take(rig.adapters, read_event({"messages": [{"level": "INFO"}, created(image), 7]}))

    assert answer["leftAlone"] == {"unknown record": 2}
    assert rig.record.metrics["UnknownRecords"] == 2


def test_an_event_whose_images_no_route_takes_is_visible(rig: Rig) -> None:
    image = rig.add_image(family="ubuntu-24")

    take(rig.adapters, Reading((ImageAnnounced(image),)))
    assert rig.record.metrics["EventSelectedNothing"] == 1

    take(with_files(rig, a=[{"event_type": "yandex.cloud.audit.compute.CreateDisk"}]), Reading((file("a"),)))
    assert rig.record.metrics["EventSelectedNothing"] == 1, "a file that announces no image has selected nothing wrong"


def test_a_timer_is_a_sweep(rig: Rig) -> None:
    image = rig.add_image()

    answer = take(rig.adapters, Reading((TimerFired(),)))

    assert answer["sweep"]["selected"] == 1
    assert [copy["imageId"] for copy in answer["sweep"]["started"]] == [image]


def test_a_direct_call_chooses_folder_and_name(rig: Rig) -> None:
    image = rig.add_image(family="ubuntu-24")

    take(rig.adapters, Reading((ImageAnnounced(image, "b1gelsewhere", "By hand"),)))
    rig.settle()

    [made] = rig.world.desktop_images("b1gelsewhere")
    assert (made.name, made.status) == ("By hand", "ACTIVE")


def test_an_answer_holds_so_many_images_and_counts_the_rest(rig: Rig) -> None:
    images = [created(f"fd8gone{number}") for number in range(150)]

    answer = take(with_files(rig, a=images), Reading((file("a"),)))

    assert len(answer["images"]) == 100
    assert answer["outcomes"] == {"skipped": 150}


def test_trouble_of_the_cloud_fails_the_event_and_its_repetition_ends_well(rig: Rig) -> None:
    image = rig.add_image()
    rig.faults.add(Fault(kind="answer", route="GET images/*", status=502, body="html", times=20))

    with pytest.raises(Exception, match="HTTP 502 without the JSON object that the API documents"):
        take(rig.adapters, Reading((ImageAnnounced(image),)))
    assert list(rig.ledger.copies()) == []

    rig.faults.clear()
    take(rig.adapters, Reading((ImageAnnounced(image),)))
    rig.settle()
    assert rig.row(image).state is State.ACTIVE


def test_a_file_of_a_real_bucket_is_taken(aws: Aws) -> None:
    rig = Rig()
    image, bucket, client = rig.add_image(), aws.bucket(), aws.client("s3")
    client.put_object(Bucket=bucket, Key="trail/1.json", Body=json.dumps([created(image)]))
    adapters = dataclasses.replace(rig.adapters, trail_files=TrailFiles(lambda: client))

    take(adapters, Reading((TrailFileStored(bucket, "trail/1.json"),)))

    assert rig.row(image).state is State.COPYING
