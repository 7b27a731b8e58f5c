"""Is the variant at least as good as the champion, on the same rows?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from modelchecks import stats
from modelchecks.check import (
    Needs,
    Outcome,
    Scope,
    Share,
    SplitName,
    View,
    not_applicable,
    param,
)
from modelchecks.checks.deciding import check_confidence, hold_if_unsampled, level, settle
from modelchecks.checks.labelled import LabelledRows
from modelchecks.results import Severity
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.paired import PairedEstimate
from modelchecks.wording import interval, percent, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class NotWorseThan:
    """The variant's accuracy is at most `max_loss` below the champion's, on the same rows.

    Statistic: the difference of two accuracies on shared rows. Only rows that one of the two has
    right and the other wrong carry evidence; the bounds are MOVER with the Clopper-Pearson limits
    of these two shares and their correlation, and narrower by a fifth to a quarter than without
    pairing. Passed when the loss is shown to be within `max_loss`, failed when it is shown to be
    beyond. With `min_gain` the variant must be shown to be better, by that much at least. The
    message also has McNemar's mid-p. There is no case for the champion itself.

    Assumes: the labelled rows are a random sample of live traffic; otherwise the check can fail
    but not pass. Weights and groups that the split declares are honoured.

    Reference: Newcombe (1998), Statistics in Medicine 17, 2635-2650; Fagerland, Lydersen and Laake
    (2013), BMC Medical Research Methodology 13, 91.

    Example:
      - not_worse_than: {split: live, max_loss: 1pp}
      - not_worse_than: {split: live, min_gain: 0.5pp}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_loss: Share | None = param(
        "largest allowed loss against the champion", default=None, unless="min_gain"
    )
    min_gain: Share | None = param(
        "in place of `max_loss`: smallest allowed gain over the champion", default=None
    )
    split: SplitName = param("split of labelled rows that both answered", default="live")
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if (self.max_loss is None) == (self.min_gain is None):
            raise ValueError("needs one of `max_loss` and `min_gain`")

    def needs(self) -> Needs:
        """Return labels, and the predictions of the variant and of the champion."""
        return Needs({self.split: frozenset({"labels", "predictions"})}, whose="champion")

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the view's variant against the champion."""
        variant, champion = str(view.variant), str(view.champion)
        if variant == champion:
            return not_applicable("the champion is not compared with itself")
        rows = LabelledRows(view, self.split, variant, champion)
        gain = rows.gain(variant, champion, level(self.confidence))
        margin = -self.max_loss if self.max_loss is not None else float(self.min_gain or 0)
        status = stats.decide_at_least(gain, margin)
        seen = f"{compared(gain)}: {variant} {_share(rows, variant)}, {champion} "
        seen += f"{_share(rows, champion)}; {counted(gain, variant, champion)}"
        asked = (
            f"a loss of {threshold(self.max_loss, 'pp')} is allowed"
            if self.max_loss is not None
            else f"a gain of {threshold(margin, 'pp')} is asked"
        )
        needed = None
        if status == "passed":
            message = f"{seen}. It is {_bound(gain.lower_bound)} at least, and {asked}"
        elif status == "failed":
            message = f"{seen}. It is {_bound(gain.upper_bound)} at most, and {asked}"
        else:
            needed = labels_to_tell(gain, margin)
            message = (
                f"{seen}. It is between {_bound(gain.lower_bound)} and {_bound(gain.upper_bound)}, "
                f"and {asked}. {settle(needed, gain.n, 'labelled rows')}"
            )
        name, limit = (
            ("max_loss", self.max_loss) if self.max_loss is not None else ("min_gain", margin)
        )
        details: dict[str, Any] = {"champion": champion, "gain": asdict(gain)}
        outcome = Outcome(status, message, gain, {name: limit}, needed, details=details)
        return hold_if_unsampled(outcome, view, self.split)


def labels_to_tell(gain: Estimate, margin: float) -> int | None:
    """Return how many labelled rows would settle a gain that is what was seen."""
    if isinstance(gain, PairedEstimate):
        return stats.paired_labels_needed(
            gain.value, gain.discordance, margin=margin, alpha=gain.alpha
        )
    return stats.rows_to_settle(gain, abs(gain.value - margin))


def compared(gain: Estimate) -> str:
    """Return a gain in words: '1.2 pp worse [0.3 to 2.1]'."""
    word, sign = ("better", 1) if gain.value >= 0 else ("worse", -1)
    low, high = sorted((sign * gain.low, sign * gain.high))
    return f"{points(abs(gain.value))} {word} {interval(low, high)} than the champion"


def counted(gain: Estimate, variant: str, other: str) -> str:
    """Return the rows that carry the evidence, where each counts as one."""
    if not isinstance(gain, PairedEstimate):
        return f"weighted or grouped rows, n {gain.n:,}"
    return (
        f"{gain.only_a:,} rows only {variant} has right, {gain.only_b:,} only {other}, of "
        f"{gain.n:,} (McNemar p {gain.p_value:.2g})"
    )


def _share(rows: LabelledRows, variant: str) -> str:
    return percent(rows.mean(rows.right(variant), 0.05).value)


def _bound(gain: float) -> str:
    return f"{points(abs(gain))} {'better' if gain >= 0 else 'worse'}"
