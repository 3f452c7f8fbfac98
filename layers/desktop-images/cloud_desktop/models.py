"""What the APIs answer, as frozen values.

Read tolerantly: unknown fields and unknown enum names pass, `null` counts as absent, every field but the id may be
missing (a real answer of Cloud Desktop lacks `storageSize` and `labels`, a running operation lacks `done`). int64 is a
string on the wire and an int here. Timestamps carry 0 to 9 fractional digits on the wire and are aware UTC datetimes
here, cut to microseconds. Sources: yandex/cloud/{clouddesktop/v1,compute/v1,operation}/*.proto and the REST page of
DesktopImage.Copy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StrictBool, model_validator
from pydantic.alias_generators import to_camel

from cloud_desktop.errors import Code, NextStep, classify

_INT64: Final = range(-(2**63), 2**63)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_TIMESTAMP: Final = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3]):(?P<minutes>[0-5]\d))",
    re.ASCII,
)


def parse_timestamp(text: str) -> datetime:
    """Read an RFC 3339 timestamp of the years 0001 to 9999; digits beyond microseconds are cut off.

    >>> parse_timestamp("2026-08-01T10:00:00.123456789Z")
    datetime.datetime(2026, 8, 1, 10, 0, 0, 123456, tzinfo=datetime.timezone.utc)

    Raises:
        ValueError: the text is not such a timestamp.
    """
    if (match := _TIMESTAMP.fullmatch(text)) is None:
        raise ValueError("is not an RFC 3339 timestamp")
    moment = datetime.fromisoformat(match["seconds"].upper())
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    zone = timezone(-offset if match["sign"] == "-" else offset)
    microseconds = int((match["fraction"] or "0").ljust(6, "0")[:6])
    try:
        return moment.replace(microsecond=microseconds, tzinfo=zone).astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 0001 to 9999") from None


def _timestamp(value: object) -> datetime:
    if isinstance(value, str):
        return parse_timestamp(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    raise ValueError("is neither an RFC 3339 timestamp nor an aware datetime")


def _int64(value: Any) -> int:
    if (isinstance(value, str) and _INTEGER.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in _INT64:
        raise ValueError("is not a 64-bit integer")
    return value


def _enum_name(value: object) -> object:
    # Proto3 JSON prints an enum value that the printer does not know as its number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _finite(value: object) -> object:
    # Proto3 JSON writes the doubles that are no numbers as strings.
    if value in ("NaN", "Infinity", "-Infinity"):
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


Timestamp = Annotated[datetime, BeforeValidator(_timestamp)]
Int64 = Annotated[int, BeforeValidator(_int64), PlainSerializer(str, return_type=str, when_used="json")]
EnumName = Annotated[str, BeforeValidator(_enum_name)]
FiniteNumber = Annotated[float | None, BeforeValidator(_finite)]
Identifier = Annotated[str, Field(min_length=1)]


class WireModel(BaseModel):
    """The common reading rules."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {key: value for key, value in data.items() if value is not None}
        return data


class DesktopImageStatus(StrEnum):
    """The names a desktop image's status may have; there is no ERROR, failure shows only in the operation."""

    STATUS_UNSPECIFIED = "STATUS_UNSPECIFIED"
    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    DELETING = "DELETING"


class ComputeImageStatus(StrEnum):
    """The names a compute image's status may have."""

    STATUS_UNSPECIFIED = "STATUS_UNSPECIFIED"
    CREATING = "CREATING"
    READY = "READY"
    ERROR = "ERROR"
    DELETING = "DELETING"


class DesktopImage(WireModel):
    """An image of Cloud Desktop. It does not say which compute image it came from, nor what uses it.

    `status` is a plain string, so that a name newer than this code is kept; compare it with DesktopImageStatus.
    `labels` may be absent from List though the image has some: Get before trusting them.
    """

    id: Identifier
    folder_id: str = ""
    created_at: Timestamp | None = None
    status: EnumName = DesktopImageStatus.STATUS_UNSPECIFIED.value
    name: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    description: str = ""
    storage_size: Int64 = 0
    """Bytes."""
    min_disk_size: Int64 = 0
    """Bytes."""


class OperatingSystem(WireModel):
    """What a compute image says it holds."""

    type: EnumName = "TYPE_UNSPECIFIED"
    """LINUX, WINDOWS, or a newer name."""


class ComputeImage(WireModel):
    """An image of Compute Cloud, the source of a copy.

    `name` may be empty. `status` is a plain string, to be compared with ComputeImageStatus.
    """

    id: Identifier
    folder_id: str = ""
    created_at: Timestamp | None = None
    name: str = ""
    description: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    family: str = ""
    size: Int64 = 0
    """Bytes."""
    storage_size: Int64 = 0
    """Bytes."""
    min_disk_size: Int64 = 0
    """Bytes."""
    product_ids: list[str] = Field(default_factory=list)
    status: EnumName = ComputeImageStatus.STATUS_UNSPECIFIED.value
    os: OperatingSystem | None = None
    pooled: bool = False
    hardware_generation: dict[str, Any] | None = None
    kms_key: dict[str, Any] | None = None


class Status(WireModel):
    """A google.rpc.Status: why an operation failed."""

    code: int = 0
    message: str = ""
    details: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def rpc_code(self) -> Code:
        """The code by name; a number outside 0..16 reads as UNKNOWN."""
        return Code(self.code)

    @property
    def next_step(self) -> NextStep:
        """What to do about an operation that ended with this status."""
        return classify(self.code, self.message, self.details)


class Operation(WireModel):
    """Work in progress on the other side.

    It has ended when `done` is true and not before: `error` may be there while the service is still rolling back.
    """

    id: Identifier
    description: str = ""
    created_at: Timestamp | None = None
    created_by: str = ""
    modified_at: Timestamp | None = None
    done: StrictBool = False
    metadata: dict[str, Any] = Field(default_factory=dict)
    error: Status | None = None
    response: dict[str, Any] | None = None
    poll_after: float | None = Field(default=None, exclude=True)
    """Seconds after which the server wants to be asked again, from the answer's headers; not part of the body."""

    @property
    def image_id(self) -> str | None:
        """The desktop image that the operation is about; for a copy, the NEW one."""
        image_id = self.metadata.get("imageId")
        return image_id if isinstance(image_id, str) and image_id else None

    def with_poll_after(self, seconds: float | None) -> Self:
        """Attach the server's advice, replacing whatever a body may have claimed."""
        return self.model_copy(update={"poll_after": seconds})


class QuotaLimit(WireModel):
    """One quota of a cloud. A number is None where the service gives none; how fresh `usage` is, is not documented."""

    quota_id: str = ""
    limit: FiniteNumber = None
    usage: FiniteNumber = None
