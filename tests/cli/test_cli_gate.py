"""`modelchecks gate`: exit codes, reports, and that no accident ends in an approval."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

GOOD = "good: {logged: good}"
BAD = "bad: {logged: bad}"
FILES = {"index.html", "run.json", "junit.xml", "summary.md", "badge.json"}
FILES |= {"accuracy.png", "accuracy.svg"}


def read(bench, name="live-gate", folder="reports"):
    return json.loads((bench.folder / folder / name / "run.json").read_text(encoding="utf-8"))


def verdicts(bench, name="live-gate", folder="reports"):
    return {k: d["verdict"] for k, d in read(bench, name, folder)["decisions"].items()}


@pytest.fixture
def undecided(bench):
    """Write the suite `few`, whose one variant has too few rows to be decided."""
    bench.log("few", rows=90, good=0.93, seed=3)
    path = bench.suite(variants=GOOD, name="few")
    path.write_text(path.read_text().replace("live.parquet", "few.parquet"))
    return path


def test_the_verdict_is_on_standard_output_and_progress_is_not(bench, shell):
    bench.suite()
    done = shell("gate", "live.suite.yaml", code=1)
    lines = done.stdout.splitlines()
    assert any(line.startswith("good ") and line.endswith("APPROVED") for line in lines)
    assert any(line.startswith("bad ") and line.endswith("BLOCKED") for line in lines)
    assert any("accuracy_drop[bad] failed" in line for line in lines)
    assert lines[-1] == "report: reports/live-gate/index.html"
    assert "rows, " not in done.stdout
    assert "live: 2,000 of 2,000 rows" in done.stderr
    assert {file.name for file in (bench.folder / "reports" / "live-gate").iterdir()} == FILES

    quiet = shell("gate", "-q", "--no-cache", "live.suite.yaml", code=1)
    assert quiet.stderr == ""
    assert quiet.stdout == done.stdout


def test_only_the_asked_variants_are_judged(bench, shell):
    bench.suite()
    shell("gate", "live.suite.yaml", "--variant", "good", "--report", "out/here", code=0)
    assert verdicts(bench, folder="out/here") == {"good": "approved"}
    both = ("--variant", "bad", "--variant", "good")
    shell("gate", "live.suite.yaml", *both, code=1)
    assert verdicts(bench) == {"good": "approved", "bad": "blocked"}
    done = shell("gate", "live.suite.yaml", "--variant", "goood", code=2)
    assert "no variant is named 'goood'; did you mean 'good'?" in done.stderr
    # A misspelt variant is no run, so the record of the last one stays.
    assert verdicts(bench) == {"good": "approved", "bad": "blocked"}


def test_several_suites_exit_with_the_worst_code(bench, shell, undecided):
    bench.suite(variants=GOOD, name="fine")
    bench.suite(variants=BAD, name="bad")
    bench.suite("- accuracy_dorp", name="wrong")
    (bench.folder / "empty").mkdir()
    fine, bad, few, wrong = (f"{n}.suite.yaml" for n in ("fine", "bad", "few", "wrong"))
    shell("gate", "-q", fine, code=0)
    shell("gate", "-q", few, fine, code=3)
    shell("gate", "-q", few, bad, fine, code=1)
    done = shell("gate", "-q", wrong, few, bad, fine, code=2)
    assert "wrong.suite.yaml:9:5: no check is named 'accuracy_dorp'" in done.stderr
    assert verdicts(bench, "bad-gate") == {"bad": "blocked"}
    shell("gate", "-q", fine, "missing.suite.yaml", code=2)
    assert "no suite file" in shell("gate", "-q", fine, "empty", code=5).stderr
    shell("gate", "-q", "empty", few, code=3)


def test_a_folder_stands_for_its_suites_and_each_is_judged_once(bench, shell):
    bench.suite(variants=GOOD)
    done = shell("gate", ".", "live.suite.yaml", bench.folder / "live.suite.yaml", code=0)
    assert done.stdout.count("report: ") == 1
    assert [p.name for p in (bench.folder / "reports").iterdir() if p.is_dir()] == ["live-gate"]


def test_two_suites_of_one_name_have_two_folders(bench, shell):
    bench.suite(variants=GOOD)
    text = bench.suite(variants=BAD, name="other").read_text(encoding="utf-8")
    (bench.folder / "other.suite.yaml").write_text(text.replace("other-gate", "live-gate"))
    shell("gate", "-q", ".", code=1)
    assert verdicts(bench) == {"good": "approved"}
    assert verdicts(bench, "live-gate-2") == {"bad": "blocked"}


def test_formats_are_chosen_and_older_reports_do_not_speak_beside_them(bench, shell):
    bench.suite(variants=GOOD)
    folder = bench.folder / "reports" / "live-gate"
    shell("gate", "-q", "live.suite.yaml", code=0)
    (folder / "mine.txt").write_text("kept")
    done = shell("gate", "-q", "live.suite.yaml", "--format", "junit, md", code=0)
    assert {file.name for file in folder.iterdir()} == {"junit.xml", "summary.md", "mine.txt"}
    assert "report: reports/live-gate/junit.xml" in done.stdout
    for wrong in ("html,pdf", "", ","):
        done = shell("gate", "-q", "live.suite.yaml", "--format", wrong, code=2)
        assert "is none of html, json, junit, md" in done.stderr
        assert done.stdout == ""


def test_inconclusive_may_be_forgiven_and_only_loudly(bench, shell, undecided):
    done = shell("gate", "-q", "few.suite.yaml", "--fail-on", "blocked", code=0)
    assert "LET THROUGH: good is undecided" in done.stdout
    assert verdicts(bench, "few-gate") == {"good": "undecided"}
    assert "LET THROUGH" not in shell("gate", "-q", "few.suite.yaml", code=3).stdout
    text = undecided.read_text(encoding="utf-8")
    undecided.write_text(text + "policy: {inconclusive: warn}\n", encoding="utf-8")
    assert "LET THROUGH: good" in shell("gate", "-q", "few.suite.yaml", code=0).stdout
    assert verdicts(bench, "few-gate") == {"good": "undecided"}


def test_an_error_is_not_forgiven(bench, shell):
    bench.suite(variants=GOOD)
    (bench.folder / "live.parquet").write_bytes(b"PAR1 no more")
    done = shell("gate", "-q", "live.suite.yaml", "--fail-on", "blocked", code=3)
    assert "LET THROUGH" not in done.stdout
    assert "live.parquet" in done.stdout
    assert verdicts(bench) == {"good": "undecided"}
    assert shell("gate", "live.suite.yaml", "--fail-on", "never", code=2).stdout == ""


def test_observing_blocks_nothing_and_records_the_verdict(bench, shell):
    bench.suite(rest="policy: {mode: observe}")
    done = shell("gate", "-q", "live.suite.yaml", code=0)
    assert "observe" in done.stdout
    assert verdicts(bench) == {"good": "approved", "bad": "blocked"}
    assert (
        "no variant is named"
        in shell("gate", "-q", "live.suite.yaml", "--variant", "x", code=2).stderr
    )


@pytest.mark.parametrize("executor", ["ray", "ray://head:10001", "dask"])
def test_an_executor_that_is_not_built_is_told(bench, shell, executor):
    bench.suite()
    done = shell("gate", "live.suite.yaml", "--executor", executor, code=2)
    assert "planned and not built yet" in done.stderr
    assert not (bench.folder / "reports").exists()


def test_a_report_folder_that_cannot_be_written_is_told_before_any_work(bench, shell):
    bench.suite(variants=GOOD)
    (bench.folder / "reports").write_text("a file, not a folder")
    done = shell("gate", "live.suite.yaml", code=2)
    assert "reports/live-gate cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (bench.folder / ".modelchecks").exists()


# Accidents


@pytest.mark.parametrize(
    "body",
    ["raise ValueError('broken')", "return None", "return 'passed'", "raise EOFError"],
)
def test_a_check_that_gives_no_answer_leaves_undecided(bench, shell, odd_suite, body):
    odd_suite(body)
    shell("gate", "-q", "odd.suite.yaml", code=3)
    assert verdicts(bench, "odd-gate") == {"good": "undecided"}


@pytest.mark.parametrize("body", ["sys.exit(0)", "sys.exit()", "raise BaseException('what')"])
def test_no_exit_in_a_check_is_an_approval(bench, shell, odd_suite, body):
    """Whether it counts as an errored case (3) or as the end of the run (4)."""
    odd_suite(body)
    done = shell("gate", "-q", "odd.suite.yaml")
    assert done.returncode in (3, 4)
    assert "APPROVED" not in done.stdout
    record = bench.folder / "reports" / "odd-gate" / "run.json"
    assert not record.exists() or verdicts(bench, "odd-gate") == {"good": "undecided"}


def test_an_internal_error_exits_4_and_the_other_suites_are_judged(bench, shell, odd_suite):
    """A check whose needs() works when the suite is read, and not when the run is planned."""
    odd_suite()
    bench.suite(variants=BAD)
    shell("gate", "-q", "odd.suite.yaml", code=0)
    odd_suite(needs_breaks=True)
    done = shell("gate", "-q", "odd.suite.yaml", "live.suite.yaml", "missing.suite.yaml", code=4)
    assert "needs() broke later" in done.stderr
    assert "odd.suite.yaml: internal error of modelchecks" in done.stderr
    assert "good" not in done.stdout
    assert verdicts(bench) == {"bad": "blocked"}


def test_an_internal_error_leaves_no_report_that_approves(bench, shell, odd_suite):
    """Also none of an earlier run, and none of those written before it."""
    odd_suite()
    shell("gate", "-q", "odd.suite.yaml", code=0)
    assert verdicts(bench, "odd-gate") == {"good": "approved"}
    odd_suite("return Outcome('passed', 'fine', needed=object())")
    done = shell("gate", "-q", "odd.suite.yaml")
    assert done.returncode in (3, 4)
    record = bench.folder / "reports" / "odd-gate" / "run.json"
    assert not record.exists() or verdicts(bench, "odd-gate") == {"good": "undecided"}


@pytest.fixture
def interruptible():
    """Processes can be interrupted, also where a shell's `&` has them ignore it from the start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_exits_130_and_leaves_no_report_that_approves(bench, shell, odd_suite):
    odd_suite()
    shell("gate", "-q", "odd.suite.yaml", code=0)
    odd_suite("Path('here').touch()\ntime.sleep(60)\nreturn Outcome('passed', 'fine')")
    command = [sys.executable, "-m", "modelchecks", "gate", "-q", "odd.suite.yaml"]
    with subprocess.Popen(
        command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(600):
            if (bench.folder / "here").exists():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.strip() == "interrupted; nothing was decided"
    assert not list((bench.folder / "reports").rglob("run.json"))
