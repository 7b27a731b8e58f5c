"""modelchecks plan: what each open decision needs, cheapest first, and which rows to label."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelchecks import SuiteError, load_suite, run_suite, stats
from modelchecks.labelling import LabelPlan, as_csv, label_plan, told
from modelchecks.run import suite_store
from tests.conftest import Bench
from tests.test_checks_metrics import lists, logits

CHECKS = "- accuracy_drop: {max_drop: 5pp}\n- accuracy_floor: {min_accuracy: 74%}"


def planned(bench: Bench, checks: str = CHECKS, **options: Any) -> LabelPlan:
    labels, variants = options.pop("labels", None), options.pop("asked", None)
    options = {"variants": "m: {logged: p}", **options}
    suite = load_suite(bench.suite(checks, **options))
    return label_plan(suite, suite_store(suite), labels=labels, variants=variants)


@pytest.fixture
def few(bench: Bench) -> Bench:
    """200 of 3,000 live rows have a label."""
    label, p = logits(4000, 1.6, 1)
    bench.write("offline", label=label, p=lists(p), c=p.argmax(1))
    label, p = logits(3000, 1.55, 2)
    unlabelled = np.random.default_rng(0).permutation(3000) >= 200
    bench.write("live", label=pa.array(label, mask=unlabelled), p=lists(p), c=p.argmax(1))
    return bench


def test_open_decisions_come_cheapest_first(few: Bench) -> None:
    checks = CHECKS + "\n- accuracy_floor: {min_accuracy: 10%}\n  id: easy"
    plan = planned(few, checks)
    run = run_suite(load_suite(few.folder / "live.suite.yaml"))
    needed = {result.case: result.needed for result in run.results}
    assert {one.case: one.needed for one in plan.decisions} == {
        case: n for case, n in needed.items() if n is not None
    }
    assert all((one.have, one.split) == (200, "live") for one in plan.decisions)
    missing = [one.more for one in plan.decisions]
    assert missing == sorted(missing, key=lambda more: (more is None, more or 0))
    assert plan.settled == 1


def test_the_rows_to_label_are_a_stratified_plan_over_the_unlabelled_ones(few: Bench) -> None:
    plan = planned(few, labels=100)
    assert plan.pool == 2800
    assert len(plan.rows) == len({row.id for row in plan.rows}) == 100
    assert sum(row.weight for row in plan.rows) == pytest.approx(2800)
    assert {row.stratum for row in plan.rows} == set(range(5))
    labels = run_suite(load_suite(few.folder / "live.suite.yaml")).splits["live"]["labelled"]
    assert labels == 200
    assert planned(few, labels=100).rows == plan.rows


def test_by_default_as_many_rows_as_the_cheapest_decision_lacks(few: Bench) -> None:
    plan = planned(few)
    first = plan.decisions[0]
    assert first.more is not None
    assert len(plan.rows) == min(first.more, 2800)


def test_a_sample_of_the_rows_stands_for_all_of_them(few: Bench) -> None:
    plan = planned(few, labels=50, rest="compute: {max_rows: 1000}")
    assert sum(row.weight for row in plan.rows) == pytest.approx(2800)


def test_what_was_labelled_by_the_plan_is_judged_by_its_weights(few: Bench) -> None:
    """The whole way: plan, label, weigh, judge; and it comes near the truth."""
    truth, p = logits(3000, 1.55, 2)
    plan = planned(few, labels=600)
    before = np.random.default_rng(0).permutation(3000) < 200
    weight = np.where(before, 1.0, np.nan)
    places = [int(row.id.rpartition("-")[2]) for row in plan.rows]
    weight[places] = [row.weight for row in plan.rows]
    unlabelled = np.isnan(weight)
    few.write(
        "live",
        label=pa.array(truth, mask=unlabelled),
        p=lists(p),
        w=pa.array(weight, mask=unlabelled),
    )
    path = few.suite(CHECKS, variants="m: {logged: p}", of_live="sampling: {weights: w}")
    drop = run_suite(load_suite(path)).results[0]
    live = drop.details["live"]
    assert live["n"] == 800
    assert live["low"] <= (p.argmax(1) == truth).mean() <= live["high"]


def test_before_any_label_a_drop_is_planned_for_what_may_be_true(few: Bench) -> None:
    label, p = logits(3000, 1.55, 2)
    few.write("live", label=pa.array([None] * 3000, pa.int64()), p=lists(p), c=label)
    plan = planned(few, "- accuracy_drop: {max_drop: 5pp}")
    right, n = (logits(4000, 1.6, 1)[1].argmax(1) == logits(4000, 1.6, 1)[0]).sum(), 4000
    wanted = {
        what: stats.labels_needed(right / n, n, true_drop=true, max_drop=0.05)
        for what, true in (("no drop", 0.0), ("a drop of 10 pp", 0.1))
    }
    assert {one.if_true: one.needed for one in plan.decisions} == wanted
    assert plan.pool == 3000
    assert plan.rows
    assert plan.errored == ()


def test_a_log_of_classes_is_labelled_at_random(few: Bench) -> None:
    plan = planned(few, variants="m: {logged: c}", labels=40)
    assert len(plan.rows) == 40
    assert len({round(row.weight, 6) for row in plan.rows}) <= 2


def test_what_no_number_of_labels_settles_comes_last_and_is_said(few: Bench) -> None:
    exact = run_suite(load_suite(few.suite(CHECKS, variants="m: {logged: p}"))).results[0]
    assert exact.estimate is not None
    at = f"- accuracy_drop: {{max_drop: {exact.estimate.value:.9f}}}\n  id: at\n"
    plan = planned(few, CHECKS + "\n" + at)
    assert plan.decisions[-1].case == "at[m]"
    assert plan.decisions[-1].more is None
    assert "-" in told(plan).splitlines()[-1] or "at[m]" in told(plan)


def test_an_errored_case_is_told_and_plans_nothing(few: Bench) -> None:
    plan = planned(few, CHECKS, variants="gone: {logged: gone}")
    assert plan.decisions == ()
    assert plan.rows == ()
    assert [result.case for result in plan.errored] == [
        "accuracy_drop[gone]",
        "accuracy_floor[gone]",
    ]
    assert "accuracy_drop[gone] could not be judged: variant 'gone'" in told(plan)


def test_an_unknown_variant_is_refused(few: Bench) -> None:
    with pytest.raises(SuiteError, match="no variant is named 'x'"):
        planned(few, asked=["x"])


def test_the_file_of_rows_is_plain_csv(few: Bench) -> None:
    plan = planned(few, labels=30)
    read = list(csv.DictReader(io.StringIO(as_csv(plan.rows))))
    assert [row["id"] for row in read] == [row.id for row in plan.rows]
    assert float(read[0]["weight"]) == pytest.approx(plan.rows[0].weight, rel=1e-5)
    assert told(plan).count("\n  live-") == 20
    assert "and 10 more; --out FILE writes all of them" in told(plan)


def test_planning_is_the_look_that_the_gate_repeats(few: Bench) -> None:
    planned(few, rest="policy: {ledger: looks.jsonl}")
    looks = (few.folder / "looks.jsonl").read_text()
    run_suite(load_suite(few.folder / "live.suite.yaml"))
    assert (few.folder / "looks.jsonl").read_text() == looks
