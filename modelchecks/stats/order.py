"""Quantiles with exact limits, and how heavy a tail is: for numbers whose mean says little."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha

_FEWEST = 100


def quantile(values: NDArray[Any], q: float, *, alpha: float = 0.05) -> Estimate:
    """Return the q-quantile of independent numbers, whatever their law.

    Each limit is one of the sorted values: how many lie below the quantile is binomial. So the
    limits err in at most alpha for every law, also one without a mean. Raises TooFewRowsError where
    the rows are too few for a limit on either side, ValueError for other input.

    Source: Thompson (1936), Annals of Mathematical Statistics 7, 122-128; David and Nagaraja
    (2003), Order Statistics, section 7.1.

    >>> median = quantile(range(1, 101), 0.5)
    >>> median.value, median.lower_bound, median.upper_bound
    (50.5, 42.0, 59.0)
    """
    check_alpha(alpha)
    if not 0 < q < 1:
        raise ValueError(f"q: {q} is not between 0 and 1")
    x = np.sort(_finite(values))
    lower, upper = _limits(x, q, alpha)
    low, high = _limits(x, q, 0.025)
    value = float(np.quantile(x, q))
    return Estimate(value, low, high, lower, upper, alpha, len(x), "order-statistics")


def _limits(x: Floats, q: float, alpha: float) -> tuple[float, float]:
    from scipy.special import bdtr

    n = len(x)
    below = bdtr(np.arange(n), n, q)
    """P(at most k of n values lie below the quantile), for k = 0 to n - 1."""
    # The (k+1)-th value is a lower limit where P(at most k) <= alpha, an upper one where it is
    # >= 1 - alpha. With ties only the inequalities get stricter.
    under, over = np.flatnonzero(below <= alpha), np.flatnonzero(below >= 1 - alpha)
    if not len(under) or not len(over):
        least = 1
        while max(q**least, (1 - q) ** least) > alpha:
            least += 1
        raise TooFewRowsError(
            f"values: {n} rows are too few for bounds on the {100 * q:g} % quantile; at least "
            f"{least} are needed"
        )
    return float(x[under[-1]]), float(x[over[0]])


def tail_index(values: NDArray[Any]) -> float:
    """Return how heavy the tails of numbers are: P(|X| > x) falls like x to the minus this.

    Below 2 there is no variance, below 1 no mean; a normal or exponential tail has no such power
    and comes out large. The smaller of Hill's estimates from the largest 5 % and the largest 1 %,
    each at least 25 values: a heavy tail may begin late. Infinity where the largest are all equal.
    Raises TooFewRowsError under 100 rows, ValueError for other input.

    Source: Hill (1975), Annals of Statistics 3, 1163-1174.
    """
    x = np.sort(np.abs(_finite(values)))
    if len(x) < _FEWEST:
        raise TooFewRowsError(f"values: {len(x)} rows are too few to see a tail")
    found = []
    for share in (20, 100):
        k = max(25, len(x) // share)
        start = float(x[-k - 1])
        logs = np.log(x[-k:] / start) if start > 0 else np.zeros(1)
        found.append(1 / float(logs.mean()) if logs.any() else float("inf"))
    return min(found)


def _finite(values: NDArray[Any]) -> Floats:
    x = np.asarray(values)
    if x.ndim != 1 or not x.size or x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise ValueError("values: must be finite numbers in one dimension, at least one")
    return x.astype(np.float64)
