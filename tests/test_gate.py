"""The gate fails closed: only a whole set of passed blocking cases approves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelchecks import gate
from modelchecks.checks.accuracy import AccuracyFloor
from modelchecks.checks.drift import LabelDrift
from modelchecks.gate import decide, exit_code, forgiven, reason_statuses, waive, worst
from modelchecks.load import load_suite
from modelchecks.plan import Case
from modelchecks.results import (
    Decision,
    Location,
    Result,
    Run,
    Severity,
    Status,
    Verdict,
    Waived,
)
from modelchecks.run import run_suite
from modelchecks.suite import DeclaredCheck, Waiver
from tests.conftest import Bench

HERE = Location("x.suite.yaml", 1)
STATUSES = get_args(Status)
# What may stand in the place of a result; "structural" is a not_applicable that may be left out,
# "waived" a failure that a waiver counts for, "great" and "splendid" are statuses that nobody knows
# (before and after "passed", if one orders them), None is no result.
OUTCOMES = (*STATUSES, "structural", "waived", "great", "splendid", None)


def case(name: str, variant: str | None = "a", severity: Severity = "block") -> Case:
    check = AccuracyFloor(min_accuracy=0.9) if variant else LabelDrift()
    return Case(DeclaredCheck("check", name, check, severity, HERE), variant)


def result(of: Case, outcome: Any) -> Result:
    structural, waived = outcome == "structural", outcome == "waived"
    return Result(
        of.id,
        of.declared.name,
        of.variant,
        of.declared.severity,
        "not_applicable" if structural else "failed" if waived else outcome,
        "told",
        HERE,
        structural=structural,
        waived=Waived("anna", "told", "2026-12-10") if waived else None,
    )


def results(cases: Sequence[Case], outcomes: Sequence[Any]) -> list[Result]:
    pairs = zip(cases, outcomes, strict=True)
    return [result(of, outcome) for of, outcome in pairs if outcome is not None]


def verdict(cases: Sequence[Case], found: Sequence[Result]) -> Verdict:
    return decide(["a"], cases, found)["a"].verdict


def run(decisions: Sequence[Decision], found: Sequence[Result], **policy: str) -> Run:
    return Run(
        "id",
        "",
        "",
        {"name": "s", "policy": policy},
        {},
        {},
        tuple(found),
        {decision.variant: decision for decision in decisions},
        {},
    )


def test_every_small_suite_is_approved_only_when_all_that_blocks_passed() -> None:
    seen = set()
    severities = get_args(Severity)
    for kinds in chain.from_iterable(product(severities, repeat=n) for n in range(4)):
        cases = [
            case(f"c{number}", None if number == 1 else "a", severity)
            for number, severity in enumerate(kinds)
        ]
        for outcomes in product(OUTCOMES, repeat=len(cases)):
            blocking = [o for o, k in zip(outcomes, kinds, strict=True) if k == "block"]
            # The second case is about the data, which alone approves no model.
            numbered = zip(outcomes, kinds, range(3), strict=False)
            own = [o for o, k, number in numbered if k == "block" and number != 1]
            if "failed" in blocking:
                expected = "blocked"
            elif "passed" in own and set(blocking) <= {"passed", "structural", "waived"}:
                expected = "approved"
            else:
                expected = "undecided"
            found = results(cases, outcomes)
            assert verdict(cases, found) == expected
            assert verdict(cases, found[::-1]) == expected
            seen.add(expected)
    assert seen == set(get_args(Verdict))


def test_the_reasons_are_the_cases_that_kept_the_variant_from_approval() -> None:
    cases = [case("p"), case("f"), case("e"), case("m"), case("w", severity="warn")]
    outcomes = ["passed", "failed", "errored", None, "failed"]
    assert decide(["a"], cases, results(cases, outcomes))["a"] == Decision(
        "a", "blocked", ("f[a]",)
    )
    unsettled = decide(["a"], cases, results(cases, ["passed", "passed", *outcomes[2:]]))["a"]
    assert unsettled == Decision("a", "undecided", ("e[a]", "m[a]"))
    approved = decide(["a"], cases[:1], results(cases[:1], ["passed"]))["a"]
    assert approved == Decision("a", "approved", ())


def test_a_case_of_the_data_counts_for_every_variant_and_a_variants_only_for_itself() -> None:
    cases = [case("schema", None), case("floor", "a"), case("floor", "b")]
    good = results(cases, ["passed", "passed", "failed"])
    decided = {v: d.verdict for v, d in decide(["a", "b"], cases, good).items()}
    assert decided == {"a": "approved", "b": "blocked"}
    for outcome, verdict_of_both in [("failed", "blocked"), ("errored", "undecided")]:
        found = results(cases, [outcome, "passed", "passed"])
        assert {d.verdict for d in decide(["a", "b"], cases, found).values()} == {verdict_of_both}


def test_a_variant_without_any_blocking_case_stays_undecided() -> None:
    assert decide(["a"], [], [])["a"] == Decision("a", "undecided", ())
    warn = [case("w", severity="warn")]
    assert decide(["a"], warn, results(warn, ["passed"]))["a"].verdict == "undecided"


@pytest.mark.parametrize("status", [*STATUSES, "", "great", "zero"])
def test_structural_excuses_no_other_status(status: Any) -> None:
    cases = [case("p"), case("n")]
    odd = replace(result(cases[1], "structural"), status=status)
    expected = {"passed": "approved", "not_applicable": "approved", "failed": "blocked"}
    found = [result(cases[0], "passed"), odd]
    assert verdict(cases, found) == expected.get(status, "undecided")


@pytest.mark.parametrize("severity", ["", "alarm", "blocking", "zero"])
def test_a_severity_that_nobody_knows_blocks_and_waives_nothing(severity: Any) -> None:
    of = case("x", severity=severity)
    assert verdict([of], results([of], ["passed"])) == "undecided"
    (found,) = waive(results([of], ["failed"]), [waiver(of)], date(2026, 11, 25))
    assert found.waived is None


def test_a_variant_is_known_by_its_name_not_by_the_object() -> None:
    name = "".join(["a", "b"])
    cases = [case("p", "ab")]
    assert decide([name], cases, results(cases, ["passed"]))[name].verdict == "approved"


def test_only_a_structural_not_applicable_is_left_out() -> None:
    cases = [case("p"), case("n")]
    assert verdict(cases, results(cases, ["passed", "structural"])) == "approved"
    assert verdict(cases, results(cases, ["passed", "not_applicable"])) == "undecided"
    assert verdict(cases, results(cases, ["structural", "structural"])) == "undecided"


def test_a_repeated_case_or_result_never_approves_and_a_failure_among_them_blocks() -> None:
    once = [case("p")]
    passed, failed = result(once[0], "passed"), result(once[0], "failed")
    assert verdict(once, [passed]) == "approved"
    assert verdict(once, [passed, passed]) == "undecided"
    assert verdict(once, [passed, failed]) == "blocked"
    assert verdict([*once, *once], [passed]) == "undecided"
    assert verdict([*once, *once], [failed]) == "blocked"


def test_a_result_of_no_declared_case_changes_nothing() -> None:
    cases, other = [case("p")], case("other")
    for outcome in STATUSES:
        found = [result(cases[0], "passed"), result(other, outcome)]
        assert verdict(cases, found) == "approved"
    assert verdict(cases, [result(other, "passed")]) == "undecided"


@given(data=st.data())
def test_no_loss_of_a_pass_moves_a_decision_toward_approval(data: st.DataObject) -> None:
    severity = st.sampled_from(get_args(Severity))
    owner = st.sampled_from(["a", "b", None])
    kinds = data.draw(st.lists(st.tuples(owner, severity), min_size=1, max_size=6))
    cases = [case(f"c{number}", *kind) for number, kind in enumerate(kinds)]
    usual = st.sampled_from(["passed", "structural", "waived"])
    mostly = st.one_of(usual, usual, st.sampled_from(OUTCOMES))
    outcomes = data.draw(st.lists(mostly, min_size=len(cases), max_size=len(cases)))
    at = data.draw(st.integers(0, len(cases) - 1))
    to = data.draw(st.sampled_from(OUTCOMES)) if outcomes[at] == "passed" else None
    worse = [*outcomes[:at], to, *outcomes[at + 1 :]]
    before = decide(["a", "b"], cases, results(cases, outcomes))
    after = decide(["a", "b"], cases, results(cases, worse))
    for variant in ("a", "b"):
        # blocked and undecided lie below approved; nothing below may rise to it.
        approved = (before[variant].verdict, after[variant].verdict)
        assert approved[1] != "approved" or approved[0] == "approved"


# Waivers.


def waiver(of: Case, until: str = "2026-12-10", since: str | None = None) -> Waiver:
    first = None if since is None else date.fromisoformat(since)
    return Waiver(of.id, "anna", "told", date.fromisoformat(until), first)


def test_a_waived_failure_is_passed_over_and_named_and_never_counts_as_a_pass() -> None:
    cases = [case("p"), case("f"), case("g")]
    found = results(cases, ["passed", "waived", "waived"])
    assert decide(["a"], cases, found)["a"] == Decision("a", "approved", (), ("f[a]", "g[a]"))
    assert decide(["a"], cases[1:], found[1:])["a"] == Decision("a", "undecided", ())
    found = results(cases, ["passed", "waived", "failed"])
    assert decide(["a"], cases, found)["a"] == Decision("a", "blocked", ("g[a]",))
    found = results(cases, ["passed", "waived", "errored"])
    assert decide(["a"], cases, found)["a"] == Decision("a", "undecided", ("g[a]",))


def test_a_waiver_passes_over_no_case_that_has_several_results() -> None:
    cases = [case("p"), case("f")]
    once, twice = results(cases, ["passed", "waived"]), results(cases[1:], ["waived"])
    assert verdict(cases, [*once, *twice]) == "blocked"
    assert verdict([*cases, cases[1]], once) == "blocked"
    assert verdict(cases, [*once, *results(cases[1:], ["failed"])]) == "blocked"
    assert verdict(cases, [*once, *results(cases[1:], ["passed"])]) == "blocked"


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("severity", get_args(Severity))
def test_only_a_blocking_failure_is_waived(status: Status, severity: Severity) -> None:
    of, other = case("x", severity=severity), case("y", severity=severity)
    (found,) = waive([result(of, status)], [waiver(of)], date(2026, 11, 25))
    counts = status == "failed" and severity == "block"
    assert found.waived == (Waived("anna", "told", "2026-12-10") if counts else None)
    assert found == replace(result(of, status), waived=found.waived)
    (found,) = waive([result(of, status)], [waiver(other)], date(2026, 11, 25))
    assert found.waived is None


@pytest.mark.parametrize(
    ("since", "until", "counts"),
    [
        (None, "2026-11-25", True),
        (None, "2026-11-24", False),
        (None, "2026-11-26", True),
        ("2026-11-25", "2026-11-25", True),
        ("2026-11-24", "2026-12-25", True),
        ("2026-11-26", "2026-12-25", False),
    ],
)
def test_a_waiver_counts_from_its_first_to_its_last_day(
    since: str | None, until: str, counts: bool
) -> None:
    of = case("x")
    (found,) = waive([result(of, "failed")], [waiver(of, until, since)], date(2026, 11, 25))
    assert (found.waived is not None) == counts


def test_what_is_waived_twice_is_not_waived_and_what_claims_to_be_is_not_believed() -> None:
    of = case("x")
    twice = [waiver(of), waiver(of, "2027-01-01")]
    (found,) = waive([result(of, "failed")], twice, date(2026, 11, 25))
    assert found.waived is None
    (found,) = waive([result(of, "waived")], [], date(2026, 11, 25))
    assert found.waived is None


@given(data=st.data())
def test_a_waiver_moves_a_decision_only_where_something_failed(data: st.DataObject) -> None:
    severity = st.sampled_from(get_args(Severity))
    kinds = data.draw(st.lists(severity, min_size=1, max_size=5))
    cases = [case(f"c{number}", "a", kind) for number, kind in enumerate(kinds)]
    outcomes = data.draw(
        st.lists(st.sampled_from(OUTCOMES), min_size=len(cases), max_size=len(cases))
    )
    named = data.draw(st.lists(st.sampled_from(cases), unique=True))
    day = date(2026, 11, 25)
    found = waive(results(cases, outcomes), [], day)
    before = decide(["a"], cases, found)["a"]
    after = decide(["a"], cases, waive(found, [waiver(of) for of in named], day))["a"]
    assert set(after.approved_with_waivers) <= {of.id for of in named}
    if before.verdict != "blocked":
        assert after == before
    elif after.verdict == "approved":
        assert set(before.reasons) == set(after.approved_with_waivers)


# Exit codes.

VERDICTS = {v: Decision(v, v, ("x[a]",) if v == "undecided" else ()) for v in get_args(Verdict)}


GROUPS = [group for n in range(4) for group in combinations(VERDICTS, n)]


@pytest.mark.parametrize("fail_on", ["undecided", "blocked"])
@pytest.mark.parametrize("inconclusive", ["fail", "warn", "skip", "whatever"])
@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_the_exit_code_is_the_worst_verdict_that_the_user_did_not_forgive(
    mode: str, inconclusive: str, fail_on: Any
) -> None:
    asked = fail_on == "blocked" or inconclusive in ("warn", "skip")
    for among, status in product(GROUPS, STATUSES):
        found = [result(case("x"), status)]
        judged = run([VERDICTS[v] for v in among], found, mode=mode, inconclusive=inconclusive)
        let_through = asked and status == "inconclusive"
        if not among:
            expected = gate.NOTHING
        elif mode == "observe":
            expected = gate.OK
        elif "blocked" in among:
            expected = gate.BLOCKED
        elif "undecided" in among and not let_through:
            expected = gate.UNDECIDED
        else:
            expected = gate.OK
        assert exit_code(judged, fail_on) == expected
        forgave = let_through and "undecided" in among
        assert forgiven(judged, fail_on) == (("undecided",) if forgave else ())


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_a_run_without_results_or_decisions_is_never_success(mode: str) -> None:
    assert exit_code(run([VERDICTS["approved"]], [], mode=mode)) == gate.NOTHING
    assert exit_code(run([], [result(case("x"), "passed")], mode=mode)) == gate.NOTHING


@pytest.mark.parametrize("verdict", ["", "absent", "splendid", "zero"])
@pytest.mark.parametrize("reasons", [(), ("x[a]",)])
def test_a_verdict_that_nobody_knows_is_undecided(verdict: Any, reasons: tuple[str, ...]) -> None:
    odd = Decision("a", verdict, reasons)
    for status in ("passed", "inconclusive"):
        judged = run([odd], [result(case("x"), status)])
        assert exit_code(judged, "blocked") == gate.UNDECIDED
        assert forgiven(judged, "blocked") == ()


def test_what_is_blocked_or_approved_is_not_forgiven() -> None:
    for known in ("blocked", "approved"):
        decision: Any = Decision("a", known, ("x[a]",))  # type: ignore[arg-type]
        assert forgiven(run([decision], [result(case("x"), "inconclusive")]), "blocked") == ()


@pytest.mark.parametrize("fail_on", ["", "all", "undecided", "zero", None])
def test_only_blocked_asks_to_forgive(fail_on: Any) -> None:
    judged = run([VERDICTS["undecided"]], [result(case("x"), "inconclusive")])
    assert forgiven(judged, "blocked") == ("undecided",)
    assert forgiven(judged, fail_on) == ()
    assert exit_code(judged, fail_on) == gate.UNDECIDED


@given(st.lists(st.sampled_from([*STATUSES, None]), max_size=4), st.booleans())
def test_only_inconclusive_reasons_are_forgiven(statuses: list[Any], twice: bool) -> None:
    cases = [case(f"c{number}") for number in range(len(statuses))]
    found = results(cases, statuses)
    decision = Decision("a", "undecided", tuple(of.id for of in cases))
    judged = run([decision], found + found * twice)
    expected = bool(statuses) and set(statuses) == {"inconclusive"} and not twice
    assert bool(forgiven(judged, "blocked")) == expected
    assert exit_code(judged, "blocked") in (gate.NOTHING, gate.OK if expected else gate.UNDECIDED)


def test_an_inconclusive_result_does_not_hide_another_of_the_same_case() -> None:
    of = case("x")
    found = [result(of, "errored"), result(of, "inconclusive")]
    decision = decide(["a"], [of], found)["a"]
    judged = run([decision], found)
    assert reason_statuses(judged, decision) == {"x[a]": "missing"}
    assert exit_code(judged, "blocked") == gate.UNDECIDED


def test_the_worst_of_several_exit_codes_wins() -> None:
    order = (4, 2, 1, 3, 5, 0)
    for count in range(1, 7):
        for codes in combinations(order, count):
            assert worst(codes) == codes[0]
            assert worst(codes[::-1]) == codes[0]
    assert worst([]) == 5
    for odd in (-1, 6, 137):
        assert worst([odd]) == worst([0, odd]) == worst([1, odd]) == 4


# The whole line, on real logs.


@pytest.mark.parametrize(
    ("checks", "rest", "code"),
    [
        ("- accuracy_drop: {max_drop: 5pp}", "", gate.BLOCKED),
        ("- accuracy_drop: {max_drop: 30pp}", "", gate.OK),
        ("- accuracy_drop: {max_drop: 24pp}", "", gate.UNDECIDED),
        ("- accuracy_drop: {max_drop: 24pp}", "policy: {inconclusive: warn}", gate.OK),
        ("- accuracy_drop: {max_drop: 5pp}", "policy: {mode: observe}", gate.OK),
        ("- accuracy_drop: {max_drop: 5pp}\n  severity: warn", "", gate.UNDECIDED),
    ],
)
def test_the_exit_code_of_a_real_run_follows_its_suite(
    bench: Bench, checks: str, rest: str, code: int
) -> None:
    assert exit_code(run_suite(load_suite(bench.suite(checks, rest=rest)))) == code


def test_a_deselected_blocking_case_leaves_its_variant_undecided(bench: Bench) -> None:
    suite = load_suite(
        bench.suite("- accuracy_drop: {max_drop: 30pp}\n- accuracy_floor: {min_accuracy: 5%}")
    )
    judged = run_suite(suite, select=lambda of: of.id != "accuracy_floor[good]")
    assert judged.decisions["good"] == Decision("good", "undecided", ("accuracy_floor[good]",))
    assert judged.decisions["bad"].verdict == "approved"
    assert Path(judged.suite["path"]) == suite.path
