"""A case is judged once: what is remembered is what judging would say, or it is judged anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import modelchecks.judged
from modelchecks import Run, load_suite, run_suite
from modelchecks.check import Outcome, View
from modelchecks.checks.accuracy import AccuracyDrop, AccuracyFloor
from modelchecks.report import record
from modelchecks.run import judge_again, suite_store
from modelchecks.store import Store
from tests.conftest import Bench

CHECKS = "- accuracy_drop: {max_drop: 5pp}\n- accuracy_floor: {min_accuracy: 50%}"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the checks that were evaluated, in order, since it was last cleared."""
    names: list[str] = []

    def counting(of: type, evaluate: Callable[[object, View], Outcome]) -> None:
        def counted(self: object, view: View) -> Outcome:
            names.append(f"{of.__name__}[{view.variant}]")
            return evaluate(self, view)

        monkeypatch.setattr(of, "evaluate", counted)

    for kind in (AccuracyDrop, AccuracyFloor):
        counting(kind, kind.evaluate)
    return names


def results(run: Run) -> list[dict[str, object]]:
    return [record.result_to_json(result) for result in run.results]


def files(bench: Bench) -> list[Path]:
    """Return what is remembered of cases; there are no probes in these suites."""
    return sorted((bench.folder / ".modelchecks" / "probes").rglob("outcome.json"))


def test_the_second_time_nothing_is_judged_and_all_is_said_again(
    bench: Bench, asked: list[str]
) -> None:
    suite = load_suite(bench.suite(CHECKS))
    first = run_suite(suite)
    assert len(asked) == len(first.results) == 4
    asked.clear()
    second = run_suite(suite)
    assert not asked
    assert second.results == first.results
    assert second.decisions == first.decisions
    assert first.decisions["bad"].verdict == "blocked"
    assert results(run_suite(suite, fresh=True)) == results(first)
    assert len(asked) == 4


def test_what_changed_is_judged_and_nothing_else(bench: Bench, asked: list[str]) -> None:
    run_suite(load_suite(bench.suite(CHECKS)))
    asked.clear()
    loose = run_suite(load_suite(bench.suite(CHECKS.replace("5pp", "30pp"))))
    assert asked == ["AccuracyDrop[good]", "AccuracyDrop[bad]"]
    assert loose.decisions["bad"].verdict == "approved"
    asked.clear()
    bench.log("live", good=0.70, bad=0.93, seed=3)
    other = run_suite(load_suite(bench.suite(CHECKS)))
    assert len(asked) == 4
    assert other.decisions["good"].verdict == "blocked"
    assert other.decisions["bad"].verdict == "approved"


def test_our_code_and_how_rows_were_drawn_are_part_of_it(
    bench: Bench, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load_suite(bench.suite(CHECKS))
    assert run_suite(suite).decisions["good"].verdict == "approved"
    asked.clear()
    unknown = run_suite(load_suite(bench.suite(CHECKS, sampling="unknown")))
    assert len(asked) == 4
    assert unknown.decisions["good"].verdict != "approved"
    asked.clear()
    monkeypatch.setattr(modelchecks.judged, "_code", lambda: ["of tomorrow"])
    run_suite(suite)
    assert len(asked) == 4


def test_an_estimate_that_knows_more_is_read_as_it_was(bench: Bench) -> None:
    checks = "- not_worse_than: {split: live, max_loss: 2pp}\n- gain_transfer"
    suite = load_suite(bench.suite(checks, rest="champion: good"))
    first, second = run_suite(suite), run_suite(suite)
    assert {type(r.estimate).__name__ for r in first.results} >= {"PairedEstimate"}
    assert second.results == first.results
    assert results(run_suite(suite, fresh=True)) == results(first)


def test_decide_reads_it_too(bench: Bench, asked: list[str]) -> None:
    suite = load_suite(bench.suite(CHECKS))
    first = run_suite(suite)
    path = bench.folder / "run.json"
    record.write_text(path, record.dumps(first))
    asked.clear()
    again = judge_again(suite, path)
    assert not asked
    assert results(again) == results(first)


def test_a_store_that_cannot_be_written_is_judged_all_the_same(
    bench: Bench, asked: list[str]
) -> None:
    suite = load_suite(bench.suite(CHECKS))
    first = run_suite(suite)
    path = bench.folder / "run.json"
    record.write_text(path, record.dumps(first))
    for file in files(bench):
        file.unlink()
        file.mkdir()
    asked.clear()
    again = judge_again(suite, path)
    assert len(asked) == 4
    assert results(again) == results(first)
    shutil.rmtree(bench.folder / ".modelchecks" / "probes")
    (bench.folder / ".modelchecks" / "probes").write_text("no folder", encoding="utf-8")
    assert results(judge_again(suite, path)) == results(first)
    assert len(asked) == 8


def test_answers_that_are_gone_are_errored_whatever_is_remembered(bench: Bench) -> None:
    suite = load_suite(bench.suite(CHECKS))
    assert run_suite(suite).decisions["good"].verdict == "approved"
    path = bench.folder / "live.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["good"]), path)
    gone = run_suite(suite)
    assert gone.decisions["good"].verdict != "approved"
    assert {r.status for r in gone.results if r.variant == "good"} >= {"errored"}
    path.unlink()
    assert {r.status for r in run_suite(suite).results if r.check == "accuracy_drop"} == {"errored"}


def test_a_variant_that_fails_now_is_not_what_it_was(bench: Bench) -> None:
    """`gather` may find a variant torn between two splits though each split is stored whole."""
    from modelchecks import gather
    from modelchecks.judging import judge
    from modelchecks.plan import make_plan

    suite = load_suite(bench.suite(CHECKS))
    plan = make_plan(suite)
    gathered = gather.gather(plan, suite_store(suite))
    assert judge(plan, plan.cases[0], gathered).status == "passed"
    live = replace(gathered.splits["live"], failures={"good": "torn"})
    torn = replace(gathered, splits={**gathered.splits, "live": live})
    result = judge(plan, plan.cases[0], torn)
    assert (result.status, result.message) == ("errored", "torn")


@pytest.mark.parametrize("damage", ["cut", "flip", "status", "estimate"])
def test_a_damaged_memory_is_no_memory(bench: Bench, asked: list[str], damage: str) -> None:
    suite, told = load_suite(bench.suite(CHECKS)), []
    run_suite(suite)
    for path in files(bench):
        text = path.read_text(encoding="utf-8")
        if damage == "cut":
            path.write_text(text[: len(text) // 2], encoding="utf-8")
        elif damage == "flip":
            path.write_text(text.replace('"failed"', '"passed"', 1), encoding="utf-8")
        else:
            # Written by whoever knows how to sign it: read, and found to be no outcome.
            store = Store(path.parents[2])
            value = dict(json.loads(text)["body"]["outcome"])
            value[damage] = {"status": "approved", "estimate": {"value": 1.0}}[damage]
            store.save_outcome(path.parent.name, value)
    asked.clear()
    run = run_suite(suite, store=suite_store(suite, told.append))
    assert run.decisions["bad"].verdict != "approved"
    if damage == "cut":
        assert len(asked) == 4
        assert any("outcome.json" in line for line in told)
    elif damage == "flip":
        assert "AccuracyDrop[bad]" in asked
    else:
        assert {r.status for r in run.results} == {"errored"}


def test_somebody_elses_code_is_always_asked(bench: Bench) -> None:
    (bench.folder / "mine.py").write_text(
        "from pathlib import Path\n"
        "def share(labels, probabilities):\n"
        "    answer = float(Path(__file__).with_name('answer').read_text())\n"
        "    return answer * float((probabilities.argmax(1) == labels).mean())\n",
        encoding="utf-8",
    )
    (bench.folder / "answer").write_text("0.9", encoding="utf-8")
    checks = (
        '- accuracy_floor: {split: live, metric: "mine:share", at_least: 0.5}\n'
        '- accuracy_floor: {split: offline, metric: "mine:share", at_least: 0.5}\n  id: other'
    )
    suite = load_suite(bench.suite(checks, variants="it: {logged: probabilities}"))
    assert [r.status for r in run_suite(suite).results] == ["passed"] * 2
    assert not files(bench)
    (bench.folder / "answer").write_text("0.1", encoding="utf-8")
    assert [r.status for r in run_suite(suite).results] == ["failed"] * 2
