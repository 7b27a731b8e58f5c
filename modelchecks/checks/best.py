"""Which of the variants may be the best one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

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
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
)
from modelchecks.checks.labelled import LabelledRows
from modelchecks.results import Severity
from modelchecks.wording import percent, points


@dataclass(frozen=True, slots=True, kw_only=True)
class BestVariant:
    """One variant is shown to be more accurate than every other, on the same rows.

    Statistic: all variants are compared in pairs on the rows that they share, and a variant is left
    out when another is shown to be better; the whole list of those left out holds at the confidence
    asked for, however many variants there are. Passed when one is left, else inconclusive: then the
    message names those that cannot be told apart and the labels that would tell. It never fails.

    Assumes: the labelled rows are a random sample of live traffic, each counting as one.

    Reference: Hsu (1984), Annals of Statistics 12, 1136-1144; Holm (1979), Scandinavian Journal of
    Statistics 6, 65-70.

    Example:
      - best_variant: {split: live}
    """

    default_severity: ClassVar[Severity] = "info"
    scope: ClassVar[Scope] = "data"

    split: SplitName = param("split of labelled rows that all answered", default="live")
    confidence: Share = param("confidence of the whole list", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)

    def needs(self) -> Needs:
        """Return labels, and the predictions of all declared variants."""
        return Needs({self.split: frozenset({"labels", "predictions"})}, whose="all")

    def evaluate(self, view: View) -> Outcome:
        """Return passed where one variant is told from all others."""
        if len(view.variants) < 2:
            return not_applicable("the suite declares one variant, which has no rival")
        rows = LabelledRows(view, self.split, *view.variants)
        correct = np.stack([rows.right(variant) for variant in view.variants], axis=1)
        found = stats.best_set(correct, alpha=level(self.confidence))
        names = [view.variants[place] for place in found.members]
        best, share = view.variants[found.best], float(correct.mean(0)[found.best])
        lead = f"best on {self.split} is {best} with {percent(share)} (n {found.n:,})"
        needs = [found.labels_needed[place] for place in found.members if place != found.best]
        needed = None
        if len(names) == 1:
            second = min(x for place, x in enumerate(found.behind) if place != found.best)
            message = f"{lead}; all others are shown to be worse, the next by {points(second)}"
        else:
            told = [
                f"{view.variants[place]} {points(found.behind[place])} behind"
                + (f" (about {n:,} labels would tell)" if n is not None else "")
                for place in found.members
                if place != found.best
                for n in [found.labels_needed[place]]
            ]
            needed = None if None in needs else max(n for n in needs if n is not None)
            message = f"{lead}; it cannot be told from {', '.join(told)}"
        details = {
            "members": names,
            "variants": {
                variant: {
                    "accuracy": float(correct.mean(0)[place]),
                    "behind": found.behind[place],
                    "labels_needed": found.labels_needed[place],
                }
                for place, variant in enumerate(view.variants)
            },
            "n": found.n,
        }
        outcome = Outcome(
            "passed" if len(names) == 1 else "inconclusive", message, needed=needed, details=details
        )
        return hold_if_unequal(hold_if_unsampled(outcome, view, self.split), view, self.split)
