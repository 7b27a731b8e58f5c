"""The canary: its bets by quadrature, its errors by exact enumeration of every look."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, binom

from modelchecks.stats import Canary, canary, clopper_pearson, decide
from modelchecks.stats.sequential import PRIOR_LABELS, log_evidence

FIXED = settings(derandomize=True, deadline=None)
NULLS = st.floats(0.02, 0.98)
SIDES = st.sampled_from(["above", "below"])
OUTCOMES = st.lists(st.booleans(), max_size=60)


@st.composite
def counts(draw: st.DrawFn, most: int = 400) -> tuple[int, int]:
    n = draw(st.integers(0, most))
    return draw(st.integers(0, n)), n


class TestEvidence:
    @FIXED
    @given(counts(60), st.floats(0.1, 0.9), SIDES)
    def test_is_the_mean_likelihood_ratio_under_the_cut_prior(self, sample, null, side) -> None:
        (x, n), prior = sample, beta(PRIOR_LABELS * null, PRIOR_LABELS * (1 - null))
        start, stop = (null, 1) if side == "above" else (0, null)

        def integrand(p: float) -> float:
            likelihood = (p / null) ** x * ((1 - p) / (1 - null)) ** (n - x)
            return likelihood * prior.pdf(p)

        points = [min(max((x + 1) / (n + 2), start), stop)]
        total, _ = quad(integrand, start, stop, points=points, limit=200, epsabs=0, epsrel=1e-10)
        expected = total / (prior.cdf(stop) - prior.cdf(start))
        assert math.exp(log_evidence(x, n, null, side)) == pytest.approx(expected, rel=1e-7)

    @FIXED
    @given(counts(), NULLS, SIDES)
    def test_each_label_is_one_fair_bet_on_its_side(self, sample, null, side) -> None:
        # Wealth is multiplied by 1 + lambda (x - null): fair at the null itself, and with lambda of
        # one sign unfavourable at every null beyond, whatever the labels before were.
        x, n = sample
        now = float(log_evidence(x, n, null, side))
        if now < -500:  # ruined: nothing left to compare
            return
        right = math.exp(float(log_evidence(x + 1, n + 1, null, side)) - now)
        wrong = math.exp(float(log_evidence(x, n + 1, null, side)) - now)
        assert null * right + (1 - null) * wrong == pytest.approx(1, abs=1e-9)
        assert (right >= 1 >= wrong) if side == "above" else (right <= 1 <= wrong)

    @pytest.mark.parametrize("n", [1, 10, 300])
    @pytest.mark.parametrize("null", [0.05, 0.5, 0.89])
    def test_mean_is_one_at_the_null_and_less_beyond(self, n: int, null: float) -> None:
        x = np.arange(n + 1)
        above = log_evidence(x, np.full(n + 1, n), null, "above")

        def mean(accuracy: float) -> float:
            return np.exp(binom.logpmf(x, n, accuracy) + above).sum()

        assert mean(null) == pytest.approx(1, abs=1e-9)
        assert mean(null - 0.04) < 1 < mean(null + 0.04)

    @FIXED
    @given(counts(), st.floats(0.01, 0.98), st.floats(0.001, 0.01), SIDES)
    def test_a_null_farther_away_is_no_harder_to_exclude(self, sample, null, step, side) -> None:
        # What makes the excluded nulls an interval; only evidence that could decide matters.
        near, far = (null + step, null) if side == "above" else (null, null + step)
        evidence = float(log_evidence(*sample, near, side))
        if evidence > 1:
            assert log_evidence(*sample, far, side) >= evidence - 1e-9

    def test_nothing_seen_is_no_evidence(self) -> None:
        assert float(log_evidence(0, 0, 0.9, "above")) == pytest.approx(0, abs=1e-12)


class TestCanary:
    @FIXED
    @given(OUTCOMES, st.lists(st.integers(0, 60), max_size=5), st.floats(0, 0.3))
    def test_batches_change_nothing(self, outcomes, cuts, max_drop) -> None:
        whole = canary(94, 100, outcomes, max_drop=max_drop)
        parts = Canary(94, 100, max_drop=max_drop)
        for part in np.split(np.array(outcomes, dtype=bool), sorted(cuts)):
            parts.update(part)
        singly = Canary(94, 100, max_drop=max_drop)
        for outcome in outcomes:
            singly.update(outcome)
        for other in (parts, singly):
            assert (other.status, other.decided_at, other.n) == (
                whole.status,
                whole.decided_at,
                len(outcomes),
            )
            assert other.drop == whole.drop

    @FIXED
    @given(OUTCOMES, OUTCOMES)
    def test_once_decided_it_stays_decided(self, first, later) -> None:
        watched = canary(470, 500, first, max_drop=0.1)
        before = watched.status, watched.decided_at
        watched.update(later)
        if before[0] != "inconclusive":
            assert (watched.status, watched.decided_at) == before

    @settings(FIXED, max_examples=60)
    @given(st.integers(0, 2**32), st.sampled_from([0.99, 0.95, 0.8, 0.5, 0.0, 1.0]))
    def test_bounds_of_the_drop_decide_alike(self, seed, accuracy) -> None:
        outcomes = np.random.default_rng(seed).random(300) < accuracy
        watched = canary(940, 1000, outcomes, max_drop=0.08)
        # The bounds are found by a search; only at its precision could they differ.
        assert decide(watched.drop, 0.08) == watched.status

    @settings(FIXED, max_examples=25)
    @given(st.integers(0, 2**32), st.floats(0.3, 1))
    def test_bounds_never_widen_and_enclose(self, seed, accuracy) -> None:
        outcomes = np.random.default_rng(seed).random(120) < accuracy
        watched, before = Canary(940, 1000, max_drop=0.08), None
        for part in np.split(outcomes, 4):
            watched.update(part)
            now = watched.accuracy
            assert now.n == watched.n
            assert now.value == outcomes[: watched.n].mean()
            assert now.low <= now.value <= now.high
            assert watched.drop.low <= watched.drop.value <= watched.drop.high
            if before:
                assert now.lower_bound >= before.lower_bound - 1e-9
                assert now.upper_bound <= before.upper_bound + 1e-9
            before = now

    def test_bounds_are_where_the_evidence_reaches_its_level(self) -> None:
        outcomes = np.random.default_rng(4).random(500) < 0.9
        estimate = canary(940, 1000, outcomes, max_drop=0.05).accuracy
        right, n = np.cumsum(outcomes), np.arange(1, 501)
        for bound, side in ((estimate.lower_bound, "above"), (estimate.upper_bound, "below")):
            most = log_evidence(right, n, bound, side).max()
            assert most == pytest.approx(-math.log(0.04), abs=1e-6)
        for bound, side in ((estimate.low, "above"), (estimate.high, "below")):
            most = log_evidence(right, n, bound, side).max()
            assert most == pytest.approx(-math.log(0.025), abs=1e-6)

    def test_drop_takes_the_offline_limits(self) -> None:
        watched = canary(940, 1000, [True] * 30 + [False] * 3, max_drop=0.05)
        low, high = clopper_pearson(940, 1000, alpha=0.01)
        live, drop = watched.accuracy, watched.drop
        assert drop.lower_bound == pytest.approx(float(low) - live.upper_bound, abs=1e-9)
        assert drop.upper_bound == pytest.approx(float(high) - live.lower_bound, abs=1e-9)
        assert drop.value == pytest.approx(0.94 - 30 / 33)
        assert (drop.n, drop.alpha, live.alpha) == (33, 0.05, 0.04)

    def test_nothing_seen_says_nothing(self) -> None:
        watched = canary(94, 100, [], max_drop=0.05)
        assert (watched.status, watched.n, watched.decided_at) == ("inconclusive", 0, None)
        assert watched.accuracy is None
        assert watched.drop is None

    @pytest.mark.parametrize(("outcome", "status"), [(True, "passed"), (False, "failed")])
    def test_extreme_logs_are_decided_soon(self, outcome: bool, status: str) -> None:
        watched = canary(9400, 10_000, [outcome] * 2_000, max_drop=0.05)
        assert watched.status == status
        assert watched.decided_at < 50
        assert watched.accuracy.value == float(outcome)

    def test_a_drop_that_cannot_be_is_never_shown(self) -> None:
        assert canary(2, 10, [False] * 5_000, max_drop=0.5).status != "failed"
        assert canary(10, 10, [True] * 5_000, max_drop=0.0).status != "passed"

    @pytest.mark.parametrize(
        "wrong", [math.nan, 2, -1, "yes", None, [[True]], [True, math.nan], [0.5]], ids=repr
    )
    def test_refuses_what_is_no_outcome_and_takes_nothing(self, wrong) -> None:
        watched = Canary(94, 100, max_drop=0.05)
        with pytest.raises(ValueError, match=r"^correct: "):
            watched.update(wrong)
        assert watched.n == 0

    @pytest.mark.parametrize(
        ("argument", "wrong"),
        [
            ("max_drop", math.nan),
            ("max_drop", -0.01),
            ("max_drop", 1.0),
            ("alpha_live", 0.0),
            ("alpha_live", math.nan),
            ("alpha_offline", 0.3),
            ("offline_correct", 101),
            ("offline_correct", math.nan),
            ("offline_n", 0),
        ],
    )
    def test_names_the_argument_that_is_wrong(self, argument: str, wrong: float) -> None:
        arguments = {"offline_correct": 94, "offline_n": 100, "max_drop": 0.05, argument: wrong}
        with pytest.raises(ValueError, match=rf"^{argument}: "):
            Canary(**arguments)


def crossings(null: float, side: str, horizon: int, alpha: float = 0.04) -> np.ndarray:
    """Return, for each n, the count of right ones from which (or up to which) a look decides."""
    n = np.arange(1, horizon + 1)
    enough = -math.log(alpha)
    low, high = np.full(horizon, -1), n + 1  # neither is a count
    while (high - low > 1).any():
        middle = (low + high) // 2
        inside = np.clip(middle, 0, n)
        decides = log_evidence(inside, n, null, side) >= enough
        # Far on the other side of the null a count is no evidence, though rounding may say so.
        if side == "above":
            low, high = np.where(decides, low, middle), np.where(decides, middle, high)
        else:
            low, high = np.where(decides, middle, low), np.where(decides, high, middle)
    return high if side == "above" else low


def decisions(offline: int, offline_n: int, live: float, max_drop: float, horizon: int):
    """Return the exact probabilities to have passed, and to have failed, by each look."""
    first, last = clopper_pearson(offline, offline_n, alpha=0.01)
    passes = crossings(float(last) - max_drop, "above", horizon)
    fails = crossings(float(first) - max_drop, "below", horizon)
    state = np.zeros(horizon + 2)  # probability of a count and no decision so far
    state[0] = 1.0
    passed, failed = np.zeros(horizon), np.zeros(horizon)
    for n in range(1, horizon + 1):
        alive = state[: n + 1]
        alive[1:] = alive[1:] * (1 - live) + alive[:-1] * live
        alive[0] *= 1 - live
        if passes[n - 1] <= n:
            passed[n - 1] = alive[passes[n - 1] :].sum()
            alive[passes[n - 1] :] = 0
        if fails[n - 1] >= 0:
            failed[n - 1] = alive[: fails[n - 1] + 1].sum()
            alive[: fails[n - 1] + 1] = 0
    return passed.cumsum(), failed.cumsum()


class TestErrors:
    def test_enumeration_agrees_with_the_canary(self) -> None:
        # The oracle of the tests below, itself held to the code by simulation.
        passed, failed = decisions(470, 500, 0.86, 0.05, 200)
        draw = np.random.default_rng(8)
        runs = [canary(470, 500, draw.random(200) < 0.86, max_drop=0.05) for _ in range(1_000)]
        for status, share in (("passed", passed[-1]), ("failed", failed[-1])):
            seen = np.mean([run.status == status for run in runs])
            assert seen == pytest.approx(share, abs=3.5 * math.sqrt(share / 1_000) + 1e-3)

    @pytest.mark.parametrize(
        ("offline", "offline_n", "live"), [(0.94, 10_000, 0.89), (0.8, 500, 0.7), (0.99, 300, 0.96)]
    )
    def test_a_look_after_each_of_2000_labels_errs_no_more_than_alpha(
        self, offline: float, offline_n: int, live: float
    ) -> None:
        # The offline count is random too: 15 points that stand for equal parts of its distribution.
        total = np.zeros(2)
        middles = (np.arange(15) + 0.5) / 15
        for count in binom.ppf(middles, offline_n, offline):
            passed, failed = decisions(int(count), offline_n, live, offline - live, 2_000)
            total += (passed[-1] / 15, failed[-1] / 15)
        assert (total <= 0.05).all()

    @pytest.mark.slow
    def test_10000_looks_at_the_margin(self) -> None:
        total, weight = np.zeros(2), 0.0
        for count in np.arange(9_325, 9_476, 10):
            mass = binom.pmf(count, 10_000, 0.94)
            passed, failed = decisions(int(count), 10_000, 0.89, 0.05, 10_000)
            total += mass * np.array([passed[-1], failed[-1]])
            weight += mass
        passed, failed = total / weight
        assert passed < 0.05
        assert failed < 0.05
        assert max(passed, failed) > 0.002  # not so careful as to be useless

    @pytest.mark.parametrize(
        ("live", "decision", "median"),
        [(0.94, 0, 250), (0.92, 0, 1_092), (0.84, 1, 409), (0.79, 1, 103)],
    )
    def test_decides_as_soon_as_plug_in_bets(self, live: float, decision: int, median: int) -> None:
        # Medians of Waudby-Smith and Ramdas's predictable plug-in bets, by simulation.
        by = decisions(9_400, 10_000, live, 0.05, 3_000)[decision]
        assert int(np.searchsorted(by, 0.5)) + 1 <= median
        assert by[-1] > 0.9

    @pytest.mark.slow
    def test_rerunning_a_fixed_rule_errs_in_over_a_quarter(self) -> None:
        draw = np.random.default_rng(21)
        offline = draw.binomial(10_000, 0.94, 2_000) / 10_000
        live = draw.binomial(50, 0.89, (2_000, 100)).cumsum(axis=1)
        n = np.broadcast_to(50 * np.arange(1, 101), live.shape)
        l1, u1 = clopper_pearson(offline * 10_000, 10_000, alpha=0.05)
        l2, u2 = clopper_pearson(live, n, alpha=0.05)
        p1, p2 = offline[:, None], live / n
        passed = p1 - p2 + np.hypot(u1[:, None] - p1, p2 - l2) <= 0.05
        failed = p1 - p2 - np.hypot(p1 - l1[:, None], u2 - p2) > 0.05
        # What the canary is for: at the margin, with a look at every 50th label up to 5,000.
        assert passed.any(axis=1).mean() > 0.25
        assert failed.any(axis=1).mean() > 0.25
