"""A linear discriminant from sums alone, cross-fitted, its strength chosen by cross-validation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats
from modelchecks.stats.kernel import Singles
from modelchecks.stats.products import squared

FOLDS = 5
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Added to the variance of each direction, in units of the mean one."""


class Gathered:
    """How many rows each fold has, their sum, and the sum of their products."""

    def __init__(self, features: int) -> None:
        self.count = np.zeros(FOLDS)
        self.sums = np.zeros((FOLDS, features))
        self.products = np.zeros((FOLDS, features, features))

    def add(self, rows: Singles, fold: NDArray[np.int64]) -> None:
        """Add rows (rows, features), each to its fold."""
        for number in range(FOLDS):
            own = rows[fold == number]
            self.count[number] += len(own)
            self.sums[number] += own.sum(axis=0, dtype=np.float64)
            self.products[number] += squared(own)

    def mean(self) -> Floats:
        """Return the mean of all rows."""
        mean: Floats = self.sums.sum(axis=0) / self.count.sum()
        return mean

    def part(self, without: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Return the mean and the covariance of the rows of all other folds."""
        kept = [number for number in range(FOLDS) if number not in without]
        return self._moments(kept)

    def fold(self, number: int) -> tuple[Floats, Floats]:
        """Return the mean and the covariance of one fold."""
        return self._moments([number])

    def _moments(self, kept: list[int]) -> tuple[Floats, Floats]:
        count = max(self.count[kept].sum(), 1.0)
        mean = self.sums[kept].sum(axis=0) / count
        return mean, self.products[kept].sum(axis=0) / count - np.outer(mean, mean)


def fitted(first: Gathered, second: Gathered, groups: tuple[int, ...]) -> Floats:
    """Return weights (folds, features): each fold's come from the others, and separate best.

    `groups` are how many of the features to choose between. A direction has a length such that
    the scores' standard deviation within a side is 1.
    """
    inner = {
        pair: _solutions(first, second, pair, groups) for pair in combinations(range(FOLDS), 2)
    }
    apart = [second.fold(k)[0] - first.fold(k)[0] for k in range(FOLDS)]
    within = [(first.fold(k)[1] + second.fold(k)[1]) / 2 for k in range(FOLDS)]
    weights = np.zeros((FOLDS, groups[-1]))
    for fold in range(FOLDS):
        others = [other for other in range(FOLDS) if other != fold]
        gained = np.zeros(len(groups) * len(RIDGES))
        for other in others:
            tried = inner[min(fold, other), max(fold, other)]
            spread = np.sqrt(np.maximum(((tried @ within[other]) * tried).sum(1), 1e-12))
            gained += tried @ apart[other] / spread
        # The first that is as good as any is the simplest.
        best = int(np.argmax(gained > gained.max() - 0.01 * abs(gained.max())))
        weights[fold] = _solutions(first, second, (fold,), groups)[best]
    return weights


def _solutions(
    first: Gathered, second: Gathered, without: tuple[int, ...], groups: tuple[int, ...]
) -> Floats:
    """Return the directions (groups x ridges, features), strongest ridge first in each group."""
    (mean_a, cov_a), (mean_b, cov_b) = first.part(without), second.part(without)
    within, apart = (cov_a + cov_b) / 2, mean_b - mean_a
    found = []
    for used in groups:
        spread, gap = within[:used, :used], apart[:used]
        scale = max(float(np.trace(spread)) / used, 1e-12)
        for ridge in sorted(RIDGES, reverse=True):
            inner = np.linalg.solve(spread + ridge * scale * np.eye(used), gap)
            length = np.sqrt(max(float(inner @ spread @ inner), 1e-30))
            direction = np.zeros(groups[-1])
            direction[:used] = inner / length
            found.append(direction)
    return np.array(found)
