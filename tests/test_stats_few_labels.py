"""Few labels: the formulas written again, widths in closed form, coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from statsmodels.stats.proportion import proportion_confint

from modelchecks.stats import (
    few_label_accuracy,
    proportion,
    sampling_plan,
    stratified_accuracy,
)

FIXED = settings(derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**32)
NAN, INFINITE = math.nan, math.inf


def scored(n: int, accuracy: float, correlation: float, draw: np.random.Generator):
    """Return outcomes and scores with this correlation."""
    y = draw.random(n) < accuracy
    z = (y - accuracy) / math.sqrt(accuracy * (1 - accuracy))
    noise = draw.normal(size=n)
    return y, correlation * z + math.sqrt(1 - correlation**2) * noise


def confident(n: int, draw: np.random.Generator, a: float = 8.0, b: float = 0.5):
    """Return outcomes and the calibrated confidences behind them, most near 1."""
    c = draw.beta(a, b, n)
    return draw.random(n) < c, c


class TestFewLabels:
    @FIXED
    @given(SEEDS, st.integers(40, 300), st.integers(1, 2_000), st.floats(-0.9, 0.9))
    def test_equals_the_formula(self, seed, n, rest, correlation) -> None:
        draw = np.random.default_rng(seed)
        y, f = scored(n, 0.7, correlation, draw)
        _, g = scored(rest, 0.7, correlation, draw)
        if not 10 <= y.sum() <= n - 10:
            return
        variance_f = np.var(np.r_[f, g], ddof=1)
        trust = np.clip(np.cov(y, f)[0, 1] / ((1 + n / rest) * variance_f), 0, 1)
        value = trust * g.mean() + (y - trust * f).mean()
        variance = np.var(y - trust * f, ddof=1) / n + trust**2 * variance_f / rest
        rows = n / np.clip(variance / (np.var(y, ddof=1) / n), 0.25, 1)
        e = few_label_accuracy(y, f, g)
        value = np.clip(value, 0, 1)
        assert e.value == pytest.approx(value, abs=1e-9)
        assert (e.low, e.high) == pytest.approx(
            proportion_confint(value * rows, rows, method="wilson"), abs=1e-9
        )
        x = value * rows
        assert e.lower_bound == pytest.approx(beta.ppf(0.05, x, rows - x + 1), abs=1e-9)
        assert e.upper_bound == pytest.approx(beta.isf(0.05, x + 1, rows - x), abs=1e-9)
        assert (e.n, e.alpha, e.method) == (n, 0.05, "ppi++")

    @pytest.mark.parametrize(
        ("correlation", "rest", "ratio"),
        [(0.5, 10**6, 0.867), (0.5, 60_000, 0.879), (0.8, 60_000, 0.647), (0.5, 6_000, 0.935)],
    )
    def test_width_is_the_closed_form(self, correlation: float, rest: int, ratio: float) -> None:
        draw, n = np.random.default_rng(3), 6_000
        y, f = scored(n, 0.9, correlation, draw)
        e = few_label_accuracy(y, f, scored(rest, 0.9, correlation, draw)[1])
        alone = proportion(int(y.sum()), n)
        assert math.sqrt(1 - correlation**2 / (1 + n / rest)) == pytest.approx(ratio, abs=5e-4)
        seen = (e.high - e.low) / (alone.high - alone.low)
        assert seen == pytest.approx(ratio, abs=0.03)

    def test_noise_costs_nothing(self) -> None:
        ratios = []
        for seed in range(50):
            draw = np.random.default_rng(seed)
            y, f = scored(600, 0.9, 0.0, draw)
            e, alone = few_label_accuracy(y, f, draw.normal(size=6_000)), proportion(y.sum(), 600)
            ratios.append((e.high - e.low) / (alone.high - alone.low))
        assert np.mean(ratios) == pytest.approx(1, abs=0.005)

    @pytest.mark.parametrize("wrong", [0, 9])
    def test_with_fewer_than_ten_wrong_the_labels_alone_count(self, wrong: int) -> None:
        y = np.arange(500) >= wrong
        for outcomes in (y, ~y):
            score = outcomes + 0.0
            alone = proportion(int(outcomes.sum()), 500)
            assert few_label_accuracy(outcomes, score, score) == alone

    def test_a_constant_score_says_nothing(self) -> None:
        y = np.arange(100) >= 20
        assert few_label_accuracy(y, np.ones(100), np.ones(50)) == proportion(80, 100)

    def test_a_misleading_score_is_not_turned_round(self) -> None:
        y, f = scored(400, 0.8, -0.8, np.random.default_rng(2))
        assert few_label_accuracy(y, f, f).value == pytest.approx(y.mean())

    def test_at_most_four_times_the_rows(self) -> None:
        y = np.arange(400) >= 40
        e = few_label_accuracy(y, y + 0.0, np.arange(10**6) >= 10**5)
        assert (e.low, e.high) == pytest.approx(
            proportion_confint(0.9 * 1_600, 1_600, method="wilson"), abs=1e-6
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("n", [200, 600])
    @pytest.mark.parametrize("accuracy", [0.8, 0.94, 0.98])
    @pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
    def test_bounds_err_no_more_than_alpha(self, n, accuracy, correlation) -> None:
        draw, runs = np.random.default_rng([n, int(100 * accuracy), int(10 * correlation)]), 1_000
        missed = np.zeros(2)
        for _ in range(runs):
            y, f = scored(n, accuracy, correlation, draw)
            e = few_label_accuracy(y, f, scored(3_000, accuracy, correlation, draw)[1])
            missed += (e.lower_bound > accuracy, e.upper_bound < accuracy)
        assert (missed / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)).all(), missed / runs

    @pytest.mark.slow
    @pytest.mark.parametrize(("a", "b"), [(3, 0.5), (8, 0.5), (20, 0.4)], ids=[".86", ".94", ".98"])
    def test_nor_with_confidences_as_classifiers_have_them(self, a: float, b: float) -> None:
        draw, runs = np.random.default_rng(int(a)), 1_000
        missed, covered, true = np.zeros(2), 0, a / (a + b)
        for _ in range(runs):
            y, f = confident(600, draw, a, b)
            e = few_label_accuracy(y, f, draw.beta(a, b, 6_000))
            missed += (e.lower_bound > true, e.upper_bound < true)
            covered += e.low <= true <= e.high
        assert (missed / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)).all(), missed / runs
        assert covered / runs >= 0.945 - 3 * math.sqrt(0.05 * 0.95 / runs)


class TestPlan:
    @FIXED
    @given(SEEDS, st.integers(1, 400), st.floats(0, 1), st.floats(0.2, 20))
    def test_is_a_sample_whose_weights_stand_for_the_pool(self, seed, n, part, shape) -> None:
        draw = np.random.default_rng(seed)
        confidence = np.round(draw.beta(shape, 1, n), 2)
        budget = max(1, round(part * n))
        plan = sampling_plan(confidence, budget, seed=seed)
        assert len(plan.rows) == len(plan.weight) == len(plan.stratum) == budget
        assert len(np.unique(plan.rows)) == budget
        assert plan.rows.min() >= 0
        assert plan.rows.max() < n
        assert plan.weight.sum() == pytest.approx(n)
        assert (plan.weight >= 1 - 1e-12).all()
        per_stratum = [confidence[plan.rows[plan.stratum == s]] for s in np.unique(plan.stratum)]
        ends = [(rows.min(), rows.max()) for rows in per_stratum]
        assert ends == sorted(ends)

    def test_labels_are_spent_where_the_model_is_unsure(self) -> None:
        confidence = np.repeat([0.55, 0.999], [1_000, 9_000])
        plan = sampling_plan(confidence, 300, seed=0)
        unsure = confidence[plan.rows] < 0.9
        assert 0.4 < unsure.mean() < 0.6  # a tenth of the pool
        # The floor: no row stands for more than three times what it would in a plain sample.
        assert plan.weight[unsure].mean() < plan.weight.max() <= 3 * 10_000 / 300

    def test_certain_rows_are_plainly_sampled(self) -> None:
        plan = sampling_plan(np.ones(1_000), 100, seed=1)
        assert plan.weight == pytest.approx(np.full(100, 10))

    def test_the_seed_is_the_plan(self) -> None:
        confidence = np.random.default_rng(0).random(500)
        one, same, other = (sampling_plan(confidence, 60, seed=s) for s in (1, 1, 2))
        assert (one.rows == same.rows).all()
        assert (one.rows != other.rows).any()

    def test_every_row_can_be_chosen_with_the_chance_its_weight_says(self) -> None:
        confidence = np.random.default_rng(0).beta(5, 1, 60)
        times, weight = np.zeros(60), np.zeros(60)
        for seed in range(4_000):
            plan = sampling_plan(confidence, 30, seed=seed)
            times[plan.rows] += 1
            weight[plan.rows] = plan.weight
        chance = 1 / weight
        assert np.abs(times / 4_000 - chance).max() < 4.5 * math.sqrt(0.25 / 4_000)


class TestStratified:
    @FIXED
    @given(SEEDS, st.integers(1, 200), st.integers(1, 6))
    def test_equals_the_formula(self, seed, n, strata) -> None:
        draw = np.random.default_rng(seed)
        stratum = draw.integers(0, strata, n)
        weight = draw.uniform(1, 9, strata)[stratum]
        y = draw.random(n) < 0.8
        value = variance = middle = 0.0
        for s in np.unique(stratum):
            rows, share = stratum == s, weight[stratum == s].sum() / weight.sum()
            soft = (y[rows].sum() + 1) / (rows.sum() + 2)
            value += share * y[rows].mean()
            middle += share * soft
            variance += share**2 * soft * (1 - soft) / rows.sum()
        rows, e = middle * (1 - middle) / variance, stratified_accuracy(y, weight, stratum)
        assert e.value == pytest.approx(value, abs=1e-9)
        assert (e.low, e.high) == pytest.approx(
            proportion_confint(value * rows, rows, method="wilson"), abs=1e-9
        )
        assert 0 <= e.lower_bound <= e.value + 1e-12
        assert e.value - 1e-12 <= e.upper_bound <= 1
        assert (e.n, e.method) == (n, "stratified")

    @FIXED
    @given(st.integers(1, 500), st.floats(0, 1))
    def test_one_stratum_is_a_plain_sample(self, n, part) -> None:
        right = round(part * n)
        e = stratified_accuracy(np.arange(n) < right, np.full(n, 7.0), np.zeros(n, int))
        plain = proportion(right, n)
        assert (e.lower_bound, e.upper_bound, e.low, e.high) == pytest.approx(
            (plain.lower_bound, plain.upper_bound, plain.low, plain.high), abs=1e-9
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("budget", [100, 300])
    @pytest.mark.parametrize("model", ["calibrated", "sure and wrong", "overconfident"])
    def test_bounds_err_no_more_than_alpha(self, budget: int, model: str) -> None:
        draw = np.random.default_rng(budget)
        y, c = confident(4_000, draw, 6, 0.8)
        if model == "sure and wrong":  # the confidence says nothing, so its strata are no help
            y, c = draw.random(4_000) < 0.93, draw.beta(30, 0.3, 4_000)
        if model == "overconfident":
            c = np.sqrt(c)
        true, runs, missed, widths = y.mean(), 1_000, np.zeros(2), np.zeros(2)
        plain = proportion(round(budget * true), budget)
        for seed in range(runs):
            plan = sampling_plan(c, budget, seed=seed)
            e = stratified_accuracy(y[plan.rows], plan.weight, plan.stratum)
            missed += (e.lower_bound > true, e.upper_bound < true)
            widths += (e.high - e.low, plain.high - plain.low)
        assert (missed / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)).all(), missed / runs
        assert widths[0] / widths[1] < (1.25 if model == "sure and wrong" else 0.93)


class TestInvalidInput:
    @pytest.mark.parametrize("wrong", [[], [1, NAN], [0.5, 1], [2, 1], [[1, 0]]], ids=repr)
    def test_correct(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^correct: "):
            few_label_accuracy(wrong, [0.5, 0.5], [0.5])
        with pytest.raises(ValueError, match=r"^correct: "):
            stratified_accuracy(wrong, [1.0, 1.0], [0, 0])

    @pytest.mark.parametrize(
        "wrong", [[], ["a", "b"], [0.5, NAN], [0.5, INFINITE], [[0.5, 0.5]]], ids=repr
    )
    def test_scores(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^score_labelled: "):
            few_label_accuracy([1, 0], wrong, [0.5])
        with pytest.raises(ValueError, match=r"^score_unlabelled: "):
            few_label_accuracy([1, 0], [0.5, 0.5], wrong)

    def test_a_score_for_each_label(self) -> None:
        with pytest.raises(ValueError, match=r"^score_labelled: has 1 rows"):
            few_label_accuracy([1, 0], [0.5], [0.5])

    @pytest.mark.parametrize("wrong", [[NAN, 1.0], [0.0, 1.0], [-1.0, 1.0], [1.0]], ids=repr)
    def test_weight(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^weight"):
            stratified_accuracy([1, 0], wrong, [0, 0])

    @pytest.mark.parametrize("wrong", [[], [NAN, 0.5], [1.5, 0.5], [-0.5, 0.5]], ids=repr)
    def test_confidence(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^confidence: "):
            sampling_plan(wrong, 1, seed=0)

    @pytest.mark.parametrize("wrong", [0, 4, 1.5, NAN, None])
    def test_budget(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^budget: "):
            sampling_plan([0.5, 0.6, 0.7], wrong, seed=0)

    @pytest.mark.parametrize("alpha", [0, 0.5, NAN])
    def test_alpha(self, alpha: float) -> None:
        with pytest.raises(ValueError, match=r"^alpha: "):
            few_label_accuracy([1, 0], [0.5, 0.5], [0.5], alpha=alpha)
        with pytest.raises(ValueError, match=r"^alpha: "):
            stratified_accuracy([1, 0], [1.0, 1.0], [0, 0], alpha=alpha)
