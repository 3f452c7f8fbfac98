"""The services that the client talks to: one class for each, one method for each call.

Ids, names and texts are checked against the documented limits before anything is sent (InvalidRequestError). Every
method that sends may raise ApiError, BadAnswerError, TransportError or CredentialsError; each says in `next_step` what
to do. Mutations carry an Idempotency-Key, so a lost answer is recovered by the same call with the same key: the service
gives back the operation it already has.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import quote

from cloud_desktop.answers import Call, Reply
from cloud_desktop.constants import (
    CLOUD_DESKTOP_PATH,
    CLOUD_RESOURCE_TYPE,
    COMPUTE_PATH,
    DESCRIPTION_LENGTH,
    FAMILY_LENGTH,
    FILTER_LENGTH,
    ID_LENGTH,
    NAME_LENGTH,
    OPERATION_PATH,
    ORDER_BY_LENGTH,
    PAGE_SIZE,
    PAGES,
    QUOTA_PATH,
)
from cloud_desktop.errors import ApiError, Code, InvalidRequestError
from cloud_desktop.limits import check_idempotency_key, check_labels, check_page_size, check_segment, check_text
from cloud_desktop.models import ComputeImage, DesktopImage, Operation, QuotaLimit, WireModel
from cloud_desktop.transport import Fetch

Listed = TypeVar("Listed", bound=WireModel)

_METHOD_NOT_ALLOWED: Final = 405


class DesktopImages:
    """Desktop images: `/cloud-desktop/v1/images`."""

    def __init__(self, send: Fetch, origin: str) -> None:
        self._send = send
        self._origin = origin

    def list(
        self,
        folder_id: str,
        *,
        name: str | None = None,
        filter: str | None = None,  # noqa: A002 - the API's own word
        order_by: str | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[DesktopImage]:
        """Iterate over the images of a folder, fetching pages as they are needed.

        Args:
            folder_id: The folder; system images may be among the answers.
            name: Only images of exactly this name. It is sent as a filter and held against the answers as well.
            filter: The API's own filter on `name`, in the place of `name`.
            order_by: Such as `createdAt desc`.
            page_size: 1 to 1000.

        Raises:
            BadAnswerError: while iterating, also for a list of pages that does not end.
        """
        if name is not None:
            if filter is not None:
                raise InvalidRequestError("filter", "and name cannot both be given; the API filters by name alone")
            filter = f"name={json.dumps(check_text('name', name, NAME_LENGTH), ensure_ascii=False)}"  # noqa: A001
        query = _list_query(folder_id, filter, order_by, page_size)
        images = _pages(
            self._send, Call("GET", self._origin, CLOUD_DESKTOP_PATH, query=query), "desktopImages", DesktopImage
        )
        return images if name is None else (image for image in images if image.name == name)

    def get(self, image_id: str) -> DesktopImage:
        """Read one image, labels included.

        Raises:
            NotFoundError: there is no such image.
        """
        return self._send(Call("GET", self._origin, self._path(image_id))).read(DesktopImage)

    def copy(
        self,
        *,
        folder_id: str,
        name: str,
        image_id: str,
        labels: Mapping[str, str] | None = None,
        description: str | None = None,
        idempotency_key: uuid.UUID | str | None = None,
    ) -> Operation:
        """Start copying a COMPUTE image to a new desktop image, whose id is the operation's `image_id`.

        Args:
            folder_id: Where the new image goes.
            name: Its name, at most 50 characters of any kind.
            image_id: The compute image.
            labels: Left out of the request when None: the API has known them only since February 2026.
            description: As labels.
            idempotency_key: Repeat it and the same operation comes back, also a failed one. None: a random one, which
                makes only the retries inside this call safe.
        """
        body = {
            "folderId": check_text("folderId", folder_id, ID_LENGTH),
            "name": check_text("name", name, NAME_LENGTH),
            "imageId": check_text("imageId", image_id, ID_LENGTH),
            **_optional(labels, description),
        }
        return self._change("POST", f"{CLOUD_DESKTOP_PATH}:copy", body, idempotency_key)

    def copy_from_desktop(
        self,
        *,
        desktop_id: str,
        folder_id: str | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        description: str | None = None,
        idempotency_key: uuid.UUID | str | None = None,
    ) -> Operation:
        """Start making an image of a desktop; see `copy`. Folder and name are optional in the API too."""
        body: dict[str, Any] = {"desktopId": check_text("desktopId", desktop_id, ID_LENGTH)}
        if folder_id is not None:
            body["folderId"] = check_text("folderId", folder_id, ID_LENGTH)
        if name is not None:
            body["name"] = check_text("name", name, NAME_LENGTH)
        body |= _optional(labels, description)
        return self._change("POST", f"{CLOUD_DESKTOP_PATH}:copyFromDesktop", body, idempotency_key)

    def update(
        self,
        image_id: str,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        description: str | None = None,
        idempotency_key: uuid.UUID | str | None = None,
    ) -> Operation:
        """Change what is given and nothing else: the mask names exactly these fields.

        `labels` replace the whole map, `{}` clears it; an empty description clears it.

        Raises:
            InvalidRequestError: nothing to change was given, or a limit is broken.
        """
        fields = _optional(labels, description)
        if name is not None:
            fields = {"name": check_text("name", name, NAME_LENGTH), **fields}
        if not fields:
            raise InvalidRequestError("updateMask", "would be empty; give at least one of name, labels, description")
        return self._change("PATCH", self._path(image_id), {"updateMask": ",".join(fields), **fields}, idempotency_key)

    def delete(self, image_id: str, *, idempotency_key: uuid.UUID | str | None = None) -> Operation:
        """Start deleting an image. The API cannot say whether anything uses it; system images cannot be deleted.

        Raises:
            NotFoundError: there is no such image (any more).
        """
        return self._change("DELETE", self._path(image_id), None, idempotency_key)

    def _change(self, method: str, path: str, body: Mapping[str, Any] | None, key: uuid.UUID | str | None) -> Operation:
        return _operation(
            self._send(Call(method, self._origin, path, body=body, idempotency_key=check_idempotency_key(key)))
        )

    @staticmethod
    def _path(image_id: str) -> str:
        return f"{CLOUD_DESKTOP_PATH}/{quote(check_segment('imageId', image_id, ID_LENGTH), safe='')}"


class Operations:
    """Operations of any service: `/operations`, without a version."""

    def __init__(self, send: Fetch, origin: str) -> None:
        self._send = send
        self._origin = origin

    def get(self, operation_id: str) -> Operation:
        """Look once. `poll_after` is when the server wants to be asked again.

        Raises:
            NotFoundError: there is no such operation; right after it was made this may mean "not yet".
        """
        return _operation(self._send(Call("GET", self._origin, self._path(operation_id))))

    def cancel(self, operation_id: str) -> Operation:
        """Ask to cancel an operation: best effort, and copying an image is not marked as cancelable.

        Sent once and never repeated. The API guide says POST, the proto's HTTP rule says GET: POST goes first, as a
        GET that changes something may be repeated by whatever stands between, and GET only where POST does not exist.
        """
        path = f"{self._path(operation_id)}:cancel"
        try:
            return _operation(self._send(Call("POST", self._origin, path, attempts=1)))
        except ApiError as error:
            if error.http_status != _METHOD_NOT_ALLOWED and error.code is not Code.UNIMPLEMENTED:
                raise
        return _operation(self._send(Call("GET", self._origin, path, attempts=1)))

    @staticmethod
    def _path(operation_id: str) -> str:
        return f"{OPERATION_PATH}/{quote(check_segment('operationId', operation_id), safe='')}"


class ComputeImages:
    """Compute images, the sources of copies: `/compute/v1/images`."""

    def __init__(self, send: Fetch, origin: str) -> None:
        self._send = send
        self._origin = origin

    def get(self, image_id: str) -> ComputeImage:
        """Read one image.

        Raises:
            NotFoundError: there is no such image.
        """
        path = f"{COMPUTE_PATH}/{quote(check_segment('imageId', image_id, ID_LENGTH), safe='')}"
        return self._send(Call("GET", self._origin, path)).read(ComputeImage)

    def list(
        self,
        folder_id: str,
        *,
        filter: str | None = None,  # noqa: A002 - the API's own word
        order_by: str | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[ComputeImage]:
        """Iterate over the images of a folder, fetching pages as they are needed; see `DesktopImages.list`."""
        query = _list_query(folder_id, filter, order_by, page_size)
        return _pages(self._send, Call("GET", self._origin, COMPUTE_PATH, query=query), "images", ComputeImage)

    def latest_by_family(self, folder_id: str, family: str) -> ComputeImage:
        """Read the newest image of a family.

        Raises:
            NotFoundError: the family has no image.
        """
        query = (
            ("folderId", check_text("folderId", folder_id, ID_LENGTH)),
            ("family", check_text("family", family, FAMILY_LENGTH)),
        )
        call = Call("GET", self._origin, f"{COMPUTE_PATH}:latestByFamily", query=query)
        return self._send(call).read(ComputeImage)


class Quotas:
    """Quotas of a cloud: `/quota-manager/v1/quotaLimits` (preview). How fresh their usage is, is not documented."""

    def __init__(self, send: Fetch, origin: str) -> None:
        self._send = send
        self._origin = origin

    def get(self, quota_id: str, *, cloud_id: str) -> QuotaLimit:
        """Read one quota, such as `vdi.desktopImages.count` or `vdi.desktopImages.size` (presumably bytes).

        Raises:
            NotFoundError: the cloud has no such quota.
        """
        path = f"{QUOTA_PATH}/{quote(check_segment('quotaId', quota_id), safe='')}"
        query = (("resource.id", check_text("resource.id", cloud_id)), ("resource.type", CLOUD_RESOURCE_TYPE))
        return self._send(Call("GET", self._origin, path, query=query)).read(QuotaLimit)


def _operation(reply: Reply) -> Operation:
    return reply.read(Operation).with_poll_after(reply.poll_after)


def _optional(labels: Mapping[str, str] | None, description: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if labels is not None:
        fields["labels"] = check_labels(labels)
    if description is not None:
        fields["description"] = check_text("description", description, DESCRIPTION_LENGTH, required=False)
    return fields


def _list_query(
    folder_id: str, condition: str | None, order_by: str | None, page_size: int
) -> tuple[tuple[str, str], ...]:
    query = [
        ("folderId", check_text("folderId", folder_id, ID_LENGTH)),
        ("pageSize", str(check_page_size(page_size))),
    ]
    if condition is not None:
        query.append(("filter", check_text("filter", condition, FILTER_LENGTH)))
    if order_by is not None:
        query.append(("orderBy", check_text("orderBy", order_by, ORDER_BY_LENGTH)))
    return tuple(query)


def _pages(send: Fetch, first: Call, field: str, model: type[Listed]) -> Iterator[Listed]:
    """Follow the page tokens. A token seen before, or too many pages, is a server that never ends its list."""
    seen = {""}
    token = ""
    for _ in range(PAGES):
        reply = send(replace(first, query=(*first.query, ("pageToken", token))) if token else first)
        items, following = reply.body.get(field) or [], reply.body.get("nextPageToken") or ""
        if not isinstance(items, list) or not isinstance(following, str):
            raise reply.bad(f"where {field} is not a list or nextPageToken is not a string")
        for item in items:
            yield reply.read_part(item, model)
        if not following:
            return
        if following in seen:
            raise reply.bad("with a page token that it gave before")
        seen.add(following)
        token = following
    raise reply.bad(f"as the {PAGES}th page, and there are more")
