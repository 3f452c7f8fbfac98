"""The control API under /emulator/: what a shell can ask of a running emulator. It takes no token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask

from local.emulator import wire
from local.emulator.faults import Fault, Faults
from local.emulator.status import Code, Refusal, bad_field
from local.emulator.world import World

_IMAGE_FIELDS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "folderId": ("folder_id", str),
    "name": ("name", str),
    "family": ("family", str),
    "labels": ("labels", dict),
    "description": ("description", str),
    "status": ("status", str),
    "readyAfter": ("ready_after", (int, float)),
    "size": ("size", int),
    "id": ("image_id", str),
}


def control_api(world: World, faults: Faults) -> flask.Blueprint:
    """Make the blueprint: create compute images, look at the state, switch faults on and off."""
    api = flask.Blueprint("control", __name__, url_prefix="/emulator")

    @api.post("/compute-images")
    def create_compute_image() -> tuple[wire.Json, int]:
        values = _object()
        if unknown := sorted(values.keys() - _IMAGE_FIELDS.keys()):
            raise bad_field(unknown[0], f"unknown field; the fields are {', '.join(_IMAGE_FIELDS)}")
        if not values.get("folderId"):
            raise bad_field("folderId", "is required")
        for name, value in values.items():
            if not isinstance(value, _IMAGE_FIELDS[name][1]):
                raise bad_field(name, f"has a value of the wrong type: {value!r}")
        image = world.add_compute_image(**{_IMAGE_FIELDS[name][0]: value for name, value in values.items()})
        return wire.compute_image(image), 201

    @api.get("/state")
    def show_state() -> wire.Json:
        return {
            "computeImages": [wire.compute_image(image) for image in world.compute_images()],
            "desktopImages": [
                wire.desktop_image(image) | {"sourceImageId": image.source_image_id, "operationId": image.operation_id}
                for image in world.desktop_images()
            ],
            "operations": [wire.operation(operation) for operation in world.operations()],
            "calls": dict(world.calls),
            "faults": dict(faults.fired),
        }

    @api.post("/faults")
    def add_faults() -> wire.Json:
        body = flask.request.get_json(force=True, silent=True)
        try:
            faults.add(*(Fault.parse(item) for item in (body if isinstance(body, list) else [body])))
        except (TypeError, ValueError) as error:
            raise Refusal(Code.INVALID_ARGUMENT, str(error)) from None
        return {}

    @api.delete("/faults")
    def clear_faults() -> wire.Json:
        faults.clear()
        return {}

    return api


def _object() -> dict[str, Any]:
    body = flask.request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Refusal(Code.INVALID_ARGUMENT, "The request body must be a JSON object")
    return body
