"""Trail files: whatever a bucket may hold, as a stream, in bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from contextlib import suppress
from typing import IO, Any, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from image_pipeline import trail_files
from image_pipeline.trail_files import TrailFileError, TrailFiles, read_records
from tests.rig.aws import Aws

RECORDS = [{"event_type": "a", "n": 1.5}, {"event_type": "b", "details": {"labels": {}}}, {"event_type": "c"}]
PLAIN = json.dumps(RECORDS).encode()

json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Dripping(io.RawIOBase):
    """Gives a few bytes at a time, as a slow network does."""

    def __init__(self, content: bytes, size: int) -> None:
        self._rest = content
        self._size = size

    def read(self, size: int = -1) -> bytes:
        data, self._rest = self._rest[: self._size], self._rest[self._size :]
        return data


def read(content: bytes) -> list[object]:
    return list(read_records(io.BytesIO(content), name="s3://trails/file.json"))


def read_until_fault(content: bytes) -> tuple[list[object], str]:
    records: list[object] = []
    with pytest.raises(TrailFileError) as caught:
        records.extend(read_records(io.BytesIO(content), name="s3://trails/file.json"))
    return records, str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PLAIN, id="array"),
        pytest.param(json.dumps(RECORDS, indent=2).encode(), id="indented"),
        pytest.param(b"\r\n\t " + PLAIN + b"\n", id="space around"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN, id="byte order mark"),
        pytest.param(gzip.compress(PLAIN), id="gzip"),
        pytest.param(gzip.compress(PLAIN[:20]) + gzip.compress(PLAIN[20:]), id="gzip in two members"),
        pytest.param(b"\n".join(json.dumps(record).encode() for record in RECORDS), id="a record a line"),
        pytest.param(b"".join(b"[" + json.dumps(record).encode() + b"]" for record in RECORDS), id="arrays"),
    ],
)
def test_every_spelling_gives_the_same_records(content: bytes) -> None:
    assert read(content) == RECORDS


@given(records=st.lists(json_values, max_size=8), size=st.integers(1, 40), packed=st.booleans())
def test_what_is_written_is_read_however_it_arrives(records: list[Any], size: int, packed: bool) -> None:
    content = json.dumps(records).encode()
    stream = Dripping(gzip.compress(content) if packed else content, size)

    assert list(read_records(cast("IO[bytes]", stream), name="file")) == records


@given(records=st.lists(json_values, min_size=1, max_size=8), cut=st.integers(min_value=1))
def test_a_file_cut_short_gives_its_first_records_and_then_an_error(records: list[Any], cut: int) -> None:
    objects = [{"record": record} for record in records]  # unlike an object, a number that is cut is another number
    content = json.dumps(objects).encode()

    before, _ = read_until_fault(content[: cut % len(content)])

    assert before == objects[: len(before)]


@given(content=st.binary(max_size=200))
def test_no_content_raises_anything_else(content: bytes) -> None:
    for stream in (content, b"\x1f\x8b" + content, gzip.compress(content)):
        with suppress(TrailFileError):
            read(stream)


@pytest.mark.parametrize(
    ("content", "problem", "before"),
    [
        (b"", "it is empty", 0),
        (b" \n", "it is empty", 0),
        (gzip.compress(b""), "it is empty", 0),
        (b"<html>", "a record is no JSON, or not all there", 0),
        (PLAIN[:-1], "it ends within an array", 3),
        (PLAIN[:-5], "a record is no JSON, or not all there", 2),
        (b'[{"a": 1} {"b": 2}]', "a comma is missing", 1),
        (PLAIN + b"rest", "a record is no JSON, or not all there", 3),
        (gzip.compress(PLAIN)[:-3], "the gzip stream is damaged, or ends too early", 3),
        (gzip.compress(PLAIN) + b"rest", "the gzip stream is damaged, or ends too early", 3),
        (b"[1, " + b"[" * 100_000 + b"]" * 100_000 + b", 2]", "a record is nested too deeply", 1),
    ],
)
def test_what_is_wrong_is_said_after_what_came_before_it(content: bytes, problem: str, before: int) -> None:
    records, sentence = read_until_fault(content)

    assert sentence == f"s3://trails/file.json is not a complete JSON file of audit records: {problem}"
    assert len(records) == before


def test_a_damaged_gzip_stream_is_an_error_of_the_file() -> None:
    content = bytearray(gzip.compress(json.dumps(list(range(5000))).encode()))
    content[len(content) // 2] ^= 0xFF
    content[len(content) // 2 + 1] ^= 0xFF

    _, sentence = read_until_fault(bytes(content))

    assert "gzip stream is damaged" in sentence or "no JSON" in sentence or "comma is missing" in sentence


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b'{"bytes": 123456789012345678901234567890}', id="more than 64 bits"),
        pytest.param(b'{"bytes": ' + b"1" * 5000 + b"}", id="five thousand digits"),
        pytest.param(b'{"share": 1e999}', id="beyond a double"),
        pytest.param(b'{"name": "\xff\xfe"}', id="not UTF-8"),
        pytest.param(b'{"name": "\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"name": "line\nbreak"}', id="control character"),
    ],
)
def test_one_odd_record_does_not_stop_the_others(odd: bytes) -> None:
    records = read(b'[{"event_type": "a"}, ' + odd + b', {"event_type": "c"}]')

    assert len(records) == 3
    assert records[0] == {"event_type": "a"}
    assert records[2] == {"event_type": "c"}


def test_a_record_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_files, "LONGEST_RECORD", 300_000)

    records, sentence = read_until_fault(b'[{"event_type": "a"}, "' + b"x" * 2_000_000 + b'"]')

    assert len(records) == 1
    assert "longer than 300000 characters" in sentence


def test_memory_does_not_grow_with_the_file() -> None:
    record = json.dumps({"event_type": "x", "details": {"text": "y" * 400}}).encode()
    content = b"[" + b",".join([record] * 20_000) + b"]"
    stream = io.BytesIO(content)

    tracemalloc.start()
    try:
        count = sum(1 for _ in read_records(stream, name="file"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 20_000
    assert peak < len(content) / 3


def test_an_object_of_a_bucket_is_read_and_its_connection_given_back(aws: Aws) -> None:
    bucket, client = aws.bucket(), aws.client("s3")
    client.put_object(Bucket=bucket, Key="trail/a b.json", Body=gzip.compress(PLAIN))

    assert list(TrailFiles(lambda: client).records(bucket, "trail/a b.json")) == RECORDS


def test_an_object_that_is_gone_is_an_error_of_the_bucket(aws: Aws) -> None:
    bucket = aws.bucket()

    with pytest.raises(ClientError, match="NoSuchKey"):
        list(TrailFiles(lambda: aws.client("s3")).records(bucket, "gone.json"))
