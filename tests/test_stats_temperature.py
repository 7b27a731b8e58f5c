"""Temperature scaling: against a general optimizer, and a temperature that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.special import softmax as scipy_softmax

from modelchecks.stats import classwise_error, fit_temperature
from modelchecks.stats.temperature import class_probabilities, softmax

FIXED = settings(derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**32)


def likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return float(log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())


def sample(
    n: int, classes: int, temperature: float, seed: int, scale: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels drawn from softmax(logits / temperature)."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(n, classes)) * scale
    gumbel = draw.gumbel(size=logits.shape)
    return logits, (logits / temperature + gumbel).argmax(axis=1)


class TestFit:
    @FIXED
    @given(SEEDS, st.integers(20, 200), st.integers(2, 6), st.floats(0.5, 3))
    def test_nothing_fits_better(self, seed, n, classes, true) -> None:
        logits, labels = sample(n, classes, true, seed)
        found = fit_temperature(logits, labels)
        best = minimize_scalar(
            lambda log_t: -likelihood(logits, labels, math.exp(log_t)),
            bounds=(math.log(0.01), math.log(100)),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert likelihood(logits, labels, found) >= -best.fun - 1e-9

    @pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
    def test_finds_the_temperature_behind_the_labels(self, true: float) -> None:
        assert fit_temperature(*sample(40_000, 5, true, 3)) == pytest.approx(true, rel=0.03)

    def test_scales_with_the_logits_and_ignores_their_level(self) -> None:
        logits, labels = sample(500, 4, 1.0, 1)
        once = fit_temperature(logits, labels)
        level = np.random.default_rng(0).normal(size=(500, 1)) * 50
        assert fit_temperature(3 * logits + level, labels) == pytest.approx(3 * once, rel=1e-9)

    def test_an_end_where_no_temperature_fits_best(self) -> None:
        logits = np.array([[2.0, 0.0], [0.0, 1.0]])
        assert fit_temperature(logits, np.array([0, 1])) == 0.01
        assert fit_temperature(logits, np.array([1, 0])) == 100
        assert fit_temperature(np.zeros((2, 2)), np.array([1, 0])) in (0.01, 100)


class TestSoftmax:
    @FIXED
    @given(SEEDS, st.floats(-5, 3))
    def test_equals_scipy(self, seed, log_scale) -> None:
        logits = np.random.default_rng(seed).normal(size=(7, 4)) * math.exp(log_scale)
        assert softmax(logits) == pytest.approx(scipy_softmax(logits, axis=1), abs=1e-12)


class TestInvalidInput:
    @pytest.mark.parametrize(
        "wrong",
        [
            [],
            [["a", "b"]],
            [1.0, 2.0],
            [[1.0]],
            [[math.nan, 1.0]],
            [[math.inf, 1.0]],
            [[-math.inf, 1.0]],
        ],
        ids=repr,
    )
    def test_logits(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^logits: "):
            fit_temperature(wrong, [0])

    @pytest.mark.parametrize("wrong", [[0], [0, 3], [0, -1], [0.0, 1.0], [[0, 1]], []], ids=repr)
    def test_labels(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^labels: "):
            fit_temperature(np.zeros((2, 3)), wrong)
        with pytest.raises(ValueError, match=r"^labels: "):
            classwise_error(np.full((2, 3), 1 / 3), wrong)

    @pytest.mark.parametrize(
        "wrong",
        [
            [],
            [0.5, 0.5],
            [[1.0]],
            [[0.5, math.nan]],
            [[0.5, 0.6]],
            [[1.5, -0.5]],
            [[0.0, 0.0]],
            [[math.inf, 0.0]],
        ],
        ids=repr,
    )
    def test_probabilities(self, wrong) -> None:
        with pytest.raises(ValueError, match=r"^probabilities: "):
            classwise_error(wrong, [0])

    def test_half_precision_is_welcome(self) -> None:
        p = softmax(np.random.default_rng(0).normal(size=(1_000, 10))).astype(np.float16)
        assert class_probabilities(p, "p").sum(axis=1) == pytest.approx(np.ones(1_000), abs=1e-12)
