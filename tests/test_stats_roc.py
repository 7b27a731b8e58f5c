"""The area under the ROC curve: values against sklearn, DeLong's variance, simulated errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from modelchecks.stats import TooFewRowsError, auroc, clopper_pearson

FIXED = settings(derandomize=True, deadline=None, max_examples=50)


def delong_variance(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Return DeLong's variance, spelled out over all pairs."""
    x, y = scores[labels == 1], scores[labels == 0]
    wins = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    return wins.mean(1).var(ddof=1) / len(x) + wins.mean(0).var(ddof=1) / len(y)


def two_classes(
    m: int, n: int, separation: float, seed: int, hard: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return m rows of class 1 and n of class 0; a share of the former scores like the latter."""
    draw = np.random.default_rng(seed)
    shift = np.where(draw.random(m) < hard, 0.0, separation)
    labels = np.repeat([1, 0], [m, n])
    return labels, draw.standard_normal(m + n) + np.concatenate([shift, np.zeros(n)])


class TestValue:
    @FIXED
    @given(st.integers(0, 10_000), st.integers(20, 60), st.integers(20, 60), st.booleans())
    def test_of_two_classes_equals_sklearn(self, seed: int, m: int, n: int, ties: bool) -> None:
        labels, scores = two_classes(m, n, 1.0, seed)
        scores = scores.round() if ties else scores
        found = auroc(labels, scores)
        assert found.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert found.low <= found.lower_bound <= found.value <= found.upper_bound <= found.high
        assert found.n == m + n

    @FIXED
    @given(st.integers(0, 10_000), st.integers(3, 6))
    def test_of_several_equals_sklearns_macro_mean(self, seed: int, classes: int) -> None:
        draw = np.random.default_rng(seed)
        labels = draw.permutation(np.repeat(np.arange(classes), draw.integers(20, 40, classes)))
        scores = draw.random((len(labels), classes)) + np.eye(classes)[labels]
        scores /= scores.sum(1, keepdims=True)
        expected = roc_auc_score(labels, scores, multi_class="ovr")
        assert auroc(labels, scores).value == pytest.approx(expected, abs=1e-12)

    def test_two_columns_are_one_question(self) -> None:
        labels, scores = two_classes(40, 60, 1.5, 0)
        chance = ndtr(scores)
        both = auroc(labels, np.column_stack([1 - chance, chance]))
        one = auroc(labels, scores)
        for name in ("value", "low", "high", "lower_bound", "upper_bound"):
            assert getattr(both, name) == pytest.approx(getattr(one, name), abs=1e-12)

    @FIXED
    @given(st.integers(0, 10_000))
    def test_reversed_scores_mirror_everything(self, seed: int) -> None:
        labels, scores = two_classes(30, 50, 1.0, seed)
        one, other = auroc(labels, scores), auroc(labels, -scores)
        assert other.value == pytest.approx(1 - one.value, abs=1e-12)
        assert other.upper_bound == pytest.approx(1 - one.lower_bound, abs=1e-12)
        assert other.low == pytest.approx(1 - one.high, abs=1e-12)


class TestBounds:
    def test_are_delongs_on_many_rows(self) -> None:
        labels, scores = two_classes(4000, 6000, 1.0, 1)
        found, spread = auroc(labels, scores), math.sqrt(delong_variance(labels, scores))
        assert found.value - found.lower_bound == pytest.approx(1.6449 * spread, rel=0.03)
        assert found.upper_bound - found.value == pytest.approx(1.6449 * spread, rel=0.03)
        assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.03)

    def test_of_a_perfect_separation_are_below_1(self) -> None:
        # DeLong's variance is 0 here. Each of 30 disjoint pairs came out right: at least
        # alpha^(1/30) by Clopper and Pearson, and the rows carry a little more than pairs do.
        labels = np.repeat([1, 0], 30)
        found = auroc(labels, labels + 0.0)
        pairs = float(clopper_pearson(30, 30, alpha=0.05)[0])
        assert found.value == found.upper_bound == found.high == 1
        assert pairs - 0.01 < found.lower_bound < pairs + 0.05

    @pytest.mark.parametrize(
        ("m", "n", "separation", "hard"),
        [
            (20, 200, 2.0, 0.0),
            (50, 50, 0.5, 0.0),
            (50, 1000, 6.0, 0.02),  # where DeLong's lower bound errs in a third of all cases
            (200, 200, 6.0, 0.004),
        ],
    )
    def test_err_no_more_often_than_allowed(
        self, m: int, n: int, separation: float, hard: float
    ) -> None:
        true = hard / 2 + (1 - hard) * float(ndtr(separation / math.sqrt(2)))
        found = [auroc(*two_classes(m, n, separation, seed, hard)) for seed in range(2000)]
        limit = 0.053 + 3 * math.sqrt(0.05 * 0.95 / 2000)
        assert np.mean([e.lower_bound > true for e in found]) <= limit
        assert np.mean([e.upper_bound < true for e in found]) <= limit
        assert np.mean([e.low <= true <= e.high for e in found]) >= 0.94

    @pytest.mark.parametrize(("classes", "n"), [(3, 150), (20, 500)])
    def test_of_several_classes_err_no_more_often(self, classes: int, n: int) -> None:
        labels = np.resize(np.arange(classes), n)
        true = 0.9 * float(ndtr(3 / math.sqrt(2))) + 0.1 * float(ndtr(0.3 / math.sqrt(2)))
        draw, found = np.random.default_rng(2), []
        for _ in range(600):
            scores = draw.standard_normal((n, classes))
            scores[np.arange(n), labels] += np.where(draw.random(n) < 0.1, 0.3, 3.0)
            found.append(auroc(labels, scores))
        limit = 0.053 + 3 * math.sqrt(0.05 * 0.95 / 600)
        assert np.mean([e.lower_bound > true for e in found]) <= limit
        assert np.mean([e.upper_bound < true for e in found]) <= limit

    def test_narrow_with_alpha(self) -> None:
        labels, scores = two_classes(40, 60, 1.0, 0)
        wide, narrow = (auroc(labels, scores, alpha=alpha) for alpha in (0.01, 0.2))
        assert wide.lower_bound < narrow.lower_bound
        assert wide.upper_bound > narrow.upper_bound
        assert (wide.low, wide.high) == (narrow.low, narrow.high)


class TestInvalidInput:
    @pytest.mark.parametrize("few", [0, 19])
    def test_too_few_of_a_class(self, few: int) -> None:
        with pytest.raises(TooFewRowsError, match=r"^labels: class 1 "):
            auroc(*two_classes(few, 100, 1.0, 0))
        with pytest.raises(TooFewRowsError, match=r"^labels: class 2 "):
            auroc(np.repeat([0, 1, 2], [40, 40, few]), np.ones((80 + few, 3)))

    @pytest.mark.parametrize(
        ("labels", "scores", "name"),
        [
            ([0, 1, 2], [0.1, 0.2, 0.3], "labels"),
            ([0, -1, 1], [0.1, 0.2, 0.3], "labels"),
            ([0.0, 1.0], [0.1, 0.2], "labels"),
            ([[0, 1]], [[0.1, 0.2]], "labels"),
            ([], [], "labels"),
            ([0, 1], [0.1, math.nan], "scores"),
            ([0, 1], ["a", "b"], "scores"),
            ([0, 1], [0.1], "scores"),
            ([0, 1], [[0.1], [0.2]], "scores"),
        ],
    )
    def test_names_the_argument(self, labels: object, scores: object, name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            auroc(labels, scores)  # type: ignore[arg-type]

    def test_alpha(self) -> None:
        with pytest.raises(ValueError, match=r"^alpha: "):
            auroc(*two_classes(30, 30, 1.0, 0), alpha=0.5)
