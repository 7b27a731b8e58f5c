"""The one rule of every decision, and what an estimate refuses to carry."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks.stats import Estimate, decide, decide_at_least

# The same examples in every run, at whatever speed: scipy and statsmodels load late.
FIXED = settings(derandomize=True, deadline=None)
FINITE = st.floats(-10, 10)
JUST_OVER, JUST_UNDER = math.nextafter(0.05, 1), math.nextafter(0.05, 0)


def between(lower: float, upper: float) -> Estimate:
    middle = (lower + upper) / 2
    return Estimate(middle, lower, upper, lower, upper, 0.05, 100, "by hand")


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    return between(*sorted((draw(FINITE), draw(FINITE))))


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (-0.02, 0.03, "passed"),
        (0.03, 0.05, "passed"),  # at most the margin is allowed, and this is at most the margin
        (0.05, 0.05, "passed"),
        (0.03, JUST_OVER, "inconclusive"),
        (0.05, 0.08, "inconclusive"),  # the drop may be exactly what is allowed
        (0.02, 0.08, "inconclusive"),
        (JUST_OVER, 0.08, "failed"),
        (0.06, 0.08, "failed"),
    ],
)
def test_at_most_the_margin(lower: float, upper: float, expected: str) -> None:
    assert decide(between(lower, upper), 0.05) == expected


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (0.06, 0.08, "passed"),
        (0.05, 0.08, "passed"),
        (0.05, 0.05, "passed"),
        (JUST_UNDER, 0.08, "inconclusive"),
        (0.02, 0.05, "inconclusive"),  # the accuracy may be exactly the floor
        (0.02, 0.08, "inconclusive"),
        (0.02, JUST_UNDER, "failed"),
        (-0.02, 0.03, "failed"),
    ],
)
def test_at_least_the_floor(lower: float, upper: float, expected: str) -> None:
    assert decide_at_least(between(lower, upper), 0.05) == expected


@FIXED
@given(estimates(), FINITE)
def test_at_least_is_at_most_seen_in_a_mirror(estimate: Estimate, margin: float) -> None:
    mirrored = between(-estimate.upper_bound, -estimate.lower_bound)
    assert decide_at_least(estimate, margin) == decide(mirrored, -margin)


@FIXED
@given(estimates(), FINITE, FINITE)
def test_allowing_more_never_makes_a_decision_worse(
    estimate: Estimate, one: float, other: float
) -> None:
    order = ["failed", "inconclusive", "passed"]
    strict, lax = sorted((one, other))
    assert order.index(decide(estimate, strict)) <= order.index(decide(estimate, lax))
    assert order.index(decide_at_least(estimate, lax)) <= order.index(
        decide_at_least(estimate, strict)
    )


@FIXED
@given(estimates(), FINITE, FINITE, FINITE, FINITE)
def test_only_the_decision_bounds_decide(
    estimate: Estimate, value: float, low: float, high: float, margin: float
) -> None:
    other = replace(estimate, value=value, low=low, high=high)
    assert decide(other, margin) == decide(estimate, margin)
    assert decide_at_least(other, margin) == decide_at_least(estimate, margin)


@FIXED
@given(estimates(), FINITE, st.floats(0, 5))
def test_wider_bounds_never_turn_one_decision_into_the_other(
    estimate: Estimate, margin: float, more: float
) -> None:
    wider = between(estimate.lower_bound - more, estimate.upper_bound + more)
    assert decide(wider, margin) in {decide(estimate, margin), "inconclusive"}


@pytest.mark.parametrize("margin", [math.nan, math.inf, -math.inf])
def test_a_margin_that_is_no_number_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match=r"^margin: "):
        decide(between(0, 1), margin)
    with pytest.raises(ValueError, match=r"^floor: "):
        decide_at_least(between(0, 1), margin)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "field", ["value", "low", "high", "lower_bound", "upper_bound", "alpha", "n"]
)
def test_an_estimate_carries_nothing_that_is_not_finite(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        replace(between(0, 1), **{field: value})


@pytest.mark.parametrize("n", [0, -1, float("inf"), float("nan")])
def test_an_estimate_needs_rows(n: int) -> None:
    with pytest.raises(ValueError, match=r"^n: "):
        replace(between(0, 1), n=n)
    assert replace(between(0, 1), n=1).n == 1
