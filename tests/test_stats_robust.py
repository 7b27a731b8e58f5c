"""relative_loss: the error at the margin by simulation, and cases that can be done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks.stats import TooFewRowsError, relative_loss

REPLICATES = 2000


@pytest.mark.parametrize(("clean", "kept"), [(0.9, 0.8), (0.7, 0.69)])
@pytest.mark.parametrize("copies", [1, 5])
def test_either_bound_errs_in_at_most_five_percent(clean: float, kept: float, copies: int) -> None:
    draw = np.random.default_rng([1, copies, int(100 * clean)])
    truth, errors = 1 - kept / clean, np.zeros(2)
    for _ in range(REPLICATES // 4):
        x = draw.random(200) < clean
        y = np.where(x[:, None], draw.random((200, copies)) < kept / clean, False).mean(1)
        found = relative_loss(x, y)
        errors += found.lower_bound > truth, found.upper_bound < truth
    shares = errors / (REPLICATES // 4)
    assert (shares <= 0.053 + 3 * (0.05 * 0.95 / (REPLICATES // 4)) ** 0.5).all()


def test_nothing_lost_is_zero_and_everything_is_one() -> None:
    x = np.array([1] * 90 + [0] * 10)
    assert relative_loss(x, x).value == 0
    assert relative_loss(x, x).lower_bound <= 0 <= relative_loss(x, x).upper_bound
    assert relative_loss(x, np.zeros(100)).value == 1


def test_no_right_row_decides_nothing() -> None:
    with pytest.raises(TooFewRowsError):
        relative_loss(np.zeros(10), np.zeros(10))


@pytest.mark.parametrize(
    ("clean", "kept", "says"),
    [
        ([1, 0.5], [1, 1], "clean"),
        ([1, 0], [1], "kept"),
        ([1, 0], [2, 0], "kept"),
        ([], [], "clean"),
    ],
)
def test_what_is_no_share_is_refused(clean: list, kept: list, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        relative_loss(np.array(clean), np.array(kept))
