"""Are the live rows like the rows that the model was trained for, by more than noise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
from modelchecks.checks.shown import histogram, of_splits
from modelchecks.errors import EvidenceError
from modelchecks.facets import FEATURE
from modelchecks.results import Severity
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import listing


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """Every image property is distributed in `current` as in `reference`, up to `max_effect`.

    Statistic: the Kolmogorov distance D of each property (0 same, 1 disjoint; 0.10 is about a
    quarter of a standard deviation), with a lower bound that holds for all properties at once and
    an upper bound for each. Passed when every upper bound is within `max_effect`, failed when any
    lower bound is beyond it, inconclusive between. The verdict does not depend on n but through
    the width of the bounds; no p-value is compared with anything.

    Assumes: rows are independent. Drift alone is not harm: the severity is `warn` unless set.

    Reference: Massart (1990), Annals of Probability 18, 1269-1283 (lower bound); Wellek (2010),
    Testing Statistical Hypotheses of Equivalence (upper bound).

    Example:
      - feature_drift: {reference: train, current: live, max_effect: 0.1}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    reference: SplitName = param("split that the model was made for", default="train")
    current: SplitName = param("split to compare with it", default="live")
    max_effect: Share = param("largest allowed Kolmogorov distance", default=0.1)
    features: tuple[str, ...] = param(
        "image properties: registered names or module:function", default=image_features.DEFAULT
    )
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        _check_pair(self.reference, self.current)
        if not self.features:
            raise ValueError("features: is empty; a check that compares nothing cannot pass")

    def needs(self) -> Needs:
        """Return the features of both splits."""
        kinds = frozenset(FEATURE + name for name in self.features)
        return Needs({self.reference: kinds, self.current: kinds})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all properties; the estimate is that of the worst one."""
        effects = {name: self._effect(view, name, len(self.features)) for name in self.features}
        outcome = _judge(effects, self.max_effect, "D", "image properties", self.reference)
        drifted = [n for n, e in effects.items() if stats.decide(e, self.max_effect) != "passed"]
        shown = {name: histogram(*self._columns(view, name)) for name in drifted}
        outcome = of_splits(outcome, self.reference, self.current, distributions=shown)
        return hold_if_unequal(outcome, view, self.reference, self.current, labelled=False)

    def _effect(self, view: View, name: str, features: int) -> Estimate:
        columns = self._columns(view, name)
        return stats.kolmogorov(*columns, alpha=level(self.confidence), features=features)

    def _columns(self, view: View, name: str) -> list[NDArray[Any]]:
        columns = []
        for split in (self.reference, self.current):
            column = view.split(split).sample(FEATURE + name)
            gaps = int((~np.isfinite(column)).sum())
            if gaps:
                raise EvidenceError(
                    f"feature {name!r} is NaN or infinite in {gaps} rows of split {split!r}"
                )
            columns.append(column)
        return columns


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDrift:
    """The classes have the same shares in `current` as in `reference`, up to `max_effect`.

    Statistic: the total variation distance of the label shares (0 same, 1 disjoint: the share of
    rows that would have to change class), with bounds. Decided as `feature_drift` is.

    Assumes: the labelled rows of `current` are a random sample of it; otherwise the check can
    fail but not pass. Drift alone is not harm: the severity is `warn` unless set.

    Reference: Weissman et al. (2003), HP Labs HPL-2003-97 (lower bound).

    Example:
      - label_drift: {reference: train, current: live, max_effect: 0.1}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    reference: SplitName = param("split that the model was made for", default="train")
    current: SplitName = param("split to compare with it", default="live")
    max_effect: Share = param("largest allowed total variation distance", default=0.1)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        _check_pair(self.reference, self.current)

    def needs(self) -> Needs:
        """Return the labels of both splits."""
        labels = frozenset({"labels"})
        return Needs({self.reference: labels, self.current: labels})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the distance of the label shares."""
        reference = view.split(self.reference).label_counts()
        current = view.split(self.current).label_counts()
        outcome = _shares(view, reference, current, self.max_effect, self.confidence, "labels")
        outcome = of_splits(outcome, self.reference, self.current)
        outcome = hold_if_unsampled(outcome, view, self.current)
        return hold_if_unequal(outcome, view, self.reference, self.current)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionDrift:
    """The variant predicts the classes as often in `current` as in `reference`.

    Statistic: the total variation distance of the shares of predicted classes, with bounds; it
    needs no label. Decided as `feature_drift` is.

    Assumes: rows are independent. A change may come from the classes themselves or from errors:
    the check cannot tell which, and the severity is `warn` unless set.

    Reference: Weissman et al. (2003), HP Labs HPL-2003-97 (lower bound).

    Example:
      - prediction_drift: {reference: offline, current: live, max_effect: 0.1}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    reference: SplitName = param("split to start from", default="offline")
    current: SplitName = param("split to compare with it", default="live")
    max_effect: Share = param("largest allowed total variation distance", default=0.1)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        _check_pair(self.reference, self.current)

    def needs(self) -> Needs:
        """Return the predictions on both splits."""
        answers = frozenset({"predictions"})
        return Needs({self.reference: answers, self.current: answers})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the distance of the shares of predicted classes."""
        variant = str(view.variant)
        reference = view.split(self.reference).predicted_counts(variant)
        current = view.split(self.current).predicted_counts(variant)
        outcome = _shares(
            view, reference, current, self.max_effect, self.confidence, "predicted classes"
        )
        outcome = of_splits(outcome, self.reference, self.current)
        return hold_if_unequal(outcome, view, self.reference, self.current, labelled=False)


def _check_pair(reference: str, current: str) -> None:
    if reference == current:
        raise ValueError("current: is the same split as `reference`; drift needs two")


def _shares(
    view: View,
    reference: Mapping[int, int],
    current: Mapping[int, int],
    max_effect: float,
    confidence: float,
    what: str,
) -> Outcome:
    """Return the decision on the total variation distance between two tables of class counts."""
    classes = sorted({*reference, *current})
    before = np.array([reference.get(c, 0) for c in classes])
    after = np.array([current.get(c, 0) for c in classes])
    estimate = stats.total_variation(before, after, alpha=level(confidence))
    change = after / after.sum() - before / before.sum()
    most = [classes[i] for i in np.argsort(-np.abs(change), kind="stable")[:3]]
    names = {number: view.class_name(number) for number in classes}
    outcome = _judge({"total variation": estimate}, max_effect, "distance", what)
    largest = ", ".join(
        f"{names[number]} {100 * change[classes.index(number)]:+.1f} pp" for number in most
    )
    details = {
        **outcome.details,
        "shares": {
            names[number]: {
                "reference": float(before[i] / before.sum()),
                "current": float(after[i] / after.sum()),
            }
            for i, number in enumerate(classes)
        },
    }
    return Outcome(
        outcome.status,
        f"{outcome.message}. Largest changes: {largest}",
        estimate,
        outcome.threshold,
        details=details,
    )


def _judge(
    effects: Mapping[str, Estimate],
    max_effect: float,
    symbol: str,
    what: str,
    reference: str = "",
) -> Outcome:
    """Return the decision over several effects: all upper bounds within, or any lower beyond."""
    statuses = {name: stats.decide(effect, max_effect) for name, effect in effects.items()}

    def tell(name: str) -> str:
        effect = effects[name]
        label = f"{name} " if len(effects) > 1 or what == "image properties" else ""
        return f"{label}{symbol} {effect.value:.3f} [{effect.low:.3f}, {effect.high:.3f}]"

    by_size = sorted(effects, key=lambda name: -effects[name].value)
    failed = [name for name in by_size if statuses[name] == "failed"]
    unsettled = [name for name in by_size if statuses[name] == "inconclusive"]
    worst = (failed or unsettled or by_size)[0]
    allowed = f"{max_effect:g}"
    count = f"{len(failed or unsettled)} of {len(effects)} " if len(effects) > 1 else ""
    if failed:
        shown = listing([tell(name) for name in failed])
        message = f"{count}{what} differ by more than {allowed}: {shown}"
    elif unsettled:
        shown = listing([tell(name) for name in unsettled])
        message = (
            f"{count}{what} may differ by more than the allowed {allowed}: {shown} "
            f"(n {effects[worst].n:,}); more rows would settle it"
        )
    else:
        message = f"{what} shown similar within {allowed}: largest {tell(worst)}"
    return Outcome(
        "failed" if failed else "inconclusive" if unsettled else "passed",
        message,
        effects[worst],
        {"max_effect": max_effect},
        details={"effects": {name: asdict(effect) for name, effect in effects.items()}},
    )
