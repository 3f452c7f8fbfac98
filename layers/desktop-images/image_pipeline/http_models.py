"""The bodies of the HTTP API, as its OpenAPI document describes them. Fields are absent until they are known."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

Identifier = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[-_.a-zA-Z0-9]+$")]


class CopyRequest(BaseModel):
    """The seed document's own request: folder and name may be left to the route that takes the image."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"imageId": "fd8computeimage00001"}})

    imageId: Identifier = Field(description="Compute image to copy.")  # noqa: N815 - the wire's spelling
    folderId: Identifier | None = Field(default=None, description="Folder to copy the image to.")  # noqa: N815
    name: Annotated[str, Field(min_length=1, max_length=50)] | None = Field(
        default=None, description="Name of the desktop image."
    )


class CopyAnswer(TypedDict):
    """A copy, as the ledger has it."""

    folderId: str
    imageId: str
    route: NotRequired[str]
    name: str
    state: str
    reason: str
    desktopImageId: NotRequired[str]
    operationId: NotRequired[str]
    generation: int
    createdAt: str
    updatedAt: str
    finishedAt: NotRequired[str]
    nextLookAt: NotRequired[str]


class CopiesAnswer(TypedDict):
    """One page of copies; `nextPageToken` is absent on the last."""

    copies: list[CopyAnswer]
    nextPageToken: NotRequired[str]


class SweepAnswer(TypedDict):
    """What a sweep found and did."""

    seen: int
    selected: int
    started: list[CopyAnswer]
    alreadyThere: int
    skipped: dict[str, int]
    woken: int
    adopted: int
    vanished: int
    postponed: int
    errors: list[str]
    message: str


class StatusAnswer(TypedDict):
    """An error: google.rpc.Status."""

    code: int
    message: str
    details: list[dict[str, Any]]
