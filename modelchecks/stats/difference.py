"""The difference and the ratio of two estimates, recovered from the limits that each has alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate

Limits = tuple[Any, Any]


def mover(
    first: Any, first_limits: Limits, second: Any, second_limits: Limits, correlation: Any = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return limits of first - second of the level that the two pairs of limits have.

    Each argument is a number or an array; they broadcast. Limits are (lower, upper). The method
    of variance estimates recovery: what stands between an estimate and its limit is taken for
    that limit's spread, so skewed limits stay skewed.

    Source: Zou and Donner (2008), Statistics in Medicine 27, 1693-1702; with a correlation,
    Newcombe (1998), Statistics in Medicine 17, 2635-2650, method 10.
    """
    p, (l1, u1) = np.asarray(first, np.float64), first_limits
    q, (l2, u2) = np.asarray(second, np.float64), second_limits

    def spread(one: Any, other: Any) -> NDArray[np.float64]:
        # sqrt(a² - 2rab + b²), written so that rounding never takes it below zero.
        across = np.sqrt(np.maximum(1 - np.square(correlation), 0))
        return np.asarray(np.hypot(one - correlation * other, across * other))

    return p - q - spread(p - l1, u2 - q), p - q + spread(u1 - p, q - l2)


def metric_drop(offline: Estimate, live: Estimate, *, higher_is_better: bool = True) -> Estimate:
    """Return how much a metric worsened between two independent samples.

    That is offline - live, or live - offline where a lower value is better (log loss, Brier), so
    a positive drop is always worse. The decision bounds come from the decision bounds of the two
    estimates, which must be of one level alpha; the 95 % interval from their 95 % intervals. `n`
    is that of `live`. Raises ValueError.

    Source: MOVER, Zou and Donner (2008), Statistics in Medicine 27, 1693-1702.
    """
    alpha = _same_alpha(offline, live)
    first, second = (offline, live) if higher_is_better else (live, offline)
    lower, upper = mover(first.value, _bounds(first), second.value, _bounds(second))
    low, high = mover(first.value, _shown(first), second.value, _shown(second))
    return Estimate(
        first.value - second.value,
        float(low),
        float(high),
        float(lower),
        float(upper),
        alpha,
        live.n,
        "mover",
    )


def relative_drop(offline: Estimate, live: Estimate) -> Estimate:
    """Return the share 1 - live / offline of a metric that was lost, two independent samples.

    The metric is one where higher is better and 0 is nothing: an accuracy, an F1, an AUROC. Its
    upper bound is within r exactly where MOVER shows live - (1 - r) offline to be no less than
    0, and so on for the others; `n` is that of `live`. Raises ValueError where `offline` is not
    shown to be above 0.

    Source: Donner and Zou (2012), Statistical Methods in Medical Research 21, 347-359.
    """
    alpha = _same_alpha(offline, live)
    if min(live.low, live.lower_bound) < 0:
        raise ValueError("live: has limits below 0, so no share of it is lost")
    if min(offline.low, offline.lower_bound) <= 0:
        raise ValueError("offline: is not shown to be above 0, so no share of it is defined")
    least, most = _ratio(live.value, _bounds(live), offline.value, _bounds(offline))
    low, high = _ratio(live.value, _shown(live), offline.value, _shown(offline))
    return Estimate(
        1 - live.value / offline.value,
        1 - high,
        1 - low,
        1 - most,
        1 - least,
        alpha,
        live.n,
        "mover-ratio",
    )


def _ratio(
    top: float, top_limits: Limits, under: float, under_limits: Limits
) -> tuple[float, float]:
    """Return limits of top / under: the s at which a MOVER limit of s * under - top is 0."""
    (l1, u1), (l2, u2) = top_limits, under_limits

    def root(edge: float, other: float) -> float:
        # The discriminant of a quadratic that has a root on either side of top / under.
        return math.sqrt(
            max((top * under) ** 2 - edge * (2 * top - edge) * other * (2 * under - other), 0.0)
        )

    # Written without a difference of two near numbers, and right where top and its limit are 0.
    below = top * under + root(l1, u2)
    least = l1 * (2 * top - l1) / below if below > 0 else 0.0
    return least, (top * under + root(u1, l2)) / (l2 * (2 * under - l2))


def _same_alpha(offline: Estimate, live: Estimate) -> float:
    if offline.alpha != live.alpha:
        raise ValueError(f"alpha: offline is of level {offline.alpha}, live of {live.alpha}")
    return offline.alpha


def _bounds(estimate: Estimate) -> tuple[float, float]:
    return estimate.lower_bound, estimate.upper_bound


def _shown(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high
