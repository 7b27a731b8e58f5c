"""`modelchecks history`: what was decided before, and where the variants are going."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelchecks import SUITE_SUFFIXES
from modelchecks.shell import tell

if TYPE_CHECKING:
    from modelchecks.archive import PastRun

NONE = "–"


@click.command()
@click.argument("suite", required=False)
@click.option(
    "--history", "path", type=click.Path(path_type=Path), help="The file; see `policy: history`."
)
@click.option("--report", default="reports", show_default=True, help="Where reports went.")
@click.option("--check", "checks", multiple=True, help="Only this check, by its id (repeatable).")
@click.option("--last", default=10, show_default=True, help="How many runs.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that is remembered.")
def history(
    suite: str | None,
    path: Path | None,
    report: str,
    checks: Sequence[str],
    last: int,
    as_json: bool,
) -> int:
    """Show past decisions, and each check's value with its interval over the runs.

    SUITE is a suite file, or the name of one; by default all suites of the history.

    \b
    Example:
      modelchecks history suites/fashion.suite.yaml --check live-drop
    """
    from modelchecks import archive

    name, place = _meant(suite)
    place = path or place or Path(report) / archive.FILE
    runs = archive.past(place, name, last)
    if not runs:
        known = archive.suites(place)
        said = f"it has {', '.join(known)}" if known else "it is empty"
        raise click.UsageError(f"{place} holds no run of suite {name!r}; {said}")
    if as_json:
        tell(json.dumps([asdict(run) for run in runs], indent=2, ensure_ascii=False) + "\n")
        return 0
    for one in dict.fromkeys(run.suite for run in runs):
        _show(one, [run for run in runs if run.suite == one], checks)
    return 0


def _meant(suite: str | None) -> tuple[str | None, Path | None]:
    """Return the name of the suite that is meant, and where its policy keeps the history."""
    if suite is None or not suite.endswith((*SUITE_SUFFIXES, ".py")):
        return suite, None
    from modelchecks.load import load_suite

    found = load_suite(suite)
    kept = found.policy.history
    return found.name, None if kept is None else found.folder / kept


def _show(suite: str, runs: Sequence[PastRun], checks: Sequence[str]) -> None:
    from modelchecks.report.trends import labels

    times = labels(runs)
    tell(f"{_line(suite)}\n")
    variants = list(dict.fromkeys(d.variant for run in runs for d in run.decisions))
    rows = [("run", *variants, "git")]
    for at, run in zip(times, runs, strict=True):
        said = {d.variant: d.verdict for d in run.decisions}
        rows.append((at, *(said.get(v, NONE) for v in variants), run.git or NONE))
    _table(rows)
    asked = list(dict.fromkeys(_check(e.case) for run in runs for e in run.estimates))
    wrong = [check for check in checks if check not in asked]
    if wrong:
        raise click.UsageError(f"no run has check {wrong[0]!r}; there are {', '.join(asked)}")
    for check in checks or asked:
        rows = list(_trend(check, runs, times))
        if len(rows) > 1:
            tell(f"\n{_line(check)}\n")
            _table(rows)


def _trend(check: str, runs: Sequence[PastRun], times: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield a head and then, for each run that has numbers, each variant's value and interval."""
    from modelchecks.report.numbers import Unit
    from modelchecks.report.summary import GLYPHS

    of = [{e.variant: e for e in run.estimates if _check(e.case) == check} for run in runs]
    variants = list(dict.fromkeys(v for found in of for v in found))
    yield ("run", *(variant or "data" for variant in variants))
    for at, found in zip(times, of, strict=True):
        cells = []
        for variant in variants:
            past = found.get(variant)
            if past is None:
                cells.append(NONE)
                continue
            unit = Unit(past.unit or "")
            numbers = [unit.full(past.value), unit.interval(past.low, past.high)]
            told = " ".join(filter(None, numbers)) if past.value is not None else past.status
            cells.append(f"{GLYPHS.get(past.status, '?')} {told}")
        yield (at, *cells)


def _check(case: str) -> str:
    return case.rpartition("[")[0] or case


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    clean = [[_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in clean) for place in range(len(clean[0]))]
    for row in clean:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        tell("  " + "  ".join(cells).rstrip() + "\n")


def _line(text: str) -> str:
    from modelchecks.report.text import one_line

    return one_line(text)
