"""Does what has changed cost more accuracy than may be lost?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, Whose, param
from modelchecks.checks.confidence_drift import probabilities
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
    settle,
)
from modelchecks.checks.labelled import LabelledRows
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity
from modelchecks.stats.harm import HarmfulShift as Suspicion
from modelchecks.wording import interval, points, threshold

ROWS = 5_000
"""Rows of each split that the methods without labels look at; more move them by less than 1 pp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmfulShift:
    """What has changed between offline and live costs the variant no more than `max_drop`.

    Statistic: where live rows have labels, the bounds of the drop as in `accuracy_drop`: failed
    when it is shown to be more than `max_drop` (harmful), passed when shown to be no more (benign).
    Where there are none, or too few, methods that need no label say what they suspect: thresholded
    confidence and optimal transport under the label shift that the answers suggest, and whether
    other variants still agree as often. That has no guarantee, so it is inconclusive whatever they
    see: a warning under severity `warn`, a hold under `block`. The message says what is suspected,
    and how many labels would decide.

    Assumes: the labelled live rows are a random sample of live traffic; otherwise the check can
    fail but not pass.

    Reference: Rabanser, Guennemann and Lipton (2019), NeurIPS; Lipton, Wang and Smola (2018), ICML;
    Garg et al. (2022), ICLR; Lu et al. (2023), NeurIPS; Baek et al. (2022), NeurIPS.

    Example:
      - harmful_shift: {offline: offline, live: live, max_drop: 5pp}
        severity: block
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share = param("drop of accuracy from which a shift is harmful: 5pp, or 0.05")
    offline: SplitName = param("labelled split of the offline evaluation", default="offline")
    live: SplitName = param("split of live rows, with or without labels", default="live")
    agreement: bool = param(
        "also ask all other declared variants whether they still agree", default=True
    )
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a shift needs two")
        if self.max_drop >= 1:
            raise ValueError("max_drop: must be less than 100 %")

    def needs(self) -> Needs:
        """Return labels and probabilities of both splits, of all variants for their agreement."""
        kinds = frozenset({"labels", "predictions", "logits"})
        whose: Whose = "all" if self.agreement else "own"
        return Needs({self.offline: kinds, self.live: kinds}, whose=whose)

    def evaluate(self, view: View) -> Outcome:
        """Return what labels decide, and what is suspected without them."""
        variant, alpha = str(view.variant), level(self.confidence)
        live = view.split(self.live)
        right, n = view.split(self.offline).correct(variant)
        drop = None
        if live.labelled:
            drop = stats.proportion_drop(right, n, *live.correct(variant), alpha=alpha)
        try:
            suspected = self._suspicion(view, variant, alpha)
        except EvidenceError as error:
            if drop is None:
                raise
            suspicion, details = f"nothing is known beside: {error}", {}
        else:
            suspicion, details = "; ".join(suspected.reasons), _details(suspected)
        limits, allowed = {"max_drop": self.max_drop}, threshold(self.max_drop, "pp")
        if drop is None:
            guess = suspected.suspected
            needed = _needed(right, n, guess, self.max_drop, alpha)
            would = "no practical number of" if needed is None else f"about {needed:,}"
            message = (
                f"{_STATES[suspected.state]}, but no live row has a label: {suspicion}. That has "
                f"no guarantee and decides nothing; {would} labelled live rows would"
            )
            return Outcome(
                "inconclusive", message, threshold=limits, needed=needed, details=details
            )
        status = stats.decide(drop, self.max_drop)
        fell = f"{drop.n:,} labels show a drop of {points(drop.value)} " + interval(
            drop.low, drop.high
        )
        needed = None
        if status == "failed":
            message = f"harmful: {fell}, at least {points(drop.lower_bound)}, over {allowed}"
        elif status == "passed":
            message = f"benign: {fell}, at most {points(drop.upper_bound)}, within {allowed}"
        else:
            needed = _needed(right, n, drop.value, self.max_drop, alpha)
            message = (
                f"open: {fell}, which may be {points(drop.lower_bound)} to "
                f"{points(drop.upper_bound)}, and {allowed} is allowed. "
                f"{settle(needed, drop.n, 'labelled live rows', 'labelled offline rows')}"
            )
        outcome = Outcome(
            status,
            f"{message}. Beside it, {suspicion}",
            drop,
            limits,
            needed,
            details={**details, "drop": asdict(drop)},
        )
        outcome = hold_if_unsampled(outcome, view, self.live)
        return hold_if_unequal(outcome, view, self.offline, self.live)

    def _suspicion(self, view: View, variant: str, alpha: float) -> Suspicion:
        """Return what the methods without labels see; no live label is looked at."""
        rows = LabelledRows(view, self.offline, variant)
        source, label = rows.probabilities(variant)[:ROWS], rows.label[:ROWS]
        target = probabilities(view, self.live, variant)[:ROWS]
        before, now = self._others(view, variant, rows)
        try:
            return stats.harmful_shift(
                source,
                label,
                target,
                max_drop=self.max_drop,
                offline_answers=before,
                live_answers=now,
                alpha=alpha,
            )
        except ValueError as error:
            raise EvidenceError(f"variant {variant!r}: {error}") from error

    def _others(
        self, view: View, variant: str, rows: LabelledRows
    ) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Return the answers of the other variants (variants, rows) on both sides, if there are.

        One that answers offline as this one does is no other, and one that cannot be asked is left
        out: the case is about this variant.
        """
        before, now = [], []
        own = rows.column(f"predicted:{variant}")[:ROWS]
        for other in view.variants if self.agreement else ():
            if other == variant:
                continue
            try:
                view.split(self.live).predicted_counts(other)
                view.split(self.offline).predicted_counts(other)
                answers = rows.column(f"predicted:{other}")[:ROWS]
                after = view.split(self.live).sample(f"predicted:{other}")[:ROWS]
            except EvidenceError:
                continue
            if not np.array_equal(answers, own):
                before.append(answers)
                now.append(after)
        return (np.stack(before), np.stack(now)) if before else (None, None)


_STATES = {
    "harmful": "harm is suspected",
    "benign": "no harm is suspected",
    "unclear": "harm is neither suspected nor ruled out",
}


def _needed(right: int, n: int, drop: float, max_drop: float, alpha: float) -> int | None:
    true = min(max(drop, right / n - 1), right / n)
    return stats.labels_needed(right / n, n, true_drop=true, max_drop=max_drop, alpha=alpha)


def _details(found: Suspicion) -> dict[str, Any]:
    shift, evidence = found.evidence.label_shift, found.evidence
    return {
        "suspicion": found.state,
        "suspected_drop": found.suspected,
        "range": [found.low, found.high],
        "guesses": {name: float(value) for name, value in found.guesses.items()},
        "label_shift_drop": found.label_shift,
        "label_shift": {
            "prior": shift.prior.tolist(),
            "condition": shift.condition if np.isfinite(shift.condition) else None,
            "residual": shift.residual,
        },
        "routed": evidence.routed,
        "unexplained": evidence.unexplained,
        "chance": evidence.chance,
        "temperature": evidence.temperature,
    }
