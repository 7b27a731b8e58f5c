"""How many rows an unshifted set of features needs to be shown similar."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modelchecks.stats.distance import VARIANCE_FLOOR
from modelchecks.stats.interval import check_alpha, check_count


def rows_needed(
    features: int = 1,
    *,
    margin: float = 0.1,
    categories: Sequence[int] = (),
    reference_n: int | None = None,
    alpha: float = 0.05,
    probability: float = 0.8,
) -> int | None:
    """Return the current rows from which an unshifted set of features passes that probably.

    `features` numeric or ordinal ones, beside them a categorical one for each number of
    `categories`; all pass with `probability`, each within `margin`. `reference_n` rows are there
    already; without it both sides grow. None where the reference itself is too small: more rows of
    it are needed. Features are taken as independent and without ties, categories as equally
    frequent; whatever they depend on or share only makes passing easier. Raises ValueError that
    names the argument.

    Source: given where a Brownian bridge is largest, how large it is has Maxwell's distribution.

    >>> rows_needed(15, margin=0.1, reference_n=100_000)
    560
    """
    check_count(features, "features", least=0)
    for number in categories:
        check_count(number, "categories", least=1)
    if not features and not len(categories):
        raise ValueError("features: there is none, so nothing can pass")
    for name, share in (("margin", margin), ("probability", probability)):
        if not 0 < share < 1:
            raise ValueError(f"{name}: {share} is not between 0 and 1")
    check_alpha(alpha)
    if reference_n is not None:
        check_count(reference_n, "reference_n")
    squared = (margin / _together(features, categories, alpha, probability)) ** 2
    if reference_n is None:
        return math.ceil(2 / squared)
    rest = squared - 1 / reference_n
    return math.ceil(1 / rest) if rest > 0 else None


def margin_in_reach(
    features: int,
    reference_n: int,
    current_n: int,
    *,
    alpha: float = 0.05,
    probability: float = 0.8,
) -> float:
    """Return the smallest margin that unshifted features pass with `probability`.

    The inverse of `rows_needed`. Raises ValueError that names the argument.

    >>> round(margin_in_reach(15, 1114, 1114), 3)
    0.1
    """
    check_count(features, "features")
    check_count(reference_n, "reference_n")
    check_count(current_n, "current_n")
    check_alpha(alpha)
    if not 0 < probability < 1:
        raise ValueError(f"probability: {probability} is not between 0 and 1")
    return _together(features, (), alpha, probability) * math.sqrt(1 / reference_n + 1 / current_n)


def _together(features: int, categories: Sequence[int], alpha: float, probability: float) -> float:
    """Return what all upper bounds, in units of sqrt(1/n + 1/m), stay within with `probability`."""
    low, high = 1e-6, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        together = (1 - _numeric_beyond(middle, alpha)) ** features
        for number in categories:
            together *= 1 - _categorical_beyond(middle, alpha, number)
        low, high = (low, middle) if together >= probability else (middle, high)
    return high


def _numeric_beyond(limit: float, alpha: float) -> float:
    """Return how often D + z sd, in units of sqrt(1/n + 1/m), exceeds the limit without a shift."""
    from scipy.special import erfc, ndtri

    steps = 400
    at = (np.arange(steps) + 0.5) / steps
    variance = at * (1 - at)
    room = limit - float(ndtri(1 - alpha)) * np.sqrt(np.maximum(variance, VARIANCE_FLOOR))
    scaled = np.maximum(room, 0) / np.sqrt(variance)
    beyond = np.sqrt(2 / math.pi) * scaled * np.exp(-(scaled**2) / 2) + erfc(scaled / math.sqrt(2))
    # Up or down: either side is as likely, and both at once is not.
    return min(1.0, 2 * float(beyond.mean()))


def _categorical_beyond(limit: float, alpha: float, categories: int) -> float:
    from scipy.special import ndtr, ndtri

    room = limit - float(ndtri(1 - alpha)) / 2
    if categories == 1:
        return 0.0 if room >= 0 else 1.0
    if categories == 2:
        return min(1.0, 2 * float(ndtr(-2 * room)))
    # Half the sum of C normals' sizes that sum to 0: mean, and variance with their correlation.
    mean = math.sqrt(2 * (categories - 1) / math.pi) / 2
    r = -1 / (categories - 1)
    joint = 2 / math.pi * (math.sqrt(1 - r * r) + r * math.asin(r))
    one = 1 - 2 / math.pi
    between = joint - 2 / math.pi
    variance = (categories - 1) / categories / 4 * (one + (categories - 1) * between)
    return float(ndtr(-(room - mean) / math.sqrt(variance)))
