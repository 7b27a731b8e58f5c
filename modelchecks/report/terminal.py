"""The verdict table and the findings as plain text, good at 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from modelchecks.report.matrix import cell, matrix
from modelchecks.report.summary import GLYPHS, accuracy_rows, findings, sentence
from modelchecks.report.text import one_line
from modelchecks.results import Result, Run

# A number stays with what belongs to it: "94.0 %", "5 pp", "(n 2,000)".
_BELONGS = re.compile(r"(?<=\d) (?=(?:%|pp)(?:\W|$))|(?<=\bn) (?=\d)")
_KEEP = "\u00a0"


def render(run: Run, width: int = 80) -> str:
    """Return what a person reads first: the table, what failed and what would mend it, verdicts."""
    lines = [*_table(run, width), "", *_checks(run, width), ""]
    for alike in _alike(findings(run)):
        lines += _finding(alike, width)
    return "\n".join([*lines, *_closing(run, width)]) + "\n"


def verdicts(run: Run, width: int = 80) -> str:
    """Return the table and the verdicts, for a door that has shown the findings already."""
    lines = [*_table(run, width), "", *_checks(run, width), "", *_closing(run, width)]
    return "\n".join(lines) + "\n"


def _alike(results: Iterable[Result]) -> list[list[Result]]:
    """Return the results in groups that a reader would take for one: the same but for the case."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        waived = result.waived and (result.waived.owner, result.waived.until, result.waived.reason)
        key = (result.message, result.status, result.severity, result.location, waived)
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def _finding(alike: list[Result], width: int) -> list[str]:
    first = alike[0]
    cases = ", ".join(result.case for result in alike)
    severity = "" if first.severity == "block" else f" ({first.severity})"
    place = f"{first.location.path}:{first.location.line}"
    waived = "" if first.waived is None else ", waived"
    head = f"{GLYPHS[cell(first)]} {cases} {first.status}{waived}{severity}  {place}"
    lines = [*_wrap(head, width, "", "  "), *_wrap(first.message, width, "    ", "    ")]
    if first.waived is not None:
        text = f"waived until {first.waived.until} by {first.waived.owner}: {first.waived.reason}"
        lines += _wrap(text, width, "    ", "    ")
    return [*lines, ""]


def _table(run: Run, width: int) -> list[str]:
    rows = [("variant", "offline %", "live %", "drop pp", "verdict")]
    for r in accuracy_rows(run):
        star = "*" if run.decisions[r.variant].approved_with_waivers else ""
        rows.append((r.variant, r.offline, r.live, r.drop, r.verdict.upper() + star))
    sizes = [max(len(row[column]) for row in rows) for column in range(1, len(rows[0]))]
    # A name that would push its row over the edge stands on a line of its own.
    room = max(len("variant"), width - sum(size + 2 for size in sizes))
    first = max(len(row[0]) for row in rows if len(row[0]) <= room)
    lines = []
    for name, *cells in rows:
        if len(name) > first:
            lines.append(one_line(name))
            name = ""
        padded = [cell.ljust(size) for cell, size in zip(cells, sizes, strict=True)]
        lines.append(one_line("  ".join([name.ljust(first), *padded])).rstrip())
    return lines


def _checks(run: Run, width: int) -> list[str]:
    """Return checks as rows and variants as columns; more columns than fit follow below."""
    variants = list(run.decisions)
    names = [name for name, _ in matrix(run)]
    if not names or not variants:
        return []
    first = min(max(len("check"), *map(len, names)), width // 2)
    cells = [[f"{GLYPHS[cell(found)]} {cell(found)}" for found in row] for _, row in matrix(run)]
    sizes = [
        max(len(variant), *(len(row[column]) for row in cells))
        for column, variant in enumerate(variants)
    ]
    lines: list[str] = []
    start = 0
    while start < len(variants):
        stop, room = start + 1, width - first - sizes[start] - 2
        while stop < len(variants) and room >= sizes[stop] + 2:
            room -= sizes[stop] + 2
            stop += 1
        lines += [""] if lines else []
        rows = [("check", variants), *zip(names, cells, strict=True)]
        for name, row in rows:
            if len(name) > first:
                lines.append(one_line(name))
                name = ""
            shown = [row[column].ljust(sizes[column]) for column in range(start, stop)]
            lines.append(one_line("  ".join([name.ljust(first), *shown])).rstrip())
        start = stop
    return lines


def _closing(run: Run, width: int) -> list[str]:
    passed = sum(result.status == "passed" for result in run.results)
    lines = [f"{passed} of {len(run.results)} cases passed"]
    for note in run.notes:
        lines += _wrap(f"note: {note}", width, "", "    ")
    lines.append("")
    for decision in run.decisions.values():
        lines += _wrap(sentence(run, decision), width, "", "    ")
    return lines


def _wrap(text: str, width: int, first: str, later: str) -> list[str]:
    """Return the text in lines of at most `width`; a path or digest stays whole to be copied."""
    wrapped = textwrap.wrap(
        _BELONGS.sub(_KEEP, one_line(text)),
        width,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_KEEP, " ") for line in wrapped]
