"""Retire old desktop images: make the plan, and carry it out where the policy says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloud_desktop import DesktopImage, NotFoundError
from image_pipeline import naming
from image_pipeline.adapters import Adapters
from image_pipeline.beginnings import adopt, retire
from image_pipeline.copies import Copy, State, answer
from image_pipeline.follow import follow
from image_pipeline.retention import Judgement, Plan, Verdict, plan_answer, plan_cleanup

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

    def answer(self) -> dict[str, Any]:
        """Return the report as `POST /cleanup` gives it."""
        return {
            **plan_answer(self.plan),
            "applied": self.applied,
            "retired": [answer(copy) for copy in self.retired],
            "message": self.message,
        }


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


def clean_up(adapters: Adapters) -> CleanupReport:
    """Carry the plan out where the policy says `apply`; otherwise return it and say why nothing was done.

    Safe to repeat: an image that is being retired is no longer in the next plan. Each deletion is judged anew right
    before it is made, so an image pinned a second ago stays.
    """
    plan = make_plan(adapters)
    if adapters.policy().cleanup != "apply":
        _say(adapters, plan, ())
        return CleanupReport(plan, applied=False, retired=(), message=NOT_OPTED_IN)
    retired: list[Copy] = []
    for judgement in plan.to_delete:
        if not adapters.has_time():
            break
        copy = _retire(adapters, judgement)
        if copy is not None:
            retired.append(copy)
    _say(adapters, plan, tuple(retired))
    left = len(plan.to_delete) - len(retired)
    message = f"{len(retired)} of {len(plan.to_delete)} images are being deleted."
    if left:
        message += f" {left} are left: they changed since the plan was made, or time ran out."
    return CleanupReport(plan, applied=True, retired=tuple(retired), message=message)


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


def _retire(adapters: Adapters, judgement: Judgement) -> Copy | None:
    now_says = next((j for j in make_plan(adapters).judgements if j.image_id == judgement.image_id), None)
    if now_says is None or now_says.verdict is not Verdict.DELETE:
        return None
    copy = _row(adapters, judgement)
    if copy is None or copy.state is not State.ACTIVE:
        return None
    going = retire(copy, "; ".join(now_says.reasons), adapters.clock()).model_copy(update={"version": copy.version + 1})
    if not adapters.ledger.replace(going, expected_version=copy.version):
        return None
    return follow(adapters, going)


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


def _say(adapters: Adapters, plan: Plan, retired: tuple[Copy, ...]) -> None:
    for judgement in plan.judgements:
        adapters.telemetry.log(
            "cleanup_judged",
            desktop_image_id=judgement.image_id,
            image_name=judgement.name,
            verdict=judgement.verdict.value,
            reasons=list(judgement.reasons),
        )
    adapters.telemetry.measure("CleanupPlanned", len(plan.to_delete))
    adapters.telemetry.measure("CleanupStarted", len(retired))
