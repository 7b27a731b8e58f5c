"""A small picture of an image, as a report carries it."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""The pixels of its longer side, at most."""


def png(image: NDArray[Any] | None) -> str | None:
    """Return a small PNG of an image (height, width, channels) in base64, or None without one.

    Numbers that are no bytes are taken to be 0 to 1, or their own range where they are beyond it.
    """
    if image is None or not image.size:
        return None
    from PIL import Image

    pixels = image[..., :3] if image.shape[2] >= 3 else image[..., 0]
    if pixels.dtype != np.uint8:
        numbers = np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0)
        low, high = min(float(numbers.min()), 0.0), max(float(numbers.max()), 1.0)
        pixels = np.rint((numbers - low) / (high - low) * 255).astype(np.uint8)
    shown = Image.fromarray(np.ascontiguousarray(pixels))
    shown.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    shown.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
