"""A difference and a ratio from each side's own limits: closed forms, and the same decisions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks.stats import (
    Estimate,
    decide,
    metric_drop,
    proportion,
    proportion_drop,
    relative_drop,
)
from modelchecks.stats.difference import mover

FIXED = settings(derandomize=True, deadline=None)
SHARES = st.floats(0, 1)


@st.composite
def limited(draw: st.DrawFn) -> tuple[float, tuple[float, float]]:
    low, value, high = sorted((draw(SHARES), draw(SHARES), draw(SHARES)))
    return value, (low, high)


@st.composite
def counts(draw: st.DrawFn, least: int = 0) -> tuple[int, int]:
    n = draw(st.one_of(st.integers(1, 40), st.integers(1, 20_000)))
    return draw(st.one_of(st.just(min(least, n)), st.just(n), st.integers(min(least, n), n))), n


class TestMover:
    @FIXED
    @given(limited(), limited(), st.floats(-1, 1))
    def test_is_square_and_add_with_a_correlation(
        self, one: tuple[float, tuple[float, float]], other: object, r: float
    ) -> None:
        (p, (l1, u1)), (q, (l2, u2)) = one, other
        lower, upper = mover(p, (l1, u1), q, (l2, u2), r)
        a, b = p - l1, u2 - q
        assert p - q - lower == pytest.approx(
            math.sqrt(max(a * a - 2 * r * a * b + b * b, 0)), abs=1e-7
        )
        a, b = u1 - p, q - l2
        assert upper - p + q == pytest.approx(
            math.sqrt(max(a * a - 2 * r * a * b + b * b, 0)), abs=1e-7
        )

    @pytest.mark.parametrize("r", [1 + 1e-15, -1 - 1e-15])
    def test_a_correlation_beyond_1_by_rounding_makes_no_nan(self, r: float) -> None:
        lower, upper = mover(0.5, (0.4, 0.6), 0.5, (0.4, 0.6), r)
        assert lower == pytest.approx(-0.1 + math.copysign(0.1, r), abs=1e-12)
        assert upper == pytest.approx(0.1 - math.copysign(0.1, r), abs=1e-12)

    def test_arrays_broadcast(self) -> None:
        p, q = np.array([[0.5], [0.6]]), np.array([0.1, 0.2, 0.3])
        lower, upper = mover(p, (p - 0.1, p + 0.2), q, (q - 0.05, q + 0.1))
        assert lower.shape == upper.shape == (2, 3)
        one = mover(0.6, (0.5, 0.8), 0.3, (0.25, 0.4))
        assert (lower[1, 2], upper[1, 2]) == pytest.approx(one, abs=1e-15)


class TestMetricDrop:
    @FIXED
    @given(counts(), counts())
    def test_of_two_accuracies_is_the_drop(
        self, offline: tuple[int, int], live: tuple[int, int]
    ) -> None:
        general = metric_drop(proportion(*offline), proportion(*live))
        assert replace(general, method="mover-cp") == proportion_drop(*offline, *live)

    def test_a_rise_is_a_drop_where_lower_is_better(self) -> None:
        offline = Estimate(0.30, 0.27, 0.34, 0.28, 0.33, 0.05, 900, "loss")
        live = Estimate(0.40, 0.33, 0.49, 0.34, 0.47, 0.05, 100, "loss")
        worse = metric_drop(offline, live, higher_is_better=False)
        assert worse.value == pytest.approx(0.10)
        assert worse.lower_bound == pytest.approx(0.10 - math.hypot(0.06, 0.03))
        assert worse.upper_bound == pytest.approx(0.10 + math.hypot(0.07, 0.02))
        assert worse.low == pytest.approx(0.10 - math.hypot(0.07, 0.04))
        assert (worse.n, worse.alpha) == (100, 0.05)
        assert metric_drop(offline, live).value == -worse.value

    def test_refuses_two_levels(self) -> None:
        with pytest.raises(ValueError, match=r"^alpha: "):
            metric_drop(proportion(9, 10), proportion(9, 10, alpha=0.1))
        with pytest.raises(ValueError, match=r"^alpha: "):
            relative_drop(proportion(9, 10), proportion(9, 10, alpha=0.1))


class TestRelativeDrop:
    @FIXED
    @given(counts(1), counts(), st.floats(-0.5, 0.9))
    def test_decides_as_mover_on_the_weighted_difference(
        self, offline: tuple[int, int], live: tuple[int, int], allowed: float
    ) -> None:
        # The rule of the specification: live - (1 - r) offline, scaled limits and all.
        before, after = proportion(*offline), proportion(*live)
        kept = 1 - allowed
        lower, upper = mover(
            kept * before.value,
            (kept * before.lower_bound, kept * before.upper_bound),
            after.value,
            (after.lower_bound, after.upper_bound),
        )
        drop = relative_drop(before, after)
        if min(abs(lower), abs(upper)) > 1e-9:
            expected = "passed" if upper <= 0 else "failed" if lower > 0 else "inconclusive"
            assert decide(drop, allowed) == expected

    @FIXED
    @given(counts(1), counts())
    def test_bounds_lie_in_order_around_the_share(
        self, offline: tuple[int, int], live: tuple[int, int]
    ) -> None:
        drop = relative_drop(proportion(*offline), proportion(*live))
        slack = 1e-9 * (1 + abs(drop.lower_bound))
        assert drop.lower_bound - slack <= drop.value <= drop.upper_bound + slack
        assert drop.low - slack <= drop.value <= drop.high + slack
        assert drop.upper_bound <= 1

    def test_of_an_offline_value_that_is_known_is_the_live_limit_over_it(self) -> None:
        known = Estimate(0.8, 0.8, 0.8, 0.8, 0.8, 0.05, 1, "published")
        live = proportion(350, 500)
        drop = relative_drop(known, live)
        assert drop.value == pytest.approx(1 - 0.7 / 0.8)
        assert drop.lower_bound == pytest.approx(1 - live.upper_bound / 0.8, abs=1e-12)
        assert drop.upper_bound == pytest.approx(1 - live.lower_bound / 0.8, abs=1e-12)

    def test_refuses_an_offline_value_that_may_be_nothing(self) -> None:
        with pytest.raises(ValueError, match=r"^offline: "):
            relative_drop(proportion(0, 10), proportion(5, 10))
        with pytest.raises(ValueError, match=r"^live: "):
            relative_drop(proportion(5, 10), Estimate(0.1, -0.2, 0.4, -0.1, 0.3, 0.05, 9, "kappa"))

    def test_all_lost_is_a_share_of_one(self) -> None:
        drop = relative_drop(proportion(9, 10), proportion(0, 10))
        assert drop.value == drop.high == drop.upper_bound == 1
