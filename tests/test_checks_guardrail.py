"""guardrail: coverage by simulation on laws with known values, and every way of comparing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelchecks import load_suite, run_suite
from modelchecks.check import View
from modelchecks.checks.guardrail import Guardrail
from modelchecks.evidence import Evidence
from modelchecks.results import Result, Run
from tests.conftest import Bench

REPLICATES = 2000
ERROR = 3 * (0.05 * 0.95 / REPLICATES) ** 0.5


class Rows:
    """A log's column, as evidence of it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.split, self.meta, self.drawn = values, "live", {}, frozenset()

    def sample(self, name: str) -> np.ndarray:
        return self.values


def estimate(check: Guardrail, values: np.ndarray) -> Any:
    evidence: Evidence = Rows(values)  # type: ignore[assignment]
    return check.evaluate(View({"live": evidence})).estimate


LAWS: dict[str, tuple[dict[str, Any], Any, float]] = {
    # name: parameters, how rows are drawn, the true value
    "rate near 1": ({"statistic": "rate"}, lambda d, n: d.random(n) < 0.98, 0.98),
    "rate near 0": ({"statistic": "rate"}, lambda d, n: d.random(n) < 0.01, 0.01),
    "stars": (
        {"statistic": "mean", "range": (1.0, 5.0)},
        lambda d, n: d.choice([1, 2, 3, 4, 5], n, p=[0.02, 0.03, 0.05, 0.2, 0.7]),
        4.53,
    ),
    "lognormal mean": (
        {"statistic": "mean"},
        lambda d, n: np.exp(0.5 * d.standard_normal(n)),
        float(np.exp(0.125)),
    ),
    "quantile of a Pareto tail": (
        {"statistic": "quantile", "quantile": 0.95},
        lambda d, n: d.pareto(1.1, n),
        0.05 ** (-1 / 1.1) - 1,
    ),
    "rate over a number": (
        {"statistic": "rate", "over": 3.0},
        lambda d, n: d.exponential(1, n),
        float(np.exp(-3)),
    ),
}


@pytest.mark.parametrize("law", LAWS)
def test_each_bound_errs_in_at_most_five_percent_of_logs(law: str) -> None:
    parameters, drawn, truth = LAWS[law]
    draw = np.random.default_rng([5, *law.encode()])
    check = Guardrail(column="x", at_most=1e9, **parameters)
    found = [estimate(check, drawn(draw, 500)) for _ in range(REPLICATES)]
    above = np.mean([one.lower_bound > truth for one in found])
    below = np.mean([one.upper_bound < truth for one in found])
    assert above <= 0.053 + ERROR
    assert below <= 0.053 + ERROR
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.94 - ERROR


@pytest.fixture
def log(bench: Bench) -> Bench:
    draw = np.random.default_rng(4)
    n = 3000
    day = np.datetime64("2026-10-05", "us") + np.arange(n) * np.timedelta64(6, "m")
    label = draw.integers(0, 4, n)
    who = draw.choice(["good", "bad"], n)
    stars = draw.choice([3, 4, 5], n, p=[0.1, 0.3, 0.6])
    bench.write(
        "live",
        label=label,
        good=label,
        bad=label,
        time=pa.array(day, pa.timestamp("us")),
        model=who.tolist(),
        stars=stars,
        slower=np.where(who == "bad", 1.5, 1.0) * np.exp(0.2 * draw.standard_normal(n)),
        later=np.where(np.arange(n) < n // 2, 4.0, 3.0) + 0.1 * draw.standard_normal(n),
        heavy=draw.pareto(1.2, n),
        error=draw.random(n) < 0.001,
        gaps=pa.array(stars.astype(float), mask=np.arange(n) < 30),
        text=["a"] * n,
        endless=np.where(np.arange(n) == 7, np.inf, 1.0),
    )
    return bench


def judged(log: Bench, check: str, **options: Any) -> Run:
    other = "" if "offline" in check else "\n- accuracy_floor: {split: offline, min_accuracy: 1%}"
    run = run_suite(load_suite(log.suite(f"- guardrail: {{{check}}}{other}", **options)))
    return replace(run, results=tuple(r for r in run.results if r.check == "guardrail"))


@pytest.mark.parametrize(
    ("check", "status", "says"),
    [
        ("column: stars, range: [1, 5], at_least: 4.2", "passed", "4.2 is the least"),
        ("column: stars, range: [1, 5], at_least: 4.7", "failed", "mean of stars"),
        ("column: stars, range: [1, 5], at_least: 4.5", "inconclusive", "would"),
        ("column: error, statistic: rate, at_most: 0.01", "passed", "rate of error"),
        ("column: error, statistic: rate, at_most: 0.001", "inconclusive", "0.1 % is the most"),
        ("column: stars, statistic: rate, under: 4, at_most: 0.05", "failed", "under 4"),
        ("column: heavy, statistic: quantile, quantile: 50%, at_most: 1.5", "passed", "50 %"),
        ("column: heavy, at_most: 500", "inconclusive", "no bound"),
        ("column: later, since: '2026-10-11T06:00', max_fall: 0.2", "failed", "fell by 1"),
        ("column: later, since: '2026-10-11T06:00', max_fall: 1.5", "passed", "fell by 1"),
        ("column: gaps, at_least: 1", "errored", "max_missing: 1%"),
        ("column: gaps, at_least: 1, max_missing: 1%", "passed", "n 2,970"),
        ("column: text, at_least: 1", "errored", "holds no numbers"),
        ("column: endless, at_least: 1", "errored", "infinity"),
        ("column: absent, at_least: 1", "errored", "absent"),
        ("column: stars, range: [1, 4], at_least: 1", "errored", "beyond"),
        ("column: stars, statistic: rate, at_least: 0.1", "errored", "not all 0 and 1"),
        ("column: stars, range: [1, 5], since: '2027-01-01', max_fall: 1", "errored", "none"),
    ],
)
def test_every_kind_of_limit_decides_and_no_gap_passes(
    log: Bench, check: str, status: str, says: str
) -> None:
    (found,) = judged(log, check).results
    assert found.status == status, found.message
    assert says in found.message
    assert found.variant is None


def of(run: Run, variant: str) -> Result:
    return next(result for result in run.results if result.variant == variant)


def test_against_the_champion_each_variant_is_judged_on_the_rows_that_it_answered(
    log: Bench,
) -> None:
    check = "column: slower, statistic: quantile, quantile: 95%, served_by: model, {}"
    rest = "champion: good"
    run = judged(log, check.format("max_relative_rise: 20%"), rest=rest)
    assert of(run, "bad").status == "failed"
    assert "rose by 5" in of(run, "bad").message
    assert of(run, "good").status == "not_applicable"
    assert of(run, "good").structural
    assert of(judged(log, check.format("max_relative_rise: 80%"), rest=rest), "bad").status == (
        "passed"
    )
    assert run.decisions["bad"].verdict == "blocked"
    fixed = judged(log, check.format("at_most: 1.6"), rest=rest)
    assert of(fixed, "good").status == "passed"
    assert of(fixed, "bad").status == "failed"
    none = judged(log, check.format("max_relative_rise: 20%"))
    assert of(none, "bad").status == "errored"


def test_against_another_split(log: Bench) -> None:
    log.write("offline", label=np.zeros(2000, int), good=np.zeros(2000, int),
              bad=np.zeros(2000, int), stars=np.tile([4, 5, 5, 5], 500))  # fmt: skip
    check = "column: stars, range: [1, 5], reference: offline, max_fall: {}"
    assert judged(log, check.format(0.5)).results[0].status == "passed"
    assert judged(log, check.format(0.1)).results[0].status == "failed"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "exactly one"),
        ({"at_least": 1.0, "at_most": 2.0}, "exactly one"),
        ({"max_fall": 1.0}, "needs one of"),
        ({"at_most": 1.0, "reference": "offline"}, "takes no reference"),
        ({"at_most": 1.0, "statistic": "quantile"}, "quantile"),
        ({"at_most": 1.0, "quantile": 0.5}, "quantile"),
        ({"at_most": 1.0, "over": 1.0}, "over"),
        ({"at_most": 1.0, "range": (2.0, 1.0)}, "range"),
        ({"max_fall": 1.0, "since": "yesterday"}, "since"),
        ({"max_fall": 1.0, "reference": "live"}, "same split"),
    ],
)
def test_what_cannot_be_asked_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Guardrail(column="x", **wrong)
