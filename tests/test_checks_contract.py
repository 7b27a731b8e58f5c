"""contract: each planted fault is caught by its own statement, and a clean model passes all."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks.checks.contract import Contract
from tests.planted import SIDE, Planted

DRAW = np.random.default_rng(3)
KERNEL = DRAW.normal(0, 0.05, (1, SIDE, SIDE)).astype(np.float32)
BIAS = np.zeros(1, np.float32)


@pytest.fixture
def noisy(planted: Planted) -> Planted:
    """600 random images, half of them of each class by the linear model itself."""
    images = np.random.default_rng(1).integers(0, 256, (600, SIDE, SIDE), dtype=np.uint8)
    scores = (images / 255 * KERNEL[0]).sum((1, 2))
    bias = np.array([-np.median(scores)], np.float32)
    planted.images(images, (scores + bias <= 0).astype(np.int64))
    planted.weights("linear", weight=KERNEL, bias=bias)
    norm = {
        "norm__weight": np.ones(1, np.float32),
        "norm__bias": np.zeros(1, np.float32),
        "norm__running_mean": np.array([0.4], np.float32),
        "norm__running_var": np.array([0.1], np.float32),
        "norm__num_batches_tracked": np.array(9),
    }
    planted.weights("normed", **norm, linear__weight=KERNEL, linear__bias=bias)
    return planted


@pytest.mark.parametrize(("model", "weights"), [("linear", "linear"), ("normed", "normed")])
def test_a_clean_model_passes_all(noisy: Planted, model: str, weights: str) -> None:
    check = "contract: {classes: 2, max_megabytes: 1, dtypes: [float64], devices: [cpu]}"
    found = noisy.judge(check, model, weights)
    assert found.status == "passed", found.message
    assert "every statement held for 512 rows" in found.message
    assert found.estimate is not None


def test_a_model_that_draws_is_caught_by_asking_twice(noisy: Planted) -> None:
    found = noisy.judge("contract: {}", "restless", "linear")
    assert found.status == "failed"
    assert any(one.startswith("asked twice") for one in found.details["faults"])


def test_a_batch_norm_left_in_training_mode_is_caught_by_name(noisy: Planted) -> None:
    found = noisy.judge("contract: {}", "always_training", "normed")
    assert found.status == "failed"
    faults = " | ".join(found.details["faults"])
    assert "norm stays in training mode" in faults
    assert "answering changes its own norm" in faults
    assert "asked alone instead of in a batch" in faults


def test_swapped_channels_are_caught_by_golden_answers_and_by_nothing_else(
    planted: Planted,
) -> None:
    draw = np.random.default_rng(5)
    images = draw.integers(0, 256, (600, SIDE, SIDE, 3), dtype=np.uint8)
    kernel = draw.normal(0, 0.05, (3, SIDE, SIDE)).astype(np.float32)
    scores = (images.transpose(0, 3, 1, 2) / 255 * kernel).sum((1, 2, 3))
    bias = np.array([-np.median(scores)], np.float32)
    planted.images(images, (scores + bias <= 0).astype(np.int64))
    planted.weights("it", weight=kernel, bias=bias)
    score = (scores + bias)[:400]
    np.savez(
        planted.folder / "it.npz",
        images=images[:400],
        logits=np.stack([score, -score], 1).astype(np.float32),
    )
    golden = "contract: {golden: '{variant}.npz'}"
    right = planted.judge(golden, "colour", "it")
    assert right.status == "passed", right.message
    assert "golden answers agrees on 100.0 %" in right.message
    wrong = planted.judge(golden, "swapped", "it")
    assert wrong.status == "failed"
    assert [fault.split(" agrees")[0] for fault in wrong.details["faults"]] == ["golden answers"]
    assert planted.judge("contract: {}", "swapped", "it").status == "passed"


def test_a_quantised_copy_that_disagrees_is_caught(noisy: Planted) -> None:
    fine = noisy.judge(
        "contract: {copies: ['planted:eight_bits'], min_agreement: 95%}", "linear", "linear"
    )
    assert fine.status == "passed", fine.message
    assert fine.estimate is not None
    assert fine.estimate.lower_bound >= 0.95
    coarse = noisy.judge(
        "contract: {copies: ['planted:two_bits'], min_agreement: 95%}", "linear", "linear"
    )
    assert coarse.status == "failed"
    assert "planted:two_bits agrees on" in coarse.details["faults"][0]
    assert coarse.estimate is not None
    assert coarse.estimate.upper_bound < 0.95


def test_a_copy_within_agreement_may_still_have_too_large_a_gap(noisy: Planted) -> None:
    check = "contract: {{copies: ['planted:eight_bits'], min_agreement: 95%, max_gap: {}}}"
    assert noisy.judge(check.format(0.5), "linear", "linear").status == "passed"
    found = noisy.judge(check.format(1e-6), "linear", "linear")
    assert found.status == "failed"
    assert "at most" in found.message


@pytest.mark.parametrize(
    ("check", "status", "says"),
    [
        ("contract: {classes: 3}", "failed", "2 outputs where 3 classes are declared"),
        ("contract: {max_megabytes: 0.001}", "failed", "0.001 are allowed"),
        ("contract: {copies: ['planted:broken']}", "failed", "RuntimeError: no such operator"),
        ("contract: {copies: ['planted:absent']}", "errored", "absent"),
        ("contract: {devices: ['cuda:99']}", "errored", "cannot be asked on 'cuda:99'"),
        ("contract: {golden: absent.npz}", "errored", "absent.npz"),
        ("contract: {copies: ['planted:same'], images: 20}", "inconclusive", "too few to tell"),
    ],
)
def test_what_is_broken_or_unknown_is_said(
    noisy: Planted, check: str, status: str, says: str
) -> None:
    found = noisy.judge(check, "linear", "linear")
    assert found.status == status, found.message
    assert says in found.message


def test_golden_answers_of_another_size_are_told_with_their_shape(noisy: Planted) -> None:
    images = np.zeros((40, SIDE + 1, SIDE + 1, 3), np.uint8)
    np.savez(noisy.folder / "odd.npz", images=images, logits=np.zeros((40, 2), np.float32))
    found = noisy.judge("contract: {golden: odd.npz}", "linear", "linear")
    assert found.status == "errored"
    assert "on images of shape" in found.message
    assert f"{SIDE + 1}, {SIDE + 1}, 3)" in found.message
    assert "traceback" not in found.details


def test_an_answer_that_is_not_finite_fails_at_dark_images_too(noisy: Planted) -> None:
    found = noisy.judge("contract: {}", "relative", "linear")
    assert found.status == "failed"
    assert "1 answers are NaN or infinite, dark and light images included" in found.message


def test_weights_that_are_not_there_are_named(noisy: Planted) -> None:
    found = noisy.judge("contract: {}", "linear", "absent")
    assert found.status == "errored"
    assert "absent.safetensors" in found.message


def test_a_model_that_answers_nothing_is_no_approval(noisy: Planted) -> None:
    noisy.weights("endless", weight=KERNEL * np.float32(np.inf), bias=BIAS)
    run = noisy.run("contract: {}", {"it": "linear"}, weights="endless")
    assert run.results[0].status in ("failed", "errored")
    assert run.decisions["it"].verdict != "approved"


@pytest.mark.parametrize(
    "wrong",
    [{"images": 1}, {"tolerance": -1.0}, {"copies": ("eight_bits",)}, {"confidence": 0.2}],
)
def test_what_cannot_be_asked_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Contract(**wrong)
