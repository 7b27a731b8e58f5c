"""Drops of many groups of rows: does each stay within the margin, and which do not?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.difference import mover
from modelchecks.stats.estimate import Estimate, TooFewRowsError, Verdict, decide
from modelchecks.stats.interval import (
    check_alpha,
    check_count,
    clopper_pearson,
    drop_p_values,
    proportion_drop,
)
from modelchecks.stats.multiplicity import holm

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WorstGroup:
    """What is shown about the drops of all groups, in the given order.

    `status` is failed where any group is, passed where all are, else inconclusive. `drops` has
    None for a group without rows, `p_values` a 1 for one that is too small to be judged. `worst`
    is the largest drop among the groups that were judged and `worst_group` its place:
    `decide(worst, margin)` is their status.
    """

    status: Verdict
    statuses: tuple[Verdict, ...]
    drops: tuple[Estimate | None, ...]
    p_values: tuple[float, ...]
    worst: Estimate
    worst_group: int


def worst_group(
    offline_correct: NDArray[Any],
    offline_n: NDArray[Any],
    live_correct: NDArray[Any],
    live_n: NDArray[Any],
    *,
    margin: float,
    minimum: int = 30,
    alpha: float = 0.05,
) -> WorstGroup:
    """Return whether the drop of every group is within the margin, and which groups' are not.

    Each argument holds a count for each group. passed: the group's upper bound of level alpha is
    within the margin; all groups passing is wrong with probability at most alpha, uncorrected
    (an intersection-union test). failed: by Holm on the one-sided p-values, so any false failure
    has probability at most alpha. Groups with fewer live rows than `minimum`, or without offline
    rows, are inconclusive and count for no correction. Raises TooFewRowsError where no group is
    large enough, ValueError for other input.

    The lower bounds of `worst` are Bonferroni's over the groups, the upper ones need none.

    Source: Berger (1982), Technometrics 24, 295-300; Holm (1979).
    """
    names = ("offline_correct", "offline_n", "live_correct", "live_n")
    given = zip(names, (offline_correct, offline_n, live_correct, live_n), strict=True)
    x1, n1, x2, n2 = (_counts(values, name) for name, values in given)
    for name, values in zip(names[1:], (n1, x2, n2), strict=True):
        if len(values) != len(x1):
            raise ValueError(f"{name}: has {len(values)} groups, offline_correct has {len(x1)}")
    for name, correct, n in (("offline_correct", x1, n1), ("live_correct", x2, n2)):
        if (correct > n).any():
            raise ValueError(f"{name}: has a group with more correct rows than rows")
    if not math.isfinite(margin):
        raise ValueError(f"margin: {margin} is not a finite number")
    check_count(minimum, "minimum")
    check_alpha(alpha)
    judged = np.flatnonzero((n1 > 0) & (n2 >= minimum))
    if not len(judged):
        raise TooFewRowsError(f"live_n: no group has {minimum} live rows and any offline row")
    groups = list(zip(x1.tolist(), n1.tolist(), x2.tolist(), n2.tolist(), strict=True))
    drops = [
        proportion_drop(*group, alpha=alpha) if group[1] and group[3] else None for group in groups
    ]
    p_values = np.ones(len(groups))
    p_values[judged] = drop_p_values(x1[judged], n1[judged], x2[judged], n2[judged], margin)
    failed = holm(p_values[judged], alpha)
    statuses: list[Verdict] = ["inconclusive"] * len(groups)
    for at, beyond in zip(judged, failed, strict=True):
        drop = drops[at]
        if beyond:
            statuses[at] = "failed"
        elif drop is not None and decide(drop, margin) == "passed":
            statuses[at] = "passed"
    worst, place = _worst(x1[judged], n1[judged], x2[judged], n2[judged], alpha)
    return WorstGroup(
        _together(statuses),
        tuple(statuses),
        tuple(drops),
        tuple(p_values.tolist()),
        worst,
        int(judged[place]),
    )


def _worst(x1: Counts, n1: Counts, x2: Counts, n2: Counts, alpha: float) -> tuple[Estimate, int]:
    """Return the largest drop with bounds that hold for it, and its place."""
    p, q = x1 / n1, x2 / n2

    def limits(level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        first = clopper_pearson(x1, n1, alpha=level)
        return mover(p, first, q, clopper_pearson(x2, n2, alpha=level))

    groups, place = len(p), int(np.argmax(p - q))
    return Estimate(
        float((p - q)[place]),
        float(limits(0.025 / groups)[0].max()),
        float(limits(0.025)[1].max()),
        float(limits(alpha / groups)[0].max()),
        float(limits(alpha)[1].max()),
        alpha,
        int(n2[place]),
        "worst-group-mover-cp",
    ), place


def _together(statuses: list[Verdict]) -> Verdict:
    if "failed" in statuses:
        return "failed"
    return "passed" if all(status == "passed" for status in statuses) else "inconclusive"


def _counts(values: NDArray[Any], name: str) -> Counts:
    counts = np.asarray(values)
    if counts.ndim != 1 or not counts.size:
        raise ValueError(f"{name}: must be one dimension with at least one group")
    if (
        counts.dtype.kind not in "iuf"
        or not ((counts >= 0) & (counts < np.inf) & (counts == np.floor(counts))).all()
    ):
        raise ValueError(f"{name}: must hold whole numbers, none negative or NaN")
    return counts.astype(np.int64)
