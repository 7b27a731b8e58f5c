"""Reuse of a test set: sums in closed form, and the best of several by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from modelchecks.stats import (
    alpha_spending,
    alpha_spent,
    best_of_drop,
    best_of_optimism,
    proportion_drop,
)

FIXED = settings(derandomize=True, deadline=None)
BOUNDED = [("equal", 20), ("halving", None), ("inverse_square", None)]


class TestSpending:
    @pytest.mark.parametrize(("rule", "looks"), BOUNDED)
    @pytest.mark.parametrize("alpha", [0.01, 0.05])
    def test_never_spends_more_than_alpha(self, rule, looks, alpha) -> None:
        spent = [alpha_spent(n, alpha=alpha, rule=rule, declared=looks) for n in range(21)]
        assert spent[0] == 0
        assert spent == sorted(spent)
        assert alpha / 2 < spent[-1] <= alpha * (1 + 1e-12)

    @pytest.mark.parametrize("rule", ["halving", "inverse_square"])
    def test_spends_all_in_the_end(self, rule) -> None:
        assert alpha_spent(3_000, alpha=0.05, rule=rule) == pytest.approx(0.05, rel=3e-4)

    def test_without_a_rule_every_look_costs(self) -> None:
        assert alpha_spent(4, alpha=0.05, rule="none") == pytest.approx(0.2)
        assert alpha_spent(100, alpha=0.05, rule="none") == 1

    def test_closed_forms(self) -> None:
        assert alpha_spending(3, alpha=0.08, rule="halving") == 0.01
        assert alpha_spending(7, alpha=0.05, rule="equal", looks=10) == 0.005
        assert alpha_spending(2, alpha=0.05, rule="inverse_square") == pytest.approx(
            0.05 / (4 * sum(1 / k**2 for k in range(1, 200_000))), rel=1e-4
        )

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ({"look": 0, "rule": "none"}, "look"),
            ({"look": math.nan, "rule": "none"}, "look"),
            ({"look": 1.5, "rule": "halving"}, "look"),
            ({"look": 1, "rule": "none", "alpha": math.nan}, "alpha"),
            ({"look": 1, "rule": "bonferroni"}, "rule"),
            ({"look": 1, "rule": "equal"}, "looks"),
            ({"look": 1, "rule": "halving", "looks": 3}, "looks"),
            ({"look": 1, "rule": "equal", "looks": 0}, "looks"),
            ({"look": 4, "rule": "equal", "looks": 3}, "look"),
        ],
    )
    def test_names_the_argument_that_is_wrong(self, arguments, named) -> None:
        with pytest.raises(ValueError, match=rf"^{named}: "):
            alpha_spending(**arguments)

    def test_looks_so_far_are_a_count(self) -> None:
        with pytest.raises(ValueError, match=r"^looks: "):
            alpha_spent(-1, rule="none")


def limit(correct: np.ndarray, n: int, level: float) -> np.ndarray:
    return beta.ppf(level, correct, n - correct + 1)


class TestBestOf:
    @FIXED
    @given(st.integers(1, 500), st.integers(0, 200), st.integers(2, 50), st.floats(0.01, 0.2))
    def test_equals_the_rule_written_again(self, correct, right, variants, alpha) -> None:
        best = best_of_drop(correct, 500, right, 200, variants=variants, alpha=alpha)
        plain = proportion_drop(correct, 500, right, 200, alpha=alpha)
        centre = limit(correct, 500, 1 - 0.5 ** (1 / variants))
        lowest = limit(correct, 500, alpha / variants)
        high = beta.isf(alpha, right + 1, 200 - right) if right < 200 else 1.0
        live = right / 200
        expected = centre - live - math.sqrt((centre - lowest) ** 2 + (high - live) ** 2)
        assert best.lower_bound == pytest.approx(expected, abs=1e-9)
        assert (best.value, best.low, best.high) == (plain.value, plain.low, plain.high)
        assert best.upper_bound == plain.upper_bound
        assert best.lower_bound < plain.lower_bound

    def test_the_best_of_one_is_no_choice(self) -> None:
        assert best_of_drop(94, 100, 88, 100, variants=1) == proportion_drop(94, 100, 88, 100)

    def test_none_right_offline(self) -> None:
        assert best_of_drop(0, 100, 0, 100, variants=3).lower_bound <= 0

    @pytest.mark.parametrize("variants", [3, 50])
    @pytest.mark.parametrize("offline_n", [500, 10_000])
    def test_luck_fails_no_more_than_alpha(self, variants: int, offline_n: int) -> None:
        # Equal variants, a drop of exactly the margin. Without the correction, up to 72 % fail.
        draw = np.random.default_rng([variants, offline_n])
        runs, wrong = 1_500, 0
        for _ in range(runs):
            best = int(draw.binomial(offline_n, 0.94, variants).max())
            drop = best_of_drop(
                best, offline_n, draw.binomial(1_000, 0.89), 1_000, variants=variants
            )
            wrong += drop.lower_bound > 0.05
        assert wrong / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)

    @pytest.mark.parametrize("variants", [0, -1, 1.5, math.nan, None])
    def test_variants_are_a_count(self, variants) -> None:
        with pytest.raises(ValueError, match=r"^variants: "):
            best_of_drop(94, 100, 88, 100, variants=variants)
        with pytest.raises(ValueError, match=r"^variants: "):
            best_of_optimism(0.9, 100, variants=variants)


class TestOptimism:
    def test_of_one_is_none(self) -> None:
        assert best_of_optimism(0.9, 100, variants=1) == pytest.approx(0, abs=1e-12)

    def test_of_one_row_is_the_chance_that_any_is_right(self) -> None:
        assert best_of_optimism(0.3, 1, variants=4) == pytest.approx(1 - 0.7**4 - 0.3)

    def test_equals_simulation(self) -> None:
        best = np.random.default_rng(0).binomial(500, 0.94, (20_000, 10)).max(axis=1) / 500
        expected = best.mean() - 0.94
        spread = 4 * best.std() / math.sqrt(20_000)
        assert best_of_optimism(0.94, 500, variants=10) == pytest.approx(expected, abs=spread)

    @pytest.mark.parametrize("accuracy", [0, 1])
    def test_certainty_leaves_no_luck(self, accuracy: float) -> None:
        assert best_of_optimism(accuracy, 100, variants=5) == pytest.approx(0, abs=1e-12)

    @pytest.mark.parametrize("accuracy", [math.nan, -0.1, 1.1])
    def test_accuracy_is_a_share(self, accuracy: float) -> None:
        with pytest.raises(ValueError, match=r"^accuracy: "):
            best_of_optimism(accuracy, 100, variants=5)
