"""The emulated cloud as tests and the local runner hold it: state and rules, apart from HTTP.

What Yandex does not document and what was decided here instead is listed in README.md beside this file.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.emulator.compute import ComputeImages
from local.emulator.desktop import DesktopImages, Rules
from local.emulator.folders import Folders
from local.emulator.identity import Identity
from local.emulator.operations import Operations
from local.emulator.records import GIB, ComputeImage, DesktopImage, LoggedRequest, Operation
from local.emulator.timeline import Clock, Timeline

_LOG_LENGTH = 100_000


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


class World:
    """One cloud with any number of folders; safe to use from several threads.

    Args:
        clock: Tells the time, aware; the seconds below are seconds of this clock.
        copy_seconds: How long Copy and CopyFromDesktop run.
        delete_seconds: How long Delete and Update run.
        quota_images: Desktop images per cloud, those being created included, system images not.
        quota_bytes: Their total storage size.
        max_active_operations: Operations that may run at once; one more is refused.
        accept_labels_on_copy: False emulates the service before 2026-02-26 (P:10289b3), for which labels and
            description of a copy are unknown fields, and refuses them.
        list_includes_labels: Whether List shows labels; by default one must Get an image to see them.
        unique_names: Refuse a second desktop image of the same name in a folder.
        strict_fields: Refuse unknown fields in request bodies.
        static_token: A token that is accepted besides the issued ones; empty means none.
    """

    def __init__(
        self,
        *,
        clock: Clock = utc_now,
        copy_seconds: float = 3.0,
        delete_seconds: float = 1.0,
        quota_images: int = 8,
        quota_bytes: int = 2**40,
        max_active_operations: int = 15,
        accept_labels_on_copy: bool = True,
        list_includes_labels: bool = False,
        unique_names: bool = False,
        strict_fields: bool = False,
        static_token: str | None = None,
    ) -> None:
        self.accept_labels_on_copy = accept_labels_on_copy
        self.list_includes_labels = list_includes_labels
        self.strict_fields = strict_fields
        self.rules = Rules(
            copy_seconds=copy_seconds,
            delete_seconds=delete_seconds,
            quota_images=quota_images,
            quota_bytes=quota_bytes,
            unique_names=unique_names,
        )
        timeline = Timeline(clock)
        self._timeline = timeline
        self.folders = Folders()
        self.identity = Identity(clock, static_token)
        self.compute = ComputeImages(timeline, self.folders)
        self.operation_service = Operations(timeline, max_active_operations)
        self.desktop = DesktopImages(timeline, self.folders, self.compute, self.operation_service, self.rules)
        self.calls: Counter[str] = Counter()
        self.requests: deque[LoggedRequest] = deque(maxlen=_LOG_LENGTH)

    def add_compute_image(
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
        """Create a compute image of `size` bytes; with `ready_after` it is CREATING for so many seconds, then READY."""
        return self.compute.add(
            folder_id=folder_id,
            name=name,
            family=family,
            labels=labels,
            description=description,
            status=status,
            ready_after=ready_after,
            image_id=image_id,
            size=size,
            created_at=created_at,
        )

    def compute_images(self) -> list[ComputeImage]:
        """Return every compute image in the order of creation."""
        return self.compute.all()

    def set_compute_status(self, image_id: str, status: str) -> None:
        """Set a compute image's status: CREATING, READY, ERROR or DELETING."""
        self.compute.set_status(image_id, status)

    def remove_compute_image(self, image_id: str) -> None:
        """Delete a compute image at once; copies of it that run go on."""
        self.compute.remove(image_id)

    def desktop_images(self, folder_id: str | None = None) -> list[DesktopImage]:
        """Return every desktop image in the order of creation, without the system images."""
        return self.desktop.all(folder_id)

    def add_desktop_image(self, *, folder_id: str, **fields: Any) -> DesktopImage:
        """Put a desktop image there as if somebody else had made it; `fields` are those of DesktopImage."""
        return self.desktop.add(folder_id=folder_id, **fields)

    def remove_desktop_image(self, image_id: str) -> None:
        """Delete a desktop image at once, as by hand; a copy that was creating it fails with NOT_FOUND."""
        self.desktop.remove(image_id)

    def refuse_delete(self, image_id: str, *, refuse: bool = True) -> None:
        """Refuse to delete the desktop image as being in use, or stop refusing."""
        self.desktop.refuse_delete(image_id, refuse=refuse)

    def add_desktop(self, folder_id: str) -> str:
        """Create a desktop to make images of; returns its id."""
        return self.desktop.add_desktop(folder_id)

    def operations(self) -> list[Operation]:
        """Return every operation in the order of creation, the forgotten ones too."""
        return self.operation_service.all()

    def forget_operation(self, operation_id: str, *, key_too: bool = False) -> None:
        """Answer NOT_FOUND for the operation; the work goes on. A replay finds it by its key, unless `key_too`."""
        self.operation_service.forget(operation_id, key_too=key_too)

    def deny_folder(self, folder_id: str) -> None:
        """Answer PERMISSION_DENIED to every call that touches the folder."""
        self.folders.deny(folder_id)

    def allow_folder(self, folder_id: str) -> None:
        """Take `deny_folder` back."""
        self.folders.allow(folder_id)

    def issue_token(self) -> str:
        """Return a fresh IAM token that lives twelve hours."""
        return self.identity.issue_token("ajetestuser000000000").text

    def issue_service_account_key(self) -> dict[str, str]:
        """Return a fresh authorized key (RSA 2048) as `yc iam key create` writes it; it is trusted from now on."""
        return self.identity.issue_key(self._timeline.next_id("aje"), self._timeline.next_id("aje"))

    def count_request(self, route: str) -> None:
        """Count a request on its way in, under `METHOD /route/template`."""
        with self._timeline.looking():
            self.calls[route] += 1
