"""embedding_leakage: planted twins are found and named, and different rows of one kind are none."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks.check import View
from modelchecks.checks.embedding import EmbeddingLeakage
from modelchecks.errors import EvidenceError
from tests.seen import seen

CLASSES = np.random.default_rng(0).normal(0, 3, (10, 32))


def rows(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings around ten centres, as a model's are, and their classes."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 10, n)
    return (CLASSES[labels] + draw.normal(0, 1, (n, 32))).astype(np.float32), labels


def judged(twins: int, seed: int = 1, n: int = 1000):
    """Return what the check says where so many rows of n are nearly rows of the training set."""
    train, of_train = rows(seed, 4000)
    offline, labels = rows(seed + 1000, n)
    noise = np.random.default_rng(seed).normal(0, 0.01, (twins, 32))
    offline[:twins], labels[:twins] = train[:twins] + noise, of_train[:twins]
    splits = {
        "train": seen("train", 4000, labels=of_train, embeddings={"v": train}),
        "offline": seen("offline", n, labels=labels, embeddings={"v": offline}),
    }
    return EmbeddingLeakage().evaluate(View(splits, variant="v"))


def test_planted_twins_fail_and_are_named():
    outcome = judged(50)
    assert outcome.status == "failed", outcome.message
    assert outcome.estimate.value == pytest.approx(0.05, abs=0.005)
    assert len(outcome.details["pairs"]) == 6
    for pair in outcome.details["pairs"]:
        ours, theirs = pair.split(" ≈ ")
        assert ours.split("-")[1] == theirs.split("-")[1]
    assert "looked at 1,000 of 1,000 rows against 4,000 of 4,000" in outcome.message


def test_different_rows_of_one_kind_are_no_twins():
    said = [judged(0, seed=seed).status for seed in range(1, 41)]
    assert said.count("failed") == 0
    assert said.count("passed") >= 38


def test_few_rows_decide_nothing():
    assert judged(0, n=120).status == "inconclusive"
    with pytest.raises(EvidenceError, match="fewer than 100 rows"):
        judged(0, n=60)


def test_nan_is_an_error():
    train, labels = rows(1, 100)
    bad = train.copy()
    bad[3] = np.nan
    splits = {
        "train": seen("train", 100, labels=labels, embeddings={"v": train}),
        "offline": seen("offline", 100, labels=labels, embeddings={"v": bad}),
    }
    with pytest.raises(EvidenceError, match="NaN"):
        EmbeddingLeakage().evaluate(View(splits, variant="v"))
