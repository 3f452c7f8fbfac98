"""Records as proto3 JSON: lowerCamelCase, int64 as strings, nine fractional digits, defaults left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.emulator.records import ComputeImage, DesktopImage, Operation, QuotaLimit
from local.emulator.status import TYPE_PREFIX, Status

Json = dict[str, Any]
_DESKTOP_TYPES = TYPE_PREFIX + "yandex.cloud.clouddesktop.v1.api."
_METADATA_TYPES: Mapping[str, str] = {
    "Copy": "CopyDesktopImageMetadata",
    "CopyFromDesktop": "CopyFromDesktopMetadata",
    "Update": "UpdateDesktopImageMetadata",
    "Delete": "DeleteDesktopImageMetadata",
}


def timestamp(instant: datetime) -> str:
    """Print an instant as RFC 3339 in UTC with nine fractional digits.

    >>> timestamp(datetime(2026, 8, 1, 10, 0, 0, 123456, tzinfo=UTC))
    '2026-08-01T10:00:00.123456000Z'
    """
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def status(value: Status, request_id: str = "") -> Json:
    """Print a google.rpc.Status; with a `request_id`, as the gateway answers it: google.rpc.RequestInfo is added."""
    details = list(value.details)
    if request_id:
        details.append({"@type": TYPE_PREFIX + "google.rpc.RequestInfo", "requestId": request_id})
    return _without_defaults({"code": int(value.code), "message": value.message, "details": details})


def desktop_image(image: DesktopImage, *, labels: bool = True) -> Json:
    """Print a DesktopImage; `labels` False as List does it."""
    return _without_defaults(
        {
            "id": image.id,
            "folderId": image.folder_id,
            "createdAt": timestamp(image.created_at),
            "status": image.status,
            "name": image.name,
            "labels": dict(image.labels) if labels else {},
            "description": image.description,
            "storageSize": _int64(image.storage_size),
            "minDiskSize": _int64(image.min_disk_size),
        }
    )


def compute_image(image: ComputeImage) -> Json:
    """Print a yandex.cloud.compute.v1.Image."""
    return _without_defaults(
        {
            "id": image.id,
            "folderId": image.folder_id,
            "createdAt": timestamp(image.created_at),
            "name": image.name,
            "description": image.description,
            "labels": dict(image.labels),
            "family": image.family,
            "storageSize": _int64(image.storage_size),
            "minDiskSize": _int64(image.min_disk_size),
            "productIds": list(image.product_ids),
            "status": image.status,
            "os": {"type": image.os_type},
        }
    )


def operation(value: Operation) -> Json:
    """Print a yandex.cloud.operation.Operation. While it runs there is no `done` key, as seen in real answers."""
    json = _without_defaults(
        {
            "id": value.id,
            "description": value.description,
            "createdAt": timestamp(value.created_at),
            "createdBy": value.created_by,
            "modifiedAt": timestamp(value.modified_at),
            "done": value.done,
            "metadata": {"@type": _DESKTOP_TYPES + _METADATA_TYPES[value.method], "imageId": value.image_id},
        }
    )
    if value.error is not None:
        json["error"] = status(value.error)
    elif value.done and not value.answerless:
        json["response"] = _response(value)
    return json


def quota_limit(value: QuotaLimit) -> Json:
    """Print a QuotaLimit; both numbers are DoubleValue, hence present even where they are 0."""
    return {"quotaId": value.quota_id, "limit": float(value.limit), "usage": float(value.usage)}


def page(name: str, records: list[Json], next_page_token: str) -> Json:
    """Print the answer of a List call."""
    return _without_defaults({name: records, "nextPageToken": next_page_token})


def _response(value: Operation) -> Json:
    if value.response is None:
        return {"@type": TYPE_PREFIX + "google.protobuf.Empty"}
    return {"@type": _DESKTOP_TYPES + "DesktopImage", **desktop_image(value.response)}


def _int64(value: int) -> str:
    return str(value) if value else ""


def _without_defaults(json: Json) -> Json:
    return {key: value for key, value in json.items() if value not in ("", [], {}, False)}
