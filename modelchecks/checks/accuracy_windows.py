"""On which days was the variant less accurate than it may be?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
    settle,
)
from modelchecks.checks.labelled import LabelledRows
from modelchecks.checks.time_windows import By, Windows, listed, spanning
from modelchecks.errors import EvidenceError
from modelchecks.facets import COLUMNS
from modelchecks.results import Severity, Status
from modelchecks.stats.windows import AccuracyWindows as Series
from modelchecks.wording import interval, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyWindows:
    """On no day (hour, week, month) does accuracy fall by more than `max_drop` below offline.

    Statistic: the drop of each window, with bounds as in `accuracy_drop`, and all labels since any
    window together, which see a small drop that lasts. Failed at the first window at which either
    shows a drop beyond `max_drop`; while no window's true drop is, any alarm in the whole series,
    however long, has probability at most 1 - `confidence`. Passed when every window that has rows
    is shown to be within, else inconclusive: a day without labels is not passed.

    Assumes: the labelled rows of a window are a random sample of its traffic; otherwise the check
    can fail but not pass.

    Reference: Zou and Donner (2008), Statistics in Medicine 27, 1693-1702; Shin, Ramdas and Rinaldo
    (2024), New England Journal of Statistics in Data Science 2, 229-260.

    Example:
      - accuracy_windows: {offline: offline, live: live, time: time, by: day, max_drop: 5pp}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share = param("largest allowed drop of any window: 5pp, or 0.05")
    time: str = param("column of the live log that says when a row was seen")
    by: By = param("length of a window, in UTC", default="day")
    offline: SplitName = param("split of the offline evaluation", default="offline")
    live: SplitName = param("split of labelled live rows", default="live")
    confidence: Share = param("confidence that there is no false alarm in the series", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a drop needs two")
        if self.max_drop >= 1:
            raise ValueError("max_drop: must be less than 100 %")

    def needs(self) -> Needs:
        """Return labels and predictions of both splits, and the live log's columns."""
        kinds = frozenset({"labels", "predictions"})
        return Needs({self.offline: kinds, self.live: kinds | {COLUMNS}})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all windows; the series is in the details."""
        variant, alpha = str(view.variant), level(self.confidence)
        right, n = view.split(self.offline).correct(variant)
        rows = LabelledRows(view, self.live, variant)
        traffic, windows = spanning(rows.evidence, self.time, self.by)
        correct = np.bincount(windows.of, rows.right(variant), minlength=len(windows.names))
        found = stats.accuracy_windows(
            right,
            n,
            correct.astype(np.int64),
            windows.rows,
            max_drop=self.max_drop,
            alpha=alpha,
        )
        drops = {i: drop for i, drop in enumerate(found.drops) if drop is not None}
        if not drops:
            raise EvidenceError(f"split {self.live!r} has no labelled row")
        silent = np.flatnonzero((traffic.rows > 0) & (windows.rows == 0)).tolist()
        open_ = [i for i in drops if found.statuses[i] != "passed"]
        worst = max(drops, key=lambda i: drops[i].lower_bound)
        allowed, count = threshold(self.max_drop, "pp"), len(drops)
        every = f"{count} {self.by}s with labels"
        needed: int | None = None
        status: Status
        if found.alarm is not None:
            status = "failed"
            worst = found.alarm if found.statuses[found.alarm] == "failed" else worst
            message = f"{self._alarm(found, windows)}. {self._worst(found, windows, count)}"
        elif open_ or silent:
            status = "inconclusive"
            told = []
            if open_:
                worst = max(open_, key=lambda i: drops[i].upper_bound)
                drop = drops[worst]
                needed = stats.labels_needed(
                    right / n, n, true_drop=drop.value, max_drop=self.max_drop, alpha=alpha
                )
                told.append(
                    f"{len(open_)} of {every} may have lost more than {allowed}, most "
                    f"{windows.names[worst]} with {points(drop.value)} "
                    f"{interval(drop.low, drop.high)} (n {drop.n:,}). "
                    f"{settle(needed, drop.n, f'labels a {self.by}', 'labelled offline rows')}"
                )
            if silent:
                names = listed([windows.names[i] for i in silent])
                told.append(f"{len(silent)} {self.by}s have rows and no label: {names}")
            message = f"no alarm, but {'; '.join(told)}"
        else:
            status = "passed"
            worst = max(drops, key=lambda i: drops[i].upper_bound)
            most = points(drops[worst].upper_bound)
            message = f"each of {every} lost at most {most}, within the allowed {allowed}"
        empty = int((traffic.rows == 0).sum())
        if empty:
            message += f". {empty} {self.by}s in between have no rows"
        outcome = Outcome(
            status,
            message,
            drops[worst],
            {"max_drop": self.max_drop},
            needed,
            details={
                "series": _series(found, windows, traffic, correct.tolist()),
                "offline": right / n,
                "alarm": None if found.alarm is None else windows.names[found.alarm],
                "since": None if found.since is None else windows.names[found.since],
                "enough": found.enough,
                "by": self.by,
            },
        )
        outcome = hold_if_unsampled(outcome, view, self.live)
        return hold_if_unequal(outcome, view, self.offline, self.live)

    def _alarm(self, found: Series, windows: Windows) -> str:
        alarm = found.alarm or 0
        allowed, name = threshold(self.max_drop, "pp"), windows.names[alarm]
        drop = found.drops[alarm]
        if drop is not None and found.statuses[alarm] == "failed":
            return (
                f"alarm on {name}: its {drop.n:,} labels show a drop of {points(drop.value)}, at "
                f"least {points(drop.lower_bound)} and over the allowed {allowed}"
            )
        since = windows.names[found.since or 0]
        return (
            f"alarm on {name}: the labels since {since} together show a drop of more than {allowed}"
        )

    def _worst(self, found: Series, windows: Windows, count: int) -> str:
        failed = [i for i, status in enumerate(found.statuses) if status == "failed"]
        drops = [found.drops[i] for i in failed]
        largest = max(
            ((d.value, i) for d, i in zip(drops, failed, strict=True) if d is not None),
            default=None,
        )
        shown = f"{len(failed)} of {count} {self.by}s are shown to lose more"
        if largest is None:
            return shown
        return f"{shown}, {windows.names[largest[1]]} most with {points(largest[0])}"


def _series(
    found: Series, windows: Windows, traffic: Windows, correct: list[float]
) -> list[dict[str, Any]]:
    series = []
    for i, name in enumerate(windows.names):
        drop, labels = found.drops[i], int(windows.rows[i])
        series.append(
            {
                "at": name,
                "rows": int(traffic.rows[i]),
                "labels": labels,
                "accuracy": correct[i] / labels if labels else None,
                **({} if drop is None else asdict(drop)),
                "status": found.statuses[i],
                "evidence": float(found.evidence[i]),
            }
        )
    return series
