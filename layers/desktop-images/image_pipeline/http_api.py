"""The HTTP API: one router a function, the same on API Gateway and on a Yandex function or gateway."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoSuchRouteError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from cloud_desktop import Code
from image_pipeline.adapters import Adapters
from image_pipeline.clean_up import CleanupReport, clean_up, make_plan
from image_pipeline.copies import Copy, State, answer
from image_pipeline.http_errors import HTTP_STATUS, HttpError, status_body, to_http_error
from image_pipeline.http_models import CopiesAnswer, CopyAnswer, CopyRequest, Identifier, StatusAnswer, SweepAnswer
from image_pipeline.retention import plan_answer, plan_table
from image_pipeline.start import route_for, start
from image_pipeline.sweep import sweep
from image_pipeline.telemetry import Telemetry

JSON = "application/json"
_ERRORS: dict[int, Any] = {
    status: {"description": text, "content": {JSON: {"model": StatusAnswer}}}
    for status, text in (
        (400, "The request is not valid"),
        (403, "Cloud Desktop or Compute refuses access"),
        (404, "There is no such thing"),
        (429, "The cloud asks to wait"),
        (500, "A fault on this side; the log has the reason"),
        (503, "The cloud, the ledger or the queue cannot be reached"),
    )
}


def _router(title: str) -> APIGatewayHttpResolver:
    api = APIGatewayHttpResolver(enable_validation=True)
    api.title = title  # type: ignore[attr-defined]

    @api.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
    def invalid(error: RequestValidationError) -> Response[str]:
        problems = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()[:5]]
        return _error(HttpError(Code.INVALID_ARGUMENT, "; ".join(problems)))

    @api.exception_handler(RequestUnsupportedContentType)  # type: ignore[untyped-decorator]
    def not_json(_: RequestUnsupportedContentType) -> Response[str]:
        return _error(HttpError(Code.INVALID_ARGUMENT, "the body must be JSON, with Content-Type: application/json"))

    @api.not_found
    def no_route(_: NoSuchRouteError) -> Response[str]:
        event = api.current_event
        return _error(HttpError(Code.NOT_FOUND, f"there is no {event.http_method} {event.path} here"))

    return api


def copy_api(adapters: Adapters) -> APIGatewayHttpResolver:
    """Return the calls of copy-on-new-compute-image."""
    api = _router("copy-on-new-compute-image")

    @api.post("/images:copy", status_code=202, summary="Copy a compute image", tags=["copies"], responses=_ERRORS)
    def copy_image(request: CopyRequest) -> CopyAnswer:
        """Begin the copy, or return the one there is; an ended one that did not succeed is made again."""
        image = adapters.cloud.compute_images.get(request.imageId)
        route = route_for(adapters, image, request.folderId)
        if route is None and request.folderId is None:
            raise HttpError(
                Code.INVALID_ARGUMENT, f"no route takes image {image.id}; give folderId, or change the policy"
            )
        result = start(adapters, image, route, folder_id=request.folderId, name=request.name, again=True)
        if result.copy is None:
            raise HttpError(Code.FAILED_PRECONDITION, f"image {image.id} cannot be copied: {result.reason}")
        return _copy_answer(result.copy)

    @api.post("/sweep", summary="Compare the world with the policy now", tags=["copies"], responses=_ERRORS)
    def sweep_now() -> SweepAnswer:
        """Start what is missing, wake what is asleep too long, and say so."""
        report: Any = sweep(adapters).answer()
        return report  # type: ignore[no-any-return]

    return api


def poll_api(adapters: Adapters) -> APIGatewayHttpResolver:
    """Return the calls of poll-operation."""
    api = _router("poll-operation")

    @api.get("/copies", summary="List copies", tags=["copies"], responses=_ERRORS)
    def list_copies(
        state: Annotated[State | None, Query(description="Only copies in this state.")] = None,
        folderId: Annotated[Identifier | None, Query(description="Only copies to this folder.")] = None,  # noqa: N803
        pageSize: Annotated[int, Query(ge=1, le=1000)] = 100,  # noqa: N803
        pageToken: Annotated[str | None, Query(max_length=500)] = None,  # noqa: N803
    ) -> CopiesAnswer:
        """Return copies, page by page."""
        page: list[CopyAnswer] = []
        last: Copy | None = None
        for copy in adapters.ledger.copies(folderId, after=_after(pageToken, folderId)):
            if state is not None and copy.state is not state:
                continue
            if len(page) == pageSize and last is not None:
                token = base64.urlsafe_b64encode(json.dumps(last.key).encode()).decode()
                return {"copies": page, "nextPageToken": token}
            page.append(_copy_answer(copy))
            last = copy
        return {"copies": page}

    @api.get("/copies/<folder_id>/<image_id>", summary="Get a copy", tags=["copies"], responses=_ERRORS)
    def get_copy(
        folder_id: Annotated[Identifier, Path(description="Target folder.")],
        image_id: Annotated[Identifier, Path(description="Source compute image.")],
    ) -> CopyAnswer:
        """Return one copy."""
        copy = adapters.ledger.get(folder_id, image_id)
        if copy is None:
            raise HttpError(Code.NOT_FOUND, f"there is no copy of image {image_id} in folder {folder_id}")
        return _copy_answer(copy)

    @api.get("/operations/<operation_id>", summary="Get an operation", tags=["operations"], responses=_ERRORS)
    def get_operation(
        operation_id: Annotated[Identifier, Path(description="Operation of Cloud Desktop.")],
    ) -> dict[str, Any]:
        """Return the operation as Cloud Desktop has it."""
        operation = adapters.cloud.operations.get(operation_id)
        return operation.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"poll_after"})

    return api


def cleanup_api(adapters: Adapters) -> APIGatewayHttpResolver:
    """Return the calls of cleanup."""
    api = _router("cleanup")

    @api.get("/cleanup", summary="Show the cleanup plan", tags=["cleanup"], responses=_ERRORS)
    def show_plan() -> Response[Any]:
        """Return every image with its verdict and reasons; as a table for `Accept: text/plain`."""
        plan = make_plan(adapters)
        if "text/plain" in (api.current_event.headers.get("accept") or ""):
            return Response(200, "text/plain; charset=utf-8", plan_table(plan))
        return Response(200, JSON, plan_answer(plan))

    @api.post("/cleanup", summary="Carry the cleanup plan out", tags=["cleanup"], responses=_ERRORS)
    def carry_out() -> dict[str, Any]:
        """Delete what the plan says, where the policy says `apply`; otherwise say why nothing was done."""
        report: CleanupReport = clean_up(adapters)
        return report.answer()

    return api


def resolve(api: APIGatewayHttpResolver, event: dict[str, Any], context: Any, telemetry: Telemetry) -> Any:
    """Answer an HTTP event. Never raises: an error becomes its google.rpc.Status, and the log has it."""
    try:
        return api.resolve(event, context)
    except Exception as error:  # noqa: BLE001 - the edge of the function: every error gets an answer
        telemetry.fail("http_call_failed", error)
        refused = _error(to_http_error(error))
        return {
            "statusCode": refused.status_code,
            "headers": {"Content-Type": JSON},
            "body": refused.body,
            "isBase64Encoded": False,
        }


def _error(error: HttpError) -> Response[str]:
    return Response(HTTP_STATUS.get(error.code, 500), JSON, status_body(error))


def _copy_answer(copy: Copy) -> CopyAnswer:
    body: Any = answer(copy)
    return body  # type: ignore[no-any-return]


def _after(token: str | None, folder_id: str | None) -> tuple[str, str] | None:
    if token is None:
        return None
    try:
        folder, image = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error):
        folder, image = None, None
    if not isinstance(folder, str) or not isinstance(image, str) or folder_id not in {None, folder}:
        raise HttpError(Code.INVALID_ARGUMENT, "pageToken is not one that this call has given")
    return folder, image
