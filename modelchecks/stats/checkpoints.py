"""A checkpoint was chosen by one metric: how much too good was that, and was it a choice at all?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import Floats, check_count, proportion, proportion_drop
from modelchecks.stats.ranking import tau_b

FEWEST = 5
"""Checkpoints below which a rank correlation takes so few values that it shows nothing."""


@dataclass(frozen=True, slots=True)
class CheckpointAgreement:
    """Kendall's tau-b of two metrics over checkpoints; `low` and `high` are for reading.

    They are the middle 95 % when both metrics are drawn again from their rows, drawn out to the
    value where it lies beyond.
    """

    tau: float
    low: float
    high: float
    n: int


def optimism(claimed: float, correct: int, n: int, *, alpha: float = 0.05) -> Estimate:
    """Return claimed accuracy - true accuracy of a chosen checkpoint.

    `claimed` is the number that it was chosen by, `correct` of `n` how it did on rows that had no
    part in the choice. The claim is a number that was made, not an estimate, so the limits are
    those of the true accuracy alone (Clopper-Pearson), and hold however the checkpoint was chosen.
    Raises ValueError.

    >>> shown = optimism(0.95, 900, 1000)
    >>> round(shown.value, 3), round(shown.lower_bound, 4), round(shown.upper_bound, 4)
    (0.05, 0.0348, 0.067)
    """
    if not 0 <= claimed <= 1:
        raise ValueError(f"claimed: {claimed} is not between 0 and 1")
    true = proportion(correct, n, alpha=alpha)
    return Estimate(
        claimed - true.value,
        claimed - true.high,
        claimed - true.low,
        claimed - true.upper_bound,
        claimed - true.lower_bound,
        alpha,
        n,
        "claim-minus-clopper-pearson",
    )


def within_noise(shares: NDArray[Any], n: int, *, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Return which checkpoints are not shown to be worse than the best, on n rows.

    Each is compared with the best as if on other rows (MOVER with Clopper-Pearson limits): how the
    same rows pair up is not in a history. So more may seem equal than are. Raises ValueError.
    """
    found = _shares(shares, "shares")
    check_count(n, "n")
    best = round(float(found.max()) * n)
    return np.array(
        [
            proportion_drop(best, n, round(float(share) * n), n, alpha=alpha).lower_bound <= 0
            for share in found
        ]
    )


def checkpoint_agreement(
    chosen_by: NDArray[Any],
    n: int,
    later: NDArray[Any],
    later_n: int,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> CheckpointAgreement:
    """Return how well one accuracy ranks checkpoints as another does, on n and `later_n` rows.

    Descriptive: checkpoints of one training are no independent draws. Raises ValueError under five
    checkpoints and for other input.

    Source: Kendall (1945), Biometrika 33, 239-251.
    """
    first, second = _shares(chosen_by, "chosen_by"), _shares(later, "later")
    if len(first) != len(second):
        raise ValueError(f"later: has {len(second)} checkpoints, chosen_by has {len(first)}")
    if len(first) < FEWEST:
        raise ValueError(f"chosen_by: has {len(first)} checkpoints, at least {FEWEST} are needed")
    check_count(n, "n")
    check_count(later_n, "later_n")
    draw = np.random.default_rng(seed)
    drawn = tau_b(
        draw.binomial(n, first, (resamples, len(first))).astype(np.float64),
        draw.binomial(later_n, second, (resamples, len(second))).astype(np.float64),
    )
    value = float(tau_b(first[None], second[None])[0])
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return CheckpointAgreement(value, min(low, value), max(high, value), len(first))


def _shares(values: NDArray[Any], name: str) -> Floats:
    shares = np.asarray(values)
    if shares.ndim != 1 or not shares.size or shares.dtype.kind not in "iuf":
        raise ValueError(f"{name}: must be numbers in one dimension, at least one")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"{name}: must lie between 0 and 1")
    return shares.astype(np.float64)
