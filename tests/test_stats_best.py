"""Which variants may be the best: what is left out is worse, however many share the first place."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from modelchecks.stats import best_set, best_set_of_counts, holm, paired_gain, paired_labels_needed
from modelchecks.stats.best import _members

FIXED = settings(derandomize=True, deadline=None, max_examples=25)


def answers(accuracies: object, n: int, draw: np.random.Generator) -> NDArray[np.bool_]:
    """Return which rows are right: rows are hard or easy for all variants alike."""
    levels = norm.ppf(np.asarray(accuracies))
    ease = 0.8 * draw.standard_normal((n, 1)) + 0.6 * draw.standard_normal((n, len(levels)))
    return ease < levels


def pair(correct: NDArray[np.bool_], a: int, b: int, alpha: float) -> object:
    one, other = correct[:, a], correct[:, b]
    return paired_gain(
        int((one & other).sum()),
        int((one & ~other).sum()),
        int((~one & other).sum()),
        int((~one & ~other).sum()),
        alpha=alpha,
    )


def smallest_alpha(correct: NDArray[np.bool_], a: int, b: int) -> float:
    """Return the smallest level at which a is shown to be better than b, by bisection."""
    low, high = 1e-12, 0.4999
    if pair(correct, a, b, high).lower_bound <= 0:  # type: ignore[attr-defined]
        return 1.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        shown = pair(correct, a, b, middle).lower_bound > 0  # type: ignore[attr-defined]
        low, high = (low, middle) if shown else (middle, high)
    return high


class TestSet:
    @FIXED
    @given(st.integers(0, 10_000), st.integers(2, 5))
    def test_is_holm_over_the_variants(self, seed: int, variants: int) -> None:
        draw = np.random.default_rng(seed)
        correct = answers(draw.uniform(0.7, 0.95, variants), 150, draw)
        p = [
            min(
                1.0,
                (variants - 1)
                * min(smallest_alpha(correct, a, b) for a in range(variants) if a != b),
            )
            for b in range(variants)
        ]
        found = best_set(correct)
        assert found.members == tuple(np.flatnonzero(~holm(p)).tolist())

    def test_a_clear_winner_stands_alone(self) -> None:
        found = best_set(answers([0.7, 0.95, 0.8], 2000, np.random.default_rng(0)))
        assert (found.best, found.members, found.n) == (1, (1,), 2000)
        assert found.labels_needed == (None, None, None)
        assert found.behind[1] == 0
        assert found.behind[0] > found.behind[2] > 0

    def test_says_what_would_tell_members_apart(self) -> None:
        correct = answers([0.90, 0.89, 0.70], 300, np.random.default_rng(1))
        found = best_set(correct)
        assert found.members == (0, 1)
        gain = pair(correct, found.best, 1 - found.best, 0.05)
        # With two left of three: Holm's second step over two comparisons.
        assert found.labels_needed[1 - found.best] == paired_labels_needed(
            gain.value,  # type: ignore[attr-defined]
            gain.discordance,  # type: ignore[attr-defined]
            alpha=0.05 / 4,
        )
        assert found.labels_needed[found.best] is None

    @FIXED
    @given(st.integers(0, 10_000), st.integers(1, 8))
    def test_holds_the_best_seen_and_does_not_depend_on_the_order(
        self, seed: int, variants: int
    ) -> None:
        draw = np.random.default_rng(seed)
        correct = answers(draw.uniform(0.6, 0.95, variants), 100, draw)
        found = best_set(correct)
        assert found.best in found.members
        right = correct.sum(0)
        assert right[found.best] == right.max()
        assert found.behind == pytest.approx(((right.max() - right) / 100).tolist())
        order = draw.permutation(variants)
        again = best_set(correct[:, order])
        assert {int(order[member]) for member in again.members} == set(found.members)

    def test_equal_variants_are_all_members_and_cannot_be_told_apart(self) -> None:
        one = answers([0.9], 200, np.random.default_rng(2)).repeat(4, axis=1)
        found = best_set(one)
        assert (found.best, found.members) == (0, (0, 1, 2, 3))
        assert found.labels_needed == (None,) * 4

    def test_counts_say_the_same(self) -> None:
        correct = answers([0.9, 0.8, 0.85], 400, np.random.default_rng(3))
        only = np.zeros((3, 3), dtype=int)
        for i, j in itertools.product(range(3), repeat=2):
            only[i, j] = (correct[:, i] & ~correct[:, j]).sum()
        assert best_set_of_counts(only, 400) == best_set(correct)
        assert best_set(correct.astype(float)) == best_set(correct)

    def test_a_smaller_alpha_leaves_out_no_more(self) -> None:
        draw = np.random.default_rng(4)
        for _ in range(20):
            correct = answers(draw.uniform(0.8, 0.9, 5), 200, draw)
            assert set(best_set(correct).members) <= set(best_set(correct, alpha=0.01).members)


@pytest.mark.parametrize(
    "accuracies",
    [[0.9, 0.9], [0.9] * 6, [0.9] * 12, [0.9, 0.9, 0.8, 0.7]],
    ids=["two equal", "six equal", "twelve equal", "two equal, two worse"],
)
def test_any_best_variant_is_left_out_no_more_often_than_alpha(accuracies: list[float]) -> None:
    # 2,000 replicates: alpha + 0.3 points + 3 standard errors.
    draw, left_out = np.random.default_rng(5), 0
    equal = {i for i, accuracy in enumerate(accuracies) if accuracy == max(accuracies)}
    for _ in range(2000):
        correct = answers(accuracies, 300, draw).astype(float)
        wins = correct.T @ (1 - correct)
        left_out += not equal <= set(_members(wins, 300, 0.05)[0])
    assert left_out / 2000 <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / 2000)


class TestInvalidInput:
    @pytest.mark.parametrize(
        "correct",
        [np.ones(3), np.ones((0, 3)), np.full((3, 3), 0.5), np.full((3, 3), math.nan), [["a"]]],
    )
    def test_correct(self, correct: object) -> None:
        with pytest.raises(ValueError, match=r"^correct: "):
            best_set(correct)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "only",
        [
            [1, 2],
            [[0, 1, 2], [3, 0, 4]],
            [[1, 2], [3, 0]],
            [[0, -2], [3, 0]],
            [[0, math.nan], [3, 0]],
            [[0, 1.5], [3, 0]],
            [[0, 6], [5, 0]],
            [["a"]],
            np.zeros((0, 0)),
        ],
    )
    def test_only(self, only: object) -> None:
        with pytest.raises(ValueError, match=r"^only: "):
            best_set_of_counts(only, 10)  # type: ignore[arg-type]

    def test_n_and_alpha(self) -> None:
        with pytest.raises(ValueError, match=r"^n: "):
            best_set_of_counts(np.zeros((2, 2)), 0)
        with pytest.raises(ValueError, match=r"^alpha: "):
            best_set(np.ones((3, 2)), alpha=0.5)
