"""Answers that a log carries are judged as they stand, and what is no answer counts as missing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelchecks import load_suite, run_suite
from modelchecks.errors import EvidenceError
from modelchecks.logged import LoggedAnswers
from modelchecks.sources import Batch


def answers(column, classes=()):
    values = column if isinstance(column, np.ndarray) else np.array([*column, None], object)[:-1]
    batch = Batch([str(i) for i in range(len(values))], columns={"answer": values})
    return LoggedAnswers("v", "answer", classes)(batch)


def test_class_ids_floats_and_names():
    assert answers(np.array([2, 0, 1])).predicted.tolist() == [2, 0, 1]
    seen = answers(np.array([2.0, np.nan, 1.0]))
    assert seen.predicted.tolist() == [2, -1, 1]
    assert seen.finite.tolist() == [True, False, True]
    seen = answers(["dog", None, "cat"], ("cat", "dog"))
    assert seen.predicted.tolist() == [1, -1, 0]
    assert seen.finite.tolist() == [True, False, True]


def test_probability_lists():
    seen = answers([[0.1, 0.9], None, [0.5, np.nan], [0.75, 0.25]])
    assert seen.finite.tolist() == [True, False, False, True]
    assert seen.predicted[seen.finite].tolist() == [1, 0]
    assert seen.confidence[seen.finite].tolist() == pytest.approx([0.9, 0.75])
    assert seen.outputs == 2


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (np.array([0.5]), "row '0': 0.5 is no class id; log whole numbers"),
        (np.array([-1]), "-1.0 is no class id"),
        (np.array([2**63 + 5], np.uint64), r"e\+18 is no class id"),
        (["cow"], "class name 'cow' is not in the suite's `classes:`"),
        ([[0.1, 0.9], [0.2, 0.3, 0.5]], r"lengths \[2, 3\]"),
        ([[], []], "lengths"),
    ],
)
def test_what_is_no_answer_is_refused(column, told):
    with pytest.raises(EvidenceError, match=told):
        answers(column, ("cat", "dog"))


def test_a_missing_column_is_named():
    batch = Batch(["a"], columns={"other": np.array([1])})
    with pytest.raises(EvidenceError, match="no column 'answer'"):
        LoggedAnswers("v", "answer", ())(batch)


def test_classes_and_probabilities_of_one_model_give_the_same_verdict(bench):
    suite = bench.suite(variants="ids: {logged: good}\nlists: {logged: probabilities}")
    run = run_suite(load_suite(suite))
    ids, lists = run.results
    assert ids.estimate == lists.estimate
    assert {d.verdict for d in run.decisions.values()} == {"approved"}


def test_a_null_answer_is_an_error_not_a_wrong_answer(bench):
    table = pq.read_table(bench.folder / "live.parquet")
    values = table["good"].to_pylist()
    values[5] = None
    table = table.set_column(table.schema.get_field_index("good"), "good", pa.array(values))
    pq.write_table(table, bench.folder / "live.parquet")
    run = run_suite(load_suite(bench.suite()))
    good, bad = run.results
    assert good.status == "errored"
    assert "1 of 2000 answers" in good.message
    assert "live-00005" in good.message
    assert bad.status == "failed"


def test_a_missing_answer_column_stops_its_own_variant_only(bench):
    suite = bench.suite(variants="good: {logged: good}\nother: {logged: godo}")
    run = run_suite(load_suite(suite))
    good, other = run.results
    assert good.status == "passed"
    assert other.status == "errored"
    assert "variant 'other'" in other.message
    assert "offline.parquet has no column 'godo'; did you mean 'good'?" in other.message
