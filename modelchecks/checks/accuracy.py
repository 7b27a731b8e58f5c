"""Is the variant accurate enough live, and how much does it lose between offline and live?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.shown import by_class
from modelchecks.results import Severity
from modelchecks.wording import accuracy, interval, percent, points, threshold

LABELLED_ANSWERS = frozenset({"labels", "predictions"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyDrop:
    """The variant's accuracy falls by no more than `max_drop` between offline and live.

    Statistic: the difference of two accuracies on independent rows, with two one-sided bounds
    (MOVER with Clopper-Pearson limits). Passed when the upper bound is within `max_drop`, failed
    when the lower bound is beyond it, inconclusive between: then the message says how many
    labelled live rows would settle it.

    Assumes: the labelled live rows are a random sample of live traffic (`sampling: random` on
    the split, or `assume_random: reason`); otherwise the check can fail but not pass.

    Reference: Newcombe (1998), Statistics in Medicine 17, 873-890, method 10; Zou and Donner
    (2008), Statistics in Medicine 27, 1693-1702.

    Example:
      - accuracy_drop: {offline: offline, live: live, max_drop: 5pp, confidence: 95%}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share = param("largest allowed drop: 5pp, or 0.05")
    offline: SplitName = param("split of the offline evaluation", default="offline")
    live: SplitName = param("split of labelled live rows", default="live")
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a drop needs two")

    def needs(self) -> Needs:
        """Return labels and predictions of both splits."""
        return Needs({self.offline: LABELLED_ANSWERS, self.live: LABELLED_ANSWERS})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the drop of the view's variant."""
        variant, alpha = str(view.variant), level(self.confidence)
        offline_correct, offline_n = view.split(self.offline).correct(variant)
        live_correct, live_n = view.split(self.live).correct(variant)
        drop = stats.proportion_drop(offline_correct, offline_n, live_correct, live_n, alpha=alpha)
        offline = stats.proportion(offline_correct, offline_n, alpha=alpha)
        live = stats.proportion(live_correct, live_n, alpha=alpha)
        status = stats.decide(drop, self.max_drop)
        fell = (
            f"accuracy fell by {points(drop.value)} {interval(drop.low, drop.high)}: offline "
            f"{accuracy(offline)}, live {accuracy(live)}"
        )
        allowed = threshold(self.max_drop, "pp")
        needed = None
        if status == "passed":
            message = f"{fell}; at most {points(drop.upper_bound)}, within the allowed {allowed}"
        elif status == "failed":
            message = f"{fell}; at least {points(drop.lower_bound)}, over the allowed {allowed}"
        else:
            needed = stats.labels_needed(
                offline.value,
                offline_n,
                true_drop=drop.value,
                max_drop=self.max_drop,
                alpha=alpha,
            )
            message = (
                f"{fell}; the drop may be {points(drop.lower_bound)} to "
                f"{points(drop.upper_bound)} and {allowed} is allowed. "
                f"{settle(needed, live_n, 'labelled live rows', 'labelled offline rows')}"
            )
        outcome = Outcome(
            status,
            message,
            drop,
            {"max_drop": self.max_drop},
            needed,
            details={
                "offline": asdict(offline),
                "live": asdict(live),
                **by_class(view, self.offline, self.live),
            },
        )
        return hold_if_unsampled(outcome, view, self.live)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyFloor:
    """The variant's accuracy on a split is at least `min_accuracy`.

    Statistic: one accuracy with Clopper-Pearson bounds. Passed when the lower bound reaches
    `min_accuracy`, failed when the upper bound stays below it, inconclusive between.

    Assumes: the labelled rows are a random sample of the traffic that the split stands for
    (`sampling: random` on the split, or `assume_random: reason`); otherwise the check can fail
    but not pass.

    Reference: Clopper and Pearson (1934), Biometrika 26, 404-413.

    Example:
      - accuracy_floor: {split: live, min_accuracy: 75%}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    min_accuracy: Share = param("smallest allowed accuracy: 75%, or 0.75")
    split: SplitName = param("split to judge on", default="live")
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)

    def needs(self) -> Needs:
        """Return labels and predictions of the split."""
        return Needs({self.split: LABELLED_ANSWERS})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the accuracy of the view's variant."""
        variant, alpha = str(view.variant), level(self.confidence)
        correct, n = view.split(self.split).correct(variant)
        estimate = stats.proportion(correct, n, alpha=alpha)
        status = stats.decide_at_least(estimate, self.min_accuracy)
        seen = f"accuracy on {self.split} {accuracy(estimate)}"
        floor = threshold(self.min_accuracy, "%")
        needed = None
        if status == "passed":
            message = f"{seen}; at least {percent(estimate.lower_bound)}, which reaches {floor}"
        elif status == "failed":
            message = f"{seen}; at most {percent(estimate.upper_bound)}, below the floor of {floor}"
        else:
            needed = stats.labels_needed_floor(estimate.value, floor=self.min_accuracy, alpha=alpha)
            message = (
                f"{seen}; it may be {percent(estimate.lower_bound)} to "
                f"{percent(estimate.upper_bound)} and {floor} is asked. "
                f"{settle(needed, n, 'labelled rows')}"
            )
        outcome = Outcome(status, message, estimate, {"min_accuracy": self.min_accuracy}, needed)
        return hold_if_unsampled(outcome, view, self.split)


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence is one that the bounds are made for."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence: {confidence:g} is not between 50% and 100%")


def level(confidence: float) -> float:
    """Return alpha = 1 - confidence, without the rounding error that 1 - 0.95 shows."""
    return round(1 - confidence, 12)


def settle(needed: int | None, have: int, rows: str, otherwise: str | None = None) -> str:
    """Return the sentence that says what would settle an inconclusive case."""
    if needed is None or needed <= have:
        more = f", or more {otherwise}" if otherwise else ""
        return f"Too close to the limit for any practical number of {rows} to settle it{more}"
    return f"About {needed:,} {rows} would settle it ({needed - have:,} more)"


def hold_if_unsampled(outcome: Outcome, view: View, split: str) -> Outcome:
    """Return a pass as inconclusive where the split's rows may not stand for live traffic."""
    reason = view.cannot_approve.get(split)
    if outcome.status != "passed" or reason is None:
        return outcome
    return replace(outcome, status="inconclusive", message=f"{outcome.message}; but {reason}")
