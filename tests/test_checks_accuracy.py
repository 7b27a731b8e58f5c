"""accuracy_drop and accuracy_floor decide as the statistics say, and say what would settle it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks import load_suite, run_suite, stats
from modelchecks.check import View
from modelchecks.checks.accuracy import AccuracyDrop, AccuracyFloor
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.totals import Rows, Totals


def seen(split: str, correct: int, n: int) -> Evidence:
    """Return evidence of n labelled rows of two classes, answered by variant `v`."""
    counts = {
        ("rows",): n,
        ("answered", "v"): n,
        ("label", 1): n,
        ("confusion", "v", 1, 1): correct,
        ("confusion", "v", 1, 0): n - correct,
    }
    edges = {("outputs", "v"): 2.0}
    return Evidence(split, Totals(counts, edges, edges), Rows({}, 10))


def drop(offline: tuple[int, int], live: tuple[int, int], max_drop: float, **options):
    view = View({"offline": seen("offline", *offline), "live": seen("live", *live)}, "v", **options)
    return AccuracyDrop(max_drop=max_drop).evaluate(view)


# The three decisions of the reference values, at 5 pp.
@pytest.mark.parametrize(
    ("live", "status", "words"),
    [
        ((470, 500), "passed", "within the allowed 5 pp"),
        ((400, 500), "failed", "over the allowed 5 pp"),
        ((88, 100), "inconclusive", "labelled live rows would settle it"),
    ],
)
def test_the_reference_cases(live, status, words):
    outcome = drop((9400, 10000), live, 0.05)
    assert outcome.status == status
    assert words in outcome.message
    assert outcome.threshold == {"max_drop": 0.05}
    assert outcome.estimate.method == "mover-cp"
    assert outcome.details["live"]["n"] == live[1]


@given(st.data())
@settings(max_examples=60)
def test_the_status_is_the_decision_rule_and_nothing_else(data):
    n1, n2 = data.draw(st.integers(1, 5000)), data.draw(st.integers(1, 800))
    x1, x2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    limit = data.draw(st.sampled_from([0.0, 0.01, 0.05, 0.25]))
    outcome = drop((x1, n1), (x2, n2), limit)
    estimate = stats.proportion_drop(x1, n1, x2, n2)
    assert outcome.estimate == estimate
    assert outcome.status == stats.decide(estimate, limit)
    assert (outcome.needed is not None) <= (outcome.status == "inconclusive")


def test_the_labels_that_would_settle_it_are_said():
    outcome = drop((9400, 10000), (88, 100), 0.05)
    needed = stats.labels_needed(0.94, 10000, true_drop=0.06, max_drop=0.05)
    assert outcome.needed == needed
    assert f"About {needed:,} labelled live rows would settle it ({needed - 100:,} more)" in (
        outcome.message
    )
    hopeless = drop((9400, 10000), (890, 1000), 0.05)
    assert hopeless.needed is None
    assert "Too close to the limit for any practical number" in hopeless.message
    assert "more labelled offline rows" in hopeless.message


def test_the_message_holds_value_interval_bound_and_n():
    outcome = drop((7899, 10000), (6000, 10000), 0.05)
    assert re.search(r"fell by 19\.0 pp \[17\.\d, 20\.\d\]: offline 79\.0 %", outcome.message)
    assert "(n 10,000)" in outcome.message


def test_rows_of_unknown_origin_can_fail_but_not_pass():
    reason = {"live": "how the labelled rows of 'live' were drawn is unknown"}
    held = drop((9400, 10000), (470, 500), 0.05, cannot_approve=reason)
    assert held.status == "inconclusive"
    assert "was drawn" in held.message or "were drawn" in held.message
    assert drop((9400, 10000), (400, 500), 0.05, cannot_approve=reason).status == "failed"
    other = {"offline": "unknown"}
    assert drop((9400, 10000), (470, 500), 0.05, cannot_approve=other).status == "passed"


@pytest.mark.parametrize(
    ("correct", "n", "status"),
    [(950, 1000, "passed"), (850, 1000, "failed"), (905, 1000, "inconclusive")],
)
def test_the_floor(correct, n, status):
    check = AccuracyFloor(min_accuracy=0.9)
    outcome = check.evaluate(View({"live": seen("live", correct, n)}, "v"))
    assert outcome.status == status
    assert outcome.estimate == stats.proportion(correct, n)
    if status == "inconclusive":
        needed = stats.labels_needed_floor(0.905, floor=0.9)
        assert outcome.needed == needed
        assert f"About {needed:,} labelled rows" in outcome.message
    held = check.evaluate(
        View({"live": seen("live", correct, n)}, "v", cannot_approve={"live": "unknown"})
    )
    assert held.status == ("inconclusive" if status == "passed" else status)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_drop": 0.05, "confidence": 0.5}, "confidence:"),
        ({"max_drop": 0.05, "confidence": 1.0}, "confidence:"),
        ({"max_drop": 0.05, "live": "offline"}, "live:"),
    ],
)
def test_parameters_that_make_no_question_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        AccuracyDrop(**options)


def test_a_missing_split_or_variant_is_an_error():
    check = AccuracyDrop(max_drop=0.05)
    with pytest.raises(EvidenceError, match="offline"):
        check.evaluate(View({}, "v"))
    view = View({"offline": seen("offline", 9, 10), "live": seen("live", 9, 10)}, "w")
    with pytest.raises(EvidenceError, match="'w' has no predictions"):
        check.evaluate(view)


def test_confidence_is_that_of_either_decision(bench):
    """At 99 % a pass at 95 % may stay open: the bounds are wider."""
    bench.log("live", rows=2000, good=0.91, bad=0.5, seed=5)
    checks = (
        "- accuracy_drop: {max_drop: 5pp, confidence: 95%}\n"
        "- accuracy_drop: {max_drop: 5pp, confidence: 99.99%}"
    )
    run = run_suite(load_suite(bench.suite(checks)))
    statuses = {result.case: result.status for result in run.results}
    assert statuses["accuracy_drop[good]"] == "passed"
    assert statuses["accuracy_drop-2[good]"] == "inconclusive"
    assert run.results[2].estimate.alpha == pytest.approx(1e-4)
