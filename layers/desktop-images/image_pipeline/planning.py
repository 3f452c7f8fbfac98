"""The cleanup plan from the world as it is now, and the first mark of carrying it out."""

from __future__ import annotations

from cloud_desktop import DesktopImage, NotFoundError
from image_pipeline import naming
from image_pipeline.adapters import Adapters
from image_pipeline.beginnings import adopt, retire
from image_pipeline.copies import Copy, State
from image_pipeline.retention import Judgement, Plan, plan_cleanup
from image_pipeline.wake_ups import WakeUp


def make_plan(adapters: Adapters) -> Plan:
    """Return the plan for all target folders. Reads only: a list of each folder, and one call an image that is ours."""
    policy = adapters.policy()
    copies = list(adapters.ledger.copies())
    made = {copy.desktop_image_id for copy in copies if copy.desktop_image_id}
    images = [
        _with_labels(adapters, image, made)
        for folder_id in policy.target_folders
        for image in adapters.cloud.desktop_images.list(folder_id)
    ]
    return plan_cleanup(images, copies, policy, adapters.clock())


def mark_for_deletion(adapters: Adapters, judgement: Judgement, *, wake: bool = False) -> Copy | None:
    """Store that an image which has just been judged is to go; None where its row has changed in the meantime.

    With `wake` a message is sent first that makes poll-operation delete it; otherwise the caller follows the row.
    """
    copy = _row(adapters, judgement)
    if copy is None or copy.state is not State.ACTIVE:
        return None
    going = retire(copy, "; ".join(judgement.reasons), adapters.clock())
    going = going.model_copy(update={"version": copy.version + 1, "seq": copy.seq + wake})
    if wake:
        adapters.queue.send(WakeUp(folder_id=going.folder_id, image_id=going.image_id, seq=going.seq), after=0)
    return going if adapters.ledger.replace(going, expected_version=copy.version) else None


def _row(adapters: Adapters, judgement: Judgement) -> Copy | None:
    """Return the row of the image; an image that is ours by its labels alone gets one first."""
    source = judgement.source_image_id
    if source is None:
        return None
    row = adapters.ledger.get(judgement.folder_id, source)
    if row is not None:
        return row if row.desktop_image_id == judgement.image_id else None
    adopted = adopt(adapters.cloud.desktop_images.get(judgement.image_id), adapters.clock())
    return adopted if adapters.ledger.create(adopted) else None


def _with_labels(adapters: Adapters, image: DesktopImage, made: set[str]) -> DesktopImage:
    """Return the image with its labels, which a list may omit; pins and ownership stand in them."""
    if image.labels or (image.id not in made and image.id in adapters.known_foreign):
        return image
    try:
        read = adapters.cloud.desktop_images.get(image.id)
    except NotFoundError:
        return image
    if image.id not in made and not naming.is_ours(read.labels):
        adapters.known_foreign.add(image.id)
    return read
