"""Folders: any id is a folder of the cloud; some can be closed to the caller."""

from __future__ import annotations

from local.emulator.fields import check_id
from local.emulator.status import Code, Refusal


class Folders:
    """Which folders the caller may use. Every id exists until it is denied."""

    def __init__(self) -> None:
        self._denied: set[str] = set()

    def deny(self, folder_id: str) -> None:
        """Refuse every call that touches the folder from now on."""
        self._denied.add(folder_id)

    def allow(self, folder_id: str) -> None:
        """Take `deny` back."""
        self._denied.discard(folder_id)

    def check(self, folder_id: str) -> None:
        """Raise Refusal where the id is empty, too long or denied."""
        check_id("folder_id", folder_id)
        if folder_id in self._denied:
            raise Refusal(Code.PERMISSION_DENIED, f"Permission denied to folder {folder_id}")
