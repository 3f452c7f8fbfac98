"""Sees every row that is stored, and holds it against the world as it is at that moment: promises 1, 4 and 8."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from image_pipeline.copies import Copy, State
from image_pipeline.ledger import RESERVED
from image_pipeline.policy import Policy
from local.emulator.records import DesktopImage
from tests.rig.pipeline import Rig
from tests.rig.table import MemoryTable

Key = tuple[str, str]
Group = tuple[str, str | None, str]
_deserialize = TypeDeserializer().deserialize


class WitnessedTable(MemoryTable):
    """The ledger's table of a rig, which fails the test at the write that breaks a promise.

    It shares no code with what it judges: the world is asked what exists, the rows what was decided.
    """

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        item = arguments["Item"]
        key = item["folder_id"]["S"], item["image_id"]["S"]
        stored = self.items.get(key)
        answer = super().put_item(**arguments)
        if not key[0].startswith(RESERVED):
            self._judge(None if stored is None else _copy(stored), _copy(item))
        return answer

    def rows(self) -> dict[Key, Copy]:
        return {key: _copy(item) for key, item in self.items.items() if not key[0].startswith(RESERVED)}

    def _judge(self, before: Copy | None, after: Copy) -> None:
        assert after.reason, f"{after.key} is {after.state} and does not say why"
        if after.state.is_pending:
            assert after.step, f"{after.key} is {after.state} and has no step to take"
            assert after.next_look_at, f"{after.key} is {after.state} and has no time to be looked at"
            assert after.deadline_at, f"{after.key} is {after.state} and has no end"
        else:
            assert after.step is None, f"{after.key} is {after.state} and still wants to {after.step}"
        if before is None:
            return
        assert after.version == before.version + 1, f"{after.key} went from version {before.version} to {after.version}"
        assert after.created_at == before.created_at, f"{after.key} forgot when it began"
        self._judge_move(before, after)

    def _judge_move(self, before: Copy, after: Copy) -> None:
        if after.generation != before.generation:
            self._judge_generation(before, after)
        if before.state is after.state:
            return
        if not before.state.is_pending:
            allowed = {State.RETIRING} if before.state is State.ACTIVE else {State.ACTIVE}
            allowed |= {State.LOST} if before.state is State.ACTIVE else {State.COPYING, State.WAITING_FOR_SOURCE}
            assert after.state in allowed, f"{after.key} went from {before.state} to {after.state}"
        if after.state is State.ACTIVE and before.state is not State.RETIRING:
            image = self._image(after)
            status = image.status if image else "gone"
            assert status == "ACTIVE", f"{after.key} is called ACTIVE and its image is {status}"
        if after.state is State.RETIRING:
            self._judge_retirement(before)

    def _judge_generation(self, before: Copy, after: Copy) -> None:
        assert after.generation == before.generation + 1
        if not before.state.is_pending:
            return
        operations = {operation.id: operation for operation in self._rig.world.operations()}
        last = operations[before.operation_id or ""] if before.operation_id else None
        failed = [o for o in operations.values() if o.done and o.error and (last is None or o.id == last.id)]
        assert failed, f"{after.key} rose to generation {after.generation} though operation {last} has not failed"

    def _judge_retirement(self, row: Copy) -> None:
        policy, now = self._rig.policy, self._rig.clock.now
        image = self._image(row)
        assert policy.cleanup == "apply", f"{row.key} is retired under cleanup: plan"
        assert image is not None
        assert image.operation_id, f"{row.key} is retired, an image that somebody else made"
        route = next(route for route in policy.routes if route.name == row.route)
        assert now - image.created_at >= timedelta(days=route.retention.min_age_days), f"{row.key} is retired too young"
        assert not _is_pinned(row, image, policy), f"{row.key} is retired though it is pinned"
        peers = [made for image_id, group, made in self._active() if group == _group(row) and image_id != image.id]
        assert [made for made in peers if made >= _made(row, image)], f"{row.key} is retired, the newest of its family"
        assert len(peers) >= route.retention.floor, f"retiring {row.key} leaves fewer than the floor"

    def _active(self) -> Iterator[tuple[str, Group, datetime]]:
        """Yield every image in use: its id, its group and when what it holds was made, by its row or by its labels."""
        rows = {row.desktop_image_id: row for row in self.rows().values()}
        for image in self._rig.world.desktop_images():
            row = rows.get(image.id)
            if image.status != "ACTIVE" or not image.source_image_id or (row and row.state is not State.ACTIVE):
                continue
            by_label = image.folder_id, image.labels.get("route"), image.labels.get("source-family", "")
            yield image.id, _group(row) if row else by_label, _made(row, image)

    def _image(self, row: Copy) -> DesktopImage | None:
        images = self._rig.world.desktop_images(row.folder_id)
        return next((image for image in images if image.id == row.desktop_image_id), None)


def _is_pinned(row: Copy, image: DesktopImage, policy: Policy) -> bool:
    pins = {pin for route in policy.routes if route.name == row.route for pin in route.retention.pinned}
    return row.pinned or bool(pins & {row.image_id, image.id, image.name})


def _group(row: Copy) -> Group:
    return row.folder_id, row.route, row.family


def _made(row: Copy | None, image: DesktopImage) -> datetime:
    return min(image.created_at, (row.source_created_at if row else None) or image.created_at)


def _copy(item: dict[str, Any]) -> Copy:
    return Copy.model_validate({name: _deserialize(value) for name, value in item.items()})
