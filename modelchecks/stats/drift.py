"""How far one feature has moved, whatever its kind, with gaps and with what is shown beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.distance import kolmogorov, kuiper, total_variation
from modelchecks.stats.effects import jensen_shannon, population_stability, scaled_wasserstein
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import Floats, check_alpha, check_count, numbers

Kind = Literal["numeric", "ordinal", "categorical", "circular"]
BINS = 10
"""Cells of equal share in the reference, for PSI and Jensen-Shannon of numbers."""
CELLS = 500
"""Values in a permutation test; neighbours beyond that are taken together: it stays exact."""


@dataclass(frozen=True, slots=True)
class FeatureDistance:
    """How far a feature has moved: `estimate` decides, the rest is shown beside it.

    `missing` are the shares of missing values in reference and current; `unseen` the share of the
    current rows in each category that the reference lacks, most first. `psi` and
    `jensen_shannon` (bits) are freed of what chance adds; `wasserstein` is in standard deviations
    of the reference, None where there is no such thing.
    """

    kind: Kind
    estimate: Estimate
    missing: tuple[float, float]
    unseen: dict[Hashable, float]
    psi: float
    jensen_shannon: float
    wasserstein: float | None


def feature_distance(
    reference: NDArray[Any] | Sequence[Any],
    current: NDArray[Any] | Sequence[Any],
    *,
    kind: Kind = "numeric",
    order: Sequence[Hashable] | None = None,
    period: float | None = None,
    alpha: float = 0.05,
    features: int = 1,
) -> FeatureDistance:
    """Return how far a feature's distribution has moved, 0 (same) to 1 (disjoint).

    numeric: `kolmogorov`. ordinal: the same on ranks, numbers as they are or names in the `order`
    given, lowest first. circular: `kuiper` with its `period`. categorical: `total_variation`,
    where a missing value is a category of its own and one that the reference lacks counts in full.
    Missing is None and NaN: of the first three kinds the distance is the larger of that of the
    values present and the difference of the shares missing; passing needs both within the margin,
    failing either beyond it, as two features of one set. A constant feature is ordinary input.
    `features` is the number of features judged together. `n` of the estimate counts the current
    rows. Raises ValueError that names the argument.
    """
    _check(kind, order, period)
    check_alpha(alpha)
    check_count(features, "features")
    if kind == "categorical":
        return _categorical(reference, current, alpha, features)
    a, gaps_a = _present(reference, "reference", order)
    b, gaps_b = _present(current, "current", order)
    gaps = gaps_a + gaps_b
    questions = features * (2 if gaps else 1)
    estimates = []
    if len(a) and len(b):
        if period is not None:
            found = kuiper(a, b, period=period, alpha=alpha, features=questions)
        else:
            found = kolmogorov(a, b, alpha=alpha, features=questions)
        estimates.append(found)
    shares = [np.array([len(a), gaps_a]), np.array([len(b), gaps_b])]
    if gaps:
        estimates.append(total_variation(*shares, alpha=alpha, features=questions))
    first, second = (count[1] / count.sum() for count in shares)
    cells = [
        np.append(counts, missing)
        for counts, missing in zip(_binned(a, b, period), (gaps_a, gaps_b), strict=True)
    ]
    circular = period is not None
    return FeatureDistance(
        kind,
        _largest(estimates, int(shares[1].sum())),
        (float(first), float(second)),
        {},
        population_stability(*cells),
        jensen_shannon(*cells),
        None if circular or not (len(a) and len(b)) else scaled_wasserstein(a, b),
    )


def permutation_p_value(
    reference: NDArray[Any] | Sequence[Any],
    current: NDArray[Any] | Sequence[Any],
    *,
    kind: Kind = "numeric",
    order: Sequence[Hashable] | None = None,
    period: float | None = None,
    permutations: int = 999,
    seed: int = 0,
) -> float:
    """Return how often chance alone would set the two samples as far apart, or farther.

    Information beside `feature_distance`, never a decision: at a million rows everything is
    significant. (1 + #>=) / (1 + permutations) over random exchanges of the rows, so it is never
    0 and exact at any n, ties included; where values are missing, twice the smaller of the two
    questions' p-values. Raises ValueError that names the argument.

    Source: Phipson and Smyth (2010), Statistical Applications in Genetics 9, 39.
    """
    _check(kind, order, period)
    check_count(permutations, "permutations")
    draw = np.random.default_rng(seed)
    if kind == "categorical":
        _, first, second = _tables(reference, current)
        return _exchanged(first, second, kind, permutations, draw)
    a, gaps_a = _present(reference, "reference", order)
    b, gaps_b = _present(current, "current", order)
    found = []
    if len(a) and len(b):
        if period is not None:
            a, b = a % period, b % period
        _, cell = np.unique(np.concatenate([a, b]), return_inverse=True)
        cell = cell * min(CELLS, cell.max() + 1) // (cell.max() + 1)
        count = int(cell.max()) + 1
        first, second = (np.bincount(p, minlength=count) for p in np.split(cell, [len(a)]))
        found.append(_exchanged(first, second, kind, permutations, draw))
    if gaps_a + gaps_b:
        first, second = np.array([len(a), gaps_a]), np.array([len(b), gaps_b])
        found.append(_exchanged(first, second, "categorical", permutations, draw))
    return min(1.0, len(found) * min(found))


def _exchanged(
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    kind: Kind,
    permutations: int,
    draw: np.random.Generator,
) -> float:
    """Return the permutation p-value of two tables of counts over the same cells."""
    n, m, pooled = int(a.sum()), int(b.sum()), a + b
    drawn = draw.multivariate_hypergeometric(pooled, n, size=permutations, method="marginals")

    def distance(table: NDArray[np.int64]) -> Floats:
        # Whole numbers, so that equal distances are equal.
        apart: NDArray[Any] = table * m - (pooled - table) * n
        if kind == "categorical":
            return np.asarray(np.abs(apart).sum(-1))
        so_far = np.cumsum(apart, -1)
        if kind == "circular":
            return np.asarray(np.maximum(so_far.max(-1), 0) - np.minimum(so_far.min(-1), 0))
        return np.asarray(np.abs(so_far).max(-1))

    return float(1 + (distance(drawn) >= distance(a)).sum()) / (1 + permutations)


def _categorical(reference: Any, current: Any, alpha: float, features: int) -> FeatureDistance:
    names, a, b = _tables(reference, current)
    gap = names.index(None) if None in names else None
    missing = (0.0, 0.0) if gap is None else (float(a[gap] / a.sum()), float(b[gap] / b.sum()))
    new = [i for i in np.argsort(-b, kind="stable") if b[i] and not a[i] and i != gap]
    return FeatureDistance(
        "categorical",
        total_variation(a, b, alpha=alpha, features=features),
        missing,
        {names[i]: float(b[i] / b.sum()) for i in new},
        population_stability(a, b),
        jensen_shannon(a, b),
        None,
    )


def _tables(
    reference: Any, current: Any
) -> tuple[list[Hashable], NDArray[np.int64], NDArray[np.int64]]:
    """Return the categories, None for missing, and how often each comes."""
    first, second = _counted(reference, "reference"), _counted(current, "current")
    names = list({**first, **second})
    a, b = (np.array([table.get(name, 0) for name in names]) for table in (first, second))
    return names, a, b


def _counted(values: Any, name: str) -> Mapping[Hashable, int]:
    array = _column(values, name)
    if array.dtype.kind == "O":
        # NaN is unequal to itself, which would make each a category of its own.
        return Counter(None if value is None or value != value else value for value in array)
    gaps = np.zeros(len(array), dtype=np.bool_)
    if array.dtype.kind in "fcmM":
        gaps = np.isnat(array) if array.dtype.kind in "mM" else np.isnan(array)
    found, counts = np.unique(array[~gaps], return_counts=True)
    table: dict[Hashable, int] = dict(zip(found.tolist(), counts.tolist(), strict=True))
    if gaps.any():
        table[None] = int(gaps.sum())
    return table


def _present(values: Any, name: str, order: Sequence[Hashable] | None) -> tuple[Floats, int]:
    """Return the values that are there as numbers, and how many are missing."""
    array = _column(values, name)
    if order is not None:
        rank = {level: number for number, level in enumerate(order)}
        array = array.astype(object)
        there = np.array([not (value is None or value != value) for value in array])
        unknown = {value for value in array[there] if value not in rank}
        if unknown:
            raise ValueError(f"{name}: has {min(map(str, unknown))!r}, which `order` does not name")
        return np.array([rank[v] for v in array[there]], np.float64), int((~there).sum())
    if array.dtype.kind == "O":
        array = np.array([np.nan if value is None else value for value in array])
    sample = numbers(array, name)
    gaps = np.isnan(sample)
    return sample[~gaps], int(gaps.sum())


def _column(values: Any, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        array = np.asarray(values, dtype=object)  # else None or NaN in a list would become text
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name}: must be one dimension with at least one value")
    return array


def _binned(a: Floats, b: Floats, period: float | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return counts over cells that hold equal shares of the reference."""
    if period is not None:
        a, b = a % period, b % period
    if not len(a):
        return np.array([0]), np.array([len(b)])
    inner = np.unique(np.quantile(a, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    first, second = (
        np.bincount(np.searchsorted(inner, part, side="left"), minlength=len(inner) + 1)
        for part in (a, b)
    )
    return first, second


def _largest(estimates: Sequence[Estimate], n: int) -> Estimate:
    """Return the largest of several distances: each limit is the largest of theirs."""
    most = max(estimates, key=lambda estimate: estimate.value)
    return Estimate(
        most.value,
        max(estimate.low for estimate in estimates),
        max(estimate.high for estimate in estimates),
        max(estimate.lower_bound for estimate in estimates),
        max(estimate.upper_bound for estimate in estimates),
        most.alpha,
        n,
        most.method,
    )


def _check(kind: str, order: object, period: object) -> None:
    if kind not in get_args(Kind):
        raise ValueError(f"kind: {kind!r} is none of {', '.join(get_args(Kind))}")
    if (kind == "circular") != (period is not None):
        raise ValueError("period: a circular feature needs one, and no other has one")
    if order is not None and kind != "ordinal":
        raise ValueError("order: only an ordinal feature has one")
