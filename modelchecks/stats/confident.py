"""How many labels are wrong, from a model's probabilities on rows that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import check_alpha, proportion
from modelchecks.stats.mean import bounded_mean
from modelchecks.stats.temperature import class_labels, class_probabilities

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """The estimated share of wrong labels, and where it lies.

    `joint` (classes, classes) estimates the shares of rows by given and true class; `likely` is
    each row's confident class, -1 for none; `order` are the rows whose label looks wrong, the most
    striking first.
    """

    share: Estimate
    joint: NDArray[np.float64]
    likely: Ints
    order: Ints


def label_noise(
    probabilities: NDArray[Any], labels: NDArray[Any], *, alpha: float = 0.05
) -> LabelNoise:
    """Return the share of wrong labels by confident learning.

    A row counts for a class when its probability is at least the mean one of the rows labelled so;
    of several classes for the most probable. Among the rows labelled i that count at all, the share
    that counts for another class estimates how many of i are wrong; classes are weighted by how
    many rows they have. Limits are those of that weighted share. Errors that a model makes with
    confidence are taken for wrong labels, so this is an upper estimate for a model that errs much.
    Raises TooFewRowsError where a class has no row that counts.

    Source: Northcutt, Jiang and Chuang (2021), Confident Learning, Journal of Artificial
    Intelligence Research 70, 1373-1411.
    """
    check_alpha(alpha)
    chances = class_probabilities(probabilities, "probabilities")
    given = class_labels(labels, chances.shape, "labels")
    rows, classes = chances.shape
    counts = np.bincount(given, minlength=classes)
    there = counts > 0
    own = chances[np.arange(rows), given]
    means = np.bincount(given, own, minlength=classes) / np.maximum(counts, 1)
    # A class without a label of its own can be nobody's true class: nothing tells how sure is sure.
    sure = (chances >= means) & there
    likely = np.where(sure, chances, -1.0).argmax(axis=1)
    likely = np.where(sure.any(axis=1), likely, -1)
    counted = likely >= 0
    table = np.zeros((classes, classes))
    np.add.at(table, (given[counted], likely[counted]), 1)
    per_class = table.sum(axis=1)
    if (per_class[there] == 0).any():
        lacking = np.flatnonzero(there & (per_class == 0)).tolist()
        raise TooFewRowsError(f"labels: no row of classes {lacking} is sure of any class")
    joint = table / np.maximum(per_class, 1)[:, None] * (counts / rows)[:, None]
    wrong = (likely != given) & counted
    weights = (counts / np.maximum(per_class, 1))[given[counted]]
    share = bounded_mean(wrong[counted].astype(np.float64), weights=weights, alpha=alpha)
    margin = chances[np.arange(rows), np.maximum(likely, 0)] - own
    order = np.flatnonzero(wrong)
    order = order[np.argsort(-margin[order], kind="stable")]
    return LabelNoise(share, joint, likely, order)


def renumbered(table: NDArray[Any], *, alpha: float = 0.05) -> list[tuple[int, ...]]:
    """Return cycles of classes that seem to have changed their numbers.

    `table` counts rows by label and answer. Of all ways to renumber the classes the one that agrees
    with most answers is found (per class, so that large classes do not decide); a cycle is returned
    where in each of its classes more than half of the rows are answered as the next one, by a
    Bonferroni bound over the classes.

    Source: Kuhn (1955), Naval Research Logistics Quarterly 2, 83-97 (assignment).
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.asarray(table, dtype=np.int64)
    rows = counts.sum(axis=1)
    shares = counts / np.maximum(rows, 1)[:, None]
    _, answer = linear_sum_assignment(-shares)
    alpha = alpha / len(counts)
    moved = {
        label: int(to)
        for label, to in enumerate(answer.tolist())
        if to != label
        and rows[label]
        and proportion(int(counts[label, to]), int(rows[label]), alpha=alpha).lower_bound > 0.5
    }
    cycles, seen = [], set[int]()
    for start in moved:
        cycle, at = [start], moved[start]
        while at in moved and at != start and at not in cycle:
            cycle.append(at)
            at = moved[at]
        if at == start and start not in seen:
            cycles.append(tuple(cycle))
            seen |= set(cycle)
    return cycles
