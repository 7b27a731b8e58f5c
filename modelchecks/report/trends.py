"""Where the variants are going: past runs of a suite as figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelchecks.report.figures import charts
from modelchecks.report.figures.gallery import Cell, Figure, Gallery, Section, full, told
from modelchecks.report.figures.grammar import PAGE, Axis
from modelchecks.report.numbers import Unit
from modelchecks.report.shapes import Point

if TYPE_CHECKING:
    from modelchecks.archive import PastEstimate, PastRun

RUNS, CHECKS = 30, 12
"""How many runs and checks a page shows."""


def section(past: Sequence[PastRun], gallery: Gallery, checks: int = CHECKS) -> Section | None:
    """Return the trends of a suite's runs, oldest first; None where there are not two."""
    runs = past[-RUNS:]
    if len(runs) < 2:
        return None
    times = labels(runs)
    by_check: dict[str, list[tuple[str, PastEstimate]]] = {}
    for at, run in zip(times, runs, strict=True):
        for estimate in run.estimates:
            if estimate.value is not None:
                by_check.setdefault(_declared(estimate.case), []).append((at, estimate))
    # Of what is asked now: first what decided the latest run, then what blocks.
    latest = {_declared(e.case): e.severity for e in runs[-1].estimates}
    reasons = {_declared(case) for d in runs[-1].decisions for case in d.reasons}
    asked = sorted(
        (check for check in by_check if check in latest),
        key=lambda check: (check not in reasons, latest[check] != "block"),
    )
    figures = [_line(check, by_check[check], gallery) for check in asked[:checks]]
    title = f"The last {len(runs)} runs"
    intro = "Values with their 95 % intervals; dashed: the threshold of the latest run."
    return Section("trends", title, intro, (verdicts(runs), *figures))


def _declared(case: str) -> str:
    return case.rpartition("[")[0] or case


def labels(runs: Sequence[PastRun]) -> list[str]:
    """Return a short name per run, each once: when it finished."""
    found: list[str] = []
    for run in runs:
        at = run.finished[:16].replace("T", " ")
        count = sum(other == at or other.startswith(f"{at} (") for other in found)
        found.append(at if not count else f"{at} ({count + 1})")
    return found


def verdicts(runs: Sequence[PastRun]) -> Figure:
    """Return the verdicts as a table, the latest run first."""
    variants = list(dict.fromkeys(d.variant for run in reversed(runs) for d in run.decisions))
    rows = []
    for at, run in reversed(list(zip(labels(runs), runs, strict=True))):
        said = {decision.variant: decision.verdict for decision in run.decisions}
        cells = (Cell(said.get(variant, "–")) for variant in variants)
        rows.append((Cell(at), *cells, Cell(run.git or "–")))
    head = ("run", *variants, "git")
    return Figure("Verdicts", "", None, head, tuple(rows), drawn=False)


def _line(check: str, points: Sequence[tuple[str, PastEstimate]], gallery: Gallery) -> Figure:
    last = points[-1][1]
    unit = Unit(last.unit or "")
    rows, table = [], []
    for at, estimate in points:
        whose = estimate.variant or "data"
        point = Point(estimate.value or 0.0, estimate.low, estimate.high, estimate.n)
        ends = (("y", point.value), ("y1", point.low), ("y2", point.high))
        values = {key: unit.scaled(end) for key, end in ends if end is not None}
        rows.append(
            {"side": whose, "told": f"{whose}, {at}: {full(point, unit)}", "x": at[5:], **values}
        )
        table.append((Cell(at), Cell(whose), told(point, unit), Cell(estimate.status)))
    names = list(dict.fromkeys(str(row["side"]) for row in rows))
    limit = next(iter(last.threshold.values()), None)
    spec = charts.lines(
        PAGE,
        rows,
        names,
        None,
        Axis(", ".join(filter(None, [last.check or check, unit.name]))),
        limit=None if limit is None else unit.scaled(limit),
    )
    head = ("run", "of", f"value {unit.name}".strip(), "status")
    return Figure(check, check, gallery.picture(spec, f"{check} over runs"), head, tuple(table))
