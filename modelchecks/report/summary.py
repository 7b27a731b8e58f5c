"""What every report says in words: the accuracy table and the findings of a run, worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelchecks.results import Decision, Result, Run
from modelchecks.wording import interval, points

GLYPHS: Mapping[str, str] = {
    "passed": "✓",
    "failed": "✗",
    "inconclusive": "?",
    "not_applicable": "–",
    "errored": "!",
    "missing": "∅",
}
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
    """Return a row per variant and accuracy_drop case; blanks where that case has no numbers."""
    rows = []
    for name, decision in run.decisions.items():
        drops = [r for r in run.results if r.check == "accuracy_drop" and r.variant == name]
        if not drops:
            rows.append(AccuracyRow(name, "–", "–", "–", decision.verdict))
        for result in drops:
            if result.estimate is None:
                rows.append(AccuracyRow(name, "–", "–", "–", decision.verdict))
                continue
            drop = result.estimate
            rows.append(
                AccuracyRow(
                    name,
                    _share(result.details["offline"]),
                    _share(result.details["live"]),
                    f"{points(drop.value)} {interval(drop.low, drop.high)}",
                    decision.verdict,
                )
            )
    return rows


def _share(estimate: Mapping[str, Any]) -> str:
    shown = interval(float(estimate["low"]), float(estimate["high"]))
    return f"{100 * float(estimate['value']):.1f} {shown}"


def findings(run: Run) -> list[Result]:
    """Return the results that are not passes, blocking failures first."""
    return sorted(
        (result for result in run.results if result.status != "passed"),
        key=lambda result: (
            _SEVERITIES.index(result.severity),
            _ORDER.index(result.status),
        ),
    )


def sentence(run: Run, decision: Decision) -> str:
    """Return a decision as one plain sentence.

    Names every case that is a reason, with its status.
    """
    statuses = {result.case: result.status for result in run.results}
    reasons = [f"{case} {statuses.get(case, 'missing')}" for case in decision.reasons]
    if decision.verdict == "approved":
        return f"{decision.variant} may go live: every blocking check passed."
    if not reasons:
        return f"{decision.variant} is undecided: no blocking check passed."
    word = "must not go live" if decision.verdict == "blocked" else "is undecided"
    return f"{decision.variant} {word}: {', '.join(reasons)}."
