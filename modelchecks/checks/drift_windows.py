"""On which days did image properties or log columns move away from the reference?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as image_features
from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.columns import (
    ColumnKind,
    column_kinds,
    column_values,
    feature_values,
    missing,
    see_values,
)
from modelchecks.checks.deciding import check_confidence, hold_if_unequal, level
from modelchecks.checks.time_windows import By, Windows, listed, time_windows
from modelchecks.errors import EvidenceError
from modelchecks.facets import COLUMNS, FEATURE
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftWindows:
    """On no day (hour, week, month) does a property or column differ by more than `max_effect`.

    Statistic: the distance of each window's rows from the reference, as in `feature_drift`. Failed
    at the first window in which one is shown to be beyond `max_effect`; while none is in any
    window, the probability of any alarm in the whole series, however long, is at most 1 -
    `confidence`: it is spent over windows and features. Passed when all are shown to be within in
    every window, else inconclusive: then the message says how many rows a window needs.

    Assumes: rows are independent. Drift alone is not harm: the severity is `warn` unless set.

    Reference: Massart (1990), Annals of Probability 18, 1269-1283; spending of the error by
    6 / (pi t)², which sums to 1.

    Example:
      - drift_windows: {reference: train, current: live, time: time, by: day, max_effect: 0.2}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    time: str = param("column of the log that says when a row was seen")
    by: By = param("length of a window, in UTC", default="day")
    reference: SplitName = param("split that the model was made for", default="train")
    current: SplitName = param("split that is cut into windows", default="live")
    max_effect: Share = param("largest allowed distance of one of them", default=0.1)
    features: tuple[str, ...] = param(
        "image properties: registered names or module:function", default=image_features.DEFAULT
    )
    columns: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={"help": "log columns and their kinds, as in `feature_drift`"},
    )
    confidence: Share = param("confidence that there is no false alarm in the series", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.reference == self.current:
            raise ValueError("current: is the same split as `reference`; drift needs two")
        kinds = column_kinds(self.columns)
        if not self.features and not kinds:
            raise ValueError("features: is empty; a check that compares nothing cannot pass")
        names = [*self.features, *kinds]
        if len(set(names)) != len(names):
            raise ValueError("features: names one twice")

    def needs(self) -> Needs:
        """Return the features and columns of both splits, and the time of current rows."""
        kinds = {FEATURE + name for name in self.features}
        reference = kinds | ({COLUMNS} if self.columns else set())
        return Needs(
            {self.reference: frozenset(reference), self.current: frozenset(kinds | {COLUMNS})}
        )

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all windows; the series is in the details."""
        windows = time_windows(view.split(self.current), self.time, self.by)
        sides = self._sides(view)
        filled = np.flatnonzero(windows.rows > 0).tolist()
        found: dict[int, dict[str, Estimate]] = {}
        for t, window in enumerate(filled, 1):
            rows = windows.of == window
            found[window] = {
                name: self._distance(kind, before, now[rows], name, t)
                for name, (kind, before, now) in sides.items()
            }
        statuses = {window: self._status(distances) for window, distances in found.items()}
        outcome = self._outcome(windows, found, statuses, len(next(iter(sides.values()))[1]))
        return hold_if_unequal(outcome, view, self.reference, self.current, labelled=False)

    def _sides(self, view: View) -> dict[str, tuple[ColumnKind, NDArray[Any], NDArray[Any]]]:
        splits = [view.split(name) for name in (self.reference, self.current)]
        sides: dict[str, tuple[ColumnKind, NDArray[Any], NDArray[Any]]] = {}
        for name in self.features:
            before, now = (feature_values(split, name) for split in splits)
            sides[name] = ColumnKind(), before, now
        for name, kind in column_kinds(self.columns).items():
            first, second = (column_values(split, name, kind) for split in splits)
            see_values(name, kind, first, second, self.reference)
            sides[name] = kind, first, second
        return sides

    def _distance(
        self, kind: ColumnKind, before: NDArray[Any], now: NDArray[Any], name: str, t: int
    ) -> Estimate:
        """Return a distance whose lower bound is of the error that window t may spend."""
        alpha, features = level(self.confidence), len(self.features) + len(self.columns)
        # The same distance, without what a report of two splits shows beside it.
        ranked = kind.kind == "numeric" or (kind.kind == "ordinal" and kind.order is None)
        plain = ranked and not (missing(before).any() or missing(now).any())

        def distance(error: float) -> Estimate:
            if plain:
                return stats.kolmogorov(before, now, alpha=error, features=features)
            return stats.feature_distance(
                before,
                now,
                kind=kind.kind,
                order=kind.order,
                period=kind.period,
                alpha=error,
                features=features,
            ).estimate

        try:
            strict = distance(stats.alpha_spending(t, alpha=alpha, rule="inverse_square"))
            # A pass is no alarm: its bound spends nothing.
            return replace(distance(alpha), lower_bound=strict.lower_bound)
        except ValueError as error:
            raise EvidenceError(f"{name!r} cannot be compared: {error}") from error

    def _status(self, distances: Mapping[str, Estimate]) -> Status:
        each = [stats.decide(distance, self.max_effect) for distance in distances.values()]
        if "failed" in each:
            return "failed"
        return "passed" if all(status == "passed" for status in each) else "inconclusive"

    def _outcome(
        self,
        windows: Windows,
        found: Mapping[int, Mapping[str, Estimate]],
        statuses: Mapping[int, Status],
        reference_n: int,
    ) -> Outcome:
        count, margin = len(found), f"{self.max_effect:g}"
        failed = [window for window, status in statuses.items() if status == "failed"]
        open_ = [window for window, status in statuses.items() if status == "inconclusive"]
        # The window and the feature in it that the message and the estimate are about.
        at = failed[0] if failed else max(open_ or found, key=lambda w: _largest(found[w])[1].value)
        name, worst = _largest(found[at])
        if failed:
            beyond = {n: d for n, d in found[at].items() if d.lower_bound > self.max_effect}
            name, worst = _largest(beyond)
        shown = f"{name} {worst.value:.3f} [{worst.low:.3f}, {worst.high:.3f}] (n {worst.n:,})"
        needed, every = None, f"{count} {self.by}s"
        if failed:
            message = (
                f"alarm on {windows.names[at]}: {shown} is over the allowed {margin}. "
                f"{len(failed)} of {every} are: {listed([windows.names[w] for w in failed])}"
            )
        elif open_:
            needed = stats.rows_needed(
                len(self.features) + len(self.columns),
                margin=self.max_effect,
                reference_n=reference_n,
                alpha=level(self.confidence),
            )
            fewest = min(int(windows.rows[w]) for w in open_)
            would = (
                f"more rows of {self.reference} are needed to show less"
                if needed is None
                else f"to show less takes about {needed:,} rows a {self.by}, and there are "
                f"{fewest:,} or more"
            )
            message = (
                f"no alarm, but {len(open_)} of {every} may be over the allowed {margin}, most "
                f"{windows.names[at]}: {shown}; {would}"
            )
        else:
            message = f"each of {every} shown similar within {margin}; largest {shown}"
        empty = int((windows.rows == 0).sum())
        if empty:
            message += f". {empty} {self.by}s in between have no rows"
        return Outcome(
            "failed" if failed else "inconclusive" if open_ else "passed",
            message,
            worst,
            {"max_effect": self.max_effect},
            needed,
            details={
                "series": [
                    {
                        "at": windows.names[window],
                        "rows": int(windows.rows[window]),
                        "status": statuses.get(window),
                        **(asdict(_largest(found[window])[1]) if window in found else {}),
                        "distances": {
                            name: [d.value, d.low, d.high, d.lower_bound, d.upper_bound]
                            for name, d in found.get(window, {}).items()
                        },
                    }
                    for window in range(len(windows.names))
                ],
                "alarm": windows.names[failed[0]] if failed else None,
                "by": self.by,
            },
        )


def _largest(distances: Mapping[str, Estimate]) -> tuple[str, Estimate]:
    return max(distances.items(), key=lambda item: item[1].value)
