"""Encoded images to arrays: bounded, strict, and on all cores."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from modelchecks.sources import Image

MAX_PIXELS = 50_000_000
"""A larger image is not decoded, unless the suite allows it."""
_DECODERS = min(4, os.cpu_count() or 1)
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is decoded: pixels only, nothing that another program would have to draw."""


@lru_cache
def _formats() -> list[str]:
    """Return the formats of `FORMATS` that this Pillow was built with."""
    from PIL import Image as Pillow

    Pillow.init()
    return [name for name in FORMATS if name in Pillow.OPEN]


def decode(value: Any, max_pixels: int) -> Image:
    """Return the image in `value` (bytes, or a mapping with `bytes`) as (height, width, channels).

    Raises ValueError where there is no image or it has more than `max_pixels` pixels, and what
    Pillow raises where the bytes are no whole image.
    """
    from PIL import Image as Pillow
    from PIL import ImageFile, UnidentifiedImageError

    if isinstance(value, dict):
        value = value.get("bytes")
    if not isinstance(value, bytes) or not value:
        raise ValueError("no image bytes")
    # Someone's code may have set it: half an image would be judged as a whole one.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        opened = Pillow.open(io.BytesIO(value), formats=_formats())
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise ValueError(f"more pixels than max_pixels: {max_pixels} allows ({error})") from error
    except UnidentifiedImageError as error:
        # Pillow's own text holds a memory address, and would differ from run to run.
        raise ValueError("not an image, or of a format that Pillow does not know") from error
    with opened as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ValueError(f"{width}x{height} is more than max_pixels: {max_pixels}")
        if image.mode in ("P", "PA"):
            # A palette index is no intensity.
            array = np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))
        else:
            array = np.asarray(image.convert("L") if image.mode == "1" else image)
    return array[:, :, None] if array.ndim == 2 else array


def decode_all(
    decode: Callable[[Any], Image], values: Sequence[Any], names: Callable[[int], str]
) -> tuple[list[Image | None], dict[int, str]]:
    """Return what `decode` makes of each value, None where it cannot, and the reason by position.

    `names` tells what a position is called. Several threads, since image decoders work outside the
    interpreter's lock; processes would have to send the pixels back.
    """

    def some(part: Sequence[Any]) -> list[Image | Exception]:
        found: list[Image | Exception] = []
        for value in part:
            try:
                found.append(decode(value))
            except Exception as error:
                found.append(error)
        return found

    size = max(32, -(-len(values) // (2 * _DECODERS)))
    parts = [values[start : start + size] for start in range(0, len(values), size)]
    if len(parts) < 2 or _DECODERS == 1:
        found = some(values)
    else:
        with ThreadPoolExecutor(_DECODERS, "modelchecks-decode") as pool:
            found = [image for part in pool.map(some, parts) for image in part]
    unreadable = {
        position: f"{names(position)}: {type(error).__name__}: {error}"
        for position, error in enumerate(found)
        if isinstance(error, Exception)
    }
    return [None if isinstance(image, Exception) else image for image in found], unreadable
