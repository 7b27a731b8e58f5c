"""What to label next: how many labels each open decision needs, and which rows say most."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelchecks import stats
from modelchecks.check import judged_split
from modelchecks.checks.accuracy import AccuracyDrop
from modelchecks.evidence import Evidence
from modelchecks.gather import Gathered, Progress, gather
from modelchecks.judging import judge
from modelchecks.ledger import take
from modelchecks.plan import Case, make_plan
from modelchecks.results import Result
from modelchecks.store import Store
from modelchecks.suite import Suite
from modelchecks.wording import threshold

SHOWN = 20
"""Row ids that are printed; all of them go into a file."""


@dataclass(frozen=True, slots=True)
class OpenDecision:
    """A case that labels would settle: those that its split has, and those that it needs in all.

    `needed` is None where no practical number settles it. `if_true` is what it takes to be so.
    """

    case: str
    variant: str | None
    split: str
    have: int
    needed: int | None
    if_true: str = "what was seen"

    @property
    def more(self) -> int | None:
        """The labels that are missing."""
        return None if self.needed is None or self.needed <= self.have else self.needed - self.have


@dataclass(frozen=True, slots=True)
class RowToLabel:
    """A row to label; `weight` is how many rows of its split it then stands for."""

    id: str
    stratum: int
    weight: float


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """The open decisions, cheapest first, the rows to label for the first, and what was no use."""

    decisions: tuple[OpenDecision, ...]
    rows: tuple[RowToLabel, ...]
    pool: int
    settled: int
    errored: tuple[Result, ...]


def label_plan(
    suite: Suite,
    store: Store,
    *,
    variants: Sequence[str] | None = None,
    labels: int | None = None,
    progress: Progress = lambda split, done, total: None,
) -> LabelPlan:
    """Return what to label next, from stored evidence, or gathered where it is not there.

    `labels` is the number of rows to choose (default: what the cheapest open decision lacks).
    Judging for it is a look as any other: the ledger counts it, and the gate's own look is then a
    repeated one. Raises SuiteError for an unknown variant.
    """
    plan = make_plan(suite, variants)
    gathered = gather(plan, store, progress=progress)
    looks = take(plan, gathered)
    found: list[OpenDecision] = []
    settled, errored = 0, []
    for case in plan.cases:
        result = judge(plan, case, gathered, looks)
        open_ = list(_open(case, result, gathered))
        found += open_
        settled += result.status in ("passed", "failed")
        if result.status == "errored" and not open_:
            errored.append(result)
    found.sort(key=lambda one: (one.more is None, one.more or 0))
    rows, pool = _rows(found, gathered, suite, labels)
    return LabelPlan(tuple(found), rows, pool, settled, tuple(errored))


def _open(case: Case, result: Result, gathered: Gathered) -> Iterator[OpenDecision]:
    """Yield what a case still needs; several where nothing was seen yet and it depends."""
    check = case.declared.check
    split = judged_split(check) or getattr(check, "live", None)
    evidence = gathered.splits.get(str(split))
    if not isinstance(evidence, Evidence):
        return
    have = evidence.labelled
    if result.status == "inconclusive" and (judged_split(check) or have < (result.needed or 0)):
        yield OpenDecision(case.id, case.variant, evidence.split, have, result.needed)
    elif not have and isinstance(check, AccuracyDrop):
        yield from _ahead(case, check, gathered)


def _ahead(case: Case, check: AccuracyDrop, gathered: Gathered) -> Iterator[OpenDecision]:
    """Yield the labels that a drop needs before any live label is there."""
    offline, variant = gathered.splits.get(check.offline), str(case.variant)
    plain = check.metric == "accuracy" and check.max_drop is not None
    if not plain or not isinstance(offline, Evidence) or variant in offline.failures:
        return
    right, n = offline.correct(variant)
    margin = float(check.max_drop or 0)
    for true_drop in (0.0, min(2 * margin, right / n)):
        needed = stats.labels_needed(
            right / n,
            n,
            true_drop=true_drop,
            max_drop=margin,
            alpha=round(1 - check.confidence, 12),
        )
        what = f"a drop of {threshold(true_drop, 'pp')}" if true_drop else "no drop"
        yield OpenDecision(case.id, variant, check.live, 0, needed, what)


def _rows(
    found: Sequence[OpenDecision], gathered: Gathered, suite: Suite, labels: int | None
) -> tuple[tuple[RowToLabel, ...], int]:
    """Return the rows to label for the cheapest decision, and how many rows have no label."""
    first = next((one for one in found if one.more is not None), None)
    if first is None or first.more is None:
        return (), 0
    evidence = gathered.splits[first.split]
    assert isinstance(evidence, Evidence)
    pool = evidence.total - evidence.labelled
    open_rows = ~evidence.sample("labelled")
    ids = evidence.sample("id")[open_rows]
    if not len(ids):
        return (), pool
    variant = first.variant or suite.champion or suite.variants[0].name
    confidence = evidence.sample(f"confidence:{variant}")[open_rows].astype(np.float64)
    if np.isnan(confidence).any():
        # A log of classes tells no confidence; then every row says as much as any other.
        confidence = np.full(len(ids), 0.5)
    budget = min(labels or first.more, len(ids))
    chosen = stats.sampling_plan(confidence, budget, seed=suite.compute.seed)
    # The evidence keeps a sample of the rows, each of which stands for as many of the split.
    scale = pool / len(ids)
    rows = zip(chosen.rows.tolist(), chosen.stratum.tolist(), chosen.weight.tolist(), strict=True)
    return tuple(RowToLabel(ids[at], level, weight * scale) for at, level, weight in rows), pool


def as_csv(rows: Sequence[RowToLabel]) -> str:
    """Return the rows to label as a CSV file with the columns id, stratum and weight."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "stratum", "weight"])
    writer.writerows([row.id, row.stratum, f"{row.weight:.6g}"] for row in rows)
    return text.getvalue()


def told(plan: LabelPlan) -> str:
    """Return the plan as text: a table of decisions, then the rows."""
    cases = "case is" if plan.settled == 1 else "cases are"
    lines = [f"{plan.settled} {cases} settled already."]
    if plan.decisions:
        table = [("case", "split", "labels", "needed", "more", "if true")]
        for one in plan.decisions:
            needed, more = (f"{n:,}" if n is not None else "-" for n in (one.needed, one.more))
            table.append((one.case, one.split, f"{one.have:,}", needed, more, one.if_true))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += ["", "What labels would settle, cheapest first (-: no practical number):"]
        for row in table:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(cells).rstrip())
    for result in plan.errored:
        lines += ["", f"{result.case} could not be judged: {result.message}"]
    if plan.rows:
        first = next(one for one in plan.decisions if one.more is not None)
        lines += [
            "",
            f"Rows of {first.split} to label next for {first.case}: {len(plan.rows):,} of "
            f"{plan.pool:,} without a label (id, stratum, weight):",
            *(f"  {row.id}  {row.stratum}  {row.weight:.6g}" for row in plan.rows[:SHOWN]),
        ]
        if len(plan.rows) > SHOWN:
            lines.append(f"  and {len(plan.rows) - SHOWN:,} more; --out FILE writes all of them")
        lines += [
            "Label all of them: leaving out those that are hard to label biases the answer. Then",
            "write the weights into a column of the log (1 for rows that had a label already) and",
            "declare `sampling: {weights: COLUMN}`.",
        ]
    return "\n".join(lines) + "\n"
