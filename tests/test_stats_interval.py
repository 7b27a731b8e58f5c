"""Bounds on a proportion and on a drop: against scipy, statsmodels and published values."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from modelchecks.stats import (
    clopper_pearson,
    decide,
    drop_p_value,
    newcombe,
    proportion,
    proportion_drop,
    wilson,
)

# The same examples in every run, at whatever speed: scipy and statsmodels load late.
FIXED = settings(derandomize=True, deadline=None)
ALPHAS = st.floats(0.001, 0.4)
NAN, INFINITE = math.nan, math.inf


@st.composite
def counts(draw: st.DrawFn, most: int = 20_000) -> tuple[int, int]:
    """Draw (correct, n) with n = 1, none right and all right well represented."""
    n = draw(st.one_of(st.just(1), st.integers(1, 40), st.integers(1, most)))
    return draw(st.one_of(st.just(0), st.just(n), st.integers(0, n))), n


def mover_cp(x1: int, n1: int, x2: int, n2: int, alpha: float) -> tuple[float, float]:
    """Return the bounds of the specification, written again with scipy.stats.beta."""

    def limits(x: int, n: int) -> tuple[float, float]:
        return (
            beta.ppf(alpha, x, n - x + 1) if x else 0.0,
            beta.isf(alpha, x + 1, n - x) if x < n else 1.0,
        )

    (l1, u1), (l2, u2) = limits(x1, n1), limits(x2, n2)
    p1, p2 = x1 / n1, x2 / n2
    return (
        p1 - p2 - math.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2),
        p1 - p2 + math.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2),
    )


class TestClopperPearson:
    @FIXED
    @given(counts(), ALPHAS)
    def test_equals_statsmodels(self, sample: tuple[int, int], alpha: float) -> None:
        low, high = clopper_pearson(*sample, alpha=alpha)
        expected = proportion_confint(*sample, alpha=2 * alpha, method="beta")
        assert (float(low), float(high)) == pytest.approx(expected, abs=1e-9)

    @FIXED
    @given(counts(), ALPHAS)
    def test_each_limit_leaves_a_tail_of_exactly_alpha(
        self, sample: tuple[int, int], alpha: float
    ) -> None:
        # What defines the limits: at them, as much or as little as was seen has probability alpha.
        (x, n), (low, high) = sample, clopper_pearson(*sample, alpha=alpha)
        if x > 0:
            assert binom.sf(x - 1, n, low) == pytest.approx(alpha, rel=1e-6)
        if x < n:
            assert binom.cdf(x, n, high) == pytest.approx(alpha, rel=1e-6)

    @pytest.mark.parametrize("n", [1, 7, 10_000])
    def test_limits_of_none_and_all_have_their_closed_form(self, n: int) -> None:
        low, high = clopper_pearson([0, n], n, alpha=0.05)
        edge = 0.05 ** (1 / n)
        assert low == pytest.approx([0, edge], abs=1e-12)
        assert high == pytest.approx([1 - edge, 1], abs=1e-12)

    def test_arrays_broadcast(self) -> None:
        low, high = clopper_pearson([[3], [4]], [10, 20, 30], alpha=0.1)
        assert low.shape == high.shape == (2, 3)
        assert (low[1, 2], high[1, 2]) == clopper_pearson(4, 30, alpha=0.1)

    def test_effective_rows_may_be_fractions(self) -> None:
        # Korn and Graubard's limits of weighted rows: half a row right is less than one.
        low, high = clopper_pearson(0.5, 10.5, alpha=0.05)
        assert low == pytest.approx(beta.ppf(0.05, 0.5, 11))
        assert high == pytest.approx(beta.ppf(0.95, 1.5, 10))


class TestWilson:
    @FIXED
    @given(counts(), ALPHAS)
    def test_equals_statsmodels(self, sample: tuple[int, int], alpha: float) -> None:
        expected = proportion_confint(*sample, alpha=2 * alpha, method="wilson")
        assert wilson(*sample, alpha=alpha) == pytest.approx(expected, abs=1e-9)

    @FIXED
    @given(counts(), ALPHAS)
    def test_limits_lie_in_order_around_the_share(
        self, sample: tuple[int, int], alpha: float
    ) -> None:
        low, high = wilson(*sample, alpha=alpha)
        assert 0 <= low <= sample[0] / sample[1] <= high <= 1


class TestProportion:
    @FIXED
    @given(counts(), ALPHAS)
    def test_decides_by_clopper_pearson_and_shows_wilson(
        self, sample: tuple[int, int], alpha: float
    ) -> None:
        estimate = proportion(*sample, alpha=alpha)
        bounds = proportion_confint(*sample, alpha=2 * alpha, method="beta")
        shown = proportion_confint(*sample, alpha=0.05, method="wilson")
        assert estimate.value == sample[0] / sample[1]
        assert (estimate.lower_bound, estimate.upper_bound) == pytest.approx(bounds, abs=1e-9)
        assert (estimate.low, estimate.high) == pytest.approx(shown, abs=1e-9)
        assert (estimate.alpha, estimate.n) == (alpha, sample[1])


class TestNewcombe:
    def test_equals_the_published_example(self) -> None:
        # Newcombe (1998), Table II, example (a), method 10.
        assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)

    @FIXED
    @given(counts(), counts(), ALPHAS)
    def test_equals_statsmodels(
        self, first: tuple[int, int], second: tuple[int, int], alpha: float
    ) -> None:
        expected = confint_proportions_2indep(
            *first, *second, method="newcomb", compare="diff", alpha=2 * alpha
        )
        assert newcombe(*first, *second, alpha=alpha) == pytest.approx(expected, abs=1e-9)


class TestDropReferenceValues:
    @pytest.mark.parametrize(
        ("live", "bounds", "decision"),
        [
            ((470, 500), (-0.01698, 0.02087), "passed"),
            ((400, 500), (0.11067, 0.17195), "failed"),
            ((88, 100), (0.01056, 0.12728), "inconclusive"),
        ],
    )
    def test_published_examples(
        self, live: tuple[int, int], bounds: tuple[float, float], decision: str
    ) -> None:
        drop = proportion_drop(9400, 10_000, *live)
        assert (round(drop.lower_bound, 5), round(drop.upper_bound, 5)) == bounds
        assert decide(drop, 0.05) == decision

    # The paper's Table 1, read with 10,000 rows on both sides.
    @pytest.mark.parametrize(
        ("offline", "live", "drop", "bounds", "shown", "at_5", "at_15_5"),
        [
            (9210, 7840, 0.137, (0.128838, 0.145164), (0.127357, 0.146648), "failed", "passed"),
            (
                *(9350, 7790, 0.156, (0.147996, 0.164011), (0.146545, 0.165469)),
                *("failed", "inconclusive"),
            ),
            (
                *(9420, 7900, 0.152, (0.144213, 0.159800), (0.142805, 0.161219)),
                *("failed", "inconclusive"),
            ),
        ],
        ids=["Baseline", "Domain-Adapted", "Curriculum"],
    )
    def test_drops_of_the_source(
        self,
        offline: int,
        live: int,
        drop: float,
        bounds: tuple[float, float],
        shown: tuple[float, float],
        at_5: str,
        at_15_5: str,
    ) -> None:
        estimate = proportion_drop(offline, 10_000, live, 10_000)
        assert round(estimate.value, 6) == drop
        assert (round(estimate.lower_bound, 6), round(estimate.upper_bound, 6)) == bounds
        assert (round(estimate.low, 6), round(estimate.high, 6)) == shown
        assert (decide(estimate, 0.05), decide(estimate, 0.155)) == (at_5, at_15_5)

    @pytest.mark.parametrize(
        ("variant", "baseline", "gain", "interval"),
        [
            (9350, 9210, 1.4, (0.68, 2.12)),
            (7790, 7840, -0.5, (-1.65, 0.65)),
            (9420, 9210, 2.1, (1.40, 2.80)),
            (7900, 7840, 0.6, (-0.53, 1.73)),
        ],
        ids=["adapted offline", "adapted live", "curriculum offline", "curriculum live"],
    )
    def test_gains_over_the_baseline(
        self, variant: int, baseline: int, gain: float, interval: tuple[float, float]
    ) -> None:
        limits = newcombe(variant, 10_000, baseline, 10_000)
        assert round((variant - baseline) / 100, 6) == gain
        assert tuple(round(100 * limit, 2) for limit in limits) == interval


class TestDrop:
    @FIXED
    @given(counts(), counts(), ALPHAS)
    def test_equals_the_specification_written_again(
        self, offline: tuple[int, int], live: tuple[int, int], alpha: float
    ) -> None:
        drop = proportion_drop(*offline, *live, alpha=alpha)
        bounds = mover_cp(*offline, *live, alpha)
        assert (drop.lower_bound, drop.upper_bound) == pytest.approx(bounds, abs=1e-9)
        assert (drop.low, drop.high) == newcombe(*offline, *live)
        assert (drop.n, drop.alpha) == (live[1], alpha)

    @FIXED
    @given(counts(), counts(), ALPHAS)
    def test_bounds_lie_in_order_around_the_drop(
        self, offline: tuple[int, int], live: tuple[int, int], alpha: float
    ) -> None:
        # Chained comparisons are false for NaN, so this also says that none occurs.
        drop = proportion_drop(*offline, *live, alpha=alpha)
        rounding = 1e-12
        assert -1 - rounding <= drop.lower_bound <= drop.value <= drop.upper_bound <= 1 + rounding
        assert -1 - rounding <= drop.low <= drop.value <= drop.high <= 1 + rounding

    @FIXED
    @given(counts(), counts(), ALPHAS, ALPHAS)
    def test_more_certainty_makes_bounds_no_narrower(
        self, offline: tuple[int, int], live: tuple[int, int], one: float, other: float
    ) -> None:
        wide = proportion_drop(*offline, *live, alpha=min(one, other))
        narrow = proportion_drop(*offline, *live, alpha=max(one, other))
        assert wide.lower_bound <= narrow.lower_bound + 1e-12
        assert wide.upper_bound >= narrow.upper_bound - 1e-12

    @FIXED
    @given(counts(), counts(), ALPHAS)
    def test_one_more_correct_live_row_never_raises_a_bound(
        self, offline: tuple[int, int], live: tuple[int, int], alpha: float
    ) -> None:
        correct, n = live
        assume(correct < n)
        before = proportion_drop(*offline, correct, n, alpha=alpha)
        after = proportion_drop(*offline, correct + 1, n, alpha=alpha)
        assert after.lower_bound <= before.lower_bound + 1e-12
        assert after.upper_bound <= before.upper_bound + 1e-12

    @FIXED
    @given(counts(), counts(), ALPHAS)
    def test_one_more_correct_offline_row_never_lowers_a_bound(
        self, offline: tuple[int, int], live: tuple[int, int], alpha: float
    ) -> None:
        correct, n = offline
        assume(correct < n)
        before = proportion_drop(correct, n, *live, alpha=alpha)
        after = proportion_drop(correct + 1, n, *live, alpha=alpha)
        assert after.lower_bound >= before.lower_bound - 1e-12
        assert after.upper_bound >= before.upper_bound - 1e-12

    @FIXED
    @given(counts(), counts(), ALPHAS)
    def test_swapping_the_sides_negates_everything(
        self, offline: tuple[int, int], live: tuple[int, int], alpha: float
    ) -> None:
        drop = proportion_drop(*offline, *live, alpha=alpha)
        gain = proportion_drop(*live, *offline, alpha=alpha)
        assert gain.value == -drop.value
        assert (gain.lower_bound, gain.upper_bound) == pytest.approx(
            (-drop.upper_bound, -drop.lower_bound), abs=1e-12
        )
        assert (gain.low, gain.high) == pytest.approx((-drop.high, -drop.low), abs=1e-12)

    @pytest.mark.parametrize("offline_n", [1, 30, 10_000])
    @pytest.mark.parametrize("live_n", [1, 30, 10_000])
    def test_a_total_collapse_is_bounded_by_one(self, offline_n: int, live_n: int) -> None:
        drop = proportion_drop(offline_n, offline_n, 0, live_n)
        assert drop.value == drop.upper_bound == drop.high == 1
        assert 0 < proportion_drop(offline_n, offline_n, 0, live_n, alpha=0.4).lower_bound < 1

    def test_one_live_row_proves_no_stable_accuracy(self) -> None:
        assert decide(proportion_drop(9400, 10_000, 1, 1), 0.05) == "inconclusive"

    def test_counts_may_be_numpy_integers(self) -> None:
        counts = np.array([56, 70, 48, 80])
        assert proportion_drop(*counts) == proportion_drop(56, 70, 48, 80)
        assert type(proportion_drop(*counts).n) is int


class TestPValue:
    @FIXED
    @given(counts(), counts(), st.floats(-0.2, 0.3))
    def test_is_the_smallest_alpha_at_which_the_drop_fails(
        self, offline: tuple[int, int], live: tuple[int, int], max_drop: float
    ) -> None:
        p = drop_p_value(*offline, *live, max_drop=max_drop)

        def decision(alpha: float) -> str:
            return decide(proportion_drop(*offline, *live, alpha=alpha), max_drop)

        if p == 1:
            assert decision(0.4999) != "failed"
        elif p < 1e-6:  # Where rounding of 1 - alpha is felt, only the larger side is sharp.
            assert decision(2e-6) == "failed"
        else:
            assert decision(min(p * (1 + 1e-6), 0.4999999999)) == "failed"
            assert decision(p * (1 - 1e-6)) != "failed"

    @pytest.mark.parametrize("live", [(440, 500), (430, 500), (88, 100), (80, 100)])
    def test_is_where_the_lower_bound_meets_the_limit(self, live: tuple[int, int]) -> None:
        p = drop_p_value(9400, 10_000, *live, max_drop=0.05)
        assert 0 < p < 0.5
        assert mover_cp(9400, 10_000, *live, p)[0] == pytest.approx(0.05, abs=1e-9)

    def test_is_one_where_the_drop_seen_is_allowed(self) -> None:
        assert drop_p_value(9400, 10_000, 470, 500, max_drop=0.05) == 1

    def test_grows_with_the_allowed_drop(self) -> None:
        p = [drop_p_value(9400, 10_000, 88, 100, max_drop=m / 100) for m in range(6)]
        assert p == sorted(p)
        assert p[0] < p[-1]

    @pytest.mark.parametrize("max_drop", [NAN, INFINITE, -INFINITE])
    def test_refuses_a_limit_that_is_no_number(self, max_drop: float) -> None:
        with pytest.raises(ValueError, match=r"^max_drop: "):
            drop_p_value(5, 10, 5, 10, max_drop=max_drop)


NO_COUNT = [NAN, INFINITE, 1.5, True, np.True_, -1, None, "3", 3 + 0j]


class TestInvalidInput:
    @pytest.mark.parametrize("position", range(4))
    @pytest.mark.parametrize("wrong", NO_COUNT, ids=repr)
    def test_a_drop_names_the_argument_that_is_no_count(self, position: int, wrong: object) -> None:
        names = ["offline_correct", "offline_n", "live_correct", "live_n"]
        values: list[object] = [5, 10, 5, 10]
        values[position] = wrong
        with pytest.raises(ValueError, match=f"^{names[position]}: "):
            proportion_drop(*values)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"^{names[position]}: "):
            drop_p_value(*values, max_drop=0.05)  # type: ignore[arg-type]

    @pytest.mark.parametrize("wrong", NO_COUNT, ids=repr)
    def test_a_proportion_names_the_argument_that_is_no_count(self, wrong: object) -> None:
        with pytest.raises(ValueError, match=r"^correct: "):
            proportion(wrong, 10)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^n: "):
            proportion(5, wrong)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ((11, 10, 5, 10), "offline_correct"),
            ((5, 10, 11, 10), "live_correct"),
            ((0, 0, 5, 10), "offline_n"),
            ((5, 10, 0, 0), "live_n"),
        ],
    )
    def test_more_correct_than_rows_or_no_rows(
        self, values: tuple[int, int, int, int], name: str
    ) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            proportion_drop(*values)
        as_newcombe = name.replace("offline", "first").replace("live", "second")
        with pytest.raises(ValueError, match=f"^{as_newcombe}: "):
            newcombe(*values)

    @pytest.mark.parametrize("alpha", [NAN, INFINITE, -0.05, 0, 0.5, 1, 5])
    def test_alpha_is_between_0_and_a_half(self, alpha: float) -> None:
        with pytest.raises(ValueError, match=r"^alpha: "):
            proportion_drop(5, 10, 5, 10, alpha=alpha)
        with pytest.raises(ValueError, match=r"^alpha: "):
            proportion(5, 10, alpha=alpha)
        with pytest.raises(ValueError, match=r"^alpha: "):
            newcombe(5, 10, 5, 10, alpha=alpha)
        with pytest.raises(ValueError, match=r"^alpha: "):
            wilson(5, 10, alpha=alpha)
        with pytest.raises(ValueError, match=r"^alpha: "):
            clopper_pearson(5, 10, alpha=alpha)

    @pytest.mark.parametrize(
        ("correct", "n", "name"),
        [
            (11, 10, "correct"),
            (-1, 10, "correct"),
            (NAN, 10, "correct"),
            (0, 0, "n"),
            (0, NAN, "n"),
            (5, INFINITE, "n"),
        ],
    )
    def test_limits_name_the_argument(self, correct: float, n: float, name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            wilson(correct, n, alpha=0.05)
        with pytest.raises(ValueError, match=f"^{name}: "):
            clopper_pearson([1, correct], [2, n], alpha=0.05)


def test_importing_the_statistics_loads_numpy_alone() -> None:
    # Cold start: `modelchecks list` or a run on a stored result must not pay for scipy.
    code = (
        "import sys; before = set(sys.modules); import modelchecks.stats as s; "
        "[getattr(s, name) for name in s.__all__]; "
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'modelchecks'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "['numpy']"
