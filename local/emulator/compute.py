"""Compute images: the sources of copies (P:compute/v1/image_service.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from local.emulator.folders import Folders
from local.emulator.listing import Listing, Query
from local.emulator.records import GIB, ComputeImage
from local.emulator.status import Code, Refusal
from local.emulator.timeline import Timeline


class ComputeImages:
    """Every compute image of the cloud; what the API can see of them and what happens to them elsewhere."""

    def __init__(self, timeline: Timeline, folders: Folders) -> None:
        self._timeline = timeline
        self._folders = folders
        self._images: dict[str, ComputeImage] = {}
        self._listing = Listing(
            filterable=("name", "family", "status"), orderable=("id", "name", "created_at"), default_order="id"
        )

    def get(self, image_id: str) -> ComputeImage:
        """Return one image; raises Refusal."""
        with self._timeline.looking():
            image = self._images.get(image_id)
            if image is None:
                raise Refusal(Code.NOT_FOUND, f"Image {image_id} not found")
            self._folders.check(image.folder_id)
            return image

    def page(self, query: Query) -> tuple[list[ComputeImage], str]:
        """Return one page of a folder's images and the next page's token; raises Refusal."""
        with self._timeline.looking():
            self._folders.check(query.folder_id)
            return self._listing.page(
                query, {id_: image for id_, image in self._images.items() if image.folder_id == query.folder_id}
            )

    def latest_by_family(self, folder_id: str, family: str) -> ComputeImage:
        """Return the newest READY image of a family; raises Refusal."""
        with self._timeline.looking():
            self._folders.check(folder_id)
            wanted = (folder_id, family, "READY")
            found = [
                image for image in self._images.values() if (image.folder_id, image.family, image.status) == wanted
            ]
            if not found:
                raise Refusal(Code.NOT_FOUND, f"Family {family} has no image in folder {folder_id}")
            return max(found, key=lambda image: (image.created_at, image.id))

    def all(self) -> list[ComputeImage]:
        """Return every image in the order of creation."""
        with self._timeline.looking():
            return list(self._images.values())

    def add(
        self,
        *,
        folder_id: str,
        name: str = "",
        family: str = "",
        labels: Mapping[str, str] | None = None,
        description: str = "",
        status: str = "READY",
        ready_after: float | None = None,
        image_id: str | None = None,
        size: int = 20 * GIB,
        created_at: datetime | None = None,
    ) -> ComputeImage:
        """Create an image of `size` bytes; with `ready_after` it is CREATING for so many seconds, then READY."""
        with self._timeline.looking() as now:
            image = ComputeImage(
                id=image_id or self._timeline.next_id("fd8"),
                folder_id=folder_id,
                created_at=created_at or now,
                name=name,
                family=family,
                labels=dict(labels or {}),
                description=description,
                status=status if ready_after is None else "CREATING",
                storage_size=size,
                min_disk_size=3 * size,
            )
            self._images[image.id] = image
            if ready_after is not None:
                self._timeline.later(now, ready_after, lambda _: self._become_ready(image.id))
            return image

    def set_status(self, image_id: str, status: str) -> None:
        """Set the status: CREATING, READY, ERROR or DELETING."""
        with self._timeline.looking():
            self._images[image_id] = replace(self._images[image_id], status=status)

    def remove(self, image_id: str) -> None:
        """Delete an image at once; copies of it that run go on."""
        with self._timeline.looking():
            del self._images[image_id]

    def _become_ready(self, image_id: str) -> None:
        image = self._images.get(image_id)
        if image is not None and image.status == "CREATING":
            self._images[image_id] = replace(image, status="READY")
