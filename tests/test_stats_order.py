"""Quantile bounds against exact enumeration, and the tail index against laws that have one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from modelchecks.stats import TooFewRowsError, quantile, tail_index


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9, 0.95])
@pytest.mark.parametrize("n", [100, 357])
def test_bounds_err_in_at_most_alpha_exactly(q: float, n: int) -> None:
    found = quantile(np.arange(1, n + 1), q, alpha=0.05)
    # The k-th of n sorted values exceeds the quantile iff fewer than k lie below it.
    lower, upper = int(found.lower_bound), int(found.upper_bound)
    assert binom.cdf(lower - 1, n, q) <= 0.05 < binom.cdf(lower, n, q)
    assert 1 - binom.cdf(upper - 1, n, q) <= 0.05 < 1 - binom.cdf(upper - 2, n, q)
    assert found.low <= found.lower_bound <= found.value <= found.upper_bound <= found.high


def test_too_few_rows_say_how_many_are_needed() -> None:
    with pytest.raises(TooFewRowsError, match="at least 59 are needed"):
        quantile(np.arange(30), 0.95)


@pytest.mark.parametrize(("index", "heavy"), [(1.2, True), (5.0, False)])
def test_tail_index_of_a_pareto_law(index: float, heavy: bool) -> None:
    found = tail_index(np.random.default_rng(0).pareto(index, 20_000) + 1)
    assert abs(found - index) < 0.3 * index
    assert (found < 2) == heavy


def test_a_normal_tail_is_light() -> None:
    assert tail_index(np.random.default_rng(1).standard_normal(5_000)) > 3
    assert tail_index(np.ones(200)) == float("inf")


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf], ["a"], [[1.0]]])
def test_what_is_no_number_is_refused(values: list) -> None:
    for function in (lambda x: quantile(x, 0.5), tail_index):
        with pytest.raises(ValueError, match="values"):
            function(np.array(values))
