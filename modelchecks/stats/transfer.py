"""Does a gain that was measured offline arrive live?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from modelchecks.stats.difference import metric_drop
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import check_alpha, check_counts, proportion_drop

Transfer = Literal["kept", "lost", "not_shown"]


@dataclass(frozen=True, slots=True)
class GainTransfer:
    """What is shown about a gain on its way from offline to live.

    `shrinkage` is the offline gain minus the live gain. `kept_ratio` is live / offline; None
    where the offline gain itself is not shown to be above 0, and so no part of it can be kept.
    """

    status: Transfer
    offline_gain: Estimate
    live_gain: Estimate
    shrinkage: Estimate
    kept_ratio: float | None


def gain_transfer(
    offline: Estimate, live: Estimate, *, margin: float = 0.0, alpha: float = 0.05
) -> GainTransfer:
    """Return whether a gain is kept live, lost on the way, or neither is shown.

    `offline` and `live` are gains of the same variant over the same baseline: from `paired_gain`
    where both answered the same rows, else from `proportion_gain` on the two accuracies; one of
    each kind is allowed. Both are of level `alpha`, and their rows are independent.

    kept: the live gain is shown to be more than `margin`. lost: the gain is shown to shrink, and
    the live gain to be no more than `margin`. Each is wrong with probability at most alpha. The
    shrinkage is MOVER on the two gains' own limits, paired or not: with the normal variance of a
    difference in differences, a bound errs in up to 31 % at alpha = 5 %, MOVER in 4.9 %. Raises
    ValueError.
    """
    check_alpha(alpha)
    if not math.isfinite(margin):
        raise ValueError(f"margin: {margin} is not a finite number")
    for name, gain in (("offline", offline), ("live", live)):
        if gain.alpha != alpha:
            raise ValueError(f"{name}: has bounds of level {gain.alpha}, and alpha is {alpha}")
    shrinkage = metric_drop(offline, live)
    status: Transfer = "not_shown"
    if live.lower_bound > margin:
        status = "kept"
    elif shrinkage.lower_bound > 0 and live.upper_bound <= margin:
        status = "lost"
    ratio = live.value / offline.value if offline.lower_bound > 0 else None
    return GainTransfer(status, offline, live, shrinkage, ratio)


def proportion_gain(
    a_correct: int, a_n: int, b_correct: int, b_n: int, *, alpha: float = 0.05
) -> Estimate:
    """Return the gain accuracy(A) - accuracy(B) where only the two accuracies are known.

    For independent rows; on shared rows its bounds are too wide (`paired_gain` is for those).
    Bounds and interval are those of `proportion_drop`; `n` is the smaller number of rows. Raises
    ValueError.

    >>> gain = proportion_gain(9350, 10000, 9210, 10000)
    >>> round(gain.low, 4), round(gain.high, 4)
    (0.0068, 0.0212)
    """
    check_counts(a_correct, a_n, "a_")
    check_counts(b_correct, b_n, "b_")
    gain = proportion_drop(a_correct, a_n, b_correct, b_n, alpha=alpha)
    return replace(gain, n=int(min(a_n, b_n)))
