"""What a waiver is to pytest: an expected failure while it counts, never more than that."""

from __future__ import annotations

import pytest

CHECKS = """
- accuracy_drop: {max_drop: 5pp}
- accuracy_floor: {split: live, min_accuracy: 50%}
"""
REPORT = ("--modelchecks-report", "reports")
BAD = "accuracy_drop[bad]"


@pytest.fixture
def waived(bench, inner):
    """Writes a suite and a waiver of one of its cases."""

    def write(case=BAD, until="2999-12-31", checks=CHECKS, **options):
        inner.write(
            "live.waivers.yaml",
            f"waivers:\n- {{case: '{case}', owner: anna, reason: new camera, until: {until}}}\n",
        )
        return bench.suite(checks, **options)

    return write


def test_a_waived_failure_is_an_expected_one_and_its_variant_approved(inner, waived):
    waived()
    result = inner.run(*REPORT, "-rx")
    result.assert_outcomes(passed=3, xfailed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "bad *APPROVED[*]",
            "accuracy_drop *passed *~ waived",
            "note: WAIVED: accuracy_drop?bad? failed*",
            "bad may go live WITH WAIVERS: failed and waived accuracy_drop?bad?*",
            "XFAIL *accuracy_drop?bad? - waived until 2999-12-31 by anna: new camera; accuracy*",
        ]
    )
    assert inner.record()["decisions"]["bad"] == {
        "verdict": "approved",
        "reasons": [],
        "approved_with_waivers": [BAD],
    }
    assert inner.statuses()[BAD] == "failed"


@pytest.mark.slow
def test_workers_record_the_same_waivers(inner, waived):
    waived()
    result = inner.run(*REPORT, "-n", "2", process=True)
    result.assert_outcomes(passed=3, xfailed=1)
    assert inner.record()["decisions"]["bad"]["approved_with_waivers"] == [BAD]


@pytest.mark.parametrize("setting", [[], ["-o", "xfail_strict=true"], ["-o", "strict=true"]])
def test_a_waived_case_that_passes_warns_loudly_and_fails_nobody(inner, waived, setting):
    waived("accuracy_drop[good]", variants="good: {logged: good}")
    result = inner.run(*REPORT, *setting)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*WAIVER NOT NEEDED: accuracy_drop?good? passed; remove its waiver at *waivers.yaml:2",
            "note: WAIVER NOT NEEDED: accuracy_drop?good? passed*",
        ]
    )
    assert inner.record()["decisions"]["good"]["approved_with_waivers"] == []


def test_a_waiver_that_has_ended_lets_the_case_fail(inner, waived):
    waived(until="2026-01-01")
    result = inner.run(*REPORT)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["note: the waiver of accuracy_drop?bad? *does not count*"])
    assert inner.verdicts() == {"good": "approved", "bad": "blocked"}


def test_who_runs_expected_failures_sees_the_failure(inner, waived):
    waived()
    inner.run("--runxfail").assert_outcomes(passed=3, failed=1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('raise ZeroDivisionError("by nothing")', "errored"),
        ('return Outcome("inconclusive", "too few")', "inconclusive"),
        ('return Outcome("not_applicable", "no data")', "not_applicable"),
    ],
)
def test_what_did_not_fail_is_not_waived(inner, waived, body, status):
    inner.odd_check(body)
    waived("odd.Odd[good]", checks=f'- "odd:Odd": {{}}\n{CHECKS}', variants="good: {logged: good}")
    result = inner.run(*REPORT)
    result.assert_outcomes(passed=2, failed=1)
    assert inner.statuses()["odd.Odd[good]"] == status
    assert inner.verdicts() == {"good": "undecided"}


def test_a_mistake_in_the_waivers_is_a_collection_error_with_its_place(inner, waived):
    waived("accuracy_drop[bda]")
    result = inner.run(*REPORT)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["live.waivers.yaml:2:10: no case *did you mean *bad*"])
    assert not (inner.folder / "reports").exists()
