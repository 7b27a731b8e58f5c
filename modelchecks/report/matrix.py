"""Every case at a glance: variants as columns, checks as rows, and a banner per variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelchecks.report.figures.gallery import declared
from modelchecks.report.numbers import Unit, unit_of
from modelchecks.report.summary import AccuracyRow, accuracy_rows, sentence
from modelchecks.results import Decision, Result, Run

RANKS = ("failed", "errored", "missing", "inconclusive", "not_applicable", "passed")
"""Statuses, worst first."""


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
    waivers: tuple[tuple[str, dict[str, Any]], ...]


def lines(run: Run) -> list[Line]:
    """Return a line per check, in the order of the suite; what was not asked has its line too."""
    found: dict[str, dict[str | None, Result]] = {}
    for result in run.results:
        found.setdefault(declared(result), {})[result.variant] = result
    for decision in run.decisions.values():
        for case in decision.reasons:
            found.setdefault(case.rpartition("[")[0] or case, {})
    told = []
    for check, of in found.items():
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
                (result.case, found)
                for result in run.results
                if result.variant in (None, decision.variant)
                and (found := waiver(result)) is not None
            ),
        )
        for decision in run.decisions.values()
    ]


def waiver(result: Result) -> dict[str, Any] | None:
    """Return who excused a failed case, why and until when, if anybody did."""
    found = getattr(result, "waived", None)
    return dict(found) if isinstance(found, dict) and found else None


def missing(run: Run) -> list[str]:
    """Return the cases that a decision misses, once each."""
    asked = {result.case for result in run.results}
    return [case for case in dict.fromkeys(_reasons(run)) if case not in asked]


def _reasons(run: Run) -> list[str]:
    return [case for decision in run.decisions.values() for case in decision.reasons]


def _square(result: Result | None, case: str) -> Square:
    if result is None:
        return Square(case, "missing", None, Unit())
    return Square(case, result.status, result, unit_of(result))
