"""The accuracy on rows without labels: several guesses, none of them with a guarantee.

Every method assumes something about how the target differs from the labelled source, and no method
can check all of it (Garg et al. 2022). So the answer is a range, and what would contradict the
assumptions comes beside it. Probabilities are temperature-scaled on the source first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.bbse import LabelShift, answers_shift
from modelchecks.stats.interval import Floats
from modelchecks.stats.temperature import (
    fit_temperature,
    softmax,
    two_sides,
)
from modelchecks.stats.transport import best_mean

TINY = 1e-30
"""A probability of 0 is a rounding of this."""


@dataclass(frozen=True, slots=True)
class LabelFree:
    """Guesses of an accuracy, and what the route between them was taken on.

    `values` by method, `low` and `high` the smallest and largest of them. `distance` is how far the
    target's answers are from the source's: the largest of the Kolmogorov distances of entropy and
    of the largest logit and of the total variation of the answers. `unexplained` is what is left of
    the former two once the source is reweighted by `label_shift`, `chance` what chance leaves, at
    the 5 % level. `routed` in [0, 1] is the part of the shift that label shift does not explain.
    """

    values: dict[str, float]
    low: float
    high: float
    temperature: float
    source_accuracy: float
    label_shift: LabelShift
    distance: float
    unexplained: float
    chance: float
    routed: float


def label_free_accuracy(
    source_probabilities: NDArray[Any],
    source_labels: NDArray[Any],
    target_probabilities: NDArray[Any],
) -> dict[str, Any]:
    """Return {method: guess of the target's accuracy, ..., "range": (smallest, largest)}.

    No interval and no guarantee: the truth may lie outside. `label_free_guesses` says more.
    Probabilities (rows, classes), labels (rows,) from 0. Raises ValueError.
    """
    found = label_free_guesses(source_probabilities, source_labels, target_probabilities)
    return {**found.values, "range": (found.low, found.high)}


def label_free_guesses(
    source_probabilities: NDArray[Any],
    source_labels: NDArray[Any],
    target_probabilities: NDArray[Any],
) -> LabelFree:
    """Return the same guesses with the evidence for and against what they assume.

    - average_confidence: the confidence is right on the target.
    - doc: confidence and accuracy fall by the same amount (Guillory et al. 2021).
    - atc_mc, atc_ne: as many rows are wrong as lie below the confidence (negative entropy) that
      cuts off the source's errors (Garg et al. 2022).
    - atc_bbse: atc_mc with the source reweighted to the target's classes as BBSE sees them.
    - cot: the classes come as often as in the source; how well can the answers be matched to that
      (Lu et al. 2023)? Fails where they do not. cot_bbse: they come as often as BBSE sees.
    - hybrid: atc_bbse, moved half way to cot by `routed`: what reweighting does not explain is no
      label shift, and then cot is right where confidence misleads.
    """
    source, y, target = two_sides(
        source_probabilities, source_labels, target_probabilities, ("source", "target")
    )
    z, live = np.log(np.maximum(source, TINY)), np.log(np.maximum(target, TINY))
    temperature = fit_temperature(z, y)
    p, q = softmax(z / temperature), softmax(live / temperature)
    right = (p.argmax(axis=1) == y).astype(np.float64)
    shift = answers_shift(p.argmax(axis=1), y, q.argmax(axis=1), p.shape[1])
    rows, plain = shift.weights[y], np.ones(len(y))
    distance, unexplained, chance = _distances(z, live, p, q, rows, shift.effective_n)
    routed = max(unexplained - chance, 0.0) / max(distance - chance, TINY)
    routed = min(routed, 1.0) ** 2
    sure, live_sure = p.max(axis=1), q.max(axis=1)
    accuracy = float(right.mean())
    cot = best_mean(q, np.bincount(y, minlength=p.shape[1]) / len(y))
    atc_bbse = _above_threshold(sure, right, rows, live_sure)
    values = {
        "average_confidence": float(live_sure.mean()),
        "doc": min(max(accuracy + float(live_sure.mean() - sure.mean()), 0.0), 1.0),
        "atc_mc": _above_threshold(sure, right, plain, live_sure),
        "atc_ne": _above_threshold(-_entropy(p), right, plain, -_entropy(q)),
        "atc_bbse": atc_bbse,
        "cot": cot,
        "cot_bbse": best_mean(q, shift.prior),
        "hybrid": atc_bbse + routed * (cot - atc_bbse) / 2,
    }
    return LabelFree(
        values,
        min(values.values()),
        max(values.values()),
        temperature,
        accuracy,
        shift,
        distance,
        unexplained,
        chance,
        routed,
    )


def _above_threshold(score: Floats, right: Floats, rows: Floats, live: Floats) -> float:
    """Return the share of live scores above the one that has the source's errors below it."""
    order = np.argsort(score, kind="stable")
    below = np.cumsum(rows[order])
    wrong = below[-1] - float(rows @ right)
    # As many rows below the threshold as are wrong: the first row that is one too many.
    at = int(np.searchsorted(below, wrong * (1 + 1e-12), side="right"))
    if at == len(order):
        return 0.0
    return float((live >= score[order][at]).mean())


def _entropy(p: Floats) -> Floats:
    entropy: Floats = -(p * np.log(np.maximum(p, TINY))).sum(axis=1)
    return entropy


def _distances(
    z: Floats, live: Floats, p: Floats, q: Floats, rows: Floats, effective_n: float
) -> tuple[float, float, float]:
    """Return how far the answers are apart, how far after reweighting, and what chance leaves."""
    # Probabilities say how far the largest logit is above the mean one, not how large it is.
    pairs = [
        (_entropy(p), _entropy(q)),
        (z.max(axis=1) - z.mean(axis=1), live.max(axis=1) - live.mean(axis=1)),
    ]
    plain = np.ones(len(rows))
    classes = p.shape[1]
    answered = np.bincount(p.argmax(axis=1), minlength=classes) / len(p)
    now = np.bincount(q.argmax(axis=1), minlength=classes) / len(q)
    before = [_kolmogorov(a, b, plain) for a, b in pairs]
    before.append(float(np.abs(answered - now).sum()) / 2)
    after = [_kolmogorov(a, b, rows) for a, b in pairs]
    # Two questions at 5 %, as in `kolmogorov`.
    chance = math.sqrt(0.5 * math.log(2 * 2 / 0.05) * (1 / effective_n + 1 / len(q)))
    return max(before), max(after), chance


def _kolmogorov(a: Floats, b: Floats, weights: Floats) -> float:
    """Return the largest difference of two distribution functions; `weights` are of `a`."""
    order, b = np.argsort(a), np.sort(b)
    a, so_far = a[order], np.append(0.0, np.cumsum(weights[order]))
    points = np.concatenate([a, b])
    first = so_far[np.searchsorted(a, points, side="right")] / so_far[-1]
    second = np.searchsorted(b, points, side="right") / len(b)
    return float(np.abs(first - second).max())
