"""latency: beside the champion, measured anew in every run, and no case of the champion's own."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks import load_suite, run_suite
from modelchecks.checks.latency import Latency
from modelchecks.report import record
from modelchecks.results import Run
from modelchecks.run import judge_again
from tests.planted import SIDE, Planted

SLOW = '''

class Slow(Linear):
    """Does its work five hundred times."""

    def forward(self, x):
        for _ in range(500):
            answer = super().forward(x)
        return answer


def slow():
    return Slow()
'''


@pytest.fixture
def two(planted: Planted) -> Planted:
    with (planted.folder / "planted.py").open("a", encoding="utf-8") as file:
        file.write(SLOW)
    images = np.random.default_rng(0).integers(0, 256, (100, SIDE, SIDE), dtype=np.uint8)
    planted.images(images, np.arange(100) % 2)
    kernel = np.ones((1, SIDE, SIDE), np.float32)
    planted.weights("it", weight=kernel, bias=np.zeros(1, np.float32))
    return planted


def judged(two: Planted, check: str, challenger: str, champion: str | None = "quick") -> Run:
    variants = {"quick": "linear", "other": challenger}
    return two.run(check, variants, weights="it", champion=champion)


def test_a_slow_variant_fails_and_the_champion_is_not_compared_with_itself(two: Planted) -> None:
    run = judged(two, "latency: {max_ratio: 2, batch: 32}", "slow")
    quick, other = run.results
    assert quick.status == "not_applicable"
    assert quick.structural
    assert other.status == "failed", other.message
    assert other.severity == "warn"
    assert other.estimate is not None
    assert other.estimate.n == 100
    assert other.details["p95_ms"] >= other.details["median_ms"] > 0


def test_an_equal_one_passes_within_a_wide_limit(two: Planted) -> None:
    run = judged(two, "latency: {max_ratio: 20, max_p95_ratio: 100, batch: 32}", "linear")
    assert run.results[1].status == "passed", run.results[1].message


def test_it_is_measured_in_each_run_and_judged_again_from_the_record(two: Planted) -> None:
    path = two.write(
        "latency: {max_ratio: 20}", {"quick": "linear", "other": "linear"},
        weights="it", champion="quick",
    )  # fmt: skip
    first, second = (run_suite(load_suite(path)) for _ in range(2))
    assert first.results[1].estimate != second.results[1].estimate
    (two.folder / "run.json").write_text(record.dumps(second), "utf-8")
    again = judge_again(load_suite(path), two.folder / "run.json")
    assert again.results[1].estimate == second.results[1].estimate


def test_without_a_champion_nothing_is_compared(two: Planted) -> None:
    run = judged(two, "latency: {max_ratio: 2}", "linear", champion=None)
    assert {r.status for r in run.results} == {"errored"}
    assert all("champion" in r.message for r in run.results)


def test_too_few_pairs_have_no_bounds(two: Planted) -> None:
    run = judged(two, "latency: {max_ratio: 20, pairs: 4}", "linear")
    assert run.results[1].status == "inconclusive"
    run = judged(two, "latency: {max_ratio: 20, max_p95_ratio: 20, pairs: 30}", "linear")
    assert run.results[1].status == "inconclusive"


@pytest.mark.parametrize("wrong", [{"pairs": 0}, {"batch": 0}, {"max_ratio": 0.0}])
def test_what_cannot_be_asked_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Latency(**wrong)
