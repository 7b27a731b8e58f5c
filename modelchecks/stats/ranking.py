"""Do several variants keep their order between offline and live? Descriptive, not a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats, check_count

FEWEST = 5
"""Variants below which a rank correlation takes so few values that it shows nothing."""
_CELLS = 4_000_000
"""Numbers of one block of resamples held in memory."""


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Kendall's tau-b of two orders, and how often the best of one is the best of the other.

    `low` and `high` are for reading. They are no bounds of an `Estimate`, and nothing is decided
    by them: of intervals made so, 85 to 99 % held the true tau.
    """

    tau: float
    low: float
    high: float
    best_is_best: float
    n: int


def rank_agreement(
    offline: NDArray[Any], live: NDArray[Any], *, resamples: int = 2000, seed: int = 0
) -> RankAgreement:
    """Return how well the order of the variants offline tells their order live.

    `offline` and `live` hold a row for each labelled row and a column for each of at least five
    variants, in the same order: was it correct (0 or 1)? `tau` is Kendall's tau-b of the two
    lists of accuracies; the interval is the middle 95 % of a bootstrap over the rows of both
    splits, drawn out to the value where it lies beyond. `best_is_best` is the share of resamples
    in which the best variant offline is also the best live, ties shared out. `n` counts live
    rows. Raises ValueError.

    Source: Kendall (1945), Biometrika 33, 239-251; Efron (1979), Annals of Statistics 7, 1-26.
    """
    first, second = correctness(offline, "offline"), correctness(live, "live")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"live: has {second.shape[1]} variants, offline has {first.shape[1]}")
    if first.shape[1] < FEWEST:
        raise ValueError(f"offline: has {first.shape[1]} variants, at least {FEWEST} are needed")
    check_count(resamples, "resamples")
    draw = np.random.default_rng(seed)
    a, b = (_resampled(x, resamples, draw) for x in (first, second))
    value = float(tau_b(first.mean(0)[None], second.mean(0)[None])[0])
    low, high = np.quantile(tau_b(a, b), [0.025, 0.975])
    best_a, best_b = (x == x.max(1, keepdims=True) for x in (a, b))
    agreed = (best_a & best_b).sum(1) / best_a.sum(1)
    return RankAgreement(
        value, min(float(low), value), max(float(high), value), float(agreed.mean()), len(second)
    )


@dataclass(frozen=True, slots=True)
class AccuracyLine:
    """The line on which the variants' accuracies lie on the probit scale.

    probit(live) = intercept + slope * probit(offline). `residuals` has a number for each
    variant: its live accuracy minus what the line says, its effective robustness. `r_squared`
    says how well the line fits.
    """

    slope: float
    intercept: float
    r_squared: float
    residuals: Floats


def accuracy_line(offline: NDArray[Any], live: NDArray[Any]) -> AccuracyLine:
    """Return the least-squares line through the probit accuracies of at least three variants.

    `offline` and `live` hold an accuracy strictly between 0 and 1 for each variant. Descriptive:
    three variants fit a line far too easily. Raises ValueError.

    Source: Miller et al. (2021), Accuracy on the line, ICML; Taori et al. (2020), NeurIPS.
    """
    from scipy.special import ndtr, ndtri

    first, second = _accuracies(offline, "offline"), _accuracies(live, "live")
    if len(first) != len(second):
        raise ValueError(f"live: has {len(second)} variants, offline has {len(first)}")
    if len(first) < 3:
        raise ValueError(f"offline: has {len(first)} variants, at least 3 are needed")
    x, y = ndtri(first), ndtri(second)
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if not np.ptp(first) > 0:
        raise ValueError("offline: all variants are equal, so no line is defined")
    slope = float(dx @ dy) / spread
    intercept = float(y.mean() - slope * x.mean())
    left, total = dy - slope * dx, float(dy @ dy)
    return AccuracyLine(
        slope,
        intercept,
        1 - float(left @ left) / total if np.ptp(second) > 0 else 1.0,
        second - ndtr(intercept + slope * x),
    )


def correctness(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Return a matrix (rows, variants) of truth values; raise ValueError that names it if not."""
    matrix = np.asarray(values)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"{name}: must be rows by variants, with at least one of each")
    if matrix.dtype.kind not in "biuf" or not ((matrix == 0) | (matrix == 1)).all():
        raise ValueError(f"{name}: must hold only 0 and 1, false and true")
    return matrix.astype(np.bool_)


def _accuracies(values: NDArray[Any], name: str) -> Floats:
    shares = np.asarray(values)
    if shares.ndim != 1 or shares.dtype.kind not in "iuf":
        raise ValueError(f"{name}: must be numbers in one dimension")
    if not ((shares > 0) & (shares < 1)).all():
        raise ValueError(f"{name}: must lie strictly between 0 and 1, where the probit is finite")
    return shares.astype(np.float64)


def _resampled(correct: NDArray[np.bool_], resamples: int, draw: np.random.Generator) -> Floats:
    """Return the counts of correct rows (resamples, variants), rows drawn with replacement."""
    # Rows that the same variants had right are the same row: many rows, few patterns.
    patterns, seen = np.unique(correct, axis=0, return_counts=True)
    n, rows = len(correct), patterns.astype(np.float64)
    at_once = max(1, _CELLS // len(patterns))
    sizes = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    return np.concatenate([draw.multinomial(n, seen / n, size=k) @ rows for k in sizes])


def tau_b(a: Floats, b: Floats) -> Floats:
    """Return Kendall's tau-b of each row of a with that row of b; 0 where one is all ties."""
    one, other = np.triu_indices(a.shape[1], 1)
    da, db = np.sign(a[:, one] - a[:, other]), np.sign(b[:, one] - b[:, other])
    untied = np.sqrt(np.abs(da).sum(1) * np.abs(db).sum(1))
    return np.asarray((da * db).sum(1) / np.where(untied > 0, untied, 1))
