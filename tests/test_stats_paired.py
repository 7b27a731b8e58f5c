"""Two variants on the same rows: published values, independent oracles, exact errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, multinomial
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from modelchecks.stats import (
    Estimate,
    PairedEstimate,
    decide,
    paired_gain,
    paired_labels_needed,
    proportion_drop,
    unpaired_labels_needed,
)
from modelchecks.stats.paired import mcnemar_mid_p, paired_bounds

FIXED = settings(derandomize=True, deadline=None)
CELL = st.one_of(st.just(0), st.integers(0, 30), st.integers(0, 5_000))
TABLES = st.tuples(CELL, CELL, CELL, CELL).filter(any)


def bounds_again(b: int, c: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the bounds written again, from scipy's beta quantiles and the textbook formula."""

    def limits(x: int) -> tuple[float, float]:
        return (
            beta.ppf(alpha, x, n - x + 1) if x else 0.0,
            beta.isf(alpha, x + 1, n - x) if x < n else 1.0,
        )

    (lb, ub), (lc, uc) = limits(b), limits(c)
    p, q = b / n, c / n
    r = -math.sqrt(p * q / ((1 - p) * (1 - q))) if p < 1 and q < 1 else -1.0

    def spread(one: float, other: float) -> float:
        return math.sqrt(one**2 - 2 * r * one * other + other**2)

    return p - q - spread(p - lb, uc - q), p - q + spread(ub - p, q - lc)


def newcombe_again(a: int, b: int, c: int, d: int) -> tuple[float, float]:
    """Return Newcombe's method 10 with the corrected phi, written again."""
    n = a + b + c + d
    p, q = (a + b) / n, (a + c) / n
    l1, u1 = proportion_confint(a + b, n, alpha=0.05, method="wilson")
    l2, u2 = proportion_confint(a + c, n, alpha=0.05, method="wilson")
    denominator = math.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    top = a * d - b * c
    top = max(top - n / 2, 0) if top > 0 else top
    phi = top / denominator if denominator else 0.0

    def spread(one: float, other: float) -> float:
        return math.sqrt(max(one**2 - 2 * phi * one * other + other**2, 0))

    return p - q - spread(p - l1, u2 - q), p - q + spread(u1 - p, q - l2)


class TestGain:
    def test_published_example(self) -> None:
        gain = paired_gain(430, 15, 5, 50)
        assert gain.value == pytest.approx(0.02)
        assert (round(gain.low, 5), round(gain.high, 5)) == (0.00180, 0.03924)
        assert round(gain.p_value, 6) == 0.026604
        assert (gain.n, gain.only_a, gain.only_b, gain.discordance) == (500, 15, 5, 0.04)

    @pytest.mark.parametrize(
        ("table", "interval"),
        [
            # Newcombe (1998b), method 10, as the paper prints them.
            ((36, 12, 2, 0), (0.0569, 0.3404)),
            ((18, 12, 2, 18), (0.0562, 0.3290)),
            ((0, 12, 2, 36), (0.0569, 0.3404)),
            ((53, 1, 0, 0), (-0.0496, 0.0977)),
            ((54, 0, 0, 0), (-0.0664, 0.0664)),
        ],
    )
    def test_newcombes_own_examples(
        self, table: tuple[int, int, int, int], interval: tuple[float, float]
    ) -> None:
        gain = paired_gain(*table)
        assert (gain.low, gain.high) == pytest.approx(interval, abs=5e-5)

    def test_is_an_estimate_that_the_one_rule_decides(self) -> None:
        gain = paired_gain(430, 15, 5, 50)
        assert isinstance(gain, Estimate)
        assert isinstance(gain, PairedEstimate)
        assert decide(gain, 0.0) == "failed"  # shown to be more than 0: A is better
        assert decide(paired_gain(430, 5, 15, 50), 0.01) == "passed"
        assert not hasattr(gain, "__dict__")

    @FIXED
    @given(TABLES, st.floats(0.001, 0.4))
    def test_equals_the_formulas_written_again(
        self, table: tuple[int, int, int, int], alpha: float
    ) -> None:
        gain = paired_gain(*table, alpha=alpha)
        n = sum(table)
        assert (gain.lower_bound, gain.upper_bound) == pytest.approx(
            bounds_again(table[1], table[2], n, alpha), abs=1e-9
        )
        assert (gain.low, gain.high) == pytest.approx(newcombe_again(*table), abs=1e-7)

    @FIXED
    @given(TABLES)
    def test_swapping_the_variants_negates_everything(
        self, table: tuple[int, int, int, int]
    ) -> None:
        a, b, c, d = table
        gain, loss = paired_gain(a, b, c, d), paired_gain(a, c, b, d)
        assert gain.value == -loss.value
        assert (gain.lower_bound, gain.upper_bound) == pytest.approx(
            (-loss.upper_bound, -loss.lower_bound), abs=1e-12
        )
        assert (gain.low, gain.high) == pytest.approx((-loss.high, -loss.low), abs=1e-12)
        assert gain.p_value == loss.p_value

    @FIXED
    @given(TABLES)
    def test_bounds_lie_in_order_within_minus_1_and_1(
        self, table: tuple[int, int, int, int]
    ) -> None:
        gain, slack = paired_gain(*table), 1e-12
        assert -1 - slack <= gain.lower_bound <= gain.value <= gain.upper_bound <= 1 + slack
        assert -1 - slack <= gain.low <= gain.value <= gain.high <= 1 + slack

    @FIXED
    @given(TABLES)
    def test_one_more_row_for_a_never_lowers_a_bound(
        self, table: tuple[int, int, int, int]
    ) -> None:
        a, b, c, d = table
        assume(c > 0)
        before, after = paired_gain(a, b, c, d), paired_gain(a, b + 1, c - 1, d)
        assert after.lower_bound >= before.lower_bound - 1e-12
        assert after.upper_bound >= before.upper_bound - 1e-12

    @pytest.mark.parametrize("table", [(3, 0, 0, 0), (0, 0, 0, 3), (0, 9, 0, 0), (0, 4, 5, 0)])
    def test_tables_with_empty_cells_have_bounds(self, table: tuple[int, int, int, int]) -> None:
        gain = paired_gain(*table)
        assert gain.lower_bound < gain.upper_bound

    def test_pairing_narrows_the_interval(self) -> None:
        # 94 % and 92 % right, agreeing as two good models do.
        paired = paired_gain(900, 40, 20, 40)
        unpaired = proportion_drop(940, 1000, 920, 1000)
        assert (paired.high - paired.low) / (unpaired.high - unpaired.low) < 0.8

    @pytest.mark.parametrize("position", range(4))
    @pytest.mark.parametrize("wrong", [math.nan, 1.5, -1, True, None, "3"], ids=repr)
    def test_names_the_argument_that_is_no_count(self, position: int, wrong: object) -> None:
        table: list[object] = [5, 5, 5, 5]
        table[position] = wrong
        name = ("both", "only_a", "only_b", "neither")[position]
        with pytest.raises(ValueError, match=f"^{name}: "):
            paired_gain(*table)  # type: ignore[arg-type]

    def test_refuses_no_rows_and_a_wrong_alpha(self) -> None:
        with pytest.raises(ValueError, match="no row"):
            paired_gain(0, 0, 0, 0)
        with pytest.raises(ValueError, match=r"^alpha: "):
            paired_gain(5, 5, 5, 5, alpha=0.5)


class TestMidP:
    @FIXED
    @given(st.integers(0, 400), st.integers(0, 400))
    def test_is_mcnemars_exact_p_less_half_of_what_was_seen(self, b: int, c: int) -> None:
        p = mcnemar_mid_p(b, c)
        if b == c:
            assert p == 1
        else:
            exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue
            seen = binomtest(min(b, c), b + c).statistic
            mass = math.comb(b + c, min(b, c)) * 0.5 ** (b + c)
            assert seen == min(b, c) / (b + c)
            assert p == pytest.approx(exact - mass, abs=1e-12)

    @pytest.mark.parametrize("wrong", [-1, 1.5, math.nan])
    def test_names_the_argument(self, wrong: float) -> None:
        with pytest.raises(ValueError, match=r"^only_a: "):
            mcnemar_mid_p(wrong, 1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^only_b: "):
            mcnemar_mid_p(1, wrong)  # type: ignore[arg-type]


def exact_errors(n: int, differ: float, gain: float) -> tuple[float, float]:
    """Return how often the upper bound is below and the lower one above the true gain."""
    b, c = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    inside = b + c <= n
    b, c = b[inside], c[inside]
    shares = [(differ + gain) / 2, (differ - gain) / 2, 1 - differ]
    mass = multinomial.pmf(np.column_stack([b, c, n - b - c]), n, shares)
    lower, upper = paired_bounds(b, c, n, alpha=0.05)
    return mass[upper < gain - 1e-12].sum(), mass[lower > gain + 1e-12].sum()


class TestErrors:
    @pytest.mark.parametrize("n", [30, 100, 200])
    def test_no_bound_errs_more_often_than_allowed(self, n: int) -> None:
        # Exact enumeration: alpha + 0.3 points at the margin.
        for differ in (0.02, 0.05, 0.1, 0.4):
            for gain in (-differ, -0.05, -0.02, 0.0, 0.01, 0.05, differ):
                if abs(gain) <= differ:
                    assert max(exact_errors(n, differ, gain)) <= 0.053

    @pytest.mark.slow
    def test_nor_on_many_rows(self) -> None:
        worst = [exact_errors(800, differ, gain) for differ in (0.03, 0.4) for gain in (0, 0.03)]
        assert 0.04 < np.max(worst) <= 0.053


class TestLabelsNeeded:
    def test_published_figures(self) -> None:
        # At 10 % discordance and +0.6 points, two-sided 5 %: about 21,800 pairs, 73,000 unpaired.
        assert paired_labels_needed(0.006, 0.10, alpha=0.025) == pytest.approx(21_800, rel=0.001)
        assert unpaired_labels_needed(0.790, 0.784, alpha=0.025) == pytest.approx(73_000, rel=0.005)
        assert paired_labels_needed(0.006, 0.10) == pytest.approx(17_172, rel=0.001)

    @pytest.mark.parametrize(
        ("gain", "differ", "margin"),
        [(0.1, 0.2, 0.0), (0.1, 0.1, 0.0), (0.3, 0.4, 0.1), (0.0, 0.1, 0.1), (-0.05, 0.1, 0.05)],
    )
    def test_is_the_smallest_from_which_the_power_holds(
        self, gain: float, differ: float, margin: float
    ) -> None:
        def power(n: int) -> float:
            b, c = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
            inside = b + c <= n
            b, c = b[inside], c[inside]
            shares = [(differ + gain) / 2, (differ - gain) / 2, 1 - differ]
            mass = multinomial.pmf(np.column_stack([b, c, n - b - c]), n, shares)
            lower, upper = paired_bounds(b, c, n, alpha=0.05)
            return float(mass[lower > margin if gain > margin else upper <= margin].sum())

        needed = paired_labels_needed(gain, differ, margin=margin)
        assert needed is not None
        assert power(needed - 1) < 0.8
        assert min(power(n) for n in range(needed, needed + 12)) >= 0.8 - 1e-6

    def test_the_quick_search_is_near_the_careful_one(self) -> None:
        # On either side of the number of differing rows from which bisection is enough.
        near, far = (paired_labels_needed(0.05, differ) for differ in (0.19, 0.21))
        assert near is not None
        assert far is not None
        assert 1.0 < far / near < 1.2

    def test_none_at_the_margin(self) -> None:
        assert paired_labels_needed(0.02, 0.1, margin=0.02) is None
        assert unpaired_labels_needed(0.92, 0.90, margin=0.02 + 1e-12) is None
        assert paired_labels_needed(1e-7, 0.1) is None

    def test_grows_with_what_differs_and_with_power(self) -> None:
        needed = [paired_labels_needed(0.02, differ) or 0 for differ in (0.02, 0.05, 0.1, 0.4)]
        assert needed == sorted(needed)
        assert (paired_labels_needed(0.02, 0.1, power=0.9) or 0) > needed[2]

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"gain": math.nan, "discordance": 0.1}, "gain"),
            ({"gain": 0.2, "discordance": 0.1}, "gain"),
            ({"gain": 0.0, "discordance": 1.1}, "discordance"),
            ({"gain": 0.0, "discordance": 0.1, "margin": math.nan}, "margin"),
            ({"gain": 0.0, "discordance": 0.1, "margin": 0.1, "alpha": 0.7}, "alpha"),
            ({"gain": 0.0, "discordance": 0.1, "margin": 0.1, "power": 1.0}, "power"),
        ],
    )
    def test_names_the_argument(self, arguments: dict[str, float], name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            paired_labels_needed(**arguments)

    def test_unpaired_names_the_argument(self) -> None:
        with pytest.raises(ValueError, match=r"^accuracy_b: "):
            unpaired_labels_needed(0.9, 1.2)
        with pytest.raises(ValueError, match=r"^margin: "):
            unpaired_labels_needed(0.9, 0.8, margin=2)
