"""Whether two samples of vectors come from one distribution, and which rows say that they do not.

The squared maximum mean discrepancy under several Gaussian kernels at once: of four widths, on the
columns as they are and on columns of equal spread. How large it gets by chance is found by
exchanging rows between the samples, so the answer is exact for any distribution: the kernels are
standardised by the same exchanges and the largest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import check_count

Singles = NDArray[np.float32]
Blocks = NDArray[Any] | Iterable[NDArray[Any]] | Callable[[], Iterable[NDArray[Any]]]

WIDTHS = (2.0, 1.0, 0.5, 0.25)
"""Kernel widths in units of the median distance between rows."""
EXACT_ROWS = 10_000
"""Both samples together; beyond, random features take the place of pairs."""
_PILOT = 1000
_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class KernelTest:
    """Whether two samples differ: `p_value` of their being of one distribution.

    `statistic` is the largest standardised discrepancy over the kernels, `bandwidth` the width at
    which it was found, in the rows' units or, where `equal_spread`, in standard deviations of the
    columns; `discrepancy` is the squared MMD there, free of bias (it may be below 0).
    `reference_n` and `current_n` count the rows compared. `witness_reference` and
    `witness_current` have a number for each row of the arrays: the more positive, the more typical
    of the reference and the less of current; None where blocks were given. `method` is "pairs" or
    "random features".
    """

    p_value: float
    statistic: float
    bandwidth: float
    equal_spread: bool
    discrepancy: float
    reference_n: int
    current_n: int
    permutations: int
    method: str
    witness_reference: Singles | None
    witness_current: Singles | None


def kernel_two_sample(
    reference: Blocks,
    current: Blocks,
    *,
    permutations: int = 199,
    seed: int = 0,
    bandwidths: Sequence[float] | None = None,
) -> KernelTest:
    """Return whether two samples of vectors differ in distribution, in any way, and where.

    Arrays (rows, columns) of finite numbers. `bandwidths` replaces the kernels by others of these
    widths, on the columns as they are. The p-value is (1 + #>=) / (1 + permutations), where rows
    are exchanged: it is at most alpha with probability alpha at most, at any n. A significant
    difference may be too small to matter: `domain_auc` says how large it is.

    Up to 10,000 rows all pairs are compared, and all exchanges are one matrix product. Beyond, or
    where blocks are given (an iterable of arrays of rows, or a function returning one), 128 random
    features for each kernel take the place of pairs, and groups of equally many consecutive rows
    are exchanged: one pass, in time linear in the rows and in memory that does not depend on them.
    Of a sample over 64 times as large as the other, the first rows are taken. Raises ValueError.

    Source: Gretton et al. (2012), JMLR 13, 723-773; several widths, Biggs, Schrab and Gretton
    (2023), NeurIPS; random features, Zhao and Meng (2015), Neural Computation 27, 1345-1372.
    """
    check_count(permutations, "permutations", least=19)
    draw = np.random.default_rng(seed)
    if bandwidths is not None and not (
        len(bandwidths) and all(0 < width < np.inf for width in bandwidths)
    ):
        raise ValueError("bandwidths: must be positive and finite, at least one")
    if isinstance(reference, np.ndarray) and isinstance(current, np.ndarray):
        x, y = rows_of(reference, "reference"), rows_of(current, "current")
        if x.shape[1] != y.shape[1]:
            raise ValueError(f"current: has {y.shape[1]} columns, reference has {x.shape[1]}")
        if len(x) + len(y) <= EXACT_ROWS:
            return _pairs(x, y, bandwidths, permutations, draw)
    from modelchecks.stats.kernel_features import features_test

    return features_test(reference, current, bandwidths, permutations, draw)


def rows_of(values: Any, name: str) -> Singles:
    """Return rows (rows, columns) as float32, or raise ValueError that names the argument."""
    array = np.asarray(values)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: must be numbers (rows, columns), with at least one row")
    with np.errstate(over="ignore"):
        rows = array.astype(np.float32, copy=False)
    # The sum is finite where all are, and cheaper to look at; it may also overflow.
    if not np.isfinite(rows.sum(dtype=np.float64)) or not np.isfinite(rows).all():
        raise ValueError(f"{name}: must be finite numbers")
    return rows


def median_distance(rows: Singles, draw: np.random.Generator) -> float:
    """Return the median distance between rows, of at most 1,000 of them chosen at random.

    1 where most rows are equal and there is no distance to speak of.
    """
    some = rows[draw.permutation(len(rows))[:_PILOT]].astype(np.float64)
    some = some - some.mean(axis=0)
    squares = (some**2).sum(1)
    apart = squares[:, None] + squares - 2 * some @ some.T
    found = np.sqrt(np.maximum(apart[np.triu_indices(len(some), 1)], 0))
    found = found[found > 1e-6 * np.sqrt(max(squares.max(), 1e-30))]
    return float(np.median(found)) if len(found) else 1.0


def exchanges(n: int, m: int, permutations: int, draw: np.random.Generator) -> Singles:
    """Return weights (1 + permutations, n + m) whose products are differences of two means.

    The first row is of the samples as they are: 1/n for the first n entries, -1/m for the rest.
    """
    weights = np.empty((1 + permutations, n + m), dtype=np.float32)
    weights[0, :n], weights[0, n:] = 1 / n, -1 / m
    weights[1:] = draw.permuted(np.tile(weights[0], (permutations, 1)), axis=1)
    return weights


@dataclass(frozen=True, slots=True)
class Kernels:
    """Gaussian kernels of several widths on columns multiplied by `scale`."""

    scale: Singles
    widths: tuple[float, ...]


def kernel_grid(
    rows: Singles, bandwidths: Sequence[float] | None, draw: np.random.Generator
) -> list[Kernels]:
    """Return the kernels for rows like these: the columns as they are, and of equal spread."""
    as_they_are = np.ones(rows.shape[1], dtype=np.float32)
    if bandwidths is not None:
        return [Kernels(as_they_are, tuple(float(width) for width in bandwidths))]
    spread = rows.std(axis=0, dtype=np.float64)
    varies = spread > 1e-6 * max(float(spread.max()), 1e-30)
    equal = np.where(varies, 1 / np.where(varies, spread, 1), 0).astype(np.float32)
    found = []
    for scale in (as_they_are, equal):
        middle = median_distance(rows * scale, draw)
        found.append(Kernels(scale, tuple(width * middle for width in WIDTHS)))
    return found


def largest_standardised(values: NDArray[np.float64], least: float) -> tuple[float, float, int]:
    """Return the p-value, the statistic and the kernel that it comes from.

    `values` (kernels, 1 + permutations), the first column of the samples as they are. A kernel
    whose values spread less than `least` (rounding) says nothing.
    """
    spread = values.std(axis=1, keepdims=True)
    says = spread > least
    scaled = np.where(says, values - values.mean(axis=1, keepdims=True), 0.0)
    scaled = scaled / np.where(says, spread, 1.0)
    most = scaled.max(axis=0)
    # The same exchange drawn twice may differ by rounding, and is equal.
    as_far = int((most[1:] >= most[0] - 1e-6).sum())
    return (1 + as_far) / values.shape[1], float(most[0]), int(scaled[:, 0].argmax())


def _pairs(
    x: Singles,
    y: Singles,
    bandwidths: Sequence[float] | None,
    permutations: int,
    draw: np.random.Generator,
) -> KernelTest:
    n, m = len(x), len(y)
    rows = np.concatenate([x, y])
    grid = kernel_grid(rows, bandwidths, draw)
    rows = rows - rows.mean(axis=0)
    weights = exchanges(n, m, permutations, draw)
    widths = [width for kernels in grid for width in kernels.widths]
    values = np.zeros((len(widths), 1 + permutations))
    means = np.zeros((len(widths), n + m, 2), dtype=np.float32)
    sides = np.zeros((n + m, 2), dtype=np.float32)
    sides[:n, 0], sides[n:, 1] = 1, 1
    number = 0
    for kernels in grid:
        scaled = rows * kernels.scale
        squares = (scaled**2).sum(1)
        for start in range(0, n + m, _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            apart = squares[here, None] + squares - 2 * scaled[here] @ scaled.T
            np.maximum(apart, 0, out=apart)
            # A row is no evidence about itself, and the diagonal is the same in every exchange.
            np.fill_diagonal(apart[:, start:], np.inf)
            for place, kernel in enumerate(_kernels(apart, kernels.widths), number):
                values[place] += np.einsum("pr,pr->p", weights @ kernel.T, weights[:, here])
                means[place, here] = kernel @ sides
        number += len(kernels.widths)
    p_value, statistic, best = largest_standardised(values, 1e-6 * (1 / n + 1 / m))
    sums = means[best].astype(np.float64)
    within = [sums[:n, 0].sum() / max(n * (n - 1), 1), sums[n:, 1].sum() / max(m * (m - 1), 1)]
    others = np.empty((n + m, 2))
    others[:n], others[n:] = (max(n - 1, 1), m), (n, max(m - 1, 1))
    witness = (sums / others) @ np.array([1.0, -1.0])
    return KernelTest(
        p_value,
        statistic,
        widths[best],
        best >= len(grid[0].widths),
        float(sum(within) - 2 * sums[:n, 1].sum() / (n * m)),
        n,
        m,
        permutations,
        "pairs",
        witness[:n].astype(np.float32),
        witness[n:].astype(np.float32),
    )


def _kernels(apart: Singles, bandwidths: Sequence[float]) -> Iterable[Singles]:
    """Yield exp(-d² / 2 width²) for each width; where each is half the last, by squaring twice."""
    kernel = apart
    for number, width in enumerate(bandwidths):
        if number and abs(2 * width - bandwidths[number - 1]) < 1e-9 * width:
            kernel = np.square(kernel)
            np.square(kernel, out=kernel)
        else:
            kernel = np.exp(apart * np.float32(-0.5 / width**2))
        yield kernel
