"""How much of the quota the copies of the ledger take up. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from image_pipeline.copies import Copy, State

_THERE = frozenset({State.ACTIVE, State.RETIRING})


@dataclass(slots=True)
class Occupancy:
    """Images that are there or being made, and their bytes; kept up to date row by row."""

    images: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, copies: Iterable[Copy]) -> Occupancy:
        """Return what the copies take up."""
        occupancy = cls()
        for copy in copies:
            occupancy.change(None, copy)
        return occupancy

    def change(self, before: Copy | None, after: Copy | None) -> None:
        """Count a row as it is now instead of as it was."""
        for copy, sign in ((before, -1), (after, 1)):
            if copy is not None and _takes_a_place(copy):
                self.images += sign
                self.bytes += sign * size(copy)


def size(copy: Copy) -> int:
    """Return the bytes of the copy's image: its own once known, until then those of its source; 0 if neither is."""
    return copy.storage_size or copy.source_size or 0


def _takes_a_place(copy: Copy) -> bool:
    return copy.state in _THERE or (copy.state is State.COPYING and copy.operation_id is not None)
