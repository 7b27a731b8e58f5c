"""Several runs of one recipe: how far they scatter, and whether a gain is more than that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha

FEWEST_RUNS = 3
"""Runs below which a spread is anyone's guess."""
_MOST_RUNS = 1000


def run_spread(
    accuracies: NDArray[Any], *, groups: NDArray[Any] | None = None, alpha: float = 0.05
) -> Estimate:
    """Return the standard deviation of the accuracies of runs that differ by chance alone.

    With `groups` (one entry per run) it is that within a group, pooled. The limits are those of
    chi-squared, which take the accuracies of runs for normal. `n` counts runs. Raises
    TooFewRowsError under three runs, or with no two in one group; ValueError for other input.

    Source: Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks,
    MLSys; Cochran (1934) for the law.

    >>> spread = run_spread([0.90, 0.91, 0.92, 0.91, 0.90])
    >>> round(spread.value, 5), round(spread.lower_bound, 5), round(spread.upper_bound, 5)
    (0.00837, 0.00543, 0.01985)
    """
    check_alpha(alpha)
    runs = _runs(accuracies)
    squares, freedom = _within(runs, groups)
    value = math.sqrt(squares / freedom)
    lower, upper = _limits(squares, freedom, alpha)
    low, high = _limits(squares, freedom, 0.025)
    return Estimate(value, low, high, lower, upper, alpha, len(runs), "chi-squared")


def runs_needed(spread: float, largest: float, *, alpha: float = 0.05) -> int | None:
    """Return how many runs would show a spread of this size to be within `largest`, or None."""
    from scipy.special import chdtri

    if not 0 <= spread < largest:
        return None
    for runs in range(FEWEST_RUNS, _MOST_RUNS):
        freedom = runs - 1
        if spread * math.sqrt(freedom / chdtri(freedom, 1 - alpha)) <= largest:
            return runs
    return None


def gain_over_spread(
    gain: float,
    spread: Estimate,
    other: Estimate | None = None,
    *,
    groups: tuple[int, int] = (1, 1),
    alpha: float = 0.05,
) -> float:
    """Return the gain that one run must show over another to be more than chance; compare `gain`.

    The difference of two runs scatters with the root of the sum of both variances (`other` is
    taken to scatter like `spread` where it is None). `groups` says within how many groups each
    spread was taken: each costs it a degree of freedom. The threshold is the one-sided t quantile
    of that, so of two equal recipes a gain is claimed in at most alpha of all pairs of runs.
    Raises ValueError where `gain` is not finite.
    """
    from scipy.special import stdtrit

    check_alpha(alpha)
    if not math.isfinite(gain):
        raise ValueError(f"gain: {gain} is not a finite number")
    second = spread if other is None else other
    variances = (spread.value**2, second.value**2)
    total = sum(variances)
    if total == 0:
        return 0.0
    # Welch and Satterthwaite; one spread that stands for both has only its own degrees.
    own, its = (s.n - count for s, count in zip((spread, second), groups, strict=True))
    if other is None:
        freedom = float(own)
    else:
        freedom = total**2 / (variances[0] ** 2 / own + variances[1] ** 2 / its)
    return float(stdtrit(freedom, 1 - alpha)) * math.sqrt(total)


def _within(runs: Floats, groups: NDArray[Any] | None) -> tuple[float, int]:
    """Return the sum of squares around the groups' means, and its degrees of freedom."""
    names = np.zeros(len(runs), np.int64) if groups is None else np.asarray(groups)
    if len(names) != len(runs):
        raise ValueError(f"groups: has {len(names)} entries for {len(runs)} runs")
    _, place = np.unique(names, return_inverse=True)
    sizes = np.bincount(place)
    means = np.bincount(place, runs) / sizes
    freedom = len(runs) - len(sizes)
    if len(runs) < FEWEST_RUNS or freedom < FEWEST_RUNS - 1:
        raise TooFewRowsError(
            f"accuracies: {len(runs)} runs in {len(sizes)} groups show no spread; "
            f"{FEWEST_RUNS} that differ by chance alone are the least"
        )
    return float(np.square(runs - means[place]).sum()), freedom


def _limits(squares: float, freedom: int, alpha: float) -> tuple[float, float]:
    from scipy.special import chdtri

    return (
        math.sqrt(squares / chdtri(freedom, alpha)),
        math.sqrt(squares / chdtri(freedom, 1 - alpha)),
    )


def _runs(accuracies: NDArray[Any]) -> Floats:
    runs = np.asarray(accuracies)
    if runs.ndim != 1 or runs.dtype.kind not in "biuf":
        raise ValueError("accuracies: must be numbers in one dimension")
    if not ((runs >= 0) & (runs <= 1)).all():
        raise ValueError("accuracies: must lie between 0 and 1")
    return runs.astype(np.float64)
