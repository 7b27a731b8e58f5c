"""Calibration: against sklearn and torchmetrics, exact shifts, and the level by simulation."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint
from torchmetrics.functional.classification import binary_calibration_error

from modelchecks.stats import (
    calibration_error,
    calibration_errors,
    classwise_error,
    clopper_pearson,
    confidence_gap,
    debiased_l2,
    decide,
    reliability,
)
from modelchecks.stats.calibration import REPLICATES, _Models

FIXED = settings(derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**32)


def confidences(n: int, draw: np.random.Generator) -> np.ndarray:
    """Return confidences as a classifier of about 86 % has them: most near 1."""
    return draw.beta(6.3, 1, n)


def perfect(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    c = confidences(n, draw)
    return c, draw.random(n) < c


def plug_in(c: np.ndarray, y: np.ndarray) -> float:
    """Return the expected calibration error by sklearn; rows a multiple of 15, no ties."""
    right, claimed = calibration_curve(y, c, n_bins=15, strategy="quantile")
    return float(np.abs(right - claimed).mean())


class TestPlugIn:
    @pytest.mark.parametrize("n", [15, 150, 3_000])
    def test_equals_sklearn(self, n: int) -> None:
        c, y = perfect(n, n)
        seen = calibration_error(c, y, margin=0.05).plug_in
        assert seen == pytest.approx(plug_in(c, y), abs=1e-9)

    def test_equals_torchmetrics_where_bins_of_equal_mass_have_equal_width(self) -> None:
        draw = np.random.default_rng(1)
        c = np.repeat(np.arange(15), 20) / 15 + draw.uniform(0.001, 0.065, 300)
        y = draw.random(300) < 0.6
        expected = binary_calibration_error(torch.tensor(c), torch.tensor(y).int(), n_bins=15)
        # torchmetrics takes the confidence for the probability of class 1, as we do of 'correct'.
        assert calibration_error(c, y, margin=0.05).plug_in == pytest.approx(
            float(expected), abs=1e-9
        )

    @pytest.mark.parametrize(
        ("n", "expected"),
        [(100, 0.091), (250, 0.059), (500, 0.041), (1_000, 0.029), (5_000, 0.013)],
    )
    def test_of_a_perfect_model_is_the_reference(self, n: int, expected: float) -> None:
        seen = np.mean([_models(*perfect(n, seed)).plug_in for seed in range(200)])
        assert seen == pytest.approx(expected, rel=0.06)

    @FIXED
    @given(SEEDS, st.integers(1, 80), st.integers(1, 6))
    def test_order_of_rows_does_not_matter_though_confidences_tie(self, seed, n, values) -> None:
        draw = np.random.default_rng(seed)
        c, y = draw.integers(0, values + 1, n) / values, draw.random(n) < 0.5
        order = draw.permutation(n)
        one, other = _models(c, y), _models(c[order], y[order])
        assert one.plug_in == pytest.approx(other.plug_in, abs=1e-12)
        assert one.p_values(0.1) == other.p_values(0.1)
        assert debiased_l2(c, y) == pytest.approx(debiased_l2(c[order], y[order])) if n > 1 else 1


def _models(c: np.ndarray, y: np.ndarray, seed: int = 0) -> _Models:
    return _Models(c, y.astype(float), seed)


class TestSimulatedModels:
    @FIXED
    @given(SEEDS, st.integers(1, 300), st.floats(0, 0.6))
    def test_have_exactly_the_error_asked_for(self, seed, n, error) -> None:
        draw = np.random.default_rng(seed)
        c = np.where(draw.random(n) < 0.3, 1.0, confidences(n, draw))  # many have no room upward
        models = _models(c, draw.random(n) < 0.8)
        spread = models._spread(error)
        assert len(spread) == (2 * (error <= models.over) + (error <= models.under))
        for p in spread:
            assert ((p >= -1e-12) & (p <= 1 + 1e-12)).all()
            binned = np.add.reduceat(p, models.starts)
            achieved = np.abs(models.claimed - binned).sum() / n
            assert achieved == pytest.approx(error, abs=1e-9)

    @pytest.mark.parametrize("n", [60, 500])
    @pytest.mark.parametrize("error", [0.0, 0.05])
    def test_look_as_models_drawn_row_by_row(self, n: int, error: float) -> None:
        models = _models(*perfect(n, 3))
        draw = np.random.default_rng(9)
        for p in models._spread(error):
            rows = draw.random((8_000, n)) < p
            counts = np.add.reduceat(rows, models.starts, axis=1, dtype=float)
            exact = np.abs(counts - models.claimed).sum(axis=1) / n
            drawn = np.concatenate([models._plug_ins(p, draw) for _ in range(4)])
            spread = exact.std() / math.sqrt(2_000)
            for level in (0.05, 0.5, 0.95):
                assert np.quantile(drawn, level) == pytest.approx(
                    np.quantile(exact, level), abs=3.5 * spread + 0.5 / n
                )
            assert drawn.mean() == pytest.approx(exact.mean(), abs=3.5 * spread)


class TestDecision:
    @settings(FIXED, max_examples=25)
    @given(SEEDS, st.integers(1, 400), st.floats(-0.3, 0.3), st.floats(0, 0.3))
    def test_is_the_test_at_the_margin(self, seed, n, over, margin) -> None:
        draw = np.random.default_rng(seed)
        c = confidences(n, draw)
        y = draw.random(n) < np.clip(c - over, 0, 1)
        estimate = calibration_error(c, y, margin=margin, seed=5)
        worse, better = _models(c, y, 5).p_values(margin)
        if worse <= 0.05 and estimate.lower_bound > margin:
            assert estimate.status == "failed"
        elif better <= 0.05:
            assert estimate.status == "passed"
        else:
            assert estimate.status == "inconclusive"
        assert estimate.status == decide(estimate, margin)

    @settings(FIXED, max_examples=25)
    @given(SEEDS, st.integers(1, 300), st.floats(-0.3, 0.3))
    def test_bounds_lie_in_order(self, seed, n, over) -> None:
        draw = np.random.default_rng(seed)
        c = confidences(n, draw)
        e = calibration_error(c, draw.random(n) < np.clip(c - over, 0, 1), margin=0.05)
        assert 0 <= e.low <= e.value <= e.high <= 1
        assert 0 <= e.lower_bound <= e.upper_bound <= 1
        assert (e.n, e.alpha) == (n, 0.05)

    def test_the_same_seed_gives_the_same_answer(self) -> None:
        c, y = perfect(300, 1)
        assert calibration_error(c, y, margin=0.05) == calibration_error(c, y, margin=0.05)

    @pytest.mark.parametrize("n", [1, 2, 14, 16])
    def test_few_rows_settle_nothing(self, n: int) -> None:
        c, y = perfect(n, n)
        assert calibration_error(c, y, margin=0.05).status == "inconclusive"

    def test_sure_and_right_passes_sure_and_wrong_fails(self) -> None:
        sure = np.ones(300)
        assert calibration_error(sure, sure, margin=0.05).status == "passed"
        wrong = calibration_error(sure, 1 - sure, margin=0.05)
        assert wrong.status == "failed"
        assert wrong.value == pytest.approx(1, abs=1e-3)

    def test_an_error_out_of_reach_is_excluded(self) -> None:
        # With these confidences no model is wrong by more than a half.
        c = np.full(200, 0.5)
        assert calibration_error(c, np.arange(200) % 2, margin=0.6).upper_bound <= 0.5


def spread_error(c: np.ndarray, error: float, how: str) -> np.ndarray:
    """Return probabilities whose error in the 15 bins is `error`, spread as `how` says."""
    order = np.argsort(c)
    parts = np.array_split(order, 15)
    chosen = {
        "everywhere": range(15),
        "alternating": range(15),
        "in the least sure": range(3),
        "in the middle": (7, 8),
        "in the surest": (14,),
    }[how]
    p = c.copy()
    each = error * len(c) / sum(len(parts[b]) for b in chosen)
    for b in chosen:
        rows = parts[b]
        up = how == "alternating" and b % 2 == 0 and (1 - c[rows]).mean() > each
        room = 1 - c[rows] if up else c[rows]
        shift = each
        for _ in range(50):  # cut at 0 or 1, so push until the mean is reached
            shift += each - np.minimum(room, shift).mean()
        p[rows] += np.minimum(room, shift) * (1 if up else -1)
    return p


WAYS = ["everywhere", "alternating", "in the least sure", "in the middle", "in the surest"]


@pytest.mark.slow
class TestLevel:
    """Models whose error is the margin: 5 % may be decided wrongly each way, 5.3 + 3 s.e. here."""

    @pytest.mark.parametrize(("n", "runs"), [(100, 250), (500, 250), (1_000, 200), (5_000, 100)])
    @pytest.mark.parametrize("how", WAYS)
    def test_at_the_margin(self, n: int, runs: int, how: str) -> None:
        draw = np.random.default_rng([n, WAYS.index(how)])
        wrong = np.zeros(2)
        for seed in range(runs):
            c = confidences(n, draw)
            y = draw.random(n) < spread_error(c, 0.05, how)
            wrong += np.array(_models(c, y, seed).p_values(0.05)) <= 0.05
        band = 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)
        assert (wrong / runs <= band).all(), wrong / runs

    @pytest.mark.parametrize(("n", "passes"), [(100, 0), (500, 0.3), (1_000, 0.9), (5_000, 0.99)])
    def test_perfect_models_are_never_failed_and_pass_with_rows(
        self, n: int, passes: float
    ) -> None:
        tests = np.array([_models(*perfect(n, s), s).p_values(0.05) for s in range(200)]) <= 0.05
        assert tests[:, 0].mean() <= 0.005
        assert tests[:, 1].mean() >= passes

    @pytest.mark.parametrize("how", WAYS)
    def test_twice_the_margin_fails(self, how: str) -> None:
        draw = np.random.default_rng(WAYS.index(how))
        failed = 0
        for seed in range(40):
            c = confidences(5_000, draw)
            y = draw.random(5_000) < spread_error(c, 0.10, how)
            failed += _models(c, y, seed).p_values(0.05)[0] <= 0.05
        assert failed >= 39


class TestGap:
    @FIXED
    @given(SEEDS, st.integers(1, 60))
    def test_with_few_wrong_is_the_exact_limits_of_the_accuracy(self, seed, n) -> None:
        draw = np.random.default_rng(seed)
        c, y = draw.random(n), np.arange(n) >= min(9, n // 2)
        gap = confidence_gap(c, y)
        low, high = clopper_pearson(int(y.sum()), n, alpha=0.05)
        assert gap.value == pytest.approx(c.mean() - y.mean())
        assert gap.lower_bound == pytest.approx(c.mean() - float(high), abs=1e-12)
        assert gap.upper_bound == pytest.approx(c.mean() - float(low), abs=1e-12)
        assert gap.low <= gap.value <= gap.high

    def test_tends_to_the_normal_interval_of_the_differences(self) -> None:
        c, y = perfect(200_000, 2)
        gap, differences = confidence_gap(c, y), c - y
        half = 1.6448536 * differences.std() / math.sqrt(200_000)
        assert gap.lower_bound == pytest.approx(differences.mean() - half, abs=0.02 * half)
        assert gap.upper_bound == pytest.approx(differences.mean() + half, abs=0.02 * half)

    @pytest.mark.slow
    @pytest.mark.parametrize("n", [100, 500, 2_000])
    @pytest.mark.parametrize("over", [0.0, 0.1, -0.05], ids=["perfect", "over", "under"])
    def test_bounds_err_no_more_than_alpha(self, n: int, over: float) -> None:
        draw = np.random.default_rng([n, round(100 * over) + 100])
        truth = np.clip(confidences(400_000, draw) - over, 0, 1)
        true = 6.3 / 7.3 - truth.mean()
        missed = np.zeros(3)
        for _ in range(2_000):
            c = confidences(n, draw)
            gap = confidence_gap(c, draw.random(n) < np.clip(c - over, 0, 1))
            missed += (
                gap.lower_bound > true,
                gap.upper_bound < true,
                not gap.low <= true <= gap.high,
            )
        band = 0.053 + 3 * math.sqrt(0.05 * 0.95 / 2_000)
        assert (missed / 2_000 <= band).all(), missed / 2_000


class TestDebiased:
    def test_equals_the_formula(self) -> None:
        c, y = perfect(300, 6)
        order = np.argsort(c)
        total = 0.0
        for rows in np.split(order, 15):
            share = y[rows].mean()
            total += ((c[rows].mean() - share) ** 2 - share * (1 - share) / 19) / 15
        assert debiased_l2(c, y) == pytest.approx(math.sqrt(max(total, 0)), abs=1e-12)

    def test_has_no_bias_that_grows_with_fewer_rows(self) -> None:
        # An error of .2 everywhere: the plug-in shows .23 on 150 rows.
        draw = np.random.default_rng(7)
        squares = []
        for _ in range(400):
            c = draw.uniform(0.5, 0.9, 150)
            squares.append(debiased_l2(c, draw.random(150) < c - 0.2) ** 2)
        assert np.mean(squares) == pytest.approx(0.04, abs=3.5 * np.std(squares) / 20)

    def test_is_zero_for_a_perfect_model_about_half_the_time(self) -> None:
        zero = [debiased_l2(*perfect(500, seed)) == 0 for seed in range(200)]
        assert 0.35 < np.mean(zero) < 0.75

    def test_needs_two_rows(self) -> None:
        with pytest.raises(ValueError, match=r"^confidence: two rows"):
            debiased_l2([0.5], [1])


class TestClasswise:
    def test_equals_sklearn_class_by_class(self) -> None:
        draw = np.random.default_rng(2)
        p = draw.dirichlet([1, 2, 3], 600)
        labels = draw.integers(0, 3, 600)
        expected = [plug_in(p[:, k], labels == k) for k in range(3)]
        assert classwise_error(p, labels) == pytest.approx(expected, abs=1e-9)

    def test_certain_and_right_has_none(self) -> None:
        labels = np.arange(30) % 3
        assert classwise_error(np.eye(3)[labels], labels) == pytest.approx([0, 0, 0])


class TestReliability:
    def test_bars_hold_all_rows_with_wilson_limits(self) -> None:
        c, y = perfect(1_000, 4)
        bars = reliability(c, y)
        assert len(bars) == 15
        assert sum(bar.n for bar in bars) == 1_000
        assert max(bar.n for bar in bars) - min(bar.n for bar in bars) <= 1
        assert [bar.confidence for bar in bars] == sorted(bar.confidence for bar in bars)
        error = sum(bar.n * abs(bar.confidence - bar.accuracy) for bar in bars) / 1_000
        assert error == pytest.approx(calibration_error(c, y, margin=0.05).plug_in)
        for bar in bars:
            expected = proportion_confint(round(bar.accuracy * bar.n), bar.n, method="wilson")
            assert (bar.low, bar.high) == pytest.approx(expected, abs=1e-9)

    def test_equal_confidences_share_a_bar(self) -> None:
        bars = reliability([0.9] * 50 + [0.6] * 50, [True] * 80 + [False] * 20)
        assert [(bar.n, bar.accuracy) for bar in bars] == [(50, 0.6), (50, 1.0)]


FUNCTIONS = [
    lambda c, y: calibration_error(c, y, margin=0.05),
    confidence_gap,
    debiased_l2,
    reliability,
]


class TestInvalidInput:
    @pytest.mark.parametrize("function", FUNCTIONS)
    @pytest.mark.parametrize(
        "wrong",
        [[], ["a", "b"], [None, 0.5], [math.nan, 0.5], [1.2, 0.5], [-0.1, 0.5], [[0.5, 0.5]]],
        ids=repr,
    )
    def test_confidence(self, function, wrong) -> None:
        with pytest.raises(ValueError, match=r"^confidence: "):
            function(wrong, [True] * len(wrong))

    @pytest.mark.parametrize("function", FUNCTIONS)
    @pytest.mark.parametrize(
        "wrong", [[1], [1, 2], [1, math.nan], [0.5, 1], [[1, 0]], [None, True]], ids=repr
    )
    def test_correct(self, function, wrong) -> None:
        with pytest.raises(ValueError, match=r"^correct: "):
            function([0.5, 0.6], wrong)

    @pytest.mark.parametrize("margin", [math.nan, -0.01, 1.01])
    def test_margin(self, margin: float) -> None:
        with pytest.raises(ValueError, match=r"^margin: "):
            calibration_error([0.5], [1], margin=margin)

    @pytest.mark.parametrize("alpha", [0, 0.5, math.nan])
    def test_alpha(self, alpha: float) -> None:
        with pytest.raises(ValueError, match=r"^alpha: "):
            calibration_error([0.5], [1], margin=0.05, alpha=alpha)
        with pytest.raises(ValueError, match=r"^alpha: "):
            confidence_gap([0.5], [1], alpha=alpha)


def test_replicates_make_the_usual_levels_whole() -> None:
    assert [(REPLICATES + 1) * alpha % 1 for alpha in (0.01, 0.025, 0.05, 0.1)] == [0] * 4


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    modules = "bbse calibration few_labels label_free reuse sequential temperature transport"
    code = "; ".join(f"import modelchecks.stats.{name}" for name in modules.split())
    heavy = "assert not {'scipy', 'torch', 'pandas', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"import sys; {code}; {heavy}"], check=True)


def test_several_levels_at_once_are_each_of_them():
    c, y = perfect(400, seed=3)
    both = calibration_errors(c, y, margin=0.05, alphas=(0.05, 0.025))
    assert both == tuple(
        calibration_error(c, y, margin=0.05, alpha=alpha) for alpha in (0.05, 0.025)
    )
