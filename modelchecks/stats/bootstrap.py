"""Bounds by resampling: bias-corrected and accelerated, for any function of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha, check_count
from modelchecks.stats.mean import FEWEST_ROWS

FEWEST_WRONG = 5
"""Wrong answers below which resampling the rows says nothing: those that carry it are not there."""
_LEFT_OUT = 200
"""Groups of rows left out in turn for the acceleration; more cost time and change nothing."""


def bca_limits(
    value: float, resampled: Floats, left_out: Floats, levels: Floats, *, counts: Any = 1.0
) -> Floats:
    """Return the quantiles of the resampled values that are the limits at these levels.

    `left_out` are the values without one row, or without one of several equal groups of rows,
    `counts` how often each occurs. Raises TooFewRowsError where all resampled values are equal.

    Source: Efron (1987), Journal of the American Statistical Association 82, 171-185.
    """
    from scipy.special import ndtr, ndtri

    if resampled.min() == resampled.max():
        raise TooFewRowsError("all resamples are equal: the rows are too few or too much alike")
    below = float(((resampled < value).mean() + (resampled <= value).mean()) / 2)
    # Beyond what so many resamples can tell, the shift would be infinite.
    edge = 0.5 / len(resampled)
    bias = float(ndtri(min(max(below, edge), 1 - edge)))
    counts = np.broadcast_to(counts, left_out.shape)
    pull = (counts * left_out).sum() / counts.sum() - left_out
    spread = float((counts * pull**2).sum())
    bend = float((counts * pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + ndtri(levels)
    return np.quantile(resampled, ndtr(bias + shifted / (1 - bend * shifted)))


def four_levels(alpha: float) -> Floats:
    """Return the levels of low, high, lower_bound and upper_bound."""
    return np.array([0.025, 0.975, alpha, 1 - alpha])


def bootstrap_metric(
    function: Callable[..., float],
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    *,
    weights: NDArray[Any] | None = None,
    alpha: float = 0.05,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return a metric of the user's own with bounds: any function of the rows' numpy arrays.

    `function(labels, probabilities)`, or `function(labels, probabilities, weights)` where there
    are weights, returns a number. The first dimension of every array is the rows, which are
    independent. It is called `resamples` + 200 times. Where `labels` are classes and
    `probabilities` theirs, at least five answers must be wrong and five right: resampling does
    not show what was not seen. Raises TooFewRowsError then and under 20 rows, ValueError for
    other input and where the function returns no finite number.
    """
    check_alpha(alpha)
    check_count(resamples, "resamples", least=100)
    rows = _rows(labels, probabilities, weights)
    n = len(rows[0])
    if n < FEWEST_ROWS:
        raise TooFewRowsError(f"labels: {n} rows are too few for bounds")
    _check_wrong(rows[0], rows[1])
    draw = np.random.default_rng(seed)

    def measured(chosen: NDArray[np.intp]) -> float:
        found = float(function(*(column[chosen] for column in rows)))
        if not np.isfinite(found):
            raise ValueError(f"function: returned {found}, which is no finite number")
        return found

    everything = np.arange(n)
    value = measured(everything)
    resampled = np.array([measured(draw.integers(0, n, n)) for _ in range(resamples)])
    parts = np.array_split(draw.permutation(n), min(n, _LEFT_OUT))
    left_out = np.array([measured(np.delete(everything, part)) for part in parts])
    low, high, lower, upper = bca_limits(value, resampled, left_out, four_levels(alpha)).tolist()
    return Estimate(value, low, high, lower, upper, alpha, n, "bca-rows")


def blocks(total: int, width: int, cells: int = 4_000_000) -> Iterator[int]:
    """Yield sizes that add up to `total`, such that `width` numbers for each stay few."""
    at_once = max(1, cells // max(width, 1))
    for start in range(0, total, at_once):
        yield min(at_once, total - start)


def _rows(
    labels: NDArray[Any], probabilities: NDArray[Any], weights: NDArray[Any] | None
) -> list[NDArray[Any]]:
    given = {"labels": labels, "probabilities": probabilities}
    if weights is not None:
        given["weights"] = weights
    rows = [np.asarray(column) for column in given.values()]
    for name, column in zip(given, rows, strict=True):
        if not column.ndim or not column.size:
            raise ValueError(f"{name}: must be an array with at least one row")
        if len(column) != len(rows[0]):
            raise ValueError(f"{name}: has {len(column)} rows, labels has {len(rows[0])}")
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ValueError(f"{name}: must be finite numbers")
    return rows


def _check_wrong(labels: NDArray[Any], probabilities: NDArray[Any]) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "biu" or probabilities.dtype.kind != "f":
        return
    if probabilities.ndim == 1:
        answers: NDArray[Any] = probabilities >= 0.5
    elif probabilities.ndim == 2:
        answers = probabilities.argmax(1)
    else:
        return
    wrong = int((answers != labels).sum())
    if min(wrong, len(labels) - wrong) < FEWEST_WRONG:
        raise TooFewRowsError(
            f"labels: {wrong} of {len(labels)} answers are wrong; "
            f"{FEWEST_WRONG} wrong and {FEWEST_WRONG} right ones are needed for bounds"
        )
