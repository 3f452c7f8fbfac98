"""Compare the world with the policy and the ledger, start what is missing and wake what is asleep too long.

The sweep needs no event and no message: losing all of them loses nothing but one period. Repeating it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cloud_desktop import CloudDesktopError, ComputeImage, DesktopImage, NotFoundError
from image_pipeline import naming, wake_ups
from image_pipeline.adapters import Adapters
from image_pipeline.beginnings import adopt, vanish
from image_pipeline.copies import Copy, State, answer
from image_pipeline.follow import announce
from image_pipeline.notices import NoticeError
from image_pipeline.policy import Policy, Route
from image_pipeline.selection import decide
from image_pipeline.start import Outcome, Result, start

_GIVEN_UP = frozenset({State.TIMED_OUT, State.LOST, State.FAILED})
Rows = dict[tuple[str, str], Copy]


@dataclass(slots=True)
class SweepReport:
    """What one sweep found and did."""

    seen: int = 0
    selected: int = 0
    started: list[Copy] = field(default_factory=list)
    already_there: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    woken: int = 0
    adopted: int = 0
    vanished: int = 0
    postponed: int = 0
    errors: list[str] = field(default_factory=list)
    names_there: dict[str, set[str]] = field(default_factory=dict)
    """Names of the desktop images in each target folder that could be read; not part of the answer."""

    def answer(self) -> dict[str, Any]:
        """Return the report as `POST /sweep` gives it."""
        return {
            "seen": self.seen,
            "selected": self.selected,
            "started": [answer(copy) for copy in self.started],
            "alreadyThere": self.already_there,
            "skipped": dict(sorted(self.skipped.items())),
            "woken": self.woken,
            "adopted": self.adopted,
            "vanished": self.vanished,
            "postponed": self.postponed,
            "errors": self.errors,
            "message": self._message(),
        }

    def _message(self) -> str:
        if self.errors:
            return "Part of the sweep failed; the next one takes it up."
        if self.postponed:
            return f"{self.postponed} selected images are left to the next sweep, for want of time or of room."
        if not self.selected:
            return (
                f"No image was selected: {self.seen} were seen in the source folders, and no route takes any of them."
            )
        return f"{self.selected} selected, {len(self.started)} started, {self.already_there} already there."


def sweep(adapters: Adapters) -> SweepReport:
    """Do all of it once. A folder that cannot be read is reported and does not stop the others.

    Calls: one a page of each source and target folder, one a new copy, one for each desktop image not known yet.
    """
    policy = adapters.policy()
    report = SweepReport()
    rows: Rows = {copy.key: copy for copy in adapters.ledger.copies()}
    for folder_id in policy.target_folders:
        with _reported(report, folder_id):
            _heal_folder(adapters, folder_id, rows, report)
    _wake_sleepers(adapters, rows, report)
    for folder_id in dict.fromkeys(route.source.folder_id for route in policy.routes):
        with _reported(report, folder_id):
            _start_missing(adapters, policy, folder_id, rows, report)
    _measure(adapters, rows, report)
    return report


@contextmanager
def _reported(report: SweepReport, folder_id: str) -> Iterator[None]:
    """Put an error of the cloud into the report, so that one folder does not stop the others."""
    try:
        yield
    except CloudDesktopError as error:
        report.errors.append(f"folder {folder_id}: {error}")


def _start_missing(adapters: Adapters, policy: Policy, folder_id: str, rows: Rows, report: SweepReport) -> None:
    missing: list[tuple[ComputeImage, Route]] = []
    for image in adapters.cloud.compute_images.list(folder_id):
        report.seen += 1
        for route, reason in _decisions(image, policy, folder_id):
            if route is None:
                report.skipped[reason] += 1
                continue
            report.selected += 1
            row = rows.get((route.target.folder_id, image.id))
            if row is None or _deserves_another_try(row, route):
                missing.append((image, route))
            else:
                report.already_there += 1
    # The newest first, and no more than could ever be there at once: what is left over would only wait for room.
    missing.sort(key=lambda pair: (pair[0].created_at is not None, pair[0].created_at, pair[0].id), reverse=True)
    for image, route in missing:
        if not adapters.has_time() or len(report.started) >= policy.quota.images:
            report.postponed += 1
            continue
        _begin(adapters, image, route, rows, report)


def _begin(adapters: Adapters, image: ComputeImage, route: Route, rows: Rows, report: SweepReport) -> None:
    """Begin one copy. What fails around it, such as the notice of a verdict, must not keep the others from it."""
    folder_id = route.target.folder_id
    again, names_there = (folder_id, image.id) in rows, report.names_there.get(folder_id, ())
    try:
        _note(start(adapters, image, route, again=again, names_there=names_there), rows, report)
    except (NoticeError, ClientError, BotoCoreError) as error:
        adapters.telemetry.fail("copy_interrupted", error, correlation_id=f"{folder_id}/{image.id}")
        report.errors.append(f"copy {folder_id}/{image.id} was interrupted: {error}")


def _decisions(image: ComputeImage, policy: Policy, folder_id: str) -> Iterator[tuple[Route | None, str]]:
    for decision in decide(image, policy):
        route = policy.route(decision.route)
        if route is None or route.source.folder_id != folder_id:
            continue
        yield (route, "") if decision.selected else (None, f"{decision.route}: {_general(decision.reason)}")


def _general(reason: str) -> str:
    """Return the rule of a reason without the image's own values, so that reasons can be counted."""
    return reason.split(" ", 1)[0] if reason.startswith(("family", "name", "created")) else reason


def _deserves_another_try(row: Copy, route: Route) -> bool:
    """A permanent failure is tried again when the route has changed since; never by itself."""
    return row.state is State.FAILED and row.route == route.name and row.policy_digest != route.digest


def _note(result: Result, rows: Rows, report: SweepReport) -> None:
    if result.copy is None:
        report.skipped[result.reason] += 1
        return
    rows[result.copy.key] = result.copy
    if result.outcome is Outcome.STARTED:
        report.started.append(result.copy)
    else:
        report.already_there += 1


def _heal_folder(adapters: Adapters, folder_id: str, rows: Rows, report: SweepReport) -> None:
    listed = {image.id: image for image in adapters.cloud.desktop_images.list(folder_id)}
    report.names_there[folder_id] = {image.name for image in listed.values()}
    in_folder = [row for row in rows.values() if row.folder_id == folder_id]
    for row in in_folder:
        if row.state is State.ACTIVE and row.desktop_image_id not in listed and _is_gone(adapters, row):
            if _replace(adapters, rows, vanish(row, adapters.clock()), row):
                report.vanished += 1
        elif row.state in _GIVEN_UP and row.desktop_image_id in listed:
            image = listed[row.desktop_image_id or ""]
            if image.status == "ACTIVE" and _replace(adapters, rows, adopt(image, adapters.clock(), copy=row), row):
                report.adopted += 1
    known = {row.desktop_image_id for row in in_folder}
    for image in listed.values():
        if image.id not in known and image.id not in adapters.known_foreign:
            _adopt_unknown(adapters, image, rows, report)


def _is_gone(adapters: Adapters, row: Copy) -> bool:
    try:
        adapters.cloud.desktop_images.get(row.desktop_image_id or "")
    except NotFoundError:
        return True
    return False


def _adopt_unknown(adapters: Adapters, listed: DesktopImage, rows: Rows, report: SweepReport) -> None:
    # A list may omit labels, and only they say whose the image is.
    image = listed if listed.labels else adapters.cloud.desktop_images.get(listed.id)
    source = image.labels.get(naming.SOURCE_IMAGE)
    if not naming.is_ours(image.labels) or not source:
        adapters.known_foreign.add(image.id)
        return
    if image.status != "ACTIVE":
        return
    row = rows.get((image.folder_id, source))
    if row is None:
        found = adopt(image, adapters.clock())
        if not adapters.ledger.create(found):
            return
        rows[found.key] = found
        adapters.telemetry.log_copy("image_adopted", found)
    elif row.state not in _GIVEN_UP or not _replace(adapters, rows, adopt(image, adapters.clock(), copy=row), row):
        return
    report.adopted += 1


def _wake_sleepers(adapters: Adapters, rows: Rows, report: SweepReport) -> None:
    now = adapters.clock()
    for row in rows.values():
        if row.notice_due and not row.state.is_pending:
            _tell(adapters, row, report)
        elif row.state.is_pending and (row.next_look_at is None or row.next_look_at <= now):
            wake_up = wake_ups.WakeUp(folder_id=row.folder_id, image_id=row.image_id, seq=row.seq)
            adapters.queue.send(wake_up, after=0)
            report.woken += 1


def _tell(adapters: Adapters, row: Copy, report: SweepReport) -> None:
    """Announce a verdict that is still due. A channel that fails must not keep any copy from being begun."""
    try:
        announce(adapters, row)
    except (NoticeError, ClientError, BotoCoreError) as error:
        adapters.telemetry.fail("notice_failed", error, correlation_id=row.correlation_id)
        adapters.telemetry.measure("NoticesFailed")
        report.errors.append(f"copy {row.correlation_id} is {row.state}, and nobody could be told: {error}")


def _replace(adapters: Adapters, rows: Rows, healed: Copy, row: Copy) -> bool:
    stored = healed.model_copy(update={"version": row.version + 1})
    if not adapters.ledger.replace(stored, expected_version=row.version):
        return False
    rows[row.key] = stored
    adapters.telemetry.log_copy("copy_healed", stored, was=row.state.value)
    return True


def _measure(adapters: Adapters, rows: Rows, report: SweepReport) -> None:
    now = adapters.clock()
    ages = [(now - row.created_at).total_seconds() for row in rows.values() if row.state.is_pending]
    adapters.telemetry.measure("OldestPendingCopySeconds", max(ages, default=0.0))
    adapters.telemetry.measure("SweepSelected", report.selected)
    adapters.telemetry.measure("SweepStarted", len(report.started))
    adapters.telemetry.measure("SweepSelectedNothing", 0 if report.selected else 1)
    adapters.telemetry.log(
        "swept", **{key: value for key, value in report.answer().items() if key not in {"started", "message"}}
    )
