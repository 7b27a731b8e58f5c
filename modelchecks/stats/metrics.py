"""Every metric under one name: labels and probabilities in, an estimate with bounds out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.bootstrap import FEWEST_WRONG, bootstrap_metric
from modelchecks.stats.confusion import CONFUSION_METRICS, confusion_metric
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import Floats, check_alpha, check_count, proportion
from modelchecks.stats.mean import FEWEST_ROWS, bounded_mean, unbounded_mean
from modelchecks.stats.roc import auroc

LOWER_IS_BETTER = frozenset({"brier", "log_loss"})
"""Metrics whose rise is a drop: `metric_drop(..., higher_is_better=False)`."""
METRICS = tuple(sorted([*CONFUSION_METRICS, "auroc", "brier", "log_loss", "top_k"]))
"""The names that `metric` takes."""
MEANS = frozenset({"accuracy", "brier", "top_k"})
"""Metrics that are a mean over the rows, which may have weights and groups."""
FLOOR = 1e-15
"""The least probability that a log loss counts with; its logarithm bounds one row's loss."""

Metric = str | Callable[..., float]


def metric(
    name: Metric,
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    *,
    label: int | None = None,
    k: int | None = None,
    weights: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    alpha: float = 0.05,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return a metric of labelled rows with one-sided bounds and a two-sided 95 % interval.

    `name` is one of `METRICS` or a function of (labels, probabilities[, weights]), which is
    resampled (`bootstrap_metric`). `labels` are classes 0 to K - 1, `probabilities` (rows, K), or
    (rows,) for the probability of class 1. f1, precision and recall need the class `label`, top_k
    needs `k`. `weights`, the inverse chances that a row was drawn, are taken by accuracy, top_k,
    brier and functions, `groups`, which name the rows that may depend on each other, by the former
    three (`bounded_mean`). Raises TooFewRowsError where the rows do not carry the metric's bounds,
    ValueError for other input.

    brier is the sum over the classes of the squared error, 0 to 2; log_loss is in nats. Both are
    better when lower (`LOWER_IS_BETTER`); `metric_drop` gives the worsening of any.
    """
    check_alpha(alpha)
    if callable(name):
        for given, argument in ((label, "label"), (k, "k"), (groups, "groups")):
            if given is not None:
                raise ValueError(f"{argument}: is no argument of a function")
        return bootstrap_metric(
            name,
            labels,
            probabilities,
            weights=weights,
            alpha=alpha,
            resamples=resamples,
            seed=seed,
        )
    if name not in METRICS:
        raise ValueError(f"name: {name!r} is none of {', '.join(METRICS)}")
    if (k is not None) != (name == "top_k"):
        raise ValueError(f"k: {name} takes {'one' if name == 'top_k' else 'none'}")
    for given, argument in ((weights, "weights"), (groups, "groups")):
        if given is not None and name not in MEANS:
            raise ValueError(f"{argument}: {name} takes none")
    truth, chance = _rows(labels, probabilities)
    if label is not None and name not in CONFUSION_METRICS:
        raise ValueError(f"label: {name} takes none")
    if name == "auroc":
        return auroc(truth, chance, alpha=alpha)
    if name == "log_loss":
        return _log_loss(truth, chance, alpha)
    if name == "brier":
        hit = np.arange(chance.shape[1]) == truth[:, None]
        # Rounding of probabilities may take a row's sum a little over its bound.
        errors = np.minimum(((chance - hit) ** 2).sum(1), 2.0)
        return bounded_mean(errors, largest=2.0, weights=weights, groups=groups, alpha=alpha)
    drawn_unequally = weights is not None or groups is not None
    if name == "top_k" or (name == "accuracy" and drawn_unequally):
        right = _among(truth, chance, 1 if k is None else k)
        if drawn_unequally:
            return bounded_mean(right, weights=weights, groups=groups, alpha=alpha)
        return proportion(int(right.sum()), len(right), alpha=alpha)
    classes = chance.shape[1]
    pairs = np.bincount(truth * classes + chance.argmax(1), minlength=classes**2)
    table = pairs.reshape(classes, classes)
    return confusion_metric(name, table, label=label, alpha=alpha, resamples=resamples, seed=seed)


def _log_loss(truth: NDArray[np.int64], chance: Floats, alpha: float) -> Estimate:
    losses = -np.log(np.maximum(chance[np.arange(len(truth)), truth], FLOOR))
    # Wrong answers carry the loss: where they are not seen, only the bound of a row's loss holds.
    if int((chance.argmax(1) != truth).sum()) >= FEWEST_WRONG and len(truth) >= FEWEST_ROWS:
        return unbounded_mean(losses, alpha=alpha)
    return bounded_mean(np.abs(losses), largest=-math.log(FLOOR), alpha=alpha)


def _among(truth: NDArray[np.int64], chance: Floats, k: int) -> NDArray[np.bool_]:
    """Return whether the label is among the k likeliest; the first of equals is likelier."""
    check_count(k, "k")
    if k >= chance.shape[1]:
        raise ValueError(f"k: {k} of {chance.shape[1]} classes are always right")
    own = chance[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(chance.shape[1]) < truth[:, None]
    return np.asarray(((chance > own) | ((chance == own) & earlier)).sum(1) < k)


def _rows(labels: NDArray[Any], probabilities: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
    truth, chance = np.asarray(labels), np.asarray(probabilities)
    if truth.ndim != 1 or not truth.size or truth.dtype.kind not in "biu":
        raise ValueError("labels: must be whole numbers in one dimension, at least one")
    if chance.dtype.kind not in "biuf" or chance.ndim not in (1, 2) or len(chance) != len(truth):
        raise ValueError(
            f"probabilities: must be {len(truth)} rows of numbers, a column for each class"
        )
    chance = chance.astype(np.float64)
    if not ((chance >= 0) & (chance <= 1 + 1e-6)).all():
        raise ValueError("probabilities: must lie between 0 and 1")
    if chance.ndim == 1:
        chance = np.column_stack([1 - chance, chance])
    if chance.shape[1] < 2 or not (np.abs(chance.sum(1) - 1) <= 1e-3).all():
        raise ValueError("probabilities: must add up to 1 in every row, over two classes or more")
    if not ((truth >= 0) & (truth < chance.shape[1])).all():
        raise ValueError(f"labels: must be classes 0 to {chance.shape[1] - 1}")
    return truth.astype(np.int64), chance
