"""Does the variant hold up while live labels keep arriving, however often one looks?"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.check import History, Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
)
from modelchecks.checks.labelled import LabelledRows
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity
from modelchecks.wording import interval, percent, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryDrop:
    """While labels arrive: the accuracy falls by no more than `max_drop`, at any look.

    Statistic: a bet on every label, in the order of arrival, at odds that are fair if the drop is
    exactly `max_drop`; it is decided when the bettor has become rich, once and for all. So the gate
    may be asked every hour: a wrong decision at any look has probability 1 - confidence at most, a
    fifth of it spent on the offline side. It keeps no state: each look reads the whole log again,
    and the digest of what it saw (in the details) tells, with a ledger, whether old rows changed.

    Assumes: labelled rows are random live traffic, each counting as one, and the accuracy does not
    change while it is watched. Once decided it stays decided; for a later change, start a new log.

    Reference: Waudby-Smith and Ramdas (2023), JRSS B 86, 1-27; Podkopaev and Ramdas (2022), ICLR;
    Robbins (1970), Annals of Mathematical Statistics 41, 1397-1409.

    Example:
      - canary: {offline: offline, live: live, order: labelled_at, max_drop: 5pp}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share = param("largest allowed drop")
    order: str | None = param(
        "log column that says when a label arrived; none: the order of the log", default=None
    )
    offline: SplitName = param("split of the offline evaluation", default="offline")
    live: SplitName = param("split to which labels are added", default="live")
    confidence: Share = param(
        "one-sided confidence of either decision, over all looks", default=0.95
    )

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a drop needs two")
        if self.max_drop >= 1:
            raise ValueError("max_drop: must be less than 100 %")

    def needs(self) -> Needs:
        """Return labels and predictions of both splits, and the live columns for the order."""
        kinds = frozenset({"labels", "predictions"})
        columns = {"columns"} if self.order is not None else set()
        return Needs({self.offline: kinds, self.live: kinds | columns})

    def evaluate(self, view: View) -> Outcome:
        """Return what was decided by the labels that have arrived so far."""
        variant, alpha = str(view.variant), level(self.confidence)
        offline = view.split(self.offline).correct(variant)
        rows = LabelledRows(view, self.live, variant)
        if len(rows) < rows.evidence.labelled:
            raise EvidenceError(
                f"a canary looks at all labelled rows, and of the {rows.evidence.labelled:,} of "
                f"split {self.live!r} the evidence keeps {len(rows):,}: raise `max_rows` under "
                "`compute:`"
            )
        order = self._arrived(rows)
        right = rows.right(variant)[order]
        history = _history(rows, variant, order, view.history)
        canary = stats.canary(
            *offline,
            right,
            max_drop=self.max_drop,
            alpha_offline=alpha / 5,
            alpha_live=alpha * 4 / 5,
        )
        drop = canary.drop
        if drop is None:
            raise EvidenceError(f"split {self.live!r} has no labelled row")
        allowed = threshold(self.max_drop, "pp")
        seen = (
            f"after {canary.n:,} labels accuracy fell by {points(drop.value)} "
            f"{interval(drop.low, drop.high)} (valid at every look): offline "
            f"{percent(offline[0] / offline[1])}, live {percent(float(right.mean()))}"
        )
        if canary.status == "inconclusive":
            message = f"{seen}; not decided yet at {allowed}: let labels arrive and ask again"
        else:
            way = "within" if canary.status == "passed" else "over"
            message = (
                f"{seen}; shown to be {way} the allowed {allowed} at label {canary.decided_at:,}"
            )
        details: dict[str, Any] = {"history": asdict(history), "decided_at": canary.decided_at}
        outcome = Outcome(
            canary.status,
            message,
            drop,
            {"max_drop": self.max_drop},
            details=details,
            history=history,
        )
        outcome = hold_if_unequal(outcome, view, self.offline, self.live)
        return hold_if_unsampled(outcome, view, self.live)

    def _arrived(self, rows: LabelledRows) -> NDArray[np.intp]:
        """Return the places of the rows in the order in which their labels arrived."""
        position = rows.column("index")
        if self.order is None:
            return np.argsort(position, kind="stable")
        column = rows.column(f"column:{self.order}")
        missing = (
            np.array([value is None for value in column.tolist()])
            if column.dtype == object
            else np.isnat(column)
            if column.dtype.kind == "M"
            else ~np.isfinite(column)
        )
        if missing.any():
            raise EvidenceError(
                f"column {self.order!r} of split {self.live!r} is empty in {int(missing.sum()):,} "
                "labelled rows, so nobody knows when their labels arrived"
            )
        return np.lexsort((position, column))


def _history(
    rows: LabelledRows, variant: str, order: NDArray[np.intp], before: History | None
) -> History:
    """Return the digest of all labels in order, after seeing that the old ones are as they were."""
    ids, label = rows.column("id")[order], rows.label[order]
    answers = rows.column(f"predicted:{variant}")[order]
    digest, seen = hashlib.sha256(), 0
    for seen, row in enumerate(zip(ids.tolist(), label.tolist(), answers.tolist(), strict=True), 1):
        digest.update(repr(row).encode())
        if before is not None and seen == before.n and digest.hexdigest() != before.sha256:
            raise EvidenceError(_REWRITTEN.format(rows.split, before.n))
    if before is not None and seen < before.n:
        raise EvidenceError(_REWRITTEN.format(rows.split, before.n))
    return History(seen, digest.hexdigest())


_REWRITTEN = (
    "the first {1:,} labels of split {0!r} are not those of the last look: rows were changed, "
    "removed or put before them, so the bets placed since mean nothing. Restore the log, or start "
    "another one (and another split name) from here on"
)
