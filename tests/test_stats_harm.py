"""Harm: labels decide, the rest suspects; on worlds whose true drop is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelchecks.stats import decide, harmful_shift, label_free_guesses, proportion_drop
from modelchecks.stats.temperature import softmax

CLASSES = 4


def world(draw, n, *, blur=0.0, prior=None):
    """Return (probabilities of three variants, labels): the more blurred, the less is seen."""
    labels = draw.choice(CLASSES, n, p=prior)
    shared = draw.normal(size=(n, CLASSES))
    # One class is harder than the others: a shift towards it is harm without any blur.
    strength = np.where(labels == 0, 1.8, 4.0) * (1 - blur)
    seen = strength[:, None] * np.eye(CLASSES)[labels]
    own = [draw.normal(size=(n, CLASSES)) for _ in range(3)]
    return [softmax(2 * (seen + 0.8 * shared + 0.6 * noise)) for noise in own], labels


@pytest.fixture(scope="module")
def offline():
    return world(np.random.default_rng(0), 6000)


def judged(offline, live, *, labels=None, others=True, max_drop=0.05):
    (p, *rest), y = offline
    (q, *now), _ = live
    kept = {}
    if others:
        kept = {
            "offline_answers": np.array([r.argmax(1) for r in rest]),
            "live_answers": np.array([r.argmax(1) for r in now]),
        }
    return harmful_shift(p, y, q, max_drop=max_drop, live_labels=labels, **kept)


class TestWithoutLabels:
    @pytest.mark.parametrize("others", [True, False])
    @pytest.mark.parametrize(
        ("change", "state"),
        [
            ({}, "benign"),
            ({"blur": 0.03}, "benign"),
            ({"blur": 0.4}, "harmful"),
            ({"prior": [0.85, 0.05, 0.05, 0.05]}, "harmful"),
        ],
    )
    def test_suspects_what_costs(self, offline, change, state, others):
        live = world(np.random.default_rng(1), 4000, **change)
        true = (offline[0][0].argmax(1) == offline[1]).mean() - (
            live[0][0].argmax(1) == live[1]
        ).mean()
        assert (true > 0.05) == (state == "harmful")
        found = judged(offline, live, others=others)
        assert found.state == state
        assert found.alarms == (state == "harmful")
        assert not found.shown
        assert not found.blocks
        assert found.drop is None
        assert found.low <= found.suspected <= found.high
        assert ("agreement" in found.guesses) == others

    def test_a_shift_of_classes_is_told_as_one(self, offline):
        found = judged(
            offline, world(np.random.default_rng(2), 5000, prior=[0.85, 0.05, 0.05, 0.05])
        )
        assert found.label_shift == pytest.approx(found.suspected, abs=0.04)
        assert any("class shares alone" in reason for reason in found.reasons)
        blurred = judged(offline, world(np.random.default_rng(3), 5000, blur=0.4))
        assert any("do not explain" in reason for reason in blurred.reasons)

    def test_guesses_are_the_drops_of_the_methods(self, offline):
        live = world(np.random.default_rng(4), 1000, blur=0.2)
        found = judged(offline, live)
        plain = label_free_guesses(offline[0][0], offline[1], live[0][0])
        for name, value in plain.values.items():
            assert found.guesses[name] == pytest.approx(plain.source_accuracy - value)
        votes = [found.guesses[n] for n in ("atc_bbse", "cot_bbse", "hybrid", "agreement")]
        assert found.suspected == pytest.approx(np.median(votes))

    def test_never_shown_however_many_rows(self, offline):
        found = judged(offline, world(np.random.default_rng(5), 20_000, blur=0.9))
        assert (found.state, found.shown, found.blocks) == ("harmful", False, False)

    def test_methods_that_disagree_are_unclear(self, offline):
        live = world(np.random.default_rng(6), 4000, blur=0.2)
        found = judged(offline, live)
        ends = sorted([found.suspected, found.guesses["hybrid"]])
        assert ends[0] < ends[1]
        between = judged(offline, live, max_drop=sum(ends) / 2)
        assert (between.state, between.alarms) == ("unclear", True)


class TestWithLabels:
    def test_is_the_decision_on_the_drop(self, offline):
        live = world(np.random.default_rng(7), 2000, blur=0.4)
        labels = np.full(2000, -1)
        labels[:500] = live[1][:500]
        found = judged(offline, live, labels=labels)
        right = int((offline[0][0].argmax(1) == offline[1]).sum())
        correct = int((live[0][0].argmax(1) == live[1])[:500].sum())
        assert found.drop == proportion_drop(right, 6000, correct, 500)
        assert decide(found.drop, 0.05) == "failed"
        assert (found.state, found.shown, found.blocks) == ("harmful", True, True)
        assert found.reasons[0].startswith("500 labels show a drop of more than 5.0 pp")

    def test_labels_overrule_a_suspicion(self, offline):
        # The answers look as blurred as can be, and all labels say they are right.
        live = world(np.random.default_rng(8), 1000, blur=0.4)
        found = judged(offline, live, labels=live[0][0].argmax(1))
        assert (found.state, found.shown, found.blocks) == ("benign", True, False)

    def test_few_labels_do_not_decide_and_contradict(self, offline):
        live = world(np.random.default_rng(9), 1000, blur=0.4)
        labels = np.full(1000, -1)
        labels[:10] = live[0][0].argmax(1)[:10]
        found = judged(offline, live, labels=labels)
        assert (found.state, found.shown) == ("unclear", False)
        assert found.reasons[0].startswith("10 labels do not decide it")

    def test_no_label_at_all_is_none(self, offline):
        live = world(np.random.default_rng(10), 500)
        assert judged(offline, live, labels=np.full(500, -1)).drop is None

    def test_block_precision_at_the_margin(self):
        # True drop exactly the margin: labels may show harm in alpha of the draws at most.
        draw, runs, blocked = np.random.default_rng(11), 120, 0
        p = np.array([[0.9, 0.1]])
        for _ in range(runs):
            y = (draw.random(2000) < 0.10) * 1
            now = (draw.random(300) < 0.15) * 1
            found = harmful_shift(
                p.repeat(2000, 0), y, p.repeat(300, 0), max_drop=0.05, live_labels=now
            )
            blocked += found.blocks
        assert blocked / runs <= 0.053 + 3 * math.sqrt(0.05 * 0.95 / runs)


class TestInvalidInput:
    P = np.array([[0.7, 0.3], [0.2, 0.8]])
    Y = np.array([0, 1])

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"max_drop": -0.1}, "max_drop"),
            ({"max_drop": math.nan}, "max_drop"),
            ({"alpha": 0}, "alpha"),
            ({"live_labels": [0]}, "live_labels"),
            ({"live_labels": [0.0, 1.0]}, "live_labels"),
            ({"live_labels": [0, -2]}, "live_labels"),
            ({"offline_answers": [[0, 1]]}, "live_answers"),
            ({"offline_answers": [[0]], "live_answers": [[0, 1]]}, "offline_answers"),
            ({"offline_answers": [[0, 1]], "live_answers": [[0.0, 1.0]]}, "live_answers"),
            ({"offline_answers": [[0, 1]], "live_answers": [[0, 1], [0, 1]]}, "live_answers"),
        ],
    )
    def test_names_what_is_wrong(self, options, name):
        with pytest.raises(ValueError, match=f"^{name}: "):
            harmful_shift(self.P, self.Y, self.P, **{"max_drop": 0.05, **options})

    def test_probabilities_and_labels(self):
        for place, name in enumerate(
            ("offline_probabilities", "offline_labels", "live_probabilities")
        ):
            given = [self.P, self.Y, self.P]
            given[place] = np.array([[0.5, 0.6], [0.2, 0.8]]) if place != 1 else np.array([0, 7])
            with pytest.raises(ValueError, match=f"^{name}: "):
                harmful_shift(*given, max_drop=0.05)
        with pytest.raises(ValueError, match=r"^live_probabilities: has 3 classes"):
            harmful_shift(self.P, self.Y, np.full((2, 3), 1 / 3), max_drop=0.05)
