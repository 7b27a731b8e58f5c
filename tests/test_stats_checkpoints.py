"""Optimism of a chosen checkpoint on simulated histories whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks.stats import checkpoint_agreement, optimism, within_noise

REPLICATES = 2000
ALLOWED = 0.053 + 3 * (0.05 * 0.95 / REPLICATES) ** 0.5


@pytest.mark.parametrize("checkpoints", [1, 20, 200])
def test_bounds_hold_however_many_checkpoints_it_was_the_best_of(checkpoints: int) -> None:
    draw = np.random.default_rng(checkpoints)
    n, later_n, true = 500, 2000, 0.9
    validated = draw.binomial(n, true, (REPLICATES, checkpoints)).max(1) / n
    later = draw.binomial(later_n, true, REPLICATES)
    found = [optimism(float(v), int(c), later_n) for v, c in zip(validated, later, strict=True)]
    truth = validated - true
    lower = np.array([one.lower_bound for one in found])
    upper = np.array([one.upper_bound for one in found])
    assert (lower > truth).mean() <= ALLOWED
    assert (upper < truth).mean() <= ALLOWED
    # On average it is what the winner's curse makes of equal checkpoints.
    assert np.mean([one.value for one in found]) == pytest.approx(truth.mean(), abs=0.001)
    if checkpoints > 1:
        assert truth.mean() > 0.015


def test_checkpoints_within_noise_and_beyond() -> None:
    assert within_noise(np.array([0.90, 0.901, 0.80]), 1000).tolist() == [True, True, False]
    assert within_noise(np.array([0.90, 0.901, 0.80]), 10).all()


def test_agreement_is_high_where_both_rise_and_low_where_they_part() -> None:
    rising = np.linspace(0.5, 0.9, 8)
    both = checkpoint_agreement(rising, 4000, rising - 0.02, 8000)
    assert both.tau == 1
    assert both.low > 0.8
    against = checkpoint_agreement(rising, 4000, rising[::-1], 8000)
    assert against.tau == -1
    with pytest.raises(ValueError, match="at least 5"):
        checkpoint_agreement(rising[:4], 100, rising[:4], 100)


@pytest.mark.parametrize(
    ("arguments", "says"), [((1.1, 5, 10), "claimed"), ((0.5, 11, 10), "correct")]
)
def test_what_cannot_be_is_refused(arguments: tuple, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        optimism(*arguments)
