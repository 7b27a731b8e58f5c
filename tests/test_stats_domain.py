"""The domain classifier's area: against the best there is, its limits' errors, its blocks."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import roc_auc_score

from modelchecks.stats import TooFewRowsError, decide, domain_auc
from modelchecks.stats.domain_fit import FOLDS, Gathered


class TestValue:
    def test_comes_near_the_best_area_of_a_shift(self):
        draw = np.random.default_rng(0)
        x, y = draw.normal(size=(4000, 6)), draw.normal(size=(3000, 6))
        y[:, 2] += 1
        found = domain_auc(x, y)
        assert found.value == pytest.approx(ndtr(1 / math.sqrt(2)), abs=0.015)
        assert found.attribution == pytest.approx([0, 0, 1, 0, 0, 0], abs=0.05)
        assert abs(found.direction[2]) > 5 * np.abs(np.delete(found.direction, 2)).max()
        assert (found.n, found.reference_n) == (3000, 4000)

    def test_is_the_mean_area_over_the_folds(self):
        draw = np.random.default_rng(1)
        x, y = draw.normal(size=(333, 3)), draw.normal(0.5, size=(222, 3))
        found = domain_auc(x, y)
        areas = []
        for fold in range(FOLDS):
            a, b = found.score_reference[fold::FOLDS], found.score_current[fold::FOLDS]
            areas.append(roc_auc_score(np.repeat([0, 1], [len(a), len(b)]), np.append(a, b)))
        assert found.value == pytest.approx(np.mean(areas))

    @pytest.mark.parametrize("kind", ["spread", "together"])
    def test_sees_what_no_mean_shows(self, kind):
        draw = np.random.default_rng(2)
        x, y = draw.normal(size=(3000, 5)), draw.normal(size=(3000, 5))
        if kind == "spread":
            y[:, 1] *= 2
        else:
            y[:, 1] = np.abs(y[:, 1]) * np.sign(y[:, 0])
        found = domain_auc(x, y)
        assert found.lower_bound > 0.62
        if kind == "spread":
            assert found.attribution[1] > 5 * np.abs(np.delete(found.attribution, 1)).max()
        else:
            assert found.together > 0.8
        assert found.attribution.sum() + found.together == pytest.approx(1)

    def test_no_row_is_scored_by_a_classifier_that_saw_it(self):
        # Many columns and few rows: a classifier that sees the rows it scores tells them apart.
        draw = np.random.default_rng(3)
        values = [
            domain_auc(draw.normal(size=(60, 40)), draw.normal(size=(60, 40)), seed=seed).value
            for seed in range(12)
        ]
        assert np.mean(values) == pytest.approx(0.5, abs=0.05)

    def test_a_shifted_row_scores_higher(self):
        draw = np.random.default_rng(4)
        x, y = draw.normal(size=(500, 3)), draw.normal(size=(500, 3))
        y[:100] += 2
        scores = domain_auc(x, y).score_current
        assert scores[:100].mean() > scores[100:].mean() + 1

    def test_constant_and_equal_columns_are_ordinary_input(self):
        draw = np.random.default_rng(5)
        x, y = draw.normal(size=(200, 3)), draw.normal(size=(200, 3))
        x[:, 1], y[:, 1] = 4, 4
        x[:, 2], y[:, 2] = x[:, 0], y[:, 0]
        assert 0.4 < domain_auc(x, y).value < 0.6
        alike = domain_auc(np.ones((50, 2)), np.ones((50, 2)))
        assert alike.value == 0.5
        assert alike.lower_bound < 0.5 < alike.upper_bound

    def test_sums_over_folds_are_those_of_the_rows(self):
        draw = np.random.default_rng(6)
        rows, fold = draw.normal(size=(100, 3)).astype(np.float32), draw.integers(0, FOLDS, 100)
        sums = Gathered(3)
        for part in np.array_split(np.arange(100), 3):
            sums.add(rows[part], fold[part])
        mean, covariance = sums.part((1, 3))
        kept = rows[~np.isin(fold, (1, 3))]
        assert mean == pytest.approx(kept.mean(0), abs=1e-6)
        assert covariance == pytest.approx(np.cov(kept.T, bias=True), abs=1e-5)


class TestLimits:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("n", "m", "columns", "shift"),
        [(300, 300, 5, 0), (300, 300, 5, 0.36)],
    )
    def test_err_in_alpha(self, n, m, columns, shift):
        draw, runs, found = np.random.default_rng(7), 100, []
        for seed in range(runs):
            x, y = draw.normal(size=(n, columns)), draw.normal(size=(m, columns))
            y[:, 0] += shift
            found.append(domain_auc(x, y, seed=seed))
        # What is estimated: the mean area of such classifiers.
        true = np.mean([one.value for one in found])
        band = 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)
        assert np.mean([one.lower_bound > true for one in found]) <= band
        assert np.mean([one.upper_bound < true for one in found]) <= band

    def test_unshifted_rows_are_shown_similar_and_shifted_ones_different(self):
        draw = np.random.default_rng(8)
        x = draw.normal(size=(3000, 20))
        assert decide(domain_auc(x, draw.normal(size=(3000, 20))), 0.6) == "passed"
        assert decide(domain_auc(x, draw.normal(0.3, size=(3000, 20))), 0.6) == "failed"


class TestBlocks:
    def test_blocks_of_any_cut_are_the_array(self):
        draw = np.random.default_rng(9)
        x, y = draw.normal(size=(9000, 3)), draw.normal(0.1, size=(700, 3))
        whole = domain_auc(x, y)
        parts = domain_auc(np.split(x, [17, 5000]), lambda: iter(np.split(y, [1, 333])))
        assert parts.value == pytest.approx(whole.value, abs=1e-4)
        assert parts.upper_bound == pytest.approx(whole.upper_bound, abs=1e-4)
        assert parts.score_current is None
        assert (parts.n, parts.reference_n) == (700, 9000)

    @pytest.mark.slow
    def test_a_million_rows_within_a_minute_and_a_gigabyte(self):
        import tracemalloc

        base = np.random.default_rng(10).normal(size=(10_000, 64)).astype(np.float32)

        def blocks(shift):
            return lambda: (np.roll(base, i, axis=1) + np.float32(shift) for i in range(50))

        tracemalloc.start()
        started = time.perf_counter()
        found = domain_auc(blocks(0.0), blocks(0.02))
        seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.value > 0.53
        assert decide(found, 0.6) == "passed"
        assert seconds < 60
        assert peak < 1e9


class TestInvalidInput:
    @pytest.mark.parametrize("wrong", [[[]], [[math.nan]], [1.0], [["a"]]], ids=repr)
    def test_rows(self, wrong):
        with pytest.raises(ValueError, match=r"^current: "):
            domain_auc(np.ones((30, 1)), np.array(wrong))

    def test_too_few(self):
        with pytest.raises(TooFewRowsError, match=r"^current: has 19 rows"):
            domain_auc(np.ones((30, 1)), np.ones((19, 1)))

    def test_columns(self):
        with pytest.raises(ValueError, match=r"^current: has 2 columns, reference has 1"):
            domain_auc(np.ones((30, 1)), np.ones((30, 2)))
        with pytest.raises(ValueError, match=r"^reference: has blocks of unequal columns"):
            domain_auc([np.ones((30, 1)), np.ones((30, 2))], np.ones((30, 1)))

    def test_read_once(self):
        with pytest.raises(ValueError, match=r"^reference: can be read only once"):
            domain_auc(iter([np.ones((30, 1))]), np.ones((30, 1)))

    def test_nothing(self):
        with pytest.raises(ValueError, match=r"^reference: has no rows"):
            domain_auc([], np.ones((30, 1)))
