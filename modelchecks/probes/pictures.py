"""Small pictures for the report: an image as a PNG in text."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 112
"""Larger images are scaled down to this many pixels on their longer side."""


def picture(caption: str, image: NDArray[Any]) -> dict[str, str]:
    """Return {caption, png} for an image (height, width, channels); png is base64."""
    from PIL import Image

    whole = np.iinfo(image.dtype).max if image.dtype.kind in "ui" else 1.0
    pixels = np.rint(255 * np.clip(image / whole, 0, 1)).astype(np.uint8)
    plain = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if max(plain.size) > SIDE:
        plain.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    plain.save(file, "PNG", optimize=True)
    return {"caption": caption, "png": base64.b64encode(file.getvalue()).decode()}
