"""Classes that come more or less often than before, seen through a model's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats
from modelchecks.stats.temperature import two_sides


@dataclass(frozen=True, slots=True)
class LabelShift:
    """How often each class comes in the target, if nothing but these shares has changed.

    `weights` (classes,) are target share by source share, 0 for a class that the source lacks;
    `prior` (classes,) the target's shares. What tells whether to believe them: `condition` of the
    confusion matrix (infinite: a class is never answered, or never there; errors of the shares grow
    with it), `residual`, the share of the target's answers that no label shift explains, and
    `effective_n`, what the weights leave of the source's rows.
    """

    weights: Floats
    prior: Floats
    condition: float
    residual: float
    effective_n: float


def label_shift(
    source_probabilities: NDArray[Any],
    source_labels: NDArray[Any],
    target_probabilities: NDArray[Any],
) -> LabelShift:
    """Return the class shares of the target that explain the model's answers there best.

    Assumes that a class looks the same in both, and is wrong where it does not. Probabilities
    (rows, classes), labels (rows,) from 0. Raises ValueError that names the argument.

    Source: BBSE, Lipton, Wang and Smola (2018), ICML, by non-negative least squares, which is the
    inverse of the confusion matrix wherever that is possible.
    """
    source, labels, target = two_sides(
        source_probabilities, source_labels, target_probabilities, ("source", "target")
    )
    return answers_shift(source.argmax(axis=1), labels, target.argmax(axis=1), source.shape[1])


def answers_shift(
    source: NDArray[np.int64], labels: NDArray[np.int64], target: NDArray[np.int64], classes: int
) -> LabelShift:
    """Return the same from the answers alone: classes predicted, from 0."""
    from scipy.optimize import nnls

    confusion = np.bincount(source * classes + labels, minlength=classes * classes)
    joint = confusion.reshape(classes, classes) / len(labels)
    answered = np.bincount(target, minlength=classes) / len(target)
    prior = joint.sum(axis=0)
    weights, _ = nnls(joint, answered)
    weights = np.where(prior > 0, weights, 0.0)
    if weights @ prior <= 0:  # the target's answers are none that the source ever gave
        weights = np.ones(classes)
    weights = weights / (weights @ prior)
    per_row = weights[labels]
    with np.errstate(divide="ignore"):
        condition = float(np.linalg.cond(joint))
    return LabelShift(
        weights,
        weights * prior,
        condition,
        float(np.abs(joint @ weights - answered).sum() / 2),
        float(per_row.sum() ** 2 / (per_row**2).sum()),
    )
