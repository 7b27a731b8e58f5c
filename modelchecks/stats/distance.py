"""How far two distributions are apart, with bounds that make the decision the same at every n."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import check_alpha, check_count, numbers

VARIANCE_FLOOR = 0.09
"""Under F(1 - F) at the point of the largest difference, which chance picks."""


def kolmogorov(
    reference: NDArray[Any], current: NDArray[Any], *, alpha: float = 0.05, features: int = 1
) -> Estimate:
    """Return the Kolmogorov distance D of two samples of numbers, ties allowed.

    The upper bound is normal at the point of the largest difference; the lower one holds for
    `features` such questions at once (Dvoretzky-Kiefer-Wolfowitz with Massart's constant, two
    sided). `n` is the size of `current`. Raises ValueError that names the argument.
    """
    a, b = _sample(reference, "reference"), _sample(current, "current")
    check_alpha(alpha)
    check_count(features, "features")
    a, b = np.sort(a), np.sort(b)
    points = np.concatenate([a, b])
    f = np.searchsorted(a, points, side="right") / len(a)
    g = np.searchsorted(b, points, side="right") / len(b)
    at = int(np.argmax(np.abs(f - g)))
    return bounded_distance(
        float(abs(f[at] - g[at])),
        float(f[at]),
        float(g[at]),
        len(a),
        len(b),
        alpha,
        math.log(2 * features / alpha),
        math.log(2 / 0.025),
        "kolmogorov",
    )


def kuiper(
    reference: NDArray[Any],
    current: NDArray[Any],
    *,
    period: float,
    alpha: float = 0.05,
    features: int = 1,
) -> Estimate:
    """Return the largest difference of two shares on any arc of a circle: an hour, an angle.

    The circular counterpart of `kolmogorov`: where the day is cut does not matter, nor which way
    it turns. `period` is what comes round to 0: 24, 360, 2 pi. The upper bound is normal at the
    arc that differs most; the lower one holds for all arcs at once, by the limit law of Kuiper's
    statistic, and for `features` such questions. Infinite values have no place on a circle and
    are refused. `n` is the size of `current`. Raises ValueError that names the argument.

    Source: Kuiper (1960), Indagationes Mathematicae 63, 38-47; where the two distributions
    differ, every arc varies less than under their mixture, so the law is on the safe side.
    """
    if not 0 < period < math.inf:
        raise ValueError(f"period: {period} is not positive and finite")
    a, b = _sample(reference, "reference"), _sample(current, "current")
    for values, name in ((a, "reference"), (b, "current")):
        if np.isinf(values).any():
            raise ValueError(f"{name}: holds an infinite value, which is nowhere on a circle")
    check_alpha(alpha)
    check_count(features, "features")
    a, b = np.sort(a % period), np.sort(b % period)
    points = np.sort(np.concatenate([a, b]))
    f, g = (
        np.append(0.0, np.searchsorted(sample, points, side="right") / len(sample))
        for sample in (a, b)
    )
    apart = f - g
    top, bottom = int(apart.argmax()), int(apart.argmin())
    # An arc or the rest of the circle: both differ alike, and either has the same spread.
    return bounded_distance(
        float(apart[top] - apart[bottom]),
        float(abs(f[top] - f[bottom])),
        float(abs(g[top] - g[bottom])),
        len(a),
        len(b),
        alpha,
        2 * _kuiper_quantile(alpha / features) ** 2,
        2 * _kuiper_quantile(0.025) ** 2,
        "kuiper",
    )


def total_variation(
    reference_counts: NDArray[Any],
    current_counts: NDArray[Any],
    *,
    alpha: float = 0.05,
    features: int = 1,
) -> Estimate:
    """Return the total variation distance of two tables of counts over the same categories.

    The upper bound is normal at the set of categories that differs most; the lower one holds for
    all sets at once (Weissman et al. 2003, Hoeffding's inequality per set) and for `features`
    such questions. `n` is the total of `current_counts`. Raises ValueError.
    """
    a, b = _counts(reference_counts, "reference_counts"), _counts(current_counts, "current_counts")
    if len(a) != len(b):
        raise ValueError(f"current_counts: has {len(b)} categories, reference_counts has {len(a)}")
    check_alpha(alpha)
    check_count(features, "features")
    n, m = int(a.sum()), int(b.sum())
    more = a / n > b / m
    f, g = float(a[more].sum() / n), float(b[more].sum() / m)
    # Sets and their complements are one question each: 2^C - 2 of them, both signs included.
    used = max(int(((a > 0) | (b > 0)).sum()), 2)
    sets = used * math.log(2) + math.log1p(-(2.0 ** (1 - used)))
    return bounded_distance(
        max(f - g, 0.0),
        f,
        g,
        n,
        m,
        alpha,
        sets + math.log(features / alpha),
        sets + math.log(1 / 0.025),
        "total-variation",
    )


def bounded_distance(
    value: float,
    f: float,
    g: float,
    n: int,
    m: int,
    alpha: float,
    log_lower: float,
    log_low: float,
    method: str,
) -> Estimate:
    """Return a distance with bounds: `f` and `g` are the shares of the set that differs most.

    `n` rows of the reference and `m` current ones; the lower bounds lie sqrt(log / 2 (1/n + 1/m))
    below the value, for the decision and for reading.
    """
    from scipy.special import ndtri

    spread = math.sqrt(max(f * (1 - f), VARIANCE_FLOOR) / n + max(g * (1 - g), VARIANCE_FLOOR) / m)
    scale = math.sqrt(0.5 * (1 / n + 1 / m))
    return Estimate(
        value,
        max(value - scale * math.sqrt(log_low), 0.0),
        min(value + float(ndtri(0.975)) * spread, 1.0),
        max(value - scale * math.sqrt(log_lower), 0.0),
        min(value + float(ndtri(1 - alpha)) * spread, 1.0),
        alpha,
        m,
        method,
    )


def _kuiper_quantile(alpha: float) -> float:
    """Return the x that the range of a Brownian bridge exceeds with probability alpha."""
    from scipy.optimize import brentq

    j = np.arange(1, 101)

    def beyond(x: float) -> float:
        squares = (j * x) ** 2
        return float((2 * (4 * squares - 1) * np.exp(-2 * squares)).sum()) - alpha

    return float(brentq(beyond, 0.4, 10.0))


def _sample(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    sample = numbers(values, name)
    if sample.ndim != 1 or not sample.size:
        raise ValueError(f"{name}: must be one dimension with at least one value")
    if np.isnan(sample).any():
        raise ValueError(f"{name}: holds NaN")
    return sample


def _counts(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    counts = numbers(values, name)
    if counts.ndim != 1 or not ((counts >= 0) & (counts == np.floor(counts))).all():
        raise ValueError(f"{name}: must be whole numbers in one dimension, none negative or NaN")
    if not 0 < counts.sum() < np.inf:
        raise ValueError(f"{name}: counts nothing, or without end")
    return counts
