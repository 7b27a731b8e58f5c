"""Which of several variants on the same rows may be the best one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats, check_alpha, check_count
from modelchecks.stats.paired import paired_bounds
from modelchecks.stats.power import paired_labels_needed
from modelchecks.stats.ranking import correctness


@dataclass(frozen=True, slots=True)
class BestSet:
    """The variants that cannot be told from the best, as places in the given order.

    `best` is the one with most rows right (the first of equals) and `members` always holds it.
    `behind` has for each variant the accuracy that it lacks to `best`; `labels_needed` for each
    member the labelled rows, of all variants, that would tell it from `best` if it lacks what it
    was seen to lack: None for `best`, for its equals and for variants already told from it.
    """

    best: int
    members: tuple[int, ...]
    behind: tuple[float, ...]
    labels_needed: tuple[int | None, ...]
    alpha: float
    n: int


def best_set(correct: NDArray[Any], *, alpha: float = 0.05) -> BestSet:
    """Return the variants that may be the best, judged on the same rows.

    `correct` holds a row for each labelled row and a column for each variant: was it correct
    (0 or 1)? Raises ValueError. See `best_set_of_counts`.
    """
    right = correctness(correct, "correct").astype(np.float64)
    return best_set_of_counts(right.T @ (1 - right), len(right), alpha=alpha)


def best_set_of_counts(only: NDArray[Any], n: int, *, alpha: float = 0.05) -> BestSet:
    """Return the variants that may be the best; any best one is left out with at most alpha.

    `only[i, j]` counts the rows, of n, that variant i had right and variant j wrong. A variant
    is left out when another is shown to be better by `paired_bounds`: Bonferroni over the V - 1
    others that could show it, Holm over the variants, so the whole list of those left out holds
    with probability 1 - alpha, however many variants share the first place. Raises ValueError.

    Source: comparisons with the best, Hsu (1984), Annals of Statistics 12, 1136-1144; Holm
    (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    check_alpha(alpha)
    check_count(n, "n")
    wins = _wins(only, n)
    gain = (wins - wins.T) / n
    best = int(np.argmax(gain.sum(1)))
    members, level = _members(wins, n, alpha)
    needed: list[int | None] = [None] * len(wins)
    for other in members:
        if other != best:
            differ = float(wins[best, other] + wins[other, best]) / n
            needed[other] = paired_labels_needed(float(gain[best, other]), differ, alpha=level)
    return BestSet(best, tuple(members), tuple(gain[best].tolist()), tuple(needed), alpha, int(n))


def _members(wins: Floats, n: int, alpha: float) -> tuple[list[int], float]:
    """Return the variants that may be the best, and the level of the last comparison."""
    variants = left = len(wins)
    worse, level = np.zeros(variants, dtype=np.bool_), alpha
    while left > 1:
        level = alpha / (left * (variants - 1))
        worse |= (paired_bounds(wins, wins.T, n, alpha=level)[0] > 0).any(0)
        before, left = left, variants - int(worse.sum())
        if left == before:
            break
    return np.flatnonzero(~worse).tolist(), level


def _wins(only: NDArray[Any], n: int) -> Floats:
    wins = np.asarray(only)
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or not wins.size:
        raise ValueError("only: must be a square table, a row and a column for each variant")
    if wins.dtype.kind not in "iuf" or not ((wins >= 0) & (wins == np.floor(wins))).all():
        raise ValueError("only: must hold whole numbers, none negative or NaN")
    if np.diagonal(wins).any():
        raise ValueError("only: has a variant that is better than itself")
    if (wins + wins.T > n).any():
        raise ValueError(f"only: counts more rows than n = {n}")
    return wins.astype(np.float64)
