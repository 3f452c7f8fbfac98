"""IMAGE_POLICY: which compute images become desktop images, where, under which name, and for how long.

Pure: text in, values out. Unknown keys are errors, because a misspelt key that is ignored is a rule that does not hold.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from string import Formatter
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from cloud_desktop import ConfigurationError

VARIABLE = "IMAGE_POLICY"

_LABEL_KEY = re.compile(r"[a-z][-_0-9a-z]{0,62}")
_LABEL_VALUE = re.compile(r"[-_0-9a-z]{0,63}")
_OWN_LABELS_LIMIT = 59  # an image takes 64, and the pipeline puts up to five of its own
_TEMPLATE_FIELDS = ("name", "family", "id", "short_id", "created")


def _whole(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - pydantic reports ValueErrors
    return value


def _written_out(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("must be an instant such as 2026-08-01T00:00:00Z")  # noqa: TRY004 - as above
    return value


Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Days = Annotated[float, BeforeValidator(_whole), Field(ge=0, le=36500, allow_inf_nan=False)]
FolderId = Annotated[str, Field(min_length=1, max_length=50)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Source(_Strict):
    """Which compute images a route takes."""

    folder_id: FolderId = Field(description="Folder whose compute images are considered.")
    family: str = Field(
        default="*", min_length=1, description="Shell pattern of the image family; `*` also takes none."
    )
    name: str = Field(default="*", min_length=1, description="Shell pattern of the image name.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels that must all be on the image.")
    since: Annotated[AwareDatetime, BeforeValidator(_written_out)] | None = Field(
        default=None,
        description="Images created before this instant (RFC 3339 with offset) are left alone by events and sweeps.",
    )


class Target(_Strict):
    """What a route makes of an image."""

    folder_id: FolderId = Field(description="Folder that the desktop image is made in.")
    name: str = Field(
        default="{name}",
        min_length=1,
        max_length=200,
        description="Template of the name: `{name} {family} {id} {short_id} {created:%Y%m%d}`; the result is cut to 50 "
        "characters and ends in a short id wherever it would not otherwise be unique to its source.",
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Labels put on the desktop image.")
    description: str = Field(
        default="", max_length=500, description="Template of the description, with the fields of the name."
    )

    @field_validator("name", "description")
    @classmethod
    def _known_fields(cls, template: str) -> str:
        check_template(template)
        return template

    @field_validator("labels")
    @classmethod
    def _safe_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        if len(labels) > _OWN_LABELS_LIMIT:
            raise ValueError(f"holds {len(labels)} labels; at most {_OWN_LABELS_LIMIT} fit beside the pipeline's own")
        for key, value in labels.items():
            if not _LABEL_KEY.fullmatch(key):
                raise ValueError(f"label key {key!r} must be 1 to 63 characters of a-z, 0-9, - and _, a letter first")
            if not _LABEL_VALUE.fullmatch(value):
                raise ValueError(f"value {value!r} of label {key!r} must be at most 63 characters of a-z, 0-9, - and _")
        return labels


class Retention(_Strict):
    """Which desktop images of a route may be retired. Every rule only ever protects more, never less."""

    keep_last: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = Field(
        default=3, description="Newest ACTIVE images kept in each family of the route."
    )
    min_age_days: Days = Field(default=7, description="Days an image is kept after it became ACTIVE.")
    max_age_days: Days | None = Field(
        default=None, description="Days after which an image may go though it is among the newest; `null`: never."
    )
    floor: Annotated[int, BeforeValidator(_whole), Field(ge=1)] = Field(
        default=1, description="ACTIVE images of each family that stay whatever the other rules say."
    )
    max_deletions: Count = Field(default=3, description="Most images deleted in one run.")
    pinned: tuple[str, ...] = Field(default=(), description="Image ids, or shell patterns of names, that always stay.")


class Route(_Strict):
    """One rule: images of the source become desktop images in the target."""

    name: str = Field(
        pattern=r"^[a-z][-_0-9a-z]{0,62}$", description="Unique name of the route; also the value of a label."
    )
    source: Source
    target: Target
    retention: Retention = Retention()
    deadline_hours: Annotated[float, BeforeValidator(_whole), Field(gt=0, le=720, allow_inf_nan=False)] = Field(
        default=12, description="Hours that one copy may take before it is TIMED_OUT."
    )

    @property
    def digest(self) -> str:
        """What changes when the route's idea of a copy changes; retention does not count."""
        return hashlib.sha256(self.model_dump_json(exclude={"retention"}).encode()).hexdigest()[:16]


class Quota(_Strict):
    """What the cloud allows: desktop images per cloud, system images not counted."""

    cloud_id: FolderId | None = Field(
        default=None,
        description="Cloud that Quota Manager is asked about (role quota-manager.viewer); `null`: the numbers count.",
    )
    images: Count = Field(default=8, description="Desktop images in the cloud.")
    bytes: Count = Field(default=2**40, description="Bytes of all desktop images in the cloud.")


class Policy(_Strict):
    """The whole of IMAGE_POLICY."""

    routes: tuple[Route, ...] = Field(description="The rules, in order; an image is copied for each one it matches.")
    quota: Quota = Quota()
    cleanup: Literal["plan", "apply"] = Field(
        default="plan", description="`plan`: say what would be deleted. `apply`: delete it."
    )

    @field_validator("routes")
    @classmethod
    def _unique_names(cls, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        names = [route.name for route in routes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two routes are named {twice[0]!r}; give each its own name")
        return routes

    def route(self, name: str | None) -> Route | None:
        """Return the route of that name, or None if the policy has none (any more)."""
        return next((route for route in self.routes if route.name == name), None)

    @property
    def target_folders(self) -> tuple[str, ...]:
        """The target folders, each once, in the order of the routes."""
        return tuple(dict.fromkeys(route.target.folder_id for route in self.routes))


def parse_policy(text: str, *, origin: str = "") -> Policy:
    """Return the policy in the JSON text.

    Raises:
        ConfigurationError: the text is not JSON or breaks a rule; the sentence names the key and the rule.
    """
    if (twice := _key_given_twice(text)) is not None:
        raise ConfigurationError(VARIABLE, f"{origin}is not a valid image policy: {twice}: given twice; keep one")
    try:
        return Policy.model_validate_json(text)
    except ValidationError as error:
        raise ConfigurationError(VARIABLE, f"{origin}is not a valid image policy: {_sentence(error)}") from None


class _KeyTwiceError(Exception):
    pass


def _key_given_twice(text: str) -> str | None:
    """Return a key that an object of the text holds twice: readers keep one and forget the other without a word."""

    def check(pairs: list[tuple[str, object]]) -> None:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            raise _KeyTwiceError(next(key for key in keys if keys.count(key) > 1))

    try:
        json.loads(text, object_pairs_hook=check)
    except _KeyTwiceError as twice:
        return str(twice)
    except (ValueError, RecursionError):
        pass  # the model says what is wrong
    return None


def _sentence(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"]) or "the document"
        unknown = problem["type"] == "extra_forbidden"
        rule = "no such key; remove or correct it" if unknown else problem["msg"].removeprefix("Value error, ")
        problems.append(f"{place}: {rule}")
    return "; ".join(problems[:5])


def check_template(template: str) -> None:
    """Raise ValueError unless the template uses only the known fields and can be rendered.

    >>> check_template("{name}-{created:%Y%m%d}")
    >>> check_template("{size}")
    Traceback (most recent call last):
    ValueError: unknown field {size}; the fields are {name}, {family}, {id}, {short_id}, {created}
    """
    if any(not char.isprintable() for char in template):
        raise ValueError("a template may hold printable characters only")
    try:
        fields = [(field, spec, conversion) for _, field, spec, conversion in Formatter().parse(template)]
    except ValueError as error:
        raise ValueError(f"the template {template!r} cannot be read: {error}") from None
    for field, spec, conversion in fields:
        if field is None:
            continue
        if field not in _TEMPLATE_FIELDS:
            known = ", ".join(f"{{{name}}}" for name in _TEMPLATE_FIELDS)
            raise ValueError(f"unknown field {{{field}}}; the fields are {known}")
        if conversion or (spec and field != "created"):
            raise ValueError(f"field {{{field}}} takes no format; only {{created:...}} does")
        if spec and "{" in spec:
            raise ValueError(f"the format {spec!r} of {{created}} holds another field; give each its own braces")
        if spec and not format(datetime(2026, 1, 1), spec).isprintable():  # noqa: DTZ001 - only the format is tried
            raise ValueError(f"the format {spec!r} of {{created}} gives unprintable text")


__all__ = ["Policy", "Quota", "Retention", "Route", "Source", "Target", "check_template", "parse_policy"]
