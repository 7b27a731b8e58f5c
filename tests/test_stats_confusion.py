"""Metrics of a table of counts: values against sklearn and torchmetrics, bounds by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn
from torchmetrics.functional.classification import multiclass_cohen_kappa

from modelchecks.stats import (
    TooFewRowsError,
    clopper_pearson,
    confusion_metric,
    proportion,
    weighted_proportion,
)
from modelchecks.stats.confusion import _RESAMPLED, CONFUSION_METRICS, OF_ONE_CLASS, _Cells

FIXED = settings(derandomize=True, deadline=None, max_examples=40)
ORACLES = {
    "accuracy": sklearn.accuracy_score,
    "balanced_accuracy": sklearn.balanced_accuracy_score,
    "kappa": sklearn.cohen_kappa_score,
    "macro_f1": lambda y, a: sklearn.f1_score(y, a, average="macro"),
    "weighted_f1": lambda y, a: sklearn.f1_score(y, a, average="weighted"),
}


@st.composite
def tables(draw: st.DrawFn) -> NDArray[np.int64]:
    classes = draw(st.integers(2, 5))
    cells = draw(st.lists(st.integers(0, 25), min_size=classes**2, max_size=classes**2))
    table = np.array(cells).reshape(classes, classes)
    return table + 20 * np.eye(classes, dtype=np.int64)


def rows(table: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    truth, answer = np.nonzero(table)
    times = table[truth, answer]
    return truth.repeat(times), answer.repeat(times)


class TestValues:
    @FIXED
    @given(tables())
    def test_equal_sklearns(self, table: NDArray[np.int64]) -> None:
        for name, oracle in ORACLES.items():
            found = confusion_metric(name, table, resamples=100)
            assert found.value == pytest.approx(oracle(*rows(table)), abs=1e-9)
            slack = 1e-12
            assert found.low <= found.value + slack <= found.high + 2 * slack
            assert found.lower_bound <= found.value + slack <= found.upper_bound + 2 * slack
            assert found.n == table.sum()

    @FIXED
    @given(tables())
    def test_of_one_class_equal_sklearns(self, table: NDArray[np.int64]) -> None:
        truth, answer = rows(table)
        for name in OF_ONE_CLASS:
            oracle = getattr(sklearn, f"{name}_score")(truth, answer, average=None)
            for label in range(len(table)):
                found = confusion_metric(name, table, label=label)
                assert found.value == pytest.approx(oracle[label], abs=1e-12)

    def test_kappa_equals_torchmetrics(self) -> None:
        table = np.array([[50, 7, 2], [4, 60, 9], [1, 3, 40]])
        truth, answer = (torch.from_numpy(side) for side in rows(table))
        expected = multiclass_cohen_kappa(answer, truth, num_classes=3)
        found = confusion_metric("kappa", table, resamples=100)
        assert found.value == pytest.approx(float(expected), abs=1e-6)

    def test_a_class_that_never_occurs_does_not_count(self) -> None:
        table = np.array([[50, 7], [4, 60]])
        wide = np.zeros((4, 4), dtype=int)
        wide[np.ix_([0, 2], [0, 2])] = table
        for name in ORACLES:
            assert confusion_metric(name, wide).value == confusion_metric(name, table).value
            assert confusion_metric(name, wide).upper_bound == pytest.approx(
                confusion_metric(name, table).upper_bound
            )


class TestExactBounds:
    def test_of_shares_are_those_of_proportion(self) -> None:
        table = np.array([[50, 7, 2], [4, 60, 9], [1, 3, 40]])
        assert confusion_metric("accuracy", table) == proportion(150, 176)
        assert confusion_metric("recall", table, label=1) == proportion(60, 73)
        assert confusion_metric("precision", table, label=1) == proportion(60, 70)

    def test_of_f1_are_clopper_and_pearsons_of_the_rows_it_touches(self) -> None:
        # F1 = 2J / (1 + J), where J is the share of hits among rows that are of or called class 1.
        table = np.array([[50, 7, 2], [4, 60, 9], [1, 3, 40]])
        lower, upper = (float(limit) for limit in clopper_pearson(60, 83, alpha=0.05))
        found = confusion_metric("f1", table, label=1)
        assert found.lower_bound == pytest.approx(2 * lower / (1 + lower))
        assert found.upper_bound == pytest.approx(2 * upper / (1 + upper))
        assert found.n == 83

    def test_of_balanced_accuracy_are_those_of_weighted_rows(self) -> None:
        table = np.array([[90, 10], [4, 16]])
        truth, answer = rows(table)
        same = weighted_proportion(truth == answer, np.where(truth == 0, 0.01, 0.05))
        found = confusion_metric("balanced_accuracy", table)
        for name in ("value", "low", "high", "lower_bound", "upper_bound"):
            assert getattr(found, name) == pytest.approx(getattr(same, name), abs=1e-12)

    def test_a_faultless_table_still_has_a_lower_bound(self) -> None:
        # A plain bootstrap would say [1, 1] on 60 rows.
        table = np.diag([20, 20, 20])
        exact = float(clopper_pearson(60, 60, alpha=0.05)[0])
        for name in ORACLES:
            found = confusion_metric(name, table)
            assert found.value == found.upper_bound == 1
            assert exact - 0.04 < found.lower_bound < exact + 0.01


class TestResampling:
    def test_cells_give_what_whole_tables_give(self) -> None:
        draw = np.random.default_rng(0)
        table = draw.poisson(3, (6, 6)).astype(float) + np.diag(np.full(6, 9.0))
        for name, summary in _RESAMPLED.items():
            cells = _Cells(table, summary)
            drawn = draw.multinomial(int(table.sum()), table.ravel() / table.sum(), 20)
            whole = [ORACLES[name](*rows(one.reshape(6, 6))) for one in drawn.astype(np.int64)]
            there = drawn[:, np.flatnonzero(table.ravel())].astype(float)
            assert cells.of(there) == pytest.approx(whole, abs=1e-9)

    def test_without_one_row_of_each_cell(self) -> None:
        table = np.array([[9.0, 2.0], [1.0, 8.0]])
        left_out = _Cells(table, _RESAMPLED["kappa"]).left_out()
        for (i, j), value in zip(np.argwhere(table), left_out, strict=True):
            less = table.astype(int)
            less[i, j] -= 1
            assert value == pytest.approx(ORACLES["kappa"](*rows(less)), abs=1e-12)

    def test_the_seed_decides(self) -> None:
        table = np.array([[50, 7, 2], [4, 60, 9], [1, 3, 40]])
        one, again, other = (confusion_metric("macro_f1", table, seed=s) for s in (0, 0, 1))
        assert one == again
        assert one != other
        assert one.lower_bound == pytest.approx(other.lower_bound, abs=0.01)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "kappa"])
    @pytest.mark.parametrize(("n", "wrong"), [(60, 0.02), (200, 0.06), (400, 0.2)])
    def test_no_bound_errs_more_often_than_allowed(self, name: str, n: int, wrong: float) -> None:
        # 700 replicates. BCa alone errs in up to 61 % where few answers are wrong.
        shares = np.array([0.5, 0.3, 0.2])
        law = np.array([[0, 0.6, 0.4], [0.8, 0, 0.2], [0.5, 0.5, 0]]) * wrong * shares[:, None]
        law += np.diag(shares * (1 - wrong))
        true = float(_RESAMPLED[name](np.diagonal(law), law.sum(1), law.sum(0)))
        draw, found = np.random.default_rng(4), []
        for seed in range(700):
            table = draw.multinomial(n, law.ravel()).reshape(3, 3)
            try:
                found.append(confusion_metric(name, table, resamples=400, seed=seed))
            except TooFewRowsError:
                continue  # Nothing is decided.
        assert np.sum([e.lower_bound > true for e in found]) / 700 <= 0.053 + 3 * 0.0083
        assert np.sum([e.upper_bound < true for e in found]) / 700 <= 0.053 + 3 * 0.0083
        assert np.mean([e.low <= true <= e.high for e in found]) >= 0.94 - 3 * 0.0083


class TestTooFew:
    @pytest.mark.parametrize(
        ("name", "table", "label"),
        [
            ("macro_f1", [[90, 1], [1, 3]], None),
            ("macro_f1", [[90, 0], [0, 0]], None),
            ("kappa", [[90, 0], [0, 0]], None),
            ("kappa", [[5, 4], [4, 5]], None),
            ("weighted_f1", [[5, 4], [4, 5]], None),
            ("balanced_accuracy", [[90, 9], [0, 0]], None),
            ("recall", [[90, 9], [0, 0]], 1),
            ("precision", [[90, 0], [9, 0]], 1),
            ("f1", [[90, 0], [0, 0]], 1),
        ],
    )
    def test_rows_that_do_not_carry_the_metric(
        self, name: str, table: list[list[int]], label: int | None
    ) -> None:
        with pytest.raises(TooFewRowsError, match=r"^table: "):
            confusion_metric(name, np.array(table), label=label)


class TestInvalidInput:
    @pytest.mark.parametrize(
        "table",
        [
            [[1, 2, 3], [4, 5, 6]],
            [[1]],
            [1, 2],
            [[1.5, 0], [0, 1]],
            [[-1, 0], [0, 1]],
            [[math.nan, 0], [0, 1]],
            [[math.inf, 0], [0, 1]],
            [[0, 0], [0, 0]],
            [["a", "b"], ["c", "d"]],
        ],
    )
    @pytest.mark.parametrize("name", ["accuracy", "kappa"])
    def test_table(self, table: object, name: str) -> None:
        with pytest.raises(ValueError, match=r"^table: "):
            confusion_metric(name, table)  # type: ignore[arg-type]

    def test_other_arguments(self) -> None:
        table = np.array([[20, 3], [4, 20]])
        for arguments, name in (
            ({"name": "accurracy"}, "name"),
            ({"name": "f1"}, "label"),
            ({"name": "kappa", "label": 1}, "label"),
            ({"name": "f1", "label": 2}, "label"),
            ({"name": "f1", "label": -1}, "label"),
            ({"name": "f1", "label": True}, "label"),
            ({"name": "kappa", "alpha": 0.5}, "alpha"),
            ({"name": "kappa", "resamples": 10}, "resamples"),
        ):
            metric = {"table": table, **arguments}
            with pytest.raises(ValueError, match=f"^{name}: "):
                confusion_metric(**metric)  # type: ignore[arg-type]

    def test_every_name_is_there_once(self) -> None:
        assert set(CONFUSION_METRICS) == {*ORACLES, *OF_ONE_CLASS}
        assert len(CONFUSION_METRICS) == len(set(CONFUSION_METRICS))
