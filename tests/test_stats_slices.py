"""Many groups at once: the one rule for each, Holm for the failures, exact family-wise errors."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks.stats import (
    TooFewRowsError,
    decide,
    drop_operating_characteristics,
    drop_p_value,
    holm,
    proportion_drop,
    worst_group,
)
from modelchecks.stats.interval import drop_p_values

FIXED = settings(derandomize=True, deadline=None, max_examples=40)


@st.composite
def groups(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    def one() -> tuple[int, int, int, int]:
        n1, n2 = draw(st.integers(1, 2000)), draw(st.integers(1, 500))
        return draw(st.integers(n1 // 2, n1)), n1, draw(st.integers(n2 // 3, n2)), n2

    return [one() for _ in range(draw(st.integers(1, 8)))]


class TestDecision:
    @FIXED
    @given(groups(), st.floats(-0.05, 0.2), st.integers(1, 60))
    def test_is_the_one_rule_and_holm(
        self, rows: list[tuple[int, int, int, int]], margin: float, minimum: int
    ) -> None:
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        judged = [row for row in rows if row[3] >= minimum]
        if not judged:
            with pytest.raises(TooFewRowsError):
                worst_group(*columns, margin=margin, minimum=minimum)
            return
        found = worst_group(*columns, margin=margin, minimum=minimum)
        p = [drop_p_value(*row, max_drop=margin) for row in judged]
        failed = iter(holm(p))
        for row, status, drop, p_value in zip(
            rows, found.statuses, found.drops, found.p_values, strict=True
        ):
            assert drop == proportion_drop(*row)
            if row[3] < minimum:
                assert (status, p_value) == ("inconclusive", 1)
            elif next(failed):
                assert status == "failed"
            else:
                passed = decide(proportion_drop(*row), margin) == "passed"
                assert status == ("passed" if passed else "inconclusive")
        together = (
            "failed"
            if "failed" in found.statuses
            else "passed"
            if set(found.statuses) == {"passed"}
            else "inconclusive"
        )
        assert found.status == together

    @FIXED
    @given(groups(), st.floats(-0.05, 0.2))
    def test_of_all_groups_is_that_of_the_worst(
        self, rows: list[tuple[int, int, int, int]], margin: float
    ) -> None:
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        found = worst_group(*columns, margin=margin, minimum=1)
        assert found.status == decide(found.worst, margin)
        assert found.worst.value == max(proportion_drop(*row).value for row in rows)
        assert found.worst.value == proportion_drop(*rows[found.worst_group]).value
        assert found.worst.upper_bound == max(proportion_drop(*row).upper_bound for row in rows)
        corrected = [proportion_drop(*row, alpha=0.05 / len(rows)).lower_bound for row in rows]
        assert found.worst.lower_bound == pytest.approx(max(corrected), abs=1e-12)

    def test_a_single_bad_group_is_found_and_named(self) -> None:
        found = worst_group([950, 940, 960], [1000] * 3, [475, 380, 480], [500] * 3, margin=0.05)
        assert found.statuses == ("passed", "failed", "passed")
        assert (found.status, found.worst_group) == ("failed", 1)

    def test_a_group_that_is_too_small_is_never_passed_over(self) -> None:
        columns = ([950, 9], [1000, 10], [475, 10], [500, 10])
        found = worst_group(*columns, margin=0.05)
        assert found.statuses == ("passed", "inconclusive")
        assert found.status == "inconclusive"
        assert decide(found.worst, 0.05) == "passed"  # of the groups that were judged

    def test_a_group_without_rows_has_no_drop(self) -> None:
        found = worst_group([950, 0, 9], [1000, 0, 10], [475, 0, 0], [500, 40, 0], margin=0.05)
        assert found.statuses == ("passed", "inconclusive", "inconclusive")
        assert found.drops[0] is not None
        assert found.drops[1:] == (None, None)

    def test_small_groups_cost_the_others_nothing(self) -> None:
        alone = worst_group([950], [1000], [440], [500], margin=0.03)
        among = worst_group([950, 9, 9], [1000, 10, 10], [440, 9, 9], [500, 10, 10], margin=0.03)
        assert among.statuses[0] == alone.statuses[0] == "failed"
        assert among.worst == alone.worst


class TestErrors:
    @pytest.mark.parametrize(
        ("offline_n", "live_n", "expected"),
        [(10_000, 500, 0.039), (2000, 300, 0.038), (1000, 200, 0.036), (500, 250, 0.032)],
    )
    def test_any_false_failure_among_200_slices_at_the_margin(
        self, offline_n: int, live_n: int, expected: float
    ) -> None:
        # Exact: Holm's first step is a bound of level alpha / 200 over any of them.
        each = drop_operating_characteristics(
            0.94, offline_n, live_n, true_drop=0.05, max_drop=0.05, alpha=0.05 / 200
        ).failed
        any_ = 1 - (1 - each) ** 200
        assert any_ <= 0.053
        assert any_ == pytest.approx(expected, abs=0.002)

    def test_holms_first_step_is_that_bound(self) -> None:
        # The exact figure above is of `worst_group`: the same slices fail.
        draw = np.random.default_rng(0)
        n1, n2 = np.full(200, 500), np.full(200, 250)
        x1, x2 = draw.binomial(n1, 0.94), draw.binomial(n2, 0.89)
        x2[7] = 170
        found = worst_group(x1, n1, x2, n2, margin=0.05)
        bounds = [
            proportion_drop(int(x1[g]), 500, int(x2[g]), 250, alpha=0.05 / 200).lower_bound
            for g in range(200)
        ]
        assert [g for g in range(200) if bounds[g] > 0.05] == [7]
        assert found.statuses[7] == "failed"
        assert found.statuses.count("failed") == 1

    def test_a_false_approval_is_no_likelier_than_alpha(self) -> None:
        # Every group is good but one, at the margin: to pass, its own bound must err, exactly.
        passed = drop_operating_characteristics(0.94, 1000, 300, true_drop=0.05, max_drop=0.05)
        assert passed.passed <= 0.053
        x1, n1, x2, n2 = ([990] * 9 + [940], [1000] * 10, [297] * 9 + [267], [300] * 10)
        assert worst_group(x1, n1, x2, n2, margin=0.05).statuses[9] == "inconclusive"
        assert worst_group(x1, n1, x2, n2, margin=0.05).status == "inconclusive"


class TestManyPValues:
    @FIXED
    @given(groups(), st.floats(-0.05, 0.2))
    def test_are_those_of_one(self, rows: list[tuple[int, int, int, int]], margin: float) -> None:
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        together = drop_p_values(*columns, margin)
        alone = [drop_p_value(*row, max_drop=margin) for row in rows]
        assert together.tolist() == pytest.approx(alone, rel=1e-9)

    def test_200_slices_take_a_fraction_of_a_second(self) -> None:
        draw = np.random.default_rng(1)
        n1, n2 = np.full(200, 1000), np.full(200, 300)
        columns = draw.binomial(n1, 0.94), n1, draw.binomial(n2, 0.8), n2
        worst_group(*columns, margin=0.05)
        start = time.process_time()
        worst_group(*columns, margin=0.05)
        assert time.process_time() - start < 1


class TestInvalidInput:
    GOOD: tuple[list[Any], ...] = ([90, 90], [100, 100], [40, 40], [50, 50])
    NAMES = ("offline_correct", "offline_n", "live_correct", "live_n")

    @pytest.mark.parametrize("position", range(4))
    @pytest.mark.parametrize("wrong", [math.nan, 1.5, -1, "x", math.inf], ids=repr)
    def test_names_the_argument_that_is_no_count(self, position: int, wrong: object) -> None:
        columns = [list(column) for column in self.GOOD]
        columns[position][1] = wrong
        with pytest.raises(ValueError, match=f"^{self.NAMES[position]}: "):
            worst_group(*columns, margin=0.05)  # type: ignore[arg-type]

    @pytest.mark.parametrize("position", range(1, 4))
    def test_names_the_argument_that_has_other_groups(self, position: int) -> None:
        columns = [list(column) for column in self.GOOD]
        columns[position].append(40)
        with pytest.raises(ValueError, match=f"^{self.NAMES[position]}: "):
            worst_group(*columns, margin=0.05)  # type: ignore[arg-type]

    def test_other_arguments(self) -> None:
        for arguments, name in (
            ({"margin": math.nan}, "margin"),
            ({"margin": 0.05, "minimum": 0}, "minimum"),
            ({"margin": 0.05, "alpha": 0.5}, "alpha"),
        ):
            with pytest.raises(ValueError, match=f"^{name}: "):
                worst_group(*self.GOOD, **arguments)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^live_correct: "):
            worst_group([90], [100], [60], [50], margin=0.05)
        with pytest.raises(ValueError, match=r"^offline_correct: "):
            worst_group([], [], [], [], margin=0.05)
