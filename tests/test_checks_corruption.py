"""corruption: identity costs nothing, and a battery costs what it was made to cost."""

from __future__ import annotations

import numpy as np
import pytest

from modelchecks.change import KINDS, Change
from modelchecks.checks.corruption import Corruption
from modelchecks.errors import EvidenceError
from modelchecks.probes.environment import BATTERY, battery, changed
from modelchecks.report.details import curves
from modelchecks.report.pictures import counterexamples
from tests.planted import SIDE, Planted


@pytest.fixture
def halves(planted: Planted) -> Planted:
    """400 images of which one half is bright, with the model that looks at the whole of it."""
    draw = np.random.default_rng(2)
    labels = draw.integers(0, 2, 400)
    images = draw.integers(20, 60, (400, SIDE, SIDE)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, slice(0, SIDE // 2) if label == 0 else slice(SIDE // 2, SIDE)] += 150
    planted.images(images, labels)
    planted.weights("it", sharpness=np.array([20.0], np.float32))
    return planted


def test_a_model_of_the_whole_image_keeps_its_accuracy(halves: Planted) -> None:
    found = halves.judge("corruption: {max_loss: 5%, max_worst_loss: 10%}", "halves", "it")
    assert found.status == "passed", found.message
    assert found.estimate is not None
    assert found.estimate.n == 400
    drawn = curves(found.details)
    assert set(drawn) == set(KINDS)
    for line in drawn.values():
        assert [severity for severity, _ in line] == [0, 1, 2, 3, 4, 5]


def test_a_brittle_model_fails_and_the_worst_kind_is_named(halves: Planted) -> None:
    found = halves.judge("corruption: {max_loss: 90%, max_worst_loss: 20%}", "one_pixel", "it")
    assert found.status == "failed"
    assert "translation" in found.message
    assert "Over the 20 % that each may cost" in found.message
    worst = found.details["kinds"]["translation"]
    assert worst["lower_bound"] > 0.2
    assert counterexamples(found.details)


def test_few_rows_decide_nothing(halves: Planted) -> None:
    check = "corruption: {max_loss: 10%, kinds: [translation], images: 10}"
    found = halves.judge(check, "one_pixel", "it")
    assert found.status == "inconclusive", found.message


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_no_change_is_the_identity_bit_for_bit(dtype: type, channels: int) -> None:
    draw = np.random.default_rng(0)
    whole = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    images = (draw.random((3, 20, 24, channels)) * whole).astype(dtype)
    assert np.array_equal(changed(images, Change()), images)
    one = changed(images, [Change(), Change(exposure=0.5), Change()])
    assert np.array_equal(one[[0, 2]], images[[0, 2]])
    assert not np.array_equal(one[1], images[1])
    assert one.dtype == images.dtype


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_does_more_with_severity_and_the_same_for_the_same_seed(kind: str) -> None:
    draw = np.random.default_rng(1)
    rough = draw.integers(60, 190, (24, 8, 8, 1)).astype(np.uint8)
    images = rough.repeat(4, 1).repeat(4, 2)
    whole = battery(kind, len(images), seed=3)
    assert whole == battery(kind, len(images), seed=3)
    moved = [
        np.abs(
            changed(images, [one.times(s / 5) for one in whole], seed=3).astype(float) - images
        ).mean()
        for s in range(6)
    ]
    assert moved[0] == 0
    assert moved[1] > 0
    assert moved[5] > moved[1]
    assert set(BATTERY) == set(KINDS)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((1, 8, 8, 4), np.uint8), "neither grey"),
        (np.full((1, 8, 8, 1), 2.0, np.float32), r"\[0, 1\]"),
        (np.full((1, 8, 8, 1), np.nan, np.float32), r"\[0, 1\]"),
    ],
)
def test_what_no_environment_can_be_laid_over_is_refused(images: np.ndarray, says: str) -> None:
    with pytest.raises(EvidenceError, match=says):
        changed(images, Change(exposure=1))


@pytest.mark.parametrize(
    "wrong", [{"kinds": ()}, {"kinds": ("blurr",)}, {"kinds": ("blur", "blur")}, {"images": 0}]
)
def test_what_cannot_be_asked_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Corruption(max_loss=0.1, **wrong)


@pytest.mark.parametrize(
    ("amounts", "says"),
    [
        ({"rotation": float("nan")}, "finite"),
        ({"blur": -1.0}, "below 0"),
        ({"contrast": -2.0}, "negative"),
        ({"jpeg": 100.0}, "lowest quality"),
        ({"occlusion": 2.0}, "whole image"),
    ],
)
def test_a_change_that_is_none_is_refused(amounts: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Change(**amounts)
