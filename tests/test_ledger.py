"""The ledger: looks are counted once, by all gates together, and never make a gate milder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks import load_suite, run_suite, stats
from modelchecks.check import View
from modelchecks.checks.accuracy import AccuracyDrop
from modelchecks.gate import exit_code
from modelchecks.ledger import FILE, _numbered
from modelchecks.load import read_suite
from modelchecks.results import Run
from modelchecks.run import judge_again
from tests.conftest import Bench
from tests.test_checks_accuracy import seen

DROP = "- accuracy_drop: {max_drop: 5pp}"


def run(
    bench: Bench, checks: str = DROP, policy: str = "ledger: looks.jsonl", **options: Any
) -> Run:
    path = bench.suite(checks, rest=f"policy: {{{policy}}}", **options)
    return run_suite(load_suite(path))


def looks(found: Run) -> dict[str, int]:
    return {r.case: r.details["look"] for r in found.results if "look" in r.details}


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_look_is_new_with_new_weights_or_a_new_question_and_free_when_repeated(
    bench: Bench,
) -> None:
    first = run(bench)
    assert looks(first) == {"accuracy_drop[good]": 1, "accuracy_drop[bad]": 2}
    assert looks(run(bench)) == looks(first)
    assert looks(run(bench, DROP + "\n  id: renamed\n  severity: warn")) == {
        "renamed[good]": 1,
        "renamed[bad]": 2,
    }
    other = run(bench, "- accuracy_drop: {max_drop: 6pp}")
    assert looks(other) == {"accuracy_drop[good]": 3, "accuracy_drop[bad]": 4}
    more = run(bench, variants="good: {logged: good}\nnew: {logged: probabilities}")
    assert looks(more) == {"accuracy_drop[good]": 1, "accuracy_drop[new]": 5}
    assert len(entries(bench.folder / "looks.jsonl")) == 5


def test_another_check_or_other_rows_are_counted_on_their_own(bench: Bench) -> None:
    run(bench)
    floor = run(bench, DROP + "\n- accuracy_floor: {min_accuracy: 50%}")
    assert looks(floor)["accuracy_floor[good]"] == 1
    bench.log("live", good=0.93, bad=0.7, seed=9)
    assert looks(run(bench)) == {"accuracy_drop[good]": 1, "accuracy_drop[bad]": 2}


def test_what_judges_no_variant_by_labels_takes_no_look(bench: Bench) -> None:
    found = run(
        bench,
        DROP + "\n- label_drift: {reference: offline}\n- prediction_drift\n" + "- best_variant\n",
    )
    assert set(looks(found)) == {
        "accuracy_drop[good]",
        "accuracy_drop[bad]",
        "best_variant[data]",
    }


def test_a_case_that_saw_nothing_took_no_look(bench: Bench) -> None:
    found = run(bench, variants="good: {logged: good}\ngone: {logged: gone}")
    assert looks(found) == {"accuracy_drop[good]": 1}
    assert found.results[1].status == "errored"


def test_a_gain_is_one_look_for_each_variant_whoever_else_is_declared(bench: Bench) -> None:
    variants = "good: {logged: good}\nbad: {logged: bad}\np: {logged: probabilities}"
    path = bench.suite(
        "- gain_transfer", variants=variants, rest="champion: good\npolicy: {ledger: looks.jsonl}"
    )
    found = looks(run_suite(load_suite(path)))
    assert found == {"gain_transfer[good]": 1, "gain_transfer[bad]": 2, "gain_transfer[p]": 3}
    fewer = variants.replace("p: {logged: probabilities}", "")
    path = bench.suite(
        "- gain_transfer", variants=fewer, rest="champion: good\npolicy: {ledger: looks.jsonl}"
    )
    assert looks(run_suite(load_suite(path))) == {
        "gain_transfer[good]": 1,
        "gain_transfer[bad]": 2,
    }


def test_the_run_records_and_tells_the_looks(bench: Bench) -> None:
    found = run(bench)
    assert found.splits["live"]["ledger"]["looks"] == 2
    assert found.splits["live"]["ledger"]["variants"] == 2
    luck = stats.best_of_optimism(0.93, 2000, variants=2)
    assert found.splits["live"]["ledger"]["luck_of_the_best"] == pytest.approx(luck)
    (note,) = [note for note in found.notes if "ledger" in note]
    assert note.startswith("ledger: the rows of split 'live' have judged 2 variants in 2 looks; ")
    assert "0.3 pp better than it is" in note
    assert "ledger" not in found.splits["offline"]
    again = run(bench)
    assert again.splits == found.splits
    assert again.notes == found.notes


def test_without_a_ledger_it_is_the_first_look_and_nothing_is_written(bench: Bench) -> None:
    found = run(bench, policy="ledger: null")
    assert "no ledger, counted as first look at the live rows" in found.notes
    assert not list(bench.folder.glob("*.jsonl*"))
    assert looks(found) == {}


def test_many_variants_wear_the_rows_out(bench: Bench) -> None:
    for name in ("offline", "live"):
        table = pq.read_table(bench.folder / f"{name}.parquet")
        for number in range(30):
            table = table.append_column(f"g{number}", table["good"])
        pq.write_table(table, bench.folder / f"{name}.parquet")
    variants = "\n".join(f"v{n}: {{logged: g{n}}}" for n in range(30))
    found = run(bench, variants=variants)
    assert found.splits["live"]["ledger"]["worn_out"] is True
    assert any("These rows are worn out: draw fresh ones" in note for note in found.notes)


@pytest.mark.parametrize("ledger", ["kept", "kept/looks.jsonl", "a/b/c.jsonl"])
def test_a_ledger_is_a_file_or_a_folder(bench: Bench, ledger: str) -> None:
    run(bench, policy=f"ledger: {ledger}")
    path = bench.folder / ledger
    assert len(entries(path if path.is_file() else path / FILE)) == 2


# Nothing that is wrong with a ledger approves.


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text + "{",
        lambda text: text[:-1],
        lambda text: text + '{"number": 1}\n',
        lambda text: text.replace('"number": 1', '"number": "1"'),
        lambda text: text + "[]\n",
        lambda text: "\x00" + text,
    ],
)
def test_a_damaged_ledger_decides_nothing(bench: Bench, damage: Any) -> None:
    approved = run(bench, "- accuracy_drop: {max_drop: 90pp}\n- label_drift: {reference: offline}")
    assert exit_code(approved) == 0
    path = bench.folder / "looks.jsonl"
    path.write_text(damage(path.read_text()))
    before = path.read_text()
    found = run(bench, "- accuracy_drop: {max_drop: 90pp}\n- label_drift: {reference: offline}")
    by_case = {result.case: result for result in found.results}
    assert by_case["accuracy_drop[good]"].status == "errored"
    assert "is damaged in line" in by_case["accuracy_drop[good]"].message
    assert by_case["label_drift[data]"].status != "errored"
    assert {decision.verdict for decision in found.decisions.values()} == {"undecided"}
    assert path.read_text() == before


def test_a_ledger_that_cannot_be_written_decides_nothing(bench: Bench) -> None:
    (bench.folder / "taken").write_text("a file, not a folder")
    found = run(bench, policy="ledger: taken/looks.jsonl")
    assert {result.status for result in found.results} == {"errored"}
    assert "cannot be used" in found.results[0].message


# Spending.


def test_spending_decides_each_further_look_at_a_smaller_error(bench: Bench) -> None:
    policy = "ledger: looks.jsonl, spending: halving"
    found = run(bench, policy=policy)
    alphas = [result.estimate.alpha for result in found.results if result.estimate is not None]
    assert alphas == [pytest.approx(0.025), pytest.approx(0.0125)]
    again = run(bench, policy=policy)
    assert [r.estimate for r in again.results] == [r.estimate for r in found.results]


def test_spent_rows_decide_nothing_more(bench: Bench) -> None:
    policy = "ledger: looks.jsonl, spending: halving"
    checks = "\n".join(f"- accuracy_floor: {{min_accuracy: 0.{i:02d}}}" for i in range(30, 60))
    found = run(bench, DROP + "\n" + checks, variants="good: {logged: good}", policy=policy)
    last = found.results[-1]
    assert last.status == "errored"
    assert "the rows of split 'live' are worn out: look 30" in last.message
    assert found.results[1].status == "passed"


def test_spending_needs_a_ledger(bench: Bench) -> None:
    path = bench.suite(DROP, rest="policy: {spending: halving}")
    suite, (problem,) = read_suite(path)
    assert suite is None
    assert "`spending` needs `ledger:`" in problem.message


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(50, 2000),
    share=st.floats(0.5, 1.0),
    rule=st.sampled_from(["halving", "inverse_square"]),
    number=st.integers(1, 12),
)
def test_no_look_is_judged_more_mildly_for_being_counted(
    n: int, share: float, rule: Any, number: int
) -> None:
    """A decision may become inconclusive by what was spent; it never turns into another one."""
    view = View(
        {"offline": seen("offline", 940, 1000), "live": seen("live", round(share * n), n)}, "v"
    )
    alpha = stats.alpha_spending(number, rule=rule)
    plain = AccuracyDrop(max_drop=0.05).evaluate(view)
    spent = AccuracyDrop(max_drop=0.05, confidence=1 - alpha).evaluate(view)
    assert spent.status in (plain.status, "inconclusive")


# Many gates at once.


def test_gates_at_once_lose_no_look_and_number_each_once(bench: Bench) -> None:
    code = (
        "import sys\n"
        "from modelchecks import load_suite, run_suite\n"
        "run = run_suite(load_suite(sys.argv[1]))\n"
        "print([r.details['look'] for r in run.results])\n"
    )
    paths = [
        bench.suite(
            f"- accuracy_drop: {{max_drop: {number}pp}}",
            name=f"gate{number}",
            rest="policy: {ledger: shared}",
        )
        for number in range(5, 9)
    ]
    # The second of each pair repeats the looks of the first.
    gates = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        for path in [*paths, *paths]
    ]
    told = [json.loads(gate.communicate(timeout=100)[0]) for gate in gates]
    assert [gate.returncode for gate in gates] == [0] * 8
    kept = entries(bench.folder / "shared" / FILE)
    assert len(kept) == 8
    assert sorted(entry["number"] for entry in kept) == list(range(1, 9))
    assert told[:4] == told[4:]
    assert sorted(number for gate in told[:4] for number in gate) == list(range(1, 9))


def test_judging_again_is_a_look_as_well(bench: Bench) -> None:
    run(bench)
    again = load_suite(
        bench.suite(
            "- accuracy_drop: {max_drop: 7pp}", name="again", rest="policy: {ledger: looks.jsonl}"
        )
    )
    # The evidence is the same; the question is new.
    assert looks(judge_again(again, bench.folder / ".modelchecks")) == {
        "accuracy_drop[good]": 3,
        "accuracy_drop[bad]": 4,
    }


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=12))
def test_numbers_count_distinct_looks_in_the_order_of_their_arrival(
    asked: list[tuple[str, str]],
) -> None:
    kept: list[dict[str, Any]] = []
    for variant, question in asked:
        wanted = {"rows": "r", "variants": [variant], "check": "c", "asked": question}
        number = _numbered(kept, {**wanted, "split": "live", "case": "i"})
        distinct = list(dict.fromkeys(asked))
        assert number == distinct.index((variant, question)) + 1
    assert [entry["number"] for entry in kept] == list(range(1, len(set(asked)) + 1))
