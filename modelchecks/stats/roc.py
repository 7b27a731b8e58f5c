"""The area under the ROC curve, of two classes or the mean over several, with bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha
from modelchecks.stats.mean import beta_limits

FEWEST_CASES = 20
"""Rows of each class below which an area says too little to be decided on."""


def auroc(labels: NDArray[Any], scores: NDArray[Any], *, alpha: float = 0.05) -> Estimate:
    """Return the chance that a row of a class scores higher for it than a row of another does.

    Two classes: `labels` are 0 and 1, `scores` (rows,) rise with the chance of 1. Several: `labels`
    are 0 to K - 1, `scores` (rows, K); the mean over the classes, each against the rest. A tie
    counts one half. Raises TooFewRowsError where a class has under 20 rows, ValueError for other
    input.

    The variance is that of DeLong et al.; the limits are those of `beta_limits` on the rows'
    placements, whose lower bound erred in at most 4.6 % at alpha = 5 %, over areas of .6 to .998
    and classes of 20 to 1,000 rows. DeLong's on the logit scale erred in up to 33 % near 1:
    with few rows of a class, those that score badly are not among them.

    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845; Fay and Feuer
    (1997), Statistics in Medicine 16, 791-801.
    """
    check_alpha(alpha)
    label, score = _rows(labels, scores)
    n, classes = len(label), max(score.shape[1], 2)
    sizes = np.bincount(label, minlength=classes)
    if sizes.min() < FEWEST_CASES:
        raise TooFewRowsError(
            f"labels: class {sizes.argmin()} has {sizes.min()} rows, {FEWEST_CASES} are needed"
        )
    # What a row adds to the areas that it takes part in, and how much it could have added.
    gained, most = np.zeros(n), np.zeros(n)
    for column in range(score.shape[1]):
        inside = label == (1 if score.shape[1] == 1 else column)
        own, others = score[inside, column], score[~inside, column]
        gained[inside] += placements(own, others) / len(own)
        most[inside] += 1 / len(own)
        gained[~inside] += (1 - placements(others, own)) / len(others)
        most[~inside] += 1 / len(others)
    areas = score.shape[1]
    # Each pair was counted from both its rows.
    value = float(gained.sum()) / (2 * areas)
    parts = np.clip(gained / most, 0, 1)
    lower, upper = beta_limits(value, parts, most / areas, alpha=alpha)
    low, high = beta_limits(value, parts, most / areas, alpha=0.025)
    return Estimate(value, low, high, lower, upper, alpha, n, "beta-placements")


def placements(own: Floats, others: Floats) -> Floats:
    """Return for each score the share of the others that lie below it, ties by half."""
    others = np.sort(others)
    below, upto = (np.searchsorted(others, own, side) for side in ("left", "right"))
    return np.asarray((below + upto) / (2 * len(others)))


def _rows(labels: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
    label, score = np.asarray(labels), np.asarray(scores)
    if label.ndim != 1 or not label.size or label.dtype.kind not in "biu":
        raise ValueError("labels: must be whole numbers in one dimension")
    if score.dtype.kind not in "iuf" or not np.isfinite(score).all():
        raise ValueError("scores: must be finite numbers")
    if score.ndim not in (1, 2) or len(score) != len(label):
        raise ValueError(f"scores: has shape {score.shape}, and labels has {len(label)} rows")
    if score.ndim == 2 and score.shape[1] < 2:
        raise ValueError("scores: has one column; of two classes, give one dimension")
    score = score.astype(np.float64).reshape(len(label), -1)
    if not ((label >= 0) & (label < max(score.shape[1], 2))).all():
        raise ValueError(f"labels: must be 0 to {max(score.shape[1], 2) - 1}")
    return label.astype(np.int64), score
