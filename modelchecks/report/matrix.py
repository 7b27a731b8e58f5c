"""Checks as rows, variants as columns: what every report shows of all cases at a glance."""

from __future__ import annotations

from modelchecks.results import Result, Run


def matrix(run: Run) -> list[tuple[str, list[Result | None]]]:
    """Return (check id, one result per variant) rows; a data case stands under every variant.

    A case that a decision misses has its row as well, where None stands for its result.
    """
    found: dict[str, dict[str | None, Result]] = {}
    for result in run.results:
        found.setdefault(_declared(result.case), {})[result.variant] = result
    for decision in run.decisions.values():
        for case in decision.reasons:
            found.setdefault(_declared(case), {})
    return [
        (name, [by_variant.get(variant, by_variant.get(None)) for variant in run.decisions])
        for name, by_variant in found.items()
    ]


def _declared(case: str) -> str:
    return case.rpartition("[")[0] or case


def cell(result: Result | None) -> str:
    """Return what a case came to in one word: its status, `waived`, or `missing`."""
    if result is None:
        return "missing"
    return "waived" if result.waived is not None else result.status
