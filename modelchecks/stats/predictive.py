"""How well one number predicts the class of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]

BINS = 20
"""Into how many bins of equal size a property is cut."""


def predicted_by(
    values: NDArray[Any], labels: NDArray[Any], classes: int, *, bins: int = BINS
) -> Table:
    """Return the table (classes, classes) of labels by what a single number predicts.

    The number is cut into bins at its quantiles; a row is given the class that falls into its bin
    most often, each class counted alike (naive Bayes with a flat prior and one row added to every
    bin). Every row is predicted from the other half of the rows (every other one), so a number that
    says nothing predicts one in `classes` right. Rows must be in random order. Raises ValueError
    for numbers that are not finite or labels outside the classes.
    """
    numbers, given = np.asarray(values, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if numbers.shape != given.shape or numbers.ndim != 1 or len(numbers) < 2:
        raise ValueError("values: must be one number per label, and at least two")
    if not np.isfinite(numbers).all():
        raise ValueError("values: has numbers that are NaN or infinite")
    if given.min() < 0 or given.max() >= classes:
        raise ValueError(f"labels: must lie between 0 and {classes - 1}")
    table = np.zeros((classes, classes), dtype=np.int64)
    for part in (0, 1):
        asked, known = slice(part, None, 2), slice(1 - part, None, 2)
        edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, bins + 1)[1:-1]))
        inside = np.searchsorted(edges, numbers[known], side="right")
        seen = np.ones((classes, len(edges) + 1))
        np.add.at(seen, (given[known], inside), 1)
        chances = seen / seen.sum(axis=1, keepdims=True)
        guess = chances.argmax(axis=0)[np.searchsorted(edges, numbers[asked], side="right")]
        np.add.at(table, (given[asked], guess), 1)
    return table
