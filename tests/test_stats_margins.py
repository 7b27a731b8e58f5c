"""Margins by measurement: natural variation, what costs, and where the two cannot be told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from modelchecks.stats import TooFewRowsError, decide, kolmogorov, propose_margins


def days(draw, spread, rows=6000, groups=6):
    """Return rows of several days whose means differ by up to `spread`, and the day of each."""
    day = draw.integers(0, groups, rows)
    return draw.normal(size=(rows, 2)) + spread * np.linspace(-1, 1, groups)[day][:, None], day


class TestNatural:
    def test_is_the_largest_distance_of_a_day_freed_of_chance(self):
        draw = np.random.default_rng(0)
        found = [propose_margins(*days(draw, 0.0), current_n=5000)[0].natural for _ in range(30)]
        assert np.median(found) < 0.015
        assert max(found) < 0.05
        one = propose_margins(*days(draw, 0.4), current_n=5000)[0]
        # The last day against the five others.
        others = [norm(0.4 * c).cdf for c in np.linspace(-1, 1, 6)[:-1]]
        points = np.linspace(-4, 4, 2001)
        true = np.abs(np.mean([f(points) for f in others], 0) - norm(0.4).cdf(points)).max()
        assert one.natural == pytest.approx(true, abs=0.03)
        assert one.group in ("0", "5")

    def test_a_margin_bears_a_day_like_the_others(self):
        draw = np.random.default_rng(1)
        table, day = days(draw, 0.2)
        proposed = propose_margins(table, day, current_n=3000)[0]
        again = draw.normal(0.2, size=3000)
        assert decide(kolmogorov(table[:, 0], again, features=2), proposed.margin) != "failed"
        assert proposed.separates
        assert proposed.costly is None
        assert "6 groups" in proposed.reason

    def test_few_rows_need_a_wider_margin(self):
        table, day = days(np.random.default_rng(2), 0.0)
        few, many = (propose_margins(table, day, current_n=n)[0] for n in (100, 5000))
        assert few.in_reach > 2 * many.in_reach
        assert few.margin >= few.in_reach
        assert "so few rows" in few.reason


class TestBattery:
    EFFECTS = np.array([[0.05, 0.02], [0.20, 0.03], [0.40, 0.04]])
    DROPS = np.array([0.01, 0.03, 0.07])

    def proposed(self, drops=DROPS, spread=0.05, **changes):
        table, day = days(np.random.default_rng(3), spread)
        options = {"effects": self.EFFECTS, "drops": drops, "max_drop": 0.05, **changes}
        return propose_margins(table, day, current_n=5000, names=["blur", "size"], **options)

    def test_lies_between_what_varies_and_what_costs(self):
        blur, size = self.proposed()
        assert blur.costly == pytest.approx(0.3)  # half way from .2 to .4
        assert max(blur.natural, blur.in_reach) < blur.margin < blur.costly
        assert blur.separates
        # The other feature hardly moves where it costs: it cannot tell.
        assert size.costly == pytest.approx(0.035)
        assert not size.separates
        assert size.margin == pytest.approx(0.035)
        assert "cannot tell harm" in size.reason

    def test_a_battery_that_costs_nothing_sets_no_limit(self):
        blur, _ = self.proposed(drops=np.array([0.0, 0.01, -0.02]))
        assert blur.costly is None
        assert "no severity tried costs 5 pp" in blur.reason

    def test_a_cost_once_seen_counts_for_all_beyond(self):
        dented, _ = self.proposed(drops=np.array([0.07, 0.01, 0.02]))
        assert dented.costly == pytest.approx(0.05 * 5 / 7)

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"max_drop": None}, "effects"),
            ({"max_drop": math.nan}, "max_drop"),
            ({"effects": np.ones((3, 1))}, "effects"),
            ({"effects": 2 * np.ones((3, 2))}, "effects"),
            ({"drops": np.ones(2)}, "drops"),
            ({"drops": np.full(3, math.nan)}, "drops"),
        ],
    )
    def test_names_what_is_wrong(self, changes, name):
        with pytest.raises(ValueError, match=f"^{name}: "):
            self.proposed(**changes)

    def test_a_feature_that_the_battery_does_not_touch_has_no_cost(self):
        effects = self.EFFECTS.copy()
        effects[:, 1] = math.nan
        blur, size = self.proposed(effects=effects)
        assert blur.costly is not None
        assert size.costly is None
        assert "severity" not in size.reason
        effects[0, 0] = math.nan
        with pytest.raises(ValueError, match=r"^effects: "):
            self.proposed(effects=effects)


class TestCategories:
    def shares(self, draw, spread):
        """Four days with three categories, the first of which comes more often on the last."""
        day = draw.integers(0, 4, 4000)
        more = draw.random(4000) < np.where(day == 3, spread, 0.0)
        return np.where(more, 0.0, draw.integers(0, 3, 4000)), day

    def test_natural_variation_is_a_total_variation_freed_of_chance(self):
        draw = np.random.default_rng(4)
        none = [
            propose_margins(*self.shares(draw, 0.0), current_n=5000, categorical=[True])[0].natural
            for _ in range(30)
        ]
        assert np.median(none) < 0.02
        assert max(none) < 0.06
        some = [
            propose_margins(*self.shares(draw, 0.3), current_n=5000, categorical=[True])[0]
            for _ in range(9)
        ]
        # .3 of the rows become the first of three categories, which two thirds were not.
        assert np.median([one.natural for one in some]) == pytest.approx(0.3 * 2 / 3, abs=0.02)
        assert {one.group for one in some} == {"3"}

    def test_one_flag_for_each_feature(self):
        with pytest.raises(ValueError, match=r"^categorical: has 2, reference has 1"):
            propose_margins(
                *self.shares(np.random.default_rng(5), 0), current_n=50, categorical=[True, False]
            )


class TestInvalidInput:
    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"reference": np.full((200, 1), math.nan)}, "reference"),
            ({"groups": np.zeros(3)}, "groups"),
            ({"current_n": 0}, "current_n"),
            ({"names": ["a", "b"]}, "names"),
        ],
    )
    def test_names_what_is_wrong(self, changes, name):
        fine = {
            "reference": np.arange(200.0),
            "groups": np.repeat([0, 1], 100),
            "current_n": 100,
        }
        propose_margins(**fine)
        with pytest.raises(ValueError, match=f"^{name}: "):
            propose_margins(**{**fine, **changes})

    def test_groups_that_are_too_small(self):
        with pytest.raises(TooFewRowsError, match=r"^groups: 0 have 50 rows"):
            propose_margins(np.arange(200.0), np.repeat([0, 1], [180, 20]), current_n=10)
