"""What each status of a case is to pytest, and what the user reads about it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

ALL_SEVERITIES = """
- accuracy_drop: {max_drop: 5pp}
- accuracy_floor: {split: live, min_accuracy: 90%}
  id: floor
  severity: warn
- accuracy_floor: {split: live, min_accuracy: 90%}
  id: note
  severity: info
"""
ODD = '- "odd:Odd": {}'
ONE = "good: {logged: good}"


@pytest.fixture
def undecided(bench):
    """A suite whose one variant has too few rows to be decided."""
    bench.log("live", rows=90, good=0.93, seed=3)
    return bench.suite("- accuracy_drop: {max_drop: 5pp}", variants=ONE)


def test_a_failure_is_told_shortly_at_its_place_in_the_suite_file(bench, inner):
    bench.suite(ALL_SEVERITIES)
    result = inner.run("--junitxml", "junit.xml")
    result.assert_outcomes(failed=1, passed=5, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*_ accuracy_drop?bad? _*",
            "accuracy fell by 24.0 pp *over the allowed 5 pp",
            "  declared at live.suite.yaml:9",
            "*warnings summary*",
            "live.suite.yaml::floor?bad?",
            "*live.suite.yaml:10: ModelchecksWarning: *accuracy*",
            "*  declared at live.suite.yaml:10",
            "FAILED live.suite.yaml::accuracy_drop?bad? - accuracy fell by *",
        ]
    )
    shown = result.stdout.str()
    assert ".py:" not in shown
    assert "Traceback" not in shown

    tree = ElementTree.parse(inner.folder / "junit.xml").getroot()
    cases = {case.get("name"): case for case in tree.iter("testcase")}
    assert len(cases) == 6
    failures = {name: case.find("failure") for name, case in cases.items() if len(case)}
    assert list(failures) == ["accuracy_drop[bad]"]
    assert failures["accuracy_drop[bad]"].get("message").startswith("accuracy fell by 24.0 pp")
    assert not list(tree.iter("testcase/properties"))


def test_one_line_tracebacks_name_the_line_of_the_suite_file(bench, inner):
    suite = bench.suite()
    result = inner.run("--tb=line", "-q")
    result.stdout.fnmatch_lines([f"{suite}:9: accuracy fell by 24.0 pp*"])


@pytest.mark.parametrize("setting", ["-Werror", "-ofilterwarnings=error"])
def test_a_warning_stays_a_warning_where_warnings_are_errors(bench, inner, setting):
    """Also the warning that is given while the suite is collected."""
    bench.suite(ALL_SEVERITIES, sampling="unknown", variants="bad: {logged: bad}")
    result = inner.run(setting, process=True)
    # The failing warn case, and what cannot be approved for want of `sampling`.
    result.assert_outcomes(failed=1, passed=2, warnings=2)
    result.stdout.fnmatch_lines(["*warning: `sampling` of split*is unknown*"])


def test_warnings_of_ours_can_be_silenced(bench, inner):
    bench.suite(ALL_SEVERITIES, variants="bad: {logged: bad}")
    silence = "-Wignore::modelchecks.pytest_plugin.ModelchecksWarning"
    inner.run(silence, process=True).assert_outcomes(failed=1, passed=2, warnings=0)


@pytest.mark.parametrize(
    ("policy", "arguments", "outcome"),
    [
        ("fail", [], {"failed": 1}),
        ("warn", [], {"passed": 1, "warnings": 1}),
        ("skip", [], {"skipped": 1}),
        ("skip", ["--modelchecks-inconclusive", "fail"], {"failed": 1}),
        ("fail", ["--modelchecks-inconclusive", "warn"], {"passed": 1, "warnings": 1}),
        ("fail", ["--modelchecks-inconclusive", "skip"], {"skipped": 1}),
        ("warn", ["-o", "modelchecks_inconclusive=skip"], {"skipped": 1}),
        (
            "skip",
            ["-o", "modelchecks_inconclusive=skip", "--modelchecks-inconclusive", "warn"],
            {"passed": 1, "warnings": 1},
        ),
    ],
)
def test_inconclusive_is_what_the_policy_or_the_option_says(
    bench, inner, undecided, policy, arguments, outcome
):
    text = undecided.read_text(encoding="utf-8")
    undecided.write_text(f"{text}policy: {{inconclusive: {policy}}}\n", encoding="utf-8")
    result = inner.run("-rs", "--modelchecks-report", "reports", *arguments)
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*good is undecided*"])
    result.stdout.fnmatch_lines(["*live.suite.yaml:8*"])
    assert inner.verdicts() == {"good": "undecided"}


def test_an_inconclusive_case_says_what_would_settle_it(inner, undecided):
    result = inner.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["inconclusive: * would settle it*"])


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_observing_fails_nothing_and_records_everything(bench, inner, mode):
    bench.suite(rest=f"policy: {{mode: {mode}}}")
    result = inner.run("--modelchecks-report", "reports")
    assert result.ret == (0 if mode == "observe" else 1)
    assert inner.verdicts() == {"good": "approved", "bad": "blocked"}
    assert inner.statuses()["accuracy_drop[bad]"] == "failed"


def test_a_case_that_asks_nothing_is_skipped_with_its_reason_and_place(bench, inner):
    inner.odd_check('return Outcome("not_applicable", "nothing to compare with", structural=True)')
    bench.suite(ODD, variants=ONE)
    result = inner.run("-rs", "--modelchecks-report", "reports")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*live.suite.yaml:8: nothing to compare with"])
    assert inner.verdicts() == {"good": "undecided"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            'raise ZeroDivisionError("by nothing")',
            "*errored: *raised ZeroDivisionError: by nothing*",
        ),
        ("raise Exception", "*errored: *raised Exception*"),
        ("return None", "*errored: *answered NoneType instead of Outcome*"),
        ("return True", "*errored: *answered bool instead of Outcome*"),
        ('return Outcome("approved", "")', "*errored: *status 'approved'*"),
        ('return Outcome("passed", "", threshold={"x": float("nan")})', "*errored: *"),
        ('return Outcome("passed", "", Estimate(*[float("nan")] * 6, 5, "m"))', "*errored: *nan*"),
        ('return Outcome("not_applicable", "no data")', "*not_applicable: no data*"),
        ("sys.exit(0)", "*errored: *SystemExit*"),
        ('pytest.skip("not today")', "*errored: *Skipped*not today*"),
        ('pytest.xfail("known")', "*errored: *XFailed*known*"),
        ('pytest.exit("bye", returncode=0)', "*errored: *Exit*bye*"),
    ],
)
def test_whatever_a_check_does_instead_of_passing_is_no_pass(bench, inner, body, told):
    inner.odd_check(body)
    bench.suite(ODD, variants=ONE)
    result = inner.run("--modelchecks-report", "reports")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert inner.verdicts() == {"good": "undecided"}


def test_the_traceback_of_somebodys_check_is_shown_on_demand(bench, inner):
    inner.odd_check('raise ZeroDivisionError("by nothing")')
    bench.suite(ODD, variants=ONE)
    inner.run().stdout.fnmatch_lines(["  declared at live.suite.yaml:8 (-v shows the traceback)"])
    inner.run("-v").stdout.fnmatch_lines(["Traceback*", "*odd.py*in evaluate*"])


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (damage, "*errored: *live.parquet*"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "*errored: *live.parquet*"),
        (lambda path: path.write_bytes(b""), "*errored: *live.parquet*"),
        (lambda path: path.unlink(), "*errored: *live.parquet*"),
    ],
    ids=["damaged", "torn", "empty", "missing"],
)
def test_a_broken_log_fails_its_cases_and_is_named(bench, inner, break_it, told):
    break_it(bench.folder / "live.parquet")
    bench.suite()
    result = inner.run("--modelchecks-report", "reports")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert inner.verdicts() == {"good": "undecided", "bad": "undecided"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("label: label", "label: lable", "errored: *live.parquet*'lable'*did you mean 'label'*"),
        ("good: {logged: good}", "good: {logged: goood}", "errored: *'goood'*"),
    ],
    ids=["label", "answers"],
)
def test_a_missing_column_fails_its_cases_and_is_named(bench, inner, before, after, told):
    path = bench.suite(variants=ONE)
    live = path.read_text(encoding="utf-8").partition("  live:")
    path.write_text("".join([*live[:2], live[2].replace(before, after)]), encoding="utf-8")
    result = inner.run("--modelchecks-report", "reports")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])
    assert inner.verdicts() == {"good": "undecided"}
