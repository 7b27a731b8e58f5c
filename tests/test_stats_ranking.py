"""The order of variants and the line of their accuracies: against scipy, and known worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kendalltau, linregress, norm

from modelchecks.stats import accuracy_line, rank_agreement
from modelchecks.stats.ranking import _resampled, tau_b

FIXED = settings(derandomize=True, deadline=None)


def answers(accuracies: list[float], n: int, seed: int) -> NDArray[np.bool_]:
    """Return which rows are right: rows are hard or easy for all variants alike."""
    draw = np.random.default_rng(seed)
    ease = 0.8 * draw.standard_normal((n, 1)) + 0.6 * draw.standard_normal((n, len(accuracies)))
    return ease < norm.ppf(accuracies)


class TestRanks:
    @FIXED
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12))
    def testtau_b_equals_scipy(self, pairs: list[tuple[int, int]]) -> None:
        a, b = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
        expected = kendalltau(a, b).statistic if np.ptp(a) and np.ptp(b) else 0.0
        assert tau_b(a[None], b[None])[0] == pytest.approx(expected, abs=1e-12)

    def test_resampling_patterns_is_resampling_rows(self) -> None:
        right = answers([0.9, 0.8, 0.7, 0.6, 0.5], 400, 0)
        counts = _resampled(right, 20_000, np.random.default_rng(0))
        assert counts.mean(0) == pytest.approx(right.sum(0), abs=0.4)
        covariance = 400 * np.cov(right.T, ddof=0)
        assert np.cov(counts.T) == pytest.approx(covariance, rel=0.1, abs=1.5)

    def test_a_clear_order_that_holds(self) -> None:
        accuracies = [0.95, 0.90, 0.84, 0.77, 0.69]
        agreement = rank_agreement(
            answers(accuracies, 4000, 1), answers([p - 0.2 for p in accuracies], 2000, 2)
        )
        assert (agreement.tau, agreement.low, agreement.high) == (1, 1, 1)
        assert agreement.best_is_best > 0.99
        assert agreement.n == 2000

    def test_a_reversed_order(self) -> None:
        accuracies = [0.95, 0.90, 0.84, 0.77, 0.69]
        agreement = rank_agreement(answers(accuracies, 4000, 1), answers(accuracies[::-1], 2000, 2))
        assert (agreement.tau, agreement.best_is_best) == (-1, 0)

    def test_equal_variants_agree_by_chance(self) -> None:
        same = [0.9] * 5
        agreement = rank_agreement(answers(same, 3000, 3), answers(same, 3000, 4))
        assert agreement.low < 0 < agreement.high
        assert agreement.low <= agreement.tau <= agreement.high
        assert 0.02 < agreement.best_is_best < 0.6

    def test_identical_variants_share_the_first_place(self) -> None:
        one = answers([0.9], 200, 5).repeat(5, axis=1)
        agreement = rank_agreement(one, one)
        assert (agreement.tau, agreement.best_is_best) == (0, 1)

    def test_the_seed_decides(self) -> None:
        a, b = answers([0.9, 0.89, 0.88, 0.87, 0.86], 500, 1), answers([0.8] * 5, 500, 2)
        assert rank_agreement(a, b, resamples=200) == rank_agreement(a, b, resamples=200)
        assert rank_agreement(a, b, resamples=200) != rank_agreement(a, b, resamples=200, seed=1)

    @pytest.mark.parametrize(
        ("offline", "live", "name"),
        [
            (np.ones((9, 4)), np.ones((9, 4)), "offline"),
            (np.ones((9, 5)), np.ones((9, 6)), "live"),
            (np.ones((0, 5)), np.ones((9, 5)), "offline"),
            (np.ones((9, 5)), np.full((9, 5), 0.5), "live"),
            (np.full((9, 5), math.nan), np.ones((9, 5)), "offline"),
            (np.ones(9), np.ones((9, 5)), "offline"),
            (np.full((9, 5), "x"), np.ones((9, 5)), "offline"),
        ],
    )
    def test_names_the_argument(self, offline: object, live: object, name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            rank_agreement(offline, live)  # type: ignore[arg-type]

    def test_refuses_no_resamples(self) -> None:
        with pytest.raises(ValueError, match=r"^resamples: "):
            rank_agreement(np.ones((9, 5)), np.ones((9, 5)), resamples=0)


class TestLine:
    @FIXED
    @given(st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)), min_size=3))
    def test_equals_scipy_on_the_probit_scale(self, pairs: list[tuple[float, float]]) -> None:
        offline, live = (np.array(side) for side in zip(*pairs, strict=True))
        if np.ptp(offline) < 1e-3 or np.ptp(live) < 1e-3:
            return
        line = accuracy_line(offline, live)
        fit = linregress(norm.ppf(offline), norm.ppf(live))
        assert line.slope == pytest.approx(fit.slope, abs=1e-7)
        assert line.intercept == pytest.approx(fit.intercept, abs=1e-7)
        assert line.r_squared == pytest.approx(fit.rvalue**2, abs=1e-7)

    def test_variants_on_the_line_have_no_robustness_of_their_own(self) -> None:
        offline = np.array([0.7, 0.8, 0.9, 0.95])
        live = norm.cdf(0.8 * norm.ppf(offline) - 0.4)
        line = accuracy_line(offline, live)
        assert (line.slope, line.intercept) == pytest.approx((0.8, -0.4))
        assert line.r_squared == pytest.approx(1)
        assert line.residuals == pytest.approx([0, 0, 0, 0], abs=1e-12)

    def test_a_variant_above_the_line_stands_out(self) -> None:
        offline = np.linspace(0.6, 0.95, 12)
        live = norm.cdf(norm.ppf(offline) - 0.5)
        live[4] += 0.1
        line = accuracy_line(offline, live)
        assert int(np.argmax(line.residuals)) == 4
        assert line.residuals[4] == pytest.approx(0.1, abs=0.02)

    def test_equal_live_accuracies_lie_on_a_flat_line(self) -> None:
        line = accuracy_line(np.array([0.7, 0.8, 0.9]), np.array([0.6, 0.6, 0.6]))
        assert (line.slope, line.r_squared) == (pytest.approx(0), 1)

    @pytest.mark.parametrize(
        ("offline", "live", "name"),
        [
            ([0.7, 0.8], [0.7, 0.8], "offline"),
            ([0.7, 0.8, 0.9], [0.7, 0.8], "live"),
            ([0.7, 0.8, 1.0], [0.7, 0.8, 0.9], "offline"),
            ([0.7, 0.8, 0.9], [0.7, 0.8, math.nan], "live"),
            ([0.8, 0.8, 0.8], [0.7, 0.8, 0.9], "offline"),
            (["a", "b", "c"], [0.7, 0.8, 0.9], "offline"),
        ],
    )
    def test_names_the_argument(self, offline: object, live: object, name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            accuracy_line(offline, live)  # type: ignore[arg-type]
