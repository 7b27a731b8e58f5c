"""Familiar measures of how far two samples are apart, freed of what chance alone adds to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats


def population_stability(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the population stability index of two tables of counts, less its mean under no shift.

    Cells of both at the same places; empty in both, they do not count. (B - 1)(1/n + 1/m) is the
    mean of what B cells show by chance; half a row is added to each cell, since one that a side
    lacks would make it infinite. May be below 0, which is as good as 0.

    Source: the index is the symmetric Kullback-Leibler divergence; its null mean, Yurdakul and
    Naranjo (2020), Journal of Risk Model Validation 14, 89-100.
    """
    first, second, n, m = _shares(a, b)
    raw = float(((first - second) * np.log(first / second)).sum())
    return raw - (len(first) - 1) * (1 / n + 1 / m)


def jensen_shannon(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the Jensen-Shannon divergence in bits (0 to 1), less its mean under no shift.

    As `population_stability`, of which it is an eighth (in nats) for small shifts.
    """
    first, second, n, m = _shares(a, b)
    middle = (first + second) / 2
    raw = float((first * np.log2(first / middle) + second * np.log2(second / middle)).sum() / 2)
    return raw - (len(first) - 1) * (1 / n + 1 / m) / (8 * math.log(2))


def scaled_wasserstein(a: Floats, b: Floats) -> float | None:
    """Return how far values had to be moved on average, in standard deviations of `a`.

    What chance adds is taken out in squares: sqrt(max(W² - W0², 0)) with the null mean
    W0 = sqrt(2/pi (1/n + 1/m)) times the integral of sqrt(F(1 - F)). None where `a` is constant
    or a value is infinite: then there is no such unit.
    """
    everything = np.sort(np.concatenate([a, b]))
    if not np.isfinite(everything[[0, -1]]).all() or not a.std() > 0:
        return None
    steps = np.diff(everything)
    first, second = (
        np.searchsorted(np.sort(sample), everything[:-1], side="right") / len(sample)
        for sample in (a, b)
    )
    moved = float((np.abs(first - second) * steps).sum())
    pooled = np.arange(1, len(everything)) / len(everything)
    spread = float((np.sqrt(pooled * (1 - pooled)) * steps).sum())
    chance = math.sqrt(2 / math.pi * (1 / len(a) + 1 / len(b))) * spread
    return math.sqrt(max(moved**2 - chance**2, 0.0)) / float(a.std())


def _shares(a: NDArray[Any], b: NDArray[Any]) -> tuple[Floats, Floats, int, int]:
    used = (a > 0) | (b > 0)
    first, second = a[used] + 0.5, b[used] + 0.5
    return first / first.sum(), second / second.sum(), int(a.sum()), int(b.sum())
