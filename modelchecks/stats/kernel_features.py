"""The kernel two-sample test on any number of rows: random features, summed over groups of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats
from modelchecks.stats.kernel import (
    Blocks,
    Kernels,
    KernelTest,
    Singles,
    exchanges,
    kernel_grid,
    largest_standardised,
    rows_of,
)
from modelchecks.stats.products import waves

FREQUENCIES = 128
"""For each width; each gives a cosine and a sine."""
GROUPS = 2048
"""Sums kept of a sample: at least so many once it has as many rows, below twice as many."""
LARGER = 64
"""Beyond so many rows for each of the other sample's, more say nothing."""
_AT_ONCE = 4096


def features_test(
    reference: Blocks,
    current: Blocks,
    bandwidths: Sequence[float] | None,
    permutations: int,
    draw: np.random.Generator,
) -> KernelTest:
    """Return `kernel_two_sample` in one pass over blocks of rows, in constant memory."""
    sides = [_blocks(reference, "reference"), _blocks(current, "current")]
    first = [next(side, None) for side in sides]
    for block, name in zip(first, ("reference", "current"), strict=True):
        if block is None:
            raise ValueError(f"{name}: has no rows")
    x, y = (block for block in first if block is not None)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"current: has {y.shape[1]} columns, reference has {x.shape[1]}")
    pilot = min(len(x), len(y), 1000)
    grid = kernel_grid(np.concatenate([x[:pilot], y[:pilot]]), bandwidths, draw)
    widths = [width for kernels in grid for width in kernels.widths]
    map_ = _FeatureMap(grid, draw)
    sums = [_Sums(map_), _Sums(map_)]
    for one, block in zip(sums, (x, y), strict=True):
        one.add(block)
    # In turns, the smaller sample first, so that the larger one can end where more is of no use.
    open_ = [True, True]
    while any(open_):
        side = 0 if open_[0] and (not open_[1] or sums[0].rows <= sums[1].rows) else 1
        enough = not open_[1 - side] and sums[side].rows >= LARGER * sums[1 - side].rows
        block = None if enough else next(sides[side], None)
        if block is None:
            open_[side] = False
            continue
        if block.shape[1] != x.shape[1]:
            raise ValueError(f"{('reference', 'current')[side]}: has blocks of unequal columns")
        sums[side].add(block)
    size = max(one.size for one in sums)
    a, b = sums[0].groups(size), sums[1].groups(size)
    everything = np.concatenate([a, b]) / size
    middle_of_all = everything.mean(axis=0)
    centred = (everything - middle_of_all).astype(np.float32)
    weights = exchanges(len(a), len(b), permutations, draw)
    means = (weights @ centred).reshape(1 + permutations, len(widths), -1)
    values = np.square(means, dtype=np.float64).sum(axis=2).T
    n, m = len(a) * size, len(b) * size
    p_value, statistic, best = largest_standardised(values, 1e-6 * (1 / n + 1 / m))
    direction = np.zeros((len(widths), 2 * FREQUENCIES))
    direction[best] = (a.mean(axis=0) - b.mean(axis=0)).reshape(len(widths), -1)[best] / size
    arrays = isinstance(reference, np.ndarray) and isinstance(current, np.ndarray)
    return KernelTest(
        p_value,
        statistic,
        widths[best],
        best >= len(grid[0].widths),
        _unbiased(a, b, size, best, len(widths)),
        n,
        m,
        permutations,
        "random features",
        map_.witness(reference, direction, best) if arrays else None,
        map_.witness(current, direction, best) if arrays else None,
    )


def _unbiased(a: Singles, b: Singles, size: int, best: int, widths: int) -> float:
    """Return the squared MMD at a width, less what the rows' own spread adds."""
    first, second = (
        sums.reshape(len(sums), widths, -1)[:, best].astype(np.float64) / size for sums in (a, b)
    )
    chance = sum(
        float(part.var(axis=0, ddof=1).sum()) / len(part)
        for part in (first, second)
        if len(part) > 1
    )
    return float(np.square(first.mean(axis=0) - second.mean(axis=0)).sum()) - chance


class _FeatureMap:
    """Cosines and sines whose products are the kernels, on average."""

    def __init__(self, grid: Sequence[Kernels], draw: np.random.Generator) -> None:
        turns = [
            kernels.scale[:, None] * draw.standard_normal((len(kernels.scale), FREQUENCIES)) / width
            for kernels in grid
            for width in kernels.widths
        ]
        self.frequencies = np.concatenate(turns, axis=1).astype(np.float32)
        self.widths = len(turns)
        self.features = 2 * FREQUENCIES * self.widths

    def __call__(self, rows: Singles) -> Singles:
        """Return (rows, widths * 2 * FREQUENCIES), each width's features together."""
        features = np.empty((len(rows), self.widths, 2 * FREQUENCIES), dtype=np.float32)
        both = waves(rows, self.frequencies, 0, "cos", "sin")
        for start, found in zip((0, FREQUENCIES), both, strict=True):
            features[..., start : start + FREQUENCIES] = found.reshape(len(rows), self.widths, -1)
        features *= np.float32(FREQUENCIES**-0.5)
        return features.reshape(len(rows), -1)

    def witness(self, rows: Any, direction: Floats, best: int) -> Singles:
        """Return how much each row is like the reference and unlike current."""
        columns = slice(best * FREQUENCIES, (best + 1) * FREQUENCIES)
        turns = self.frequencies[:, columns]
        along = (direction[best] * FREQUENCIES**-0.5).astype(np.float32)
        found = []
        for block in _blocks(rows, "rows"):
            angles = block @ turns
            found.append(
                np.cos(angles) @ along[:FREQUENCIES] + np.sin(angles) @ along[FREQUENCIES:]
            )
        return np.concatenate(found)


class _Sums:
    """Sums of features over groups of consecutive rows, of a size that grows with the rows."""

    def __init__(self, map_: _FeatureMap) -> None:
        self.size, self.rows = 1, 0
        self._map = map_
        self._sums: list[Singles] = []
        self._count = 0
        self._open = np.zeros(map_.features, dtype=np.float32)
        self._begun = 0

    def add(self, rows: Singles) -> None:
        self.rows += len(rows)
        features = self._map(rows)
        while len(features):
            if self._begun or len(features) < self.size:
                used = min(self.size - self._begun, len(features))
                self._open += features[:used].sum(axis=0)
                self._begun += used
                if self._begun == self.size:
                    self._append(self._open[None].copy())
                    self._open[:], self._begun = 0, 0
            else:
                whole = min(len(features) // self.size, 2 * GROUPS - self._count)
                used = whole * self.size
                self._append(features[:used].reshape(whole, self.size, -1).sum(axis=1))
            features = features[used:]

    def _append(self, sums: Singles) -> None:
        self._sums.append(sums)
        self._count += len(sums)
        if self._count == 2 * GROUPS:
            self._sums, self._count = [self.groups(2 * self.size)], GROUPS
            self.size *= 2

    def groups(self, size: int) -> Singles:
        """Return the sums of whole groups of that size, a power of two times the present one."""
        together = size // self.size
        sums = np.concatenate([*self._sums, np.zeros((0, self._map.features), dtype=np.float32)])
        whole = len(sums) // together
        found: Singles = sums[: whole * together].reshape(whole, together, -1).sum(axis=1)
        return found


def _blocks(rows: Blocks, name: str) -> Iterator[Singles]:
    """Yield rows, a few thousand at once."""
    parts: Iterable[NDArray[Any]] = [rows] if isinstance(rows, np.ndarray) else []
    if not isinstance(rows, np.ndarray):
        parts = rows() if callable(rows) else rows
    for part in parts:
        for start in range(0, len(part), _AT_ONCE):
            yield rows_of(part[start : start + _AT_ONCE], name)
