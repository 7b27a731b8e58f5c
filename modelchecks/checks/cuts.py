"""Ways to cut the labelled rows of two splits into slices, and what is right in each slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.checks.labelled import Bools, LabelledRows
from modelchecks.errors import EvidenceError
from modelchecks.facets import FEATURE

MOST = 200
"""Slices of one cut; a column with more values is a measurement, or names the rows."""
Names = NDArray[Any]
Cut = tuple[Names | None, Names]
"""The slice of every row, offline and live, as a text; None where all of offline is one."""
Counts = tuple[int, int, int, int]
"""Right answers and rows of a slice, offline and live."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Which rows a variant had right, offline and live."""

    offline: Bools
    live: Bools

    def count(self, cuts: Mapping[str, Cut], *, half: int | None = None) -> dict[str, Counts]:
        """Return the counts of every slice of every cut, in all rows or a random half (0 or 1)."""
        # The rows are in random order already: every other one is a random half.
        part = slice(None) if half is None else slice(half, None, 2)
        table: dict[str, Counts] = {}
        for before, now in cuts.values():
            live = _count(now[part], self.live[part])
            if before is None:
                right = self.offline[part]
                offline = dict.fromkeys(live, (int(right.sum()), len(right)))
            else:
                offline = _count(before[part], self.offline[part])
            for name in sorted({*offline, *live}):
                table[name] = (*offline.get(name, (0, 0)), *live.get(name, (0, 0)))
        return table


def _count(names: Names, right: Bools) -> dict[str, tuple[int, int]]:
    found, places = np.unique(names, return_inverse=True)
    rows = np.bincount(places, minlength=len(found)).tolist()
    rights = np.bincount(places, right, minlength=len(found)).astype(int).tolist()
    return dict(zip(found.tolist(), zip(rights, rows, strict=True), strict=True))


def by_column(column: str, rows: LabelledRows) -> Names:
    """Return the value of a log column for each row, as `column=value`; an empty one is `none`."""
    if f"column:{column}" not in rows.evidence.rows.columns:
        raise EvidenceError(
            f"split {rows.split!r} keeps no column {column!r}: list it under its `slices:`, or, "
            "where only the live log has it, say `against: whole`"
        )
    texts = [f"{column}={shown(value)}" for value in rows.column(f"column:{column}").tolist()]
    if len(set(texts)) > MOST:
        raise EvidenceError(
            f"column {column!r} of split {rows.split!r} has {len(set(texts)):,} values, and slices "
            f"are at most {MOST}; log a coarser column"
        )
    return np.array(texts, dtype=object)


def by_class(rows: LabelledRows, names: Mapping[int, str]) -> Names:
    """Return the true class of each row."""
    return np.array([f"class {names[label]}" for label in rows.label.tolist()], dtype=object)


def by_feature(feature: str, offline: LabelledRows, live: LabelledRows, bins: int) -> Cut:
    """Return the bin of each row: bins of equal offline size, open at both ends."""
    before, now = (rows.column(f"{FEATURE}{feature}") for rows in (offline, live))
    for rows, values in ((offline, before), (live, now)):
        if not np.isfinite(values).all():
            raise EvidenceError(
                f"feature {feature!r} is not finite in rows of split {rows.split!r}"
            )
    inner = np.unique(np.quantile(before, np.arange(1, bins) / bins))
    edges = [f"{edge:.4g}" for edge in inner]
    names = np.array(
        [f"{feature} up to {edges[0]}"]
        + [f"{feature} {low} to {high}" for low, high in pairwise(edges)]
        + [f"{feature} over {edges[-1]}"],
        dtype=object,
    )
    first, second = (names[np.searchsorted(inner, values)] for values in (before, now))
    return first, second


def pairs(cuts: Mapping[str, Cut]) -> dict[str, Cut]:
    """Return the cuts by two at once: every slice of one with every slice of the other."""
    found: dict[str, Cut] = {}
    for one, other in combinations(cuts, 2):
        (before, now), (before_too, now_too) = cuts[one], cuts[other]
        both = None if before is None or before_too is None else before + " & " + before_too
        found[f"{one} & {other}"] = both, now + " & " + now_too
    return found


def shown(value: Any) -> str:
    """Return a value of a column as a text: whole numbers alike, whether empty rows made them so.

    >>> shown(3.0), shown(3), shown("A"), shown(float("nan")), shown(None)
    ('3', '3', 'A', 'none', 'none')
    """
    if value is None or value != value:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
