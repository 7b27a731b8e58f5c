"""Give every row a class, so many rows to each, at the highest total."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats


def best_mean(gains: Floats, shares: Floats) -> float:
    """Return the highest mean of gains[i, class of i] over assignments with these class shares.

    `gains` (rows, classes); `shares` (classes,) sum to 1 and are rounded to whole rows, largest
    remainders first. Exact: the optimal transport between the rows and the classes. Starts with
    every row in its best class and moves one row at a time along the cheapest path from a class
    with too many to one with too few; the paths run over classes, so the cost is the number of
    moves times (rows per class + classes^2) times classes: .15 s for 5,000 rows and 10 classes,
    where a general assignment solver takes 2.5 s and a linear program minutes.

    Source: successive shortest paths, e.g. Ahuja, Magnanti and Orlin (1993), Network Flows, 9.7.
    """
    rows, classes = gains.shape
    to = gains.argmax(axis=1)
    too_many = np.bincount(to, minlength=classes) - _whole(shares, rows)
    loss = np.full((classes, classes), np.inf)
    mover = np.zeros((classes, classes), dtype=np.int64)

    def refresh(a: int) -> None:
        """Note, for each other class, which row of class a moves there at the least loss."""
        members = np.flatnonzero(to == a)
        if not len(members):
            loss[a] = np.inf
            return
        moves = gains[members, a, None] - gains[members]
        least = moves.argmin(axis=0)
        loss[a], mover[a] = moves[least, np.arange(classes)], members[least]
        loss[a, a] = np.inf

    for a in range(classes):
        refresh(a)
    while (too_many > 0).any():
        cost, via = _cheapest(loss, too_many > 0)
        b = int(np.where(too_many < 0, cost, np.inf).argmin())
        touched = {b}
        too_many[b] += 1
        while via[b] >= 0:
            a = int(via[b])
            to[mover[a, b]] = b
            touched.add(a)
            b = a
        too_many[b] -= 1
        for a in touched:
            refresh(a)
    return float(gains[np.arange(rows), to].mean())


def _cheapest(loss: Floats, sources: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the cost to reach each class from any source, and the class before it (-1: none)."""
    cost = np.where(sources, 0.0, np.inf)
    via = np.full(len(loss), -1)
    # Bellman-Ford; a path has no more steps than classes, and rounding must not make it a circle.
    for _ in range(len(loss)):
        through = cost[:, None] + loss
        best = through.min(axis=0)
        better = best < cost - 1e-12
        if not better.any():
            break
        cost = np.where(better, best, cost)
        via = np.where(better, through.argmin(axis=0), via)
    return cost, via


def _whole(shares: Floats, rows: int) -> NDArray[np.int64]:
    wanted = shares * rows
    quota = np.floor(wanted).astype(np.int64)
    quota[np.argsort(quota - wanted, kind="stable")[: rows - int(quota.sum())]] += 1
    return quota
