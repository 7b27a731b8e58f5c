"""adversarial: exact on a linear model, and not taken in by masked gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelchecks.checks.adversarial import Adversarial
from modelchecks.probes.attack import Target, fgsm, pgd
from modelchecks.report.details import curves
from modelchecks.report.pictures import counterexamples
from tests.planted import SIDE, Planted

N = 400
DRAW = np.random.default_rng(11)
KERNEL = DRAW.normal(0, 0.02, (1, SIDE, SIDE)).astype(np.float32)
IMAGES = DRAW.integers(0, 256, (N, SIDE, SIDE), dtype=np.uint8)
SCORES = (IMAGES / 255 * KERNEL[0]).sum((1, 2))
BIAS = np.float32(-np.median(SCORES))
LABELS = np.where(DRAW.random(N) < 0.05, SCORES + BIAS > 0, SCORES + BIAS <= 0).astype(np.int64)
"""Of the linear model itself, but for 5 % that it has wrong."""


def exact(eps: float) -> int:
    """Return how many rows no change within eps of 255 turns, the range of pixels included."""
    pixels, reach = IMAGES / 255.0, eps / 255
    sign = np.where(LABELS == 0, 1.0, -1.0)
    slope = sign[:, None, None] * KERNEL[0]
    lowered = np.where(slope > 0, np.minimum(pixels, reach), np.minimum(1 - pixels, reach))
    margin = sign * (SCORES + BIAS) - (np.abs(slope) * lowered).sum((1, 2))
    return int((margin > 0).sum())


@pytest.fixture
def linear(planted: Planted) -> Planted:
    planted.images(IMAGES, LABELS)
    planted.weights("it", weight=KERNEL, bias=np.array([BIAS]))
    return planted


@pytest.mark.parametrize("eps", [0.5, 1.0, 2.0])
def test_robust_accuracy_of_a_linear_model_is_exact(linear: Planted, eps: float) -> None:
    check = f"adversarial: {{eps: {eps}, images: {N}, min_accuracy: 1%, steps: 10}}"
    found = linear.judge(check, "linear", "it")
    assert found.estimate is not None
    assert found.estimate.n == N
    assert 0.05 < exact(eps) / N < 0.95
    assert round(found.estimate.value * N) == exact(eps)
    assert found.details["attacks"]["fgsm"] == found.details["attacks"]["pgd"] == exact(eps)
    assert found.details["masking"] == []
    (fast, gradient) = curves(found.details).values()
    assert fast == gradient
    assert [severity for severity, _ in fast] == [0, eps, 4, 8]
    assert counterexamples(found.details)[0].before is not None
    assert found.status == "passed", found.message


def test_it_decides_by_the_bounds_and_says_how_many_rows_would_do(linear: Planted) -> None:
    share = exact(1.0) / N
    check = f"adversarial: {{{{eps: 1, images: {N}, min_accuracy: {{:.3f}}}}}}"
    for floor, status in ((share - 0.1, "passed"), (share + 0.1, "failed")):
        assert linear.judge(check.format(floor), "linear", "it").status == status
    close = linear.judge(check.format(share - 0.01), "linear", "it")
    assert close.status == "inconclusive"
    assert close.needed is not None
    assert close.needed > N


def test_masked_gradients_are_no_robustness(linear: Planted) -> None:
    found = linear.judge("adversarial: {eps: 2, min_accuracy: 10%, images: 200}", "stepped", "it")
    assert found.status == "inconclusive", found.message
    assert "gradients are masked" in found.message
    assert any("no gradient at all" in sign for sign in found.details["masking"])
    assert any("unlimited eps" in sign for sign in found.details["masking"])


def test_another_variant_lends_its_attack(linear: Planted) -> None:
    linear.weights("b", weight=-KERNEL, bias=np.array([-BIAS]))
    run = linear.run(
        "adversarial: {eps: 1, min_accuracy: 1%, images: 100}",
        {"a": "linear", "b": "linear"},
        weights="it",
    )
    assert {r.details["surrogate"] for r in run.results} == {"a", "b"}
    assert all("transfer from" in r.message for r in run.results)


def test_no_attack_leaves_its_box_nor_the_range() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 8), torch.nn.Tanh())
    target = Target(net, torch.ones(1), torch.zeros(1), 1.0)
    pixels, labels = torch.rand(50, 1, 4, 4), torch.randint(0, 8, (50,))
    before = target.losses(pixels, labels)[0]
    start = 2 * torch.rand(pixels.shape) - 1
    for made in (
        fgsm(target, pixels, labels, 8),
        pgd(target, pixels, labels, 8, steps=5)[0],
        pgd(target, pixels, labels, 8, steps=5, start=start)[0],
    ):
        assert (made - pixels).abs().max() <= 8 / 255 + 1e-6
        assert made.min() >= 0
        assert made.max() <= 1
    found, loss = pgd(target, pixels, labels, 8, steps=5)
    assert torch.allclose(target.losses(found, labels)[0], loss, atol=1e-6)
    assert (loss >= before - 1e-6).all()


@pytest.mark.parametrize(
    "wrong",
    [{"eps": 0.0}, {"eps": 300.0}, {"also": (1.0,)}, {"also": (8.0, 4.0)}, {"images": 0}],
)
def test_what_cannot_be_asked_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Adversarial(min_accuracy=0.5, **wrong)
