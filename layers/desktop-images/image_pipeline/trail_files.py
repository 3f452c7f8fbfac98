"""Audit Trails files in a bucket, read as a stream: memory does not grow with the file."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 256 * 1024


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
    """Yield the records of a stream: the elements of a JSON array, or JSON values one after the other."""
    import ijson  # noqa: PLC0415 - only the function that is given a file pays for it

    plain = _unpacked(stream)
    try:
        first = plain.peek(1)[:1] if hasattr(plain, "peek") else b""
        while first and first.isspace():
            plain.read(1)
            first = plain.peek(1)[:1]
        path = "item" if first == b"[" else ""
        yield from ijson.items(plain, path, use_float=True, multiple_values=True, buf_size=_CHUNK)
    except (ijson.JSONError, EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise TrailFileError(
            f"{name} is not a complete JSON file of audit records: {type(error).__name__} after what was read"
        ) from None


def _unpacked(stream: IO[bytes]) -> Any:
    buffered = io.BufferedReader(_Readable(stream), _CHUNK)
    if buffered.peek(2)[:2] == _GZIP_MAGIC:
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=buffered)), _CHUNK)
    return buffered


class _Readable(io.RawIOBase):
    """A raw stream over anything that has read(n), such as the body of an S3 answer."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
