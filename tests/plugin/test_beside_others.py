"""Beside the plugins that people have: each sees what happened, and the record stays the same."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from tests.plugin.conftest import OTHERS

CHECKS = """
- accuracy_drop: {max_drop: 5pp}
- accuracy_floor: {split: live, min_accuracy: 50%}
- label_drift: {reference: offline, current: live, max_effect: 0.3}
"""
REPORT = ("--modelchecks-report", "reports")
SCHEMA = Path(__file__).parents[1] / "golden" / "junit-10.xsd"


def without_times(record):
    return {k: v for k, v in record.items() if k not in ("run_id", "started", "finished")}


@pytest.fixture
def gate(bench, inner):
    """The record of a plain session over a passing, a failing and a waived case."""
    bench.suite(CHECKS, variants="good: {logged: good}\nbad: {logged: bad}\nodd: {logged: bad}")
    inner.write(
        "live.waivers.yaml",
        "waivers: [{case: 'accuracy_drop[odd]', owner: anna, reason: x, until: 2999-12-31}]",
    )
    inner.run(*REPORT).assert_outcomes(passed=5, failed=1, xfailed=1)
    return without_times(inner.record())


def test_pytest_html_shows_the_cases(inner, gate):
    result = inner.run(
        *REPORT,
        "--html",
        "own.html",
        "--self-contained-html",
        process=True,
        beside=("html", "metadata"),
    )
    result.assert_outcomes(passed=5, failed=1, xfailed=1)
    page = (inner.folder / "own.html").read_text(encoding="utf-8")
    assert "live.suite.yaml::accuracy_drop[bad]" in page
    assert "over the allowed 5 pp" in page
    assert without_times(inner.record()) == gate


def test_allure_has_a_result_for_each_case(inner, gate):
    result = inner.run(*REPORT, "--alluredir", "allure", process=True, beside=["allure_pytest"])
    result.assert_outcomes(passed=5, failed=1, xfailed=1)
    told = [json.loads(p.read_text()) for p in (inner.folder / "allure").glob("*-result.json")]
    statuses = {one["name"]: one["status"] for one in told}
    assert len(statuses) == 7
    assert statuses["accuracy_drop[bad]"] == "failed"
    assert statuses["accuracy_drop[good]"] == "passed"
    assert statuses["accuracy_drop[odd]"] == "skipped"
    failed = next(one for one in told if one["name"] == "accuracy_drop[bad]")
    assert "over the allowed 5 pp" in failed["statusDetails"]["message"]
    assert without_times(inner.record()) == gate


def test_an_order_by_chance_changes_no_record(inner, gate):
    orders = set()
    for seed in (1, 2):
        options = ("-v", f"--randomly-seed={seed}")
        result = inner.run(*REPORT, *options, process=True, beside=["randomly"])
        result.assert_outcomes(passed=5, failed=1, xfailed=1)
        lines = [line.split(" ")[0] for line in result.outlines if "%]" in line]
        assert len(lines) == 7
        orders.add(tuple(lines))
        assert without_times(inner.record()) == gate
    assert len(orders) == 2


@pytest.mark.slow
def test_all_of_them_at_once_among_four_workers(inner, gate):
    everything = ("-n", "4", "--html", "own.html", "--alluredir", "allure", "--junitxml", "own.xml")
    result = inner.run(*REPORT, *everything, "--modelchecks-no-cache", process=True, beside=OTHERS)
    result.assert_outcomes(passed=5, failed=1, xfailed=1)
    assert without_times(inner.record()) == gate
    schema().validate(str(inner.folder / "own.xml"))
    assert len(list((inner.folder / "allure").glob("*-result.json"))) == 7


# JUnit.


def schema():
    """The schema that pytest validates its own files against."""
    return xmlschema.XMLSchema(str(SCHEMA))


def measured(tree, of):
    """The properties of one case, by name."""
    found = {p.get("name"): p.get("value") for p in tree.iter("property")}
    return {name.removeprefix(of): v for name, v in found.items() if name.startswith(of)}


def check(values):
    assert values["status"] == "failed"
    assert float(values["estimate"]) == pytest.approx(0.24)
    low, high = json.loads(values["interval"])
    assert low < 0.24 < high
    assert values["n"] == "2000"
    assert json.loads(values["threshold"]) == {"max_drop": 0.05}
    assert values["method"]


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
def test_junit_is_valid_and_carries_what_was_measured(inner, gate, workers):
    result = inner.run("--junitxml", "own.xml", *workers, process=bool(workers))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    schema().validate(str(inner.folder / "own.xml"))
    tree = ElementTree.parse(inner.folder / "own.xml").getroot()
    check(measured(tree, "live.suite.yaml::accuracy_drop[bad]."))
    assert len(list(tree.iter("testcase"))) == 7
    assert not list(tree.iter("testcase/properties"))


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
def test_the_older_junit_carries_it_at_the_test(inner, gate, workers):
    inner.run("--junitxml", "own.xml", "-o", "junit_family=xunit1", *workers, process=bool(workers))
    tree = ElementTree.parse(inner.folder / "own.xml").getroot()
    (case,) = [c for c in tree.iter("testcase") if c.get("name") == "accuracy_drop[bad]"]
    check(measured(case, ""))


def test_an_ordinary_test_tells_each_of_its_answers(bench, inner):
    bench.suite(CHECKS)
    inner.write(
        "test_own.py",
        """
        from modelchecks import assert_accuracy_drop, assert_accuracy_floor

        def test_both(evidence):
            assert_accuracy_floor(evidence, variant="good", split="live", min_accuracy="50%")
            assert_accuracy_drop(evidence, variant="bad", max_drop="5pp")
        """,
    )
    inner.run("test_own.py", "--junitxml", "own.xml").assert_outcomes(failed=1)
    schema().validate(str(inner.folder / "own.xml"))
    tree = ElementTree.parse(inner.folder / "own.xml").getroot()
    check(measured(tree, "test_own.py::test_both.accuracy_drop[bad]."))
    assert measured(tree, "test_own.py::test_both.accuracy_floor[good].")["estimate"] == "0.93"


def test_our_own_junit_is_valid_as_well(inner, gate):
    inner.run(*REPORT)
    path = inner.folder / "reports" / "live-gate" / "junit.xml"
    schema().validate(str(path))
    tree = ElementTree.parse(path).getroot()
    check(measured(tree, "accuracy_drop[bad]."))
    (waived,) = tree.iter("skipped")
    assert waived.get("type") == "waived"
    assert "until 2999-12-31 by anna" in waived.get("message")


# Hooks.


def test_results_and_decisions_are_heard_once_and_in_the_controller(inner, gate):
    inner.write(
        "conftest.py",
        """
        HEARD = []

        def pytest_modelchecks_result(config, nodeid, result):
            assert not hasattr(config, "workerinput")
            HEARD.append(("result", nodeid, result.status))

        def pytest_modelchecks_decision(run, decision):
            HEARD.append(("decision", decision.variant, decision.verdict))

        def pytest_modelchecks_run(run, report):
            HEARD.append(("run", run.suite["name"], report.name))

        def pytest_unconfigure(config):
            for heard in HEARD:
                print("HEARD", *heard)
        """,
    )
    result = inner.run(*REPORT, "-s", "-n", "1", process=True)
    heard = [line.split()[1:] for line in result.outlines if line.startswith("HEARD")]
    assert ["result", "live.suite.yaml::accuracy_drop[bad]", "failed"] in heard
    assert len([one for one in heard if one[0] == "result"]) == 7
    assert heard[7:] == [
        ["decision", "good", "approved"],
        ["decision", "bad", "blocked"],
        ["decision", "odd", "approved"],
        ["run", "live-gate", "index.html"],
    ]


@pytest.mark.parametrize("hook", ["result(result)", "decision(decision)", "run(run)"])
def test_a_hook_that_raises_is_no_quiet_success(bench, inner, hook):
    bench.suite(CHECKS, variants="good: {logged: good}")
    inner.write("conftest.py", f"def pytest_modelchecks_{hook}: raise ValueError('mine')")
    result = inner.run(process=True)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert "mine" in result.stdout.str() + result.stderr.str()


def test_a_hook_that_is_misspelt_is_told(bench, inner):
    inner.write("conftest.py", "def pytest_modelchecks_results(result): pass")
    bench.suite(CHECKS)
    result = inner.run(process=True)
    assert result.ret != 0
    assert "unknown hook 'pytest_modelchecks_results'" in result.stdout.str()
