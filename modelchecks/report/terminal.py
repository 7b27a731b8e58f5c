"""The verdict table and the findings as plain text, good at 80 columns."""

from __future__ import annotations

import textwrap

from modelchecks.report.summary import GLYPHS, accuracy_rows, findings, sentence
from modelchecks.results import Run


def render(run: Run, width: int = 80) -> str:
    """Return what a person reads first: the table, what failed and what would mend it, verdicts."""
    lines = [*_table(run), ""]
    # A data case blocks all variants at once, so findings are listed once, not per variant.
    for result in findings(run):
        place = f"{result.location.path}:{result.location.line}"
        head = f"{GLYPHS[result.status]} {result.case} {result.status}"
        if result.severity != "block":
            head += f" ({result.severity})"
        lines.append(_safe(f"{head}  {place}"))
        lines += textwrap.wrap(
            _safe(result.message),
            width,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    return "\n".join([*lines, *_closing(run, width)]) + "\n"


def verdicts(run: Run, width: int = 80) -> str:
    """Return the table and the verdicts, for a door that has shown the findings already."""
    return "\n".join([*_table(run), "", *_closing(run, width)]) + "\n"


def _table(run: Run) -> list[str]:
    rows = [("variant", "offline %", "live %", "drop", "verdict")]
    rows += [(r.variant, r.offline, r.live, r.drop, r.verdict.upper()) for r in accuracy_rows(run)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        _safe("  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def _closing(run: Run, width: int) -> list[str]:
    passed = sum(result.status == "passed" for result in run.results)
    lines = [f"{passed} of {len(run.results)} cases passed"]
    for note in run.notes:
        lines += textwrap.wrap(f"note: {_safe(note)}", width, subsequent_indent="    ")
    lines.append("")
    for decision in run.decisions.values():
        lines += textwrap.wrap(_safe(sentence(run, decision)), width, subsequent_indent="    ")
    return lines


def _safe(text: str) -> str:
    """Return text without control characters, which could rewrite what stands on a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
