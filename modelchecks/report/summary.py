"""What every report says in words: the accuracy table and the findings of a run, worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelchecks.results import Decision, Result, Run
from modelchecks.wording import bare, interval

GLYPHS: Mapping[str, str] = {
    "passed": "✓",
    "failed": "✗",
    "inconclusive": "?",
    "not_applicable": "–",
    "errored": "!",
    "missing": "∅",
    "waived": "~",
}
NONE = "–"
"""Stands where there is no number."""
_ORDER = ("failed", "errored", "inconclusive", "not_applicable", "passed")
_SEVERITIES = ("block", "warn", "info")


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """One variant's offline and live accuracy and their difference, as texts."""

    variant: str
    offline: str
    live: str
    drop: str
    verdict: str


def accuracy_rows(run: Run) -> list[AccuracyRow]:
    """Return a row per variant: its first drop of plain accuracy, dashes where it has none."""
    rows = []
    for name, decision in run.decisions.items():
        mine = (result for result in run.results if result.variant == name)
        first = next(filter(_is_plain_drop, mine), None)
        drop, details = (None, {}) if first is None else (first.estimate, first.details)
        rows.append(
            AccuracyRow(
                name,
                _share(details.get("offline")),
                _share(details.get("live")),
                NONE if drop is None else f"{bare(drop.value)} {interval(drop.low, drop.high)}",
                decision.verdict,
            )
        )
    return rows


def _is_plain_drop(result: Result) -> bool:
    """Return whether a result is about the drop of accuracy, in percentage points."""
    if result.check != "accuracy_drop" or "metric" in result.details:
        return False
    return "max_relative_drop" not in result.threshold


def _share(estimate: Any) -> str:
    """Return an accuracy that a case noted; a check of somebody else's may have noted others."""
    try:
        value, low, high = (float(estimate[key]) for key in ("value", "low", "high"))
    except (KeyError, TypeError, ValueError):
        return NONE
    return f"{bare(value)} {interval(low, high)}"


def findings(run: Run) -> list[Result]:
    """Return the results that are not passes: blocking failures first, structural ones last."""
    return sorted(
        (result for result in run.results if result.status != "passed"),
        key=lambda result: (
            result.structural,
            _SEVERITIES.index(result.severity),
            _ORDER.index(result.status),
        ),
    )


def _waived(run: Run, case: str) -> str:
    waived = next((r.waived for r in run.results if r.case == case and r.waived), None)
    return case if waived is None else f"{case} until {waived.until} by {waived.owner}"


def sentence(run: Run, decision: Decision) -> str:
    """Return a decision as one plain sentence.

    Names every case that is a reason, with its status.
    """
    statuses = {result.case: result.status for result in run.results}
    reasons = [f"{case} {statuses.get(case, 'missing')}" for case in decision.reasons]
    if decision.verdict == "approved" and decision.approved_with_waivers:
        passed_over = ", ".join(_waived(run, case) for case in decision.approved_with_waivers)
        return f"{decision.variant} may go live WITH WAIVERS: failed and waived {passed_over}."
    if decision.verdict == "approved":
        return f"{decision.variant} may go live: every blocking check passed."
    if not reasons:
        return f"{decision.variant} is undecided: no blocking check passed."
    word = "must not go live" if decision.verdict == "blocked" else "is undecided"
    return f"{decision.variant} {word}: {', '.join(reasons)}."
