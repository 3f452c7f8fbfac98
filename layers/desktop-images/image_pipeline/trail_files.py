"""Audit Trails files in a bucket, read as a stream: memory does not grow with the file.

The standard library's decoder takes one record at a time from a buffer. A streaming parser in C was measured and left:
it gave up the whole file over an integer of more than 64 bits, and took gigabytes for a file of 100,000 brackets.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LONGEST_RECORD = 16 * 1024 * 1024
"""Characters; no service that carries audit records lets one grow to a tenth of this."""
_CHUNK = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_FAULTS = (EOFError, gzip.BadGzipFile, zlib.error)
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_int=float, strict=False)  # no number is read here, so none is refused for its length


class TrailFileError(Exception):
    """A bucket object that is no file of audit records, or not all of it. What came before the fault has been read."""


class TrailFiles:
    """Reads `<prefix>/<trail>/<year>/<month>/<file>.json`: a JSON array of records, plain or gzip."""

    def __init__(self, client: Callable[[], S3Client]) -> None:
        self._client = client

    def records(self, bucket: str, key: str) -> Iterator[object]:
        """Yield the records of the file, one by one, as they arrive from the bucket.

        Raises:
            TrailFileError: the object is not JSON, or ends too early; raised after the records before the fault.
            ClientError: the object cannot be read, for example because it is gone.
        """
        body = self._client().get_object(Bucket=bucket, Key=key)["Body"]
        try:
            yield from read_records(cast("IO[bytes]", body), name=f"s3://{bucket}/{key}")
        finally:
            body.close()


def read_records(stream: IO[bytes], *, name: str) -> Iterator[object]:
    """Yield the records of a stream: the elements of JSON arrays, or JSON values one after the other.

    Bytes that are not UTF-8 are replaced, so that one unreadable name does not stop the records after it.

    Raises:
        TrailFileError: the stream is empty, is not JSON, ends too early, or holds a record beyond LONGEST_RECORD.
    """
    try:
        yield from _Values(_unpacked(stream)).records()
    except _NotRecordsError as error:
        problem = str(error)
    except RecursionError:
        problem = "a record is nested too deeply"
    except _FAULTS:
        problem = "the gzip stream is damaged, or ends too early"
    else:
        return
    raise TrailFileError(f"{name} is not a complete JSON file of audit records: {problem}")


class _NotRecordsError(ValueError):
    pass


class _Values:
    """The JSON values in a stream; no more of it is held at a time than the longest of them takes."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._buffer = ""
        self._at = 0
        self._ended = False
        self._fault: Exception | None = None

    def records(self) -> Iterator[object]:
        if not self._next_character():
            raise _NotRecordsError("it is empty")
        while character := self._next_character():
            if character == "[":
                yield from self._elements()
            else:
                yield self._value()

    def _elements(self) -> Iterator[object]:
        self._at += 1
        if self._next_character() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            separator = self._next_character()
            self._at += 1
            if separator == "]":
                return
            if separator != ",":
                raise _NotRecordsError("a comma is missing" if separator else "it ends within an array")

    def _next_character(self) -> str:
        """Return the next character that is not space, without taking it; none at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer) or not self._more():
                return self._buffer[self._at : self._at + 1]

    def _value(self) -> object:
        self._next_character()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except ValueError:
                if len(self._buffer) - self._at > LONGEST_RECORD:
                    raise _NotRecordsError(f"a record is no JSON, or longer than {LONGEST_RECORD} characters") from None
                if not self._more():
                    raise _NotRecordsError("a record is no JSON, or not all there") from None
                continue
            if end < len(self._buffer) or not self._more():  # a number that ends with the buffer may go on
                self._at = end
                return cast("object", value)

    def _more(self) -> bool:
        """Add to the buffer, the more the longer the present record is already; say whether there was any more.

        A fault of the stream is raised once what came before it has been used up.
        """
        rest = self._buffer[self._at :]
        parts, wanted = [rest], max(_CHUNK, len(rest))
        while wanted > 0 and not self._ended and self._fault is None:
            try:
                data = self._source.read1(wanted)
            except _FAULTS as fault:
                self._fault = fault
            else:
                self._ended = not data
                parts.append(self._decode(data, final=self._ended))
                wanted -= len(data)
        self._buffer, self._at = "".join(parts), 0
        if len(self._buffer) == len(rest) and self._fault is not None:
            raise self._fault
        return len(self._buffer) > len(rest)


def _unpacked(stream: IO[bytes]) -> io.BufferedIOBase:
    buffered = io.BufferedReader(_Readable(stream), _CHUNK)
    if buffered.peek(2)[:2] == _GZIP_MAGIC:
        return cast("io.BufferedIOBase", gzip.GzipFile(fileobj=buffered))
    return buffered


class _Readable(io.RawIOBase):
    """A raw stream over anything that has read(n), such as the body of an S3 answer; never short but at the end."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        while filled < len(buffer) and (data := self._source.read(len(buffer) - filled)):
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        return filled
