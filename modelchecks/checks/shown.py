"""What a check shows beside its decision, from what it has at hand: `details` for the reports.

The shapes are those of `report.details`. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.check import Outcome, View
from modelchecks.errors import EvidenceError
from modelchecks.stats.estimate import Estimate

MOST_CLASSES, MOST_PAIRS = 50, 100
"""How many classes, and pairs of classes, a record holds; those that changed most."""


BINS = 30


def by_class(view: View, offline: str, live: str) -> dict[str, Any]:
    """Return `per_class`, `confusions` and `classes` of the view's variant.

    A class without rows on one side is left out. A split without predictions leaves nothing, and so
    does one whose rows are weighted or come in groups: these are plain counts.
    """
    try:
        if any(view.split(name).drawn for name in (offline, live)):
            return {}
        before, after = (view.split(name).confusion(str(view.variant)) for name in (offline, live))
    except EvidenceError:
        return {}
    sizes = [_rows(table) for table in (before, after)]
    labels = sorted(set(sizes[0]) & set(sizes[1]))
    classes = [_class(view, label, (before, after), sizes) for label in labels]
    pairs: list[dict[str, Any]] = [
        {
            "label": view.class_name(label),
            "predicted": view.class_name(predicted),
            "offline": before.get((label, predicted), 0) / sizes[0][label],
            "live": after.get((label, predicted), 0) / sizes[1][label],
        }
        for label, predicted in sorted({*before, *after})
        if label in labels
    ]
    classes.sort(key=lambda row: -row["drop"])
    pairs.sort(key=lambda row: -abs(row["live"] - row["offline"]))
    named = sorted({label for pair in (*before, *after) for label in pair})
    return {
        "per_class": classes[:MOST_CLASSES],
        "confusions": pairs[:MOST_PAIRS],
        "classes": [view.class_name(label) for label in named],
    }


def of_splits(outcome: Outcome, reference: str, current: str, **details: Any) -> Outcome:
    """Return the outcome with the names of the splits that it compares, and further details."""
    named = {"splits": {"reference": reference, "current": current}}
    return replace(outcome, details={**outcome.details, **named, **details})


def histogram(reference: NDArray[Any], current: NDArray[Any]) -> dict[str, list[float]]:
    """Return both columns' shares in bins of equal width over where nearly all values are.

    What lies beyond the central 99.8 % counts in the outermost bins.
    """
    both = np.concatenate([np.quantile(c, [0.001, 0.999]) for c in (reference, current)])
    low, high = float(both.min()), float(both.max())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    shares = [
        (np.histogram(np.clip(column, low, high), edges)[0] / len(column)).tolist()
        for column in (reference, current)
    ]
    return {"edges": edges.tolist(), "reference": shares[0], "current": shares[1]}


def _rows(table: dict[tuple[int, int], int]) -> dict[int, int]:
    """Return the number of rows of each true class."""
    found: dict[int, int] = {}
    for (label, _), count in table.items():
        found[label] = found.get(label, 0) + count
    return found


def _class(
    view: View,
    label: int,
    tables: tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]],
    sizes: list[dict[int, int]],
) -> dict[str, Any]:
    right = [table.get((label, label), 0) for table in tables]
    n = [size[label] for size in sizes]
    drop = stats.proportion_drop(right[0], n[0], right[1], n[1])
    sides = [stats.proportion(x, rows) for x, rows in zip(right, n, strict=True)]
    offline, live = (
        {"value": side.value, "low": side.low, "high": side.high, "n": side.n} for side in sides
    )
    return {
        "name": view.class_name(label),
        "n": n[1],
        "drop": drop.value,
        "low": drop.low,
        "high": drop.high,
        "offline": offline,
        "live": live,
    }


def before_after(images: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return `counterexamples` from pictures that come in pairs, the image as it is first."""
    return [
        {
            "caption": f"{before['caption']}; {after['caption']}",
            "before": before["png"],
            "after": after["png"],
        }
        for before, after in zip(images[::2], images[1::2], strict=True)
    ]


def on_curve(severity: float, found: Estimate) -> dict[str, float]:
    """Return a point of `curves`."""
    return {
        "severity": severity,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
    }
