"""Several questions at once: which of them may be called answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p_values: Sequence[float] | NDArray[np.float64], alpha: float = 0.05) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected with family-wise error at most alpha.

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [True, False, False]
    """
    p = _check(p_values, alpha)
    order = np.argsort(p, kind="stable")
    steps = p[order] <= alpha / np.arange(len(p), 0, -1)
    rejected = np.zeros(len(p), dtype=np.bool_)
    rejected[order] = np.logical_and.accumulate(steps)
    return rejected


def benjamini_hochberg(
    p_values: Sequence[float] | NDArray[np.float64], alpha: float = 0.05
) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected: of these, a share of at most alpha is false on average.

    For views of hundreds of slices, never for a decision: any one of them may be false. Holds for
    independent and for positively dependent p-values.

    Source: Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
    [True, True, True]
    """
    p = _check(p_values, alpha)
    order = np.argsort(p, kind="stable")
    steps = p[order] <= alpha * np.arange(1, len(p) + 1) / max(len(p), 1)
    rejected = np.zeros(len(p), dtype=np.bool_)
    rejected[order] = np.logical_or.accumulate(steps[::-1])[::-1]
    return rejected


def _check(p_values: Sequence[float] | NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.isfinite(p).all() or ((p < 0) | (p > 1)).any():
        raise ValueError("p_values: must be numbers between 0 and 1 in one dimension")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: {alpha} is not between 0 and 1")
    return p
