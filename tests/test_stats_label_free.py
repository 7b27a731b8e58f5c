"""Guesses without labels: transport and weights against solvers, methods by their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.stats import ks_2samp
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from modelchecks.stats import label_free_accuracy, label_free_guesses, label_shift
from modelchecks.stats.label_free import _kolmogorov
from modelchecks.stats.temperature import softmax
from modelchecks.stats.transport import best_mean

FIXED = settings(derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**32)


def answers(n: int, classes: int, draw: np.random.Generator, prior=None):
    """Return calibrated probabilities of `classes`, and labels drawn from them."""
    prior = np.full(classes, 1 / classes) if prior is None else np.asarray(prior)
    labels = draw.choice(classes, n, p=prior)
    seen = 2.0 * np.eye(classes)[labels] + draw.normal(size=(n, classes))
    return softmax(2.0 * seen), labels


class TestTransport:
    @FIXED
    @given(SEEDS, st.integers(1, 40), st.integers(2, 6))
    def test_equals_an_assignment_of_rows_to_places(self, seed, n, classes) -> None:
        draw = np.random.default_rng(seed)
        gains = np.round(draw.random((n, classes)), 1)  # ties are many
        places = draw.multinomial(n, draw.dirichlet(np.ones(classes)))
        rows, columns = linear_sum_assignment(np.repeat(gains, places, axis=1), maximize=True)
        expected = np.repeat(gains, places, axis=1)[rows, columns].mean()
        assert best_mean(gains, places / n) == pytest.approx(expected, abs=1e-9)

    def test_equals_the_linear_program(self) -> None:
        draw = np.random.default_rng(1)
        gains, shares = draw.dirichlet(np.ones(4), 50), np.array([0.1, 0.2, 0.3, 0.4])
        rows, columns = np.kron(np.eye(50), np.ones(4)), np.kron(np.ones(50), np.eye(4))
        found = linprog(
            -gains.ravel() / 50, A_eq=np.vstack([rows, columns]), b_eq=[1] * 50 + list(50 * shares)
        )
        assert best_mean(gains, shares) == pytest.approx(-found.fun, abs=1e-9)

    def test_shares_that_are_no_whole_rows_are_rounded(self) -> None:
        gains = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        assert best_mean(gains, np.array([0.5, 0.5])) in (1 / 3, 2 / 3)


class TestLabelShift:
    @FIXED
    @given(SEEDS, st.integers(2, 5))
    def test_equals_the_inverse_of_the_confusion_matrix(self, seed, classes) -> None:
        draw = np.random.default_rng(seed)
        p, y = answers(400, classes, draw)
        q, _ = answers(300, classes, draw, draw.dirichlet(np.full(classes, 2.0)))
        found = label_shift(p, y, q)
        joint = np.zeros((classes, classes))
        np.add.at(joint, (p.argmax(1), y), 1 / 400)
        answered = np.bincount(q.argmax(1), minlength=classes) / 300
        prior = np.bincount(y, minlength=classes) / 400
        exact = np.linalg.solve(joint, answered)
        if (exact > 1e-9).all():
            assert found.weights == pytest.approx(exact / (exact @ prior), rel=1e-7)
            assert found.residual == pytest.approx(0, abs=1e-9)
        assert found.prior == pytest.approx(found.weights * prior)
        assert found.prior.sum() == pytest.approx(1)
        assert (found.weights >= 0).all()
        assert found.condition == pytest.approx(np.linalg.cond(joint))
        rows = found.weights[y]
        assert found.effective_n == pytest.approx(rows.sum() ** 2 / (rows**2).sum())

    def test_finds_a_shift_of_the_classes(self) -> None:
        draw = np.random.default_rng(0)
        prior = [0.6, 0.3, 0.1]
        p, y = answers(20_000, 3, draw)
        found = label_shift(p, y, answers(20_000, 3, draw, prior)[0])
        assert found.prior == pytest.approx(prior, abs=0.015)
        assert found.condition < 10
        assert found.residual < 0.01

    def test_says_when_a_class_is_never_answered(self) -> None:
        # The third class exists but is always taken for the second: its share is a guess.
        p = np.eye(3)[[0, 0, 1, 1, 1, 1]]
        found = label_shift(p, np.array([0, 0, 1, 1, 2, 2]), p)
        assert found.condition > 1e12
        assert found.prior.sum() == pytest.approx(1)

    def test_says_when_the_target_gives_answers_that_the_source_never_gave(self) -> None:
        p, q = np.eye(3)[[0, 1, 0, 1]], np.eye(3)[[2, 2, 2]]
        found = label_shift(p, np.array([0, 1, 0, 1]), q)
        assert found.weights == pytest.approx([1, 1, 1])
        assert found.residual == 1


class TestMethods:
    def test_on_the_source_itself_all_see_its_accuracy(self) -> None:
        p, y = answers(3_000, 4, np.random.default_rng(5))
        found = label_free_guesses(p, y, p)
        right = (p.argmax(1) == y).mean()
        assert found.source_accuracy == right
        for method in ("doc", "atc_mc", "atc_ne", "atc_bbse", "hybrid"):
            assert found.values[method] == pytest.approx(right, abs=1e-9)
        assert found.values["average_confidence"] == pytest.approx(right, abs=0.03)
        assert found.unexplained == pytest.approx(0, abs=1e-9)
        assert found.routed == 0

    def test_equal_their_definitions(self) -> None:
        draw = np.random.default_rng(6)
        p, y = answers(1_000, 3, draw)
        q = softmax(1.3 * np.log(answers(700, 3, draw)[0]) + draw.normal(size=(700, 3)))
        found = label_free_guesses(p, y, q)
        p, q = (softmax(np.log(x) / found.temperature) for x in (p, q))
        right = p.argmax(1) == y
        wrong = 1_000 - right.sum()
        for method, score in (
            ("atc_mc", lambda x: x.max(1)),
            ("atc_ne", lambda x: (x * np.log(x)).sum(1)),
        ):
            threshold = np.sort(score(p))[wrong]
            assert (score(p) < threshold).sum() == wrong
            assert found.values[method] == pytest.approx((score(q) >= threshold).mean())
        confidence = q.max(1).mean()
        assert found.values["average_confidence"] == pytest.approx(confidence)
        assert found.values["doc"] == pytest.approx(right.mean() + confidence - p.max(1).mean())
        prior = np.bincount(y) / 1_000
        assert found.values["cot"] == pytest.approx(best_mean(q, prior))
        shift = label_shift(p, y, q)
        assert found.values["cot_bbse"] == pytest.approx(best_mean(q, shift.prior))
        assert found.label_shift.condition == shift.condition
        reached = [found.values["atc_bbse"], (found.values["atc_bbse"] + found.values["cot"]) / 2]
        assert min(reached) <= found.values["hybrid"] <= max(reached)

    @settings(FIXED, max_examples=30)
    @given(SEEDS, st.integers(1, 60), st.integers(1, 60), st.integers(2, 4))
    def test_are_shares_within_the_range(self, seed, n, m, classes) -> None:
        draw = np.random.default_rng(seed)
        p, y = answers(n, classes, draw)
        found = label_free_accuracy(p, y, answers(m, classes, draw)[0])
        low, high = found.pop("range")
        assert list(found) == [
            *("average_confidence", "doc", "atc_mc", "atc_ne"),
            *("atc_bbse", "cot", "cot_bbse", "hybrid"),
        ]
        assert (low, high) == (min(found.values()), max(found.values()))
        assert 0 <= low <= high <= 1 + 1e-12

    @settings(FIXED, max_examples=20)
    @given(SEEDS, st.floats(0.5, 2))
    def test_a_model_that_is_surer_of_the_same_answers_is_no_better(self, seed, sharper) -> None:
        # The trap of raw confidence: temperature scaling takes it away.
        draw = np.random.default_rng(seed)
        (p, y), (q, _) = answers(300, 3, draw), answers(200, 3, draw)
        once = label_free_accuracy(p, y, q)
        again = label_free_accuracy(
            *(softmax(np.log(p) * sharper), y, softmax(np.log(q) * sharper))
        )
        for method in once:
            assert again[method] == pytest.approx(once[method], abs=1e-6)

    def test_order_of_rows_does_not_matter(self) -> None:
        draw = np.random.default_rng(3)
        (p, y), (q, _) = answers(200, 3, draw), answers(150, 3, draw)
        i, j = draw.permutation(200), draw.permutation(150)
        once, again = label_free_accuracy(p, y, q), label_free_accuracy(p[i], y[i], q[j])
        assert again.pop("range") == pytest.approx(once.pop("range"))
        assert again == pytest.approx(once)

    def test_pure_label_shift_is_recognized_and_answered(self) -> None:
        draw = np.random.default_rng(8)
        p, y = answers(4_000, 4, draw)
        q, truth = answers(4_000, 4, draw, [0.7, 0.2, 0.05, 0.05])
        found = label_free_guesses(p, y, q)
        right = (q.argmax(1) == truth).mean()
        assert found.distance > 0.3 > found.unexplained
        assert found.routed == 0
        assert found.values["hybrid"] == pytest.approx(right, abs=0.025)
        assert found.values["cot_bbse"] == pytest.approx(right, abs=0.03)
        assert abs(found.values["cot"] - right) > 0.1

    def test_zeros_and_ones_are_probabilities(self) -> None:
        y = np.arange(60) % 3
        p = np.eye(3)[np.where(np.arange(60) < 6, (y + 1) % 3, y)]
        found = label_free_accuracy(p, y, np.eye(3)[y])
        assert all(math.isfinite(found[method]) for method in found if method != "range")

    @FIXED
    @given(SEEDS, st.integers(2, 40), st.integers(2, 40))
    def test_distance_counts_a_weighted_row_so_often(self, seed, n, m) -> None:
        draw = np.random.default_rng(seed)
        a, b, times = draw.integers(0, 9, n), draw.integers(0, 9, m), draw.integers(1, 4, n)
        expected = ks_2samp(np.repeat(a, times), b, method="asymp").statistic
        assert _kolmogorov(a + 0.0, b + 0.0, times + 0.0) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.slow
    def test_on_digits_the_hybrid_errs_least(self) -> None:
        # Real images, corrupted in three ways and strengths, or drawn with other class shares; with
        # another classifier and other corruptions than those on which the hybrid was chosen.
        images, labels = load_digits(return_X_y=True)
        errors: dict[str, list[float]] = {}
        for seed in range(6):
            draw = np.random.default_rng(seed)
            order = draw.permutation(len(images))
            train, source, target = order[:600], order[600:1_200], order[1_200:]
            model = LogisticRegression(C=0.02, max_iter=1_000).fit(images[train], labels[train])
            p, x, y = model.predict_proba(images[source]), images[target], labels[target]
            moved = np.roll(x.reshape(-1, 8, 8), 1, axis=2).reshape(x.shape)
            worlds = []
            for strength in (0.5, 1.0, 2.0):
                worlds.append((x + draw.normal(scale=5 * strength, size=x.shape), y))
                worlds.append((np.where(draw.random(x.shape) < 0.15 * strength, 16.0, x), y))
                worlds.append((0.7 * x + 0.5 * strength * moved, y))
                chosen = draw.choice(len(y), 500, p=_chances(y, draw.dirichlet(np.ones(10))))
                worlds.append((x[chosen], y[chosen]))
            for inputs, truth in worlds:
                q = model.predict_proba(inputs)
                found = label_free_guesses(p, labels[source], q)
                for method, guess in found.values.items():
                    error = abs(guess - (q.argmax(1) == truth).mean())
                    errors.setdefault(method, []).append(error)
        mean = {method: float(np.mean(each)) for method, each in errors.items()}
        assert min(mean, key=mean.__getitem__) == "hybrid", mean
        assert mean["hybrid"] < 0.078  # the best that was measured before, in another small world


def _chances(labels: np.ndarray, prior: np.ndarray) -> np.ndarray:
    weight = (prior / np.bincount(labels))[labels]
    return weight / weight.sum()


class TestInvalidInput:
    P, Y = np.full((4, 2), 0.5), np.array([0, 1, 0, 1])

    @pytest.mark.parametrize("function", [label_free_accuracy, label_free_guesses, label_shift])
    @pytest.mark.parametrize(
        "wrong", [[], [0.5], [[1.0]], [[0.5, math.nan]], [[0.9, 0.9]], [[1.5, -0.5]]], ids=repr
    )
    def test_probabilities(self, function, wrong) -> None:
        with pytest.raises(ValueError, match=r"^source_probabilities: "):
            function(wrong, self.Y, self.P)
        with pytest.raises(ValueError, match=r"^target_probabilities: "):
            function(self.P, self.Y, wrong)

    @pytest.mark.parametrize("function", [label_free_accuracy, label_free_guesses, label_shift])
    @pytest.mark.parametrize(
        "wrong", [[0, 1], [0, 1, 2, 0], [0, -1, 0, 1], [0.0, 1.0, 0.0, math.nan]], ids=repr
    )
    def test_labels(self, function, wrong) -> None:
        with pytest.raises(ValueError, match=r"^source_labels: "):
            function(self.P, wrong, self.P)

    @pytest.mark.parametrize("function", [label_free_accuracy, label_free_guesses, label_shift])
    def test_other_classes(self, function) -> None:
        with pytest.raises(ValueError, match=r"^target_probabilities: has 3 classes"):
            function(self.P, self.Y, np.full((4, 3), 1 / 3))
