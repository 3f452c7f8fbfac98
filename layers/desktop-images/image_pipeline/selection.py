"""Which routes take an image, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Protocol

from image_pipeline.naming import Named
from image_pipeline.policy import Policy, Route


class Candidate(Named, Protocol):
    """What selection looks at; a ComputeImage is one."""

    @property
    def folder_id(self) -> str: ...  # noqa: D102
    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Decision:
    """What one route says of one image. `reason` is a sentence for the log, the sweep's answer and the tests alike."""

    route: str
    selected: bool
    reason: str


def decide(image: Candidate, policy: Policy) -> list[Decision]:
    """Return the decision of every route, in the policy's order.

    Only the route's rules count here; whether the image is READY yet is the state machine's concern.
    """
    return [_decide(image, route) for route in policy.routes]


def _decide(image: Candidate, route: Route) -> Decision:
    mismatch = _mismatch(image, route)
    return Decision(
        route=route.name,
        selected=mismatch is None,
        reason=mismatch or f"selected by route {route.name}",
    )


def _mismatch(image: Candidate, route: Route) -> str | None:
    source = route.source
    if image.folder_id != source.folder_id:
        return f"folder {image.folder_id} is not {source.folder_id}"
    if not fnmatchcase(image.family, source.family):
        return f"family {image.family!r} does not match {source.family!r}"
    if not fnmatchcase(image.name, source.name):
        return f"name {image.name!r} does not match {source.name!r}"
    for key, wanted in source.labels.items():
        if (found := image.labels.get(key)) != wanted:
            return f"label {key} is {found!r}, not {wanted!r}" if found is not None else f"label {key} is missing"
    if source.since and (image.created_at is None or image.created_at < source.since):
        return f"created {_instant(image.created_at)}, before {_instant(source.since)}"
    return None


def _instant(moment: datetime | None) -> str:
    return moment.isoformat() if moment else "at an unknown time"
