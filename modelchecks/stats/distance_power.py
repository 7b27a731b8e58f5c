"""How many rows an unshifted set of features needs to be shown similar."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modelchecks.stats.distance import VARIANCE_FLOOR
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.interval import check_alpha, check_count
from modelchecks.stats.power import MOST


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
    _check_features(features, categories)
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


def rows_to_decide(
    distance: Estimate,
    reference_n: int,
    *,
    margin: float,
    features: int = 1,
    categories: Sequence[int] = (),
    own: int | None = None,
) -> int | None:
    """Return the current rows from which a distance like this one is decided, 4 in 5 times.

    Beyond the margin: until the lower bound is beyond it as well, the bounds closing in as the root
    of the rows. Within: until it passes, freed of what chance adds to it now, and until `features`
    and `categories` together would without a shift (`rows_needed`). `own` is the number of its
    categories, None for a number. None where the reference is too small, or more than ten million
    rows are needed. As good as the distance is: from few rows, no more than an order of magnitude.
    Raises ValueError that names the argument.
    """
    from scipy.special import ndtri

    check_count(reference_n, "reference_n")
    now = 1 / reference_n + 1 / distance.n
    if distance.value > margin:
        # A bound that was cut off at 0 does not show its width.
        sets = math.log(2) if own is None else own * math.log(2)
        least = math.sqrt((sets + math.log((features + len(categories)) / distance.alpha)) / 2)
        reach = max(least, (distance.value - distance.lower_bound) / math.sqrt(now))
        # A distance varies by up to half a root of `now`.
        reach += float(ndtri(0.8)) / 2
        return _rows(distance.value - margin, reach, reference_n)
    # The mean of a distance under no shift: Kolmogorov's law, or half a sum of normals' sizes.
    chance = 0.8687 if own is None else chance_variation(max(own, 2))[0]
    true = math.sqrt(max(distance.value**2 - chance**2 * now, 0.0))
    # Both in 9 of 10 times, so that together they do in 8.
    reach = float(ndtri(1 - distance.alpha) + ndtri(0.9)) / 2
    moved = _rows(margin - true, reach, reference_n)
    others = rows_needed(
        features,
        margin=margin,
        categories=categories,
        reference_n=reference_n,
        alpha=distance.alpha,
        probability=0.9,
    )
    if moved is None or others is None or others > MOST:
        return None
    return max(moved, others)


def _rows(gap: float, reach: float, reference_n: int) -> int | None:
    """Return the current rows from which `reach` times sqrt(1/n + 1/m) is within the gap."""
    rest = (gap / reach) ** 2 - 1 / reference_n
    return math.ceil(1 / rest) if gap > 0 and rest > 1 / MOST else None


def margin_in_reach(
    features: int,
    reference_n: int,
    current_n: int,
    *,
    categories: Sequence[int] = (),
    alpha: float = 0.05,
    probability: float = 0.8,
) -> float:
    """Return the smallest margin that unshifted features pass with `probability`.

    The inverse of `rows_needed`: `features` numbers, beside them a categorical feature for each
    number of `categories`. Raises ValueError that names the argument.

    >>> round(margin_in_reach(15, 1114, 1114), 3)
    0.1
    """
    _check_features(features, categories)
    check_count(reference_n, "reference_n")
    check_count(current_n, "current_n")
    check_alpha(alpha)
    if not 0 < probability < 1:
        raise ValueError(f"probability: {probability} is not between 0 and 1")
    return _together(features, categories, alpha, probability) * math.sqrt(
        1 / reference_n + 1 / current_n
    )


def _check_features(features: int, categories: Sequence[int]) -> None:
    check_count(features, "features", least=0)
    for number in categories:
        check_count(number, "categories", least=1)
    if not features and not len(categories):
        raise ValueError("features: there is none, so nothing can pass")


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
    mean, spread = chance_variation(categories)
    return float(ndtr(-(room - mean) / spread))


def chance_variation(categories: int) -> tuple[float, float]:
    """Return mean and standard deviation of a total variation distance without a shift.

    In units of sqrt(1/n + 1/m), of equally frequent categories, two at least.
    """
    # Half the sum of C normals' sizes that sum to 0: mean, and variance with their correlation.
    mean = math.sqrt(2 * (categories - 1) / math.pi) / 2
    r = -1 / (categories - 1)
    joint = 2 / math.pi * (math.sqrt(1 - r * r) + r * math.asin(r))
    one = 1 - 2 / math.pi
    between = joint - 2 / math.pi
    variance = (categories - 1) / categories / 4 * (one + (categories - 1) * between)
    return mean, math.sqrt(max(variance, 0.0))
