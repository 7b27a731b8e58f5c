"""One name, one estimate: every metric against sklearn and torchmetrics, and where it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as sklearn
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_auroc

from modelchecks.stats import (
    LOWER_IS_BETTER,
    METRICS,
    Estimate,
    TooFewRowsError,
    auroc,
    bootstrap_metric,
    bounded_mean,
    confusion_metric,
    decide,
    metric,
    metric_drop,
    proportion,
    unbounded_mean,
)

ARGUMENTS: dict[str, dict[str, int]] = {
    "f1": {"label": 1},
    "precision": {"label": 1},
    "recall": {"label": 1},
    "top_k": {"k": 2},
}


def answers(n: int = 600, ease: float = 2.5, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return labels of four classes and their probabilities."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 4, n)
    logits = draw.standard_normal((n, 4)) + ease * np.eye(4)[labels]
    chance = np.exp(logits)
    return labels, chance / chance.sum(1, keepdims=True)


LABELS, CHANCE = answers()
ANSWERS = CHANCE.argmax(1)
EXPECTED = {
    "accuracy": sklearn.accuracy_score(LABELS, ANSWERS),
    "auroc": sklearn.roc_auc_score(LABELS, CHANCE, multi_class="ovr"),
    "balanced_accuracy": sklearn.balanced_accuracy_score(LABELS, ANSWERS),
    "brier": sklearn.brier_score_loss(LABELS, CHANCE, scale_by_half=False),
    "f1": sklearn.f1_score(LABELS, ANSWERS, average=None)[1],
    "kappa": sklearn.cohen_kappa_score(LABELS, ANSWERS),
    "log_loss": sklearn.log_loss(LABELS, CHANCE),
    "macro_f1": sklearn.f1_score(LABELS, ANSWERS, average="macro"),
    "precision": sklearn.precision_score(LABELS, ANSWERS, average=None)[1],
    "recall": sklearn.recall_score(LABELS, ANSWERS, average=None)[1],
    "top_k": sklearn.top_k_accuracy_score(LABELS, CHANCE, k=2),
    "weighted_f1": sklearn.f1_score(LABELS, ANSWERS, average="weighted"),
}


class TestValues:
    @pytest.mark.parametrize("name", METRICS)
    def test_equal_sklearns(self, name: str) -> None:
        found = metric(name, LABELS, CHANCE, **ARGUMENTS.get(name, {}))
        assert found.value == pytest.approx(EXPECTED[name], abs=1e-9)
        assert found.low < found.value < found.high
        assert found.lower_bound < found.value < found.upper_bound

    def test_equal_torchmetrics(self) -> None:
        chance, labels = torch.from_numpy(CHANCE), torch.from_numpy(LABELS)
        area = multiclass_auroc(chance, labels, num_classes=4)
        assert metric("auroc", LABELS, CHANCE).value == pytest.approx(float(area), abs=1e-6)
        top = multiclass_accuracy(chance, labels, num_classes=4, top_k=3, average="micro")
        assert metric("top_k", LABELS, CHANCE, k=3).value == pytest.approx(float(top), abs=1e-6)

    def test_single_precision_is_accepted(self) -> None:
        single = CHANCE.astype(np.float32)
        for name in ("accuracy", "brier", "log_loss"):
            found = metric(name, LABELS, single)
            assert found.value == pytest.approx(EXPECTED[name], abs=1e-6)

    def test_of_two_classes_may_have_one_column(self) -> None:
        labels, chance = (LABELS > 1).astype(int), CHANCE[:, 2:].sum(1)
        both = np.column_stack([1 - chance, chance])
        for name in METRICS:
            if name != "top_k":
                arguments = ARGUMENTS.get(name, {})
                one = metric(name, labels, chance, **arguments)
                assert one == metric(name, labels, both, **arguments)
        expected = sklearn.brier_score_loss(labels, chance)
        assert metric("brier", labels, chance).value == pytest.approx(2 * expected)

    def test_of_equal_probabilities_the_first_class_is_the_answer(self) -> None:
        labels, even = np.repeat([0, 1], 50), np.full((100, 2), 0.5)
        three = np.full((100, 3), 1 / 3)
        assert metric("accuracy", labels, even).value == 0.5
        assert metric("top_k", labels, three, k=1) == metric("accuracy", labels, three)
        assert metric("top_k", labels, three, k=2).value == 1


class TestBounds:
    def test_come_from_the_metrics_own_method(self) -> None:
        table = np.zeros((4, 4), dtype=int)
        np.add.at(table, (LABELS, ANSWERS), 1)
        assert metric("kappa", LABELS, CHANCE) == confusion_metric("kappa", table)
        assert metric("auroc", LABELS, CHANCE, alpha=0.1) == auroc(LABELS, CHANCE, alpha=0.1)
        right = int((LABELS == ANSWERS).sum())
        assert metric("accuracy", LABELS, CHANCE) == proportion(right, 600)
        losses = -np.log(CHANCE[np.arange(600), LABELS])
        assert metric("log_loss", LABELS, CHANCE) == unbounded_mean(losses)

    def test_a_function_is_resampled(self) -> None:
        def accuracy(labels: NDArray[Any], chance: NDArray[Any]) -> float:
            return float((chance.argmax(1) == labels).mean())

        found = metric(accuracy, LABELS, CHANCE, resamples=200, seed=3)
        assert found == bootstrap_metric(accuracy, LABELS, CHANCE, resamples=200, seed=3)
        assert found.lower_bound == pytest.approx(
            metric("accuracy", LABELS, CHANCE).lower_bound, abs=0.01
        )

    def test_weights_are_taken_where_rows_are_averaged(self) -> None:
        weights = np.where(LABELS == 0, 3.0, 1.0)
        right = LABELS == ANSWERS
        found = metric("accuracy", LABELS, CHANCE, weights=weights)
        assert found == bounded_mean(right, weights=weights)
        assert found.value == pytest.approx(
            sklearn.accuracy_score(LABELS, ANSWERS, sample_weight=weights)
        )
        assert metric("brier", LABELS, CHANCE, weights=weights).value == pytest.approx(
            sklearn.brier_score_loss(LABELS, CHANCE, sample_weight=weights, scale_by_half=False)
        )
        metric("top_k", LABELS, CHANCE, k=2, weights=weights)

    def test_a_log_loss_without_wrong_answers_is_bounded_by_its_floor(self) -> None:
        # Nothing was seen to go wrong in 50 rows: a row may still cost 34.5 nats.
        labels = np.zeros(50, dtype=int)
        chance = np.tile([0.99, 0.01], (50, 1))
        found = metric("log_loss", labels, chance)
        assert found.value == pytest.approx(-math.log(0.99))
        assert found.upper_bound > 1
        assert found.method == "beta-mean"

    def test_an_answer_of_probability_0_costs_what_the_floor_says(self) -> None:
        labels = np.concatenate([np.ones(5, dtype=int), np.zeros(95, dtype=int)])
        found = metric("log_loss", labels, np.tile([1.0, 0.0], (100, 1)))
        assert found.value == pytest.approx(0.05 * 34.539, abs=1e-3)

    @pytest.mark.parametrize(("n", "sure"), [(100, 2.0), (600, 4.0)])
    def test_of_a_log_loss_err_no_more_often_than_allowed(self, n: int, sure: float) -> None:
        # 1,500 replicates over rows of which 3 % are hard: there the answers are wrong and sure.
        draw = np.random.default_rng(6)

        def rows(count: int) -> tuple[NDArray[Any], NDArray[Any]]:
            hard = draw.random(count) < 0.03
            logit = np.where(hard, -1.0, sure) + draw.standard_normal(count)
            own = 1 / (1 + np.exp(-logit))
            return np.zeros(count, dtype=int), np.column_stack([own, 1 - own])

        true = float(-np.log(rows(2_000_000)[1][:, 0]).mean())
        found = [metric("log_loss", *rows(n)) for _ in range(1500)]
        limit = 0.053 + 3 * math.sqrt(0.05 * 0.95 / 1500)
        assert np.mean([e.lower_bound > true for e in found]) <= limit
        assert np.mean([e.upper_bound < true for e in found]) <= limit


class TestDrop:
    def test_a_worse_model_drops_in_every_metric(self) -> None:
        labels, chance = answers(ease=0.5, seed=1)
        for name in METRICS:
            arguments = ARGUMENTS.get(name, {})
            offline = metric(name, LABELS, CHANCE, **arguments)
            live = metric(name, labels, chance, **arguments)
            better = name not in LOWER_IS_BETTER
            drop = metric_drop(offline, live, higher_is_better=better)
            assert drop.lower_bound > 0, name
            assert decide(drop, 0.0) == "failed"
            none = metric_drop(offline, offline, higher_is_better=better)
            assert (none.value, decide(none, 0.2)) == (0, "passed")


class TestInvalidInput:
    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"name": "acuracy"}, "name"),
            ({"name": "accuracy", "k": 1}, "k"),
            ({"name": "top_k"}, "k"),
            ({"name": "top_k", "k": 0}, "k"),
            ({"name": "top_k", "k": 4}, "k"),
            ({"name": "brier", "label": 1}, "label"),
            ({"name": "recall"}, "label"),
            ({"name": "kappa", "weights": np.ones(600)}, "weights"),
            ({"name": "accuracy", "weights": -np.ones(600)}, "weights"),
            ({"name": "accuracy", "alpha": math.nan}, "alpha"),
            ({"name": len, "k": 1}, "k"),
            ({"name": len, "label": 1}, "label"),
            ({"name": "accuracy", "labels": LABELS + 1}, "labels"),
            ({"name": "accuracy", "labels": LABELS - 1}, "labels"),
            ({"name": "accuracy", "labels": LABELS * 1.0}, "labels"),
            ({"name": "accuracy", "labels": LABELS[:0], "probabilities": CHANCE[:0]}, "labels"),
            ({"name": "accuracy", "labels": LABELS[1:]}, "probabilities"),
            ({"name": "accuracy", "probabilities": 2 * CHANCE}, "probabilities"),
            ({"name": "accuracy", "probabilities": CHANCE * 0.9}, "probabilities"),
            ({"name": "accuracy", "probabilities": CHANCE * math.nan}, "probabilities"),
            ({"name": "accuracy", "probabilities": CHANCE.astype(str)}, "probabilities"),
            ({"name": "accuracy", "probabilities": np.ones((600, 1))}, "probabilities"),
        ],
    )
    def test_names_the_argument(self, arguments: dict[str, Any], name: str) -> None:
        given = {"labels": LABELS, "probabilities": CHANCE, **arguments}
        with pytest.raises(ValueError, match=f"^{name}: "):
            metric(**given)

    def test_too_few_rows_are_told_from_wrong_input(self) -> None:
        with pytest.raises(TooFewRowsError):
            metric("auroc", LABELS[:40], CHANCE[:40])
        assert issubclass(TooFewRowsError, ValueError)
        assert isinstance(metric("accuracy", LABELS[:3], CHANCE[:3]), Estimate)
