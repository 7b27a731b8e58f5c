"""Why is the variant less accurate live: other classes, other images, unseen ones, or else?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as image_features
from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.columns import ColumnKind, column_values, missing
from modelchecks.checks.deciding import check_confidence, level
from modelchecks.checks.labelled import LabelledRows
from modelchecks.errors import EvidenceError
from modelchecks.facets import COLUMNS, FEATURE
from modelchecks.results import Severity
from modelchecks.stats.attribution import DropAttribution as Attribution
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, points

ROWS = 10_000
"""Labelled rows of each split that are looked at; more cost time and narrow little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropAttribution:
    """What the drop between offline and live accuracy is made of, in percentage points.

    Statistic: the drop is split into four parts that sum to it, in this order: the classes come
    more or less often; the images (or log columns) have other properties, as far as offline has
    such rows too; rows that offline all but lacks; and the rest, where the same class with the same
    properties is now answered otherwise: a changed concept, or a change that no property here
    shows. The second part is split again by property. Intervals are from bootstrap refits.

    It explains and decides nothing: it is inconclusive whatever it sees, and `info` unless set. A
    property that is not given cannot be named, and its part is in the rest.

    Assumes: the labelled rows of both splits are random samples, each counting as one. Parts are
    associations in this order, not proof of a cause.

    Reference: after Cai, Namkoong and Yadlowsky (2023), arXiv:2303.02011.

    Example:
      - drop_attribution: {offline: offline, live: live}
    """

    default_severity: ClassVar[Severity] = "info"
    scope: ClassVar[Scope] = "variant"

    offline: SplitName = param("labelled split of the offline evaluation", default="offline")
    live: SplitName = param("split of labelled live rows", default="live")
    features: tuple[str, ...] = param(
        "image properties: registered names or module:function", default=image_features.DEFAULT
    )
    columns: tuple[str, ...] = field(
        default=(), metadata={"help": "log columns of numbers that both splits have"}
    )
    confidence: Share = param("one-sided confidence of a bound", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a drop needs two")
        names = (*self.features, *self.columns)
        if not names:
            raise ValueError("features: is empty; without a property nothing can be named")
        if len(set(names)) != len(names):
            raise ValueError("features: names one twice")

    def needs(self) -> Needs:
        """Return labels, predictions and properties of both splits."""
        kinds = {"labels", "predictions", *(FEATURE + name for name in self.features)}
        if self.columns:
            kinds.add(COLUMNS)
        return Needs({self.offline: frozenset(kinds), self.live: frozenset(kinds)})

    def evaluate(self, view: View) -> Outcome:
        """Return the parts of the drop; they decide nothing."""
        variant = str(view.variant)
        sides = [self._side(view, name, variant) for name in (self.offline, self.live)]
        found = stats.drop_attribution(*sides[0], *sides[1], alpha=level(self.confidence))
        names = (*self.features, *self.columns)
        medians = [[float(np.median(side[0][:, i])) for side in sides] for i in range(len(names))]
        message = _sentence(found, names, medians, len(sides[1][0]))
        reason = view.cannot_approve.get(self.live)
        if reason is not None:
            message += ". The labelled live rows may not stand for live traffic"
        return Outcome(
            "inconclusive",
            message,
            found.total,
            details={
                "waterfall": _waterfall(found, *(float(side[2].mean()) for side in sides)),
                "parts": {
                    name: asdict(getattr(found, name))
                    for name in ("label_shift", "covariate_shift", "unseen", "rest", "together")
                },
                "features": {
                    name: {
                        **asdict(part),
                        "median": median,
                        "unseen_distance": found.unseen_distances[i],
                    }
                    for i, (name, part, median) in enumerate(
                        zip(names, found.features, medians, strict=True)
                    )
                },
                "unseen_share": asdict(found.unseen_share),
                "rows": [len(side[0]) for side in sides],
            },
        )

    def _side(
        self, view: View, split: str, variant: str
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Return features, labels and whether the variant was right, of the labelled rows."""
        rows = LabelledRows(view, split, variant)
        if rows.evidence.drawn:
            raise EvidenceError(
                f"the rows of {split!r} are weighted or come in groups, and an attribution counts "
                "each as one"
            )
        if not len(rows):
            raise EvidenceError(f"split {split!r} has no labelled row")
        table = [rows.column(FEATURE + name).astype(np.float64) for name in self.features]
        for name in self.columns:
            # It says what is wrong with a column that is none, or no number.
            column_values(rows.evidence, name, ColumnKind())
            table.append(rows.column(f"column:{name}").astype(np.float64))
        for name, values in zip((*self.features, *self.columns), table, strict=True):
            gaps = int((missing(values) | ~np.isfinite(values)).sum())
            if gaps:
                raise EvidenceError(
                    f"{name!r} is missing or infinite in {gaps:,} labelled rows of {split!r}, so "
                    "their part of the drop cannot be told; leave it out of the attribution"
                )
        right = rows.right(variant).astype(np.int64)
        return np.stack(table, axis=1)[:ROWS], rows.label[:ROWS], right[:ROWS]


_PARTS = {
    "label_shift": "by other class shares",
    "covariate_shift": "by shifted properties",
    "unseen": "by rows unlike any offline one",
    "rest": "by the rest, which no property here shows",
}


def _sentence(
    found: Attribution, names: Sequence[str], medians: Sequence[Sequence[float]], n: int
) -> str:
    total = found.total
    lead = (
        f"accuracy fell by {points(total.value)} {interval(total.low, total.high)} (n {n:,} live "
        "labels)"
        if total.value >= 0
        else f"accuracy rose by {points(-total.value)} {interval(-total.high, -total.low)} (n "
        f"{n:,} live labels)"
    )
    parts = {name: getattr(found, name) for name in _PARTS}
    order = sorted(parts, key=lambda name: -abs(parts[name].value))
    told = [f"{_points(parts[name])} {_PARTS[name]}" for name in order]
    sentence = f"{lead}: {'; '.join(told)}"
    carried = sorted(range(len(names)), key=lambda i: -abs(found.features[i].value))
    shown = [
        f"{names[i]} {_points(found.features[i])} ({_median(medians[i])})"
        for i in carried[:2]
        if _shown(found.features[i])
    ]
    if shown and _shown(found.covariate_shift):
        sentence += f". Among the shifted properties: {', '.join(shown)}"
    if _shown(found.unseen) and found.unseen_share.value > 0:
        far = found.unseen_distances
        new = sorted(range(len(names)), key=lambda i: -far[i])[:3]
        new = [i for i in new if far[i] >= far[new[0]] / 2]
        by = ", ".join(f"{names[i]} ({_median(medians[i])})" for i in new)
        sentence += (
            f". {100 * found.unseen_share.value:.0f} % of the live rows are unlike any offline "
            f"one, most by their {by}"
        )
    return sentence


def _median(pair: Sequence[float]) -> str:
    return f"median {pair[0]:.4g} → {pair[1]:.4g}"


def _shown(part: Estimate) -> bool:
    """Return whether a part is told from nothing at all."""
    return part.low > 0 or part.high < 0


def _points(part: Estimate) -> str:
    return f"{points(part.value)} {interval(part.low, part.high)}"


def _waterfall(found: Attribution, offline: float, live: float) -> list[dict[str, Any]]:
    """Return the steps from offline to live accuracy: where each starts, ends, and its interval."""
    steps: list[dict[str, Any]] = [{"step": "offline", "accuracy": offline}]
    at = offline
    for name in _PARTS:
        part = getattr(found, name)
        steps.append(
            {
                "step": name,
                "from": at,
                "to": at - part.value,
                "change": -part.value,
                "low": -part.high,
                "high": -part.low,
            }
        )
        at -= part.value
    steps.append({"step": "live", "accuracy": live})
    return steps
