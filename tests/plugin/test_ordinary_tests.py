"""A suite's variants, evidence and cases in ordinary tests: the same answers as the gate's."""

from __future__ import annotations

import pytest

CHECKS = """
- accuracy_drop: {max_drop: 5pp}
- label_drift: {reference: offline, current: live, max_effect: 0.3}
"""
ASSERTS = """
from modelchecks import assert_accuracy_drop, assert_label_drift

def test_drop(variant, evidence):
    result = assert_accuracy_drop(evidence, max_drop="5pp")
    assert result.estimate.n == 2000
    assert result.variant == variant.name

def test_named(evidence):
    assert_accuracy_drop(evidence, variant="good", max_drop=0.05, confidence="95%")

def test_drift(evidence):
    assert_label_drift(evidence, reference="offline", current="live", max_effect=0.3)

def test_rows(evidence):
    assert evidence.split("live", "labels").labelled == 2000
"""


def test_assertions_answer_what_the_cases_of_the_suite_answer(bench, inner):
    bench.suite(CHECKS)
    inner.write("test_own.py", ASSERTS)
    inner.write(
        "conftest.py",
        """
        HEARD = {}

        def pytest_modelchecks_result(nodeid, result):
            HEARD[nodeid] = result

        def pytest_sessionfinish():
            case, test = "live.suite.yaml::accuracy_drop[bad]", "test_own.py::test_drop[bad]"
            for name in ("status", "estimate", "message", "threshold", "variant"):
                assert getattr(HEARD[case], name) == getattr(HEARD[test], name)
            print("SAME", HEARD[test].status)
        """,
    )
    result = inner.run("-s", process=True)
    result.assert_outcomes(passed=6, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*SAME failed*",
            "accuracy fell by 24.0 pp *over the allowed 5 pp",
            "  declared at test_own.py:4",
        ]
    )
    result.stdout.no_fnmatch_line("*asserts.py*")


def test_ordinary_tests_decide_nothing(bench, inner):
    bench.suite(CHECKS)
    inner.write("test_own.py", ASSERTS)
    result = inner.run("test_own.py", "--modelchecks-report", "reports")
    result.assert_outcomes(passed=4, failed=1)
    assert not (inner.folder / "reports").exists()
    result.stdout.no_fnmatch_line("*APPROVED*")


def test_a_test_runs_once_for_each_case_as_its_item_would(bench, inner):
    bench.suite(CHECKS)
    inner.write(
        "live.waivers.yaml",
        "waivers: [{case: 'accuracy_drop[bad]', owner: anna, reason: x, until: 2999-12-31}]",
    )
    inner.write(
        "test_own.py",
        """
        from modelchecks import assert_case

        def test_each(case, variant):
            assert (variant.name if variant else None) == case.variant
            assert assert_case(case).case == case.id
        """,
    )
    result = inner.run("test_own.py", "-v")
    result.assert_outcomes(passed=2, xfailed=1)
    result.stdout.fnmatch_lines(["*::test_each?accuracy_drop?good?? PASSED*"])
    inner.run("test_own.py", "-m", "variant_bad").assert_outcomes(xfailed=1, deselected=2)
    inner.run("test_own.py", "-m", "label_drift and warn").assert_outcomes(passed=1, deselected=2)
    asked = inner.run("test_own.py", "--modelchecks-variant", "good")
    asked.assert_outcomes(passed=2)


def test_the_suite_may_be_named_by_marker_or_built_in_the_module(bench, inner):
    bench.suite(CHECKS, name="one")
    bench.suite(CHECKS, name="two", variants="good: {logged: good}")
    unsaid = "def test_it(variant): pass"
    inner.write("test_unsaid.py", unsaid)
    inner.write(
        "test_marked.py",
        "import pytest\npytestmark = pytest.mark.modelchecks_suite('two.suite.yaml')\n" + unsaid,
    )
    inner.write(
        "test_built.py",
        "from modelchecks import load_suite\nsuite = load_suite('one.suite.yaml')\n" + unsaid,
    )
    inner.run("test_marked.py").assert_outcomes(passed=1)
    inner.run("test_built.py").assert_outcomes(passed=2)
    result = inner.run("test_unsaid.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*holds one.suite.yaml, two.suite.yaml. Mark the test*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("suites", [0, 1, 2])
def test_names_of_others_stay_theirs(bench, inner, suites):
    """`case` and `variant` are usual names; only a test that takes ours is about a suite."""
    for number in range(suites):
        bench.suite(CHECKS, name=f"s{number}")
    inner.write(
        "test_generated.py",
        """
        def pytest_generate_tests(metafunc):
            if "case" in metafunc.fixturenames:
                metafunc.parametrize("case", [1, 2])

        def test_generated(case):
            assert case in (1, 2)
        """,
    )
    inner.write(
        "test_own.py",
        """
        import pytest

        @pytest.fixture
        def variant():
            return "mine"

        def test_fixture(variant):
            assert variant == "mine"

        @pytest.mark.parametrize("case", [1, 2])
        def test_parameter(case):
            assert case in (1, 2)

        @pytest.mark.parametrize("a, case", [(1, 2)])
        def test_parameters(a, case):
            assert case == 2

        @pytest.mark.parametrize(("evidence", "variant"), [(1, 2)])
        def test_all(evidence, variant):
            assert evidence == 1
        """,
    )
    inner.run("test_own.py", "test_generated.py").assert_outcomes(passed=7)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("assert_accuracy_drop(evidence, max_dorp='5pp')", "*did you mean 'max_drop'*"),
        ("assert_accuracy_drop(evidence, max_drop='5 apples')", "*must be written 5pp*"),
        ("assert_accuracy_drop(evidence, max_drop='5pp', live='lvie')", "*did you mean 'live'*"),
        ("assert_accuracy_drop(evidence, max_drop='5pp')", "*asks about a variant*"),
        ("assert_accuracy_drop(evidence, variant='x', max_drop=0.1)", "*no variant is named 'x'*"),
        ("modelchecks.assert_accuracy_dorp(evidence)", "*did you mean 'assert_accuracy_drop'*"),
    ],
)
def test_a_mistake_in_an_assertion_fails_its_test_with_advice(bench, inner, call, told):
    bench.suite(CHECKS)
    inner.write(
        "test_own.py",
        f"""
        import modelchecks
        from modelchecks import assert_accuracy_drop

        def test_it(evidence):
            {call}
        """,
    )
    result = inner.run("test_own.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])


def test_a_broken_log_or_check_fails_an_assertion(bench, inner):
    inner.odd_check("raise SystemExit(0)")
    bench.suite(CHECKS, variants="good: {logged: good}")
    (inner.folder / "live.parquet").unlink()
    inner.write(
        "test_own.py",
        """
        from modelchecks import assert_accuracy_drop
        from modelchecks.pytest_plugin.asserts import assert_check
        from odd import Odd

        def test_log(variant, evidence):
            assert_accuracy_drop(evidence, max_drop="5pp")

        def test_check(variant, evidence):
            assert_check(evidence, Odd())

        def test_rows(evidence):
            evidence.split("live", "labels")
        """,
    )
    result = inner.run("test_own.py", process=True)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["errored: *live.parquet*", "errored: *SystemExit*"])


@pytest.mark.parametrize(
    ("status", "severity", "outcome"),
    [
        ("inconclusive", "block", {"failed": 1}),
        ("failed", "warn", {"passed": 1, "warnings": 1}),
        ("failed", "info", {"passed": 1}),
    ],
)
def test_an_assertion_keeps_severity_and_policy(bench, inner, status, severity, outcome):
    inner.odd_check(f'return Outcome("{status}", "told")')
    bench.suite(CHECKS, variants="good: {logged: good}")
    inner.write(
        "test_own.py",
        f"""
        from modelchecks.pytest_plugin.asserts import assert_check
        from odd import Odd

        def test_it(variant, evidence):
            assert_check(evidence, Odd(), severity="{severity}")
        """,
    )
    inner.run("test_own.py", process=True).assert_outcomes(**outcome)
