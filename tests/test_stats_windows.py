"""Series over time: false alarms over the whole series, delay, and the formulas written again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from modelchecks.stats import (
    accuracy_windows,
    alpha_spending,
    clopper_pearson,
    decide,
    drift_windows,
    kolmogorov,
    proportion_drop,
)
from modelchecks.stats.sequential import log_evidence


def series(draw, accuracies, n=100):
    x = np.array([draw.binomial(n, p) for p in accuracies])
    return (int(draw.binomial(10_000, 0.94)), 10_000, x, np.full(len(x), n))


class TestAccuracy:
    @pytest.mark.slow
    def test_false_alarms_over_the_whole_series(self):
        # Every day exactly at the margin, 60 days: a rule of 5 % a day alarms nearly always.
        draw, runs = np.random.default_rng(0), 150
        alarms = naive = 0
        for _ in range(runs):
            given = series(draw, [0.89] * 60)
            found = accuracy_windows(*given, max_drop=0.05)
            alarms += found.alarm is not None
            # The worst day by the rule of one day.
            worst = proportion_drop(*given[:2], int(given[2].min()), 100)
            naive += decide(worst, 0.05) == "failed"
        assert alarms / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)
        assert naive / runs > 0.8

    def test_sees_a_drop_and_since_when(self):
        draw, delays, starts = np.random.default_rng(1), [], []
        for _ in range(60):
            given = series(draw, [0.94] * 10 + [0.80] * 20)
            found = accuracy_windows(*given, max_drop=0.05)
            assert found.alarm is None or found.alarm >= 10
            delays.append(30 if found.alarm is None else found.alarm - 10)
            starts.append(found.since)
        # 14 points at 100 labels a day: half are seen on the fifth day at the latest.
        assert np.median(delays) <= 4
        assert max(delays) < 20
        assert np.median(starts) == pytest.approx(10, abs=1)

    def test_evidence_sees_a_small_drop_that_no_day_shows(self):
        draw = np.random.default_rng(2)
        found = accuracy_windows(*series(draw, [0.85] * 60), max_drop=0.05)
        assert "failed" not in found.statuses
        assert found.alarm is not None

    def test_equals_the_formulas_written_again(self):
        correct, n = np.array([95, 80, 88, 60]), np.array([100, 100, 100, 100])
        found = accuracy_windows(9400, 10_000, correct, n, max_drop=0.05, alpha=0.04)
        null = float(clopper_pearson(9400, 10_000, alpha=0.004)[0]) - 0.05
        weight = [6 / (math.pi * (k + 1)) ** 2 for k in range(4)]
        for t in range(4):
            wealth = 1 - sum(weight[: t + 1])
            for k in range(t + 1):
                right, labels = correct[k : t + 1].sum(), n[k : t + 1].sum()
                wealth += weight[k] * math.exp(log_evidence(right, labels, null, "below"))
            assert found.evidence[t] == pytest.approx(math.log(wealth))
            share = alpha_spending(t + 1, alpha=0.02, rule="inverse_square")
            strict = proportion_drop(9400, 10_000, int(correct[t]), 100, alpha=share)
            assert found.drops[t].lower_bound == strict.lower_bound
            usual = proportion_drop(9400, 10_000, int(correct[t]), 100, alpha=0.04)
            assert found.drops[t].upper_bound == usual.upper_bound
        assert found.enough == pytest.approx(-math.log(0.016))

    def test_days_without_labels_change_nothing(self):
        full = accuracy_windows(94, 100, [80, 70], [100, 100], max_drop=0.05)
        gaps = accuracy_windows(94, 100, [0, 80, 0, 70], [0, 100, 0, 100], max_drop=0.05)
        assert gaps.statuses[0] is None
        assert gaps.drops[2] is None
        assert gaps.drops[1].value == full.drops[0].value
        none = accuracy_windows(94, 100, [], [], max_drop=0.05)
        assert (none.drops, none.alarm, none.since) == ((), None, None)

    @pytest.mark.parametrize(
        ("given", "options", "name"),
        [
            ((5, 4, [1], [1]), {}, "offline_correct"),
            ((4, 5, [1], [1, 2]), {}, "live_n"),
            ((4, 5, [2], [1]), {}, "live_correct"),
            ((4, 5, [0.5], [1]), {}, "live_correct"),
            ((4, 5, [1], [-1]), {}, "live_n"),
            ((4, 5, [1], [1]), {"max_drop": 1}, "max_drop"),
            ((4, 5, [1], [1]), {"alpha": 0.5}, "alpha"),
        ],
    )
    def test_names_what_is_wrong(self, given, options, name):
        with pytest.raises(ValueError, match=f"^{name}: "):
            accuracy_windows(*given, **{"max_drop": 0.05, **options})


class TestDrift:
    @pytest.mark.slow
    def test_false_alarms_over_the_whole_series(self):
        # Three features at exactly the margin, 20 days.
        draw, runs, alarms = np.random.default_rng(3), 120, 0
        shift = 2 * norm.ppf(0.55)
        for _ in range(runs):
            reference = draw.normal(size=(500, 3))
            days = [draw.normal(shift, size=(200, 3)) for _ in range(20)]
            alarms += drift_windows(reference, days, margin=0.1).alarm is not None
        assert alarms / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)

    def test_sees_the_day_and_equals_the_distances(self):
        draw = np.random.default_rng(4)
        reference = draw.normal(size=(3000, 2))
        days = [draw.normal(size=(2000, 2)) for _ in range(4)]
        days[2][:, 1] += 0.8
        found = drift_windows(reference, days, margin=0.1)
        assert found.statuses == ("passed", "passed", "failed", "passed")
        assert found.alarm == 2
        third = found.distances[2][1]
        share = alpha_spending(3, rule="inverse_square")
        strict = kolmogorov(reference[:, 1], days[2][:, 1], alpha=share, features=2)
        assert third.lower_bound == strict.lower_bound
        assert third.upper_bound == kolmogorov(reference[:, 1], days[2][:, 1]).upper_bound

    def test_one_feature_is_one_dimension(self):
        flat = drift_windows([1.0, 2, 3], [[1.0, 2], [3.0]], margin=0.1)
        deep = drift_windows([[1.0], [2], [3]], [[[1.0], [2]], [[3.0]]], margin=0.1)
        assert flat == deep
        assert drift_windows([1.0], [], margin=0.1).statuses == ()

    @pytest.mark.parametrize(
        ("given", "options", "name"),
        [
            (([math.nan], [[1.0]]), {}, "reference"),
            (([1.0], [[]]), {}, "windows"),
            (([1.0], [[[1.0, 2.0]]]), {}, "windows"),
            (([1.0], [[1.0]]), {"margin": 1}, "margin"),
            (([1.0], [[1.0]]), {"alpha": 0}, "alpha"),
        ],
    )
    def test_names_what_is_wrong(self, given, options, name):
        with pytest.raises(ValueError, match=f"^{name}: "):
            drift_windows(*given, **{"margin": 0.1, **options})
