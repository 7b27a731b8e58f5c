"""The kernel test: against all pairs written out, its level, its power, its blocks."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from modelchecks.stats import kernel_two_sample


def pairs(x, y, width):
    """Return the unbiased squared MMD and the witness of each row, written out."""

    def kernel(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * width**2))

    n, m = len(x), len(y)
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    mmd = (xx.sum() - n) / (n * (n - 1)) + (yy.sum() - m) / (m * (m - 1)) - 2 * xy.mean()
    first = (xx.sum(1) - 1) / (n - 1) - xy.mean(1)
    second = xy.mean(0) - (yy.sum(1) - 1) / (m - 1)
    return mmd, first, second


class TestPairs:
    def test_discrepancy_and_witness_equal_the_definitions(self):
        draw = np.random.default_rng(0)
        x, y = draw.normal(size=(60, 3)), draw.normal(0.5, size=(40, 3))
        found = kernel_two_sample(x, y, bandwidths=[1.5])
        mmd, first, second = pairs(x, y, 1.5)
        assert found.discrepancy == pytest.approx(mmd, abs=1e-5)
        assert found.witness_reference == pytest.approx(first, abs=1e-5)
        assert found.witness_current == pytest.approx(second, abs=1e-5)
        assert (found.reference_n, found.current_n, found.method) == (60, 40, "pairs")
        assert (found.bandwidth, found.equal_spread) == (1.5, False)

    def test_p_value_equals_one_permutation_after_the_other(self):
        draw = np.random.default_rng(1)
        x, y = draw.normal(size=(30, 2)), draw.normal(0.25, size=(25, 2))
        both = np.concatenate([x, y])
        others = []
        for _ in range(1500):
            order = draw.permutation(55)
            others.append(pairs(both[order[:30]], both[order[30:]], 1.0)[0])
        # The biased and the unbiased statistic order the exchanges nearly alike, not exactly.
        expected = np.mean(np.array(others) >= pairs(x, y, 1.0)[0])
        found = kernel_two_sample(x, y, permutations=1500, bandwidths=[1.0]).p_value
        assert found == pytest.approx(expected, abs=0.05)

    def test_each_width_is_the_one_before_halved_or_not(self):
        # Halved widths are squared kernels; any others are computed anew.
        draw = np.random.default_rng(2)
        x, y = draw.normal(size=(80, 3)), draw.normal(0.3, size=(80, 3))
        for widths in ([2.0, 1.0, 0.5], [0.5, 2.0, 1.0]):
            found = kernel_two_sample(x, y, bandwidths=widths)
            alone = kernel_two_sample(x, y, bandwidths=[found.bandwidth])
            assert found.discrepancy == pytest.approx(alone.discrepancy, abs=1e-5)

    def test_the_rows_that_differ_most_are_those_that_were_added(self):
        draw = np.random.default_rng(3)
        x, y = draw.normal(size=(300, 4)), draw.normal(size=(300, 4))
        y[:30] = draw.normal(2.5, 0.3, size=(30, 4))
        found = kernel_two_sample(x, y)
        assert found.p_value == 1 / 200
        assert (np.argsort(found.witness_current)[:30] < 30).mean() > 0.9

    @pytest.mark.parametrize("n", [20, 100])
    def test_errs_in_alpha_without_a_shift(self, n):
        draw, runs = np.random.default_rng(4), 400
        rejected = sum(
            kernel_two_sample(
                draw.exponential(size=(n, 3)), draw.exponential(size=(n // 2, 3)),
                permutations=99, seed=seed,
            ).p_value <= 0.05
            for seed in range(runs)
        )  # fmt: skip
        assert rejected / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)

    @pytest.mark.parametrize(
        "change",
        [
            lambda x, draw: x + 0.4,
            lambda x, draw: 1.5 * x,
            lambda x, draw: np.sign(x) * np.abs(x[:, [0]]),  # each column alike, together not
        ],
    )
    def test_finds_whatever_differs(self, change):
        draw = np.random.default_rng(5)
        x, y = draw.normal(size=(300, 4)), draw.normal(size=(300, 4))
        assert kernel_two_sample(x, change(y, draw)).p_value <= 0.01

    def test_columns_of_unequal_scale_do_not_hide_a_shift(self):
        draw = np.random.default_rng(6)
        x, y = draw.normal(size=(200, 5)), draw.normal(size=(200, 5))
        y[:, 0] += 0.8
        x[:, 1:], y[:, 1:] = 1000 * x[:, 1:], 1000 * y[:, 1:]
        found = kernel_two_sample(x, y)
        assert found.p_value <= 0.01
        assert found.equal_spread

    def test_equal_rows_differ_in_nothing(self):
        found = kernel_two_sample(np.ones((50, 3)), np.ones((40, 3)))
        assert found.p_value == 1
        assert kernel_two_sample(np.zeros((1, 1)), np.zeros((1, 1))).p_value == 1

    def test_the_seed_is_the_answer(self):
        draw = np.random.default_rng(7)
        x, y = draw.normal(size=(50, 2)), draw.normal(size=(50, 2))
        one, same, other = (kernel_two_sample(x, y, seed=s).p_value for s in (1, 1, 2))
        assert one == same != other


class TestBlocks:
    def test_arrays_and_blocks_of_any_cut_agree(self):
        draw = np.random.default_rng(8)
        x, y = draw.normal(size=(9000, 3)), draw.normal(0.02, size=(7000, 3))
        whole = kernel_two_sample(x, y)
        assert whole.method == "random features"
        parts = kernel_two_sample(np.split(x, [4096, 8192]), iter(np.split(y, [4096])))
        assert parts.p_value == whole.p_value
        assert parts.statistic == pytest.approx(whole.statistic, rel=1e-3)
        assert parts.witness_current is None
        # 4,096 groups at most, so that some are of two rows, and an odd one is left over.
        assert whole.reference_n <= 9000 < whole.reference_n + 4
        assert len(whole.witness_current) == 7000

    def test_sums_are_the_same_however_the_rows_arrive(self):
        from modelchecks.stats.kernel import kernel_grid
        from modelchecks.stats.kernel_features import _FeatureMap, _Sums

        draw = np.random.default_rng(9)
        rows = draw.normal(size=(20_011, 2)).astype(np.float32)
        map_ = _FeatureMap(kernel_grid(rows[:500], None, draw), draw)
        found = []
        for cuts in ([], [1], [3, 5000, 5001, 17_777], list(range(777, 20_000, 777))):
            sums = _Sums(map_)
            for part in np.split(rows, cuts):
                sums.add(part)
            found.append((sums.size, sums.groups(sums.size)))
        assert {size for size, _ in found} == {8}
        for _, groups in found[1:]:
            assert np.allclose(groups, found[0][1], atol=1e-4)
        by_hand = map_(rows[:20_008]).reshape(-1, 8, map_.features).sum(1)
        assert np.allclose(found[0][1], by_hand, atol=1e-4)

    def test_random_features_see_what_pairs_see(self):
        draw = np.random.default_rng(10)
        x, y = draw.normal(size=(2000, 4)), draw.normal(size=(2000, 4))
        y[:, 0] += 0.25
        exact = kernel_two_sample(x, y, bandwidths=[2.0])
        random = kernel_two_sample([x], [y], bandwidths=[2.0])
        assert random.p_value == exact.p_value == 1 / 200
        assert random.discrepancy == pytest.approx(exact.discrepancy, rel=0.35)

    @pytest.mark.slow
    def test_errs_in_alpha_without_a_shift(self):
        draw, runs = np.random.default_rng(11), 200
        rejected = sum(
            kernel_two_sample(
                [draw.normal(size=(700, 2))], [draw.normal(size=(100, 2))], permutations=99, seed=s
            ).p_value
            <= 0.05
            for s in range(runs)
        )
        assert rejected / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)

    def test_a_far_larger_sample_is_read_as_far_as_it_helps(self):
        draw = np.random.default_rng(12)
        read = []

        def many():
            for _ in range(100):
                read.append(1000)
                yield draw.normal(size=(1000, 2))

        found = kernel_two_sample(many(), [draw.normal(1, size=(100, 2))])
        assert found.p_value == 1 / 200
        assert sum(read) <= 8000

    @pytest.mark.slow
    def test_a_million_rows_within_a_minute_and_a_gigabyte(self):
        import tracemalloc

        base = np.random.default_rng(13).normal(size=(10_000, 64)).astype(np.float32)

        def blocks(shift):
            for number in range(50):
                yield np.roll(base, number, axis=1) + np.float32(shift)

        tracemalloc.start()
        started = time.perf_counter()
        found = kernel_two_sample(blocks(0.0), blocks(0.02))
        seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.reference_n + found.current_n > 999_000
        assert found.p_value == 1 / 200
        assert seconds < 60
        assert peak < 1e9


class TestInvalidInput:
    @pytest.mark.parametrize(
        "wrong", [[[]], [[math.nan]], [[math.inf]], [1.0], [["a"]], [[1e300]]], ids=repr
    )
    def test_rows(self, wrong):
        fine = np.ones((3, 1))
        with pytest.raises(ValueError, match=r"^reference: "):
            kernel_two_sample(np.array(wrong), fine)
        with pytest.raises(ValueError, match=r"^current: "):
            kernel_two_sample(fine, np.array(wrong))

    def test_columns(self):
        with pytest.raises(ValueError, match=r"^current: has 2 columns, reference has 1"):
            kernel_two_sample(np.ones((3, 1)), np.ones((3, 2)))
        with pytest.raises(ValueError, match=r"^current: has 2 columns, reference has 1"):
            kernel_two_sample([np.ones((3, 1))], [np.ones((3, 2))])
        with pytest.raises(ValueError, match=r"^reference: has blocks of unequal columns"):
            kernel_two_sample([np.ones((3, 1)), np.ones((3, 2))], [np.ones((9, 1))])

    def test_no_blocks(self):
        with pytest.raises(ValueError, match=r"^current: has no rows"):
            kernel_two_sample([np.ones((3, 1))], [])

    @pytest.mark.parametrize("wrong", [0, 18, 1.5, None])
    def test_permutations(self, wrong):
        with pytest.raises(ValueError, match=r"^permutations: "):
            kernel_two_sample(np.ones((3, 1)), np.ones((3, 1)), permutations=wrong)

    @pytest.mark.parametrize("wrong", [[], [0.0], [math.inf], [1.0, -1.0]])
    def test_bandwidths(self, wrong):
        with pytest.raises(ValueError, match=r"^bandwidths: "):
            kernel_two_sample(np.ones((3, 1)), np.ones((3, 1)), bandwidths=wrong)
