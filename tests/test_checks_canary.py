"""canary: the same answer at every look for the same log, and rewritten history is found out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelchecks import load_suite, run_suite, stats
from modelchecks.check import History, View
from modelchecks.checks.canary import CanaryDrop
from modelchecks.errors import EvidenceError
from modelchecks.results import Result
from tests.conftest import Bench
from tests.test_checks_accuracy import seen

ROWS = 1000
CHECK = "order: at, max_drop: 5pp"


def rows(accuracy: float, seed: int = 0) -> dict[str, Any]:
    """Return a log whose rows lie in another order than that in which their labels arrived."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 3, ROWS)
    right = draw.random(ROWS) < accuracy
    at = draw.permutation(ROWS)
    return {"label": label, "m": np.where(right, label, (label + 1) % 3), "at": at, "right": right}


def write(bench: Bench, log: dict[str, Any], upto: int = ROWS, **changes: Any) -> None:
    """Write the rows; those whose label has not arrived yet have none."""
    waiting = log["at"] >= upto
    columns = {"label": pa.array(log["label"], mask=waiting), "m": log["m"], "at": log["at"]}
    bench.write("live", **{**columns, **changes})


def judged(bench: Bench, check: str = CHECK, **options: Any) -> Result:
    options = {"variants": "m: {logged: m}", **options}
    (result,) = run_suite(load_suite(bench.suite(f"- canary: {{{check}}}", **options))).results
    return result


@pytest.fixture
def offline(bench: Bench) -> Bench:
    draw = np.random.default_rng(8)
    label = draw.integers(0, 3, 4000)
    right = np.arange(4000) < 3760
    bench.write("offline", label=label, m=np.where(right, label, (label + 1) % 3))
    return bench


@pytest.mark.parametrize(("accuracy", "status"), [(0.94, "passed"), (0.75, "failed")])
def test_it_decides_by_the_labels_in_the_order_of_their_arrival(
    offline: Bench, accuracy: float, status: str
) -> None:
    log = rows(accuracy)
    write(offline, log)
    found = judged(offline)
    arrived = log["right"][np.argsort(log["at"])]
    expected = stats.canary(3760, 4000, arrived, max_drop=0.05)
    assert found.status == expected.status == status
    assert found.estimate == expected.drop
    assert found.details["decided_at"] == expected.decided_at
    assert f"at label {expected.decided_at:,}" in found.message


def test_it_waits_until_it_is_decided_and_then_stays_so(offline: Bench) -> None:
    log = rows(0.75)
    decided = stats.canary(3760, 4000, log["right"][np.argsort(log["at"])], max_drop=0.05)
    assert decided.decided_at is not None
    statuses = {}
    for upto in (10, decided.decided_at - 1, decided.decided_at, ROWS):
        write(offline, log, upto)
        found = judged(offline)
        statuses[upto] = found.status
        assert found.details["history"]["n"] == upto
    assert list(statuses.values()) == ["inconclusive", "inconclusive", "failed", "failed"]


def test_the_confidence_is_split_between_both_sides(offline: Bench) -> None:
    log = rows(0.9)
    write(offline, log)
    found = judged(offline, CHECK + ", confidence: 90%")
    arrived = log["right"][np.argsort(log["at"])]
    expected = stats.canary(3760, 4000, arrived, max_drop=0.05, alpha_offline=0.02, alpha_live=0.08)
    assert found.estimate is not None
    assert expected.drop is not None
    assert found.estimate.alpha == pytest.approx(0.1)
    assert found.estimate.upper_bound == pytest.approx(expected.drop.upper_bound)


def test_without_an_order_the_log_is_the_order(offline: Bench) -> None:
    log = rows(0.75)
    write(offline, log)
    found = judged(offline, "max_drop: 5pp")
    assert found.estimate == stats.canary(3760, 4000, log["right"], max_drop=0.05).drop


# Gaps.


@pytest.mark.parametrize(
    ("check", "changes", "said"),
    [
        ("order: when, max_drop: 5pp", {}, "no column 'column:when'"),
        (CHECK, {"at": pa.array([None, *range(1, ROWS)], pa.int64())}, "is empty in 1 labelled"),
        (CHECK, {"at": pa.array([None, *map(str, range(1, ROWS))])}, "is empty in 1 labelled"),
        (CHECK, {"at": pa.array([None, *range(1, ROWS)], pa.timestamp("us"))}, "is empty in 1"),
        (CHECK, {"label": pa.array([None] * ROWS, pa.int64())}, "has no labelled row"),
        (CHECK, {"m": pa.array([None, *[0] * (ROWS - 1)], pa.int64())}, "NaN, infinite or missing"),
    ],
)
def test_gaps_are_errors(offline: Bench, check: str, changes: dict[str, Any], said: str) -> None:
    write(offline, rows(0.94), **changes)
    found = judged(offline, check)
    assert found.status == "errored"
    assert said in found.message


def test_every_label_counts_so_a_sample_of_them_is_not_enough(offline: Bench) -> None:
    write(offline, rows(0.94))
    found = judged(offline, rest="compute: {max_rows: 500}")
    assert found.status == "errored"
    assert "of the 1,000 of split 'live' the evidence keeps 500: raise `max_rows`" in found.message


def test_unknown_sampling_can_fail_and_not_pass(offline: Bench) -> None:
    for accuracy, status in ((0.94, "inconclusive"), (0.75, "failed")):
        write(offline, rows(accuracy))
        assert judged(offline, of_live="sampling: unknown").status == status


# History.


def history(found: Result) -> tuple[int, str]:
    return found.details["history"]["n"], found.details["history"]["sha256"]


LEDGER = "policy: {ledger: looks.jsonl}"


def test_a_log_that_grows_keeps_its_history(offline: Bench) -> None:
    log = rows(0.9)
    told = []
    for upto in (100, 400, 400, ROWS):
        write(offline, log, upto)
        found = judged(offline, rest=LEDGER)
        assert found.status != "errored", found.message
        told.append(history(found))
    assert told[1] == told[2]
    assert len(set(told)) == 3


@pytest.mark.parametrize("change", ["label", "answer", "removed", "inserted"])
def test_a_log_that_was_rewritten_is_found_out(offline: Bench, change: str) -> None:
    log = rows(0.9)
    write(offline, log, 400)
    assert judged(offline, rest=LEDGER).status != "errored"
    old = int(np.flatnonzero(log["at"] == 30)[0])
    if change == "label":
        log["label"][old] = (log["label"][old] + 1) % 3
    elif change == "answer":
        log["m"][old] = (log["m"][old] + 1) % 3
    elif change == "removed":
        log["at"][old] = ROWS + 1
    else:
        log["at"][int(np.flatnonzero(log["at"] == 600)[0])] = 29
    write(offline, log, 700)
    found = judged(offline, rest=LEDGER)
    assert found.status == "errored"
    assert "the first 400 labels of split 'live' are not those of the last look" in found.message
    write(offline, log, 20)
    assert judged(offline, rest=LEDGER).status == "errored"


def test_the_same_labels_give_the_same_digest_however_the_rows_lie(offline: Bench) -> None:
    log = rows(0.9)
    write(offline, log, 300)
    first = history(judged(offline))
    order = np.random.default_rng(1).permutation(ROWS)
    ids = np.array([f"live-{row:05d}" for row in range(ROWS)])[order]
    moved = {name: values[order] for name, values in log.items()}
    write(offline, moved, 300, id=ids.tolist())
    assert history(judged(offline)) == first


def test_what_the_view_remembers_must_be_there() -> None:
    view = View({"offline": seen("offline", 90, 100)}, "v", history=History(5, "x"))
    with pytest.raises(EvidenceError, match="live"):
        CanaryDrop(max_drop=0.05).evaluate(view)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"live": "offline"}, "live:"), ({"max_drop": 1.0}, "max_drop:"), ({"confidence": 0}, "conf")],
)
def test_questions_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CanaryDrop(**{"max_drop": 0.05, **options})
