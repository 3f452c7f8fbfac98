"""Desktop images: the six methods and their rules (P:clouddesktop/v1/desktop_image_service.proto)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from local.emulator.compute import ComputeImages
from local.emulator.fields import CopyRequest, UpdateRequest
from local.emulator.folders import Folders
from local.emulator.listing import Listing, Query
from local.emulator.operations import Caller, Operations, Work
from local.emulator.records import GIB, SUCCEEDS, DesktopImage, Operation, Outcome, QuotaLimit
from local.emulator.status import Code, Refusal, quota_exceeded
from local.emulator.timeline import Timeline

IMAGES_METRIC = "vdi.desktopImages.count"
BYTES_METRIC = "vdi.desktopImages.size"
SYSTEM_FOLDER = "standard-images"
_SYSTEM_IMAGES = ("Ubuntu 20.04 LTS (2024-12-03)", "Ubuntu 22.04 LTS (2025-06-10)")


@dataclass
class Rules:
    """What World's arguments set; may be changed between calls. Times in seconds, sizes in bytes."""

    copy_seconds: float
    delete_seconds: float
    quota_images: int
    quota_bytes: int
    unique_names: bool


class DesktopImages:
    """Every desktop image of the cloud, the system ones included."""

    def __init__(
        self, timeline: Timeline, folders: Folders, compute: ComputeImages, operations: Operations, rules: Rules
    ) -> None:
        self._timeline = timeline
        self._folders = folders
        self._compute = compute
        self._operations = operations
        self._rules = rules
        self._images: dict[str, DesktopImage] = {}
        self._desktops: dict[str, str] = {}
        self._undeletable: set[str] = set()
        self._listing = Listing(
            filterable=("name",), orderable=("name", "created_at", "status"), default_order="created_at"
        )
        for name in _SYSTEM_IMAGES:
            self.add(folder_id=SYSTEM_FOLDER, name=name, system=True)

    def get(self, image_id: str) -> DesktopImage:
        """Return one image; raises Refusal."""
        with self._timeline.looking():
            image = self._images.get(image_id)
            if image is None:
                raise Refusal(Code.NOT_FOUND, f"Desktop image {image_id} not found")
            if not image.system:
                self._folders.check(image.folder_id)
            return image

    def page(self, query: Query) -> tuple[list[DesktopImage], str]:
        """Return one page of the folder's images and the system images, and the next page's token; raises Refusal."""
        with self._timeline.looking():
            self._folders.check(query.folder_id)
            seen = {
                id_: image for id_, image in self._images.items() if image.system or image.folder_id == query.folder_id
            }
            return self._listing.page(query, seen)

    def all(self, folder_id: str | None = None) -> list[DesktopImage]:
        """Return every image in the order of creation, without the system images."""
        with self._timeline.looking():
            own = (image for image in self._images.values() if not image.system)
            return [image for image in own if folder_id in {None, image.folder_id}]

    def copy(self, request: CopyRequest, caller: Caller, outcome: Outcome = SUCCEEDS) -> Operation:
        """Start to copy a compute image; raises Refusal."""
        with self._timeline.looking() as now:
            if replayed := self._operations.replay("Copy", caller):
                return replayed
            self._folders.check(request.folder_id)
            source = self._compute.get(request.image_id)
            if source.status != "READY":
                raise Refusal(Code.FAILED_PRECONDITION, f"Image {source.id} is not READY but {source.status}")
            image = DesktopImage(
                id="",
                folder_id=request.folder_id,
                created_at=now,
                storage_size=source.storage_size,
                min_disk_size=source.min_disk_size,
                source_image_id=source.id,
            )
            return self._create("Copy", image, request, caller, outcome)

    def copy_from_desktop(self, request: CopyRequest, caller: Caller, outcome: Outcome = SUCCEEDS) -> Operation:
        """Start to make an image of a desktop, in the desktop's folder unless one is named; raises Refusal."""
        with self._timeline.looking() as now:
            if replayed := self._operations.replay("CopyFromDesktop", caller):
                return replayed
            home = self._desktops.get(request.desktop_id)
            if home is None:
                raise Refusal(Code.NOT_FOUND, f"Desktop {request.desktop_id} not found")
            self._folders.check(request.folder_id or home)
            image = DesktopImage(
                id="",
                folder_id=request.folder_id or home,
                created_at=now,
                source_desktop_id=request.desktop_id,
            )
            return self._create("CopyFromDesktop", image, request, caller, outcome)

    def update(self, request: UpdateRequest, caller: Caller, outcome: Outcome = SUCCEEDS) -> Operation:
        """Start to overwrite the fields of the mask; raises Refusal."""
        with self._timeline.looking():
            if replayed := self._operations.replay("Update", caller):
                return replayed
            image = self._changeable(request.image_id)
            if "name" in request.mask and request.name != image.name:
                self._check_name(image.folder_id, request.name)
            self._operations.check_room()
            changes: dict[str, Any] = {field: getattr(request, field) for field in request.mask}
            work = Work(
                method="Update",
                image_id=image.id,
                seconds=self._rules.delete_seconds,
                succeed=lambda _: self._replace(image.id, **changes),
                fail=lambda: None,
            )
            return self._operations.start(self._timeline.next_id("e3v"), work, caller, outcome)

    def delete(self, image_id: str, caller: Caller, outcome: Outcome = SUCCEEDS) -> Operation:
        """Start to delete; raises Refusal."""
        with self._timeline.looking():
            if replayed := self._operations.replay("Delete", caller):
                return replayed
            image = self._changeable(image_id)
            if image.id in self._undeletable:
                raise Refusal(Code.FAILED_PRECONDITION, f"Desktop image {image.id} is in use")
            self._operations.check_room()
            self._replace(image.id, status="DELETING")
            work = Work(
                method="Delete",
                image_id=image.id,
                seconds=self._rules.delete_seconds,
                succeed=lambda _: self._drop(image.id),
                fail=lambda: self._restore(image),
            )
            return self._operations.start(self._timeline.next_id("e3v"), work, caller, outcome)

    def quota_limits(self) -> list[QuotaLimit]:
        """Return both quotas of the cloud as they are used now."""
        with self._timeline.looking():
            counted = [image for image in self._images.values() if not image.system]
            return [
                QuotaLimit(IMAGES_METRIC, self._rules.quota_images, len(counted)),
                QuotaLimit(BYTES_METRIC, self._rules.quota_bytes, sum(image.storage_size for image in counted)),
            ]

    def add(self, *, folder_id: str, **fields: Any) -> DesktopImage:
        """Put an image there as if somebody else had made it, whatever the quota; `fields` are those of the record."""
        with self._timeline.looking() as now:
            defaults: dict[str, Any] = {
                "id": self._timeline.next_id("e3v"),
                "created_at": now,
                "storage_size": 20 * GIB,
            }
            image = DesktopImage(folder_id=folder_id, **(defaults | fields))
            self._images[image.id] = image
            return image

    def add_desktop(self, folder_id: str) -> str:
        """Create a desktop to make images of; returns its id."""
        with self._timeline.looking():
            desktop_id = self._timeline.next_id("e3v")
            self._desktops[desktop_id] = folder_id
            return desktop_id

    def remove(self, image_id: str) -> None:
        """Delete an image at once, as by hand; a copy that was creating it fails with NOT_FOUND."""
        with self._timeline.looking():
            del self._images[image_id]

    def refuse_delete(self, image_id: str, *, refuse: bool = True) -> None:
        """Refuse to delete the image as being in use, or stop refusing."""
        with self._timeline.looking():
            (self._undeletable.add if refuse else self._undeletable.discard)(image_id)

    def _create(
        self, method: str, draft: DesktopImage, request: CopyRequest, caller: Caller, outcome: Outcome
    ) -> Operation:
        self._check_name(draft.folder_id, request.name)
        self._operations.check_room()
        self._check_quota(draft.storage_size)
        image = replace(
            draft,
            id=self._timeline.next_id("e3v"),
            status="CREATING",
            name=request.name,
            labels=request.labels,
            description=request.description,
            operation_id=self._timeline.next_id("e3v"),
        )
        self._images[image.id] = image
        work = Work(
            method=method,
            image_id=image.id,
            seconds=self._rules.copy_seconds,
            succeed=self._activation(image.id, outcome.image_lag_seconds),
            fail=lambda: self._drop(image.id),
        )
        return self._operations.start(image.operation_id, work, caller, outcome)

    def _activation(self, image_id: str, lag_seconds: float) -> Callable[[datetime], DesktopImage]:
        """Make the end of a copy. With a lag the image is announced as ACTIVE and seen as CREATING."""

        def activate(now: datetime) -> DesktopImage:
            image = self._replace(image_id)
            if lag_seconds:
                self._timeline.later(now, lag_seconds, lambda _: self._become_active(image_id))
                return replace(image, status="ACTIVE")
            return self._replace(image_id, status="ACTIVE")

        return activate

    def _become_active(self, image_id: str) -> None:
        if image_id in self._images:
            self._replace(image_id, status="ACTIVE")

    def _replace(self, image_id: str, **changes: Any) -> DesktopImage:
        if image_id not in self._images:
            raise Refusal(Code.NOT_FOUND, f"Desktop image {image_id} was deleted meanwhile")
        self._images[image_id] = replace(self._images[image_id], **changes)
        return self._images[image_id]

    def _drop(self, image_id: str) -> None:
        self._images.pop(image_id, None)

    def _restore(self, image: DesktopImage) -> None:
        if image.id in self._images:
            self._images[image.id] = image

    def _changeable(self, image_id: str) -> DesktopImage:
        image = self.get(image_id)
        if image.system:
            raise Refusal(Code.PERMISSION_DENIED, f"Desktop image {image.id} is a system image")
        if image.status != "ACTIVE":
            raise Refusal(Code.FAILED_PRECONDITION, f"Desktop image {image.id} is not ACTIVE but {image.status}")
        return image

    def _check_name(self, folder_id: str, name: str) -> None:
        taken = any(i.name == name and i.folder_id == folder_id for i in self._images.values())
        if self._rules.unique_names and taken:
            raise Refusal(Code.ALREADY_EXISTS, f"Desktop image with name {name} already exists")

    def _check_quota(self, size: int) -> None:
        for quota, required in zip(self.quota_limits(), (1, size), strict=True):
            if quota.usage + required > quota.limit:
                raise quota_exceeded(quota.quota_id, quota.limit, quota.usage, required)
