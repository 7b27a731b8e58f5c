"""Encoded images to arrays: bounded, strict, and on all cores."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from modelchecks.sources import Image

MAX_PIXELS = 50_000_000
"""A larger image is not decoded, unless the suite allows it."""
_DECODERS = min(4, os.cpu_count() or 1)
_PROBED, _WORTH = 16, 0.25e-3
"""So many are decoded first: where one takes longer than this (seconds), threads share the rest."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is decoded: pixels only, nothing that another program would have to draw."""
_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held; 1 is upright."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image, and what its encoding says: format and mode as Pillow names them, size in bytes.

    `orientation` is the EXIF tag, None where there is none. Decoding does not turn the image by
    it, as most pipelines do not; `image_schema` counts the images that lie on their side so.
    """

    pixels: Image
    format: str
    mode: str
    size: int
    orientation: int | None


@lru_cache
def _formats() -> list[str]:
    """Return the formats of `FORMATS` that this Pillow was built with."""
    from PIL import Image as Pillow

    Pillow.init()
    return [name for name in FORMATS if name in Pillow.OPEN]


def decode(value: Any, max_pixels: int) -> Decoded:
    """Return the image in `value` (bytes, or a mapping with `bytes`), (height, width, channels).

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
        # All of the pixels first: Pillow reads them to find EXIF, and what fails there is not to
        # be forgiven as if it were about EXIF.
        image.load()
        kind, mode, orientation = image.format or "", image.mode, _orientation(image)
        if image.mode in ("P", "PA"):
            # A palette index is no intensity.
            array = np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))
        else:
            array = np.asarray(image.convert("L") if image.mode == "1" else image)
    pixels = array[:, :, None] if array.ndim == 2 else array
    return Decoded(pixels, kind, mode, len(value), orientation)


def _orientation(image: Any) -> int | None:
    """Return the EXIF orientation; what is no EXIF says nothing, and is no fault of the pixels."""
    try:
        found = image.getexif().get(_ORIENTATION)
    except Exception:
        return None
    return found if isinstance(found, int) else None


def facts(found: Sequence[Decoded | None]) -> dict[str, NDArray[Any]]:
    """Return what the encoded images say of themselves, as columns; None or NaN where unread."""
    kinds = {"format": np.full(len(found), None, object), "mode": np.full(len(found), None, object)}
    numbers = {"bytes": np.full(len(found), np.nan), "orientation": np.full(len(found), np.nan)}
    for position, image in enumerate(found):
        if image is not None:
            kinds["format"][position], kinds["mode"][position] = image.format, image.mode
            numbers["bytes"][position] = image.size
            if image.orientation is not None:
                numbers["orientation"][position] = image.orientation
    return {**kinds, **numbers}


def decode_all(
    decode: Callable[[Any], Found], values: Sequence[Any], names: Callable[[int], str]
) -> tuple[list[Found | None], dict[int, str]]:
    """Return what `decode` makes of each value, None where it cannot, and the reason by position.

    `names` tells what a position is called. Several threads where an image takes its time, since
    decoders work outside the interpreter's lock; of small ones most is inside it, and threads take
    nearly twice as long. Processes would have to send the pixels back.
    """

    def some(part: Sequence[Any]) -> list[Found | Exception]:
        found: list[Found | Exception] = []
        for value in part:
            try:
                found.append(decode(value))
            except Exception as error:
                found.append(error)
        return found

    started = time.perf_counter()
    found = some(values[:_PROBED])
    rest = values[_PROBED:]
    worth = time.perf_counter() - started > _WORTH * _PROBED
    size = max(32, -(-len(rest) // (2 * _DECODERS)))
    parts = [rest[start : start + size] for start in range(0, len(rest), size)]
    if worth and len(parts) > 1 and _DECODERS > 1:
        with ThreadPoolExecutor(_DECODERS, "modelchecks-decode") as pool:
            found += [image for part in pool.map(some, parts) for image in part]
    else:
        found += some(rest)
    unreadable = {
        position: f"{names(position)}: {type(error).__name__}: {error}"
        for position, error in enumerate(found)
        if isinstance(error, Exception)
    }
    return [None if isinstance(image, Exception) else image for image in found], unreadable
