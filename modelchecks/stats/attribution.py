"""Why live accuracy is lower: classes, inputs, inputs never seen, or something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.attribution_fit import Split, design, shares, unseen_rows
from modelchecks.stats.distance import kolmogorov
from modelchecks.stats.estimate import Estimate, TooFewRowsError
from modelchecks.stats.interval import Floats, check_alpha, check_count, numbers

FEWEST_ROWS = 50
"""Rows of a side below which no share of a drop is told apart from another."""


@dataclass(frozen=True, slots=True)
class DropAttribution:
    """What a drop is made of: the four parts sum to `total` exactly.

    `label_shift`: the classes come with other shares. `covariate_shift`: the inputs come with
    other shares, among those that offline has too. `unseen`: inputs that offline all but lacks, or
    classes that it lacks. `rest`: the same class and features, and yet other answers are right or
    wrong: a changed concept, or a change that no feature shows. `features` are the parts of
    `covariate_shift` that each feature carries and `together` what no single one does; their sum is
    `covariate_shift`. Each is a share of all live rows, positive where it costs accuracy.
    `unseen_share` is the share of live rows that offline all but lacks, `unseen_distances` how far
    each feature of theirs lies from offline's (Kolmogorov distance, 0 to 1): what makes them new.
    """

    total: Estimate
    label_shift: Estimate
    covariate_shift: Estimate
    unseen: Estimate
    rest: Estimate
    features: tuple[Estimate, ...]
    together: Estimate
    unseen_share: Estimate
    unseen_distances: tuple[float, ...]


def drop_attribution(
    offline_features: NDArray[Any],
    offline_labels: NDArray[Any],
    offline_correct: NDArray[Any],
    live_features: NDArray[Any],
    live_labels: NDArray[Any],
    live_correct: NDArray[Any],
    *,
    alpha: float = 0.05,
    resamples: int = 200,
    seed: int = 0,
) -> DropAttribution:
    """Return what the drop from offline to live accuracy is made of, with bootstrap intervals.

    Features (rows, features) are finite numbers, labels (rows,) whole numbers, correct (rows,)
    0 or 1; the rows of each side are independent, and live ones are a random sample of the
    labelled traffic. In this order, each step given the ones before: classes get their live shares;
    inputs get theirs, as far as a classifier of offline and live leaves at least one offline row
    for 19 live ones; live rows beyond that are unseen, and what they lose counts there in full;
    what the others lose beyond classes and inputs is the rest. The step of the
    inputs is doubly robust: it is right if either the classifier or the additive regression of the
    errors is. Another order gives other parts where they overlap, and a feature that is not given
    cannot be named: its part is in the rest. The limits are the value and so many standard
    deviations of `resamples` refits. Raises TooFewRowsError under 50 rows of a side or where they
    share no class, ValueError for other input.

    Source: after Cai, Namkoong and Yadlowsky (2023), Diagnosing Model Performance Under
    Distribution Shift, arXiv:2303.02011; here a shared region with bounded density ratio takes the
    place of their shared distribution, so that a shift within the support is no unseen region.
    """
    check_alpha(alpha)
    check_count(resamples, "resamples", least=50)
    sides = [
        _side(offline_features, offline_labels, offline_correct, "offline"),
        _side(live_features, live_labels, live_correct, "live"),
    ]
    if sides[0].features.shape[1] != sides[1].features.shape[1]:
        raise ValueError(
            f"live_features: has {sides[1].features.shape[1]} columns, "
            f"offline_features has {sides[0].features.shape[1]}"
        )
    if not np.isin(sides[1].labels, sides[0].labels).any():
        raise TooFewRowsError("live_labels: not one class is among the offline labels")
    made = design(*sides)
    n, m = len(sides[0].labels), len(sides[1].labels)
    value, start = shares(made, np.ones(n), np.ones(m), None)
    draw = np.random.default_rng(seed)
    again: list[Floats] = []
    for _ in range(resamples):
        offline, live = (
            draw.multinomial(rows, np.full(rows, 1 / rows)).astype(np.float64) for rows in (n, m)
        )
        if live[made.known].any():
            again.append(shares(made, offline, live, start)[0])
    spread = np.array(again).std(axis=0, ddof=1)
    found = [_estimate(*pair, alpha, m) for pair in zip(value, spread, strict=True)]
    new = sides[1].features[unseen_rows(made, start)]
    distances = [
        kolmogorov(*pair).value if len(new) else 0.0
        for pair in zip(sides[0].features.T, new.T, strict=True)
    ]
    total, label, covariate, unseen, rest, together, share, *features = found
    return DropAttribution(
        total, label, covariate, unseen, rest, tuple(features), together, share, tuple(distances)
    )


def _estimate(value: float, spread: float, alpha: float, n: int) -> Estimate:
    from scipy.special import ndtri

    wide, one = float(ndtri(0.975)) * spread, float(ndtri(1 - alpha)) * spread
    return Estimate(
        float(value),
        float(value - wide),
        float(value + wide),
        float(value - one),
        float(value + one),
        alpha,
        n,
        "bootstrap",
    )


def _side(features: Any, labels: Any, correct: Any, name: str) -> Split:
    x = numbers(features, f"{name}_features")
    if x.ndim != 2 or not x.shape[1] or not np.isfinite(x).all():
        raise ValueError(f"{name}_features: must be finite numbers (rows, features)")
    if len(x) < FEWEST_ROWS:
        raise TooFewRowsError(f"{name}_features: {len(x)} rows are too few, {FEWEST_ROWS} needed")
    y = np.asarray(labels)
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(f"{name}_labels: must be whole numbers, one for each row")
    right = numbers(correct, f"{name}_correct")
    if right.shape != y.shape or not np.isin(right, (0, 1)).all():
        raise ValueError(f"{name}_correct: must be 0 or 1, one for each row")
    return Split(x, y.astype(np.int64), 1 - right)
