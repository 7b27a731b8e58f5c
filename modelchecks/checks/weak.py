"""Is the variant much worse on some kind of rows than on the rest?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as image_features
from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
)
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.facets import FEATURE
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, listing, points, threshold

Rows = NDArray[np.bool_]

MOST = 50
"""Slices of one column; a column with more values is a measurement, or names the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSlices:
    """No kind of rows is answered worse than all others by more than `max_gap`.

    Statistic: slices are the values of log `columns` that the split declares under `slices:`, bins
    of image `features`, and pairs of both. The `find` weakest are looked for on one half of the
    labelled rows and judged on the other, so that a slice which was picked for its bad luck is not
    called weak: the accuracy of all other rows minus that of the slice, with MOVER-CP bounds
    (Bonferroni over the slices judged for failing). Passed when every upper bound is within the
    limit, failed when any lower bound is beyond it, inconclusive between.

    Assumes: the labelled rows are a random sample, each counting as one; otherwise the check can
    fail but not pass. A pass is about the slices that were judged, and the message names them; a
    weak slice that the first half does not show stays unseen. Severity `warn` unless set.

    Reference: Chung et al. (2019), Slice Finder, ICDE; Cox (1975), Biometrika 62, 441-444 (data are
    split to test what they suggest).

    Example:
      - weak_slices: {split: live, columns: [camera, store], features: [brightness], max_gap: 15pp}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    split: SplitName = param("split of labelled rows", default="live")
    columns: tuple[str, ...] = param("log columns whose values are slices", default=())
    features: tuple[str, ...] = param(
        "image properties, cut into bins", default=image_features.DEFAULT
    )
    bins: int = param("how many bins of a property", default=4)
    find: int = param("how many of the weakest slices are judged", default=3)
    minimum: int = param("fewest rows of a slice, in each half", default=30)
    max_gap: Share = param("largest allowed gap to all other rows", default=0.15)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not (self.columns or self.features):
            raise ValueError("asks for no slice; give `columns` or `features`")
        for name, least in (("bins", 2), ("find", 1), ("minimum", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}")

    def needs(self) -> Needs:
        """Return labels, predictions and features of the split."""
        kinds = {"labels", "predictions", *(FEATURE + name for name in self.features)}
        return Needs({self.split: frozenset(kinds)})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over the weakest slices."""
        variant, evidence = str(view.variant), view.split(self.split)
        evidence.confusion(variant)
        right = np.asarray(
            evidence.sample(f"predicted:{variant}", labelled=True)
            == evidence.sample("label", labelled=True)
        )
        slices = _slices(evidence, self.columns, self.features, self.bins)
        # The rows are in random order already: every other one is a random half.
        first, second = np.arange(len(right)) % 2 == 0, np.arange(len(right)) % 2 == 1
        alpha = level(self.confidence)
        looks = {
            name: gap
            for name, rows in slices.items()
            if (gap := self._gap(right, rows, first, alpha)) is not None
        }
        if not looks:
            raise EvidenceError(
                f"no slice of {self.split!r} has {self.minimum} labelled rows in each half, and as "
                "many beside it; label more rows or choose coarser slices"
            )
        weakest = sorted(looks, key=lambda name: -looks[name].lower_bound)[: self.find]
        judged: dict[str, Estimate] = {}
        beyond = []
        for name in weakest:
            gap = self._gap(right, slices[name], second, alpha)
            jointly = self._gap(right, slices[name], second, alpha / len(weakest))
            if gap is None or jointly is None:
                continue
            judged[name] = gap
            if jointly.lower_bound > self.max_gap:
                beyond.append(name)
        if not judged:
            raise EvidenceError(
                f"the slices found on one half of {self.split!r} have no other half"
            )
        unsettled = [
            name
            for name, gap in judged.items()
            if name not in beyond and stats.decide(gap, self.max_gap) != "passed"
        ]
        unsettled += [name for name in weakest if name not in judged]
        status: Status = "failed" if beyond else "inconclusive" if unsettled else "passed"
        shown = listing([_told(name, judged.get(name)) for name in beyond or unsettled or weakest])
        allowed = f"allowed {threshold(self.max_gap, 'pp')}"
        of = f"{len(weakest)} weakest of {len(slices)} slices, found on the other half of the rows"
        what = {
            "failed": f"{len(beyond)} of the {of}, are behind all other rows",
            "inconclusive": f"{len(unsettled)} of the {of}, may be behind all other rows",
            "passed": f"none of the {of}, is far behind all other rows",
        }[status]
        worst = max(judged, key=lambda name: judged[name].value)
        details: dict[str, Any] = {
            "unit": "pp",
            "slices": {name: {"drop": asdict(gap)} for name, gap in judged.items()},
        }
        outcome = Outcome(
            status,
            f"{what}: {shown}, {allowed}",
            judged[worst],
            {"max_gap": self.max_gap},
            details=details,
        )
        outcome = hold_if_unequal(outcome, view, self.split)
        return hold_if_unsampled(outcome, view, self.split)

    def _gap(self, right: Rows, rows: Rows, half: Rows, alpha: float) -> Estimate | None:
        """Return the accuracy of all other rows of a half minus that of a slice; None if small."""
        inside, outside = right[half & rows], right[half & ~rows]
        if min(len(inside), len(outside)) < self.minimum:
            return None
        counts = int(outside.sum()), len(outside), int(inside.sum()), len(inside)
        return stats.proportion_drop(*counts, alpha=alpha)


def _told(name: str, gap: Estimate | None) -> str:
    if gap is None:
        return f"{name} (too few rows in the other half)"
    return f"{name} {points(gap.value)} {interval(gap.low, gap.high)} (n {gap.n:,})"


def _slices(
    evidence: Evidence, columns: tuple[str, ...], features: tuple[str, ...], bins: int
) -> Mapping[str, Rows]:
    """Return the rows of each slice: values, bins, and pairs of those of different origin."""
    cuts: dict[str, dict[str, Rows]] = {}
    for column in columns:
        if f"column:{column}" not in evidence.rows.columns:
            raise EvidenceError(
                f"split {evidence.split!r} keeps no column {column!r}: list it under its `slices:`"
            )
        texts = np.array([str(v) for v in evidence.sample(f"column:{column}", labelled=True)])
        values = np.unique(texts)
        if len(values) > MOST:
            raise EvidenceError(
                f"column {column!r} of split {evidence.split!r} has {len(values):,} values, and "
                f"slices are at most {MOST}; log a coarser column"
            )
        cuts[column] = {f"{column}={value}": texts == value for value in values.tolist()}
    for feature in features:
        numbers = evidence.sample(FEATURE + feature, labelled=True)
        gaps = int((~np.isfinite(numbers)).sum())
        if gaps:
            raise EvidenceError(
                f"feature {feature!r} is NaN or infinite in {gaps} rows of {evidence.split!r}"
            )
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1)))
        # The last bin holds its upper edge as well.
        inside = np.clip(np.searchsorted(edges, numbers, "right") - 1, 0, max(len(edges) - 2, 0))
        cuts[feature] = {
            f"{feature} {low:.3g} to {high:.3g}": inside == place
            for place, (low, high) in enumerate(pairwise(edges.tolist()))
        }
    found = {name: rows for cut in cuts.values() for name, rows in cut.items()}
    for one, other in combinations(cuts.values(), 2):
        for name, rows in one.items():
            found |= {f"{name}, {more}": rows & those for more, those in other.items()}
    return found
