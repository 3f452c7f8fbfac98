"""List calls: filter, order and pages, for compute images and for desktop images."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from local.emulator.fields import snake
from local.emulator.filters import parse_filter
from local.emulator.status import bad_field

Record = TypeVar("Record")
DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
_MAX_OPEN_LISTINGS = 1000


@dataclass(frozen=True)
class Query:
    """The raw query parameters of a List call."""

    folder_id: str
    page_size: str = ""
    page_token: str = ""
    filter: str = ""
    order_by: str = ""


class Listing:
    """Pages over one kind of record.

    A page token is opaque and belongs to the query it came from. It stands for what was left of the listing when its
    page was served: what is deleted meanwhile is left out, what is created meanwhile does not show.
    """

    def __init__(self, *, filterable: Sequence[str], orderable: Sequence[str], default_order: str) -> None:
        self._filterable = filterable
        self._orderable = orderable
        self._default_order = default_order
        self._remaining: dict[str, tuple[Query, list[str]]] = {}

    def page(self, query: Query, records: Mapping[str, Record]) -> tuple[list[Record], str]:
        """Return one page of `records` (given by id) and the token of the next page, empty on the last one.

        Raises:
            Refusal: INVALID_ARGUMENT for a parameter out of its limits.
        """
        size = page_size(query.page_size)
        for field, limit in (("page_token", 100), ("filter", 1000), ("order_by", 100)):
            if len(value := getattr(query, field)) > limit:
                raise bad_field(field, f"must be at most {limit} characters, has {len(value)}")
        identity = Query(query.folder_id, filter=query.filter, order_by=query.order_by)
        if query.page_token:
            owner, left = self._remaining.get(query.page_token, (None, []))
            if owner != identity:
                raise bad_field("page_token", "is not a token of this listing")
            ids = [id_ for id_ in left if id_ in records]
        else:
            ids = self._select(query, records)
        return [records[id_] for id_ in ids[:size]], self._remember(identity, ids[size:])

    def _select(self, query: Query, records: Mapping[str, Record]) -> list[str]:
        conditions = parse_filter(query.filter, self._filterable)
        field, descending = self._order(query.order_by)
        found = [id_ for id_, record in records.items() if all(condition.holds(record) for condition in conditions)]
        return sorted(found, key=lambda id_: (getattr(records[id_], field), id_), reverse=descending)

    def _order(self, order_by: str) -> tuple[str, bool]:
        field, _, direction = (order_by.strip() or self._default_order).partition(" ")
        field, direction = snake(field.rpartition(".")[2]), direction.strip().lower()
        if field not in self._orderable or direction not in {"", "asc", "desc"}:
            raise bad_field(
                "order_by", f"{order_by!r} is not one of {', '.join(self._orderable)}, optionally with asc or desc"
            )
        return field, direction == "desc"

    def _remember(self, identity: Query, ids: list[str]) -> str:
        if not ids:
            return ""
        token = secrets.token_urlsafe(24)
        self._remaining[token] = (identity, ids)
        if len(self._remaining) > _MAX_OPEN_LISTINGS:
            del self._remaining[next(iter(self._remaining))]
        return token


def page_size(text: str) -> int:
    """Read a pageSize parameter: 0-1000, where 0 and absent mean 100; raises Refusal.

    >>> page_size("0"), page_size("7")
    (100, 7)
    """
    if text and not (text.isascii() and text.isdigit()):
        raise bad_field("page_size", f"must be a number, is {text!r}")
    size = int(text or "0")
    if size > MAX_PAGE_SIZE:
        raise bad_field("page_size", f"must be 0-{MAX_PAGE_SIZE}, is {size}")
    return size or DEFAULT_PAGE_SIZE
