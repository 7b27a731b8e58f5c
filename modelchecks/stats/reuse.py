"""A test set that was looked at before, and the best of several: what that costs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import check_alpha, check_count, clopper_pearson, proportion_drop

SpendingRule = Literal["none", "equal", "halving", "inverse_square"]


def alpha_spending(
    look: int, *, alpha: float = 0.05, rule: SpendingRule, looks: int | None = None
) -> float:
    """Return the alpha that look number `look` (from 1) at the same rows may use.

    'none': alpha, every time. 'equal': alpha / looks, for as many looks as were declared ahead.
    'halving': alpha / 2^look. 'inverse_square': alpha * 6 / (pi * look)^2. But for 'none', a wrong
    decision at any look has probability at most alpha in total, also when each new variant was
    chosen by what the looks before had shown. Raises ValueError that names the argument, also for
    a look beyond the declared ones.

    Source: Dwork et al. (2015), Science 349, 636-638, on the problem; the union bound.

    >>> [round(alpha_spending(look, rule="inverse_square"), 4) for look in (1, 2, 3)]
    [0.0304, 0.0076, 0.0034]
    """
    check_count(look, "look")
    _check(alpha, rule, looks)
    if rule == "none":
        return alpha
    if rule == "halving":
        return math.ldexp(alpha, -look)
    if rule == "inverse_square":
        return alpha * 6 / (math.pi * look) ** 2
    if looks is None or look > looks:
        raise ValueError(f"look: {look} is beyond the {looks} looks declared")
    return alpha / looks


def alpha_spent(
    looks: int, *, alpha: float = 0.05, rule: SpendingRule, declared: int | None = None
) -> float:
    """Return the most that the probability of any wrong decision in the first `looks` can be.

    The sum of `alpha_spending`, at most 1; 0 after no look. `declared` is its `looks`. Raises
    ValueError.
    """
    check_count(looks, "looks", least=0)
    _check(alpha, rule, declared)
    spent = (alpha_spending(n, alpha=alpha, rule=rule, looks=declared) for n in range(1, looks + 1))
    return min(math.fsum(spent), 1.0)


def best_of_drop(
    offline_correct: int,
    offline_n: int,
    live_correct: int,
    live_n: int,
    *,
    variants: int,
    alpha: float = 0.05,
) -> Estimate:
    """Return the drop of the variant that was the best of `variants` offline.

    The best of several owes part of its offline accuracy to luck, which a drop would then show. So
    the lower bound starts from the accuracy of which the best is as often above as below, the
    Clopper-Pearson limit of level 1 - (1/2)^(1/variants), and reaches from there to the limit of
    level alpha / variants; with that limit alone the wrong 'failed' come to 11 %. The upper bound,
    which luck only raises, is that of `proportion_drop`, as are the value and the interval.
    `variants` is how many were declared, not how many were looked at. Raises ValueError.

    Source: MOVER, as in `proportion_drop`, on the limits of a maximum; Bonferroni.
    """
    check_count(variants, "variants")
    drop = proportion_drop(offline_correct, offline_n, live_correct, live_n, alpha=alpha)
    if variants == 1:
        return drop
    live = live_correct / live_n
    without_luck, lowest = (
        float(clopper_pearson(offline_correct, offline_n, alpha=level)[0])
        for level in (1 - 0.5 ** (1 / variants), alpha / variants)
    )
    _, high = clopper_pearson(live_correct, live_n, alpha=alpha)
    lower = without_luck - live - math.hypot(without_luck - lowest, float(high) - live)
    return replace(drop, lower_bound=lower, method=f"mover-cp, best of {variants}")


def best_of_optimism(accuracy: float, n: int, *, variants: int) -> float:
    """Return by how much the best of `variants` equally good ones is expected to look better.

    Exact for independent variants of that true accuracy on n rows each; less where they are alike
    or share their errors. A share, as accuracy is. Raises ValueError.
    """
    from scipy.special import bdtr

    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy: {accuracy} is not between 0 and 1")
    check_count(n, "n")
    check_count(variants, "variants")
    # A count's mean is the sum of its tail; the best is at most x iff all are.
    best = float((1 - bdtr(np.arange(n), n, accuracy) ** variants).sum())
    return best / n - accuracy


def _check(alpha: float, rule: str, looks: int | None) -> None:
    check_alpha(alpha)
    if rule not in get_args(SpendingRule):
        raise ValueError(f"rule: {rule!r} is none of {', '.join(get_args(SpendingRule))}")
    if (rule == "equal") != (looks is not None):
        raise ValueError("looks: the rule 'equal' needs the number declared, and no other does")
    if looks is not None:
        check_count(looks, "looks")
