"""How accurate may the variant be live, where no row has a label yet?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.labelled import LabelledRows
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity
from modelchecks.stats.label_free import LabelFree
from modelchecks.stats.temperature import softmax
from modelchecks.wording import bare, percent, threshold

ROWS = 5_000
"""Rows of each split that are looked at: more cost time and move the guesses by less than 1 pp."""
ILL = 30.0
"""Condition of the table of answers from which label shift is not to be read from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedAccuracy:
    """Without any live label: the accuracy that the variant's own confidence suggests.

    Statistic: several guesses (average confidence, difference of confidences, thresholded
    confidence, optimal transport, the last two also under the label shift that the answers suggest,
    and a mixture routed by what label shift does not explain), after temperature scaling on the
    offline split. They are given as a range. It is no interval: no probability belongs to it, and
    the truth may lie outside.

    Assumes: much, and no method can check all of it; what speaks against the assumptions comes with
    the message. So this check never passes and never fails. It is inconclusive whatever it sees: as
    `warn` it warns, as `block` it holds the variant until labels are there, and the message says
    how many would decide.

    Reference: Garg et al. (2022), ICLR; Guillory et al. (2021), ICCV; Lu et al. (2023), NeurIPS;
    Lipton, Wang and Smola (2018), ICML; Guo et al. (2017), ICML.

    Example:
      - estimated_accuracy: {offline: offline, live: live, max_drop: 5pp}
        severity: warn
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share = param("the drop that labels would be asked about")
    offline: SplitName = param("labelled split that the guesses start from", default="offline")
    live: SplitName = param("split without labels, or whose labels are not used", default="live")

    def __post_init__(self) -> None:
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a guess needs two")

    def needs(self) -> Needs:
        """Return probabilities on both splits, and the labels of the offline one."""
        kinds = frozenset({"predictions", "logits"})
        return Needs({self.offline: kinds | {"labels"}, self.live: kinds})

    def evaluate(self, view: View) -> Outcome:
        """Return what is suggested, which decides nothing."""
        variant = str(view.variant)
        rows = LabelledRows(view, self.offline, variant)
        live = view.split(self.live)
        live.predicted_counts(variant)  # It knows every gap.
        target = softmax(live.sample(f"logits:{variant}")[:ROWS].astype(np.float64))
        try:
            found = stats.label_free_guesses(
                rows.probabilities(variant)[:ROWS], rows.label[:ROWS], target
            )
        except ValueError as error:
            raise EvidenceError(f"variant {variant!r}: {error}") from error
        right, n = view.split(self.offline).correct(variant)
        floor = right / n - self.max_drop
        where = (
            "all below" if found.high < floor else "all above" if found.low >= floor else "around"
        )
        guess = found.values["hybrid"]
        needed = stats.labels_needed(
            right / n, n, true_drop=min(right / n - guess, right / n), max_drop=self.max_drop
        )
        would = "no practical number of" if needed is None else f"about {needed:,}"
        message = (
            f"no label was used: guesses of the accuracy on {self.live} are {bare(found.low)} to "
            f"{percent(found.high)}, {where} the {percent(floor)} that a drop of "
            f"{threshold(self.max_drop, 'pp')} from {percent(right / n)} offline allows. This is "
            f"no interval and decides nothing{_doubts(found)}; {would} labelled live rows would "
            "decide"
        )
        return Outcome(
            "inconclusive",
            message,
            threshold={"max_drop": self.max_drop},
            needed=needed,
            details=_details(found),
        )


def _doubts(found: LabelFree) -> str:
    """Return what speaks against the assumptions of the guesses."""
    doubts = []
    if found.unexplained > found.chance:
        doubts.append(
            f"the answers differ from the offline ones by {found.unexplained:.2f} more than any "
            "change of the classes' shares explains"
        )
    if not found.label_shift.condition < ILL:
        doubts.append("some classes are mixed up too often to see how frequent they are")
    return f" ({'; '.join(doubts)})" if doubts else ""


def _details(found: LabelFree) -> dict[str, Any]:
    shift = found.label_shift
    condition = shift.condition
    return {
        "guesses": dict(found.values),
        "range": [found.low, found.high],
        "temperature": found.temperature,
        "offline_accuracy": found.source_accuracy,
        "distance": found.distance,
        "unexplained": found.unexplained,
        "chance": found.chance,
        "routed": found.routed,
        "label_shift": {
            "prior": shift.prior.tolist(),
            "condition": condition if np.isfinite(condition) else None,
            "residual": shift.residual,
            "effective_n": shift.effective_n,
        },
    }
