"""Parts of a drop: on simulated shifts whose parts are known, by hand, and as sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelchecks.stats import TooFewRowsError, drop_attribution

COLUMNS = 4


def errors(x, y):
    """Return the chance of an error: class 1 is harder, and so is a high first feature."""
    return np.clip(0.05 + 0.1 * (y == 1) + 0.12 * np.maximum(x[:, 0], 0), 0, 1)


def shifted(draw, n, m, *, label=0.0, input_=0.0, new=0.0, concept=0.0, known=True):
    """Return offline and live rows, and the true parts as means over many more rows."""

    def side(rows, label, input_, new, concept):
        y = (draw.random(rows) < 0.3 + label) * 1
        x = draw.normal(size=(rows, COLUMNS))
        x[:, 0] += input_
        x[:, 2] += input_ / 2  # moves as well, and costs nothing
        unseen = draw.random(rows) < new
        x[unseen, 3] += 12
        chance = np.clip(errors(x, y) + concept + 0.5 * unseen, 0, 1)
        return x, y, (draw.random(rows) >= chance) * 1, chance, unseen

    offline = side(n, 0, 0, 0, 0)
    live = side(m, label, input_, new, concept)
    if not known:
        return (*offline[:3], *live[:3])
    big = side(400_000, label, input_, new, concept)
    before = side(400_000, 0, 0, 0, 0)
    classes = side(400_000, label, 0, 0, 0)
    seen = ~big[4]
    plain = errors(big[0], big[1])
    true = {
        "total": big[3].mean() - before[3].mean(),
        "label_shift": classes[3].mean() - before[3].mean(),
        "covariate_shift": seen.mean() * (plain[seen].mean() - classes[3].mean()),
        "unseen": (big[3] - classes[3].mean())[~seen].sum() / len(seen),
        "rest": seen.mean() * (big[3][seen].mean() - plain[seen].mean()),
        "unseen_share": new,
    }
    return (*offline[:3], *live[:3]), true


SHIFTS = [
    {},
    {"label": 0.3},
    {"input_": 0.6},
    {"new": 0.2},
    {"concept": 0.1},
    {"label": 0.3, "input_": 0.5, "new": 0.1, "concept": 0.05},
]


class TestKnownParts:
    @pytest.mark.parametrize("shift", SHIFTS, ids=str)
    def test_lie_within_the_interval(self, shift):
        given, true = shifted(np.random.default_rng(1), 6000, 4000, **shift)
        found = drop_attribution(*given, resamples=80)
        for name, value in true.items():
            part = getattr(found, name)
            # A hundredth of a point is what the true parts themselves are known to.
            assert part.low - 0.002 <= value <= part.high + 0.002, (name, value, part)

    @pytest.mark.slow
    def test_lie_within_the_interval_as_often_as_it_says(self):
        shift, runs = SHIFTS[-1], 40
        draw, misses = np.random.default_rng(2), {}
        _, true = shifted(draw, 1, 1, **shift)
        for seed in range(runs):
            given = shifted(draw, 3000, 2000, **shift, known=False)
            found = drop_attribution(*given, resamples=60, seed=seed)
            for name, value in true.items():
                part = getattr(found, name)
                misses[name] = misses.get(name, 0) + (not part.low <= value <= part.high)
        # 95 % intervals; the band of 40 runs is three standard errors.
        assert max(misses.values()) / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs), misses

    def test_the_inputs_part_is_the_features_that_cost(self):
        given, true = shifted(np.random.default_rng(3), 6000, 4000, input_=0.6)
        found = drop_attribution(*given, resamples=50)
        parts = [part.value for part in found.features]
        assert parts[0] == pytest.approx(true["covariate_shift"], abs=0.012)
        assert np.abs(parts[1:]).max() < 0.006  # the third moved as well, without a cost
        whole = sum(parts) + found.together.value
        assert whole == pytest.approx(found.covariate_shift.value)

    def test_names_what_makes_rows_new(self):
        given, _ = shifted(np.random.default_rng(4), 3000, 2000, new=0.2)
        found = drop_attribution(*given, resamples=50)
        assert found.unseen_distances[3] > 0.95
        assert max(found.unseen_distances[:3]) < 0.15
        assert found.unseen.value > 4 * abs(found.rest.value)

    def test_a_class_that_offline_lacks_is_unseen(self):
        draw = np.random.default_rng(5)
        x, y = draw.normal(size=(2000, 2)), draw.integers(0, 2, 2000)
        z, w = draw.normal(size=(2000, 2)), np.repeat([0, 1, 7], [900, 900, 200])
        found = drop_attribution(x, y, np.ones(2000), z, w, (w != 7) * 1, resamples=50)
        assert found.total.value == pytest.approx(0.1)
        assert found.unseen.value == pytest.approx(0.1, abs=0.01)
        assert found.unseen_share.value == pytest.approx(0.1, abs=0.01)

    def test_sides_that_share_nothing_are_all_unseen(self):
        draw = np.random.default_rng(6)
        x, z = draw.normal(size=(500, 2)), draw.normal(100, 1, size=(500, 2))
        y = draw.integers(0, 2, 500)
        found = drop_attribution(x, y, np.ones(500), z, y, np.zeros(500), resamples=50)
        assert found.unseen.value == pytest.approx(1)
        assert found.unseen_share.value == 1


class TestSums:
    @pytest.mark.parametrize("shift", SHIFTS[1:], ids=str)
    def test_four_parts_are_the_total(self, shift):
        given, _ = shifted(np.random.default_rng(7), 1000, 800, **shift)
        found = drop_attribution(*given, resamples=50)
        parts = (found.label_shift, found.covariate_shift, found.unseen, found.rest)
        assert sum(part.value for part in parts) == pytest.approx(found.total.value)
        assert found.total.value == pytest.approx(given[2].mean() - given[5].mean())
        assert found.total.n == 800

    def test_the_labels_part_is_the_reweighted_accuracy(self):
        given, _ = shifted(np.random.default_rng(8), 1000, 800, label=0.3)
        _, y, right, _, w, _ = given
        by_class = [1 - right[y == c].mean() for c in (0, 1)]
        now = np.bincount(w, minlength=2) / len(w)
        found = drop_attribution(*given, resamples=50).label_shift.value
        assert found == pytest.approx(now @ by_class - (1 - right.mean()))

    def test_the_seed_is_the_answer(self):
        given, _ = shifted(np.random.default_rng(9), 400, 300)
        one, same = (drop_attribution(*given, resamples=50, seed=1) for _ in range(2))
        assert one == same


class TestInvalidInput:
    def given(self):
        draw = np.random.default_rng(10)
        side = [draw.normal(size=(60, 2)), draw.integers(0, 2, 60), draw.integers(0, 2, 60)]
        return [*side, *side]

    @pytest.mark.parametrize(
        ("place", "wrong", "name"),
        [
            (0, np.full((60, 2), math.nan), "offline_features"),
            (3, np.ones(60), "live_features"),
            (3, np.ones((60, 3)), "live_features"),
            (1, np.ones(60), "offline_labels"),
            (4, np.ones(59, int), "live_labels"),
            (2, np.full(60, 0.5), "offline_correct"),
            (5, np.ones(59), "live_correct"),
        ],
    )
    def test_names_what_is_wrong(self, place, wrong, name):
        given = self.given()
        given[place] = wrong
        with pytest.raises(ValueError, match=f"^{name}: "):
            drop_attribution(*given)

    def test_too_few_rows_and_no_class_shared(self):
        given = self.given()
        with pytest.raises(TooFewRowsError, match=r"^live_features: 49 rows"):
            drop_attribution(*given[:3], *(column[:49] for column in given[3:]))
        given[4] = given[4] + 5
        with pytest.raises(TooFewRowsError, match=r"^live_labels: not one class"):
            drop_attribution(*given)
