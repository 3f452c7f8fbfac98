"""Promises 1 to 8 under whatever happens in whatever order: images, events, messages, deaths, faults, clocks, people.

A step is one thing that happens: an event, a delivery, a timer, a fault of the cloud, somebody's hand. Every row that
is stored is judged (`tests/rig/witness.py`), the rest after every step, and in the end, once the faults have stopped,
nothing may be left undone. `SCHEDULES=2000` tries so many schedules, at random, instead of the fixed few.
"""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cloud_desktop import CloudDesktopError, OutOfTimeError
from image_pipeline.copies import Copy, State
from image_pipeline.events import ImageAnnounced
from image_pipeline.follow import wake
from image_pipeline.pins import BusyCopyError, set_pin
from image_pipeline.policy import parse_policy
from image_pipeline.start import start, take_image
from image_pipeline.wake_ups import WakeUp
from local.emulator.faults import Fault
from tests.rig.fate import FAULTS, HAPPENINGS, MEANWHILE, Fate, Process
from tests.rig.mortal import Died
from tests.rig.pipeline import SOURCE, Rig
from tests.rig.witness import Key, WitnessedTable

VISIBILITY = 360
MOST_RECEIVES = 5
FOLDERS = ("b1gtarget", "b1gother")
FAMILIES = ("win11-office", "win11-dev", "ubuntu")
VERDICTS = {State.ACTIVE, State.FAILED, State.TIMED_OUT, State.LOST, State.RETIRED}
NUMBER = st.integers(0, 5)
FATES = st.none() | st.builds(Fate, at=st.integers(0, 14), what=st.sampled_from(HAPPENINGS))


def policy(cleanup: str, quota: int, *, pinned: tuple[str, ...] = (), label: str = "stable") -> Any:
    """Return two routes that overlap in one folder, and one of them alone to the other."""
    retention = {"keep_last": 1, "min_age_days": 1, "max_deletions": 1, "pinned": pinned}
    routes = [
        {"name": name, "target": {"folder_id": folder, "labels": {"channel": label}}, "deadline_hours": 1}
        | {"source": {"folder_id": SOURCE, "family": family}, "retention": retention}
        for name, folder, family in (
            ("all", FOLDERS[0], "win11-*"),
            ("office", FOLDERS[0], "win11-office"),
            ("elsewhere", FOLDERS[1], "win11-office"),
        )
    ]
    return parse_policy(json.dumps({"routes": routes, "quota": {"images": quota}, "cleanup": cleanup}))


def happens(**arguments: Any) -> Callable[[Callable[..., None]], Any]:
    """Make a rule of a method, and check the promises after it: an invariant would stand in a failure's every line."""

    def made(method: Callable[..., None]) -> Any:
        @functools.wraps(method)
        def checked(self: Schedule, **values: Any) -> None:
            method(self, **values)
            self.check()

        return rule(**arguments)(checked)  # type: ignore[no-untyped-call]

    return made


class Schedule(RuleBasedStateMachine):
    """One schedule: what may happen, and what must hold after each step and in the end."""

    @initialize(
        quota=st.sampled_from((1, 3, 4, 8)),
        cleanup=st.sampled_from(("apply", "apply", "plan")),
        labels=st.sampled_from((True, True, False)),
        families=st.lists(st.sampled_from(FAMILIES[:2]), min_size=1, max_size=4),
        copied=st.booleans(),
    )
    def begin(self, quota: int, cleanup: str, labels: bool, families: list[str], copied: bool) -> None:
        self.process = Process(self.meanwhile)
        self.ends_at = float("inf")
        world = {"quota_images": quota, "accept_labels_on_copy": labels, "max_active_operations": 3}
        self.rig = Rig(world=world, wrap=self.process.wrap, remaining=lambda: self.ends_at - self.rig.clock.monotonic())
        self.rig.table = self.table = WitnessedTable(self.rig)
        self.cleanup, self.quota, self.label = cleanup, quota, "stable"
        self.pinned: tuple[str, ...] = ()
        self.receives: Counter[WakeUp] = Counter()
        self.gone: set[Key] = set()
        self.asked: Counter[Key] = Counter()
        self.set_policy()
        self.rig.restart()
        for family in families:
            self.new_image(family=family, ready_after=None)
            if copied:
                self.rig.sweep()
                self.run(deliveries=40)
                self.rig.clock.advance(days=2)

    def set_policy(self) -> None:
        self.rig.policy = policy(self.cleanup, self.quota, pinned=self.pinned, label=self.label)

    # ---------------------------------------------------------------- what the cloud and people do

    @precondition(lambda self: len(self.images()) < 8)
    @happens(family=st.sampled_from(FAMILIES), ready_after=st.sampled_from((None, None, 30.0, 900.0)))
    def new_image(self, family: str, ready_after: float | None) -> None:
        self.rig.clock.advance(1)
        self.rig.add_image(name=f"image-{len(self.images())}", family=family, ready_after=ready_after)

    @happens(fault=st.sampled_from(FAULTS))
    def goes_wrong(self, fault: str) -> None:
        self.rig.faults.add(Fault.parse(fault))

    @happens(seconds=st.sampled_from((-50, 30, 400, 4000, 90_000, 900_000)))
    def time_passes(self, seconds: int) -> None:
        self.rig.clock.advance(seconds)

    @happens(
        what=st.sampled_from(("deletes", "deletes source", "keeps in use", "makes one", "forgets row")), which=NUMBER
    )
    def somebody(self, what: str, which: int) -> None:
        world, images = self.rig.world, self.rig.world.desktop_images()
        match what:
            case "deletes" if images:
                world.remove_desktop_image(images[which % len(images)].id)
            case "deletes source" if self.images():
                world.remove_compute_image(self.image(which))
            case "keeps in use" if images:
                world.refuse_delete(images[which % len(images)].id)
            case "makes one":
                world.add_desktop_image(folder_id=FOLDERS[0], name=f"image-{which}")
            case "forgets row" if rows := sorted(self.table.rows()):
                del self.table.items[rows[which % len(rows)]]

    @happens(
        cleanup=st.sampled_from(("plan", "apply")), label=st.sampled_from(("stable", "beta")), pin=st.none() | NUMBER
    )
    def policy_changes(self, cleanup: str, label: str, pin: int | None) -> None:
        self.cleanup, self.label = cleanup, label
        self.pinned = () if pin is None or not self.images() else (self.image(pin),)
        self.set_policy()

    # ---------------------------------------------------------------- what the queue does

    @precondition(lambda self: self.rig.queue.waiting)
    @happens(nth=st.integers(0, 3), early=st.booleans(), fate=FATES)
    def deliver(self, nth: int, early: bool, fate: Fate | None) -> None:
        self.deliver_one(nth, early=early, fate=fate)

    @precondition(lambda self: self.rig.queue.waiting)
    @happens(deliveries=st.integers(2, 20))
    def run(self, deliveries: int) -> None:
        for _ in range(deliveries):
            if self.rig.queue.waiting:
                self.deliver_one(0)

    @precondition(lambda self: self.rig.queue.waiting)
    @happens(nth=st.integers(0, 3), times=st.integers(0, 3), after=st.sampled_from((0, 20, 2000)))
    def message_comes_so_often(self, nth: int, times: int, after: int) -> None:
        _, wake_up = self.rig.queue.take(nth)
        for _ in range(times):
            self.rig.queue.put(wake_up, after)
        if not times:
            self.gone.add((wake_up.folder_id, wake_up.image_id))

    # ---------------------------------------------------------------- what calls the functions

    @precondition(lambda self: self.images())
    @happens(image=st.integers(0, 5), fate=FATES)
    def announce(self, image: int, fate: Fate | None) -> None:
        image_id = self.image(image)
        take = ImageAnnounced(image_id)
        self.invoke(lambda: take_image(self.rig.adapters, take), fate, seconds=300, may_raise=CloudDesktopError)

    @happens(fate=FATES)
    def sweep(self, fate: Fate | None) -> None:
        self.invoke(self.rig.sweep, fate, seconds=300)

    @happens(fate=FATES)
    def clean_up(self, fate: Fate | None) -> None:
        before = self.retiring()
        self.invoke(self.rig.clean_up, fate, seconds=120, may_raise=CloudDesktopError)
        if self.process.met is None or self.process.met.what not in MEANWHILE:
            began = Counter(row.route for key, row in self.retiring().items() if key not in before)
            assert not [route for route, count in began.items() if count > 1], f"more than the cap in one run: {began}"

    @precondition(lambda self: self.table.rows())
    @happens(what=st.sampled_from(("copy again", "pin", "unpin")), which=NUMBER, fate=FATES)
    def ask_to(self, what: str, which: int, fate: Fate | None) -> None:
        row = self.row(which)

        def ask() -> None:
            if what == "copy again":
                image = self.rig.adapters.cloud.compute_images.get(row.image_id)
                route = self.rig.policy.route(row.route)
                start(self.rig.adapters, image, route, folder_id=row.folder_id, again=True)
            else:
                set_pin(self.rig.adapters, *row.key, pinned=what == "pin")

        self.asked[row.key] += what == "copy again" and not row.state.is_pending and row.state is not State.ACTIVE
        self.invoke(ask, fate, seconds=300, may_raise=(CloudDesktopError, BusyCopyError))

    # ---------------------------------------------------------------- what must hold

    def check(self) -> None:
        self.nothing_is_copied_twice()
        self.every_wait_has_its_message()
        self.only_ours_is_deleted()
        self.every_notice_is_a_verdict_and_keeps_its_id()

    def nothing_is_copied_twice(self) -> None:
        there = Counter(
            (image.folder_id, image.source_image_id)
            for image in self.rig.world.desktop_images()
            if image.source_image_id and image.status != "DELETING"
        )
        assert max(there.values(), default=1) == 1, f"two images of one source: {there}"
        made = Counter(
            (operation.response.folder_id, operation.response.source_image_id)
            for operation in self.rig.world.operations()
            if operation.method == "Copy" and operation.done and operation.response
        )
        twice = {key: count for key, count in made.items() if count > 1 + self.asked[key]}
        assert not twice, f"copied more than once: {twice}"

    def every_wait_has_its_message(self) -> None:
        sent = {(m.folder_id, m.image_id): m.seq for _, _, m in sorted(self.rig.queue.waiting, key=lambda w: w[2].seq)}
        for key, row in self.table.rows().items():
            marked = row.state is State.RETIRING and row.operation_id is None
            if row.state.is_pending and row.seq and not marked and key not in self.gone:
                assert sent.get(key, -1) >= row.seq, f"{key} waits as {row.state} and no message is on its way"

    def only_ours_is_deleted(self) -> None:
        deleted = {operation.image_id for operation in self.rig.world.operations() if operation.method == "Delete"}
        made = {operation.image_id for operation in self.rig.world.operations() if operation.method == "Copy"}
        assert deleted <= made, f"deleted what somebody else made: {deleted - made}"

    def every_notice_is_a_verdict_and_keeps_its_id(self) -> None:
        said: dict[str, list[Any]] = {}
        for notice in self.rig.mailbox.notices:
            assert notice["state"] in {*VERDICTS, State.WAITING_FOR_ROOM}, f"nobody needs to know of {notice['state']}"
            content = [notice.get(name) for name in ("folderId", "imageId", "state", "generation", "finishedAt")]
            assert said.setdefault(notice["noticeId"], content) == content, "one notice id for two verdicts"

    def teardown(self) -> None:
        """Let the faults end and everything come to rest; then nothing may be undone."""
        self.rig.faults.clear()
        for image in self.rig.world.compute_images():
            self.rig.world.set_compute_status(image.id, "READY")
        self.quota = self.rig.world.rules.quota_images = 50
        self.set_policy()
        for _ in range(4):
            self.rig.clock.advance(1000)
            self.invoke(self.rig.sweep, None, seconds=300)
            self.settle()
        rows = self.table.rows()
        pending = [row for row in rows.values() if row.state.is_pending or row.notice_due]
        assert not pending, f"still pending: {pending}"
        self.everything_has_its_verdict(rows)
        operations = len(self.rig.world.operations())
        self.rig.sweep()
        assert self.table.rows() == rows, "a sweep over a world at rest changes something"
        assert len(self.rig.world.operations()) == operations
        self.check()

    def settle(self) -> None:
        for _ in range(1000):
            if not self.rig.queue.waiting:
                return
            self.deliver_one(0)
        raise AssertionError(f"the queue never empties: {self.rig.queue.waiting[:3]}")

    def everything_has_its_verdict(self, rows: dict[Key, Copy]) -> None:
        there = {(i.folder_id, i.source_image_id) for i in self.rig.world.desktop_images() if i.status == "ACTIVE"}
        for image in self.rig.world.compute_images():
            for route in self.rig.policy.routes:
                key = route.target.folder_id, image.id
                if image.family == "ubuntu" or (route.source.family != "win11-*" and image.family != "win11-office"):
                    continue
                assert key in rows, f"{key} is lost"
                assert (rows[key].state is State.ACTIVE) is (key in there), f"{rows[key]}, and in the folder: {there}"
        told = {(notice["folderId"], notice["imageId"], notice["state"]) for notice in self.rig.mailbox.notices}
        for key, row in rows.items():
            if not row.reason.endswith("was found ACTIVE and is ours"):
                assert (*key, row.state) in told, f"{row.state} of {key} was never announced"

    # ---------------------------------------------------------------- how a function is invoked

    def deliver_one(self, nth: int, *, early: bool = False, fate: Fate | None = None) -> None:
        due, wake_up = self.rig.queue.take(nth)
        if not early:
            self.rig.clock.move_to(due)
        key = wake_up.folder_id, wake_up.image_id
        row, sent = self.table.rows().get(key), len(self.rig.queue.sent)
        if self.invoke(lambda: wake(self.rig.adapters, wake_up), fate, seconds=60):
            own = [message for message, _ in self.rig.queue.sent[sent:] if (message.folder_id, message.image_id) == key]
            spared = self.process.met is None
            assert len(own) <= 1 or not spared, f"{wake_up} was answered with {own}"
            if spared and row and wake_up.seq < row.seq:
                assert not own, f"the stale {wake_up} was answered with {own}"
            return
        self.receives[wake_up] += 1
        if self.receives[wake_up] < MOST_RECEIVES:
            self.rig.queue.put(wake_up, VISIBILITY)
        else:
            self.gone.add(key)

    def invoke(
        self,
        call: Any,
        fate: Fate | None,
        *,
        seconds: float,
        may_raise: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> bool:
        """Run one invocation; False where it died or failed, which only a fate or too little time may bring about."""
        self.ends_at = self.rig.clock.monotonic() + seconds
        self.rig.ledger.forget_snapshot()
        self.process.begin(fate)
        try:
            call()
        except Died:
            self.rig.restart()
            return False
        except OutOfTimeError:
            return False
        except AssertionError:
            raise
        except Exception as error:
            if self.process.met is None and not isinstance(error, may_raise):
                raise
            return False
        finally:
            self.process.begin(None) if self.process.met is None else None
            self.ends_at = float("inf")
        return True

    def meanwhile(self, what: str) -> None:
        """Be another process for the length of one invocation."""
        ledger, adapters = self.rig.ledger, self.rig.adapters
        self.rig.restart()
        try:
            match what:
                case "sweep":
                    self.rig.sweep()
                case "clean up":
                    self.rig.clean_up()
                case _ if self.rig.queue.waiting:
                    _, wake_up = self.rig.queue.take()
                    wake(self.rig.adapters, wake_up)
        finally:
            self.rig.ledger, self.rig.adapters = ledger, adapters

    # ---------------------------------------------------------------- what there is

    def images(self) -> list[str]:
        return [image.id for image in self.rig.world.compute_images()]

    def image(self, number: int) -> str:
        return self.images()[number % len(self.images())]

    def row(self, number: int) -> Copy:
        rows = self.table.rows()
        return rows[sorted(rows)[number % len(rows)]]

    def retiring(self) -> dict[Key, Copy]:
        return {key: row for key, row in self.table.rows().items() if row.state is State.RETIRING}


TestSchedules = Schedule.TestCase
many = int(os.environ.get("SCHEDULES") or 0)
TestSchedules.settings = settings(
    max_examples=many or 40,
    stateful_step_count=30,
    derandomize=not many,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
