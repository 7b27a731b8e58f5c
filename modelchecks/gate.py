"""Results become decisions here, and only here; the gate fails closed.

A variant is `approved` only when every declared blocking case has a result that passed, and at
least one of them looked at the variant itself: data alone approves no model that nobody saw. A
failed blocking case makes it `blocked`. Anything else (errored, inconclusive, missing, deselected,
an unknown status) leaves it `undecided`. A failed case that a waiver names does not block while the
waiver counts; it is never taken for a pass, and nothing but `failed` can be waived.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

from modelchecks.plan import Case
from modelchecks.results import Decision, Result, Run, Status, Waived
from modelchecks.suite import Waiver

FailOn = Literal["blocked", "undecided"]

OK, BLOCKED, USAGE, UNDECIDED, INTERNAL, NOTHING = 0, 1, 2, 3, 4, 5
"""Exit codes of the shell door."""
_WORST_FIRST = (INTERNAL, USAGE, BLOCKED, UNDECIDED, NOTHING, OK)


def waive(results: Iterable[Result], waivers: Sequence[Waiver], day: date) -> tuple[Result, ...]:
    """Return the results, each failed blocking one with the waiver that counts for it that day."""
    granted = {waiver.case: _granted(waiver, day) for waiver in waivers}
    for case, times in Counter(waiver.case for waiver in waivers).items():
        if times > 1:
            # Which of them was meant is not for us to choose.
            granted[case] = None
    return tuple(
        replace(
            result,
            waived=granted.get(result.case)
            if result.status == "failed" and result.severity == "block"
            else None,
        )
        for result in results
    )


def _granted(waiver: Waiver, day: date) -> Waived | None:
    if day > waiver.until or (waiver.since is not None and day < waiver.since):
        return None
    return Waived(waiver.owner, waiver.reason, waiver.until.isoformat())


def decide(
    variants: Sequence[str], declared: Sequence[Case], results: Iterable[Result]
) -> dict[str, Decision]:
    """Return each variant's decision from all declared cases and the results that there are."""
    found = list(results)
    return {variant: _decide(variant, declared, found) for variant in variants}


def _decide(variant: str, declared: Sequence[Case], results: Sequence[Result]) -> Decision:
    blocking = [
        case
        for case in declared
        if case.declared.severity == "block" and case.variant in (None, variant)
    ]
    ids = Counter(case.id for case in blocking)
    by_case: dict[str, list[Result]] = {}
    for result in results:
        by_case.setdefault(result.case, []).append(result)
    passed = 0
    failed: list[str] = []
    waived: list[str] = []
    unsettled: list[str] = []
    own = {case.id for case in blocking if case.variant == variant}
    for case_id in ids:
        outcomes = by_case.get(case_id, [])
        once = ids[case_id] == 1 and len(outcomes) == 1
        if any(outcome.status == "failed" for outcome in outcomes):
            (waived if once and outcomes[0].waived is not None else failed).append(case_id)
        elif not once:
            unsettled.append(case_id)
        elif outcomes[0].status == "passed":
            passed += case_id in own
        elif not (outcomes[0].status == "not_applicable" and outcomes[0].structural):
            unsettled.append(case_id)
    if failed:
        return Decision(variant, "blocked", tuple(failed))
    if unsettled or not passed:
        return Decision(variant, "undecided", tuple(unsettled))
    return Decision(variant, "approved", (), tuple(waived))


def reason_statuses(run: Run, decision: Decision) -> dict[str, Status | Literal["missing"]]:
    """Return the status of each case that a decision names as its reason.

    A case with several results has none that could be relied on, so it counts as missing.
    """
    counted = Counter(result.case for result in run.results)
    found = {result.case: result.status for result in run.results if counted[result.case] == 1}
    return {case: found.get(case, "missing") for case in decision.reasons}


def forgiven(run: Run, fail_on: FailOn = "undecided") -> tuple[str, ...]:
    """Return the undecided variants that the user asked to let through: only inconclusive ones.

    `--fail-on blocked` and the policies `inconclusive: warn | skip` forgive `inconclusive` and
    nothing else: an errored, missing or deselected case keeps its variant undecided.
    """
    policy = run.suite.get("policy", {}).get("inconclusive")
    if fail_on != "blocked" and policy not in ("warn", "skip"):
        return ()
    return tuple(
        decision.variant
        for decision in run.decisions.values()
        if decision.verdict == "undecided"
        and decision.reasons
        and all(status == "inconclusive" for status in reason_statuses(run, decision).values())
    )


def exit_code(run: Run, fail_on: FailOn = "undecided") -> int:
    """Return the shell's exit code for one run, as the policy and `--fail-on` count outcomes."""
    if not run.results or not run.decisions:
        return NOTHING
    if run.suite.get("policy", {}).get("mode") == "observe":
        return OK
    verdicts: Mapping[str, str] = {d.variant: d.verdict for d in run.decisions.values()}
    if "blocked" in verdicts.values():
        return BLOCKED
    let_through = forgiven(run, fail_on)
    for variant, verdict in verdicts.items():
        if verdict != "approved" and variant not in let_through:
            return UNDECIDED
    return OK


def worst(codes: Iterable[int]) -> int:
    """Return the exit code that wins when several apply: 4 > 2 > 1 > 3 > 5 > 0; none is 5.

    >>> worst([0, 3, 1])
    1
    """
    present = set(codes) or {NOTHING}
    if not present <= set(_WORST_FIRST):
        return INTERNAL
    return next(code for code in _WORST_FIRST if code in present)
