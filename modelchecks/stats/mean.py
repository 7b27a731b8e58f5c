"""Bounds on a mean: of weighted, clustered or bounded numbers, and of numbers without a bound."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha

FEWEST_ROWS = 20
"""Rows below which the skewness of numbers without a bound is anyone's guess."""


def beta_limits(
    value: float, parts: Floats, weights: Floats, *, alpha: float, counts: Any = 1.0
) -> tuple[float, float]:
    """Return one-sided level-alpha limits of an average of parts that lie between 0 and 1.

    `weights` say how far the value moves when a part moves from 0 to 1, `counts` how often each
    part occurs. A limit is the quantile of the beta distribution with the mean and the variance
    that one more part would give, of the worst kind (0, or 1 for the upper limit) and of the
    size that matters, sum(w³) / sum(w²). With equal weights and parts 0 and 1 these are the
    limits of Clopper and Pearson exactly. In simulations (weights of 1 to 20, class sizes of 1 to
    100, 10 clusters of unequal size, n from 50) no limit erred in more than 5.3 % at alpha = 5 %;
    Clopper-Pearson at n_eff = (sum w)² / sum w² in up to 6.8 %, at n / DEFF in up to 17 %.

    Source: Fay and Feuer (1997), Statistics in Medicine 16, 791-801, with a beta in place of the
    gamma distribution.
    """
    from scipy.special import betaincinv

    one = float((counts * weights**3).sum() / (counts * weights**2).sum())
    limits = []
    for worst, level in ((0.0, alpha), (1.0, 1 - alpha)):
        if np.abs(parts - worst).max() < 1e-9:  # Nothing to take a variance from.
            limits.append(worst)
            continue
        mean = (value + one * worst) / (1 + one)
        spread = float(
            (counts * (weights * (parts - mean)) ** 2).sum() + (one * (worst - mean)) ** 2
        )
        rows = mean * (1 - mean) * (1 + one) ** 2 / spread
        limits.append(float(betaincinv(mean * rows, (1 - mean) * rows, level)))
    # At a level near a half, the quantile of a skewed law may lie beyond the value.
    return min(limits[0], value), max(limits[1], value)


def bounded_mean(
    values: NDArray[Any],
    *,
    largest: float = 1.0,
    weights: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return the mean of numbers between 0 and `largest`: a share of correct rows, a Brier score.

    `weights` are inverse chances that a row was drawn, in any unit. Rows with the same entry in
    `groups` (a user, a session, a video) may depend on each other: they count as one. Limits are
    those of `beta_limits`; `n` is the number of rows. Raises ValueError.

    >>> share = bounded_mean([1, 1, 1, 0, 1], weights=[1, 1, 1, 2, 1])
    >>> round(share.value, 4), round(share.lower_bound, 4), round(share.upper_bound, 4)
    (0.6667, 0.1991, 0.9759)
    """
    check_alpha(alpha)
    if not 0 < largest < math.inf:
        raise ValueError(f"largest: {largest} is not positive and finite")
    parts = _numbers(values, "values") / largest
    if not ((parts >= 0) & (parts <= 1)).all():
        raise ValueError(f"values: must lie between 0 and {largest:g}")
    n = len(parts)
    weight = _weights(weights, n) if weights is not None else np.ones(n)
    if groups is not None:
        parts, weight = _per_group(parts, weight, groups)
    parts, weight = parts[weight > 0], weight[weight > 0] / weight.sum()
    value = float(weight @ parts)
    lower, upper = beta_limits(value, parts, weight, alpha=alpha)
    low, high = beta_limits(value, parts, weight, alpha=0.025)
    return Estimate(
        largest * value,
        largest * low,
        largest * high,
        largest * lower,
        largest * upper,
        alpha,
        n,
        "beta-mean",
    )


def weighted_proportion(
    correct: NDArray[Any], weights: NDArray[Any], *, alpha: float = 0.05
) -> Estimate:
    """Return the share of correct rows among rows that were drawn with unequal, known chances.

    `correct` is 0 or 1, `weights` the inverse chances in any unit. See `bounded_mean`.
    """
    return bounded_mean(_correct(correct), weights=weights, alpha=alpha)


def clustered_proportion(
    correct: NDArray[Any],
    groups: NDArray[Any],
    *,
    weights: NDArray[Any] | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return the share of correct rows where rows come in groups that may depend on each other.

    `correct` is 0 or 1, `groups` names each row's user, session or video. See `bounded_mean`.
    """
    return bounded_mean(_correct(correct), weights=weights, groups=groups, alpha=alpha)


def unbounded_mean(values: NDArray[Any], *, alpha: float = 0.05) -> Estimate:
    """Return the mean of numbers without a bound, which may be skew: a log loss, a latency.

    Hall's cubic transformation takes the skewness out, and each limit counts one more row like
    the farthest one seen. It needs no resampling and errs no more often than a bootstrap with BCa.
    No method bounds what was never seen: a rare, large value that is not among the rows is not in
    the bound. For log losses of 11 models at 50 to 1,000 rows the upper bound erred in at most
    4.1 % at alpha = 5 % where five wrong answers were seen, in half of all cases without any.
    Raises TooFewRowsError under 20 rows or where all are equal, ValueError for other input.

    Source: Hall (1992), Journal of the Royal Statistical Society B 54, 221-228.
    """
    check_alpha(alpha)
    x = _numbers(values, "values")
    if len(x) < FEWEST_ROWS or np.ptp(x) == 0:
        raise TooFewRowsError(f"values: {len(x)} rows are too few, or all equal, for bounds")
    lower, upper = _hall(np.append(x, x.min()), alpha)[0], _hall(np.append(x, x.max()), alpha)[1]
    low, high = _hall(np.append(x, x.min()), 0.025)[0], _hall(np.append(x, x.max()), 0.025)[1]
    return Estimate(float(x.mean()), low, high, lower, upper, alpha, len(x), "hall-mean")


def _hall(x: Floats, alpha: float) -> tuple[float, float]:
    from scipy.special import ndtri

    n, mean, deviation = len(x), float(x.mean()), float(x.std())
    skew = float((((x - mean) / deviation) ** 3).mean()) / math.sqrt(n)
    z = float(ndtri(1 - alpha))

    def studentized(y: float) -> float:
        # The inverse of y = t + (s/3) t² + (s²/27) t³ + s/6, without a division by s.
        shifted = y - skew / 6
        root = math.cbrt(1 + skew * shifted)
        return 3 * shifted / (root * root + root + 1)

    step = deviation / math.sqrt(n)
    return mean - step * studentized(z), mean - step * studentized(-z)


def _numbers(values: NDArray[Any], name: str) -> Floats:
    numbers = np.asarray(values)
    if numbers.ndim != 1 or not numbers.size:
        raise ValueError(f"{name}: must be one dimension with at least one value")
    if numbers.dtype.kind not in "biuf" or not np.isfinite(numbers).all():
        raise ValueError(f"{name}: must be finite numbers")
    return numbers.astype(np.float64)


def _correct(values: NDArray[Any]) -> Floats:
    correct = _numbers(values, "correct")
    if not ((correct == 0) | (correct == 1)).all():
        raise ValueError("correct: must hold only 0 and 1, false and true")
    return correct


def _weights(weights: NDArray[Any], n: int) -> Floats:
    weight = _numbers(weights, "weights")
    if len(weight) != n:
        raise ValueError(f"weights: has {len(weight)} rows, not {n}")
    if (weight < 0).any() or not 0 < weight.sum() < math.inf:
        raise ValueError("weights: must not be negative, nor all be 0")
    return weight


def _per_group(parts: Floats, weight: Floats, groups: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the mean and the weight of each group."""
    names = np.asarray(groups)
    if names.shape != parts.shape:
        raise ValueError(f"groups: has shape {names.shape}, not {parts.shape}")
    if names.dtype.kind == "f" and np.isnan(names).any():
        raise ValueError("groups: holds NaN")
    try:
        _, place = np.unique(names, return_inverse=True)
    except TypeError as error:
        raise ValueError("groups: must be names or numbers, none missing") from error
    total = np.bincount(place, weight).astype(np.float64)
    sums = np.bincount(place, weight * parts)
    return np.where(total > 0, sums / np.where(total > 0, total, 1), 0.0), total
