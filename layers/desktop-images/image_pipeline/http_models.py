"""The bodies of the HTTP API, as its OpenAPI document describes them. Fields are absent until they are known.

Answers may gain fields; requests take the fields named here and no others.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from cloud_desktop.constants import ID_LENGTH, NAME_LENGTH
from image_pipeline.copies import State
from image_pipeline.retention import Verdict

_IDENTIFIER: dict[str, Any] = {"min_length": 1, "max_length": ID_LENGTH, "pattern": r"^[-_a-zA-Z0-9]+$"}
FolderId = Annotated[str, Field(**_IDENTIFIER, examples=["b1gtarget"])]
ImageId = Annotated[str, Field(**_IDENTIFIER, examples=["fd8computeimage00001"])]
OperationId = Annotated[str, Field(**_IDENTIFIER, examples=["e3voperation00000001"])]
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class CopyRequest(BaseModel):
    """The request of Cloud Desktop's own `DesktopImage.Copy`; a route may fill in the folder and the name."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        json_schema_extra={
            "examples": [
                {"folderId": "b1gtarget", "name": "win11-office-20260801", "imageId": "fd8computeimage00001"},
            ]
        },
    )

    image_id: ImageId = Field(description="Compute image to copy.")
    folder_id: FolderId | None = Field(
        default=None, description="Folder to copy the image to. Absent: that of the first route that takes the image."
    )
    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)] | None = Field(
        default=None, description="Name of the desktop image. Absent: what the route, or else the image's name, gives."
    )


class CopyAnswer(TypedDict):
    """A copy: what becomes of one compute image in one folder. There is one for each such pair."""

    folderId: str
    imageId: Annotated[str, Field(description="Compute image that is copied.")]
    route: NotRequired[Annotated[str, Field(description="Route of the policy that took the image.")]]
    name: Annotated[str, Field(description="Name of the desktop image.")]
    state: State
    reason: Annotated[str, Field(description="Why the copy is in this state, in a sentence.")]
    pinned: NotRequired[Annotated[bool, Field(description="Present where the desktop image is pinned.")]]
    desktopImageId: NotRequired[str]
    operationId: NotRequired[Annotated[str, Field(description="The operation of Cloud Desktop that was begun last.")]]
    generation: Annotated[int, Field(description="Rises when a copy that failed is made again.")]
    createdAt: Instant
    updatedAt: Instant
    finishedAt: NotRequired[Instant]
    nextLookAt: NotRequired[Annotated[Instant, Field(description="When the copy is looked at next.")]]


class CopiesAnswer(TypedDict):
    """One page of copies."""

    copies: list[CopyAnswer]
    nextPageToken: NotRequired[Annotated[str, Field(description="The next page's token; absent on the last page.")]]


class SweepAnswer(TypedDict):
    """What a sweep found and did."""

    seen: Annotated[int, Field(description="Images in the source folders.")]
    selected: Annotated[int, Field(description="Images that a route takes, counted once a route.")]
    started: list[CopyAnswer]
    alreadyThere: int
    skipped: Annotated[dict[str, int], Field(description="How many images were left out, by route and reason.")]
    woken: Annotated[int, Field(description="Copies that had slept past their time.")]
    adopted: Annotated[int, Field(description="Images that are ours by their labels and had no copy here.")]
    vanished: Annotated[int, Field(description="Copies whose desktop image somebody else has deleted.")]
    postponed: Annotated[int, Field(description="Selected images left to the next sweep.")]
    errors: Annotated[list[str], Field(description="What could not be done, one sentence each.")]
    message: str


class JudgedImage(TypedDict):
    """One desktop image of the plan."""

    imageId: Annotated[str, Field(description="Desktop image.")]
    folderId: str
    name: str
    route: NotRequired[str]
    family: NotRequired[str]
    sourceImageId: NotRequired[Annotated[str, Field(description="Compute image that it was copied from.")]]
    sourceCreatedAt: NotRequired[Instant]
    status: str
    createdAt: NotRequired[Instant]
    activeAt: NotRequired[Instant]
    storageSize: NotRequired[Annotated[int, Field(description="Bytes.")]]
    verdict: Verdict
    reasons: Annotated[list[str], Field(description="Every reason for and against, in a sentence each.")]


class QuotaLine(TypedDict):
    """One quota of the cloud, as far as the target folders show it."""

    limit: int
    used: int
    leaving: Annotated[int, Field(description="What is being deleted; it still counts as used.")]
    remaining: Annotated[int, Field(description="Negative where the limit is exceeded.")]
    remainingAfter: Annotated[int, Field(description="What remains once the plan is carried out.")]


class QuotaAnswer(TypedDict):
    """The quota before and after the plan."""

    images: QuotaLine
    bytes: QuotaLine
    imagesOfUnknownSize: Annotated[int, Field(description="Images that count as no bytes, for want of knowledge.")]


class PlanAnswer(TypedDict):
    """The cleanup plan: every desktop image in the target folders, its verdict and the reasons."""

    madeAt: Instant
    cleanup: Annotated[Literal["plan", "apply"], Field(description="What the policy allows.")]
    summary: str
    counts: Annotated[dict[str, int], Field(description="How many images have each verdict.")]
    freedBytes: Annotated[int, Field(description="Bytes that the deletions are known to free.")]
    quota: QuotaAnswer
    images: list[JudgedImage]
    lastRuns: NotRequired[Annotated[list[dict[str, Any]], Field(description="The last cleanup runs, newest first.")]]


class CleanupAnswer(PlanAnswer):
    """The cleanup plan, and what was done about it."""

    applied: Annotated[bool, Field(description='Whether the policy says "apply"; otherwise nothing was done.')]
    retired: Annotated[list[CopyAnswer], Field(description="Copies whose desktop image is on its way out.")]
    message: str


class Status(TypedDict):
    """An error, in the form of google.rpc.Status."""

    code: Annotated[int, Field(description="A google.rpc.Code; the HTTP status is the one that belongs to it.")]
    message: str
    details: Annotated[
        list[dict[str, Any]],
        Field(description="Messages with an `@type`: google.rpc.BadRequest, google.rpc.RequestInfo."),
    ]


class OperationAnswer(TypedDict):
    """An operation as Cloud Desktop has it; it has ended when `done` is true, and not before."""

    id: str
    description: NotRequired[str]
    createdAt: NotRequired[Instant]
    createdBy: NotRequired[str]
    modifiedAt: NotRequired[Instant]
    done: bool
    metadata: NotRequired[Annotated[dict[str, Any], Field(description="Holds the id of the image it is about.")]]
    error: NotRequired[Status]
    response: NotRequired[Annotated[dict[str, Any], Field(description="The image, once it is there.")]]
