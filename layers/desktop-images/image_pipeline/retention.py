"""Which desktop images may go, and why: the rules that write a cleanup plan. Pure.

Images are grouped by folder, route and family. Every rule that concerns an image leaves a finding, for or against; the
strongest one is the verdict, and all of them stay as its reasons. Cloud Desktop does not tell which image a desktop
group runs on (no field of DesktopGroup says it, desktop_group.proto), so no rule claims to know: pins, a floor, a
minimum age and the service's own refusals protect what people log into.

Newest means: whose source compute image was made last, because a sweep may copy an old source after a new one; where
the ledger does not know when that was, the desktop image's own creation counts. What was copied last is kept as well,
so that an older image put back on purpose is not the first to go.
"""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import NamedTuple

from cloud_desktop import DesktopImage
from image_pipeline.copies import Copy, State
from image_pipeline.naming import KEEP_UNTIL, MANAGED_BY, OWNER, PINNED, ROUTE, SOURCE_FAMILY, SOURCE_IMAGE, is_ours
from image_pipeline.policy import Policy, Retention, Route
from image_pipeline.room import (
    Judgement,
    Plan,
    QuotaUse,
    Verdict,
    make_room,
    plan_answer,
    plan_table,
    version_at,
)

__all__ = [
    "Judgement",
    "Plan",
    "QuotaUse",
    "Verdict",
    "make_room",
    "plan_answer",
    "plan_cleanup",
    "plan_table",
]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NOT_A_PIN = frozenset({"false", "0", "no"})
_FOREIGN = f"not made by this pipeline: not in the ledger and without the label {MANAGED_BY}={OWNER}"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_TEENS = frozenset({11, 12, 13})
_SUFFIXES = ("th", "st", "nd", "rd", "th", "th", "th", "th", "th", "th")
_HUNDREDTH = timedelta(days=0.01)
_STRENGTH = {verdict: strength for strength, verdict in enumerate(Verdict)}


def plan_cleanup(images: Iterable[DesktopImage], copies: Iterable[Copy], policy: Policy, now: datetime) -> Plan:
    """Return the verdict on every image; the order of images and copies does not matter.

    Only an image that the ledger knows, or that carries the ownership label, is ever considered. The images must carry
    the labels that Get shows: a pin that is not shown cannot be seen.

    Raises:
        ValueError: `now` has no UTC offset.
    """
    if now.utcoffset() is None:
        raise ValueError(
            f"now is {now.isoformat()}, without a UTC offset; give an aware time such as datetime.now(UTC)"
        )
    now = now.astimezone(UTC)
    copies = tuple(copies)
    rows = _rows_by_image(copies)
    rules = {route.name: _Rules.of(route) for route in policy.routes}
    listed, unclear = _each_once(images)
    groups: defaultdict[tuple[str, str, str], list[_Case]] = defaultdict(list)
    for image in listed:
        row = rows.get(image.id)
        case = _case(image, row)
        if image.id in unclear:
            case.set_aside(Verdict.NOT_READY, "listed twice with different contents; list it again")
        _judge_alone(case, row, rules.get(case.route or ""), now)
        groups[image.folder_id, case.route or "", case.family].append(case)
    for (_, route, _), members in groups.items():
        _sort_newest_first(members)
        if route in rules:
            _judge_group([member for member in members if member.ranked], rules[route], now)
    _postpone(chain.from_iterable(groups.values()), policy)
    known_folders = {*policy.target_folders, *(copy.folder_id for copy in copies)}
    quota = _quota_use(chain.from_iterable(groups.values()), known_folders, policy)
    judgements: list[Judgement] = []
    for group in sorted(groups):
        judgements.extend(_judgement(case) for case in groups.pop(group))
    return Plan(judgements=tuple(judgements), made_at=now, policy=policy, quota=quota)


@dataclass(slots=True)
class _Case:
    """One image while it is being judged: what is known of it, and what the rules have found so far."""

    image_id: str
    folder_id: str
    name: str
    status: str
    created_at: datetime | None
    size: int | None
    labels: Mapping[str, str]
    age_from: datetime | None
    version_at: datetime
    ours: bool = False
    in_ledger: bool = False
    leaving: bool = False
    route: str | None = None
    family: str = ""
    source_image_id: str | None = None
    source_created_at: datetime | None = None
    active_at: datetime | None = None
    ranked: bool = True
    """Whether it takes part in its group, where the newest are counted."""
    verdict: Verdict = Verdict.DELETE
    reasons: tuple[str, ...] = ()
    yields: bool = True
    """Whether nothing stands against its going but what gives way to a copy that needs room."""

    def agree(self, reason: str) -> None:
        """Take down what speaks for its going."""
        self.reasons += (reason,)

    def oppose(self, verdict: Verdict, reason: str, *, yields: bool = False) -> None:
        """Take down what speaks against its going."""
        self.reasons += (reason,)
        self.yields = self.yields and yields
        if _STRENGTH[verdict] < _STRENGTH[self.verdict]:
            self.verdict = verdict

    def set_aside(self, verdict: Verdict, reason: str) -> None:
        """Take down why the image takes no part in its group."""
        self.ranked = False
        self.oppose(verdict, reason)


class _Rules(NamedTuple):
    """A route's retention, made ready for many images."""

    folder_id: str
    retention: Retention
    min_age: timedelta
    max_age: timedelta
    pins: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def of(cls, route: Route) -> _Rules:
        retention = route.retention
        return cls(
            folder_id=route.target.folder_id,
            retention=retention,
            min_age=timedelta(days=retention.min_age_days),
            max_age=timedelta.max if retention.max_age_days is None else timedelta(days=retention.max_age_days),
            pins=tuple((entry, re.compile(fnmatch.translate(entry))) for entry in retention.pinned),
        )


def _each_once(images: Iterable[DesktopImage]) -> tuple[Collection[DesktopImage], set[str]]:
    """Return every image once, and the ids of those listed with different contents: the pages of a list can overlap."""
    listed: dict[str, DesktopImage] = {}
    unclear: set[str] = set()
    for image in images:
        known = listed.setdefault(image.id, image)
        if known is not image and _content(known) != _content(image):
            unclear.add(image.id)
            listed[image.id] = min(known, image, key=_content)
    return listed.values(), unclear


def _content(image: DesktopImage) -> str:
    labels = sorted(image.labels.items())
    return repr((image.folder_id, str(image.status), image.name, labels, image.created_at, image.storage_size))


def _rows_by_image(copies: Iterable[Copy]) -> dict[str, Copy]:
    """Return the row of each desktop image; where two rows name one image, the one that protects it more."""
    rows: dict[str, Copy] = {}
    for copy in copies:
        if copy.desktop_image_id:
            known = rows.setdefault(copy.desktop_image_id, copy)
            if known is not copy:
                rows[copy.desktop_image_id] = max(known, copy, key=_protection)
    return rows


def _protection(row: Copy) -> tuple[bool, bool, bool, str]:
    return row.state is not State.ACTIVE, row.pinned, row.retire_refused is not None, row.model_dump_json()


def _case(image: DesktopImage, row: Copy | None) -> _Case:
    """Copy all that is needed out of image and row: to visit 100,000 of them again costs more than the rules do."""
    labels, created_at = image.labels, image.created_at
    case = _Case(
        image_id=image.id,
        folder_id=image.folder_id,
        name=image.name,
        status=image.status,
        created_at=created_at,
        size=image.storage_size or None,
        labels=labels,
        age_from=created_at,
        version_at=created_at or _LONG_AGO,
    )
    if row is not None:
        _add_row(case, row)
    elif is_ours(labels):
        case.ours = True
        case.route, case.family = labels.get(ROUTE), labels.get(SOURCE_FAMILY, "")
        case.source_image_id = labels.get(SOURCE_IMAGE)
    return case


def _add_row(case: _Case, row: Copy) -> None:
    if row.labels_refused:
        case.labels = {**row.labels, **case.labels}
    case.ours = case.in_ledger = True
    case.leaving = row.state is State.RETIRING
    case.route = row.route or case.labels.get(ROUTE)
    case.family = row.family or case.labels.get(SOURCE_FAMILY, "")
    case.source_image_id = row.image_id
    case.size = case.size or row.storage_size or None
    case.active_at, made_at = row.active_at, row.source_created_at
    if case.active_at and case.age_from:
        case.age_from = max(case.active_at, case.age_from) if case.active_at.tzinfo else None
    if made_at and made_at.tzinfo:
        case.source_created_at = made_at
        case.version_at = version_at(case.created_at, made_at) or _LONG_AGO


def _sort_newest_first(cases: list[_Case]) -> None:
    cases.sort(key=lambda case: case.image_id)
    cases.sort(key=lambda case: (case.version_at, case.created_at or _LONG_AGO), reverse=True)


def _judge_alone(case: _Case, row: Copy | None, rules: _Rules | None, now: datetime) -> None:
    """Apply the rules that look at one image only."""
    if not case.ours:
        case.set_aside(Verdict.FOREIGN, _FOREIGN)
        return
    if row and row.state is not State.ACTIVE:
        case.set_aside(Verdict.NOT_READY, f"its copy is {row.state}, not ACTIVE: {row.reason}")
    if case.status != "ACTIVE":
        case.set_aside(Verdict.NOT_READY, f"its status is {case.status}, not ACTIVE")
    if rules is None:
        missing = f"route {case.route} is not in the policy" if case.route else "it belongs to no route"
        case.set_aside(Verdict.PROTECTED, f"{missing}, so no rule says that it may go")
    elif rules.folder_id != case.folder_id:
        elsewhere = f"route {case.route} has target folder {rules.folder_id}, not {case.folder_id}"
        case.set_aside(Verdict.PROTECTED, f"{elsewhere}, so no rule says that it may go")
    if case.age_from is None:
        case.set_aside(Verdict.PROTECTED, "its age is unknown: no creation time with a UTC offset")
    elif case.age_from > now:
        moments = [moment.astimezone(UTC).isoformat(timespec="seconds") for moment in (case.age_from, now)]
        case.set_aside(Verdict.KEEP, f"made at {moments[0]}, which is after now, {moments[1]}; one clock is wrong")
    _protect(case, row, rules.pins if rules else (), now)


def _protect(case: _Case, row: Copy | None, pins: Iterable[tuple[str, re.Pattern[str]]], now: datetime) -> None:
    labels = case.labels
    pin = labels.get(PINNED)
    if pin is not None and pin.strip().lower() not in _NOT_A_PIN:
        case.oppose(Verdict.PROTECTED, f"pinned by label {PINNED}={pin}")
    if row and row.pinned:
        case.oppose(Verdict.PROTECTED, "pinned in the ledger")
    ids, name = (case.image_id, case.source_image_id), case.name
    for entry, pattern in pins:
        if entry in ids or pattern.match(name):
            case.oppose(Verdict.PROTECTED, f"pinned by the policy: {entry}")
    if KEEP_UNTIL in labels:
        _keep_until(case, labels[KEEP_UNTIL], now)
    if row and row.retire_refused is not None:
        case.oppose(Verdict.PROTECTED, f"the service refused to delete it: {row.retire_refused}")


def _keep_until(case: _Case, value: str, now: datetime) -> None:
    try:
        last_day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        last_day = None
    label = f"label {KEEP_UNTIL}={value}"
    if last_day is None:
        case.oppose(Verdict.PROTECTED, f"{label} is not a date YYYY-MM-DD, so it holds; correct or remove it")
    elif now.date() <= last_day:
        case.oppose(Verdict.PROTECTED, f"{label}: kept to the end of that day, UTC")
    else:
        case.agree(f"{label}: that day is over")


def _judge_group(ranked: Sequence[_Case], rules: _Rules, now: datetime) -> None:
    """Apply the rules that count within a group, which comes newest first."""
    copied_last = max(ranked, key=lambda case: case.created_at or _LONG_AGO, default=None)
    floor = rules.retention.floor
    for rank, case in enumerate(ranked, start=1):
        if rank == 1:
            case.oppose(Verdict.KEEP, "the newest ACTIVE of its family")
        elif case is copied_last:
            case.oppose(Verdict.KEEP, "the last one copied of its family, though not the newest")
        if rank <= floor:
            place = f"{_ordinal(rank)} newest of {len(ranked)} ACTIVE in its family"
            case.oppose(Verdict.KEEP, f"{place}, floor {floor}")
        _judge_age(case, now - (case.age_from or now), rank, rules)


def _judge_age(case: _Case, age: timedelta, rank: int, rules: _Rules) -> None:
    days = f"ACTIVE for {_days(age)} days"
    if age < rules.min_age:
        case.oppose(Verdict.KEEP, f"{days}, less than min_age_days {rules.retention.min_age_days:g}")
    else:
        case.agree(f"{days}, min_age_days {rules.retention.min_age_days:g}")
    too_old = age > rules.max_age
    if too_old:
        case.agree(f"{days}, more than max_age_days {rules.retention.max_age_days:g}")
    keep_last = rules.retention.keep_last
    place = f"{_ordinal(rank)} newest of its family"
    if rank > keep_last:
        case.agree(f"{place}, beyond keep_last {keep_last}")
    elif too_old:
        case.agree(f"{place}, within keep_last {keep_last}, which max_age_days overrules")
    else:
        case.oppose(Verdict.KEEP, f"{place}, within keep_last {keep_last}", yields=True)


def _postpone(cases: Iterable[_Case], policy: Policy) -> None:
    """Let no more than max_deletions of each route go at once; the oldest do, the others are told that they wait."""
    going: defaultdict[str | None, list[_Case]] = defaultdict(list)
    for case in cases:
        if case.verdict is Verdict.DELETE:
            going[case.route].append(case)
    for route in policy.routes:
        members, cap = going[route.name], route.retention.max_deletions
        _sort_newest_first(members)
        of_all = f"oldest of {len(members)} that may go, max_deletions {cap} in one run"
        for number, case in enumerate(reversed(members), start=1):
            place = f"{_ordinal(number)} {of_all}"
            if number <= cap:
                case.agree(place)
            else:
                case.oppose(Verdict.POSTPONED, place, yields=True)


def _judgement(case: _Case) -> Judgement:
    return Judgement(
        image_id=case.image_id,
        folder_id=case.folder_id,
        name=case.name,
        route=case.route,
        family=case.family,
        source_image_id=case.source_image_id,
        source_created_at=case.source_created_at,
        status=case.status,
        created_at=case.created_at,
        active_at=case.active_at,
        storage_size=case.size,
        verdict=case.verdict,
        reasons=case.reasons,
        may_make_room=case.yields and case.in_ledger,
    )


def _quota_use(cases: Iterable[_Case], known_folders: Collection[str], policy: Policy) -> QuotaUse:
    """Count what fills the quota: ours, and what others made in our folders.

    System images are taken not to fill it. No field marks one; they are known by a folder that is none of ours, though
    our folders' lists show them. Counting them would let a copy wait for room that is there.
    """
    counted = [case for case in cases if case.ours or case.folder_id in known_folders]
    leaving = [case for case in counted if case.leaving]
    return QuotaUse(
        images_limit=policy.quota.images,
        bytes_limit=policy.quota.bytes,
        images_used=len(counted),
        bytes_used=sum(case.size or 0 for case in counted),
        images_leaving=len(leaving),
        bytes_leaving=sum(case.size or 0 for case in leaving),
        unknown_sizes=sum(case.size is None for case in counted),
    )


def _ordinal(number: int) -> str:
    """Return the ordinal.

    >>> " ".join(_ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 111))
    '1st 2nd 3rd 4th 11th 12th 13th 21st 111th'
    """
    return f"{number}th" if number % 100 in _TEENS else f"{number}{_SUFFIXES[number % 10]}"


def _days(span: timedelta) -> str:
    """Return days, rounded down to hundredths so that an age never looks like a limit that it has not reached.

    >>> _days(timedelta(days=7) - timedelta(seconds=1)), _days(timedelta(days=41))
    ('6.99', '41')
    """
    return f"{span // _HUNDREDTH / 100:.10g}"
