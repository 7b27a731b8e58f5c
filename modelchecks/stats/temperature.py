"""Class probabilities, and one number that makes them as sure as they are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats, numbers

SUM_TOLERANCE = 1e-3
"""Probabilities computed in half precision miss a sum of 1 by about this."""
_LIMITS = (1e-2, 1e2)


def fit_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the T for which softmax(logits / T) fits the labels best: above 1, overconfident.

    Maximum likelihood, in [0.01, 100]: an end of it where no T within fits best (all rows right,
    or logits that say nothing). `logits` (rows, classes), finite; log-probabilities will do.
    `labels` (rows,) from 0. Raises ValueError that names the argument.

    Source: Guo et al. (2017), ICML.
    """
    from scipy.optimize import brentq

    z = numbers(logits, "logits")
    if z.ndim != 2 or not z.shape[0] or z.shape[1] < 2 or not np.isfinite(z).all():
        raise ValueError("logits: must be finite, (rows, classes), with two classes at least")
    y = class_labels(labels, z.shape, "labels")
    true = z[np.arange(len(y)), y].mean()

    # The likelihood is concave in 1/T; its slope is the logit hoped for less the logit expected.
    def slope(temperature: float) -> float:
        return float(true - (softmax(z / temperature) * z).sum(1).mean())

    sharp, flat = _LIMITS
    if slope(sharp) >= 0:
        return sharp
    if slope(flat) <= 0:
        return flat
    return float(brentq(slope, sharp, flat, xtol=1e-12, rtol=1e-12))


def softmax(logits: Floats) -> Floats:
    """Return the probabilities (rows, classes) of finite logits of the same shape."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def class_probabilities(values: NDArray[Any], name: str) -> Floats:
    """Return probabilities (rows, classes) as float64, each row summing to exactly 1.

    Raises ValueError that names the argument unless there are at least one row and two classes, all
    in [0, 1], with sums of 1 but for the rounding of half precision.
    """
    p = numbers(values, name)
    if p.ndim != 2 or not p.shape[0] or p.shape[1] < 2:
        raise ValueError(f"{name}: must be (rows, classes) with a row and two classes at least")
    sums = p.sum(axis=1)
    if not (((p >= 0) & (p <= 1)).all() and (np.abs(sums - 1) <= SUM_TOLERANCE).all()):
        raise ValueError(f"{name}: must be between 0 and 1, and each row must sum to 1")
    scaled: Floats = p / sums[:, None]
    return scaled


def class_labels(labels: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[np.int64]:
    """Return labels (rows,) as whole numbers below the number of classes, else raise ValueError."""
    y = np.asarray(labels)
    whole = y.shape == shape[:1] and y.dtype.kind in "iu"
    if not (whole and ((y >= 0) & (y < shape[1])).all()):
        raise ValueError(
            f"{name}: must be whole numbers from 0 to {shape[1] - 1}, one for each row"
        )
    return y.astype(np.int64)


def two_sides(
    before: NDArray[Any], labels: NDArray[Any], after: NDArray[Any], names: tuple[str, str]
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Return probabilities before with their labels, and those after, over the same classes.

    `names` are what the two sides are called in the errors, `NAME_probabilities` and `NAME_labels`.
    """
    first, second = (f"{name}_probabilities" for name in names)
    p = class_probabilities(before, first)
    y = class_labels(labels, p.shape, f"{names[0]}_labels")
    q = class_probabilities(after, second)
    if q.shape[1] != p.shape[1]:
        raise ValueError(f"{second}: has {q.shape[1]} classes, {first} has {p.shape[1]}")
    return p, y, q
