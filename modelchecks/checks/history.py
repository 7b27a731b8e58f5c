"""Was the checkpoint chosen well, and does the number that it was chosen by hold?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import check_confidence, level, settle
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity
from modelchecks.stats.checkpoints import FEWEST
from modelchecks.wording import interval, percent, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingHistory:
    """The validation accuracy that chose the checkpoint holds on a larger, later batch.

    Reads the variant's `history:`, a row per checkpoint: CSV, a JSON object per line, or
    TensorBoard's event files (the columns are its tags). `chosen_by` is the accuracy that chose the
    checkpoint, on `rows` rows; `later` is that on `later_rows` rows which had no part in it.

    Statistic: the optimism, what the chosen checkpoint was said to have minus what it has. The
    number that it was chosen by is a claim; the bounds are Clopper-Pearson's of the later accuracy,
    so they hold however many checkpoints it was the best of. Passed when the upper bound is within
    `max_optimism`, failed when the lower bound is beyond it. Beside it, for reading: Kendall's tau
    of the two over checkpoints, how many checkpoints are within noise of the chosen, whether
    training goes on improving while `later` falls, and how far the live accuracy is below.

    Assumes: the later rows are a random sample of what they stand for.

    Reference: Cawley and Talbot (2010), On over-fitting in model selection, JMLR 11, 2079-2107.

    Example:
      - training_history: {chosen_by: val_accuracy, rows: 4000, later: offline_accuracy,
                           later_rows: 8000, max_optimism: 2pp}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_optimism: Share = param("largest allowed optimism: 2pp, or 0.02")
    rows: int = param("how many rows `chosen_by` was measured on")
    later_rows: int = param("how many rows `later` was measured on")
    chosen_by: str = param("column of the accuracy that chose", default="val_accuracy")
    later: str = param("column of the accuracy on later rows", default="offline_accuracy")
    train: str | None = param("column of the training loss, for reading", default="train_loss")
    chosen: Literal["best", "last"] = param("which checkpoint is the variant", default="best")
    live: SplitName = param("split of labelled live rows, for reading", default="live")
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        for name, value in (("rows", self.rows), ("later_rows", self.later_rows)):
            if value < 1:
                raise ValueError(f"{name}: must be at least 1")
        if self.later == self.chosen_by:
            raise ValueError("later: is the column that chose; it must be another one")

    def needs(self) -> Needs:
        """Return the live answers and the history."""
        kinds = frozenset({"labels", "predictions"})
        return Needs({self.live: kinds}, (self._request(),))

    def _request(self) -> ProbeRequest:
        names = (self.chosen_by, self.later, self.train)
        options = tuple((f"column {i}", name) for i, name in enumerate(names))
        return ProbeRequest("history", self.live, (), options, asks_model=True, beside="history")

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the optimism of the chosen checkpoint."""
        found, alpha = view.probe(self._request()), level(self.confidence)
        columns = {name: np.array(column) for name, column in found["columns"].items()}
        first, later = (_shares(columns, name, found) for name in (self.chosen_by, self.later))
        number = int(np.argmax(first)) if self.chosen == "best" else len(first) - 1
        claimed = float(first[number])
        right = round(float(later[number]) * self.later_rows)
        optimism = stats.optimism(claimed, right, self.later_rows, alpha=alpha)
        status = stats.decide(optimism, self.max_optimism)
        allowed, needed = threshold(self.max_optimism, "pp"), None
        message = (
            f"checkpoint {number + 1} of {len(first)} was chosen by {percent(claimed)} "
            f"{self.chosen_by}; {self.later} says {percent(float(later[number]))}, so "
            f"{points(optimism.value)} {interval(optimism.low, optimism.high)} were optimism; "
            f"{allowed} is allowed"
        )
        if status == "inconclusive":
            gap = abs(optimism.value - self.max_optimism)
            needed = stats.rows_to_settle(optimism, gap)
            message += f". {settle(needed, self.later_rows, 'later rows')}"
        details: dict[str, Any] = {"chosen": number + 1, "columns": found["columns"]}
        close = int(stats.within_noise(first, self.rows, alpha=alpha).sum()) - 1
        details["within_noise"] = close
        if close > 0:
            message += f". {close} more are within noise of the best: it was hardly a choice"
        if len(first) >= FEWEST:
            agreement = stats.checkpoint_agreement(first, self.rows, later, self.later_rows)
            details["agreement"] = asdict(agreement)
            message += (
                f". The two rank checkpoints alike by tau {agreement.tau:.2f} "
                f"[{agreement.low:.2f}, {agreement.high:.2f}]"
            )
        if (apart := self._parting(columns, later)) is not None:
            details["parting"] = apart
            message += (
                f". From checkpoint {apart['from']} on {self.train} goes on falling while "
                f"{self.later} loses {points(apart['lost'])}"
            )
        correct, n = view.split(self.live).correct(str(view.variant))
        below = stats.optimism(claimed, correct, n, alpha=alpha)
        details["live"] = asdict(below)
        message += (
            f". Live accuracy is {points(below.value)} {interval(below.low, below.high)} below "
            f"what it was chosen by (n {n:,})"
        )
        limits = {"max_optimism": self.max_optimism}
        return Outcome(status, message, optimism, limits, needed, details=details)

    def _parting(
        self, columns: Mapping[str, np.ndarray[Any, Any]], later: np.ndarray[Any, Any]
    ) -> dict[str, Any] | None:
        """Return from where on training improves while the later accuracy falls beyond noise."""
        best, n = int(np.argmax(later)), self.later_rows
        if self.train is None or best == len(later) - 1:
            return None
        loss = columns[self.train]
        counts = (round(float(later[i]) * n) for i in (best, len(later) - 1))
        fallen = stats.proportion_drop(next(counts), n, next(counts), n)
        if loss[-1] < loss[best] and fallen.lower_bound > 0:
            return {"from": best + 1, "lost": fallen.value}
        return None


def _shares(
    columns: Mapping[str, np.ndarray[Any, Any]], name: str, found: Mapping[str, Any]
) -> np.ndarray[Any, Any]:
    column = columns[name]
    wrong: Sequence[float] = column[(column < 0) | (column > 1)].tolist()
    if wrong:
        raise EvidenceError(
            f"history {found['path']}: {name!r} holds {wrong[0]:g}; accuracies must be shares "
            "between 0 and 1"
        )
    return column
