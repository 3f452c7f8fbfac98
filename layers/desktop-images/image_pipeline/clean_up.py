"""Retire old desktop images: make the plan, and carry it out where the policy says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from image_pipeline.adapters import Adapters
from image_pipeline.copies import Copy, State, answer
from image_pipeline.follow import follow
from image_pipeline.planning import make_plan, mark_for_deletion
from image_pipeline.retention import Judgement, Plan, Verdict, plan_answer

NOT_OPTED_IN = (
    'Nothing was deleted: the policy says "cleanup": "plan". '
    'Read the plan, then set "cleanup": "apply" in IMAGE_POLICY.'
)


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """The plan, and what was done about it. `retired` are the copies whose image is on its way out."""

    plan: Plan
    applied: bool
    retired: tuple[Copy, ...]
    message: str

    def summary(self) -> dict[str, Any]:
        """Return what is kept of the run in the ledger: what went and was postponed, and the numbers."""
        whole = plan_answer(self.plan)
        named = {Verdict.DELETE.value, Verdict.POSTPONED.value}
        return {
            **{key: whole[key] for key in ("madeAt", "cleanup", "summary", "counts", "freedBytes", "quota")},
            "applied": self.applied,
            "message": self.message,
            "images": [image for image in whole["images"] if image["verdict"] in named][:100],
        }

    def answer(self) -> dict[str, Any]:
        """Return the report as `POST /cleanup` gives it."""
        return {
            **plan_answer(self.plan),
            "applied": self.applied,
            "retired": [answer(copy) for copy in self.retired],
            "message": self.message,
        }


def clean_up(adapters: Adapters) -> CleanupReport:
    """Carry the plan out where the policy says `apply`; otherwise return it and say why nothing was done.

    Safe to repeat: an image that is being retired is no longer in the next plan. Each deletion is judged anew right
    before it is made, so an image pinned a second ago stays.
    """
    _finish_what_was_begun(adapters)
    plan = make_plan(adapters)
    if adapters.policy().cleanup != "apply":
        return _ended(adapters, CleanupReport(plan, applied=False, retired=(), message=NOT_OPTED_IN))
    retired: list[Copy] = []
    for judgement in plan.to_delete:
        if not adapters.has_time():
            break
        copy = _retire_if_still_planned(adapters, judgement)
        if copy is not None:
            retired.append(copy)
    left = len(plan.to_delete) - len(retired)
    message = f"{len(retired)} of {len(plan.to_delete)} images are being deleted."
    if left:
        message += f" {left} are left: they changed since the plan was made, or time ran out."
    return _ended(adapters, CleanupReport(plan, applied=True, retired=tuple(retired), message=message))


def _finish_what_was_begun(adapters: Adapters) -> None:
    """Take up deletions that a run has marked and then died over, before it could ask for them."""
    now = adapters.clock()
    for row in list(adapters.ledger.copies()):
        if row.state is State.RETIRING and row.operation_id is None and row.next_look_at and row.next_look_at <= now:
            follow(adapters, row)


def _retire_if_still_planned(adapters: Adapters, judgement: Judgement) -> Copy | None:
    now_says = next((j for j in make_plan(adapters).judgements if j.image_id == judgement.image_id), None)
    if now_says is None or now_says.verdict is not Verdict.DELETE:
        return None
    going = mark_for_deletion(adapters, now_says)
    return None if going is None else follow(adapters, going)


def _ended(adapters: Adapters, report: CleanupReport) -> CleanupReport:
    for judgement in report.plan.judgements:
        adapters.telemetry.log(
            "cleanup_judged",
            desktop_image_id=judgement.image_id,
            image_name=judgement.name,
            verdict=judgement.verdict.value,
            reasons=list(judgement.reasons),
        )
    adapters.telemetry.measure("CleanupPlanned", len(report.plan.to_delete))
    adapters.telemetry.measure("CleanupStarted", len(report.retired))
    adapters.ledger.keep_run(report.summary(), report.plan.made_at)
    return report
