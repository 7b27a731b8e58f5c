"""`modelchecks decide`: judged again from stored evidence, with nothing gathered."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "great_expectations", "pandas", "deepchecks", "ray")


def results(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    return {key: record[key] for key in ("results", "decisions", "splits", "variants")}


@pytest.fixture
def gated(bench, shell):
    """The record of a gate over both variants."""
    bench.suite()
    shell("gate", "-q", "live.suite.yaml", code=1)
    return bench.folder / "reports" / "live-gate" / "run.json"


def written(folder):
    """When each file of the store was written; that a folder was used is noted at the folder."""
    files = [path for path in (folder / ".modelchecks").rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files}


@pytest.mark.parametrize(
    "source", ["reports/live-gate/run.json", "reports/live-gate", ".modelchecks"]
)
def test_judging_again_gives_the_same_results(bench, shell, gated, source):
    before = written(bench.folder)
    done = shell("decide", source, "--suite", "live.suite.yaml", "--report", "again", code=1)
    assert done.stderr == ""
    assert results(bench.folder / "again" / "live-gate" / "run.json") == results(gated)
    assert written(bench.folder) == before


def test_judging_again_may_write_where_it_read(bench, shell, gated):
    first = results(gated)
    shell("decide", gated, "--suite", "live.suite.yaml", "--report", "reports", code=1)
    assert results(gated) == first


def test_judging_again_needs_no_data_and_loads_nothing_heavy(bench, gated):
    for log in bench.folder.glob("*.parquet"):
        log.unlink()
    code = (
        "import sys\nfrom modelchecks.cli import main\n"
        f"try:\n    main(['decide', {str(gated)!r}, '--suite', 'live.suite.yaml'])\n"
        "except SystemExit as end:\n    print('LOADED', end.code, *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=bench.folder, capture_output=True, text=True, check=True
    )
    code, *modules = done.stdout.partition("LOADED ")[2].split()
    assert code == "1"
    assert set(modules).isdisjoint(HEAVY)


def test_a_changed_threshold_changes_the_verdict_without_gathering(bench, shell, gated):
    for log in bench.folder.glob("*.parquet"):
        log.unlink()
    bench.suite("- accuracy_drop: {max_drop: 30pp}", name="loose")
    done = shell("decide", gated, "--suite", "loose.suite.yaml", code=0)
    assert "bad may go live" in done.stdout
    assert not (bench.folder / "reports" / "loose-gate").exists()
    shell("decide", gated, "--suite", "loose.suite.yaml", "--variant", "bad", code=0)
    bench.suite("- accuracy_drop: {max_drop: 0.5pp}", name="strict")
    done = shell("decide", gated, "--suite", "strict.suite.yaml", code=1)
    assert "good is undecided" in done.stdout


def test_what_the_evidence_does_not_hold_is_errored(bench, shell, gated):
    suite = bench.folder / "live.suite.yaml"
    text = suite.read_text(encoding="utf-8")
    for changed in (
        text.replace("path: live.parquet", "path: offline.parquet"),
        text.replace("logged: good", "logged: probabilities"),
        text.replace("good: {logged: good}", "newer: {logged: good}"),
    ):
        suite.write_text(changed, encoding="utf-8")
        name = "newer" if "newer" in changed else "good"
        done = shell("decide", gated, "--suite", suite.name, "--variant", name, code=3)
        assert f"accuracy_drop[{name}] errored" in done.stdout
        assert "modelchecks gate" in " ".join(done.stdout.split()) or "the gate" in done.stdout
        shell(
            "decide",
            gated,
            "--suite",
            suite.name,
            "--variant",
            name,
            "--fail-on",
            "blocked",
            code=3,
        )


def test_evidence_that_is_gone_or_damaged_is_errored(bench, shell, gated):
    for stored in (bench.folder / ".modelchecks").rglob("whole.parquet"):
        stored.write_bytes(stored.read_bytes()[:-10])
    done = shell("decide", gated, "--suite", "live.suite.yaml", code=3)
    assert "accuracy_drop[good] errored" in done.stdout
    assert "damaged" in done.stderr
    (bench.folder / "empty").mkdir()
    done = shell("decide", "empty", "--suite", "live.suite.yaml", code=3)
    assert "accuracy_drop[good] errored" in done.stdout
    assert not list((bench.folder / "empty").iterdir())


def test_wrong_suites_and_variants_are_told(bench, shell, gated):
    assert "cannot be read" in shell("decide", gated, "--suite", "no.suite.yaml", code=2).stderr
    done = shell("decide", gated, "--suite", "live.suite.yaml", "--variant", "gud", code=2)
    assert "no variant is named 'gud'" in done.stderr
    assert "Missing option '--suite'" in shell("decide", gated, code=2).stderr
