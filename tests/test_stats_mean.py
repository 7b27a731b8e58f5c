"""Bounds on means: the exact limits that they hold within them, and simulated errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import skew as scipy_skew

from modelchecks.stats import (
    Estimate,
    TooFewRowsError,
    bounded_mean,
    clopper_pearson,
    clustered_proportion,
    unbounded_mean,
    weighted_proportion,
)

FIXED = settings(derandomize=True, deadline=None)
REPLICATES = 3_000
# alpha + 0.3 points + 3 standard errors.
ALLOWED = 0.053 + 3 * math.sqrt(0.05 * 0.95 / REPLICATES)
BITS = st.lists(st.integers(0, 1), min_size=1, max_size=60)


class TestEqualWeights:
    @FIXED
    @given(st.integers(1, 3_000), st.data(), st.floats(0.001, 0.4))
    def test_are_clopper_and_pearson(self, n: int, data: st.DataObject, alpha: float) -> None:
        x = data.draw(st.one_of(st.just(0), st.just(n), st.integers(0, n)))
        rows = np.repeat([1, 0], [x, n - x])
        share = bounded_mean(rows, alpha=alpha)
        lower, upper = clopper_pearson(x, n, alpha=alpha)
        assert share.value == pytest.approx(x / n)
        assert share.lower_bound == pytest.approx(float(lower), abs=1e-9)
        assert share.upper_bound == pytest.approx(float(upper), abs=1e-9)
        low, high = clopper_pearson(x, n, alpha=0.025)
        assert (share.low, share.high) == pytest.approx((float(low), float(high)), abs=1e-9)
        assert (share.n, share.alpha) == (n, alpha)

    @FIXED
    @given(BITS, st.floats(0.01, 100))
    def test_the_unit_of_the_weights_does_not_matter(self, bits: list[int], unit: float) -> None:
        weighted = weighted_proportion(bits, np.full(len(bits), unit))
        plain = bounded_mean(bits)
        assert weighted.lower_bound == pytest.approx(plain.lower_bound, abs=1e-9)
        assert weighted.upper_bound == pytest.approx(plain.upper_bound, abs=1e-9)

    @FIXED
    @given(BITS)
    def test_a_group_for_each_row_is_no_group(self, bits: list[int]) -> None:
        grouped = clustered_proportion(bits, np.arange(len(bits)))
        plain = bounded_mean(bits)
        assert grouped.lower_bound == pytest.approx(plain.lower_bound, abs=1e-9)
        assert grouped.upper_bound == pytest.approx(plain.upper_bound, abs=1e-9)


class TestBounded:
    def test_one_weighted_limit_by_hand(self) -> None:
        # Weights 1/3 and 2/3 on a right and a wrong row; one more row weighs 3/5 of all.
        w, c = np.array([1 / 3, 2 / 3]), np.array([1.0, 0.0])
        one = float((w**3).sum() / (w**2).sum())
        mean = (1 / 3 + one) / (1 + one)
        variance = (((w * (c - mean)) ** 2).sum() + (one * (1 - mean)) ** 2) / (1 + one) ** 2
        rows = mean * (1 - mean) / variance
        share = weighted_proportion(c, [1, 2])
        assert one == pytest.approx(0.6)
        assert share.upper_bound == pytest.approx(beta.ppf(0.95, mean * rows, (1 - mean) * rows))

    def test_identical_rows_of_a_group_count_once(self) -> None:
        groups = np.repeat(np.arange(30), 10)
        right = (groups < 27).astype(int)
        grouped, alone = clustered_proportion(right, groups), bounded_mean(right[::10])
        assert grouped.lower_bound == pytest.approx(alone.lower_bound)
        assert grouped.upper_bound == pytest.approx(alone.upper_bound)
        assert (grouped.n, alone.n) == (300, 30)

    def test_groups_may_be_names_and_have_weights(self) -> None:
        names = np.array(["u", "u", "v", "w"])
        share = clustered_proportion([1, 0, 1, 1], names, weights=[1, 3, 2, 2])
        assert share.value == pytest.approx(5 / 8)
        same = bounded_mean([0.25, 1, 1], weights=[4, 2, 2])
        assert share.lower_bound == pytest.approx(same.lower_bound)

    def test_scales_with_the_bound(self) -> None:
        values = np.random.default_rng(0).random(50)
        one, two = bounded_mean(values), bounded_mean(2 * values, largest=2.0)
        for name in ("value", "low", "high", "lower_bound", "upper_bound"):
            assert getattr(two, name) == pytest.approx(2 * getattr(one, name))

    @FIXED
    @given(
        st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 50)), min_size=1, max_size=40),
        st.floats(0.001, 0.4),
    )
    def test_bounds_lie_in_order(self, rows: list[tuple[float, float]], alpha: float) -> None:
        values, weights = (np.array(side) for side in zip(*rows, strict=True))
        mean = bounded_mean(values, weights=weights, alpha=alpha)
        slack = 1e-9
        assert 0 <= mean.lower_bound <= mean.value + slack
        assert mean.value - slack <= mean.upper_bound <= 1
        assert 0 <= mean.low <= mean.value + slack <= mean.high + 2 * slack

    def test_rows_without_weight_say_nothing(self) -> None:
        with_them = weighted_proportion([1, 0, 1, 0], [1, 1, 2, 0])
        without = weighted_proportion([1, 0, 1], [1, 1, 2])
        assert with_them.lower_bound == pytest.approx(without.lower_bound)
        assert with_them.upper_bound == pytest.approx(without.upper_bound)


class TestErrors:
    """Where hard rows weigh more, n_eff = (sum w)² / sum w² errs in 6.8 %; DEFF in up to 17 %."""

    @pytest.mark.parametrize("n", [50, 500])
    @pytest.mark.parametrize(
        ("weights", "shares", "accuracies"),
        [
            ((1, 5), (0.5, 0.5), (0.94, 0.94)),
            ((1, 20), (0.9, 0.1), (0.99, 0.85)),
            ((0.2, 1, 5), (0.4, 0.4, 0.2), (0.99, 0.95, 0.9)),
        ],
    )
    def test_of_weighted_rows(
        self, n: int, weights: tuple[float, ...], shares: tuple[float, ...], accuracies: object
    ) -> None:
        draw, estimates = np.random.default_rng(2), []
        weight, accuracy = np.array(weights), np.array(accuracies)
        for _ in range(REPLICATES):
            kind = draw.choice(len(weight), size=n, p=shares)
            right = draw.random(n) < accuracy[kind]
            estimates.append(weighted_proportion(right, weight[kind]))
        share = np.array(shares)
        _within(estimates, float((share * weight) @ accuracy / (share @ weight)))

    @pytest.mark.parametrize("groups", [10, 60])
    @pytest.mark.parametrize("alike", [0.1, 0.5])
    def test_of_clusters_of_unequal_size(self, groups: int, alike: float) -> None:
        draw, estimates, p = np.random.default_rng(3), [], 0.9
        k = (1 - alike) / alike
        for _ in range(REPLICATES):
            sizes = 1 + draw.geometric(0.1, groups)
            names = np.repeat(np.arange(groups), sizes)
            right = draw.random(len(names)) < draw.beta(p * k, (1 - p) * k, groups)[names]
            estimates.append(clustered_proportion(right, names))
        _within(estimates, p)

    @pytest.mark.parametrize(("n", "wrong"), [(50, 0.006), (50, 0.1), (500, 0.02)])
    def test_of_a_brier_score_whose_large_values_are_rare(self, n: int, wrong: float) -> None:
        draw, estimates = np.random.default_rng(4), []
        for _ in range(REPLICATES):
            p = np.where(draw.random(n) < wrong, draw.uniform(0.7, 1, n), draw.uniform(0, 0.1, n))
            estimates.append(bounded_mean(2 * p**2, largest=2.0))
        large, small = (1 - 0.7**3) / (3 * 0.3), 0.1**2 / 3
        _within(estimates, 2 * (wrong * large + (1 - wrong) * small))


def _within(estimates: list[Estimate], true: float) -> None:
    assert np.mean([true < e.lower_bound for e in estimates]) <= ALLOWED
    assert np.mean([true > e.upper_bound for e in estimates]) <= ALLOWED
    assert np.mean([e.low <= true <= e.high for e in estimates]) >= 0.94


def hall_again(x: NDArray[np.float64], z: float) -> float:
    """Return Hall's limit: the mean less the step times the inverse of his cubic at z."""
    n, g = len(x), scipy_skew(x)
    root = math.cbrt(1 + g / math.sqrt(n) * (z - g / (6 * math.sqrt(n))))
    return float(x.mean() - x.std() / math.sqrt(n) * (3 * math.sqrt(n) / g) * (root - 1))


class TestUnbounded:
    def test_is_halls_cubic_with_one_more_of_the_farthest(self) -> None:
        x = np.random.default_rng(0).exponential(size=80)
        mean = unbounded_mean(x)
        assert mean.value == x.mean()
        lowest, highest = np.append(x, x.min()), np.append(x, x.max())
        z, wide = 1.6448536269514722, 1.959963984540054
        assert mean.lower_bound == pytest.approx(hall_again(lowest, z), abs=1e-9)
        assert mean.upper_bound == pytest.approx(hall_again(highest, -z), abs=1e-9)
        assert mean.low == pytest.approx(hall_again(lowest, wide), abs=1e-9)
        assert mean.high == pytest.approx(hall_again(highest, -wide), abs=1e-9)

    def test_is_the_normal_interval_where_nothing_is_skew(self) -> None:
        x = np.concatenate([np.linspace(-1, 1, 2001)])
        mean, step = unbounded_mean(x), x.std() / math.sqrt(2001)
        assert mean.lower_bound == pytest.approx(-1.645 * step, rel=0.03)
        assert mean.upper_bound == pytest.approx(1.645 * step, rel=0.03)

    @FIXED
    @given(st.lists(st.floats(-50, 50), min_size=20, max_size=60), st.floats(0.001, 0.4))
    def test_bounds_lie_in_order_and_move_with_the_values(
        self, values: list[float], alpha: float
    ) -> None:
        x = np.array(values)
        if np.ptp(x) < 1e-3:
            return
        mean = unbounded_mean(x, alpha=alpha)
        assert mean.lower_bound < mean.upper_bound
        assert mean.low < mean.high
        moved = unbounded_mean(3 * x + 7, alpha=alpha)
        assert moved.upper_bound == pytest.approx(3 * mean.upper_bound + 7, abs=1e-6)
        mirrored = unbounded_mean(-x, alpha=alpha)
        assert mirrored.lower_bound == pytest.approx(-mean.upper_bound, abs=1e-6)

    @pytest.mark.parametrize("n", [30, 300])
    @pytest.mark.parametrize("shape", [0.5, 2.0])
    def test_errs_no_more_often_than_allowed_on_skewed_values(self, n: int, shape: float) -> None:
        draw = np.random.default_rng(5)
        estimates = [unbounded_mean(draw.gamma(shape, size=n)) for _ in range(REPLICATES)]
        _within(estimates, shape)

    @pytest.mark.parametrize("x", [np.arange(19.0), np.full(50, 0.3)])
    def test_too_few_or_equal_rows(self, x: NDArray[np.float64]) -> None:
        with pytest.raises(TooFewRowsError, match=r"^values: "):
            unbounded_mean(x)


class TestInvalidInput:
    @pytest.mark.parametrize(
        "values", [[], [[1.0]], [math.nan], [math.inf], ["a"], [None], 3.0], ids=repr
    )
    def test_values(self, values: object) -> None:
        with pytest.raises(ValueError, match=r"^values: "):
            bounded_mean(values)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^values: "):
            unbounded_mean(values)  # type: ignore[arg-type]

    def test_values_out_of_bounds(self) -> None:
        with pytest.raises(ValueError, match=r"^values: "):
            bounded_mean([0.5, 1.5])
        with pytest.raises(ValueError, match=r"^values: "):
            bounded_mean([0.5, -0.1])
        with pytest.raises(ValueError, match=r"^largest: "):
            bounded_mean([0.5], largest=math.inf)
        with pytest.raises(ValueError, match=r"^correct: "):
            weighted_proportion([0.5], [1])
        with pytest.raises(ValueError, match=r"^correct: "):
            clustered_proportion([math.nan], [1])

    @pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, math.nan], ["a", "b"]])
    def test_weights(self, weights: object) -> None:
        with pytest.raises(ValueError, match=r"^weights: "):
            weighted_proportion([1, 0], weights)  # type: ignore[arg-type]

    @pytest.mark.parametrize("groups", [[1], [1.0, math.nan], np.array(["a", None], dtype=object)])
    def test_groups(self, groups: object) -> None:
        with pytest.raises(ValueError, match=r"^groups: "):
            clustered_proportion([1, 0], groups)  # type: ignore[arg-type]

    @pytest.mark.parametrize("alpha", [math.nan, 0, 0.5])
    def test_alpha(self, alpha: float) -> None:
        with pytest.raises(ValueError, match=r"^alpha: "):
            bounded_mean([1, 0], alpha=alpha)
        with pytest.raises(ValueError, match=r"^alpha: "):
            unbounded_mean(np.arange(30), alpha=alpha)
