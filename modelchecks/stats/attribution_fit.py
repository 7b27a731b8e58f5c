"""The two regressions behind an attribution: which side a row is from, and whether it is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats

MOST_RATIO = 19.0
"""Live rows for one offline row, both sides taken as equally large, beyond which all is unseen."""
KNOTS = 4
PAIRED = 12
"""Features up to which products of two of them enter the classifier of the sides."""
_RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Split:
    """One side: features (rows, features), labels (rows,) and wrong (rows,), 0 or 1."""

    features: Floats
    labels: NDArray[np.int64]
    wrong: Floats


@dataclass(frozen=True, slots=True)
class Design:
    """What all refits share: both sides' columns for either regression, and the classes.

    `side` (rows of both, columns) tells offline from live, `error` (rows of both, features x KNOTS)
    predicts errors, feature by feature. `known` are the live rows of a class that offline has.
    """

    offline: Split
    live: Split
    place: NDArray[np.int64]
    live_place: NDArray[np.int64]
    known: NDArray[np.bool_]
    classes: int
    side: Floats
    error: Floats


def design(offline: Split, live: Split) -> Design:
    """Return the columns of the regressions."""
    both = np.concatenate([offline.features, live.features])
    spread = both.std(axis=0)
    z = (both - both.mean(axis=0)) / np.where(spread > 0, spread, 1)
    z = np.clip(z, -5, 5)
    columns = [np.ones((len(z), 1)), z, z**2]
    count = z.shape[1]
    if count <= PAIRED:
        columns += [z[:, [i]] * z[:, i + 1 :] for i in range(count - 1)]
    knots = np.quantile(z, np.arange(1, KNOTS) / KNOTS, axis=0)
    hinges = [z[:, :, None], *(np.maximum(z - knot, 0)[:, :, None] for knot in knots)]
    names, place = np.unique(offline.labels, return_inverse=True)
    live_place = np.searchsorted(names, live.labels).clip(max=len(names) - 1)
    return Design(
        offline,
        live,
        place,
        live_place,
        names[live_place] == live.labels,
        len(names),
        np.concatenate(columns, axis=1),
        np.concatenate(hinges, axis=2).reshape(len(z), -1),
    )


def shares(
    made: Design, offline_weight: Floats, live_weight: Floats, start: Floats | None
) -> tuple[Floats, Floats]:
    """Return the parts of a drop, and the classifier's coefficients to start the next one from.

    Parts: total, label shift, covariate shift, unseen, rest, together, share unseen, then each
    feature's. Weights say how often each row counts.
    """
    a, b = offline_weight / offline_weight.sum(), live_weight / live_weight.sum()
    wrong, wrong_live = made.offline.wrong, made.live.wrong
    before, after = float(a @ wrong), float(b @ wrong_live)
    # Classes take their live shares, among those that both sides have.
    prior = np.bincount(made.place, a, made.classes)
    live_known = b * made.known
    now = np.bincount(made.live_place, live_known, made.classes)
    ratio = np.where(prior > 0, now / np.where(prior > 0, prior, 1), 0)
    labelled = a * ratio[made.place]
    labelled /= labelled.sum()
    with_classes = float(labelled @ wrong)
    # Inputs: which side is a row from? Both sides weigh alike.
    known = live_known / live_known.sum()
    n = len(a)
    coefficients = _logistic(made.side, n, np.concatenate([labelled, known]) * n, start)
    odds = np.exp(np.clip(made.side @ coefficients, -20, 20))
    near = odds <= MOST_RATIO
    seen = known * near[n:]
    if not seen.sum() > 1e-9 or not (labelled * near[:n]).sum() > 1e-9:
        # Nothing is shared: all is unseen.
        parts = [after - before, with_classes - before, 0.0, after - with_classes, 0.0, 0.0, 1.0]
        return np.array([*parts, *np.zeros(made.offline.features.shape[1])]), coefficients
    kept = float(live_known @ near[n:])
    seen /= seen.sum()
    moved = labelled * odds[:n] * near[:n]
    moved /= moved.sum()
    after_seen = float(seen @ wrong_live)
    slopes = _ridge(made.error[:n], wrong, labelled)
    shift = (seen @ made.error[n:] - labelled @ made.error[:n]) * slopes
    by_feature = kept * shift.reshape(-1, KNOTS).sum(axis=1)
    # What the regression misses, weighted to the live inputs and as it was: the second safeguard.
    missed = wrong - made.error[:n] @ slopes
    together = kept * float(moved @ missed - labelled @ missed)
    covariate = float(by_feature.sum()) + together
    parts = [
        after - before,
        with_classes - before,
        covariate,
        after - with_classes - kept * (after_seen - with_classes),
        kept * (after_seen - with_classes) - covariate,
        together,
        1 - kept,
    ]
    return np.array([*parts, *by_feature]), coefficients


def unseen_rows(made: Design, coefficients: Floats) -> NDArray[np.bool_]:
    """Return which live rows offline all but lacks, or of a class that it lacks."""
    odds = made.side[len(made.place) :] @ coefficients
    return np.asarray((odds > np.log(MOST_RATIO)) | ~made.known)


def _logistic(x: Floats, n: int, weight: Floats, start: Floats | None) -> Floats:
    """Return the coefficients that tell rows from n on from those before, by Newton's method."""
    y = np.arange(len(x)) >= n
    used = weight > 0
    x, y, weight = x[used], y[used], weight[used]
    beta = np.zeros(x.shape[1]) if start is None else start
    penalty = np.full(x.shape[1], _RIDGE)
    penalty[0] = 0
    for _ in range(25 if start is None else 3):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = x.T @ (weight * (y - p)) - penalty * beta
        curve = (x * (weight * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ x
        curve[np.diag_indices_from(curve)] += penalty + 1e-9
        step = np.linalg.solve(curve, slope)
        # A long step overshoots where the sides are all but apart.
        step *= min(1.0, 5 / max(float(np.abs(step).max()), 1e-12))
        beta = beta + step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def _ridge(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Return the slopes of a linear regression with an intercept, slightly held back."""
    centred = x - weight @ x
    products = (centred * weight[:, None]).T @ centred
    products[np.diag_indices_from(products)] += (
        1e-3 * max(float(np.trace(products)), 1e-9) / len(products)
    )
    target = (centred * weight[:, None]).T @ (y - weight @ y)
    return np.asarray(np.linalg.solve(products, target), dtype=np.float64)
