"""Features of every kind: against the plain distances, by hand, and by exchange of all rows."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from modelchecks.stats import (
    feature_distance,
    jensen_shannon,
    kolmogorov,
    kuiper,
    permutation_p_value,
    population_stability,
    scaled_wasserstein,
    total_variation,
)

FIXED = settings(derandomize=True, deadline=None)
NAN = math.nan
SAMPLES = st.lists(st.integers(0, 23).map(float), min_size=1, max_size=30)


class TestKuiper:
    @FIXED
    @given(SAMPLES, SAMPLES)
    def test_is_the_largest_difference_over_all_arcs(self, a, b):
        ends = np.arange(-0.5, 24)
        arcs = [(lo, hi) for lo in ends for hi in ends]

        def share(x, lo, hi):
            x = np.array(x)
            inside = (x > lo) & (x < hi) if lo <= hi else (x > lo) | (x < hi)
            return inside.mean()

        expected = max(abs(share(a, *arc) - share(b, *arc)) for arc in arcs)
        assert kuiper(a, b, period=24).value == pytest.approx(expected)

    @FIXED
    @given(SAMPLES, SAMPLES, st.integers(-30, 30), st.booleans())
    def test_does_not_depend_on_where_the_circle_is_cut(self, a, b, turn, mirrored):
        plain = kuiper(a, b, period=24)
        sign = -1 if mirrored else 1
        turned = kuiper(sign * (np.array(a) + turn), sign * (np.array(b) + turn), period=24)
        assert turned.value == pytest.approx(plain.value)
        assert turned.lower_bound == pytest.approx(plain.lower_bound)

    def test_is_at_least_the_distance_on_a_line(self):
        draw = np.random.default_rng(0)
        a, b = draw.random(300), draw.random(200) ** 1.2
        assert kuiper(a, b, period=1).value >= kolmogorov(a, b).value

    def test_lower_bound_has_the_level_of_the_limit_law(self):
        # Without a shift, the lower bound is above 0 in at most 5 %: Kuiper's two-sample test.
        draw = np.random.default_rng(1)
        above = [
            kuiper(draw.random(500), draw.random(400), period=1).lower_bound > 0 for _ in range(999)
        ]
        assert 0.02 <= np.mean(above) <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / 999)

    @pytest.mark.parametrize("period", [0, -1, NAN, math.inf])
    def test_names_a_wrong_period(self, period):
        with pytest.raises(ValueError, match=r"^period: "):
            kuiper([1.0], [1.0], period=period)

    def test_an_infinite_value_is_nowhere(self):
        with pytest.raises(ValueError, match=r"^current: holds an infinite"):
            kuiper([1.0], [math.inf], period=24)


class TestKinds:
    def test_numbers_without_gaps_are_the_plain_distance(self):
        draw = np.random.default_rng(2)
        a, b = draw.normal(size=500), draw.normal(0.3, size=400)
        found = feature_distance(a, b, features=3)
        assert found.estimate == kolmogorov(a, b, features=3)
        assert (found.missing, found.unseen) == ((0, 0), {})

    def test_ordered_names_are_their_ranks(self):
        order = ["low", "middle", "high"]
        a, b = ["low", "low", "high", "middle"], ["high", "high", "middle", "high"]
        found = feature_distance(a, b, kind="ordinal", order=order)
        assert found.estimate == kolmogorov([0, 0, 2, 1], [2, 2, 1, 2])
        numbers = feature_distance([1, 2, 2], [2, 3, 3], kind="ordinal")
        assert numbers.estimate == kolmogorov([1, 2, 2], [2, 3, 3])
        with pytest.raises(ValueError, match=r"^current: has 'huge', which `order`"):
            feature_distance(a, [*b, "huge"], kind="ordinal", order=order)

    def test_categories_count_unseen_and_missing_ones(self):
        a = ["x"] * 60 + ["y"] * 35 + [None] * 5
        b = ["x"] * 40 + ["z"] * 20 + ["y"] * 35 + ["w"] * 5
        found = feature_distance(a, b, kind="categorical")
        expected = total_variation([60, 35, 5, 0, 0], [40, 35, 0, 20, 5])
        assert found.estimate == expected
        assert found.missing == (0.05, 0)
        assert list(found.unseen.items()) == [("z", 0.2), ("w", 0.05)]
        assert found.wasserstein is None

    def test_nan_is_one_missing_category_however_it_is_written(self):
        a = np.array(["x", NAN, float("nan"), None], dtype=object)
        found = feature_distance(a, np.array(["x", "x"], dtype=object), kind="categorical")
        assert found.missing == (0.75, 0)
        floats = feature_distance(np.array([1.0, NAN]), np.array([1.0, NAN]), kind="categorical")
        assert (floats.estimate.value, floats.missing) == (0, (0.5, 0.5))
        dates = np.array(["2026-01-01", "NaT"], dtype="datetime64[D]")
        assert feature_distance(dates, dates, kind="categorical").missing == (0.5, 0.5)

    @pytest.mark.parametrize("kind", ["numeric", "ordinal", "circular"])
    def test_a_larger_share_of_gaps_is_a_distance(self, kind):
        draw = np.random.default_rng(3)
        a, b = draw.random(2000), draw.random(2000)
        b[:500] = NAN
        options = {"period": 1.0} if kind == "circular" else {}
        found = feature_distance(a, b, kind=kind, **options)
        assert found.estimate.value == 0.25
        assert found.estimate.lower_bound > 0.15
        assert found.missing == (0, 0.25)
        assert found.estimate.n == 2000
        equal = a.copy()
        equal[:500] = NAN
        assert feature_distance(equal, b, kind=kind, **options).estimate.value < 0.06

    def test_all_missing_is_ordinary_input(self):
        nothing, all_ = np.full(50, NAN), np.arange(50.0)
        assert feature_distance(nothing, nothing).estimate.value == 0
        assert feature_distance(all_, nothing).estimate.value == 1
        assert feature_distance([None, None], [1.0, None]).estimate.value == 0.5

    def test_a_constant_is_ordinary_input(self):
        found = feature_distance(np.full(500, 7), np.full(500, 7))
        assert found.estimate.value == 0
        assert found.wasserstein is None
        assert abs(found.psi) < 0.02

    def test_a_gap_asks_two_questions(self):
        draw = np.random.default_rng(4)
        a, b = draw.normal(size=1000), draw.normal(1, size=1000)
        with_gap = np.append(b, NAN)
        assert feature_distance(a, with_gap).estimate.lower_bound == pytest.approx(
            kolmogorov(a, b, features=2).lower_bound
        )

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"kind": "angle"}, "kind"),
            ({"kind": "circular"}, "period"),
            ({"period": 3.0}, "period"),
            ({"order": [1, 2]}, "order"),
            ({"alpha": 0.5}, "alpha"),
            ({"features": 0}, "features"),
        ],
    )
    def test_names_a_wrong_option(self, options, name):
        with pytest.raises(ValueError, match=f"^{name}: "):
            feature_distance([1.0], [1.0], **options)

    @pytest.mark.parametrize("wrong", [[], [[1.0]], ["a"], [1j]])
    def test_names_a_wrong_sample(self, wrong):
        with pytest.raises(ValueError, match=r"^reference: "):
            feature_distance(wrong, [1.0])
        with pytest.raises(ValueError, match=r"^current: "):
            feature_distance([1.0], wrong)


class TestBeside:
    def test_psi_and_js_are_their_formulas_less_chance(self):
        a, b = np.array([500, 300, 200, 0]), np.array([100, 300, 600, 0])
        p, q = ((x[:3] + 0.5) / (x[:3] + 0.5).sum() for x in (a, b))
        chance = 2 * (1 / 1000 + 1 / 1000)
        assert population_stability(a, b) == pytest.approx(((p - q) * np.log(p / q)).sum() - chance)
        assert jensen_shannon(a, b) == pytest.approx(
            jensenshannon(p, q, 2) ** 2 - chance / (8 * math.log(2))
        )

    def test_chance_alone_leaves_nothing(self):
        draw, found = np.random.default_rng(5), []
        for _ in range(400):
            one = feature_distance(draw.normal(size=400), draw.normal(size=300))
            found.append((one.psi, one.jensen_shannon, one.wasserstein))
        psi, js, moved = np.array(found).T
        assert abs(psi.mean()) < 3 * psi.std() / 20 + 0.002
        assert abs(js.mean()) < 3 * js.std() / 20 + 0.0005
        assert np.median(moved) < 0.02

    def test_a_shift_is_told_in_standard_deviations(self):
        draw = np.random.default_rng(6)
        a, b = 3 * draw.normal(size=20_000), 3 * draw.normal(0.5, size=20_000)
        assert scaled_wasserstein(a, b) == pytest.approx(0.5, abs=0.04)
        assert scaled_wasserstein(a, b) <= wasserstein_distance(a, b) / a.std()
        assert scaled_wasserstein(np.array([1.0, math.inf]), b) is None


class TestPermutation:
    @pytest.mark.parametrize("kind", ["numeric", "categorical", "circular"])
    def test_equals_the_exchange_of_all_rows(self, kind):
        options = {"period": 6.0} if kind == "circular" else {}
        a, b = np.array([0.0, 1, 1, 2]), np.array([2.0, 3, 4, 5, 5])
        rows = np.append(a, b)

        def distance(x, y):
            return feature_distance(x, y, kind=kind, **options).estimate.value

        others = [
            distance(rows[list(i)], np.delete(rows, list(i))) for i in combinations(range(9), 4)
        ]
        exact = np.mean([other >= distance(a, b) - 1e-12 for other in others])
        found = permutation_p_value(a, b, kind=kind, permutations=4000, seed=1, **options)
        assert found == pytest.approx(exact, abs=4 * math.sqrt(exact / 4000) + 1e-3)

    def test_is_uniform_without_a_shift(self):
        draw = np.random.default_rng(7)
        p = [
            permutation_p_value(
                draw.integers(0, 30, 80), draw.integers(0, 30, 60), permutations=99, seed=seed
            )
            for seed in range(1000)
        ]
        assert np.mean(np.array(p) <= 0.05) <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / 1000)
        assert min(p) >= 0.01

    def test_sees_gaps_and_shifts_and_never_says_0(self):
        draw = np.random.default_rng(8)
        a = draw.normal(size=5000)
        assert permutation_p_value(a, draw.normal(1, size=5000), permutations=199) == 1 / 200
        gaps = np.where(draw.random(5000) < 0.1, NAN, draw.normal(size=5000))
        assert permutation_p_value(a, gaps, permutations=199) <= 2 / 200
        assert permutation_p_value(np.ones(9), np.ones(9)) == 1
