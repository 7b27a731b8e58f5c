"""Is a confidence of 90 % right nine times in ten?

A calibration error is a mean of absolute differences, so chance alone makes it positive: a perfect
model shows .04 on 500 rows. What is decided here is the error behind the chance, binned into 15
bins of equal numbers of rows; over- and underconfidence that cancel within a bin are not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, Verdict, decide
from modelchecks.stats.few_labels import FEW
from modelchecks.stats.interval import Floats, check_alpha, clopper_pearson, numbers, wilson
from modelchecks.stats.temperature import class_labels, class_probabilities

BINS = 15
REPLICATES = 1_999
"""Simulated models per question; (REPLICATES + 1) alpha is whole for the usual alphas."""
STEPS = 12
"""Of the search for a bound: to less than .0005."""


@dataclass(frozen=True, slots=True)
class CalibrationEstimate(Estimate):
    """A binned calibration error with bounds, decided against the margin it was asked with.

    `value` is the error at which half of the simulated models look worse than this one: the known
    plug-in error, in `plug_in`, is larger by chance.
    """

    status: Verdict
    plug_in: float


class ReliabilityBin(NamedTuple):
    """One bar of a reliability diagram: rows, mean confidence, accuracy and its Wilson 95 %."""

    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


def calibration_error(
    confidence: NDArray[Any],
    correct: NDArray[Any],
    *,
    margin: float,
    alpha: float = 0.05,
    seed: int = 0,
) -> CalibrationEstimate:
    """Return the expected calibration error in 15 equal-mass bins, and whether it is in the margin.

    An error is excluded when models that have it, simulated with these confidences, look better
    (or worse) than this one in all but alpha of the draws, however it is spread: overconfident
    everywhere, underconfident everywhere, or (to be called worse than the margin) all of it in the
    most confident bins, where chance adds most in the others. The level is approximate; measured in
    the tests. `confidence` in [0, 1] and `correct` (bool or 0/1), one for each row. Raises
    ValueError that names the argument.

    Source: consistency resampling, Bröcker and Smith (2007), Weather and Forecasting 22, 651-661,
    inverted.
    """
    (estimate,) = calibration_errors(confidence, correct, margin=margin, alphas=(alpha,), seed=seed)
    return estimate


def calibration_errors(
    confidence: NDArray[Any],
    correct: NDArray[Any],
    *,
    margin: float,
    alphas: Sequence[float],
    seed: int = 0,
) -> tuple[CalibrationEstimate, ...]:
    """Return `calibration_error` at several alphas, from the same simulated models."""
    c, y = _rows(confidence, correct)
    if not 0 <= margin <= 1:
        raise ValueError(f"margin: {margin} is not between 0 and 1")
    for alpha in alphas:
        check_alpha(alpha)
    models = _Models(c, y, seed)
    return tuple(_at(models, margin, alpha) for alpha in alphas)


def _at(models: _Models, margin: float, alpha: float) -> CalibrationEstimate:
    value, n = models.largest(0.5, margin), models.n
    lower, upper = models.smallest(alpha, margin), models.largest(alpha, margin)
    low, high = models.smallest(0.025, margin), models.largest(0.025, margin)
    # Monte-Carlo noise could put bounds that nearly meet in the wrong order.
    low, high = min(low, value), max(high, value)
    method = "consistency-resampling"
    estimate = Estimate(value, low, high, lower, upper, alpha, n, method)
    verdict = decide(estimate, margin)
    return CalibrationEstimate(
        value, low, high, lower, upper, alpha, n, method, verdict, models.plug_in
    )


def confidence_gap(
    confidence: NDArray[Any], correct: NDArray[Any], *, alpha: float = 0.05
) -> Estimate:
    """Return mean confidence minus accuracy: above 0 the model is overconfident.

    Bounds are Clopper-Pearson limits of the accuracy at the number of rows that would bound it as
    well as confidence and outcome bound their difference, which varies less the better confidence
    tells right from wrong; `low` and `high` are Wilson's. With fewer than 10 rows right or wrong:
    at the true number. Arguments as in `calibration_error`. Raises ValueError.
    """
    c, y = _rows(confidence, correct)
    check_alpha(alpha)
    n, share, claimed = len(c), float(y.mean()), float(c.mean())
    ratio = 1.0
    if min(y.sum(), n - y.sum()) >= FEW:
        ratio = min(max(float((c - y).var() / y.var()), 0.25), 4.0)
    effective = n / ratio
    lower, upper = clopper_pearson(share * effective, effective, alpha=alpha)
    low, high = wilson(share * effective, effective, alpha=0.025)
    return Estimate(
        claimed - share,
        claimed - high,
        claimed - low,
        claimed - float(upper),
        claimed - float(lower),
        alpha,
        n,
        "clopper-pearson",
    )


def debiased_l2(confidence: NDArray[Any], correct: NDArray[Any]) -> float:
    """Return the root mean squared calibration error without what chance adds to it; 0 if less.

    In 15 equal-mass bins, fewer where a bin would have fewer than two rows. Raises ValueError, also
    for fewer than two rows.

    Source: Kumar, Liang and Ma (2019), NeurIPS, definition 5.1.
    """
    c, y = _rows(confidence, correct)
    if len(c) < 2:
        raise ValueError("confidence: two rows at least are needed")
    sizes, claimed, right = _binned(c, y, least=2)
    noise = right * (1 - right) / (sizes - 1)
    squared = float(sizes @ ((claimed - right) ** 2 - noise)) / len(c)
    return math.sqrt(max(squared, 0.0))


def classwise_error(probabilities: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """Return each class's plug-in calibration error of its own probability, in 15 equal-mass bins.

    Chance makes it positive, so compare classes and models on the same rows only; the mean over
    classes is the classwise ECE. `probabilities` (rows, classes), `labels` (rows,) from 0. Raises
    ValueError.

    Source: Kull et al. (2019), NeurIPS, with bins of equal mass.
    """
    p = class_probabilities(probabilities, "probabilities")
    y = class_labels(labels, p.shape, "labels")
    errors = []
    for k, column in enumerate(p.T):
        sizes, claimed, right = _binned(column, (y == k).astype(np.float64))
        errors.append(float(sizes @ np.abs(claimed - right)) / len(y))
    return np.array(errors)


def reliability(confidence: NDArray[Any], correct: NDArray[Any]) -> list[ReliabilityBin]:
    """Return the bars of the reliability diagram, from the least confident to the most.

    15 bins of equal mass; equal confidences share one. Arguments as in `calibration_error`.
    """
    bars = []
    for n, claimed, right in zip(*_binned(*_rows(confidence, correct)), strict=True):
        low, high = wilson(float(right * n), float(n), alpha=0.025)
        bars.append(ReliabilityBin(int(n), float(claimed), float(right), low, high))
    return bars


class _Models:
    """Simulated models with these confidences and a known error: do they look as bad?"""

    def __init__(self, confidence: Floats, correct: Floats, seed: int) -> None:
        order = np.argsort(confidence, kind="stable")
        self.c, self.seed, self.n = confidence[order], seed, len(order)
        self.starts = _starts(self.c)
        self.sizes = np.diff(self.starts, append=self.n)
        self.claimed = np.add.reduceat(self.c, self.starts)
        right = np.add.reduceat(correct[order], self.starts)
        self.plug_in = float(np.abs(self.claimed - right).sum() / self.n)
        self.over, self.under = float(self.c.mean()), float((1 - self.c).mean())
        self.most = max(self.over, self.under)
        self._known: dict[float, tuple[float, float]] = {}

    def p_values(self, error: float) -> tuple[float, float]:
        """Return how often models of that error look at least as bad, and at most as bad.

        Of the ways to spread the error, the one that is hardest to exclude counts; (0, 0) where no
        way reaches that error with these confidences.
        """
        if error not in self._known:
            draw = np.random.default_rng(self.seed)
            bad = [self._plug_ins(p, draw) for p in self._spread(error)]
            worse = [float((b >= self.plug_in - 1e-12).sum()) for b in bad]
            better = [float((b <= self.plug_in + 1e-12).sum()) for b in bad]
            self._known[error] = (
                (1 + max(worse)) / (REPLICATES + 1) if bad else 0.0,
                (1 + max(better)) / (REPLICATES + 1) if bad else 0.0,
            )
        return self._known[error]

    def _spread(self, error: float) -> list[Floats]:
        """Return probabilities of being right whose binned error is exactly `error`."""
        spread = []
        c = self.c
        if error <= self.over:
            spread.append(c - _shift(c, error))
            # All in the most confident bins: a share of the confidence, from the last bin down.
            left = error * self.n - (self.claimed.sum() - np.cumsum(self.claimed))
            share = np.clip(left / np.maximum(self.claimed, 1e-300), 0, 1)
            spread.append(c * (1 - np.repeat(share, self.sizes)))
        if error <= self.under:
            spread.append(c + _shift(1 - c, error))
        return spread

    def _plug_ins(self, p: Floats, draw: np.random.Generator) -> Floats:
        """Return the plug-in errors of REPLICATES label draws, rows right with probability p."""
        # The count of a bin is a sum of unequal coins; a binomial with its mean and variance is
        # closer to it than the replicates can tell. Matched on the rarer outcome, where it is best.
        right = np.add.reduceat(p, self.starts)
        rare = right * 2 < self.sizes
        q = np.where(np.repeat(rare, self.sizes), p, 1 - p)
        mean = np.add.reduceat(q, self.starts)
        coins = mean**2 / np.maximum(np.add.reduceat(q * q, self.starts), 1e-300)
        coins = np.clip(np.rint(coins), np.maximum(np.ceil(mean), 1), self.sizes)
        shape = (len(coins), REPLICATES)
        drawn = draw.binomial(coins.astype(np.int64)[:, None], (mean / coins)[:, None], shape)
        right_drawn = np.where(rare[:, None], drawn, self.sizes[:, None] - drawn)
        errors: Floats = np.abs(self.claimed[:, None] - right_drawn).sum(0) / self.n
        return errors

    def smallest(self, alpha: float, margin: float) -> float:
        """Return the error up to which all are excluded, because this model looks worse."""
        return self._edge(lambda error: self.p_values(error)[0] <= alpha, 0.0, self.most, margin)

    def largest(self, alpha: float, margin: float) -> float:
        """Return the error from which on all are excluded, because this model looks better."""
        return self._edge(lambda error: self.p_values(error)[1] <= alpha, self.most, 0.0, margin)

    def _edge(
        self, excluded: Callable[[float], bool], inside: float, outside: float, margin: float
    ) -> float:
        if not excluded(inside):
            return inside
        if excluded(outside):
            return outside
        # The first step is at the margin, so that the bounds decide as a test at the margin does.
        at = margin if margin < self.most else self.most / 2
        for _ in range(STEPS):
            inside, outside = (at, outside) if excluded(at) else (inside, at)
            at = (inside + outside) / 2
        return inside


def _shift(room: Floats, error: float) -> Floats:
    """Return equal shifts, cut where there is no room for them, whose mean is `error`."""
    ordered = np.sort(room)
    n = len(ordered)
    reached = (np.cumsum(ordered) + ordered * np.arange(n - 1, -1, -1)) / n
    shift = np.interp(error, np.append(0.0, reached), np.append(0.0, ordered))
    shifts: Floats = np.minimum(room, shift)
    return shifts


def _starts(ordered: Floats, least: int = 1) -> NDArray[np.int64]:
    """Return where the bins start: 15 of equal mass, fewer where one would have too few rows.

    Rows of equal confidence share a bin: else their order in the file would make the error.
    """
    n = len(ordered)
    bins = max(min(BINS, n // least), 1)
    firsts = ordered[np.round(np.arange(bins) * n / bins).astype(np.int64)]
    starts = [0]
    for start in np.searchsorted(ordered, firsts):
        if start >= starts[-1] + least and start <= n - least:
            starts.append(start)
    return np.array(starts)


def _binned(c: Floats, y: Floats, least: int = 1) -> tuple[Floats, Floats, Floats]:
    """Return the rows, mean confidence and share right of each bin, the least confident first."""
    order = np.argsort(c, kind="stable")
    starts = _starts(c[order], least)
    sizes = np.diff(starts, append=len(c)).astype(np.float64)
    sums = (np.add.reduceat(values[order], starts) for values in (c, y))
    claimed, right = (total / sizes for total in sums)
    return sizes, claimed, right


def _rows(confidence: NDArray[Any], correct: NDArray[Any]) -> tuple[Floats, Floats]:
    c, y = numbers(confidence, "confidence"), np.asarray(correct)
    if c.ndim != 1 or not c.size:
        raise ValueError("confidence: must be one dimension with at least one value")
    if not ((c >= 0) & (c <= 1)).all():
        raise ValueError("confidence: must be between 0 and 1")
    if y.shape != c.shape or not np.isin(y, (0, 1)).all():
        raise ValueError("correct: must be True or False (1 or 0), one for each confidence")
    return c, y.astype(np.float64)
