"""The same rows clean and changed: which share of the accuracy is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha
from modelchecks.stats.mean import beta_limits

_LARGEST = 100.0


def relative_loss(clean: NDArray[Any], kept: NDArray[Any], *, alpha: float = 0.05) -> Estimate:
    """Return 1 - mean(kept) / mean(clean), the share of the accuracy that changes of rows cost.

    `clean` is whether each row was answered correctly as it is (0 or 1), `kept` the share of its
    changed copies that were (0 to 1). A limit is the ratio s at which a limit of the mean of
    `kept - s clean`, which is bounded, crosses 0 (`beta_limits`), so that rows are paired. `n` is
    the number of rows. Raises TooFewRowsError where the rows show nothing, ValueError for other
    input.

    Source: Fieller (1954), Journal of the Royal Statistical Society B 16, 175-185.

    >>> loss = relative_loss([1] * 90 + [0] * 10, [1] * 80 + [0] * 20)
    >>> round(loss.value, 4), round(loss.lower_bound, 3), round(loss.upper_bound, 3)
    (0.1111, 0.042, 0.177)
    """
    check_alpha(alpha)
    x, y = (_shares(values, name) for values, name in ((clean, "clean"), (kept, "kept")))
    if len(x) != len(y):
        raise ValueError(f"kept: has {len(y)} rows, clean has {len(x)}")
    if not ((x == 0) | (x == 1)).all():
        raise ValueError("clean: must hold only 0 and 1, false and true")
    if not x.any():
        raise TooFewRowsError("clean: no row is answered correctly, so nothing can be lost")
    weights = np.full(len(x), 1 / len(x))

    def ratio(side: int, level: float) -> float:
        def limit(s: float) -> float:
            # kept - s clean lies between -s and 1; beta_limits wants 0 to 1.
            parts = (y - s * x + s) / (1 + s)
            return beta_limits(float(parts.mean()), parts, weights, alpha=level)[side] - s / (1 + s)

        return _crossing(limit)

    lower, upper, low, high = (
        1 - ratio(side, level) for level in (alpha, 0.025) for side in (1, 0)
    )
    value = 1 - float(y.mean() / x.mean())
    return Estimate(value, low, high, lower, upper, alpha, len(x), "fieller-beta")


def _crossing(falling: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    while falling(high) > 0:
        low, high = high, 2 * high
        if high > _LARGEST:
            raise TooFewRowsError("clean: too few rows are answered correctly for bounds")
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def _shares(values: NDArray[Any], name: str) -> Floats:
    array = np.asarray(values)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: must be numbers in one dimension, at least one")
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError(f"{name}: must lie between 0 and 1")
    return array.astype(np.float64)
