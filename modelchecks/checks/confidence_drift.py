"""Is the variant as sure of its answers as it was before?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.columns import ColumnKind, overlay
from modelchecks.checks.deciding import hold_if_unequal
from modelchecks.checks.harm import (
    Drift,
    drift_level,
    weighed,
    with_harm,
)
from modelchecks.checks.shown import of_splits
from modelchecks.checks.similar import Effect, judged
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity
from modelchecks.stats.temperature import softmax

MOST_TOLD = 20
"""Outputs whose distances are recorded: of a thousand, those that moved most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceDrift(Drift):
    """The variant's confidence, and each of its outputs, is distributed in `current` as before.

    Statistic: the Kolmogorov distance of the largest probability and of the probability of every
    class, decided as `feature_drift` is: passed when all upper bounds are within `max_effect`,
    failed when any lower bound, which holds for all of them at once, is beyond. No label is needed.
    Of all tests on one model this one tells harmful shifts from harmless ones best, and still not
    well: a model may be sure and wrong.

    Assumes: rows are independent. Drift alone is not harm: the severity is `warn` unless set, and
    `block_when: harmful` lets a shift through that labels show to cost no more than `max_drop`.

    Reference: Rabanser, Guennemann and Lipton (2019), NeurIPS (tests on the softmax outputs).

    Example:
      - confidence_drift: {reference: offline, current: live, max_effect: 0.1}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    reference: SplitName = param("split to start from", default="offline")
    current: SplitName = param("split to compare with it", default="live")
    max_effect: Share = param("largest allowed Kolmogorov distance of one output", default=0.1)

    def needs(self) -> Needs:
        """Return the predictions and logits on both splits."""
        kinds = frozenset({"predictions", "logits"})
        return with_harm(self, Needs({self.reference: kinds, self.current: kinds}))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over confidence and all outputs."""
        before, now = (
            probabilities(view, split, str(view.variant))
            for split in (self.reference, self.current)
        )
        classes = before.shape[1]
        if now.shape[1] != classes:
            raise EvidenceError(
                f"variant {view.variant!r} has {classes} outputs on {self.reference!r} and "
                f"{now.shape[1]} on {self.current!r}"
            )
        sure = [side.max(axis=1) for side in (before, now)]
        effects = [self._effect("confidence", sure[0], sure[1], classes)]
        effects += [
            self._effect(f"p({view.class_name(c)})", before[:, c], now[:, c], classes)
            for c in range(classes)
        ]
        outcome = judged(effects, "outputs", self.reference, len(before))
        mean = " → ".join(f"{100 * float(side.mean()):.1f} %" for side in sure)
        by_size = sorted(effects, key=lambda effect: -effect.distance.value)[:MOST_TOLD]
        told = {"confidence", *(effect.name for effect in by_size)}
        details: dict[str, Any] = {
            "effects": {
                name: one for name, one in outcome.details["effects"].items() if name in told
            },
            "mean_confidence": [float(side.mean()) for side in sure],
        }
        shape = overlay(ColumnKind(), *sure)
        if "edges" in shape:
            details["distributions"] = {"confidence": shape}
        message = f"{outcome.message}. Mean confidence {mean}"
        outcome = replace(outcome, message=message, details=details)
        outcome = weighed(of_splits(outcome, self.reference, self.current), view, self)
        return hold_if_unequal(outcome, view, self.reference, self.current, labelled=False)

    def _effect(self, name: str, before: NDArray[Any], now: NDArray[Any], classes: int) -> Effect:
        alpha = drift_level(self)
        distance = stats.kolmogorov(before, now, alpha=alpha, features=classes + 1)
        return Effect(name, f"{name} D", distance, self.max_effect)


def probabilities(view: View, split: str, variant: str) -> NDArray[np.float64]:
    """Return the probabilities (rows, classes) of a sample of all rows, labelled or not.

    Raises EvidenceError where the variant left any row of the split without an answer.
    """
    evidence = view.split(split)
    evidence.predicted_counts(variant)  # It knows every gap.
    found = softmax(evidence.sample(f"logits:{variant}").astype(np.float64))
    if found.shape[1] < 2:
        raise EvidenceError(
            f"variant {variant!r} has one output on split {split!r}, and how sure it is needs two; "
            "let it give a logit for each class"
        )
    return found
