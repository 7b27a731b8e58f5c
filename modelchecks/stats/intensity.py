"""Whether images are on the same scale and their channels in the same order as others were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import proportion_drop

Floats = NDArray[np.float64]

TELLING = 0.4
"""Where more of the reference itself looks swapped, colours do not tell the order."""
_FEWEST = 20


def mean_shift(
    reference: Floats, spread: Floats, current: Floats, *, alpha: float = 0.05
) -> Estimate:
    """Return by how many standard deviations of a reference pixel the mean has moved.

    `reference` and `current` are means per image, `spread` the reference's standard deviations per
    image; images are independent, their pixels need not be. The value is absolute. Normal limits
    (Welch) of the difference; the reference's deviation is taken as known.
    """
    _check(reference=reference, spread=spread, current=current)
    deviation = float(np.sqrt(_pooled(reference, spread).mean()))
    error = float(np.sqrt(_error2(reference) + _error2(current)))
    if not deviation > 0:
        raise ValueError("reference: all pixels are equal, so there is no scale to compare with")
    moved = abs(float(current.mean() - reference.mean())) / deviation
    return _absolute(moved, error / deviation, alpha, len(current), "welch")


def scale_ratio(
    reference: Floats,
    spread: Floats,
    current: Floats,
    current_spread: Floats,
    *,
    alpha: float = 0.05,
) -> Estimate:
    """Return by which factor the standard deviation of a pixel has grown or shrunk, at least 1.

    Means and standard deviations per image, as in `mean_shift`; normal limits on the log scale.
    """
    _check(reference=reference, spread=spread, current=current, current_spread=current_spread)
    before, now = _pooled(reference, spread), _pooled(current, current_spread)
    if not (before.mean() > 0 and now.mean() > 0):
        raise ValueError("reference and current: pixels that are all equal have no scale")
    # The log of a standard deviation is half that of a variance.
    moved = abs(float(np.log(now.mean() / before.mean()))) / 2
    error = np.sqrt(_error2(before) / before.mean() ** 2 + _error2(now) / now.mean() ** 2) / 2
    of_log = _absolute(moved, float(error), alpha, len(current), "welch-log")
    low, high, lower, upper = (
        float(np.exp(limit))
        for limit in (of_log.low, of_log.high, of_log.lower_bound, of_log.upper_bound)
    )
    return Estimate(
        float(np.exp(moved)), low, high, lower, upper, alpha, len(current), of_log.method
    )


def swapped_share(reference: Floats, current: Floats, *, alpha: float = 0.05) -> Estimate | None:
    """Return the share of current images whose channels seem reversed, None where none can tell.

    Rows (n, k) are differences between the first and the last channel, so that reversing the
    channels changes their signs. A linear discriminant between the reference and its reversal is
    fitted on one half of the reference; how often it errs on the other half corrects the share that
    it calls reversed (Rogan and Gladen 1978, American Journal of Epidemiology 107, 71-76). Limits
    are those of the difference of the two shares.
    """
    _check(reference=reference.ravel(), current=current.ravel())
    half = len(reference) // 2
    if half < _FEWEST or not len(current):
        return None
    fitted, held_out = reference[:half], reference[half:]
    centre = fitted.mean(axis=0)
    scatter = np.cov(fitted, rowvar=False).reshape(len(centre), len(centre))
    ridge = 1e-9 * max(float(np.trace(scatter)), 1e-12) * np.eye(len(centre))
    weights = np.linalg.solve(scatter + ridge, centre)
    wrong, called = int((held_out @ weights <= 0).sum()), int((current @ weights <= 0).sum())
    rate = wrong / len(held_out)
    if rate > TELLING:
        return None
    more = proportion_drop(called, len(current), wrong, len(held_out), alpha=alpha)
    limits = (more.value, more.low, more.high, more.lower_bound, more.upper_bound)
    value, low, high, lower, upper = (
        float(np.clip(limit / (1 - 2 * rate), 0, 1)) for limit in limits
    )
    return Estimate(value, low, high, lower, upper, alpha, len(current), "rogan-gladen")


def _pooled(mean: Floats, spread: Floats) -> Floats:
    """Return each image's part of the variance of a pixel drawn from any of them."""
    return np.asarray(spread**2 + (mean - mean.mean()) ** 2)


def _error2(values: Floats) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else np.inf


def _absolute(moved: float, error: float, alpha: float, n: int, method: str) -> Estimate:
    from scipy.special import ndtri

    two, one = float(ndtri(0.975)), float(ndtri(1 - alpha))
    if not np.isfinite(error):
        raise TooFewRowsError("reference and current: need two images at least")
    low, lower = (max(0.0, moved - width * error) for width in (two, one))
    return Estimate(moved, low, moved + two * error, lower, moved + one * error, alpha, n, method)


def _check(**arrays: Floats) -> None:
    for name, values in arrays.items():
        if not len(values):
            raise ValueError(f"{name}: is empty")
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: has values that are NaN or infinite")
