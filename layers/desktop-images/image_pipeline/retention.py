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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
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
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SUFFIXES = ("th", "st", "nd", "rd", "th", "th", "th", "th", "th", "th")
_HUNDREDTH = timedelta(days=0.01)
_BY_STRENGTH = tuple(Verdict)
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
    subjects = [_subject(image, rows.get(image.id), clear=clear) for image, clear in _each_once(images)]
    subjects.sort(key=lambda subject: subject.image.id)
    subjects.sort(key=lambda subject: (subject.version_at, subject.image.created_at or _LONG_AGO), reverse=True)
    groups: defaultdict[tuple[str, str, str], list[_Subject]] = defaultdict(list)
    for subject in subjects:
        groups[subject.image.folder_id, subject.route or "", subject.family].append(subject)
    rules = {route.name: _Rules.of(route) for route in policy.routes}
    outcomes: dict[str, _Outcome] = {}
    for (_, route, _), members in groups.items():
        outcomes.update(_judge_group(members, rules.get(route), now))
    outcomes.update(_postpone(reversed(subjects), outcomes, policy))
    in_order = (subject for group in sorted(groups) for subject in groups[group])
    known_folders = {*policy.target_folders, *(copy.folder_id for copy in copies)}
    return Plan(
        judgements=tuple(_judgement(subject, outcomes[subject.image.id]) for subject in in_order),
        made_at=now,
        policy=policy,
        quota=_quota_use(subjects, known_folders, policy),
    )


class _Finding(NamedTuple):
    """What one rule says of one image."""

    verdict: Verdict
    reason: str
    gives_way: bool = False
    """Whether a copy that needs room may overrule it."""


class _Subject(NamedTuple):
    """An image, and what the ledger, or else its labels, say about it; nothing more where it is not ours."""

    image: DesktopImage
    clear: bool
    version_at: datetime
    ours: bool = False
    row: Copy | None = None
    route: str | None = None
    family: str = ""
    source_image_id: str | None = None
    source_created_at: datetime | None = None
    labels: Mapping[str, str] = MappingProxyType({})
    age_from: datetime | None = None
    size: int | None = None


class _Outcome(NamedTuple):
    """What all findings about an image come to."""

    verdict: Verdict
    reasons: tuple[str, ...]
    gives_way: bool

    @classmethod
    def of(cls, findings: Sequence[_Finding]) -> _Outcome:
        strongest = min([_STRENGTH[finding.verdict] for finding in findings])
        return cls(
            verdict=_BY_STRENGTH[strongest],
            reasons=tuple([finding.reason for finding in findings]),
            gives_way=all([finding.gives_way or finding.verdict is Verdict.DELETE for finding in findings]),
        )


_FOREIGN = _Finding(
    Verdict.FOREIGN, f"not made by this pipeline: not in the ledger and without the label {MANAGED_BY}={OWNER}"
)
_NEWEST = _Finding(Verdict.KEEP, "the newest ACTIVE of its family")
_COPIED_LAST = _Finding(Verdict.KEEP, "the last one copied of its family, though not the newest")


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


def _each_once(images: Iterable[DesktopImage]) -> Iterable[tuple[DesktopImage, bool]]:
    """Return every image once, and whether it was listed with one content only: the pages of a list can overlap."""
    listed: dict[str, DesktopImage] = {}
    unclear: set[str] = set()
    for image in images:
        known = listed.setdefault(image.id, image)
        if known is not image and _content(known) != _content(image):
            unclear.add(image.id)
            listed[image.id] = min(known, image, key=_content)
    return [(image, image.id not in unclear) for image in listed.values()]


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


def _subject(image: DesktopImage, row: Copy | None, *, clear: bool) -> _Subject:
    if row is None and not is_ours(image.labels):
        size = image.storage_size or None
        return _Subject(image=image, clear=clear, version_at=image.created_at or _LONG_AGO, size=size)
    labels = {**row.labels, **image.labels} if row and row.labels_refused else image.labels
    source_created_at = row.source_created_at if row else None
    if source_created_at and source_created_at.tzinfo is None:
        source_created_at = None
    age_from = image.created_at
    if age_from and row and row.active_at:
        age_from = max(age_from, row.active_at) if row.active_at.tzinfo else None
    return _Subject(
        image=image,
        clear=clear,
        version_at=version_at(image.created_at, source_created_at) or _LONG_AGO,
        ours=True,
        row=row,
        route=(row.route if row else None) or labels.get(ROUTE),
        family=(row.family if row else None) or labels.get(SOURCE_FAMILY, ""),
        source_image_id=row.image_id if row else labels.get(SOURCE_IMAGE),
        source_created_at=source_created_at,
        labels=labels,
        age_from=age_from,
        size=image.storage_size or (row.storage_size if row else None) or None,
    )


def _judge_group(members: Sequence[_Subject], rules: _Rules | None, now: datetime) -> Iterator[tuple[str, _Outcome]]:
    """Judge the members, which come newest first, by every rule except the cap."""
    set_aside = [list(_set_aside(member, rules, now)) for member in members]
    ranked = [member for member, aside in zip(members, set_aside, strict=True) if not aside]
    copied_last = max(ranked, key=lambda member: member.image.created_at or _LONG_AGO, default=None)
    rank = 0
    for member, aside in zip(members, set_aside, strict=True):
        findings = [*aside, *_protections(member, rules, now)]
        if not aside and rules and member.age_from:
            rank += 1
            findings += _by_rank(rank, len(ranked), rules.retention, copied_last=member is copied_last)
            findings += _by_age(now - member.age_from, rank, rules)
        yield member.image.id, _Outcome.of(findings)


def _set_aside(subject: _Subject, rules: _Rules | None, now: datetime) -> Iterator[_Finding]:
    """Find why the image takes no part in its group: it is neither ranked nor counted there."""
    image, row = subject.image, subject.row
    if not subject.ours:
        yield _FOREIGN
        return
    if not subject.clear:
        yield _Finding(Verdict.NOT_READY, "listed twice with different contents; list it again")
    if row and row.state is not State.ACTIVE:
        yield _Finding(Verdict.NOT_READY, f"its copy is {row.state}, not ACTIVE: {row.reason}")
    if image.status != "ACTIVE":
        yield _Finding(Verdict.NOT_READY, f"its status is {image.status}, not ACTIVE")
    if rules is None:
        route = f"route {subject.route} is not in the policy" if subject.route else "it belongs to no route"
        yield _Finding(Verdict.PROTECTED, f"{route}, so no rule says that it may go")
    elif rules.folder_id != image.folder_id:
        elsewhere = f"route {subject.route} has target folder {rules.folder_id}, not {image.folder_id}"
        yield _Finding(Verdict.PROTECTED, f"{elsewhere}, so no rule says that it may go")
    if subject.age_from is None:
        yield _Finding(Verdict.PROTECTED, "its age is unknown: no creation time with a UTC offset")
    elif subject.age_from > now:
        moments = [moment.astimezone(UTC).isoformat(timespec="seconds") for moment in (subject.age_from, now)]
        yield _Finding(Verdict.KEEP, f"made at {moments[0]}, which is after now, {moments[1]}; one clock is wrong")


def _protections(subject: _Subject, rules: _Rules | None, now: datetime) -> Iterator[_Finding]:
    if not subject.ours:
        return
    image, row, labels = subject.image, subject.row, subject.labels
    pin = labels.get(PINNED)
    if pin is not None and pin.strip().lower() not in _NOT_A_PIN:
        yield _Finding(Verdict.PROTECTED, f"pinned by label {PINNED}={pin}")
    if row and row.pinned:
        yield _Finding(Verdict.PROTECTED, "pinned in the ledger")
    if rules:
        for entry, pattern in rules.pins:
            if entry == image.id or entry == subject.source_image_id or pattern.match(image.name):
                yield _Finding(Verdict.PROTECTED, f"pinned by the policy: {entry}")
    if KEEP_UNTIL in labels:
        yield _kept_until(labels[KEEP_UNTIL], now)
    if row and row.retire_refused is not None:
        yield _Finding(Verdict.PROTECTED, f"the service refused to delete it: {row.retire_refused}")


def _kept_until(value: str, now: datetime) -> _Finding:
    try:
        last_day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        last_day = None
    label = f"label {KEEP_UNTIL}={value}"
    if last_day is None:
        return _Finding(Verdict.PROTECTED, f"{label} is not a date YYYY-MM-DD, so it holds; correct or remove it")
    if now.date() <= last_day:
        return _Finding(Verdict.PROTECTED, f"{label}: kept to the end of that day, UTC")
    return _Finding(Verdict.DELETE, f"{label}: that day is over")


def _by_rank(rank: int, count: int, retention: Retention, *, copied_last: bool) -> Iterator[_Finding]:
    if rank == 1:
        yield _NEWEST
    elif copied_last:
        yield _COPIED_LAST
    if rank <= retention.floor:
        yield _Finding(
            Verdict.KEEP, f"{_ordinal(rank)} newest of {count} ACTIVE in its family, floor {retention.floor}"
        )


def _by_age(age: timedelta, rank: int, rules: _Rules) -> Iterator[_Finding]:
    retention = rules.retention
    too_old = age > rules.max_age
    days = f"ACTIVE for {_days(age)} days"
    if age < rules.min_age:
        yield _Finding(Verdict.KEEP, f"{days}, less than min_age_days {retention.min_age_days:g}")
    else:
        yield _Finding(Verdict.DELETE, f"{days}, min_age_days {retention.min_age_days:g}")
    if too_old:
        yield _Finding(Verdict.DELETE, f"{days}, more than max_age_days {retention.max_age_days:g}")
    place = f"{_ordinal(rank)} newest of its family"
    if rank > retention.keep_last:
        yield _Finding(Verdict.DELETE, f"{place}, beyond keep_last {retention.keep_last}")
    elif too_old:
        yield _Finding(Verdict.DELETE, f"{place}, within keep_last {retention.keep_last}, which max_age_days overrules")
    else:
        yield _Finding(Verdict.KEEP, f"{place}, within keep_last {retention.keep_last}", gives_way=True)


def _postpone(
    oldest_first: Iterable[_Subject], outcomes: Mapping[str, _Outcome], policy: Policy
) -> Iterator[tuple[str, _Outcome]]:
    """Let no more than max_deletions of each route go at once; the oldest do, the others are told that they wait."""
    going: defaultdict[str, list[str]] = defaultdict(list)
    for subject in oldest_first:
        if subject.route and outcomes[subject.image.id].verdict is Verdict.DELETE:
            going[subject.route].append(subject.image.id)
    for route in policy.routes:
        cap = route.retention.max_deletions
        place = f"oldest of {len(going[route.name])} that may go, max_deletions {cap} in one run"
        for number, image_id in enumerate(going[route.name], start=1):
            _, reasons, gives_way = outcomes[image_id]
            verdict = Verdict.DELETE if number <= cap else Verdict.POSTPONED
            yield image_id, _Outcome(verdict, (*reasons, f"{_ordinal(number)} {place}"), gives_way)


def _judgement(subject: _Subject, outcome: _Outcome) -> Judgement:
    image, row = subject.image, subject.row
    return Judgement(
        image_id=image.id,
        folder_id=image.folder_id,
        name=image.name,
        route=subject.route,
        family=subject.family,
        source_image_id=subject.source_image_id,
        source_created_at=subject.source_created_at,
        status=image.status,
        created_at=image.created_at,
        active_at=row.active_at if row else None,
        storage_size=subject.size,
        verdict=outcome.verdict,
        reasons=outcome.reasons,
        may_make_room=row is not None and outcome.gives_way,
    )


def _quota_use(subjects: Sequence[_Subject], known_folders: Collection[str], policy: Policy) -> QuotaUse:
    """Count what fills the quota: ours, and what others made in our folders.

    System images are taken not to fill it. No field marks one; they are known by a folder that is none of ours, though
    our folders' lists show them. Counting them would let a copy wait for room that is there.
    """
    counted = [subject for subject in subjects if subject.ours or subject.image.folder_id in known_folders]
    leaving = [subject for subject in counted if subject.row and subject.row.state is State.RETIRING]
    return QuotaUse(
        images_limit=policy.quota.images,
        bytes_limit=policy.quota.bytes,
        images_used=len(counted),
        bytes_used=sum(subject.size or 0 for subject in counted),
        images_leaving=len(leaving),
        bytes_leaving=sum(subject.size or 0 for subject in leaving),
        unknown_sizes=sum(subject.size is None for subject in counted),
    )


def _ordinal(number: int) -> str:
    """Return the ordinal.

    >>> " ".join(_ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 111))
    '1st 2nd 3rd 4th 11th 12th 13th 21st 111th'
    """
    return f"{number}th" if 10 < number % 100 < 14 else f"{number}{_SUFFIXES[number % 10]}"


def _days(span: timedelta) -> str:
    """Return days, rounded down to hundredths so that an age never looks like a limit that it has not reached.

    >>> _days(timedelta(days=7) - timedelta(seconds=1)), _days(timedelta(days=41))
    ('6.99', '41')
    """
    return f"{span // _HUNDREDTH / 100:.10g}"
