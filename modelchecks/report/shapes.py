"""Numbers, points, lists and maps as a result's `details` hold them; what is none is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Details = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """A number with what is known of its uncertainty."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def point(value: Any) -> Point | None:
    """Return an estimate, or anything with a `value`, as a point."""
    if not isinstance(value, Mapping):
        return None
    found = number(value.get("value"))
    if found is None:
        return None
    n = value.get("n")
    count = n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else None
    return Point(found, number(value.get("low")), number(value.get("high")), count)


def number(value: Any) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def is_map(value: Any) -> bool:
    """Return whether a value has names."""
    return isinstance(value, Mapping)


def is_list(value: Any) -> bool:
    """Return whether a value is a list and no text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def mappings(value: Any) -> Iterator[Details]:
    """Return those members of a list that have names."""
    if is_list(value):
        yield from (row for row in value if isinstance(row, Mapping))


def members(details: Details, key: str) -> list[tuple[Any, Any]]:
    """Return the (name, value) pairs under a key; none where there is no mapping."""
    found = details.get(key)
    return list(found.items()) if isinstance(found, Mapping) else []


def floats(value: Any) -> list[float]:
    """Return a list of numbers; empty if any is none."""
    found = [number(item) for item in value] if is_list(value) else []
    return [] if None in found else [item for item in found if item is not None]
