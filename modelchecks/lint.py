"""`modelchecks lint`: every problem of suite files and their waivers, without model or data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelchecks.shell import suite_files, tell

if TYPE_CHECKING:
    from modelchecks.errors import Problem
    from modelchecks.suite import Suite


@click.command()
@click.argument("suites", nargs=-1, metavar="SUITE...")
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of suite files.")
def lint(suites: Sequence[str], json_schema: bool) -> int:
    """Report every problem of suite files at once; needs no model and no data.

    A suite's waivers are looked at as well: one that has ended is an error. Where a split says how
    many labelled rows are expected (`expected_labels: 250`), thresholds that these can hardly
    decide are warned of, with the number that would do. Of a waiver file, its suite is meant.

    \b
    Example:
      modelchecks lint suites/*.suite.yaml

    \b
    Exit codes: 0 no error (warnings may be), 2 at least one error, 5 no suite there.
    """
    from modelchecks import gate as gate_module

    if json_schema:
        import json

        from modelchecks.suite_schema import suite_schema

        tell(json.dumps(suite_schema(), indent=2) + "\n")
        return 0
    if not suites:
        raise click.UsageError("name at least one suite file, or --json-schema")
    from modelchecks.load import read_suite

    paths, codes = suite_files([_suite_of(name) for name in suites])
    for path in paths:
        suite, problems = read_suite(path)
        if suite is not None:
            problems = [*problems, *map(_placed, _more(suite))]
        for problem in problems:
            tell(f"{problem}\n")
        wrong = sum(problem.severity == "error" for problem in problems)
        if wrong or suite is None:
            tell(f"{path}: {wrong} error{'s' * (wrong != 1)}\n")
        else:
            count, waived = len(suite.checks), len(suite.waivers)
            waivers = f", {waived} waiver{'s' * (waived != 1)}" if waived else ""
            tell(f"{path}: a valid suite, {count} check{'s' * (count != 1)}{waivers}\n")
        codes.append(gate_module.USAGE if wrong or suite is None else gate_module.OK)
    for folder in dict.fromkeys(path.parent for path in paths if path.is_file()):
        from modelchecks import waivers as waiver_files

        for problem in waiver_files.strays(folder):
            tell(f"{problem}\n")
    return gate_module.worst(codes)


def _suite_of(name: str) -> str:
    """Return the suite that a waiver file goes with, which is what a pre-commit hook may name."""
    from modelchecks import SUITE_SUFFIXES
    from modelchecks.waivers import SUFFIXES

    for suffix in SUFFIXES:
        for suite in SUITE_SUFFIXES if name.endswith(suffix) else ():
            path = Path(name.removesuffix(suffix) + suite)
            if path.is_file():
                return str(path)
    return name


def _more(suite: Suite) -> Iterator[Problem]:
    """Yield what only `lint` says: it takes a calendar, or statistics, which load scipy."""
    from modelchecks import waivers

    yield from waivers.advice(suite, datetime.now(UTC).date())
    if any(split.expected_labels is not None for split in suite.splits):
        from modelchecks.decidable import hard_to_decide

        yield from hard_to_decide(suite)


def _placed(problem: Problem) -> Problem:
    """Return the problem with the line that it is about, at its first word."""
    lines = Path(problem.path).read_text(encoding="utf-8-sig").splitlines()
    source = lines[problem.line - 1] if 0 < problem.line <= len(lines) else ""
    return replace(problem, column=len(source) - len(source.lstrip()) + 1, source=source)
