"""Rows needed, read from how wide bounds are, against the exact numbers for accuracies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks.stats import (
    bounded_mean,
    labels_needed,
    labels_needed_floor,
    metric,
    proportion,
    rows_to_settle,
)


@pytest.mark.parametrize("drop", [0.02, 0.03, 0.07, 0.10])
def test_it_is_near_the_exact_number_for_a_drop(drop: float) -> None:
    offline, live = proportion(9400, 10_000), proportion(round((0.94 - drop) * 1000), 1000)
    other = (offline.upper_bound - offline.lower_bound) / 2
    exact = labels_needed(0.94, 10_000, true_drop=drop, max_drop=0.05)
    assert rows_to_settle(live, abs(drop - 0.05), other=other) == pytest.approx(exact, rel=0.2)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.6, 0.95), gap=st.floats(0.02, 0.1))
def test_it_is_near_the_exact_number_for_a_floor(share: float, gap: float) -> None:
    seen = proportion(round(share * 40_000), 40_000)
    found = rows_to_settle(seen, gap)
    # The normal law of the value that was seen; the exact test starts from the floor.
    wide = (1.644854 + 0.841621) * math.sqrt(seen.value * (1 - seen.value)) / gap
    assert found == pytest.approx(wide**2, rel=0.05)
    exact = labels_needed_floor(seen.value, floor=max(seen.value - gap, 0.0))
    assert found == pytest.approx(exact, rel=0.75)


def test_what_no_number_of_rows_settles_is_none() -> None:
    seen = proportion(900, 1000)
    assert rows_to_settle(seen, 0.0) is None
    assert rows_to_settle(seen, 0.01, other=0.01) is None
    assert rows_to_settle(seen, 1e-6) is None


@pytest.mark.parametrize(
    ("options", "named"),
    [({"gap": -0.1}, "gap"), ({"gap": math.nan}, "gap"), ({"gap": 0.1, "other": -1}, "other"),
     ({"gap": 0.1, "other": math.inf}, "other"), ({"gap": 0.1, "power": 1.0}, "power")],
)  # fmt: skip
def test_invalid_input_names_the_argument(options: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        rows_to_settle(proportion(9, 10), **options)


def test_metrics_that_are_means_take_groups() -> None:
    draw = np.random.default_rng(0)
    label = draw.integers(0, 3, 300)
    chance = draw.dirichlet([1, 1, 1], 300)
    groups = np.repeat(np.arange(60), 5)
    right = chance.argmax(1) == label
    assert metric("accuracy", label, chance, groups=groups) == bounded_mean(right, groups=groups)
    weights = draw.random(300) + 0.1
    both = metric("top_k", label, chance, k=2, groups=groups, weights=weights)
    second = np.sort(chance, axis=1)[:, 1]
    among = chance[np.arange(300), label] >= second
    assert both == bounded_mean(among, groups=groups, weights=weights)
    brier = metric("brier", label, chance, groups=groups)
    errors = ((chance - np.eye(3)[label]) ** 2).sum(1)
    assert brier.upper_bound == bounded_mean(errors, largest=2.0, groups=groups).upper_bound
    for name in ("auroc", "log_loss", "macro_f1"):
        with pytest.raises(ValueError, match=r"^groups: "):
            metric(name, label, chance, groups=groups)
    with pytest.raises(ValueError, match=r"^groups: "):
        metric(lambda y, p: 0.5, label, chance, groups=groups)
