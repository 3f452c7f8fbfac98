"""`advance`: every ending, every wait, and what must hold for any copy and any observation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_desktop import ApiError, Code, DesktopImage, Operation, Status, TransportError
from cloud_desktop.errors import api_error_class
from image_pipeline.copies import Copy, State, Step
from image_pipeline.state_machine import (
    FORGIVEN_MISSES,
    MOST_FAILURES,
    CallFailed,
    Effect,
    ImageSeen,
    LookAgain,
    Measure,
    NameSearched,
    Observation,
    OperationSeen,
    RoomSeen,
    SourceSeen,
    advance,
)

T0 = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)
NOW = T0 + timedelta(minutes=10)
IMAGE = "e3vimage000000000001"
OPERATION = "e3voperation00000001"


def copy(**changes: Any) -> Copy:
    fields: dict[str, Any] = {
        "folder_id": "b1gtarget",
        "image_id": "fd8source00000000001",
        "route": "office",
        "name": "win11",
        "state": State.COPYING,
        "reason": "",
        "step": Step.READ_OPERATION,
        "created_at": T0,
        "updated_at": T0,
        "since": T0,
        "deadline_at": T0 + timedelta(hours=12),
        "deadline_seconds": 43200,
        "operation_id": OPERATION,
        "desktop_image_id": IMAGE,
        "labels": {"managed-by": "desktop-image-copy", "source-image": "fd8source00000000001"},
    }
    return Copy(**{**fields, **changes})


def operation(*, done: bool = False, error: int | None = None, **fields: Any) -> Operation:
    status = None if error is None else Status(code=error, message="it broke", details=[])
    return Operation(id=OPERATION, done=done, metadata={"imageId": IMAGE}, error=status, **fields)


def image(status: str = "ACTIVE", **fields: Any) -> DesktopImage:
    labels = fields.pop("labels", copy().labels)
    return DesktopImage(id=IMAGE, folder_id="b1gtarget", status=status, name="win11", labels=labels, **fields)


def refused(code: Code, message: str = "no", **fields: Any) -> ApiError:
    return api_error_class(code)(code, message, http_status=400, method="POST", path="/x", **fields)


def pause(effects: tuple[Effect, ...]) -> int | None:
    return next((effect.after for effect in effects if isinstance(effect, LookAgain)), None)


def measured(effects: tuple[Effect, ...]) -> set[str]:
    return {effect.metric for effect in effects if isinstance(effect, Measure)}


class TestTheOperation:
    def test_still_running_is_looked_at_again_after_15_percent_of_the_time_waited(self) -> None:
        moved, effects = advance(copy(), OperationSeen(operation()), NOW)

        assert (moved.state, moved.step, pause(effects)) == (State.COPYING, Step.READ_OPERATION, 90)
        assert moved.next_look_at == NOW + timedelta(seconds=90)

    def test_a_hint_of_the_server_wins_bounded_to_the_queue(self) -> None:
        hinted = operation().model_copy(update={"poll_after": 5000.0})

        assert pause(advance(copy(), OperationSeen(hinted), NOW)[1]) == 900

    def test_an_error_before_done_is_not_the_end(self) -> None:
        moved, effects = advance(copy(), OperationSeen(operation(error=13)), NOW)

        assert moved.state is State.COPYING
        assert moved.reason == "rolling back after code 13: it broke"
        assert pause(effects)

    def test_done_is_not_success_until_the_image_is_active(self) -> None:
        done = operation(done=True, response={"id": "e3vother000000000001"})

        moved, effects = advance(copy(), OperationSeen(done), NOW)

        assert (moved.state, moved.step, pause(effects)) == (State.COPYING, Step.READ_IMAGE, None)
        assert moved.desktop_image_id == "e3vother000000000001", "the response knows better than the metadata"

    def test_done_with_neither_result_nor_error_is_a_defect_and_the_image_decides(self) -> None:
        moved, effects = advance(copy(), OperationSeen(operation(done=True)), NOW)

        assert moved.step is Step.READ_IMAGE
        assert measured(effects) == {"OperationDefects"}

    @pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INTERNAL, Code.ABORTED, Code.DEADLINE_EXCEEDED])
    def test_a_failure_worth_another_try_raises_the_generation(self, code: Code) -> None:
        moved, effects = advance(copy(), OperationSeen(operation(done=True, error=code)), NOW)

        assert (moved.state, moved.generation, moved.failures) == (State.WAITING_TO_RETRY, 2, 1)
        assert (moved.operation_id, moved.desktop_image_id) == (None, None)
        assert pause(effects) == 60

    def test_the_last_failure_ends_the_copy(self) -> None:
        tired = copy(failures=MOST_FAILURES - 1, generation=MOST_FAILURES)

        moved, _ = advance(tired, OperationSeen(operation(done=True, error=14)), NOW)

        assert moved.state is State.FAILED
        assert moved.reason.endswith("(5 operations have failed, no more are tried)")

    @pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED, Code.NOT_FOUND])
    def test_a_permanent_failure_ends_it_at_once(self, code: Code) -> None:
        moved, effects = advance(copy(), OperationSeen(operation(done=True, error=code)), NOW)

        assert moved.state is State.FAILED
        assert measured(effects) == {"CopiesFailed"}
        assert moved.notice_due

    def test_a_full_quota_goes_to_the_room_check_with_a_new_generation(self) -> None:
        full = Operation(
            id=OPERATION, done=True, error=Status(code=8, message="quota vdi.desktopImages.count", details=[])
        )

        moved, effects = advance(copy(), OperationSeen(full), NOW)

        assert (moved.state, moved.step) == (State.WAITING_FOR_ROOM, Step.CHECK_ROOM)
        assert (moved.generation, moved.failures, moved.quota_refused) == (2, 1, True)
        assert measured(effects) == {"WaitingForRoom"}

    def test_the_first_not_founds_are_not_yet(self) -> None:
        seen = copy()
        for _ in range(FORGIVEN_MISSES):
            seen, effects = advance(seen, CallFailed(refused(Code.NOT_FOUND)), NOW)
            assert seen.state is State.COPYING
            assert pause(effects)

        seen, effects = advance(seen, CallFailed(refused(Code.NOT_FOUND)), NOW)

        assert (seen.step, pause(effects)) == (Step.READ_IMAGE, None)

    def test_a_forgotten_operation_without_an_image_id_is_looked_for_by_name(self) -> None:
        seen = copy(missing_looks=FORGIVEN_MISSES, desktop_image_id=None)

        seen, _ = advance(seen, CallFailed(refused(Code.NOT_FOUND)), NOW)
        assert seen.step is Step.ADOPT_BY_NAME
        lost, _ = advance(seen, NameSearched(()), NOW)

        assert lost.state is State.LOST


class TestTheImage:
    def test_active_is_the_success(self) -> None:
        seen = image(storage_size=7)

        moved, effects = advance(copy(step=Step.READ_IMAGE), ImageSeen(seen), NOW)

        assert (moved.state, moved.active_at, moved.storage_size) == (State.ACTIVE, NOW, 7)
        assert measured(effects) == {"CopiesActive", "CopySeconds"}

    def test_without_its_labels_they_are_put_on_first(self) -> None:
        moved, _ = advance(copy(step=Step.READ_IMAGE), ImageSeen(image(labels={})), NOW)
        assert moved.step is Step.LABEL

        for observation in (OperationSeen(operation()), CallFailed(refused(Code.UNIMPLEMENTED))):
            assert advance(moved, observation, NOW)[0].state is State.ACTIVE

    def test_creating_is_waited_for(self) -> None:
        moved, effects = advance(copy(step=Step.READ_IMAGE), ImageSeen(image("CREATING")), NOW)

        assert moved.reason == f"image {IMAGE} is CREATING"
        assert pause(effects)

    def test_deleting_or_gone_is_lost(self) -> None:
        assert advance(copy(step=Step.READ_IMAGE), ImageSeen(image("DELETING")), NOW)[0].state is State.LOST
        gone = copy(step=Step.READ_IMAGE, missing_looks=FORGIVEN_MISSES)
        assert advance(gone, ImageSeen(None), NOW)[0].state is State.LOST


class TestTheRequest:
    def submit(self, error: Exception, **changes: Any) -> tuple[Copy, tuple[Effect, ...]]:
        fields: dict[str, Any] = {"step": Step.SUBMIT, "operation_id": None, "desktop_image_id": None, **changes}
        assert isinstance(error, ApiError | TransportError)
        return advance(copy(**fields), CallFailed(error), NOW)

    def test_back_pressure_waits_as_long_as_asked_and_counts_as_no_failure(self) -> None:
        moved, effects = self.submit(refused(Code.RESOURCE_EXHAUSTED, "too many active operations", retry_after=42.0))

        assert (moved.state, moved.step, moved.failures) == (State.WAITING_TO_RETRY, Step.SUBMIT, 0)
        assert pause(effects) == 42
        assert measured(effects) == {"Throttled"}

    def test_an_answer_that_did_not_come_makes_it_look_for_the_image_first(self) -> None:
        moved, _ = self.submit(TransportError("reset", method="POST", path="/x", maybe_applied=True))

        assert (moved.state, moved.step, moved.generation) == (State.WAITING_TO_RETRY, Step.FIND_BY_NAME, 1)

    def test_labels_are_left_out_once_when_an_argument_is_refused(self) -> None:
        bare, effects = self.submit(refused(Code.INVALID_ARGUMENT))
        assert (bare.labels_refused, bare.step, pause(effects)) == (True, Step.SUBMIT, None)

        assert advance(bare, CallFailed(refused(Code.INVALID_ARGUMENT)), NOW)[0].state is State.FAILED

    def test_a_folder_without_permission_ends_it(self) -> None:
        assert self.submit(refused(Code.PERMISSION_DENIED))[0].state is State.FAILED

    def test_a_taken_name_is_adopted_if_it_is_the_copy_and_fails_if_not(self) -> None:
        taken, _ = self.submit(refused(Code.ALREADY_EXISTS))
        assert taken.step is Step.ADOPT_BY_NAME

        assert advance(taken, NameSearched((image(),)), NOW)[0].step is Step.READ_IMAGE
        stranger = image(labels={}, created_at=T0 - timedelta(days=1))
        assert advance(taken, NameSearched((stranger,)), NOW)[0].state is State.FAILED


class TestTheDeletion:
    def retiring(self, **changes: Any) -> Copy:
        return copy(**{"state": State.RETIRING, "reason_to_retire": "old", **changes})

    def test_gone_is_retired(self) -> None:
        done, _ = advance(self.retiring(), OperationSeen(operation(done=True, response={})), NOW)
        assert done.step is Step.READ_IMAGE

        moved, effects = advance(done, ImageSeen(None), NOW)

        assert (moved.state, moved.reason) == (State.RETIRED, "old")
        assert measured(effects) == {"CopiesRetired"}

    def test_already_gone_is_retired(self) -> None:
        moved, _ = advance(self.retiring(step=Step.DELETE), CallFailed(refused(Code.NOT_FOUND)), NOW)

        assert moved.state is State.RETIRED

    def test_a_refusal_keeps_the_image_and_is_remembered(self) -> None:
        refusal = CallFailed(refused(Code.FAILED_PRECONDITION, "in use by a group"))
        moved, effects = advance(self.retiring(step=Step.DELETE), refusal, NOW)

        assert moved.state is State.ACTIVE
        assert "in use by a group" in (moved.retire_refused or "")
        assert measured(effects) == {"RetirementsRefused"}

    def test_a_deletion_that_does_not_end_keeps_the_image(self) -> None:
        late = self.retiring(step=Step.READ_IMAGE, deadline_at=NOW)

        moved, _ = advance(late, ImageSeen(image("DELETING")), NOW)

        assert (moved.state, moved.retire_refused is not None) == (State.ACTIVE, True)


class TestRoomAndSource:
    def test_no_room_is_told_once(self) -> None:
        parked, effects = advance(copy(step=Step.CHECK_ROOM), RoomSeen(fits=False, reason="full"), NOW)
        assert (parked.state, parked.notice_due, measured(effects)) == (
            State.WAITING_FOR_ROOM,
            True,
            {"WaitingForRoom"},
        )

        later = parked.model_copy(update={"notice_due": False})
        still, effects = advance(later, RoomSeen(fits=False, reason="full"), NOW)

        assert (still.notice_due, measured(effects)) == (False, set())

    def test_room_leads_to_the_request(self) -> None:
        waiting = copy(state=State.WAITING_FOR_ROOM, step=Step.CHECK_ROOM, operation_id=None)

        moved, effects = advance(waiting, RoomSeen(fits=True, reason=""), NOW)

        assert (moved.step, pause(effects)) == (Step.SUBMIT, None)

    @pytest.mark.parametrize(
        ("status", "state"), [("ERROR", State.FAILED), ("DELETING", State.FAILED), (None, State.FAILED)]
    )
    def test_a_hopeless_source_ends_the_copy(self, status: str | None, state: State) -> None:
        waiting = copy(state=State.WAITING_FOR_SOURCE, step=Step.READ_SOURCE)

        assert advance(waiting, SourceSeen(status), NOW)[0].state is state


def test_a_timeout_is_never_a_success() -> None:
    late = copy(deadline_at=NOW)

    moved, effects = advance(late, OperationSeen(operation()), NOW)

    assert moved.state is State.TIMED_OUT
    assert moved.reason == "gave up after 600 s: copying"
    assert measured(effects) == {"CopiesTimedOut"}


operations = st.builds(
    operation,
    done=st.booleans(),
    error=st.none() | st.sampled_from([int(code) for code in Code if code]),
    response=st.none() | st.just({}) | st.just({"id": IMAGE}),
)
images = st.builds(image, st.sampled_from(["CREATING", "ACTIVE", "DELETING", "SOMETHING_NEW"]))
errors = st.builds(
    lambda code, message, retry_after: refused(code, message, retry_after=retry_after),
    st.sampled_from([code for code in Code if code]),
    st.sampled_from(["no", "quota vdi.desktopImages.count exceeded", "too many active operations"]),
    st.none() | st.floats(0, 1e6),
) | st.builds(lambda maybe: TransportError("reset", method="GET", path="/x", maybe_applied=maybe), st.booleans())
ANSWERS: dict[Step, st.SearchStrategy[Observation]] = {
    Step.READ_SOURCE: st.builds(SourceSeen, st.none() | st.sampled_from(["CREATING", "READY", "ERROR", "NEW"])),
    Step.FIND_BY_NAME: st.builds(NameSearched, st.lists(images, max_size=2).map(tuple)),
    Step.ADOPT_BY_NAME: st.builds(NameSearched, st.lists(images, max_size=2).map(tuple)),
    Step.CHECK_ROOM: st.builds(RoomSeen, st.booleans(), st.just("full")),
    Step.SUBMIT: st.builds(OperationSeen, operations),
    Step.READ_OPERATION: st.builds(OperationSeen, operations),
    Step.READ_IMAGE: st.builds(ImageSeen, st.none() | images),
    Step.LABEL: st.builds(OperationSeen, operations),
    Step.DELETE: st.builds(OperationSeen, operations),
}
STEPS_OF: dict[State, list[Step]] = {
    State.WAITING_FOR_SOURCE: [Step.READ_SOURCE],
    State.COPYING: [step for step in Step if step not in {Step.READ_SOURCE, Step.DELETE}],
    State.WAITING_TO_RETRY: [Step.FIND_BY_NAME, Step.CHECK_ROOM, Step.SUBMIT],
    State.WAITING_FOR_ROOM: [Step.CHECK_ROOM, Step.SUBMIT, Step.FIND_BY_NAME],
    State.RETIRING: [Step.DELETE, Step.READ_OPERATION, Step.READ_IMAGE],
}


@st.composite
def situations(draw: st.DrawFn) -> tuple[Copy, Observation]:
    state = draw(st.sampled_from(list(STEPS_OF)))
    step = draw(st.sampled_from(STEPS_OF[state]))
    observation = draw(st.one_of(ANSWERS[step], st.builds(CallFailed, errors)))
    return copy(
        state=state,
        step=step,
        reason="as it was",
        missing_looks=draw(st.integers(0, FORGIVEN_MISSES)),
        failures=draw(st.integers(0, MOST_FAILURES - 1)),
        deadline_at=NOW + timedelta(seconds=draw(st.sampled_from([-1, 0, 1, 40000]))),
        operation_id=draw(st.sampled_from([OPERATION, None])),
        desktop_image_id=draw(st.sampled_from([IMAGE, None])),
        labels_refused=draw(st.booleans()),
    ), observation


@given(situations())
def test_whatever_is_seen_a_pending_copy_goes_on_and_an_ended_one_rests(situation: tuple[Copy, Observation]) -> None:
    before, observation = situation

    after, effects = advance(before, observation, NOW)

    assert after.state.is_pending == (after.step is not None) == (after.next_look_at is not None)
    assert (after.version, after.seq) == (before.version, before.seq)
    assert after.reason
    wait = pause(effects)
    if wait is not None:
        assert after.state.is_pending
        assert 1 <= wait <= 900
    if not after.state.is_pending:
        assert after.notice_due
        assert after.finished_at == NOW
        assert advance(after, observation, NOW) == (after, ())


@given(situations())
def test_the_generation_rises_only_after_an_operation_has_ended_in_failure(situation: tuple[Copy, Observation]) -> None:
    before, observation = situation

    after, _ = advance(before, observation, NOW)

    ended_badly = (
        isinstance(observation, OperationSeen)
        and observation.operation.done
        and observation.operation.error is not None
        and before.step is not Step.LABEL
    )
    assert after.generation - before.generation in ({0, 1} if ended_badly else {0})


@given(situations())
def test_no_wait_outlives_its_deadline(situation: tuple[Copy, Observation]) -> None:
    before, observation = situation
    entered_late = before.deadline_at is not None and before.deadline_at <= NOW

    after, effects = advance(before, observation, NOW)

    if entered_late and pause(effects) is not None:
        assert after.state is not before.state, "only a wait of another kind, with its own deadline, may begin"


@given(situations())
def test_active_means_that_an_active_image_was_seen(situation: tuple[Copy, Observation]) -> None:
    before, observation = situation

    after, _ = advance(before, observation, NOW)

    if after.state is State.ACTIVE and before.state is not State.RETIRING:
        seen = (
            isinstance(observation, ImageSeen)
            and observation.image is not None
            and observation.image.status == "ACTIVE"
        )
        assert seen or before.step is Step.LABEL
