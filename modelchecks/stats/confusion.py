"""Metrics of a table of true classes by answers, with bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.bootstrap import bca_limits, blocks, four_levels
from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha, check_count, proportion
from modelchecks.stats.mean import FEWEST_ROWS, beta_limits

FEWEST_OF_CLASS = 5
"""Rows of every class that a macro F1 needs; with fewer its upper bound erred in up to 12 %."""
OF_ONE_CLASS = frozenset({"f1", "precision", "recall"})

Summary = Callable[[Floats, Floats, Floats], Floats]


def confusion_metric(
    name: str,
    table: NDArray[Any],
    *,
    label: int | None = None,
    alpha: float = 0.05,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return a metric of a table of counts: a row for each true class, a column for each answer.

    `name` is one of `CONFUSION_METRICS`; f1, precision and recall are of the class `label`. A
    class without rows and answers does not count. Raises TooFewRowsError where the rows of a
    class do not carry the metric, ValueError for other input.

    accuracy, precision, recall and f1 are shares of rows, or one function of such a share: exact
    Clopper-Pearson bounds and a Wilson interval. balanced_accuracy is a weighted share of rows:
    `beta_limits`. macro_f1, weighted_f1 and kappa are resampled: BCa over the cells, or what a
    Dirichlet law with one more wrong row (for the upper bound: right row) gives, whichever is
    wider. BCa alone erred in up to 61 % at alpha = 5 % where few answers are wrong, this in 5.6.

    Source: Efron (1987), Journal of the American Statistical Association 82, 171-185; Rubin
    (1981), Annals of Statistics 9, 130-134.
    """
    if name not in CONFUSION_METRICS:
        raise ValueError(f"name: {name!r} is none of {', '.join(CONFUSION_METRICS)}")
    counts = _table(table)
    check_alpha(alpha)
    check_count(resamples, "resamples", least=100)
    if (label is not None) != (name in OF_ONE_CLASS):
        raise ValueError(f"label: {name} takes {'one' if name in OF_ONE_CLASS else 'none'}")
    if name in _RESAMPLED:
        return _resampled(name, counts, alpha, resamples, seed)
    if name == "balanced_accuracy":
        return _balanced_accuracy(counts, alpha)
    hits, truths, answers = np.diagonal(counts), counts.sum(1), counts.sum(0)
    if label is None:
        return proportion(int(hits.sum()), int(truths.sum()), alpha=alpha)
    check_count(label, "label", least=0)
    if label >= len(counts):
        raise ValueError(f"label: {label} is none of the {len(counts)} classes")
    hit, truth, answer = int(hits[label]), int(truths[label]), int(answers[label])
    rows = {"recall": truth, "precision": answer, "f1": truth + answer - hit}[name]
    if rows == 0:
        raise TooFewRowsError(f"table: class {label} has no rows for its {name}")
    share = proportion(hit, rows, alpha=alpha)
    return share if name != "f1" else _f1(share)


def _f1(share: Estimate) -> Estimate:
    """Return the F1 of a class, which grows with the share of hits among the rows it touches."""
    names = ("value", "low", "high", "lower_bound", "upper_bound")
    jaccard = {name: getattr(share, name) for name in names}
    return replace(share, **{name: 2 * j / (1 + j) for name, j in jaccard.items()})


def _balanced_accuracy(counts: Floats, alpha: float) -> Estimate:
    hits, truths = np.diagonal(counts), counts.sum(1)
    used = truths + counts.sum(0) > 0
    hits, truths = hits[used], truths[used]
    if not truths.all():
        raise TooFewRowsError("table: a class that was answered has no rows, so no recall")
    # Every row weighs what its class's rows share; right rows are parts of 1, wrong ones of 0.
    weights = np.tile(1 / (len(truths) * truths), 2)
    parts = np.repeat([1.0, 0.0], len(truths))
    times = np.concatenate([hits, truths - hits])
    there = times > 0
    value = float((hits / truths).mean())
    limits = [
        beta_limits(value, parts[there], weights[there], alpha=level, counts=times[there])
        for level in (0.025, alpha)
    ]
    return Estimate(value, *limits[0], *limits[1], alpha, int(truths.sum()), "beta-mean")


def _macro_f1(hits: Floats, truths: Floats, answers: Floats) -> Floats:
    touched = truths + answers
    f1 = 2 * hits / np.where(touched > 0, touched, 1)
    return np.asarray(f1.sum(-1) / (touched > 0).sum(-1))


def _weighted_f1(hits: Floats, truths: Floats, answers: Floats) -> Floats:
    touched = truths + answers
    f1 = 2 * hits / np.where(touched > 0, touched, 1)
    return np.asarray((truths * f1).sum(-1) / truths.sum(-1))


def _kappa(hits: Floats, truths: Floats, answers: Floats) -> Floats:
    n = truths.sum(-1)
    by_chance = (truths * answers).sum(-1) / n**2
    # One class alone: agreement by chance is certain, and none is beyond it.
    agreed = hits.sum(-1) / n - by_chance
    return np.asarray(
        np.where(by_chance < 1, agreed / np.where(by_chance < 1, 1 - by_chance, 1), 0)
    )


_RESAMPLED: dict[str, Summary] = {
    "kappa": _kappa,
    "macro_f1": _macro_f1,
    "weighted_f1": _weighted_f1,
}
CONFUSION_METRICS = ("accuracy", "balanced_accuracy", *sorted([*OF_ONE_CLASS, *_RESAMPLED]))
"""The names that `confusion_metric` takes."""


def _resampled(name: str, counts: Floats, alpha: float, resamples: int, seed: int) -> Estimate:
    truths = counts.sum(1)
    used = np.flatnonzero(truths + counts.sum(0) > 0)
    if len(used) < 2:
        raise TooFewRowsError(f"table: {name} needs two classes, and one is there")
    counts, truths = counts[np.ix_(used, used)], truths[used]
    n = int(truths.sum())
    if n < FEWEST_ROWS:
        raise TooFewRowsError(f"table: {n} rows are too few for the bounds of {name}")
    if name == "macro_f1" and truths.min() < FEWEST_OF_CLASS:
        raise TooFewRowsError(
            f"table: class {used[truths.argmin()]} has {truths.min():.0f} rows; a macro F1 needs "
            f"{FEWEST_OF_CLASS} of every class"
        )
    cells = _Cells(counts, _RESAMPLED[name])
    draw = np.random.default_rng(seed)
    levels = four_levels(alpha)
    lowest, highest = (cells.one_more(right, resamples, draw) for right in (False, True))
    low, lower = np.quantile(lowest, levels[[0, 2]])
    high, upper = np.quantile(highest, levels[[1, 3]])
    value = float(cells.of(cells.times[None])[0])
    resampled = cells.multinomial(resamples, draw)
    if resampled.min() < resampled.max():
        left_out = cells.left_out()
        bca = bca_limits(value, resampled, left_out, levels, counts=cells.times)
        low, lower = min(low, bca[0]), min(lower, bca[2])
        high, upper = max(high, bca[1]), max(upper, bca[3])
    method = "bca-dirichlet-cells"
    return Estimate(value, float(low), float(high), float(lower), float(upper), alpha, n, method)


class _Cells:
    """The cells of a table that hold rows, and a metric of many tables that differ only there."""

    def __init__(self, counts: Floats, summary: Summary) -> None:
        self.truth, self.answer = np.nonzero(counts)
        self.times = counts[self.truth, self.answer]
        self.classes = len(counts)
        self.shares = counts.sum(1) / counts.sum()
        self.n = int(counts.sum())
        self.summary = summary
        self.width = len(self.times) + 4 * self.classes

    def of(
        self, times: Floats, extra: tuple[NDArray[Any], NDArray[Any], Floats] | None = None
    ) -> Floats:
        """Return the metric of tables (tables, cells), each with an extra cell where given."""
        hits, truths, answers = (np.zeros((len(times), self.classes)) for _ in range(3))
        on = self.truth == self.answer
        hits[:, self.truth[on]] = times[:, on]
        _add(truths, self.truth, times)
        order = np.argsort(self.answer, kind="stable")
        _add(answers, self.answer[order], times[:, order])
        if extra is not None:
            truth, answer, weight = extra
            table = np.arange(len(times))
            truths[table, truth] += weight
            answers[table, answer] += weight
            hits[table, truth] += np.where(truth == answer, weight, 0)
        return self.summary(hits, truths, answers)

    def multinomial(self, tables: int, draw: np.random.Generator) -> Floats:
        sizes = blocks(tables, self.width)
        shares = self.times / self.times.sum()
        drawn = (draw.multinomial(self.n, shares, k).astype(np.float64) for k in sizes)
        return np.concatenate([self.of(times) for times in drawn])

    def left_out(self) -> Floats:
        """Return the metric without one row of each cell."""
        found, at = [], 0
        for k in blocks(len(self.times), self.width):
            times = np.tile(self.times, (k, 1))
            times[np.arange(k), np.arange(at, at + k)] -= 1
            found.append(self.of(times))
            at += k
        return np.concatenate(found)

    def one_more(self, right: bool, tables: int, draw: np.random.Generator) -> Floats:
        """Return the metric of Dirichlet tables that hold one more row, right or wrong."""
        found = []
        for k in blocks(tables, self.width):
            weights = draw.standard_gamma(self.times, (k, len(self.times)))
            truth = draw.choice(self.classes, size=k, p=self.shares)
            away = draw.integers(1, self.classes, k)
            answer = truth if right else (truth + away) % self.classes
            found.append(self.of(weights, (truth, answer, draw.standard_gamma(1.0, k))))
        return np.concatenate(found)


def _add(sums: Floats, classes: NDArray[Any], times: Floats) -> None:
    """Add up the cells of each class; `classes` is sorted."""
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    sums[:, classes[starts]] = np.add.reduceat(times, starts, axis=1)


def _table(table: NDArray[Any]) -> Floats:
    counts = np.asarray(table)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise ValueError("table: must be square, with a row and a column for each of 2 classes")
    whole = counts.dtype.kind in "iuf" and ((counts >= 0) & (counts == np.floor(counts))).all()
    if not whole or not 0 < counts.sum() < math.inf:
        raise ValueError("table: must hold whole numbers, none negative or NaN, not all 0")
    return counts.astype(np.float64)
