"""BCa against scipy's own, and metrics of the user's that are resampled."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap
from sklearn.metrics import f1_score

from modelchecks.stats import Estimate, TooFewRowsError, bootstrap_metric
from modelchecks.stats.bootstrap import bca_limits, blocks


def macro_f1(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    return float(f1_score(labels, probabilities.argmax(1), average="macro"))


def answers(n: int, wrong: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels of three classes and probabilities whose largest is wrong in this share."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    shown = np.where(draw.random(n) < wrong, (labels + draw.integers(1, 3, n)) % 3, labels)
    probabilities = np.full((n, 3), 0.1)
    probabilities[np.arange(n), shown] = 0.8
    return labels, probabilities


class TestLimits:
    @pytest.mark.parametrize("level", [0.80, 0.90, 0.95])
    @pytest.mark.parametrize("statistic", [np.mean, np.std, np.median], ids=lambda f: f.__name__)
    def test_equal_scipys(self, level: float, statistic: object) -> None:
        draw = np.random.default_rng(1)
        x = draw.exponential(size=40)
        resampled = statistic(draw.choice(x, (999, 40)), axis=1)  # type: ignore[operator]
        # scipy computes the interval anew from resamples that it is given.
        theirs = bootstrap(
            (x,),
            statistic,
            n_resamples=0,
            bootstrap_result=SimpleNamespace(bootstrap_distribution=resampled),
            confidence_level=level,
            method="BCa",
        ).confidence_interval
        left_out = np.array([statistic(np.delete(x, i)) for i in range(40)])  # type: ignore[operator]
        levels = np.array([(1 - level) / 2, (1 + level) / 2])
        ours = bca_limits(float(statistic(x)), resampled, left_out, levels)  # type: ignore[operator]
        assert ours == pytest.approx([theirs.low, theirs.high], abs=1e-9)

    def test_counts_stand_for_repeated_rows(self) -> None:
        draw = np.random.default_rng(2)
        resampled, levels = draw.gamma(3, size=500), np.array([0.05, 0.95])
        left_out, counts = np.array([2.9, 3.05, 3.2]), np.array([3, 1, 2])
        once = bca_limits(3.0, resampled, left_out, levels, counts=counts)
        spelled = bca_limits(3.0, resampled, left_out.repeat(counts), levels)
        assert once == pytest.approx(spelled, abs=1e-12)

    def test_a_value_beyond_all_resamples_has_limits(self) -> None:
        limits = bca_limits(9.0, np.linspace(0, 1, 100), np.array([1.0, 2.0]), np.array([0.1, 0.9]))
        assert ((limits >= 0) & (limits <= 1)).all()

    def test_refuses_resamples_that_are_all_equal(self) -> None:
        with pytest.raises(TooFewRowsError):
            bca_limits(1.0, np.ones(100), np.ones(9), np.array([0.05]))


def test_blocks_add_up_and_stay_small() -> None:
    assert sum(blocks(1000, 30_000)) == 1000
    assert max(blocks(1000, 30_000)) <= 4_000_000 // 30_000
    assert list(blocks(3, 10**9)) == [1, 1, 1]


class TestMetric:
    def test_of_the_users_own(self) -> None:
        labels, probabilities = answers(300, 0.1, 0)
        found = bootstrap_metric(macro_f1, labels, probabilities, resamples=300)
        assert isinstance(found, Estimate)
        assert found.value == macro_f1(labels, probabilities)
        assert found.low < found.lower_bound < found.value < found.upper_bound < found.high
        assert (found.n, found.method) == (300, "bca-rows")

    def test_weights_travel_with_their_rows(self) -> None:
        labels, probabilities = answers(200, 0.2, 1)
        weights = np.where(probabilities.argmax(1) == labels, 1.0, 3.0)

        def weighted(truth: object, chance: NDArray[np.float64], w: NDArray[np.float64]) -> float:
            right = chance.argmax(1) == truth
            assert (w == np.where(right, 1.0, 3.0)).all()
            return float(np.average(right, weights=w))

        found = bootstrap_metric(weighted, labels, probabilities, weights=weights, resamples=200)
        assert found.value == np.average(probabilities.argmax(1) == labels, weights=weights)

    def test_the_seed_decides(self) -> None:
        rows = answers(100, 0.2, 2)
        first, again, other = (
            bootstrap_metric(macro_f1, *rows, resamples=100, seed=seed) for seed in (0, 0, 1)
        )
        assert first == again
        assert first != other

    @pytest.mark.slow
    def test_holds_the_truth_as_often_as_promised(self) -> None:
        # 600 replicates: two-sided 95 % and one-sided 5 %, 3 standard errors each.
        def accuracy(truth: NDArray[np.int64], chance: NDArray[np.float64]) -> float:
            return float((chance.argmax(1) == truth).mean())

        found = [
            bootstrap_metric(accuracy, *answers(150, 0.15, seed), resamples=300, seed=seed)
            for seed in range(600)
        ]
        assert np.mean([e.low <= 0.85 <= e.high for e in found]) >= 0.94 - 3 * 0.0097
        assert np.mean([e.lower_bound > 0.85 for e in found]) <= 0.053 + 3 * 0.009
        assert np.mean([e.upper_bound < 0.85 for e in found]) <= 0.053 + 3 * 0.009

    @pytest.mark.parametrize("wrong", [0, 4, 96, 100])
    def test_too_few_wrong_or_right_answers(self, wrong: int) -> None:
        # Resamples of rows that were all right are all right: bounds of 1 on nothing.
        labels = np.zeros(100, dtype=int)
        probabilities = np.tile([0.8, 0.2], (100, 1))
        probabilities[:wrong] = [0.2, 0.8]
        with pytest.raises(TooFewRowsError, match=r"^labels: "):
            bootstrap_metric(macro_f1, labels, probabilities)
        with pytest.raises(TooFewRowsError, match=r"^labels: "):
            bootstrap_metric(lambda y, p: p.mean(), labels, probabilities[:, 1])

    def test_too_few_rows(self) -> None:
        with pytest.raises(TooFewRowsError, match=r"^labels: "):
            bootstrap_metric(macro_f1, *answers(19, 0.5, 0))

    def test_labels_need_not_be_classes(self) -> None:
        draw = np.random.default_rng(3)
        truth, forecast = draw.normal(size=50), draw.normal(size=50)
        found = bootstrap_metric(
            lambda y, f: float(((y - f) ** 2).mean()), truth, forecast, resamples=200
        )
        assert found.lower_bound < found.value < found.upper_bound

    def test_refuses_a_function_that_returns_no_number(self) -> None:
        with pytest.raises(ValueError, match=r"^function: "):
            bootstrap_metric(lambda y, p: math.nan, *answers(50, 0.3, 0))

    def test_a_constant_function_has_no_bounds(self) -> None:
        with pytest.raises(TooFewRowsError):
            bootstrap_metric(lambda y, p: 1.0, *answers(50, 0.3, 0), resamples=100)

    @pytest.mark.parametrize(
        ("labels", "probabilities", "weights", "name"),
        [
            (np.zeros(0), np.zeros(0), None, "labels"),
            (np.float64(3), np.zeros(3), None, "labels"),
            (np.zeros(30), np.zeros(29), None, "probabilities"),
            (np.zeros(30), np.full(30, math.nan), None, "probabilities"),
            (np.zeros(30), np.zeros(30), np.full(30, math.inf), "weights"),
        ],
    )
    def test_names_the_argument(
        self, labels: object, probabilities: object, weights: object, name: str
    ) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            bootstrap_metric(macro_f1, labels, probabilities, weights=weights)  # type: ignore[arg-type]

    def test_names_alpha_and_resamples(self) -> None:
        with pytest.raises(ValueError, match=r"^alpha: "):
            bootstrap_metric(macro_f1, *answers(50, 0.3, 0), alpha=0.6)
        with pytest.raises(ValueError, match=r"^resamples: "):
            bootstrap_metric(macro_f1, *answers(50, 0.3, 0), resamples=99)
