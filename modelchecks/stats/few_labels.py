"""The accuracy on many rows from labels for a few of them, and which few to label.

Both methods use the model's own confidence, and neither trusts it: a confidence that says nothing
costs nothing but the chance to say something, and a wrong one does not shift the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import (
    Floats,
    check_alpha,
    check_count,
    clopper_pearson,
    numbers,
    proportion,
    wilson,
)

FEW = 10
"""With fewer rows right or wrong than this, a variance is no basis for an interval."""
STRATA = 5
"""More would leave too few labels in each to see how much they vary."""
LABELS_PER_STRATUM = 10
FLOOR = 0.5
"""Share of the mean spread that every row is given, so that sure rows are looked at as well."""


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """Which rows to label, and what each of them stands for.

    `rows` are their places, `weight` how many rows of the pool each stands for (the weights sum to
    the pool), `stratum` which of the strata it was drawn from. All have one entry for each row to
    label. The plan holds as a whole: leaving out rows that are hard to label biases the answer.
    """

    rows: NDArray[np.int64]
    weight: Floats
    stratum: NDArray[np.int64]


def few_label_accuracy(
    correct: NDArray[Any],
    score_labelled: NDArray[Any],
    score_unlabelled: NDArray[Any],
    *,
    alpha: float = 0.05,
) -> Estimate:
    """Return the accuracy of a sample of labelled rows, sharpened by scores of unlabelled ones.

    The labelled rows are a random sample of what the unlabelled ones come from. A score is any
    number that tends to be higher where the model is right, best its confidence; with correlation
    r to `correct`, n labelled and N unlabelled rows the interval has sqrt(1 - r^2 / (1 + n/N)) of
    the width that labels alone give. `correct` (n,) bool or 0/1, `score_labelled` (n,),
    `score_unlabelled` (N,). The value is PPI++'s; its variance turns into a number of rows, at
    which the decision bounds are Clopper-Pearson's, the interval is Wilson's: the normal interval
    covers 83 % at an accuracy of .98. With fewer than 10 rows right or wrong the labels alone
    count. `n` is the number of labels, `method` says which. Raises ValueError that names the
    argument.

    Source: Angelopoulos, Duchi and Zrnic (2023), PPI++, arXiv:2311.01453.
    """
    y, f = _outcomes(correct), _finite(score_labelled, "score_labelled")
    g = _finite(score_unlabelled, "score_unlabelled")
    if len(f) != len(y):
        raise ValueError(f"score_labelled: has {len(f)} rows, correct has {len(y)}")
    check_alpha(alpha)
    n, right = len(y), int(y.sum())
    spread = float(np.concatenate([f, g]).var(ddof=1))
    if min(right, n - right) < FEW or spread == 0:
        return proportion(right, n, alpha=alpha)
    covariance = float(np.cov(y, f)[0, 1])
    trust = min(max(covariance / ((1 + n / len(g)) * spread), 0.0), 1.0)
    value = trust * float(g.mean()) + float((y - trust * f).mean())
    variance = float((y - trust * f).var(ddof=1)) / n + trust**2 * spread / len(g)
    alone = float(y.var(ddof=1)) / n
    rows = n / min(max(variance / alone, 0.25), 1.0)
    return _at(min(max(value, 0.0), 1.0), rows, alpha, n, "ppi++")


def sampling_plan(confidence: NDArray[Any], budget: int, *, seed: int) -> SamplingPlan:
    """Return which rows of an unlabelled pool to label so that few labels say most.

    Rows are sorted by confidence c into at most 5 strata of equal total spread sqrt(c (1 - c)), and
    each gets the same number of labels, which is Neyman's allocation if the confidence is right.
    Every row is given at least half the mean spread, so an overconfident model's sure rows are
    looked at too. Judge the labels with `stratified_accuracy`. `confidence` (rows,) in [0, 1],
    `budget` at most their number. The same seed gives the same plan. Raises ValueError.

    Source: Neyman (1934), JRSS 97, 558-625; strata as Dalenius and Hodges (1959).
    """
    c = _finite(confidence, "confidence")
    if not ((c >= 0) & (c <= 1)).all():
        raise ValueError("confidence: must be between 0 and 1")
    check_count(budget, "budget")
    if budget > len(c):
        raise ValueError(f"budget: {budget} is more than the {len(c)} rows")
    spread = np.sqrt(c * (1 - c))
    spread = np.maximum(spread, FLOOR * spread.mean()) + 1e-12
    order = np.argsort(c, kind="stable")
    strata = min(max(budget // LABELS_PER_STRATUM, 1), STRATA)
    so_far = np.cumsum(spread[order])
    stratum = np.minimum((so_far * strata / so_far[-1] - 1e-9).astype(np.int64), strata - 1)
    sizes = np.bincount(stratum, minlength=strata)
    draw = np.random.default_rng(seed)
    rows, weights, strata_of = [], [], []
    for number, take in enumerate(_shares(sizes, int(budget))):
        members = draw.permutation(order[stratum == number])[:take]
        rows.append(members)
        weights.append(np.full(take, sizes[number] / max(take, 1)))
        strata_of.append(np.full(take, number))
    return SamplingPlan(np.concatenate(rows), np.concatenate(weights), np.concatenate(strata_of))


def stratified_accuracy(
    correct: NDArray[Any], weight: NDArray[Any], stratum: NDArray[Any], *, alpha: float = 0.05
) -> Estimate:
    """Return the accuracy of the pool from the labels of a sampling plan.

    The weighted share of right rows; its variance, with one row right and one wrong added to each
    stratum (a stratum without an error is not one that cannot err), turns into a number of rows, at
    which the decision bounds are Clopper-Pearson's, the interval is Wilson's. Arrays of one length:
    `correct` bool or 0/1, `weight` and `stratum` from the plan. Raises ValueError.

    Source: Korn and Graubard (1998), Survey Methodology 24, 193-201.
    """
    y, w = _outcomes(correct), _finite(weight, "weight")
    strata, at = np.unique(np.asarray(stratum), return_inverse=True)
    if not len(y) == len(w) == len(at):
        raise ValueError(f"weight, stratum: must have {len(y)} rows, as correct has")
    if not (w > 0).all():
        raise ValueError("weight: must be positive")
    check_alpha(alpha)
    n, right, mass = (np.bincount(at, values, len(strata)) for values in (np.ones(len(y)), y, w))
    share = mass / mass.sum()
    value = float(share @ (np.bincount(at, w * y) / mass))
    softened = (right + 1) / (n + 2)
    variance = float(share**2 @ (softened * (1 - softened) / n))
    middle = float(share @ softened)
    return _at(value, middle * (1 - middle) / variance, alpha, len(y), "stratified")


def _at(value: float, rows: float, alpha: float, n: int, method: str) -> Estimate:
    lower, upper = clopper_pearson(value * rows, rows, alpha=alpha)
    low, high = wilson(value * rows, rows, alpha=0.025)
    return Estimate(value, low, high, float(lower), float(upper), alpha, n, method)


def _shares(sizes: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Return equal shares of the budget, none more than the size; what is over goes on."""
    shares = np.zeros_like(sizes)
    while (left := budget - int(shares.sum())) > 0:
        open_ = np.flatnonzero(shares < sizes)
        extra = np.full(len(open_), left // len(open_))
        extra[: left % len(open_)] += 1
        shares[open_] = np.minimum(shares[open_] + extra, sizes[open_])
    return shares


def _outcomes(correct: NDArray[Any]) -> Floats:
    y = np.asarray(correct)
    if y.ndim != 1 or not y.size or not np.isin(y, (0, 1)).all():
        raise ValueError("correct: must be True or False (1 or 0), one at least, in one dimension")
    return y.astype(np.float64)


def _finite(values: NDArray[Any], name: str) -> Floats:
    finite = numbers(values, name)
    if finite.ndim != 1 or not finite.size or not np.isfinite(finite).all():
        raise ValueError(f"{name}: must be finite numbers, one at least, in one dimension")
    return finite
