"""Whether similarity is decided alike at every n: at the margin, without a shift, and beside it.

At the boundary every feature has exactly the distance of the margin, so that a pass and a failure
are both errors. The band is alpha + .3 points + 3 Monte-Carlo standard errors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from modelchecks.stats import decide, kolmogorov, kuiper, rows_needed, total_variation

THETA = 0.10


def band(replicates):
    return 0.05 + 0.003 + 3 * math.sqrt(0.05 * 0.95 / replicates)


def normals(draw, n, theta):
    return draw.normal(size=n), draw.normal(2 * norm.ppf((1 + theta) / 2), size=n)


def ties(draw, n, theta):
    # Ten equal integers, of which the lowest ones are raised: theta of the rows move by one.
    now = draw.integers(0, 10, n)
    return draw.integers(0, 10, n), np.where((now == 0) & (draw.random(n) < 10 * theta), 1, now)


def binary(draw, n, theta):
    return (draw.random(n) < 0.5) * 1, (draw.random(n) < 0.5 + theta) * 1


def constant(draw, n, theta):
    return np.full(n, 5), 5 + (draw.random(n) < theta)


NUMERIC = [normals, ties, binary, constant]


def outcome(draw, n, features, theta, kinds=NUMERIC):
    """Return the verdict of the rule over so many features, all shifted by theta."""
    verdicts = []
    for number in range(features):
        pair = kinds[number % len(kinds)](draw, n, theta)
        verdicts.append(decide(kolmogorov(*pair, features=features), THETA))
    return combined(verdicts)


def combined(verdicts):
    if "failed" in verdicts:
        return "failed"
    return "passed" if set(verdicts) == {"passed"} else "inconclusive"


# A hundred thousand rows take their time: there all kinds are mixed in one set.
CASES = [
    *((kind, n, 1, 1000) for kind in NUMERIC for n in (300, 1000)),
    *((kind, n, 15, 400) for kind in NUMERIC for n in (300, 1000)),
    *((kind, 10_000, 1, 150) for kind in NUMERIC),
    *((None, n, 15, 400) for n in (300, 1000)),
    (None, 10_000, 15, 100),
    (None, 100_000, 1, 150),
    (None, 100_000, 15, 30),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n", "features", "replicates"), CASES)
def test_numbers_at_the_margin(kind, n, features, replicates):
    draw = np.random.default_rng([5, n, features])
    kinds = NUMERIC if kind is None else [kind]
    verdicts = []
    for number in range(replicates):
        turned = [kinds[(number + i) % len(kinds)] for i in range(len(kinds))]
        verdicts.append(outcome(draw, n, features, THETA, turned))
    assert verdicts.count("passed") / replicates <= band(replicates)
    assert verdicts.count("failed") / replicates <= band(replicates)


@pytest.mark.slow
@pytest.mark.parametrize("features", [1, 15])
@pytest.mark.parametrize("n", [300, 1000, 10_000, 100_000])
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([0.5, 0.5], [0.6, 0.4]),
        ([0.25] * 4, [0.30, 0.30, 0.20, 0.20]),
        ([0.1] * 10, [0.2] + [0.8 / 9] * 9),
        ([0.9, 0.05, 0.05, 0.0], [0.8, 0.05, 0.05, 0.1]),  # a category never seen before
        ([1.0, 0.0], [0.9, 0.1]),  # constant until now
    ],
)
def test_categories_at_the_margin(features, n, p, q):
    assert np.abs(np.subtract(p, q)).sum() / 2 == pytest.approx(THETA)
    draw, replicates = np.random.default_rng([6, n, features]), 2000 if features == 1 else 400
    shape = (replicates, features)
    both = np.stack([draw.multinomial(n, p, shape), draw.multinomial(n, q, shape)], axis=2)
    verdicts = [
        combined([decide(total_variation(a, b, features=features), THETA) for a, b in rows])
        for rows in both
    ]
    assert verdicts.count("passed") / replicates <= band(replicates)
    assert verdicts.count("failed") / replicates <= band(replicates)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.2, 0.5])
@pytest.mark.parametrize(("n", "replicates"), [(300, 1500), (1000, 1500), (10_000, 300)])
def test_angles_at_the_margin(spread, n, replicates):
    draw = np.random.default_rng([7, n])

    def pair():
        # A tenth more of the rows lies on an arc across midnight.
        now = draw.random(n)
        moved = draw.random(n) < THETA / (1 - spread)
        return draw.random(n), np.where(moved, (0.9 + spread * draw.random(n)) % 1, now)

    verdicts = [decide(kuiper(*pair(), period=1), THETA) for _ in range(replicates)]
    assert verdicts.count("passed") / replicates <= band(replicates)
    assert verdicts.count("failed") / replicates <= band(replicates)


@pytest.mark.slow
def test_unshifted_features_pass_from_ten_thousand_rows():
    draw = np.random.default_rng(8)
    verdicts = [outcome(draw, 10_000, 15, 0.0) for _ in range(60)]
    assert verdicts.count("passed") / 60 >= 0.95
    verdicts = [outcome(draw, 100_000, 15, 0.0) for _ in range(2)]
    assert set(verdicts) == {"passed"}


@pytest.mark.slow
@pytest.mark.parametrize(("theta", "never"), [(THETA / 2, "failed"), (2 * THETA, "passed")])
def test_no_verdict_turns_as_rows_come(theta, never):
    # The same rows, more and more of them: at half the margin none fails, at double none passes,
    # and what is still open becomes less.
    sizes, runs = [300, 1000, 3000, 10_000, 30_000], 40
    draw = np.random.default_rng(9)
    open_ = np.zeros(len(sizes))
    for _ in range(runs):
        pairs = [kind(draw, sizes[-1], theta) for kind in NUMERIC]
        for place, n in enumerate(sizes):
            each = [decide(kolmogorov(a[:n], b[:n], features=4), THETA) for a, b in pairs]
            assert combined(each) != never
            open_[place] += combined(each) == "inconclusive"
    assert (np.diff(open_) <= 0).all()
    assert open_[-1] == 0


class TestRowsNeeded:
    @pytest.mark.parametrize(
        ("features", "probability"), [(1, 0.5), (1, 0.95), (15, 0.66), (15, 0.9)]
    )
    def test_numbers_pass_as_often_as_it_says(self, features, probability):
        n, runs = rows_needed(features, probability=probability), 1200 // features + 300
        draw = np.random.default_rng(10)
        kinds = [lambda draw, n, theta: (draw.random(n), draw.random(n))]
        passed = sum(outcome(draw, n, features, 0, kinds) == "passed" for _ in range(runs))
        error = math.sqrt(probability * (1 - probability) / runs)
        # Within 10 % of the rows, the chance moves by about .05.
        assert passed / runs == pytest.approx(probability, abs=3 * error + 0.05)

    @pytest.mark.parametrize("categories", [2, 3, 10, 50])
    def test_categories_pass_as_often_as_it_says(self, categories):
        n = rows_needed(0, categories=(categories,), reference_n=20_000)
        draw, runs = np.random.default_rng(11), 1000
        shares = np.full(categories, 1 / categories)
        tables = zip(
            draw.multinomial(20_000, shares, runs), draw.multinomial(n, shares, runs), strict=True
        )
        passed = sum(decide(total_variation(*pair), THETA) == "passed" for pair in tables)
        assert 0.76 <= passed / runs <= 0.90

    def test_a_small_reference_can_never_do(self):
        assert rows_needed(15, reference_n=500) is None
        assert rows_needed(15, reference_n=600) > rows_needed(15, reference_n=10_000)
        # A category that is all there is takes room for chance all the same.
        assert rows_needed(0, categories=(1,)) < rows_needed(0, categories=(2,))

    @pytest.mark.parametrize(
        ("wrong", "name"),
        [
            ({"features": 0}, "features"),
            ({"features": -1}, "features"),
            ({"margin": 0}, "margin"),
            ({"margin": math.nan}, "margin"),
            ({"probability": 1}, "probability"),
            ({"categories": (0,)}, "categories"),
            ({"reference_n": 0}, "reference_n"),
            ({"alpha": 0.5}, "alpha"),
        ],
    )
    def test_names_what_is_wrong(self, wrong, name):
        with pytest.raises(ValueError, match=f"^{name}: "):
            rows_needed(**wrong)
