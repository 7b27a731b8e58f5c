"""How many labelled rows a decision needs, and how often it errs: by exact enumeration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.difference import mover
from modelchecks.stats.interval import check_alpha, check_count, clopper_pearson
from modelchecks.stats.paired import paired_bounds

ENUMERATE_BELOW = 2_000
"""Live rows up to which the exact power is enumerated; beyond, the formula is exact enough."""
MOST = 10_000_000
"""More labelled rows than this is no practical answer."""
SMOOTH = 100
"""Expected rows that differ from which the power of a paired gain climbs almost without teeth."""
_TAIL = 5.5
"""Standard deviations of a binomial that are enumerated; what lies beyond has mass < 1e-7."""


class OperatingCharacteristics(NamedTuple):
    """Probabilities of the three decisions."""

    passed: float
    failed: float
    inconclusive: float


def drop_operating_characteristics(
    offline_accuracy: float,
    offline_n: int,
    live_n: int,
    *,
    true_drop: float,
    max_drop: float,
    alpha: float = 0.05,
) -> OperatingCharacteristics:
    """Return how often MOVER-CP passes, fails and stays open when the true drop is `true_drop`.

    Enumerates both binomials out to 5.5 standard deviations. Raises ValueError.
    """
    p1, p2 = _check_plan(offline_accuracy, offline_n, true_drop, max_drop, alpha)
    check_count(live_n, "live_n")
    passed, failed = _decided(p1, offline_n, p2, live_n, max_drop, alpha)
    return OperatingCharacteristics(passed, failed, max(0.0, 1 - passed - failed))


def labels_needed(
    offline_accuracy: float,
    offline_n: int,
    *,
    true_drop: float,
    max_drop: float,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int | None:
    """Return the smallest number of live labels from which a drop is settled with this power.

    Settled means passed where `true_drop` < `max_drop` and failed where it is larger. None where
    no number of live labels settles it: the offline rows are too few, or the drop is at the limit.
    Raises ValueError.

    Source: Farrington and Manning (1990), Statistics in Medicine 9, 1447-1454, as the start and
    from 2,000 rows on; exact enumeration of MOVER-CP below.
    """
    p1, p2 = _check_plan(offline_accuracy, offline_n, true_drop, max_drop, alpha)
    start = _farrington_manning(p1, offline_n, p2, max_drop, alpha, power)
    if start is None:
        return None
    which = 0 if true_drop < max_drop else 1
    # The formula takes the offline count for normal; where it is small, no live n may suffice.
    if _decided_at_last(p1, offline_n, p2, max_drop, alpha)[which] < power:
        return None
    if start > ENUMERATE_BELOW:
        return start
    return _stays_above(
        lambda n: _decided(p1, offline_n, p2, n, max_drop, alpha)[which], start, power
    )


def labels_needed_floor(
    accuracy: float, *, floor: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Return the smallest number of labels from which an accuracy floor is settled.

    None where `accuracy` is at the floor. Exact below 2,000 rows, normal approximation beyond.
    """
    from scipy.special import ndtri

    for name, value in (("accuracy", accuracy), ("floor", floor)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: {value} is not between 0 and 1")
    check_alpha(alpha)
    _check_power(power)
    gap = abs(accuracy - floor)
    if gap == 0:
        return None
    spread = float(ndtri(1 - alpha)) * math.sqrt(floor * (1 - floor)) + float(
        ndtri(power)
    ) * math.sqrt(accuracy * (1 - accuracy))
    start = max(1, math.ceil((spread / gap) ** 2))
    if start > ENUMERATE_BELOW:
        return start if start <= MOST else None

    def settled(n: int) -> float:
        x, mass = _window(accuracy, n)
        low, high = clopper_pearson(x, n, alpha=alpha)
        right = low >= floor if accuracy > floor else high < floor
        return float(mass[right].sum())

    return _stays_above(settled, start, power)


def paired_labels_needed(
    gain: float,
    discordance: float,
    *,
    margin: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int | None:
    """Return the smallest number of shared labelled rows from which a gain is settled.

    `gain` is the true accuracy(A) - accuracy(B) and `discordance` the share of the rows that
    only one of the two has right. Settled means shown to be more than `margin`, or, where the
    gain is less than that, shown to be no more. None where no number of labels settles it: the
    gain is at the margin. Exact below 2,000 rows, normal approximation beyond. Raises ValueError.

    Source: Connor (1987), Biometrics 43, 207-211, as the start and from 2,000 rows on; exact
    enumeration of `paired_bounds` below.
    """
    if not 0 <= discordance <= 1:
        raise ValueError(f"discordance: {discordance} is not between 0 and 1")
    if not abs(gain) <= discordance:
        raise ValueError(f"gain: {gain} takes more rows than differ ({discordance})")
    _check_margin(margin)
    null = max(discordance, abs(margin)) - margin**2
    start = _normal_labels(gain - margin, null, discordance - gain**2, alpha, power)
    if start is None or start > ENUMERATE_BELOW:
        return start
    share_a, share_b = (discordance + gain) / 2, (discordance - gain) / 2

    def settled(n: int) -> float:
        mass, only_a, only_b = _paired_window(share_a, share_b, n)
        lower, upper = paired_bounds(only_a, only_b, n, alpha=alpha)
        return float(mass[lower > margin if gain > margin else upper <= margin].sum())

    if start * discordance > SMOOTH:
        return _climbs_over(settled, start // 2, 2 * start, power)
    return _stays_above(settled, start, power)


def unpaired_labels_needed(
    accuracy_a: float,
    accuracy_b: float,
    *,
    margin: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int | None:
    """Return how many labelled rows of its own each of two variants needs to settle their gain.

    As `paired_labels_needed`, but each variant on rows of its own: what pairing saves. Normal
    approximation. Raises ValueError.
    """
    for name, value in (("accuracy_a", accuracy_a), ("accuracy_b", accuracy_b)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: {value} is not between 0 and 1")
    _check_margin(margin)
    variance = accuracy_a * (1 - accuracy_a) + accuracy_b * (1 - accuracy_b)
    return _normal_labels(accuracy_a - accuracy_b - margin, variance, variance, alpha, power)


def _check_plan(
    p1: float, n1: int, true_drop: float, max_drop: float, alpha: float
) -> tuple[float, float]:
    if not 0 <= p1 <= 1:
        raise ValueError(f"offline_accuracy: {p1} is not between 0 and 1")
    check_count(n1, "offline_n")
    if not 0 <= p1 - true_drop <= 1:
        raise ValueError(f"true_drop: {true_drop} takes the live accuracy out of [0, 1]")
    if not -1 <= max_drop <= 1:
        raise ValueError(f"max_drop: {max_drop} is not between -1 and 1")
    check_alpha(alpha)
    return p1, min(max(p1 - true_drop, 0.0), 1.0)


def _check_power(power: float) -> None:
    if not 0 < power < 1:
        raise ValueError(f"power: {power} is not between 0 and 1")


def _check_margin(margin: float) -> None:
    if not -1 <= margin <= 1:
        raise ValueError(f"margin: {margin} is not between -1 and 1")


def _normal_labels(gap: float, null: float, true: float, alpha: float, power: float) -> int | None:
    """Return the n at which a mean whose rows have these variances is told from its margin."""
    from scipy.special import ndtri

    check_alpha(alpha)
    _check_power(power)
    if gap == 0:
        return None
    wide = float(ndtri(1 - alpha)) * math.sqrt(null) + float(ndtri(power)) * math.sqrt(true)
    # Rounding in the square may not make 100 rows 101.
    n = max(1, math.ceil((wide / gap) ** 2 - 1e-9))
    return n if n <= MOST else None


def _farrington_manning(
    p1: float, n1: int, p2: float, m: float, alpha: float, power: float
) -> int | None:
    from scipy.special import ndtri

    _check_power(power)
    z_alpha, z_power = float(ndtri(1 - alpha)), float(ndtri(power))
    gap = abs(m - (p1 - p2))
    fixed = p1 * (1 - p1) / n1
    null = max((p1 - m) * (1 - p1 + m), 0.0)
    true = p2 * (1 - p2)
    if gap == 0 or (z_alpha + z_power) * math.sqrt(fixed) >= gap:
        return None

    def enough(n: int) -> bool:
        wide = z_alpha * math.sqrt(fixed + null / n) + z_power * math.sqrt(fixed + true / n)
        return wide <= gap

    if not enough(MOST):
        return None
    low, high = 0, 1
    while not enough(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _window(p: float, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the counts that matter of a binomial, and their probabilities."""
    from scipy.special import gammaln, xlog1py, xlogy

    reach = _TAIL * math.sqrt(n * p * (1 - p)) + 3
    x = np.arange(max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach)) + 1)
    log_mass = (
        gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1) + xlogy(x, p) + xlog1py(n - x, -p)
    )
    return x, np.exp(log_mass)


def _paired_window(
    a: float, b: float, n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the probabilities of the counts that matter of two exclusive outcomes, and these."""
    from scipy.special import gammaln, xlogy

    x, y = _window(a, n)[0][:, None], _window(b, n)[0][None, :]
    rest = n - x - y
    log_mass = (
        gammaln(n + 1)
        - gammaln(x + 1)
        - gammaln(y + 1)
        - gammaln(np.maximum(rest, 0) + 1)
        + xlogy(x, a)
        + xlogy(y, b)
        + xlogy(np.maximum(rest, 0), max(1 - a - b, 0.0))
    )
    return np.where(rest >= 0, np.exp(log_mass), 0.0), x, y


def _decided(p1: float, n1: int, p2: float, n2: int, m: float, alpha: float) -> tuple[float, float]:
    """Return (P(passed), P(failed)) of MOVER-CP."""
    x1, mass1 = _window(p1, n1)
    x2, mass2 = _window(p2, n2)
    limits1 = clopper_pearson(x1[:, None], n1, alpha=alpha)
    lower, upper = mover(x1[:, None] / n1, limits1, x2 / n2, clopper_pearson(x2, n2, alpha=alpha))
    return float(mass1 @ (upper <= m) @ mass2), float(mass1 @ (lower > m) @ mass2)


def _decided_at_last(p1: float, n1: int, p2: float, m: float, alpha: float) -> tuple[float, float]:
    """Return what `_decided` tends to as the live rows grow: only the offline count varies."""
    x1, mass1 = _window(p1, n1)
    l1, u1 = clopper_pearson(x1, n1, alpha=alpha)
    return float(mass1[u1 - p2 <= m].sum()), float(mass1[l1 - p2 > m].sum())


def _stays_above(settled: Callable[[int], float], start: int, power: float) -> int | None:
    """Return the smallest n from which the power, which climbs as a saw, stays above `power`."""
    last_below, n = 0, start
    # Far beyond a tooth of the saw, whose length is about 1 / (share of the rarer outcome).
    while n - max(last_below, start) <= max(40, n // 8):
        if settled(n) < power:
            last_below = n
        if n >= 2 * ENUMERATE_BELOW:
            return _climbs_over(settled, n, MOST, power)
        n += 1
    if last_below:
        return last_below + 1
    n = start - 1
    while n > 0 and settled(n) >= power:
        n -= 1
    return n + 1


def _climbs_over(settled: Callable[[int], float], low: int, high: int, power: float) -> int | None:
    """Return, by bisection, where the power gets over `power`; teeth this far out are small."""
    if settled(high) < power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) >= power else (middle, high)
    return high
