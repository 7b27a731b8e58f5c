"""Named row features of images: one number per image, from its pixels alone.

A feature is a function from images (n, height, width, channels), all of one shape, to a float
array (n,). Pixel values are scaled to [0, 1] first: uint8 by 255, floats are taken as they are.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks import registry

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


def _grey(images: Images) -> NDArray[np.float32]:
    """Return luminance (n, height, width) in [0, 1]; an alpha channel is left out.

    Of images that nobody can write to it is computed once, whatever features ask for it.
    """
    if images.flags.writeable:
        return _luminance(images)
    if (key := id(images)) not in _GREY:
        grey = _GREY[key] = _luminance(images)
        grey.flags.writeable = False
        weakref.finalize(images, _GREY.pop, key, None)
    return _GREY[key]


_GREY: dict[int, NDArray[np.float32]] = {}
"""The luminance of images, by their identity, as long as they live."""


def _luminance(images: Images) -> NDArray[np.float32]:
    scale = np.float32(1 / np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else 1.0
    if images.shape[3] < 3:
        grey = images[..., 0]
    else:
        # ITU-R BT.601 luma, which Pillow's convert("L") uses as well.
        grey = images[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.asarray(grey, dtype=np.float32) * np.float32(scale)


def brightness(images: Images) -> NDArray[np.float64]:
    """Return the mean luminance, 0 (black) to 1 (white)."""
    return np.asarray(_grey(images).mean(axis=(1, 2), dtype=np.float64))


def contrast(images: Images) -> NDArray[np.float64]:
    """Return the standard deviation of the luminance (RMS contrast), 0 to 0.5."""
    return np.asarray(_grey(images).std(axis=(1, 2), dtype=np.float64))


def sharpness(images: Images) -> NDArray[np.float64]:
    """Return the mean absolute luminance difference between neighbouring pixels, 0 to 1."""
    grey = _grey(images)
    if grey.shape[1] < 2 or grey.shape[2] < 2:
        return np.zeros(len(grey))
    down = np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2), dtype=np.float64)
    across = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2), dtype=np.float64)
    return np.asarray((down + across) / 2)


def entropy(images: Images) -> NDArray[np.float64]:
    """Return the Shannon entropy of the luminance histogram (256 bins), 0 to 8 bits."""
    if images.dtype == np.uint8 and images.shape[3] < 3:
        levels = images[..., 0]
    else:
        grey = np.rint(np.nan_to_num(_grey(images)) * 255)
        levels = np.clip(grey, 0, 255).astype(np.uint8)
    size = max(levels[0].size if len(levels) else 1, 1)
    rows = np.arange(len(levels))[:, None, None] * 256
    counts = np.bincount((levels + rows).ravel(), minlength=len(levels) * 256)
    # Of a share there are only so many: each logarithm is taken once.
    share = np.arange(size + 1) / size
    bits = np.append(0.0, -share[1:] * np.log2(share[1:]))
    return np.asarray(bits[counts.reshape(len(levels), 256)].sum(axis=1), dtype=np.float64)


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
