"""The real paths of the Yandex services, answered from a World."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import flask

from local.emulator import fields, wire
from local.emulator.faulty import OUTCOME_KEY
from local.emulator.identity import TOKEN_LIFETIME, ExchangeRefused, IamToken
from local.emulator.listing import Query
from local.emulator.operations import Caller
from local.emulator.records import SUCCEEDS, Outcome
from local.emulator.status import Code, Refusal, bad_field
from local.emulator.world import World

Json: TypeAlias = dict[str, Any]
View: TypeAlias = Callable[..., Any]
METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_SERVICES = ("clouddesktops", "compute", "iam", "operation", "quota-manager")
_OPEN_ENDPOINTS = {"create_iam_token", "exchange_token", "metadata_token", "list_endpoints", "get_endpoint"}


class Routes:
    """One view per method of the services: reads the request, calls the World, prints what it returned."""

    def __init__(self, world: World) -> None:
        self._world = world

    def table(self) -> tuple[tuple[str, str, View], ...]:
        """Return every route as (methods, template, view)."""
        images, quotas = "/cloud-desktop/v1/images", "/quota-manager/v1/quotaLimits"
        return (
            ("GET", images, self._list_desktop_images),
            ("POST", f"{images}:copy", self._copy_desktop_image),
            ("POST", f"{images}:copyFromDesktop", self._copy_from_desktop),
            ("GET", f"{images}/<image_id>", self._get_desktop_image),
            ("PATCH", f"{images}/<image_id>", self._update_desktop_image),
            ("DELETE", f"{images}/<image_id>", self._delete_desktop_image),
            ("GET", "/operations/<operation_id>", self._get_operation),
            ("GET POST", "/operations/<operation_id>:cancel", self._cancel_operation),
            ("GET", "/compute/v1/images", self._list_compute_images),
            ("GET", "/compute/v1/images:latestByFamily", self._latest_compute_image),
            ("GET", "/compute/v1/images/<image_id>", self._get_compute_image),
            ("POST", "/iam/v1/tokens", self._create_iam_token),
            ("POST", "/oauth/token", self._exchange_token),
            ("GET", METADATA_PATH, self._metadata_token),
            ("GET", quotas, self._list_quota_limits),
            ("GET", f"{quotas}/services", self._list_quota_services),
            ("GET", f"{quotas}/<quota_id>", self._get_quota_limit),
            ("GET", "/endpoints", self._list_endpoints),
            ("GET", "/endpoints/<endpoint_id>", self._get_endpoint),
        )

    def authenticate(self) -> None:
        """Raise Refusal unless the caller may use the route that matched."""
        endpoint = flask.request.endpoint
        if endpoint and endpoint not in _OPEN_ENDPOINTS and flask.request.blueprint is None:
            flask.g.subject = self._world.identity.authenticate(flask.request.headers.get("Authorization"))

    def _list_desktop_images(self) -> Json:
        images, token = self._world.desktop.page(_query())
        labels = self._world.list_includes_labels
        return wire.page("desktopImages", [wire.desktop_image(image, labels=labels) for image in images], token)

    def _get_desktop_image(self, image_id: str) -> Json:
        return wire.desktop_image(self._world.desktop.get(image_id))

    def _copy_desktop_image(self) -> Json:
        caller = _caller()
        request = fields.parse_copy(
            _body(), accept_labels=self._world.accept_labels_on_copy, strict=self._world.strict_fields
        )
        return wire.operation(self._world.desktop.copy(request, caller, _outcome()))

    def _copy_from_desktop(self) -> Json:
        caller = _caller()
        request = fields.parse_copy_from_desktop(_body(), strict=self._world.strict_fields)
        return wire.operation(self._world.desktop.copy_from_desktop(request, caller, _outcome()))

    def _update_desktop_image(self, image_id: str) -> Json:
        caller = _caller()
        request = fields.parse_update(image_id, _body(), strict=self._world.strict_fields)
        return wire.operation(self._world.desktop.update(request, caller, _outcome()))

    def _delete_desktop_image(self, image_id: str) -> Json:
        return wire.operation(self._world.desktop.delete(image_id, _caller(), _outcome()))

    def _get_operation(self, operation_id: str) -> Json:
        return wire.operation(self._world.operation_service.get(operation_id))

    def _cancel_operation(self, operation_id: str) -> Json:
        return wire.operation(self._world.operation_service.cancel(operation_id))

    def _list_compute_images(self) -> Json:
        images, token = self._world.compute.page(_query())
        return wire.page("images", [wire.compute_image(image) for image in images], token)

    def _latest_compute_image(self) -> Json:
        arguments = flask.request.args
        if not (family := arguments.get("family", "")):
            raise bad_field("family", "is required")
        return wire.compute_image(self._world.compute.latest_by_family(arguments.get("folderId", ""), family))

    def _get_compute_image(self, image_id: str) -> Json:
        return wire.compute_image(self._world.compute.get(image_id))

    def _create_iam_token(self) -> Json:
        token = self._world.identity.token_for_jwt(_body(), flask.request.base_url)
        return {"iamToken": token.text, "expiresAt": wire.timestamp(token.expires_at)}

    def _exchange_token(self) -> Json | tuple[Json, int]:
        try:
            return _oauth_token(self._world.identity.exchange(flask.request.form))
        except ExchangeRefused as refused:
            return {"error": refused.error, "error_description": refused.description}, 400

    def _metadata_token(self) -> Json:
        if flask.request.headers.get("Metadata-Flavor") != "Google":
            raise Refusal(Code.PERMISSION_DENIED, "The header Metadata-Flavor: Google is missing")
        return _oauth_token(self._world.identity.issue_token("metadata-service-account"))

    def _list_quota_limits(self) -> Json:
        resource = _quota_resource()
        fields.check_id("service", flask.request.args.get("service", ""))
        known = flask.request.args["service"] == "cloud-desktop"
        limits = [wire.quota_limit(limit) for limit in self._world.desktop.quota_limits()] if known else []
        return {"resource": resource, **wire.page("quotaLimits", limits, "")}

    def _list_quota_services(self) -> Json:
        return {"services": [{"id": "cloud-desktop", "name": "Cloud Desktop"}]}

    def _get_quota_limit(self, quota_id: str) -> Json:
        _quota_resource()
        for limit in self._world.desktop.quota_limits():
            if limit.quota_id == quota_id:
                return wire.quota_limit(limit)
        raise Refusal(Code.NOT_FOUND, f"Quota {quota_id} not found")

    def _list_endpoints(self) -> Json:
        return {"endpoints": [{"id": service, "address": flask.request.host} for service in _SERVICES]}

    def _get_endpoint(self, endpoint_id: str) -> Json:
        if endpoint_id not in _SERVICES:
            raise Refusal(Code.NOT_FOUND, f"Endpoint {endpoint_id} not found")
        return {"id": endpoint_id, "address": flask.request.host}


def _query() -> Query:
    arguments = flask.request.args
    return Query(
        folder_id=arguments.get("folderId", ""),
        page_size=arguments.get("pageSize", ""),
        page_token=arguments.get("pageToken", ""),
        filter=arguments.get("filter", ""),
        order_by=arguments.get("orderBy", ""),
    )


def _body() -> object:
    try:
        return flask.json.loads(flask.request.get_data() or b"{}")
    except ValueError:
        raise Refusal(Code.INVALID_ARGUMENT, "The request body is not JSON") from None


def _caller() -> Caller:
    return Caller(flask.g.subject, fields.parse_idempotency_key(flask.request.headers.get("Idempotency-Key")))


def _outcome() -> Outcome:
    outcome = flask.request.environ.get(OUTCOME_KEY, SUCCEEDS)
    return outcome if isinstance(outcome, Outcome) else SUCCEEDS


def _oauth_token(token: IamToken) -> Json:
    return {
        "access_token": token.text,
        "token_type": "Bearer",
        "expires_in": int(TOKEN_LIFETIME.total_seconds()),
    }


def _quota_resource() -> Json:
    arguments = flask.request.args
    resource = {"id": arguments.get("resource.id", ""), "type": arguments.get("resource.type", "")}
    if resource["type"] != "resource-manager.cloud":
        raise bad_field("resource.type", f"must be resource-manager.cloud, is {resource['type']!r}")
    fields.check_id("resource.id", resource["id"])
    return resource
