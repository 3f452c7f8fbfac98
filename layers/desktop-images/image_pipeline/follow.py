"""Take a copy as far as it goes now: observe, advance, send the wake-up, store the row, announce the verdict.

The order is what keeps the promises. The wake-up is sent before the row that waits for it is stored, so no stored wait
is without a message; a message that arrives for a row not stored yet is just an early look. A verdict is stored before
it is announced, and `notice_due` stays on the row until it has been. Whatever dies in between is done again by the
redelivered message, with the same idempotency key.
"""

from __future__ import annotations

from cloud_desktop import CloudDesktopError, ConfigurationError, NotFoundError, OutOfTimeError, YandexCloud
from image_pipeline import wake_ups
from image_pipeline.adapters import Adapters
from image_pipeline.copies import Copy, Step, idempotency_key
from image_pipeline.room_check import check_room
from image_pipeline.state_machine import (
    CallFailed,
    ImageSeen,
    LookAgain,
    Measure,
    NameSearched,
    Observation,
    OperationSeen,
    SourceSeen,
    advance,
)

MOST_STEPS = 8
"""Steps taken in one go; the longest path, from a wake-up to a labelled image, has five."""


def wake(adapters: Adapters, wake_up: wake_ups.WakeUp) -> Copy | None:
    """Follow the copy that a queue message asks about.

    Safe to repeat: a message whose `seq` the row has left behind is dropped. One that is ahead of its row belongs to a
    process that died before it could store the row, and counts. Returns None where there is no such row.
    """
    copy = adapters.ledger.get(wake_up.folder_id, wake_up.image_id)
    if copy is None:
        adapters.telemetry.warn("wake_up_without_copy", correlation_id=f"{wake_up.folder_id}/{wake_up.image_id}")
        return None
    if wake_up.seq < copy.seq:
        adapters.telemetry.log_copy("stale_wake_up_dropped", copy, message_seq=wake_up.seq)
        return announce(adapters, copy)
    return follow(adapters, copy, seq=wake_up.seq)


def follow(adapters: Adapters, copy: Copy, *, seq: int = 0) -> Copy:
    """Take a stored copy as far as it goes now, and return it as it is then.

    `seq` is that of the message being answered, if any. Where another process was faster the row is left as that
    process stored it.

    Raises:
        OutOfTimeError, ConfigurationError, ClientError, BotoCoreError, NoticeError: nothing is lost; whoever called
            must fail, so that the message or event comes again.
    """
    for _ in range(MOST_STEPS):
        if copy.step is None:
            break
        observation = check_room(adapters, copy) if copy.step is Step.CHECK_ROOM else observe(adapters.cloud, copy)
        moved, effects = advance(copy, observation, adapters.clock())
        pause = next((effect.after for effect in effects if isinstance(effect, LookAgain)), None)
        update = {"version": copy.version + 1}
        if pause is not None:
            update["seq"] = max(copy.seq, seq) + 1
            adapters.queue.send(
                wake_ups.WakeUp(folder_id=copy.folder_id, image_id=copy.image_id, seq=update["seq"]), after=pause
            )
        moved = moved.model_copy(update=update)
        if not adapters.ledger.replace(moved, expected_version=copy.version):
            stored = adapters.ledger.get(*copy.key)
            # Equal: the answer to this write was lost, and botocore's repetition of it met the row that it had made.
            if stored != moved:
                adapters.telemetry.log_copy("copy_already_advanced", copy)
                return stored or copy
        for effect in effects:
            if isinstance(effect, Measure):
                adapters.telemetry.measure(effect.metric, effect.value)
        adapters.telemetry.log_copy(
            "copy_advanced", moved, was=copy.state.value, step=copy.step.value, next_look_in=pause
        )
        copy = moved
        if pause is not None:
            break
    return announce(adapters, copy)


def announce(adapters: Adapters, copy: Copy) -> Copy:
    """Announce the copy's verdict if that is still due. At least once, each time with the same notice id."""
    if not copy.notice_due:
        return copy
    adapters.notices.announce(copy)
    announced = copy.model_copy(update={"notice_due": False, "version": copy.version + 1})
    if not adapters.ledger.replace(announced, expected_version=copy.version):
        return adapters.ledger.get(*copy.key) or copy
    return announced


def observe(cloud: YandexCloud, copy: Copy) -> Observation:
    """Make the one call that the copy's step stands for, and return what was seen. Decides nothing."""
    try:
        match copy.step:
            case Step.READ_SOURCE:
                return _read_source(cloud, copy)
            case Step.FIND_BY_NAME | Step.ADOPT_BY_NAME:
                # A list may omit labels, and they tell the copy from a namesake.
                listed = cloud.desktop_images.list(copy.folder_id, name=copy.name)
                namesakes = [image.id for image in listed if image.name == copy.name]
                return NameSearched(tuple(cloud.desktop_images.get(image_id) for image_id in namesakes))
            case Step.SUBMIT:
                return _submit(cloud, copy)
            case Step.READ_IMAGE:
                return _read_image(cloud, copy)
            case Step.READ_OPERATION:
                return OperationSeen(cloud.operations.get(copy.operation_id or ""))
            case Step.LABEL:
                labels = {**cloud.desktop_images.get(copy.desktop_image_id or "").labels, **copy.labels}
                return OperationSeen(
                    cloud.desktop_images.update(
                        copy.desktop_image_id or "", labels=labels, idempotency_key=idempotency_key(copy)
                    )
                )
            case Step.DELETE:
                return OperationSeen(
                    cloud.desktop_images.delete(copy.desktop_image_id or "", idempotency_key=idempotency_key(copy))
                )
            case Step.CHECK_ROOM | None:
                raise ValueError(f"copy {copy.correlation_id} at step {copy.step} asks nothing of the cloud")
    except (OutOfTimeError, ConfigurationError):
        raise
    except CloudDesktopError as error:
        return CallFailed(error)


def _read_source(cloud: YandexCloud, copy: Copy) -> Observation:
    try:
        return SourceSeen(cloud.compute_images.get(copy.image_id).status)
    except NotFoundError:
        return SourceSeen(None)


def _read_image(cloud: YandexCloud, copy: Copy) -> Observation:
    try:
        return ImageSeen(cloud.desktop_images.get(copy.desktop_image_id or ""))
    except NotFoundError:
        return ImageSeen(None)


def _submit(cloud: YandexCloud, copy: Copy) -> Observation:
    return OperationSeen(
        cloud.desktop_images.copy(
            folder_id=copy.folder_id,
            name=copy.name,
            image_id=copy.image_id,
            labels=None if copy.labels_refused else copy.labels,
            description=None if copy.labels_refused else copy.description or None,
            idempotency_key=idempotency_key(copy),
        )
    )
