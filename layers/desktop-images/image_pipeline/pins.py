"""Pin a desktop image, so that no plan ever chooses it, and take the pin off again."""

from __future__ import annotations

from cloud_desktop import CloudDesktopError, OutOfTimeError
from image_pipeline.adapters import Adapters
from image_pipeline.copies import Copy
from image_pipeline.naming import PINNED

_MOST_TRIES = 5


class NoSuchCopyError(Exception):
    """There is no copy of that image in that folder."""


class BusyCopyError(Exception):
    """The copy changed each time the pin was being stored."""


def set_pin(adapters: Adapters, folder_id: str, image_id: str, *, pinned: bool) -> Copy:
    """Pin the copy's desktop image or unpin it; safe to repeat.

    The ledger is what counts. The label `pinned` is put on the image as well, for people who look at it, where the
    region takes labels; where it does not the pin holds all the same. Taking a pin off takes the label off first,
    because the label alone would keep the image pinned.

    Raises:
        NoSuchCopyError: the ledger has no such copy.
        BusyCopyError: the row kept changing; try again.
        CloudDesktopError: the label could not be taken off; the image is still pinned.
    """
    copy = _row(adapters, folder_id, image_id)
    if not pinned:
        _label(adapters, copy, pinned=False)
    for _ in range(_MOST_TRIES):
        changed = copy.model_copy(
            update={"pinned": pinned, "updated_at": adapters.clock(), "version": copy.version + 1}
        )
        if copy.pinned is pinned or adapters.ledger.replace(changed, expected_version=copy.version):
            break
        copy = _row(adapters, folder_id, image_id)
    else:
        raise BusyCopyError(f"the copy of image {image_id} in folder {folder_id} kept changing; try again")
    stored = _row(adapters, folder_id, image_id)
    adapters.telemetry.log_copy("copy_pinned" if pinned else "copy_unpinned", stored)
    if pinned:
        try:
            _label(adapters, stored, pinned=True)
        except OutOfTimeError:
            raise
        except CloudDesktopError as error:
            adapters.telemetry.warn("pin_without_label", correlation_id=stored.correlation_id, error=str(error))
    return stored


def _row(adapters: Adapters, folder_id: str, image_id: str) -> Copy:
    copy = adapters.ledger.get(folder_id, image_id)
    if copy is None:
        raise NoSuchCopyError(f"there is no copy of image {image_id} in folder {folder_id}")
    return copy


def _label(adapters: Adapters, copy: Copy, *, pinned: bool) -> None:
    if copy.desktop_image_id is None or copy.state.name in {"RETIRED", "LOST"}:
        return
    image = adapters.cloud.desktop_images.get(copy.desktop_image_id)
    if (PINNED in image.labels) is pinned:
        return
    labels = {key: value for key, value in image.labels.items() if key != PINNED}
    adapters.cloud.desktop_images.update(image.id, labels={**labels, PINNED: "true"} if pinned else labels)
