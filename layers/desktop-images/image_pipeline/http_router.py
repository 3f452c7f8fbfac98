"""What every call of the HTTP API has in common: how it is read, routed, refused and answered.

A path that is not there answers 404. A path that does not take the method answers 405 and says in `Allow` which ones it
takes; behind API Gateway neither gets this far, since the gateway answers 404 itself. HEAD is answered as GET, without
the body; OPTIONS with 204 and `Allow`. The body is read as JSON whatever its Content-Type says.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoSuchRouteError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from cloud_desktop import Code
from image_pipeline.adapters import Adapters
from image_pipeline.http_errors import HttpError, bad_request, to_http_error

JSON = "application/json"
_SERVER_ERRORS = 500


def new_router() -> APIGatewayHttpResolver:
    """Return a router without routes that answers every error as its google.rpc.Status.

    Made once per process: Powertools takes 5 to 7 ms to analyse a route on its first call.
    """
    api = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=_read_object)

    @api.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
    def invalid(error: RequestValidationError) -> Response[str]:
        return _refuse(api, bad_request([(_field(e["loc"]), e["msg"]) for e in error.errors()]))

    @api.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def failed(error: Exception) -> Response[str]:
        return _refuse(api, error)

    @api.not_found
    def no_route(_: NoSuchRouteError) -> Response[str]:
        return _no_route(api)

    return api


def resolve(api: APIGatewayHttpResolver, call: Mapping[str, Any], context: Any, adapters: Adapters) -> dict[str, Any]:
    """Answer a call given in payload format 2.0. Never raises: an error becomes its google.rpc.Status.

    The routes find the adapters through `adapters_of`, for this call alone: the router keeps nothing of it.
    """
    method = call["requestContext"]["http"]["method"].upper()
    api.context["adapters"] = adapters
    try:
        answered = api.resolve(_as_powertools_reads_it(call, method), context)
    except Exception as error:  # noqa: BLE001 - the edge of the function: every error gets an answer
        told = _tell(adapters, error)
        answered = {"statusCode": told.status, "headers": {"Content-Type": JSON}, "body": told.body}
    finally:
        api.context.clear()
    body = "" if method == "HEAD" else answered["body"]
    return {
        "statusCode": answered["statusCode"],
        "headers": answered["headers"],
        "body": body,
        "isBase64Encoded": False,
    }


def adapters_of(api: APIGatewayHttpResolver) -> Adapters:
    """Return what the call that is being answered acts through."""
    adapters: Adapters = api.context["adapters"]
    return adapters


def _as_powertools_reads_it(call: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Return the call with GET for HEAD, and with its body as text that is read as JSON.

    Without a Content-Type Powertools takes a body for JSON; there is no other kind here. Bytes that are not UTF-8 are
    kept as half surrogates, which neither the JSON parser nor a field accepts.
    """
    http = {**call["requestContext"]["http"], "method": "GET" if method == "HEAD" else method}
    body = call.get("body") or "{}"
    if call.get("isBase64Encoded"):
        body = base64.b64decode(body).decode(errors="surrogateescape") or "{}"
    return {
        **call,
        "headers": {name: value for name, value in call["headers"].items() if name.lower() != "content-type"},
        "requestContext": {**call["requestContext"], "http": http},
        "body": body,
        "isBase64Encoded": False,
    }


def _read_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = (
            error.msg if isinstance(error, json.JSONDecodeError) else "it nests too deep or holds too long a number"
        )
        raise HttpError(Code.INVALID_ARGUMENT, f"the body is not JSON: {reason}") from None
    if not isinstance(value, dict):
        raise HttpError(Code.INVALID_ARGUMENT, "the body must be a JSON object")
    return value


def _no_route(api: APIGatewayHttpResolver) -> Response[str]:
    event = api.current_event
    routes = [*api._static_routes, *api._dynamic_routes]  # noqa: SLF001 - there is no public way to ask
    taken = {route.method for route in routes if route.rule.match(event.path)}
    if not taken:
        return _refuse(api, HttpError(Code.NOT_FOUND, f"there is no {event.path} here"))
    allow = ", ".join(sorted(taken | {"OPTIONS"} | ({"HEAD"} if "GET" in taken else set())))
    if event.http_method == "OPTIONS":
        return Response(204, headers={"Allow": allow}, body="")
    refused = HttpError(Code.UNIMPLEMENTED, f"{event.path} does not take {event.http_method}; it takes {allow}")
    return Response(405, JSON, refused.body, headers={"Allow": allow})


def _refuse(api: APIGatewayHttpResolver, error: Exception) -> Response[str]:
    told = _tell(adapters_of(api), error)
    return Response(told.status, JSON, told.body)


def _tell(adapters: Adapters, error: Exception) -> HttpError:
    """Return what the caller is told, and log it: a fault of ours as an error, a refusal as information."""
    told = to_http_error(error)
    if told.status >= _SERVER_ERRORS:
        adapters.telemetry.fail("http_call_failed", error, http_status=told.status)
    else:
        adapters.telemetry.log("http_call_refused", http_status=told.status, reason=told.message)
    return told


def _field(location: tuple[Any, ...]) -> str:
    """Return the name of a field from where Powertools says that it is: ("body", "imageId"), ("query", "state")."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])
