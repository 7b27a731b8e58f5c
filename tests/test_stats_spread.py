"""Spread of runs: coverage on normal runs, and how often two equal recipes seem to differ."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks.stats import TooFewRowsError, gain_over_spread, run_spread, runs_needed

REPLICATES = 2000
ALLOWED = 0.053 + 3 * (0.05 * 0.95 / REPLICATES) ** 0.5


@pytest.mark.parametrize("grouped", [False, True])
def test_either_bound_errs_in_at_most_five_percent(grouped: bool) -> None:
    draw = np.random.default_rng(int(grouped))
    groups = np.array([0, 0, 0, 1, 1, 1]) if grouped else None
    shift = 0.03 * groups if groups is not None else 0
    found = [
        run_spread(0.9 + shift + 0.005 * draw.standard_normal(6), groups=groups)
        for _ in range(REPLICATES)
    ]
    assert np.mean([one.lower_bound > 0.005 for one in found]) <= ALLOWED
    assert np.mean([one.upper_bound < 0.005 for one in found]) <= ALLOWED


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("groups", [None, np.array([0, 0, 1, 1, 2, 2])])
def test_of_equal_recipes_a_gain_is_claimed_in_at_most_five_percent(
    both: bool, groups: np.ndarray | None
) -> None:
    draw = np.random.default_rng(7)
    pooled = 1 if groups is None else 3
    claimed = 0
    for _ in range(REPLICATES):
        runs, others = (0.9 + 0.004 * draw.standard_normal(6) for _ in range(2))
        gain, *_ = 0.004 * (draw.standard_normal(1) - draw.standard_normal(1))
        spread, other = run_spread(runs, groups=groups), run_spread(others) if both else None
        claimed += gain > gain_over_spread(float(gain), spread, other, groups=(pooled, 1))
    assert claimed / REPLICATES <= ALLOWED


def test_a_spread_within_groups_asks_for_a_larger_gain() -> None:
    """Three runs over: Student's quantile at 3 degrees of freedom, from a printed table."""
    spread = run_spread(np.array([0.90, 0.91] * 3), groups=np.array([0, 0, 1, 1, 2, 2]))
    least = gain_over_spread(0.0, spread, groups=(3, 1))
    assert least == pytest.approx(2.35336 * spread.value * 2**0.5, rel=1e-5)


def test_groups_cost_degrees_of_freedom() -> None:
    runs = np.array([0.90, 0.91, 0.90, 0.95, 0.96, 0.95])
    pooled = run_spread(runs, groups=np.array(["a"] * 3 + ["b"] * 3))
    assert pooled.value == pytest.approx(0.0057735, abs=1e-6)
    assert pooled.upper_bound > pooled.value > pooled.lower_bound
    assert run_spread(runs).value > 4 * pooled.value


def test_runs_needed_would_pass() -> None:
    needed = runs_needed(0.004, 0.008)
    assert needed is not None
    runs = np.linspace(-1, 1, needed)
    runs = 0.9 + 0.004 * runs / runs.std(ddof=1)
    assert run_spread(runs).upper_bound <= 0.008
    assert runs_needed(0.009, 0.008) is None


def test_too_few_runs_show_nothing() -> None:
    with pytest.raises(TooFewRowsError, match="2 runs"):
        run_spread(np.array([0.9, 0.91]))
    with pytest.raises(TooFewRowsError):
        run_spread(np.array([0.9, 0.91, 0.9]), groups=np.array([1, 2, 3]))


@pytest.mark.parametrize("runs", [[0.9, 0.9, np.nan], [0.9, 0.9, 1.1], [[0.9]], ["a"]])
def test_what_is_no_accuracy_is_refused(runs: list) -> None:
    with pytest.raises(ValueError, match="accuracies"):
        run_spread(np.array(runs))
