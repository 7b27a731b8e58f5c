"""Every case at a glance: variants as columns, checks as rows, and a banner per variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelchecks.report.numbers import Unit, unit_of
from modelchecks.report.summary import AccuracyRow, accuracy_rows, sentence
from modelchecks.results import Decision, Result, Run

RANKS = (
    *("failed", "errored", "missing", "inconclusive"),
    *("waived", "not_applicable", "passed"),
)
"""What a case came to in one word, worst first."""


def matrix(run: Run) -> list[tuple[str, list[Result | None]]]:
    """Return (check id, one result per variant) rows; a data case stands under every variant.

    A case that a decision misses has its row as well, where None stands for its result.
    """
    return [
        (check, [of.get(variant, of.get(None)) for variant in run.decisions])
        for check, of in _by_check(run).items()
    ]


def cell(result: Result | None) -> str:
    """Return what a case came to in one word: its status, `waived`, or `missing`."""
    if result is None:
        return "missing"
    return "waived" if result.waived is not None else result.status


@dataclass(frozen=True, slots=True)
class Square:
    """One case in the matrix; `result` is None where it was not asked."""

    case: str
    status: str
    result: Result | None
    unit: Unit

    @property
    def rank(self) -> int:
        """The place of its status among all, 0 the worst."""
        return RANKS.index(self.status)


@dataclass(frozen=True, slots=True)
class Line:
    """One check: a square per variant, or one for all of them where it is about the data."""

    check: str
    name: str
    severity: str
    squares: tuple[Square, ...]
    whole: bool

    @property
    def rank(self) -> int:
        """The rank of its worst square."""
        return min(square.rank for square in self.squares)


@dataclass(frozen=True, slots=True)
class Banner:
    """What a reader with one minute reads about one variant."""

    decision: Decision
    sentence: str
    reasons: tuple[Square, ...]
    accuracy: AccuracyRow | None
    waived: tuple[str, ...]


def lines(run: Run) -> list[Line]:
    """Return a line per check, in the order of the suite; what was not asked has its line too."""
    told = []
    for check, of in _by_check(run).items():
        first = next(iter(of.values()), None)
        whole = None in of or f"{check}[data]" in _reasons(run)
        names: Sequence[str | None] = [None] if whole else list(run.decisions)
        squares = [_square(of.get(name), f"{check}[{name or 'data'}]") for name in names]
        if squares:
            name, severity = (first.check, first.severity) if first else (check, "block")
            told.append(Line(check, name, severity, tuple(squares), whole))
    return told


def banners(run: Run) -> list[Banner]:
    """Return a banner per variant."""
    results = {result.case: result for result in run.results}
    rows: dict[str, AccuracyRow] = {}
    for row in accuracy_rows(run):
        rows.setdefault(row.variant, row)
    return [
        Banner(
            decision,
            sentence(run, decision),
            tuple(_square(results.get(case), case) for case in decision.reasons),
            rows.get(decision.variant),
            tuple(
                result.case
                for result in run.results
                if result.variant in (None, decision.variant) and result.waived is not None
            ),
        )
        for decision in run.decisions.values()
    ]


def missing(run: Run) -> list[str]:
    """Return the cases that a decision misses, once each."""
    asked = {result.case for result in run.results}
    return [case for case in dict.fromkeys(_reasons(run)) if case not in asked]


def _reasons(run: Run) -> list[str]:
    return [case for decision in run.decisions.values() for case in decision.reasons]


def _square(result: Result | None, case: str) -> Square:
    if result is None:
        return Square(case, "missing", None, Unit())
    return Square(case, cell(result), result, unit_of(result))


def _by_check(run: Run) -> dict[str, dict[str | None, Result]]:
    """Return the results of each check by variant; a check of which none was asked has none."""
    found: dict[str, dict[str | None, Result]] = {}
    for result in run.results:
        found.setdefault(declared(result.case), {})[result.variant] = result
    for case in _reasons(run):
        found.setdefault(declared(case), {})
    return found


def declared(case: str) -> str:
    """Return the id under which the suite declares a case's check."""
    return case.rpartition("[")[0] or case
