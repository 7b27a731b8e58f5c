"""Is the variant as often right as its confidence says?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

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
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import bare, interval, percent, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The variant's confidence differs from its accuracy by no more than `max_error`.

    Statistic: the expected calibration error in 15 bins of equal mass, by inverting a simulation: a
    plug-in error of .04 on 500 rows is what a perfect model shows, so errors are excluded by what
    models with exactly that error look like. Also mean confidence minus accuracy. Passed when both
    are shown to be within `max_error`, failed when one of them is shown to be beyond it (each at
    half the error), inconclusive between. With `offline` the message has the change as well. The
    details have the reliability diagram, the debiased L2 error and the error class by class.

    Assumes: the labelled rows are a random sample of live traffic, each counting as one. Errors of
    opposite sign inside one bin cancel and are not seen; the level is approximate.

    Reference: Broecker and Smith (2007), Weather and Forecasting 22, 651-661; Kumar, Liang and Ma
    (2019), NeurIPS; Kull et al. (2019), NeurIPS.

    Example:
      - calibration: {live: live, offline: offline, max_error: 5pp}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_error: Share = param("largest allowed difference of confidence and accuracy")
    live: SplitName = param("split to judge on", default="live")
    offline: SplitName | None = param("split to compare it with", default=None)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("offline: is the same split as `live`; a change needs two")

    def needs(self) -> Needs:
        """Return labels and probabilities of the splits."""
        kinds = frozenset({"labels", "predictions", "logits"})
        return Needs({name: kinds for name in (self.offline, self.live) if name is not None})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the calibration of the view's variant."""
        alpha, variant, margin = level(self.confidence), str(view.variant), self.max_error
        rows = LabelledRows(view, self.live, variant)
        (error, over), (strict_error, strict_over) = _measured(
            rows, variant, margin, alpha, alpha / 2
        )
        status: Status = "inconclusive"
        if strict_error.lower_bound > margin or _size(strict_over).lower_bound > margin:
            status = "failed"
        elif error.upper_bound <= margin and _size(over).upper_bound <= margin:
            status = "passed"
        word = "overconfident" if over.value >= 0 else "underconfident"
        message = (
            f"calibration error on {self.live} {_shown(error)}; {word} by "
            f"{points(abs(over.value))} on average (n {error.n:,})"
        )
        details: dict[str, Any] = {"live": _details(rows, variant, error, over)}
        if self.offline is not None:
            before_rows = LabelledRows(view, self.offline, variant)
            ((before, before_over),) = _measured(before_rows, variant, margin, alpha)
            change = stats.metric_drop(before, error, higher_is_better=False)
            details["offline"] = _details(before_rows, variant, before, before_over)
            details["change"] = asdict(change)
            message += (
                f"; {100 * change.value:+z.1f} pp {interval(change.low, change.high)} against "
                f"{self.offline} ({bare(before.value)})"
            )
        allowed, needed = threshold(margin, "pp"), None
        if status == "passed":
            message += f". At most {points(error.upper_bound)}, within the allowed {allowed}"
        elif status == "failed":
            message += f". Shown to be over the allowed {allowed}"
        else:
            needed = stats.rows_to_settle(error, abs(error.value - margin))
            message += (
                f". It may be {points(error.lower_bound)} to {points(error.upper_bound)} and "
                f"{allowed} is allowed. {settle(needed, error.n, 'labelled live rows')}"
            )
        outcome = Outcome(status, message, error, {"max_error": margin}, needed, details=details)
        outcome = hold_if_unequal(outcome, view, *self.needs().splits)
        return hold_if_unsampled(outcome, view, self.live)


def _measured(
    rows: LabelledRows, variant: str, margin: float, *alphas: float
) -> list[tuple[Estimate, Estimate]]:
    """Return, at each alpha, the calibration error and mean confidence minus accuracy."""
    confidence, right = rows.confidence(variant), rows.right(variant)
    errors = stats.calibration_errors(confidence, right, margin=margin, alphas=alphas)
    return [
        (
            Estimate(**{name: getattr(error, name) for name in Estimate.__slots__}),
            stats.confidence_gap(confidence, right, alpha=alpha),
        )
        for error, alpha in zip(errors, alphas, strict=True)
    ]


def _size(over: Estimate) -> Estimate:
    """Return the size of a signed difference, its bounds those of the larger side."""
    low, high = over.lower_bound, over.upper_bound
    least = max(low, -high, 0.0)
    return Estimate(
        abs(over.value),
        max(over.low, -over.high, 0.0),
        max(-over.low, over.high),
        least,
        max(-low, high),
        over.alpha,
        over.n,
        over.method,
    )


def _details(rows: LabelledRows, variant: str, error: Estimate, over: Estimate) -> dict[str, Any]:
    confidence, right = rows.confidence(variant), rows.right(variant)
    classwise = stats.classwise_error(rows.probabilities(variant), rows.label)
    return {
        "error": asdict(error),
        "confidence_minus_accuracy": asdict(over),
        "debiased_l2": stats.debiased_l2(confidence, right) if len(rows) > 1 else None,
        "classwise": classwise.tolist(),
        "reliability": [bar._asdict() for bar in stats.reliability(confidence, right)],
    }


def _shown(error: Estimate) -> str:
    return f"{percent(error.value)} {interval(error.low, error.high)}"
