"""What a session records: whatever did not run, crashed or was left out can never approve."""

from __future__ import annotations

import json
import os
from xml.etree import ElementTree

import pytest

CHECKS = """
- accuracy_drop: {max_drop: 5pp}
- accuracy_floor: {split: live, min_accuracy: 50%}
- label_drift: {reference: offline, current: live, max_effect: 0.3}
"""
REPORT = ("--modelchecks-report", "reports")
ONE = "good: {logged: good}"
IN_WORKER = 'if "PYTEST_XDIST_WORKER" in os.environ:'


def without_times(record):
    return {k: v for k, v in record.items() if k not in ("run_id", "started", "finished")}


def test_the_summary_has_the_verdicts_and_the_reports_all_formats(bench, inner):
    bench.suite(CHECKS)
    result = inner.run(*REPORT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*= modelchecks: live-gate =*",
            "variant *verdict",
            "good *APPROVED",
            "bad *BLOCKED",
            "4 of 5 cases passed",
            "good may go live*",
            "bad must not go live: accuracy_drop?bad? failed.",
            "report: reports/live-gate/index.html",
        ]
    )
    folder = inner.folder / "reports" / "live-gate"
    assert {file.name for file in folder.iterdir()} == {
        "index.html",
        "run.json",
        "junit.xml",
        "summary.md",
        "badge.json",
        "accuracy.png",
        "accuracy.svg",
    }
    assert {path.name for path in folder.parent.iterdir()} >= {"index.html", "history.sqlite"}
    assert inner.verdicts() == {"good": "approved", "bad": "blocked"}
    assert inner.record()["suite"]["path"] == "live.suite.yaml"
    assert ElementTree.parse(folder / "junit.xml").getroot().tag == "testsuites"


def test_the_report_folder_of_the_ini_file_starts_at_the_root(bench, inner):
    bench.suite()
    inner.write("pytest.ini", "[pytest]\nmodelchecks_report = out\n")
    (inner.folder / "deep").mkdir()
    os.chdir(inner.folder / "deep")
    inner.run("..")
    assert inner.verdicts("out/live-gate") == {"good": "approved", "bad": "blocked"}


@pytest.mark.slow
def test_workers_and_one_process_record_the_same(bench, inner):
    bench.suite(CHECKS)
    alone = inner.run(*REPORT, "-rA", process=True)
    first = inner.record()
    shared = inner.run(*REPORT, "-rA", "-n", "2", "--modelchecks-no-cache", process=True)
    assert alone.parseoutcomes() == shared.parseoutcomes()
    assert shared.ret == alone.ret == pytest.ExitCode.TESTS_FAILED
    assert without_times(inner.record()) == without_times(first)
    assert [result["case"] for result in first["results"]] == [
        "accuracy_drop[good]",
        "accuracy_drop[bad]",
        "accuracy_floor[good]",
        "accuracy_floor[bad]",
        "label_drift[data]",
    ]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["-k", "accuracy_floor"], 2),
        (["-m", "variant_good and not accuracy_floor"], 1),
        (["live.suite.yaml::accuracy_drop[good]"], 1),
        (["-k", "nothing at all".replace(" ", "_")], 0),
        (["--deselect", "live.suite.yaml::accuracy_drop[good]"], 4),
        (["--setup-only"], 0),
    ],
)
def test_a_selection_is_not_a_gate_run(bench, inner, arguments, asked):
    bench.suite(CHECKS)
    result = inner.run(*REPORT, *arguments)
    result.stdout.fnmatch_lines([f"note: not a gate run: {5 - asked} of 5 cases were not asked"])
    assert len(inner.record()["results"]) == asked
    assert inner.verdicts()["good"] == "undecided"
    assert any("not a gate run" in note for note in inner.record()["notes"])


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["-k", "accuracy_floor"], ["-k", "nothing_at_all"]])
def test_a_selection_among_workers_is_not_a_gate_run(bench, inner, arguments):
    bench.suite(CHECKS)
    result = inner.run(*REPORT, "-n", "2", *arguments, process=True)
    result.stdout.fnmatch_lines(["note: not a gate run: *"])
    assert inner.verdicts() == {"good": "undecided", "bad": "undecided"}


def test_cases_that_a_conftest_skips_are_missing(bench, inner):
    bench.suite(CHECKS)
    inner.write(
        "conftest.py",
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip)
        """,
    )
    result = inner.run(*REPORT, process=True)
    result.assert_outcomes(skipped=5)
    assert inner.verdicts() == {"good": "undecided", "bad": "undecided"}


def test_a_failure_excused_by_a_conftest_blocks_all_the_same(bench, inner):
    bench.suite()
    inner.write(
        "conftest.py",
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail)
        """,
    )
    result = inner.run(*REPORT, process=True)
    result.assert_outcomes(xfailed=1, xpassed=1)
    assert inner.verdicts() == {"good": "approved", "bad": "blocked"}


def test_stopping_at_the_first_failure_leaves_the_rest_undecided(bench, inner):
    bench.suite(CHECKS, variants="bad: {logged: bad}\ngood: {logged: good}")
    result = inner.run("-x", *REPORT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["note: not a gate run: 4 of 5 cases were not asked"])
    assert inner.verdicts() == {"bad": "blocked", "good": "undecided"}


def test_last_failed_runs_only_what_failed(bench, inner):
    bench.suite(CHECKS)
    inner.run().assert_outcomes(failed=1, passed=4)
    result = inner.run("--lf", *REPORT)
    result.assert_outcomes(failed=1)
    assert inner.statuses() == {"accuracy_drop[bad]": "failed"}
    assert inner.verdicts() == {"good": "undecided", "bad": "blocked"}


def test_an_interrupt_leaves_undecided_reports(bench, inner):
    inner.odd_check("raise KeyboardInterrupt")
    bench.suite('- accuracy_drop: {max_drop: 5pp}\n- "odd:Odd": {}', variants=ONE)
    result = inner.run(*REPORT, process=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert inner.statuses() == {"accuracy_drop[good]": "passed"}
    assert inner.verdicts() == {"good": "undecided"}


@pytest.mark.slow
@pytest.mark.parametrize("severity", ["block", "warn"])
def test_a_crashed_worker_never_approves(bench, inner, severity):
    inner.odd_check(f'{IN_WORKER} os._exit(0)\nreturn Outcome("passed", "fine")')
    odd = f'- "odd:Odd": {{}}\n  severity: {severity}'
    # Alone when it only warns: nothing that blocks has passed.
    bench.suite(odd if severity == "warn" else f"{odd}\n{CHECKS.strip()}", variants=ONE)
    result = inner.run(*REPORT, "-n", "2", "-p", "no:cacheprovider", process=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*worker*crashed*", "*good is undecided*"])
    assert "odd.Odd[good]" not in inner.statuses()
    assert inner.verdicts() == {"good": "undecided"}


@pytest.mark.slow
def test_the_record_of_an_earlier_run_does_not_outlive_a_crash(bench, inner):
    inner.odd_check(f'{IN_WORKER} os._exit(0)\nreturn Outcome("passed", "fine")')
    bench.suite('- "odd:Odd": {}', variants=ONE)
    inner.run(*REPORT).assert_outcomes(passed=1)
    assert inner.verdicts() == {"good": "approved"}
    inner.run(*REPORT, "-n", "1", process=True)
    assert inner.verdicts() == {"good": "undecided"}


def test_gathering_again_passes_the_store_by(bench, inner):
    bench.suite()
    inner.run()
    stored = next(path for path in (inner.folder / ".modelchecks").rglob("whole.json"))
    before = stored.stat().st_mtime_ns
    inner.run()
    assert stored.stat().st_mtime_ns == before
    inner.run("--modelchecks-no-cache")
    assert stored.stat().st_mtime_ns > before


def test_damaged_evidence_is_told_and_gathered_again(bench, inner):
    bench.suite(variants=ONE)
    inner.run().assert_outcomes(passed=1)
    for stored in (inner.folder / ".modelchecks").rglob("whole.json"):
        stored.write_text(stored.read_text().replace("0", "1", 1))
    result = inner.run(*REPORT)
    # Of two splits, the rows and the answers.
    result.assert_outcomes(passed=1, warnings=4)
    result.stdout.fnmatch_lines(["*whole.json: damaged; gathering this evidence again"])
    assert inner.verdicts() == {"good": "approved"}


def test_two_suites_of_one_name_have_two_folders(bench, inner):
    bench.suite(CHECKS)
    text = bench.suite(variants=ONE, name="other").read_text(encoding="utf-8")
    inner.write("other.suite.yaml", text.replace("other-gate", "live-gate"))
    for arguments in ([], ["other.suite.yaml", "live.suite.yaml"]):
        inner.run(*REPORT, *arguments)
        assert set(inner.verdicts("reports/live-gate")) == {"good", "bad"}
        assert set(inner.verdicts("reports/live-gate-2")) == {"good"}


def test_other_tests_in_the_session_change_nothing(bench, inner):
    """One leaves the working directory, one claims a result for itself."""
    (inner.folder / "elsewhere").mkdir()
    (inner.folder / "elsewhere" / "live.suite.yaml").write_text("suite: other\n")
    bench.suite(variants="bad: {logged: bad}")
    claim = json.dumps({"suite": str(inner.folder / "live.suite.yaml"), "result": {"case": "x"}})
    inner.write(
        "a_test.py",
        f"""
        import os

        def test_leaves(record_property):
            os.chdir("elsewhere")
            record_property("modelchecks", {claim!r})
        """,
    )
    result = inner.run("a_test.py", "live.suite.yaml", *REPORT, process=True)
    result.assert_outcomes(passed=1, failed=1)
    assert inner.verdicts() == {"bad": "blocked"}
    assert inner.statuses() == {"accuracy_drop[bad]": "failed"}


def test_reports_that_cannot_be_written_end_the_session_in_error(bench, inner):
    bench.suite(variants=ONE)
    inner.write("reports", "a file, not a folder")
    result = inner.run(*REPORT)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["modelchecks: live.suite.yaml: the run could not be recorded: *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_suite_that_changes_meanwhile_is_not_recorded(bench, inner):
    bench.suite(variants=ONE)
    inner.write(
        "conftest.py",
        """
        import pathlib

        def pytest_sessionfinish(session):
            if not hasattr(session.config, "workerinput"):
                path = pathlib.Path("live.suite.yaml")
                path.write_text(path.read_text() + "# later")
        """,
    )
    result = inner.run(*REPORT, "-n", "1", process=True)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["*the suite file changed while the session ran"])
    assert not (inner.folder / "reports").exists()


def test_a_terminal_without_the_signs_shows_lines(bench, inner, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("LC_ALL", "C")
    inner.odd_check('return Outcome("passed", "fine")')
    bench.suite('- "odd:Odd": {}')
    result = inner.run(process=True)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["good *APPROVED", "bad *APPROVED", "2 of 2 cases passed"])
