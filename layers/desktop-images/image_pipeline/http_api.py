"""The calls of the HTTP API: one router a function, the same on API Gateway and on a Yandex function or gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from cloud_desktop import Code
from image_pipeline.clean_up import clean_up
from image_pipeline.copies import Copy, State, answer
from image_pipeline.http_errors import HttpError, bad_request
from image_pipeline.http_models import (
    CleanupAnswer,
    CopiesAnswer,
    CopyAnswer,
    CopyRequest,
    FolderId,
    ImageId,
    OperationAnswer,
    OperationId,
    PlanAnswer,
    Status,
    SweepAnswer,
)
from image_pipeline.http_router import JSON, adapters_of, new_router
from image_pipeline.page_tokens import page_token, read_page_token
from image_pipeline.pins import set_pin
from image_pipeline.planning import make_plan
from image_pipeline.retention import plan_answer, plan_table
from image_pipeline.start import route_for, start
from image_pipeline.sweep import sweep

TEXT = "text/plain; charset=utf-8"
_ERRORS: Mapping[int, str] = {
    400: "The request is not valid; `details` names the fields",
    403: "Compute Cloud or Cloud Desktop refuses access to this stack",
    404: "There is no such thing",
    409: "Something changed it at the same time; try again",
    429: "Compute Cloud or Cloud Desktop asks to wait",
    500: "A fault on this side; the log has the reason",
    503: "The cloud, the ledger or the queue cannot be reached; try again",
    504: "Time ran out; try again",
}
SHOWN_RUNS = 5
"""Cleanup runs shown with the plan; the ledger keeps those of 90 days."""
_OF_THE_CLOUD = (403, 404, 409, 429, 500, 503, 504)
_OF_THE_LEDGER = (500, 503)


def _responses(
    description: str, content: dict[str, Any], *errors: int, status: int = 200, links: Mapping[str, Any] | None = None
) -> dict[int, Any]:
    return {
        status: {"description": description, "content": content, **({"links": links} if links else {})},
        **{error: {"description": _ERRORS[error], "content": {JSON: {"model": Status}}} for error in sorted(errors)},
    }


def _link(operation_id: str, description: str, *fields: str) -> dict[str, Any]:
    """Say which call the fields of an answer lead to."""
    parameters = {field: f"$response.body#/{field}" for field in fields}
    return {"operationId": operation_id, "description": description, "parameters": parameters}


COPY_API = new_router()
POLL_API = new_router()
CLEANUP_API = new_router()


@COPY_API.post(
    "/images:copy",
    operation_id="copyImage",
    summary="Copy a compute image",
    tags=["copies"],
    status_code=202,
    responses=_responses(
        "The copy. Its state may be FAILED already: `reason` says why, such as a folder this stack may not write to",
        {JSON: {"model": CopyAnswer}},
        *(400, *_OF_THE_CLOUD),
        status=202,
        links={
            "copy": _link("getCopy", "What has become of it.", "folderId", "imageId"),
            "operation": _link("getOperation", "The operation of Cloud Desktop, once there is one.", "operationId"),
        },
    ),
    description="Begins the copy of a compute image and follows it to its end. Safe to repeat: the same request gives "
    "the copy that there is, under the name it was begun with: there is one copy of an image in a folder. One that "
    "ended without success is made again.",
)
def _copy_image(request: CopyRequest) -> dict[str, Any]:
    adapters = adapters_of(COPY_API)
    image = adapters.cloud.compute_images.get(request.image_id)
    route = route_for(adapters, image, request.folder_id)
    if route is None and request.folder_id is None:
        raise bad_request([("folderId", f"needed, since no route takes image {image.id}")])
    result = start(adapters, image, route, folder_id=request.folder_id, name=request.name, again=True)
    copy = result.copy
    if copy is None:
        raise HttpError(Code.FAILED_PRECONDITION, f"image {image.id} cannot be copied: {result.reason}")
    return answer(copy)


@COPY_API.post(
    "/sweep",
    operation_id="sweep",
    summary="Compare the world with the policy now",
    tags=["copies"],
    responses=_responses("What was found and done", {JSON: {"model": SweepAnswer}}, *_OF_THE_LEDGER),
    description="Starts what is missing, wakes what has slept past its time, and says so. Repeating it changes "
    "nothing. The timer does the same.",
)
def _sweep() -> dict[str, Any]:
    return sweep(adapters_of(COPY_API)).answer()


@POLL_API.get(
    "/copies",
    operation_id="listCopies",
    summary="List copies",
    tags=["copies"],
    responses=_responses("One page of copies", {JSON: {"model": CopiesAnswer}}, 400, *_OF_THE_LEDGER),
    description="Lists what the ledger knows, page by page, in no particular order.",
)
def _list_copies(
    state: Annotated[State | None, Query(description="Only copies in this state.")] = None,
    folder_id: Annotated[FolderId | None, Query(alias="folderId", description="Only copies to this folder.")] = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000, description="Most copies on a page.")] = 100,
    page_token_: Annotated[
        str, Query(alias="pageToken", max_length=500, description="The `nextPageToken` of the page before.")
    ] = "",
) -> dict[str, Any]:
    after = read_page_token(page_token_, folder_id=folder_id, state=state)
    if page_token_ and after is None:
        raise bad_request([("pageToken", "not one that this call has given for these filters")])
    page: list[Copy] = []
    for copy in adapters_of(POLL_API).ledger.copies(folder_id, after=after):
        if state is not None and copy.state is not state:
            continue
        if len(page) == page_size:
            token = page_token(page[-1].key, folder_id=folder_id, state=state)
            return {"copies": [answer(copy) for copy in page], "nextPageToken": token}
        page.append(copy)
    return {"copies": [answer(copy) for copy in page]}


@POLL_API.get(
    "/copies/<folderId>/<imageId>",
    operation_id="getCopy",
    summary="Get a copy",
    tags=["copies"],
    responses=_responses("The copy", {JSON: {"model": CopyAnswer}}, 400, 404, *_OF_THE_LEDGER),
    description="Returns one copy as the ledger has it.",
)
def _get_copy(
    folderId: Annotated[FolderId, Path(description="Folder that the image is copied to.")],  # noqa: N803 - as in the URL
    imageId: Annotated[ImageId, Path(description="Compute image that is copied.")],  # noqa: N803
) -> dict[str, Any]:
    copy = adapters_of(POLL_API).ledger.get(folderId, imageId)
    if copy is None:
        raise HttpError(Code.NOT_FOUND, f"there is no copy of image {imageId} in folder {folderId}")
    return answer(copy)


@POLL_API.get(
    "/operations/<operationId>",
    operation_id="getOperation",
    summary="Get an operation",
    tags=["operations"],
    responses=_responses("The operation", {JSON: {"model": OperationAnswer}}, 400, *_OF_THE_CLOUD),
    description="Returns an operation as Cloud Desktop has it now.",
)
def _get_operation(
    operationId: Annotated[OperationId, Path(description="Operation of Cloud Desktop.")],  # noqa: N803
) -> dict[str, Any]:
    operation = adapters_of(POLL_API).cloud.operations.get(operationId)
    body = operation.model_dump(mode="json", by_alias=True, exclude_unset=True)
    body["done"] = operation.done
    if operation.error is not None:
        body["error"] = operation.error.model_dump(mode="json")
    return body


@CLEANUP_API.get(
    "/cleanup",
    operation_id="showCleanupPlan",
    summary="Show the cleanup plan",
    tags=["cleanup"],
    responses=_responses(
        "The plan", {JSON: {"model": PlanAnswer}, "text/plain": {"schema": {"type": "string"}}}, 400, *_OF_THE_CLOUD
    ),
    description="Returns every desktop image in the target folders with its verdict and the reasons; as a table for "
    "`Accept: text/plain`. Changes nothing.",
)
def _show_plan() -> Response[Any]:
    plan = make_plan(adapters_of(CLEANUP_API))
    if _prefers_text(CLEANUP_API.current_event.headers.get("accept") or ""):
        return Response(200, TEXT, plan_table(plan))
    return Response(200, JSON, {**plan_answer(plan), "lastRuns": adapters_of(CLEANUP_API).ledger.runs(SHOWN_RUNS)})


@CLEANUP_API.post(
    "/cleanup",
    operation_id="cleanUp",
    summary="Carry the cleanup plan out",
    tags=["cleanup"],
    responses=_responses("The plan, and what was done", {JSON: {"model": CleanupAnswer}}, 400, *_OF_THE_CLOUD),
    description='Deletes what the plan says, where the policy says `"cleanup": "apply"`; otherwise answers with the '
    "plan and says why nothing was done. The timer does the same.",
)
def _clean_up() -> dict[str, Any]:
    return clean_up(adapters_of(CLEANUP_API)).answer()


@CLEANUP_API.post(
    "/copies/<folderId>/<imageId>/pin",
    operation_id="pinCopy",
    summary="Pin a copy",
    tags=["cleanup"],
    responses=_responses("The copy, pinned", {JSON: {"model": CopyAnswer}}, 400, *_OF_THE_CLOUD),
    description="Keeps the desktop image whatever the plan says. The label `pinned` is put on it as well, where the "
    "region takes labels. Safe to repeat.",
)
def _pin(
    folderId: Annotated[FolderId, Path(description="Folder that the image was copied to.")],  # noqa: N803
    imageId: Annotated[ImageId, Path(description="Compute image that was copied.")],  # noqa: N803
) -> dict[str, Any]:
    return answer(set_pin(adapters_of(CLEANUP_API), folderId, imageId, pinned=True))


@CLEANUP_API.delete(
    "/copies/<folderId>/<imageId>/pin",
    operation_id="unpinCopy",
    summary="Unpin a copy",
    tags=["cleanup"],
    responses=_responses("The copy, no longer pinned", {JSON: {"model": CopyAnswer}}, 400, *_OF_THE_CLOUD),
    description="Takes the pin off, and the label with it. Safe to repeat.",
)
def _unpin(
    folderId: Annotated[FolderId, Path(description="Folder that the image was copied to.")],  # noqa: N803
    imageId: Annotated[ImageId, Path(description="Compute image that was copied.")],  # noqa: N803
) -> dict[str, Any]:
    return answer(set_pin(adapters_of(CLEANUP_API), folderId, imageId, pinned=False))


def _prefers_text(accept: str) -> bool:
    """Whether an Accept header asks for a table rather than JSON; JSON wins where it is named as well.

    >>> [_prefers_text(accept) for accept in ("text/plain", "*/*", "application/json, text/plain, */*")]
    [True, False, False]
    """
    return "text/plain" in accept and JSON not in accept
