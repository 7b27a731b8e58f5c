"""diagnosis: each cause, planted on photographs, is told first; equal tensors have none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from modelchecks.diagnosis import diagnose

MEAN, SPREAD = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.25, 0.3])


@pytest.fixture(scope="module")
def raw() -> list[np.ndarray]:
    """Return 32 photographs of 64 x 64 pixels, cut out of the two that scikit-learn ships."""
    draw = np.random.default_rng(0)
    found = []
    for number in range(32):
        whole = load_sample_images().images[number % 2]
        top, left = (int(draw.integers(0, edge - 256)) for edge in whole.shape[:2])
        part = Image.fromarray(whole[top : top + 256, left : left + 256])
        found.append(np.asarray(part.resize((64, 64), Image.Resampling.BOX)))
    return found


def tensor(images: np.ndarray) -> np.ndarray:
    """Return what a model gets of (n, height, width, channels) images."""
    return ((images / 255.0 - MEAN) / SPREAD).transpose(0, 3, 1, 2)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def test_equal_tensors_have_no_cause(raw):
    same = tensor(np.stack(raw))
    assert diagnose(same, same.copy(), raw, tensor) == []


@pytest.mark.parametrize(
    ("kind", "told", "live"),
    [
        ("channel order", "BGR", lambda raw: tensor(np.stack(raw))[:, ::-1]),
        ("layout", "channels last", lambda raw: tensor(np.stack(raw)).transpose(0, 2, 3, 1)),
        ("dtype", "rounded", lambda raw: np.round(tensor(np.stack(raw)) * 64) / 64),
        ("normalisation", "", lambda raw: tensor(np.stack(raw)) * SPREAD[:, None, None]),
        ("scale", "not divided", lambda raw: tensor(np.stack(raw)) * 255),
        (
            "jpeg quality",
            "75",
            lambda raw: tensor(np.stack([compressed(image, 75) for image in raw])),
        ),
    ],
)
def test_a_planted_cause_is_told_first(raw, kind, told, live):
    found = diagnose(tensor(np.stack(raw)), live(raw), raw, tensor)
    assert found, kind
    assert found[0].kind.lower() == kind
    assert told.lower() in found[0].told.lower()
    assert found[0].explained > 0.9


def test_noise_has_no_cause(raw):
    offline = tensor(np.stack(raw))
    noise = np.random.default_rng(1).normal(0, 1, offline.shape)
    assert not diagnose(offline, offline + noise, raw, tensor)
