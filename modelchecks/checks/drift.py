"""Do the classes come as often as before, in the labels or in the answers?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.columns import unseen_text
from modelchecks.checks.deciding import hold_if_unequal, hold_if_unsampled
from modelchecks.checks.harm import (
    Drift,
    drift_level,
    weighed,
    with_harm,
)
from modelchecks.checks.shown import of_splits
from modelchecks.checks.similar import Effect, judged
from modelchecks.results import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDrift(Drift):
    """The classes have the same shares in `current` as in `reference`, up to `max_effect`.

    Statistic: the total variation distance of the label shares (0 same, 1 disjoint: the share of
    rows that would have to change class), with bounds. Decided as `feature_drift` is. Classes that
    the reference lacks are named, however few they are.

    Assumes: the labelled rows of `current` are a random sample of it; otherwise the check can
    fail but not pass. Drift alone is not harm: the severity is `warn` unless set, and `block_when:
    harmful` lets a shift through that labels show to cost no more than `max_drop`.

    Reference: Weissman et al. (2003), HP Labs HPL-2003-97 (lower bound).

    Example:
      - label_drift: {reference: train, current: live, max_effect: 0.1}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    reference: SplitName = param("split that the model was made for", default="train")
    current: SplitName = param("split to compare with it", default="live")
    max_effect: Share = param("largest allowed total variation distance", default=0.1)

    def needs(self) -> Needs:
        """Return the labels of both splits."""
        labels = frozenset({"labels"})
        return with_harm(self, Needs({self.reference: labels, self.current: labels}))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the distance of the label shares."""
        counts = [view.split(name).label_counts() for name in (self.reference, self.current)]
        outcome = _shares(view, counts, self, "labels")
        outcome = of_splits(outcome, self.reference, self.current)
        outcome = hold_if_unsampled(weighed(outcome, view, self), view, self.current)
        return hold_if_unequal(outcome, view, self.reference, self.current)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionDrift(Drift):
    """The variant predicts the classes as often in `current` as in `reference`.

    Statistic: the total variation distance of the shares of predicted classes, with bounds; it
    needs no label. Decided as `feature_drift` is. Classes that were never predicted on the
    reference are named.

    Assumes: rows are independent. A change may come from the classes themselves or from errors:
    the check cannot tell which, and the severity is `warn` unless set; `block_when: harmful` lets a
    change through that labels show to cost no more than `max_drop`.

    Reference: Weissman et al. (2003), HP Labs HPL-2003-97 (lower bound).

    Example:
      - prediction_drift: {reference: offline, current: live, max_effect: 0.1}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    reference: SplitName = param("split to start from", default="offline")
    current: SplitName = param("split to compare with it", default="live")
    max_effect: Share = param("largest allowed total variation distance", default=0.1)

    def needs(self) -> Needs:
        """Return the predictions on both splits."""
        answers = frozenset({"predictions"})
        return with_harm(self, Needs({self.reference: answers, self.current: answers}))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the distance of the shares of predicted classes."""
        variant = str(view.variant)
        counts = [
            view.split(name).predicted_counts(variant) for name in (self.reference, self.current)
        ]
        outcome = _shares(view, counts, self, "predicted classes")
        outcome = weighed(of_splits(outcome, self.reference, self.current), view, self)
        return hold_if_unequal(outcome, view, self.reference, self.current, labelled=False)


def _shares(
    view: View,
    counts: Sequence[Mapping[int, int]],
    check: LabelDrift | PredictionDrift,
    what: str,
) -> Outcome:
    """Return the decision on the total variation distance between two tables of class counts."""
    reference, current = counts
    classes = sorted({*reference, *current})
    before = np.array([reference.get(c, 0) for c in classes])
    after = np.array([current.get(c, 0) for c in classes])
    estimate = stats.total_variation(before, after, alpha=drift_level(check))
    change = after / after.sum() - before / before.sum()
    names = [view.class_name(number) for number in classes]
    effect = Effect(
        "total variation", "distance", estimate, check.max_effect, categories=len(classes)
    )
    outcome = judged([effect], what, check.reference, int(before.sum()))
    most = np.argsort(-np.abs(change), kind="stable")[:3]
    largest = ", ".join(f"{names[i]} {100 * change[i]:+z.1f} pp" for i in most)
    message = f"{outcome.message}. Largest changes: {largest}"
    new = np.flatnonzero((before == 0) & (after > 0))
    unseen = {names[i]: float(after[i] / after.sum()) for i in new[np.argsort(-after[new])]}
    if unseen:
        message += f". Never seen in {check.reference}: {unseen_text(unseen)}"
    details = {
        **outcome.details,
        "shares": {
            names[i]: {
                "reference": float(before[i] / before.sum()),
                "current": float(after[i] / after.sum()),
            }
            for i in range(len(classes))
        },
        "new": unseen,
    }
    return replace(outcome, message=message, details=details)
