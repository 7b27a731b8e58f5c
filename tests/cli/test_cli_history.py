"""`modelchecks history`, and what `report` says of more than one run."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def record(bench, shell):
    """The run record of a gate that approves `good` and blocks `bad`."""
    bench.suite()
    shell("gate", "-q", "live.suite.yaml", "--format", "json", code=1)
    return bench.folder / "reports" / "live-gate" / "run.json"


# history


def test_history_shows_what_gates_decided(bench, shell):
    suite = bench.suite()
    said = shell("history", code=2).stderr
    assert "reports/history.sqlite is no history" in said
    for _ in range(2):
        shell("gate", "-q", "live.suite.yaml", code=1)
    done = shell("history", suite.name, code=0)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["live-gate"]
    assert lines[1] == ["run", "good", "bad", "git"]
    assert [line[2:4] for line in lines[2:3]] == [["approved", "blocked"]]
    assert done.stdout.count("✗ 24.0 pp [21.7, 26.3]") == 2
    assert shell("history", "live-gate", "--last", "1", code=0).stdout.count("24.0 pp") == 1
    told = json.loads(shell("history", "--json", code=0).stdout)
    assert [run["suite"] for run in told] == ["live-gate"] * 2
    assert "there are accuracy_drop" in shell("history", "--check", "x", code=2).stderr
    assert "it has live-gate" in shell("history", "other-gate", code=2).stderr


def test_the_history_is_where_the_policy_or_the_flag_says(bench, shell):
    suite = bench.suite(rest="policy: {history: kept/past.sqlite}")
    shell("gate", "-q", suite.name, code=1)
    assert (bench.folder / "kept" / "past.sqlite").is_file()
    shell("history", suite.name, code=0)
    shell("gate", "-q", suite.name, "--history", "flag.sqlite", code=1)
    shell("history", "--history", "flag.sqlite", code=0)
    assert not (bench.folder / "reports" / "history.sqlite").exists()
    (bench.folder / "kept" / "past.sqlite").write_bytes(b"broken" * 99)
    done = shell("gate", "-q", suite.name, code=1)
    assert "Warning: this run is not in the history: " in done.stderr
    assert "report: reports/live-gate/index.html" in done.stdout


# report


def test_report_says_what_changed_since_another_run(bench, shell, record):
    bench.suite("- accuracy_drop: {max_drop: 30pp}")
    shell("gate", "-q", "live.suite.yaml", "--report", "new", code=0)
    new = "new/live-gate/run.json"
    done = shell("report", new, "--against", record, code=0)
    assert "bad: blocked -> approved" in done.stdout
    assert "threshold at most 5 pp -> at most 30 pp" in done.stdout
    shell("report", new, "--against", record, "--html", "changed.html", code=0)
    assert "What changed" in (bench.folder / "changed.html").read_text(encoding="utf-8")
    wrong = shell("report", new, "--against", record, "--junit", "x.xml", code=2)
    assert "with --against there is --html" in wrong.stderr


def test_report_draws_a_picture_and_a_badge(bench, shell, record):
    shell("report", record, "--picture", "a.png", "--badge", "b.json", code=0)
    assert (bench.folder / "a.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((bench.folder / "b.json").read_text())["message"] == "1 approved, 1 blocked"
    shell("report", record, "--picture", "a.svg", code=0)
    assert (
        "must end in .png or .svg" in shell("report", record, "--picture", "a.gif", code=2).stderr
    )
