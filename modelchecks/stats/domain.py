"""How well current rows can be told from reference rows: similarity in a unit that people know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.domain_fit import FOLDS, Gathered, fitted
from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha
from modelchecks.stats.kernel import Singles, median_distance, rows_of
from modelchecks.stats.mean import beta_limits
from modelchecks.stats.products import waves
from modelchecks.stats.roc import FEWEST_CASES, placements

Rows = NDArray[Any] | Iterable[NDArray[Any]] | Callable[[], Iterable[NDArray[Any]]]

WAVES = 128
"""Random features beside the columns and their squares, for what needs several columns at once."""
PILOT = 5000
"""Rows of either side that the columns' scales are taken from."""
_AT_ONCE = 8192


@dataclass(frozen=True, slots=True, eq=False)
class DomainAuc(Estimate):
    """The area under the ROC curve of a classifier that tells current rows from reference ones.

    0.5: it cannot; 1: always. `attribution` (columns,) is each column's part in the mean difference
    of the two sides' scores, by its value and its square; with `together`, the part that only
    several columns make, it sums to 1. A part may be below 0 where another column makes up for it.
    `direction` (columns,) is the linear part of the score, per standard deviation. Scores, one per
    row, higher for rows more like current ones and less like the reference, each from a classifier
    that has not seen the row; None where blocks were given. Scores of different folds are on one
    scale: a distance in standard deviations.
    """

    reference_n: int
    attribution: Floats
    together: float
    direction: Floats
    score_reference: Singles | None
    score_current: Singles | None


def domain_auc(reference: Rows, current: Rows, *, alpha: float = 0.05, seed: int = 0) -> DomainAuc:
    """Return how well a classifier tells current rows from reference rows that it has not seen.

    Rows (rows, columns) of finite numbers, or blocks of them that can be read twice (a list, or a
    function that returns an iterable): three sums of a few hundred features per fold are all that
    is kept, beside a score per row. The classifier is a regularised linear discriminant on the
    columns, their squares and random waves of all columns; how much of that it uses, and how
    strongly it is held back, is chosen within each training part. Five folds, each row scored by
    the four others; the value is the mean area over the folds, and what is estimated is the area
    that a classifier trained on four fifths of these rows has on new ones. So an upper bound within
    a margin says that this classifier finds no more, not that none could. The limits are those of
    the rows' placements, stretched by sqrt(1 + 5/4): the classifiers share most of their rows, and
    without it limits of 5 % erred in up to 11 %. `n` is the number of
    current rows. Raises TooFewRowsError under 20 rows a side, ValueError for other input.

    Source: Lopez-Paz and Oquab (2017), ICLR (classifier two-sample tests); LeDell, Petersen and
    van der Laan (2015), Electronic Journal of Statistics 9, 1583-1607 (cross-validated areas);
    Nadeau and Bengio (2003), Machine Learning 52, 239-281 (the stretch).
    """
    check_alpha(alpha)
    draw = np.random.default_rng(seed)
    expand = _Expansion(reference, current, draw)
    gathered = []
    for rows, name in ((reference, "reference"), (current, "current")):
        sums = Gathered(expand.features)
        for position, block in blocks_of(rows, name):
            if block.shape[1] != expand.columns:
                raise ValueError(
                    f"{name}: has {block.shape[1]} columns, others have {expand.columns}"
                )
            sums.add(expand(block), (position + np.arange(len(block))) % FOLDS)
        if sums.count.sum() < FEWEST_CASES:
            raise TooFewRowsError(
                f"{name}: has {int(sums.count.sum())} rows, {FEWEST_CASES} are needed"
            )
        gathered.append(sums)
    weights = fitted(gathered[0], gathered[1], expand.groups)
    scores, folds = zip(
        *(
            _scores(rows, name, expand, weights)
            for rows, name in ((reference, "reference"), (current, "current"))
        ),
        strict=True,
    )
    value, parts, moved = _areas(scores, folds)
    lower, upper = _stretched(value, beta_limits(value, parts, moved, alpha=alpha))
    low, high = _stretched(value, beta_limits(value, parts, moved, alpha=0.025))
    apart = gathered[1].mean() - gathered[0].mean()
    along = weights.mean(axis=0)
    share = along * apart / max(float(along @ apart), 1e-12)
    columns = expand.columns
    arrays = isinstance(reference, np.ndarray) and isinstance(current, np.ndarray)
    return DomainAuc(
        value,
        low,
        high,
        lower,
        upper,
        alpha,
        len(scores[1]),
        "cross-fitted area",
        len(scores[0]),
        share[:columns] + share[columns : 2 * columns],
        float(share[2 * columns :].sum()),
        along[:columns],
        scores[0] if arrays else None,
        scores[1] if arrays else None,
    )


def blocks_of(rows: Rows, name: str) -> Iterator[tuple[int, Singles]]:
    """Yield (position of the first row, rows), a few thousand at once."""
    parts: Iterable[NDArray[Any]]
    if isinstance(rows, np.ndarray):
        parts = [rows]
    elif callable(rows):
        parts = rows()
    elif isinstance(rows, Iterator):
        raise ValueError(f"{name}: can be read only once; give a list, or a function returning it")
    else:
        parts = rows
    position = 0
    for part in parts:
        for start in range(0, len(part), _AT_ONCE):
            block = rows_of(part[start : start + _AT_ONCE], name)
            yield position, block
            position += len(block)


class _Expansion:
    """The features of a row: columns, their squares, and waves across all columns."""

    def __init__(self, reference: Rows, current: Rows, draw: np.random.Generator) -> None:
        first = _pilot(reference, "reference")
        second = _pilot(current, "current")
        if first.shape[1] != second.shape[1]:
            raise ValueError(
                f"current: has {second.shape[1]} columns, reference has {first.shape[1]}"
            )
        least = min(len(first), len(second))
        both = np.concatenate([first[:least], second[:least]]).astype(np.float64)
        self.centre = both.mean(axis=0).astype(np.float32)
        spread = both.std(axis=0)
        self.scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0).astype(np.float32)
        self.columns = both.shape[1]
        width = median_distance(((both - self.centre) * self.scale).astype(np.float32), draw)
        turns = draw.standard_normal((self.columns, WAVES)) / (0.5 * width)
        self.turns = turns.astype(np.float32)
        self.phase = draw.uniform(0, 2 * np.pi, WAVES).astype(np.float32)
        self.features = 2 * self.columns + WAVES
        self.groups = (self.columns, 2 * self.columns, self.features)

    def __call__(self, rows: Singles) -> Singles:
        z = (rows - self.centre) * self.scale
        # Six standard deviations: one wild row would else be all that the squares see.
        z = np.clip(z, -6, 6)
        found = np.empty((len(rows), self.features), dtype=np.float32)
        found[:, : self.columns] = z
        np.square(z, out=found[:, self.columns : 2 * self.columns])
        (found[:, 2 * self.columns :],) = waves(z, self.turns, self.phase, "cos")
        return found


def _pilot(rows: Rows, name: str) -> Singles:
    kept: list[Singles] = []
    for position, block in blocks_of(rows, name):
        kept.append(block)
        if position + len(block) >= PILOT:
            break
    if not kept:
        raise ValueError(f"{name}: has no rows")
    if len({block.shape[1] for block in kept}) > 1:
        raise ValueError(f"{name}: has blocks of unequal columns")
    return np.concatenate(kept)[:PILOT]


def _scores(
    rows: Rows, name: str, expand: _Expansion, weights: Floats
) -> tuple[Singles, NDArray[np.int64]]:
    along = weights.T.astype(np.float32)
    found, folds = [], []
    for position, block in blocks_of(rows, name):
        fold = (position + np.arange(len(block))) % FOLDS
        found.append((expand(block) @ along)[np.arange(len(block)), fold])
        folds.append(fold)
    return np.concatenate(found), np.concatenate(folds)


def _stretched(value: float, limits: tuple[float, float]) -> tuple[float, float]:
    low, high = (value + (1 + FOLDS / (FOLDS - 1)) ** 0.5 * (limit - value) for limit in limits)
    return max(low, 0.0), min(high, 1.0)


def _areas(
    scores: tuple[Singles, ...], folds: tuple[NDArray[np.int64], ...]
) -> tuple[float, Floats, Floats]:
    """Return the mean area over the folds, each row's placement and how far it moves the mean."""
    parts, moved, total = [], [], 0.0
    for fold in range(FOLDS):
        below, above = (s[f == fold].astype(np.float64) for s, f in zip(scores, folds, strict=True))
        inside = placements(above, below)
        total += float(inside.mean())
        parts += [inside, 1 - placements(below, above)]
        moved += [np.full(len(side), 1 / (FOLDS * len(side))) for side in (above, below)]
    return total / FOLDS, np.concatenate(parts), np.concatenate(moved)
