"""Bounds on one proportion, and on the difference of two independent ones."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.difference import mover
from modelchecks.stats.estimate import Estimate

Floats = NDArray[np.float64]


def check_count(value: Any, name: str, *, least: int = 1) -> None:
    """Raise ValueError that names the argument unless it is a whole number, at least `least`."""
    # A bool is a Real, numpy's is not; NaN is not below infinity.
    whole = isinstance(value, Real) and not isinstance(value, bool)
    if not (whole and -math.inf < value < math.inf and value == int(value)):
        raise ValueError(f"{name}: {value} is not a count")
    if value < least:
        raise ValueError(f"{name}: {value} is not at least {least}")


def check_counts(correct: int, n: int, prefix: str = "") -> None:
    """Raise ValueError that names the argument unless 0 <= correct <= n and n > 0."""
    check_count(n, f"{prefix}n")
    check_count(correct, f"{prefix}correct", least=0)
    if correct > n:
        raise ValueError(f"{prefix}correct: {correct} is more than {prefix}n = {n}")


def check_alpha(alpha: Any) -> None:
    """Raise ValueError unless alpha, a number or each of an array, is between 0 and a half."""
    if not np.all((np.asarray(alpha) > 0) & (np.asarray(alpha) < 0.5)):
        raise ValueError(f"alpha: {alpha} is not between 0 and 0.5")


def numbers(values: Any, name: str) -> Floats:
    """Return the values as float64, or raise ValueError that names the argument: no text, no None.

    NaN and infinity are numbers here.
    """
    try:
        return np.asarray(values).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: must be numbers") from error


def _check_shares(correct: NDArray[Any], n: NDArray[Any], alpha: Any) -> None:
    # Fractions of a row are allowed: weighted rows have an effective number.
    if not ((n > 0) & (n < np.inf)).all():
        raise ValueError("n: must be positive and finite")
    if not ((correct >= 0) & (correct <= n)).all():
        raise ValueError("correct: must be between 0 and n")
    check_alpha(alpha)


def clopper_pearson(correct: Any, n: Any, *, alpha: Any) -> tuple[Floats, Floats]:
    """Return the exact one-sided level-alpha limits of a proportion; arrays broadcast.

    Source: Clopper and Pearson (1934), by beta quantiles.
    """
    from scipy.special import betaincinv

    x, n = np.asarray(correct, dtype=np.float64), np.asarray(n, dtype=np.float64)
    _check_shares(x, n, alpha)
    # betaincinv is undefined where a count is 0 (there stands a 1 for it): limits 0 and 1.
    low = np.where(x > 0, betaincinv(np.where(x > 0, x, 1), n - x + 1, alpha), 0.0)
    high = np.where(x < n, betaincinv(x + 1, np.where(x < n, n - x, 1), 1 - alpha), 1.0)
    return low, high


def wilson(correct: float, n: float, *, alpha: float) -> tuple[float, float]:
    """Return the one-sided level-alpha score limits of a proportion (Wilson 1927)."""
    from scipy.special import ndtri

    _check_shares(np.asarray(correct), np.asarray(n), alpha)
    z = float(ndtri(1 - alpha))
    p = correct / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # A limit of 0 or 1 is exact there; the formula misses it by rounding.
    return (0.0 if correct == 0 else middle - half), (1.0 if correct == n else middle + half)


def proportion(correct: int, n: int, *, alpha: float = 0.05) -> Estimate:
    """Return one accuracy with Clopper-Pearson decision bounds and a Wilson 95 % interval."""
    check_counts(correct, n)
    check_alpha(alpha)
    lower, upper = clopper_pearson(correct, n, alpha=alpha)
    low, high = wilson(correct, n, alpha=0.025)
    return Estimate(
        correct / n, low, high, float(lower), float(upper), alpha, int(n), "clopper-pearson"
    )


def newcombe(
    first_correct: int, first_n: int, second_correct: int, second_n: int, *, alpha: float = 0.025
) -> tuple[float, float]:
    """Return one-sided level-alpha limits of p1 - p2, independent samples.

    Source: Newcombe (1998), Statistics in Medicine 17, 873-890, method 10 (score limits).

    >>> [round(limit, 4) for limit in newcombe(56, 70, 48, 80)]
    [0.0524, 0.3339]
    """
    check_counts(first_correct, first_n, "first_")
    check_counts(second_correct, second_n, "second_")
    check_alpha(alpha)
    lower, upper = mover(
        first_correct / first_n,
        wilson(first_correct, first_n, alpha=alpha),
        second_correct / second_n,
        wilson(second_correct, second_n, alpha=alpha),
    )
    return float(lower), float(upper)


def proportion_drop(
    offline_correct: int, offline_n: int, live_correct: int, live_n: int, *, alpha: float = 0.05
) -> Estimate:
    """Return the drop p_offline - p_live of two independent samples.

    The decision bounds are MOVER with one-sided Clopper-Pearson limits, each of level alpha; the
    two-sided 95 % interval is Newcombe's. `n` is the number of live rows. Raises ValueError.

    Source: Zou and Donner (2008), Statistics in Medicine 27, 1693-1702; Newcombe (1998).

    >>> drop = proportion_drop(9400, 10000, 470, 500)
    >>> round(drop.lower_bound, 5), round(drop.upper_bound, 5)
    (-0.01698, 0.02087)
    """
    check_counts(offline_correct, offline_n, "offline_")
    check_counts(live_correct, live_n, "live_")
    check_alpha(alpha)
    p1, p2 = offline_correct / offline_n, live_correct / live_n
    lower, upper = mover(
        p1,
        clopper_pearson(offline_correct, offline_n, alpha=alpha),
        p2,
        clopper_pearson(live_correct, live_n, alpha=alpha),
    )
    low, high = newcombe(offline_correct, offline_n, live_correct, live_n)
    return Estimate(
        p1 - p2,
        low,
        high,
        float(lower),
        float(upper),
        alpha,
        int(live_n),
        "mover-cp",
    )


def drop_p_value(
    offline_correct: int, offline_n: int, live_correct: int, live_n: int, *, max_drop: float
) -> float:
    """Return the smallest alpha at which `proportion_drop` shows a drop of more than `max_drop`.

    1.0 where no alpha below a half shows it. Raises ValueError.
    """
    if not math.isfinite(max_drop):
        raise ValueError(f"max_drop: {max_drop} is not a finite number")
    check_counts(offline_correct, offline_n, "offline_")
    check_counts(live_correct, live_n, "live_")
    return float(drop_p_values(offline_correct, offline_n, live_correct, live_n, max_drop))


def drop_p_values(
    offline_correct: Any, offline_n: Any, live_correct: Any, live_n: Any, max_drop: float
) -> Floats:
    """Return `drop_p_value` of many drops at once; counts of any shape, which broadcast."""
    x1, n1, x2, n2 = np.broadcast_arrays(offline_correct, offline_n, live_correct, live_n)

    def shown(alpha: Floats) -> NDArray[np.bool_]:
        first = clopper_pearson(x1, n1, alpha=alpha)
        lower, _ = mover(x1 / n1, first, x2 / n2, clopper_pearson(x2, n2, alpha=alpha))
        return np.asarray(lower > max_drop)

    # Halved on the log scale, where 60 steps leave no digit open; the lower bound grows with alpha.
    none, all_ = np.full(x1.shape, 1e-15), np.full(x1.shape, 0.5 - 1e-9)
    ever, always = shown(all_), shown(none)
    low, high = none, all_
    for _ in range(60):
        middle = np.sqrt(low * high)
        yes = shown(middle)
        low, high = np.where(yes, low, middle), np.where(yes, middle, high)
    return np.where(ever, np.where(always, none, high), 1.0)
