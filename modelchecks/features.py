"""Named row features of images: one number per image, from its pixels alone.

A feature is a function from images (n, height, width, channels), all of one shape, to a float
array (n,). Pixel values are scaled to [0, 1] first: uint8 by 255, floats are taken as they are.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks import registry

_COUNTED_AT_ONCE = 2**21
"""Pixels; each takes eight bytes while it is counted."""

Images = NDArray[Any]
Feature = Callable[[Images], NDArray[np.float64]]

DEFAULT = ("brightness", "contrast", "sharpness", "entropy")
"""The features that drift checks use where the suite names none."""
SIMPLE = (*DEFAULT, "warmth", "top_left", "top_right", "bottom_left", "bottom_right")
"""Properties that may give a class away by accident of how its images were made."""


def resolve(name: str, folder: Path) -> Feature:
    """Return the feature of that name; raises registry.UnknownNameError."""
    feature: Feature = registry.find("features", name, folder)
    return feature


def _once(compute: Callable[[Images], NDArray[Any]]) -> Callable[[Images], NDArray[Any]]:
    """Compute once of images that nobody can write to, whatever features ask for it."""
    known: dict[int, NDArray[Any]] = {}

    @wraps(compute)
    def found(images: Images) -> NDArray[Any]:
        if images.flags.writeable:
            return compute(images)
        if (key := id(images)) not in known:
            known[key] = compute(images)
            known[key].flags.writeable = False
            # By their identity, as long as they live.
            weakref.finalize(images, known.pop, key, None)
        return known[key]

    return found


@_once
def _grey(images: Images) -> NDArray[np.float32]:
    """Return luminance (n, height, width) in [0, 1]; an alpha channel is left out."""
    scale = np.float32(1 / np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else 1.0
    if images.shape[3] < 3:
        grey = images[..., 0]
    else:
        # ITU-R BT.601 luma, which Pillow's convert("L") uses as well.
        grey = images[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.asarray(grey, dtype=np.float32) * np.float32(scale)


def is_grey(images: Images) -> bool:
    """Return whether every pixel of images is one of 256 levels of grey."""
    return images.dtype == np.uint8 and images.shape[3] < 3


@_once
def _histogram(images: Images) -> NDArray[np.int64]:
    """Return how many pixels have each of 256 levels of grey (n, 256)."""
    if is_grey(images):
        levels = images[..., 0]
    else:
        grey = np.rint(np.nan_to_num(_grey(images)) * 255)
        levels = np.clip(grey, 0, 255).astype(np.uint8)
    counts = np.empty((len(levels), 256), dtype=np.int64)
    step = max(1, _COUNTED_AT_ONCE // max(levels[:1].size, 1))
    for start in range(0, len(levels), step):
        part = levels[start : start + step]
        rows = np.arange(len(part))[:, None, None] * 256
        found = np.bincount((part + rows).ravel(), minlength=len(part) * 256)
        counts[start : start + step] = found.reshape(len(part), 256)
    return counts


@_once
def grey_moments(images: Images) -> NDArray[np.float64]:
    """Return mean and standard deviation (2, n) of grey levels, 0 to 255, from their histogram.

    They cost nothing once the pixels are counted, and are NaN of an image without any.
    """
    levels = np.arange(256.0)
    size = np.float64(images.shape[1] * images.shape[2])
    total, squares = np.stack([levels, levels**2]) @ _histogram(images).T.astype(np.float64)
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(np.maximum(size * squares - total**2, 0)) / size
        return np.stack([total / size, spread])


def brightness(images: Images) -> NDArray[np.float64]:
    """Return the mean luminance, 0 (black) to 1 (white)."""
    if is_grey(images):
        return np.asarray(grey_moments(images)[0] / 255)
    return np.asarray(_grey(images).mean(axis=(1, 2), dtype=np.float64))


def contrast(images: Images) -> NDArray[np.float64]:
    """Return the standard deviation of the luminance (RMS contrast), 0 to 0.5."""
    if is_grey(images):
        return np.asarray(grey_moments(images)[1] / 255)
    return np.asarray(_grey(images).std(axis=(1, 2), dtype=np.float64))


def sharpness(images: Images) -> NDArray[np.float64]:
    """Return the mean absolute luminance difference between neighbouring pixels, 0 to 1."""
    height, width = images.shape[1:3]
    if height < 2 or width < 2:
        return np.full(len(images), 0.0 if height and width else np.nan)
    if is_grey(images):
        return _sharpness_of_levels(images[..., 0])
    grey = _grey(images)
    down = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2), dtype=np.float64)
    across = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2), dtype=np.float64)
    return np.asarray((down + across) / 2)


def _sharpness_of_levels(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the same of bytes, as whole numbers and rows that lie together, in a third of it."""
    n, height, width = levels.shape
    flat = levels.reshape(n, height * width)

    def apart(step: int) -> NDArray[np.uint8]:
        one, other = flat[:, step:], flat[:, :-step]
        return np.asarray(np.maximum(one, other) - np.minimum(one, other))

    down, across = apart(width), apart(1)
    # From the end of a line to the start of the next is no step across.
    across[:, width - 1 :: width] = 0
    steps = down.sum(1, dtype=np.uint64) / ((height - 1) * width)
    steps += across.sum(1, dtype=np.uint64) / (height * (width - 1))
    return np.asarray(steps / (2 * 255))


def entropy(images: Images) -> NDArray[np.float64]:
    """Return the Shannon entropy of the luminance histogram (256 bins), 0 to 8 bits."""
    counts = _histogram(images)
    size = images.shape[1] * images.shape[2]
    if not size:
        return np.full(len(images), np.nan)
    # Of a share there are only so many: each logarithm is taken once.
    share = np.arange(size + 1) / size
    bits = np.append(0.0, -share[1:] * np.log2(share[1:]))
    return np.asarray(bits[counts].sum(axis=1), dtype=np.float64)


def warmth(images: Images) -> NDArray[np.float64]:
    """Return the mean of red minus blue, -1 (cold) to 1 (warm); 0 without three channels."""
    return np.asarray(_warm(images).mean(axis=(1, 2), dtype=np.float64))


def top_left(images: Images) -> NDArray[np.float64]:
    """Return the mean luminance of the upper left corner, a sixth of the height and width."""
    return _of_corner(_grey(images), top=True, left=True)


def top_right(images: Images) -> NDArray[np.float64]:
    """Return the same of the upper right corner."""
    return _of_corner(_grey(images), top=True, left=False)


def bottom_left(images: Images) -> NDArray[np.float64]:
    """Return the same of the lower left corner."""
    return _of_corner(_grey(images), top=False, left=True)


def bottom_right(images: Images) -> NDArray[np.float64]:
    """Return the same of the lower right corner."""
    return _of_corner(_grey(images), top=False, left=False)


def _warm(images: Images) -> NDArray[np.float32]:
    if images.shape[3] < 3:
        return np.zeros(images.shape[:3], dtype=np.float32)
    scale = np.float32(1 / np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else 1.0
    red, blue = (images[..., channel].astype(np.float32) for channel in (0, 2))
    return np.asarray((red - blue) * np.float32(scale), dtype=np.float32)


def _of_corner(grey: NDArray[np.float32], *, top: bool, left: bool) -> NDArray[np.float64]:
    height, width = (max(1, size // 6) for size in grey.shape[1:])
    rows = slice(height) if top else slice(-height, None)
    columns = slice(width) if left else slice(-width, None)
    return np.asarray(grey[:, rows, columns].mean(axis=(1, 2), dtype=np.float64))
