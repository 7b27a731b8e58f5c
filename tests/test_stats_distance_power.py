"""How many rows settle a question of similarity, against how often they do."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks.stats import (
    decide,
    kolmogorov,
    margin_in_reach,
    rows_needed,
    rows_to_decide,
    total_variation,
)


class TestRowsToDecide:
    """How many rows would settle a distance, against how often they do."""

    def settled(self, draw, n, m, share, **asked):
        """How often a set of features is decided at m rows, one of them moved by `share`."""
        features, margin = asked["features"], asked["margin"]
        decided = 0
        for _ in range(200):
            estimates = []
            for number in range(features):
                a, b = draw.random(n), draw.random(m)
                if number == 0:
                    b = np.where(draw.random(m) < share, 2.0, b)
                estimates.append(kolmogorov(a, b, features=features))
            each = [decide(estimate, margin) for estimate in estimates]
            decided += "failed" in each or all(one == "passed" for one in each)
        return decided / 200

    @pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
    @pytest.mark.parametrize("features", [1, 5])
    def test_that_many_rows_decide_four_times_in_five(self, share, features):
        draw = np.random.default_rng([features, round(100 * share)])
        a = draw.random(5000)
        # The middle of what 600 rows show of such a shift.
        shown = [
            kolmogorov(
                a, np.where(draw.random(600) < share, 2.0, draw.random(600)), features=features
            )
            for _ in range(51)
        ]
        middle = sorted(shown, key=lambda estimate: estimate.value)[25]
        needed = rows_to_decide(middle, 5000, margin=0.1, features=features)
        assert needed is not None
        assert 100 < needed < 20_000
        asked = {"features": features, "margin": 0.1}
        assert self.settled(draw, 5000, needed, share, **asked) > 0.65
        assert self.settled(draw, 5000, needed // 4, share, **asked) < 0.8

    def test_none_where_the_reference_is_too_small(self):
        draw = np.random.default_rng(3)
        near = kolmogorov(draw.random(300), draw.random(300))
        assert rows_to_decide(near, 300, margin=0.1, features=15) is None
        beyond = kolmogorov(draw.random(100), draw.random(300) + 0.12)
        assert rows_to_decide(beyond, 100, margin=0.1, features=15) is None

    def test_none_at_the_margin(self):
        at = kolmogorov(np.arange(100.0), np.arange(100.0) + 10)
        assert at.value == pytest.approx(0.1)
        assert rows_to_decide(at, 10**6, margin=0.1) is None

    def test_categories_take_more_rows_the_more_there_are(self):
        few, many = (
            rows_to_decide(
                total_variation(np.full(c, 9000 // c), np.full(c, 90 // c)),
                9000,
                margin=0.1,
                features=0,
                categories=(c,),
                own=c,
            )
            for c in (3, 30)
        )
        assert few is not None
        assert many is not None
        assert few < many


class TestMarginInReachOfCategories:
    @pytest.mark.parametrize("categories", [(3,), (20,), (5, 50)])
    def test_it_is_the_inverse_of_rows_needed(self, categories):
        needed = rows_needed(2, margin=0.1, categories=categories)
        found = margin_in_reach(2, needed, needed, categories=categories)
        assert found == pytest.approx(0.1, rel=1e-2)
