"""What a drop is made of: it names the cause that was planted, and decides nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelchecks import stats
from modelchecks.check import View
from modelchecks.checks.drop_attribution import DropAttribution
from modelchecks.errors import EvidenceError
from tests.seen import seen


def side(split, n, *, seed, prior=(0.5, 0.5), blur=0.0, concept=0.0, labelled=True, columns=None):
    """Class 1 is wrong in 30 %, class 0 in 5 %; `blur` costs as far as it goes, `concept` too."""
    draw = np.random.default_rng(seed)
    label = draw.choice(2, n, p=prior)
    sharp = draw.normal(size=n) - blur
    wrong = np.where(label == 1, 0.3, 0.05) + 0.12 * np.clip(-sharp, -2, 2) + concept
    said = np.where(draw.random(n) < np.clip(wrong, 0, 1), 1 - label, label)
    logits = np.zeros((n, 2))
    logits[np.arange(n), said] = 2.0
    return seen(
        split,
        n,
        labels=label if labelled else None,
        logits={"v": logits},
        features={"sharpness": sharp, "entropy": draw.normal(size=n)},
        columns=columns,
    )


def judge(offline, live, **fields):
    made = View({"offline": offline, "live": live}, "v")
    outcome = DropAttribution(**{"features": ("sharpness", "entropy"), **fields}).evaluate(made)
    json.dumps(dict(outcome.details), allow_nan=False)
    # Whatever it sees: an explanation is no approval and no refusal.
    assert outcome.status == "inconclusive"
    return outcome


BEFORE = side("offline", 2500, seed=1)


@pytest.mark.parametrize(
    ("planted", "part", "words"),
    [
        ({"prior": (0.1, 0.9)}, "label_shift", "by other class shares"),
        ({"blur": 0.7}, "covariate_shift", "by shifted properties"),
        ({"concept": 0.15}, "rest", "by the rest, which no property here shows"),
        ({"blur": 6.0}, "unseen", "by rows unlike any offline one"),
    ],
)
def test_the_planted_cause_is_the_first_part(planted, part, words):
    outcome = judge(BEFORE, side("live", 2000, seed=2, **planted))
    parts = {name: abs(one["value"]) for name, one in outcome.details["parts"].items()}
    parts.pop("together")
    assert max(parts, key=lambda name: parts[name]) == part
    assert outcome.message.startswith("accuracy fell by ")
    assert words in outcome.message.partition(": ")[2].partition(";")[0]


def test_the_property_that_carries_it_is_named():
    outcome = judge(BEFORE, side("live", 2000, seed=2, blur=0.7))
    assert "Among the shifted properties: sharpness " in outcome.message
    assert "entropy" not in outcome.message
    outcome = judge(BEFORE, side("live", 2000, seed=2, blur=6.0))
    assert " % of the live rows are unlike any offline one, most by their sharp" in outcome.message
    assert "entropy" not in outcome.message


def test_the_waterfall_leads_from_offline_to_live():
    live = side("live", 2000, seed=2, blur=0.7, concept=0.05)
    steps = judge(BEFORE, live).details["waterfall"]
    right = {s.split: s.correct("v") for s in (BEFORE, live)}
    assert steps[0] == {"step": "offline", "accuracy": right["offline"][0] / 2500}
    assert steps[-1] == {"step": "live", "accuracy": right["live"][0] / 2000}
    at = steps[0]["accuracy"]
    for step in steps[1:-1]:
        assert step["from"] == pytest.approx(at)
        assert step["low"] <= step["change"] <= step["high"]
        at = step["to"]
    assert at == pytest.approx(steps[-1]["accuracy"])


def test_a_gain_is_told_as_one():
    outcome = judge(BEFORE, side("live", 2000, seed=2, blur=-0.7))
    assert outcome.message.startswith("accuracy rose by ")


def test_it_says_what_the_statistic_says():
    live = side("live", 600, seed=2, blur=0.5)
    sides = []
    for split in (BEFORE, live):
        x = np.stack([split.sample(f"feature:{name}") for name in ("sharpness", "entropy")], 1)
        y = split.sample("label")
        sides += [x, y, (split.sample("predicted:v") == y).astype(int)]
    found = stats.drop_attribution(*sides)
    outcome = judge(BEFORE, live)
    assert outcome.estimate == found.total
    assert outcome.details["parts"]["covariate_shift"]["value"] == found.covariate_shift.value


def test_log_columns_of_numbers_count_as_properties():
    draw = np.random.default_rng(5)
    before = side("offline", 800, seed=1, columns={"age": draw.normal(size=800)})
    live = side("live", 800, seed=2, columns={"age": draw.normal(3, 1, 800)})
    outcome = judge(before, live, features=(), columns=("age",))
    assert set(outcome.details["features"]) == {"age"}


def test_gaps_are_errors():
    draw = np.random.default_rng(5)
    gone = np.where(np.arange(800) < 3, np.nan, draw.normal(size=800))
    before = side("offline", 800, seed=1, columns={"age": draw.normal(size=800)})
    live = side("live", 800, seed=2, columns={"age": gone})
    with pytest.raises(EvidenceError, match="'age' is missing or infinite in 3 labelled rows"):
        judge(before, live, features=(), columns=("age",))
    with pytest.raises(EvidenceError, match="no column 'age'"):
        judge(BEFORE, live, columns=("age",))
    text = side("live", 800, seed=2, columns={"age": np.array(["x"] * 800, object)})
    with pytest.raises(EvidenceError, match="holds text"):
        judge(before, text, columns=("age",))
    with pytest.raises(EvidenceError, match="'live' has no labelled row"):
        judge(BEFORE, side("live", 800, seed=2, labelled=False))
    live.rows.columns["feature:sharpness"][7] = np.nan
    with pytest.raises(EvidenceError, match="'sharpness' is missing or infinite in 1 labelled"):
        judge(BEFORE, live)


def test_few_rows_are_too_few():
    with pytest.raises(stats.TooFewRowsError):
        judge(BEFORE, side("live", 49, seed=2))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"live": "offline"}, "live: is the same split"),
        ({"features": ()}, "features: is empty"),
        ({"columns": ("contrast",)}, "features: names one twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        DropAttribution(**fields)
