"""Accuracy and drift day by day, with false alarms bounded over the whole series.

A rule that errs in 5 % of days alarms in half of all fortnights. Here each window has a share of
alpha that falls with its number, 6 / (pi t)², so that all windows together, however many there will
be, raise a false alarm with probability at most alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.distance import kolmogorov
from modelchecks.stats.estimate import Estimate, Verdict, decide
from modelchecks.stats.interval import (
    Floats,
    check_alpha,
    check_counts,
    clopper_pearson,
    numbers,
    proportion_drop,
)
from modelchecks.stats.reuse import alpha_spending
from modelchecks.stats.sequential import log_evidence


@dataclass(frozen=True, slots=True)
class AccuracyWindows:
    """A live accuracy over time: `drops` and `statuses` of each window, None without labels.

    `alarm` is the number of the first window (from 0) at which a drop beyond the margin is shown,
    by its own labels or by the evidence since an earlier one; None if there is none. `since` is the
    window from which the evidence at the alarm, or at the end, is strongest. `evidence` (windows,)
    is the log of the wealth of a bettor who waits for a change: it alarms at `enough`.
    """

    drops: tuple[Estimate | None, ...]
    statuses: tuple[Verdict | None, ...]
    evidence: Floats
    enough: float
    alarm: int | None
    since: int | None


@dataclass(frozen=True, slots=True)
class DriftWindows:
    """Features over time: `distances` (windows x features) and the `statuses` of the windows.

    `alarm` is the number of the first window (from 0) in which a feature is shown to differ from
    the reference by more than the margin, None if there is none.
    """

    distances: tuple[tuple[Estimate, ...], ...]
    statuses: tuple[Verdict, ...]
    alarm: int | None


def accuracy_windows(
    offline_correct: int,
    offline_n: int,
    live_correct: NDArray[Any],
    live_n: NDArray[Any],
    *,
    max_drop: float,
    alpha: float = 0.05,
) -> AccuracyWindows:
    """Return whether and when the accuracy of any window fell by more than `max_drop`.

    `live_correct` and `live_n` count each window's right and all labels, in order of time; a window
    may have none. While no window's true drop exceeds the margin, the probability of any alarm in
    the whole series, however long, is at most `alpha`; it goes in halves to two ways of seeing one.
    The windows alone: `proportion_drop` at alpha / 2 times 6 / (pi t)² in window t. And all labels
    since a window k, summed over k with the same weights (a mixture of betting processes, each
    starting where a change may have begun), against an offline accuracy bounded at alpha / 10: it
    sees a small drop that lasts. The upper bound of a window is of level alpha, since a pass is no
    alarm. Raises ValueError that names the argument.

    Source: Ville (1939); mixtures over the time of change as in Shin, Ramdas and Rinaldo (2024),
    New England Journal of Statistics in Data Science 2, 229-260.
    """
    check_alpha(alpha)
    check_counts(offline_correct, offline_n, "offline_")
    if not 0 <= max_drop < 1:
        raise ValueError(f"max_drop: {max_drop} is not at least 0 and less than 1")
    x, n = _counts(live_correct, "live_correct"), _counts(live_n, "live_n")
    if x.shape != n.shape:
        raise ValueError(f"live_n: has {len(n)} windows, live_correct has {len(x)}")
    if (x > n).any():
        raise ValueError("live_correct: has a window with more right labels than labels")
    drops: list[Estimate | None] = []
    statuses: list[Verdict | None] = []
    for t, (right, labels) in enumerate(zip(x.tolist(), n.tolist(), strict=True), 1):
        if not labels:
            drops.append(None)
            statuses.append(None)
            continue
        counts = (offline_correct, offline_n, right, labels)
        share = alpha_spending(t, alpha=alpha / 2, rule="inverse_square")
        strict = proportion_drop(*counts, alpha=share)
        drop = proportion_drop(*counts, alpha=alpha)
        drop = replace(drop, lower_bound=strict.lower_bound, method="mover-cp, alpha spent")
        drops.append(drop)
        statuses.append(decide(drop, max_drop))
    worst = float(clopper_pearson(offline_correct, offline_n, alpha=alpha / 10)[0]) - max_drop
    evidence, starts = _evidence(x, n, min(max(worst, 1e-9), 1 - 1e-9))
    enough = -math.log(0.4 * alpha)
    alarms = (evidence >= enough) | np.array(
        [status == "failed" for status in statuses], dtype=np.bool_
    )
    alarm = int(np.argmax(alarms)) if alarms.any() else None
    last = len(x) - 1 if alarm is None else alarm
    since = int(starts[last]) if len(x) and evidence[last] > 0 else None
    return AccuracyWindows(tuple(drops), tuple(statuses), evidence, enough, alarm, since)


def drift_windows(
    reference: NDArray[Any],
    windows: Sequence[NDArray[Any]],
    *,
    margin: float,
    alpha: float = 0.05,
) -> DriftWindows:
    """Return whether and when a feature moved away from the reference by more than `margin`.

    `reference` and each of `windows` are numbers (rows, features), in order of time, or (rows,)
    for one feature. While no feature's true Kolmogorov distance exceeds the margin in any window,
    the probability of any 'failed' in the whole series is at most `alpha`: it is spent over windows
    and features. 'passed' is each window's own, at alpha. Raises ValueError.
    """
    check_alpha(alpha)
    if not 0 <= margin < 1:
        raise ValueError(f"margin: {margin} is not at least 0 and less than 1")
    before = _table(reference, "reference")
    features = before.shape[1]
    distances: list[tuple[Estimate, ...]] = []
    statuses: list[Verdict] = []
    for t, window in enumerate(windows, 1):
        now = _table(window, "windows")
        if now.shape[1] != features:
            raise ValueError(f"windows: one has {now.shape[1]} features, reference has {features}")
        share = alpha_spending(t, alpha=alpha, rule="inverse_square")
        found = []
        for pair in zip(before.T, now.T, strict=True):
            strict = kolmogorov(*pair, alpha=share, features=features)
            usual = kolmogorov(*pair, alpha=alpha, features=features)
            found.append(replace(usual, lower_bound=strict.lower_bound))
        distances.append(tuple(found))
        each = [decide(distance, margin) for distance in found]
        all_pass = all(status == "passed" for status in each)
        statuses.append("failed" if "failed" in each else "passed" if all_pass else "inconclusive")
    alarm = statuses.index("failed") if "failed" in statuses else None
    return DriftWindows(tuple(distances), tuple(statuses), alarm)


def _evidence(
    x: NDArray[np.int64], n: NDArray[np.int64], null: float
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the log wealth after each window, and the start that contributes most to it."""
    windows = len(x)
    evidence, starts = np.zeros(windows), np.zeros(windows, dtype=np.int64)
    weight = 6 / (math.pi * np.arange(1, windows + 1)) ** 2
    for t in range(windows):
        # All labels from window k to t, for each k: sums from the end.
        right, labels = (np.cumsum(c[t::-1])[::-1] for c in (x, n))
        each = np.log(weight[: t + 1]) + log_evidence(right, labels, null, "below")
        waiting = math.log(max(1 - float(weight[: t + 1].sum()), 1e-300))
        evidence[t] = float(np.logaddexp.reduce(np.append(each, waiting)))
        starts[t] = int(each.argmax())
    return evidence, starts


def _counts(values: Any, name: str) -> NDArray[np.int64]:
    counts = numbers(values, name)
    if counts.ndim != 1 or not ((counts >= 0) & (counts == np.floor(counts))).all():
        raise ValueError(f"{name}: must be whole numbers in one dimension, none negative or NaN")
    return counts.astype(np.int64)


def _table(values: Any, name: str) -> Floats:
    table = numbers(values, name)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or not table.size or np.isnan(table).any():
        raise ValueError(f"{name}: must be numbers (rows, features), none NaN, a row at least")
    return table
