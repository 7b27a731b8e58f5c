"""Does a simple property of the image give the label away in training, and not live?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
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
from modelchecks.facets import FEATURE
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.predictive import predicted_by
from modelchecks.wording import interval, listing, percent, points, threshold

FEWEST = 20
"""Labelled rows of a class that each split needs for the class to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """No image property predicts the label much better in training than live.

    Statistic: for each property, the balanced accuracy of predicting the class from that number
    alone (20 bins, each half of the rows predicted from the other), in the reference and live, and
    the difference of the two (MOVER on their bounds). Passed when every upper bound is within
    `max_gap`, failed when any lower bound is beyond it (Bonferroni over the properties),
    inconclusive between. A model may lean on a property that gives its labels away in training
    (a coloured corner, a ruler beside a tumour) and fail where that is gone.

    Assumes: the labelled live rows are a random sample; otherwise the check can fail but not pass.
    Classes with fewer than 20 labelled rows in a split are left out, and named. A gap says that a
    shortcut was there to take, not that the model took it: the severity is `warn` unless set.

    Reference: Geirhos et al. (2020), Shortcut Learning in Deep Neural Networks, Nature Machine
    Intelligence 2, 665-673; Zou and Donner (2008), Statistics in Medicine 27, 1693-1702.

    Example:
      - shortcut: {reference: train, live: live, max_gap: 20pp}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    reference: SplitName = param("split that the model was trained on", default="train")
    live: SplitName = param("split of labelled live rows", default="live")
    features: tuple[str, ...] = param(
        "image properties: registered names or module:function", default=image_features.SIMPLE
    )
    max_gap: Share = param("largest gap between the two balanced accuracies", default=0.2)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.reference == self.live:
            raise ValueError("live: is the same split as `reference`; a gap needs two")
        if not self.features:
            raise ValueError("features: is empty; a check that compares nothing cannot pass")

    def needs(self) -> Needs:
        """Return labels and features of both splits."""
        kinds = frozenset({"labels", *(FEATURE + name for name in self.features)})
        return Needs({self.reference: kinds, self.live: kinds})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all properties; the estimate is that of the worst one."""
        counts = [view.split(split).label_counts() for split in (self.reference, self.live)]
        classes = sorted(c for c in counts[0] if min(one.get(c, 0) for one in counts) >= FEWEST)
        left_out = sorted({c for one in counts for c in one} - set(classes))
        if len(classes) < 2:
            raise EvidenceError(
                f"fewer than two classes have {FEWEST} labelled rows in {self.reference} and "
                f"{self.live}; label more rows"
            )
        gaps, told = {}, {}
        for name in self.features:
            before, now = (self._power(view, split, name, classes) for split in self._splits)
            gaps[name] = self._gap(before, now)
            powers = f"{percent(before[0].value)} in {self.reference}, {percent(now[0].value)} live"
            told[name] = f"{name} {powers}"
        statuses = {name: stats.decide(gap, self.max_gap) for name, gap in gaps.items()}
        worst = max(gaps, key=lambda name: gaps[name].value)
        order = sorted(gaps, key=lambda name: -gaps[name].value)
        failed = [name for name in order if statuses[name] == "failed"]
        unsettled = [name for name in order if statuses[name] == "inconclusive"]
        status: Status = "failed" if failed else "inconclusive" if unsettled else "passed"
        allowed = f"allowed gap {threshold(self.max_gap, 'pp')}, chance {percent(1 / len(classes))}"
        shown = [
            f"{told[name]}: gap {points(gaps[name].value)} "
            f"{interval(gaps[name].low, gaps[name].high)}"
            for name in failed or unsettled or [worst]
        ]
        what = {
            "failed": "predict the class far better in training than live",
            "inconclusive": "may predict the class far better in training than live",
            "passed": "no property predicts the class much better in training than live; the most",
        }[status]
        count = f"{len(failed or unsettled)} of {len(gaps)} properties "
        message = f"{count if status != 'passed' else ''}{what}: {listing(shown)} ({allowed})"
        if left_out:
            names = listing([view.class_name(label) for label in left_out])
            message = f"{message}. Left out, with fewer than {FEWEST} rows: {names}"
        details: dict[str, Any] = {
            "unit": "pp",
            "effects": {name: asdict(gap) for name, gap in gaps.items()},
        }
        limits = {"max_gap": self.max_gap}
        outcome = Outcome(status, message, gaps[worst], limits, details=details)
        outcome = hold_if_unequal(outcome, view, self.reference, self.live)
        return hold_if_unsampled(outcome, view, self.live)

    @property
    def _splits(self) -> tuple[str, str]:
        return self.reference, self.live

    def _power(
        self, view: View, split: str, name: str, classes: list[int]
    ) -> tuple[Estimate, Estimate]:
        """Return how well a property predicts the class, at alpha and shared among all of them."""
        evidence = view.split(split)
        labels = evidence.sample("label", labelled=True)
        values: NDArray[Any] = evidence.sample(FEATURE + name, labelled=True)
        kept = np.isin(labels, classes)
        gaps = int((~np.isfinite(values[kept])).sum())
        if gaps:
            raise EvidenceError(f"feature {name!r} is NaN or infinite in {gaps} rows of {split!r}")
        numbers = np.searchsorted(classes, labels[kept])
        table = predicted_by(values[kept], numbers, len(classes))
        alpha = level(self.confidence)
        one, all_ = (
            stats.confusion_metric("balanced_accuracy", table, alpha=error)
            for error in (alpha, alpha / len(self.features))
        )
        return one, all_

    def _gap(self, before: tuple[Estimate, Estimate], now: tuple[Estimate, Estimate]) -> Estimate:
        gap = stats.metric_drop(before[0], now[0])
        jointly = stats.metric_drop(before[1], now[1])
        return replace(gap, lower_bound=jointly.lower_bound)
