"""Two variants on the same rows: what one gains over the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelchecks.stats.difference import mover
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import Floats, check_alpha, check_count, clopper_pearson, wilson


@dataclass(frozen=True, slots=True)
class PairedEstimate(Estimate):
    """An accuracy difference on the same rows, with McNemar's test and the rows that differ.

    `p_value` is two-sided mid-p; `only_a` and `only_b` count the rows that only one of the two
    had right: they carry all the evidence.
    """

    p_value: float
    only_a: int
    only_b: int

    @property
    def discordance(self) -> float:
        """The share of the rows that only one of the two had right."""
        return (self.only_a + self.only_b) / self.n


def paired_gain(
    both: int, only_a: int, only_b: int, neither: int, *, alpha: float = 0.05
) -> PairedEstimate:
    """Return the gain accuracy(A) - accuracy(B) on the same rows.

    The arguments count the rows that both, only A, only B or neither had right. The decision
    bounds are those of `paired_bounds`; the two-sided 95 % interval is Newcombe's, method 10 with
    corrected phi; the p-value is McNemar's mid-p. `n` is the number of rows. Raises ValueError.

    Source: Newcombe (1998), Statistics in Medicine 17, 2635-2650; Fagerland, Lydersen and Laake
    (2013), BMC Medical Research Methodology 13, 91.

    >>> gain = paired_gain(430, 15, 5, 50)
    >>> round(gain.low, 5), round(gain.high, 5), round(gain.p_value, 6)
    (0.0018, 0.03924, 0.026604)
    """
    counts = {"both": both, "only_a": only_a, "only_b": only_b, "neither": neither}
    for name, count in counts.items():
        check_count(count, name, least=0)
    check_alpha(alpha)
    both, only_a, only_b, neither = (int(count) for count in counts.values())
    n = both + only_a + only_b + neither
    if n == 0:
        raise ValueError("both, only_a, only_b, neither: count no row at all")
    lower, upper = paired_bounds(only_a, only_b, n, alpha=alpha)
    low, high = _newcombe_paired(both, only_a, only_b, neither)
    return PairedEstimate(
        (only_a - only_b) / n,
        low,
        high,
        float(lower),
        float(upper),
        alpha,
        n,
        "mover-cp-paired",
        mcnemar_mid_p(only_a, only_b),
        only_a,
        only_b,
    )


def paired_bounds(only_a: Any, only_b: Any, n: Any, *, alpha: float) -> tuple[Floats, Floats]:
    """Return one-sided level-alpha limits of the gain on n shared rows; arrays broadcast.

    Counts that add up to more than n mean nothing, and neither do their limits.

    The gain is the difference of two shares of the rows, those that only A and those that only B
    had right: MOVER with their Clopper-Pearson limits and their multinomial correlation. By exact
    enumeration no limit erred in more than 5.0 % at alpha = 5 %; Newcombe's limits of the two
    accuracies do in up to 13 %, where few rows differ.
    """
    a, b = np.asarray(only_a, np.float64), np.asarray(only_b, np.float64)
    rest = (n - a) * (n - b)
    # Where one of the two had every row alone, the other share is what is missing to 1.
    correlation = -np.sqrt(np.where(rest > 0, a * b / np.where(rest > 0, rest, 1), 1.0))
    return mover(
        a / n,
        clopper_pearson(a, n, alpha=alpha),
        b / n,
        clopper_pearson(b, n, alpha=alpha),
        correlation,
    )


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """Return the two-sided mid-p value of equal accuracy: a fair coin over the rows that differ.

    Source: Lancaster (1961), Journal of the American Statistical Association 56, 223-234.
    """
    from scipy.special import bdtr

    check_count(only_a, "only_a", least=0)
    check_count(only_b, "only_b", least=0)
    fewer, differ = min(only_a, only_b), only_a + only_b
    if only_a == only_b:
        return 1.0
    upto = float(bdtr(fewer, differ, 0.5))
    below = float(bdtr(fewer - 1, differ, 0.5)) if fewer else 0.0
    return upto + below


def _newcombe_paired(both: int, only_a: int, only_b: int, neither: int) -> tuple[float, float]:
    n = both + only_a + only_b + neither
    a, b = both + only_a, both + only_b
    # The continuity correction takes phi towards 0, never through it.
    product: float = both * neither - only_a * only_b
    if product > 0:
        product = max(product - n / 2, 0.0)
    margins = a * b * (n - a) * (n - b)
    lower, upper = mover(
        a / n,
        wilson(a, n, alpha=0.025),
        b / n,
        wilson(b, n, alpha=0.025),
        product / math.sqrt(margins) if margins else 0.0,
    )
    return float(lower), float(upper)
