"""Drift checks decide on effects with bounds, at any n, and name what changed."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks import stats
from modelchecks.check import View
from modelchecks.checks.drift import FeatureDrift, LabelDrift, PredictionDrift
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.totals import Rows, Totals


def table(split: str, columns=None, labels=(), predicted=()) -> Evidence:
    columns = {f"feature:{name}": values for name, values in (columns or {}).items()}
    n = len(next(iter(columns.values()))) if columns else sum(labels) or sum(predicted)
    counts = {("rows",): n, ("answered", "v"): n}
    counts |= {("label", i): count for i, count in enumerate(labels) if count}
    counts |= {("predicted", "v", i): count for i, count in enumerate(predicted) if count}
    rows = Rows({"index": np.arange(n), **columns}, n) if columns else Rows({}, 1)
    return Evidence(split, Totals(counts), rows)


def features(shift: float, n: int = 10_000, extra=None):
    draw = np.random.default_rng(0)
    reference = {"brightness": draw.normal(size=n), "contrast": draw.normal(size=n)}
    current = {"brightness": draw.normal(size=n) + shift, "contrast": draw.normal(size=n)}
    view = View(
        {"train": table("train", reference), "live": table("live", {**current, **(extra or {})})}
    )
    return FeatureDrift(features=("brightness", "contrast")).evaluate(view)


@pytest.mark.parametrize(
    ("shift", "status", "words"),
    [
        (0.0, "passed", "image properties shown similar within 0.1"),
        (0.02, "passed", "largest"),  # highly significant at this n, and harmless
        (0.25, "inconclusive", "may differ by more than the allowed 0.1: brightness"),
        (0.6, "failed", "1 of 2 image properties differ by more than 0.1: brightness"),
    ],
)
def test_features(shift, status, words):
    outcome = features(shift)
    assert outcome.status == status
    assert words in outcome.message
    assert set(outcome.details["effects"]) == {"brightness", "contrast"}
    assert outcome.threshold == {"max_effect": 0.1}


def test_few_rows_settle_nothing():
    assert features(0.0, n=50).status == "inconclusive"


def test_the_lower_bound_counts_the_features_asked():
    outcome = features(0.6)
    effect = outcome.details["effects"]["brightness"]
    d = effect["value"]
    expected = d - np.sqrt(0.5 * np.log(2 * 2 / 0.05) * (2 / 10_000))
    assert effect["lower_bound"] == pytest.approx(expected, abs=1e-12)


def test_a_feature_with_gaps_is_an_error():
    with pytest.raises(
        EvidenceError, match="'contrast' is NaN or infinite in 3 rows of split 'live'"
    ):
        features(0.0, n=10, extra={"contrast": np.r_[np.zeros(7), [np.nan] * 3]})


def test_labels_name_the_classes_that_changed():
    view = View(
        {
            "train": table("train", labels=[500, 500, 1000]),
            "live": table("live", labels=[900, 100, 1000]),
        },
        class_names=("cat", "dog", "cow"),
    )
    outcome = LabelDrift().evaluate(view)
    assert outcome.status == "failed"
    assert "Largest changes: cat +20.0 pp, dog -20.0 pp, cow +0.0 pp" in outcome.message
    assert outcome.details["shares"]["dog"] == {"reference": 0.25, "current": 0.05}
    expected = stats.total_variation(np.array([500, 500, 1000]), np.array([900, 100, 1000]))
    assert outcome.estimate == expected


def test_a_class_that_is_new_counts():
    view = View({"train": table("train", labels=[1000]), "live": table("live", labels=[800, 200])})
    outcome = LabelDrift().evaluate(view)
    assert outcome.estimate.value == pytest.approx(0.2)
    assert "1 +20.0 pp" in outcome.message


def test_similar_labels_of_unknown_origin_cannot_pass():
    splits = {
        "train": table("train", labels=[5000, 5000]),
        "live": table("live", labels=[5000] * 2),
    }
    assert LabelDrift().evaluate(View(splits)).status == "passed"
    held = LabelDrift().evaluate(View(splits, cannot_approve={"live": "unknown origin"}))
    assert held.status == "inconclusive"
    assert "unknown origin" in held.message


def test_predictions_need_no_label():
    splits = {
        "offline": table("offline", predicted=[5000, 5000]),
        "live": table("live", predicted=[9000, 1000]),
    }
    outcome = PredictionDrift().evaluate(View(splits, "v", cannot_approve={"live": "unknown"}))
    assert outcome.status == "failed"
    assert "predicted classes differ by more than 0.1" in outcome.message
    with pytest.raises(EvidenceError, match="'w' has no predictions"):
        PredictionDrift().evaluate(View(splits, "w"))


@pytest.mark.parametrize("check", [FeatureDrift, LabelDrift, PredictionDrift])
def test_a_split_is_not_compared_with_itself(check):
    with pytest.raises(ValueError, match="drift needs two"):
        check(reference="live", current="live")


def test_no_feature_is_no_question():
    with pytest.raises(ValueError, match="features: is empty"):
        FeatureDrift(features=())
