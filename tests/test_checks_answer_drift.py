"""Drift of a variant's confidence and of its embedding: what decides, what is told beside it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelchecks import stats
from modelchecks.check import View
from modelchecks.checks.confidence_drift import ConfidenceDrift
from modelchecks.checks.embedding_drift import EmbeddingDrift
from modelchecks.errors import EvidenceError
from modelchecks.stats.temperature import softmax
from tests.seen import answers, seen


def logits(seed, n=4000, accuracy=0.9, scale=1.0):
    draw = np.random.default_rng(seed)
    return scale * answers(draw, draw.integers(0, 4, n), accuracy)


def confidence(before, now, **fields):
    view = View(
        {
            "offline": seen("offline", len(before), logits={"v": before}),
            "live": seen("live", len(now), logits={"v": now}),
        },
        "v",
        class_names=("cat", "dog", "cow", "yak"),
    )
    outcome = ConfidenceDrift(**fields).evaluate(view)
    json.dumps(dict(outcome.details), allow_nan=False)
    return outcome


class TestConfidence:
    def test_as_sure_as_before_passes(self):
        outcome = confidence(logits(1), logits(2))
        assert outcome.status == "passed"
        assert set(outcome.details["effects"]) == {
            "confidence",
            *(f"p({name})" for name in ("cat", "dog", "cow", "yak")),
        }

    def test_less_sure_fails_and_says_by_how_much(self):
        outcome = confidence(logits(1), logits(2, scale=0.4))
        assert outcome.status == "failed"
        assert "5 of 5 outputs differ by more than 0.1: confidence D" in outcome.message
        before, now = outcome.details["mean_confidence"]
        assert f"Mean confidence {100 * before:.1f} % → {100 * now:.1f} %" in outcome.message

    def test_one_output_alone_is_enough(self):
        now = logits(2)
        now[:, 3] += 1.5
        outcome = confidence(logits(1), now)
        assert outcome.status == "failed"
        assert "p(yak) D" in outcome.message

    def test_the_lower_bound_counts_all_outputs(self):
        before, now = logits(1), logits(2, scale=0.5)
        sure = [softmax(side.astype(np.float32).astype(float)).max(1) for side in (before, now)]
        expected = stats.kolmogorov(*sure, features=5)
        found = confidence(before, now).details["effects"]["confidence"]
        assert found["lower_bound"] == pytest.approx(expected.lower_bound, abs=1e-9)

    def test_few_rows_settle_nothing(self):
        outcome = confidence(logits(1), logits(2, 60))
        assert outcome.status == "inconclusive"
        assert outcome.needed > 60

    def test_gaps_never_pass(self):
        with pytest.raises(EvidenceError, match="one output"):
            confidence(logits(1)[:, :1], logits(2)[:, :1])
        with pytest.raises(EvidenceError, match="4 outputs on 'offline' and 3 on 'live'"):
            confidence(logits(1), logits(2)[:, :3])
        splits = {
            "offline": seen("offline", 9, logits={"v": logits(1, 9)}),
            "live": seen("live", 9),
        }
        with pytest.raises(EvidenceError, match="'v' has no predictions on split 'live'"):
            ConfidenceDrift().evaluate(View(splits, "v"))

    def test_classes_without_probabilities_are_told(self, bench):
        from modelchecks.load import load_suite
        from modelchecks.run import run_suite

        path = bench.suite(
            "- confidence_drift: {}",
            variants="good: {logged: good}\nsure: {logged: probabilities}",
        )
        results = {result.variant: result for result in run_suite(load_suite(path)).results}
        assert results["good"].status == "errored"
        assert "log one list of probabilities per row" in results["good"].message
        assert results["sure"].status == "passed"


def cloud(seed, n=600, shift=0.0, spread=1.0, width=16):
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(n, width)) * spread
    rows[:, 0] += shift
    return rows.astype(np.float32)


def side(split, rows, dark=0.0):
    n = len(rows)
    brightness = 0.5 + 0.1 * rows[:, 0] - dark
    contrast = np.random.default_rng(n).normal(size=n)
    return seen(
        split,
        n,
        logits={"v": np.eye(3)[np.arange(n) % 3]},
        embeddings={"v": rows},
        features={"brightness": brightness.astype(float), "contrast": contrast},
    )


def embedding(before, now, **fields):
    view = View({"offline": side("offline", before), "live": side("live", now)}, "v")
    check = EmbeddingDrift(properties=("brightness", "contrast"), **fields)
    outcome = check.evaluate(view)
    json.dumps(dict(outcome.details), allow_nan=False)
    return outcome


class TestEmbedding:
    def test_alike_passes(self):
        outcome = embedding(cloud(1, 1500), cloud(2, 1500))
        assert outcome.status == "passed"
        assert outcome.details["kernel"]["p_value"] > 0.05
        assert "are told from those of offline with an AUC of 0." in outcome.message

    def test_apart_fails_and_names_what_goes_along_with_it(self):
        outcome = embedding(cloud(1), cloud(2, shift=1.5))
        assert outcome.status == "failed"
        assert "What goes along with it: brightness (median 0.5" in outcome.message
        assert "contrast" not in outcome.message
        assert outcome.details["kernel"]["p_value"] == 1 / 200
        assert outcome.details["directions"][0]["column"] == 0
        assert outcome.details["properties"]["brightness"]["along_score"] > 0.5

    def test_the_map_tells_the_sides_apart_along_the_score(self):
        outcome = embedding(cloud(1, 300), cloud(2, 150, shift=1.5))
        drawn = outcome.details["embedding"]
        before, now = (np.array(drawn[split]) for split in ("offline", "live"))
        assert before.shape == (200, 2)
        assert now.shape == (150, 2)
        assert now[:, 0].mean() - before[:, 0].mean() > before[:, 0].std()
        both = np.concatenate([before, now])
        # The other axis shows what the score does not.
        assert abs(np.corrcoef(both.T)[0, 1]) < 0.01
        assert both[:, 1].std() > 0.5

    def test_the_area_decides_not_the_p_value(self):
        # Significant and small: a shift of .2 sd in one of 4 columns at 2,000 rows.
        outcome = embedding(cloud(1, 2000, width=4), cloud(2, 2000, width=4, shift=0.2))
        assert outcome.status == "passed"
        assert outcome.details["kernel"]["p_value"] < 0.05

    def test_rows_that_differ_most_are_named_both_ways(self):
        before, now = cloud(1), cloud(2, shift=1.5)
        now[7, 0], before[11, 0] = 6, -6
        details = embedding(before, now).details
        assert details["current_least_like_reference"][0]["id"] == "live-7"
        assert details["reference_least_like_current"][0]["id"] == "offline-11"
        assert details["current_least_like_reference"][0]["row"] == 7

    def test_it_decides_as_the_statistic_does(self):
        before, now = cloud(1), cloud(2, shift=0.3)
        # In the order of the sample, which is random, and here that of the ids.
        order = np.argsort([str(row) for row in range(600)])
        area = stats.domain_auc(before[order], now[order])
        found = embedding(before, now)
        assert found.estimate.upper_bound == area.upper_bound
        assert found.status == stats.decide(area, 0.6)

    def test_few_rows_settle_nothing_and_fewer_are_too_few(self):
        outcome = embedding(cloud(1, 60), cloud(2, 60))
        assert outcome.status == "inconclusive"
        assert outcome.needed > 60
        with pytest.raises(stats.TooFewRowsError):
            embedding(cloud(1), cloud(2, 19))

    def test_a_constant_embedding_tells_nothing_apart(self):
        same = np.ones((1500, 4), np.float32)
        assert embedding(same, same).status == "passed"
        assert embedding(same, 0 * same).status == "failed"

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_gaps_never_pass(self, bad):
        rows = cloud(2)
        rows[5, 1] = bad
        with pytest.raises(EvidenceError, match="'v' has embeddings on split 'live' that are no"):
            embedding(cloud(1), rows)
        with pytest.raises(EvidenceError, match="16 and 8 columns"):
            embedding(cloud(1), cloud(2, width=8))

    def test_a_property_with_gaps_is_an_error(self):
        live = side("live", cloud(2))
        live.rows.columns["feature:contrast"][3] = np.nan
        view = View({"offline": side("offline", cloud(1)), "live": live}, "v")
        with pytest.raises(EvidenceError, match="'contrast' is NaN or infinite in 1 rows"):
            EmbeddingDrift(properties=("contrast",)).evaluate(view)

    def test_a_margin_of_chance_cannot_be_meant(self):
        with pytest.raises(ValueError, match=r"^max_auc: must be over 0.5"):
            EmbeddingDrift(max_auc=0.5)
