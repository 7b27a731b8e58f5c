"""What tells images apart: a digest of the pixels, perceptual hashes, and a thumbnail.

All of it is exact arithmetic: the same image has the same fingerprint in any batch, on any machine.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[Any]
Bits = NDArray[np.uint64]

ZOOMS = (0.0, 0.02, 0.04)
"""How much of each side is cut off before the first, second and third perceptual hash: a copy that
was cropped is found by the hash of the original that was cropped as much."""
THUMB = 12
"""Height and width of a thumbnail."""
FLAT = 2.0
"""A thumbnail whose values spread less (standard deviation of 0 to 255) shows nothing."""

_CELLS, _WAVES = 32, 8
_AT_ONCE = 2**22
_UNIT = 2.0**14


def contents(images: Images) -> NDArray[np.uint64]:
    """Return a 128-bit digest of each image's pixels, shape and type, as rows (n, 2).

    Images are (n, height, width, channels), one shape and type, as in all functions here.
    """
    start = hashlib.blake2b(f"{images.shape[1:]}{images.dtype.str}".encode(), digest_size=16)
    found = bytearray()
    for image in np.ascontiguousarray(images):
        digest = start.copy()
        digest.update(image.tobytes())
        found += digest.digest()
    return np.frombuffer(bytes(found), dtype=np.uint64).reshape(len(images), 2)


def grey_levels(images: Images) -> NDArray[np.float64]:
    """Return the luminance (n, height, width) in whole numbers from 0 to 255.

    Floats are stretched to their own range, since nothing says what their white is.
    """
    if images.dtype.kind == "f":
        finite = np.nan_to_num(images.astype(np.float64), posinf=0.0, neginf=0.0)
        low = finite.min(axis=(1, 2, 3), keepdims=True)
        high = finite.max(axis=(1, 2, 3), keepdims=True)
        levels = np.rint((finite - low) / np.where(high > low, high - low, 1.0) * 255)
    else:
        levels = np.asarray(images)
        if images.dtype.itemsize > 1:
            most = np.iinfo(images.dtype).max
            levels = np.clip(images.astype(np.int64), 0, most) * 255 // most
    if images.shape[3] < 3:
        return np.asarray(levels[..., 0], dtype=np.float64)
    # ITU-R BT.601 luma as Pillow has it; below 2^24, and so exact, in single precision.
    luma = levels[..., :3].astype(np.float32) @ np.array([299, 587, 114], dtype=np.float32)
    return np.asarray(np.floor((luma + 500) / 1000), dtype=np.float64)


def perceptual(images: Images) -> tuple[Bits, NDArray[np.uint8]]:
    """Return perceptual hashes (n, 3), one per zoom, and thumbnails (n, 12, 12) of 0 to 255.

    A hash tells for each of the 8 x 8 lowest waves of the image (a cosine transform of 32 x 32
    cells) whether it is stronger than the median one; Hamming distances between hashes are those
    between images as eyes see them. Zauner (2010), Implementation and Benchmarking of Perceptual
    Image Hash Functions; the ImageHash library's `phash` is held against it in the tests.
    """
    count, height, width = images.shape[:3]
    bits = np.empty((count, len(ZOOMS)), dtype=np.uint64)
    thumbs = np.empty((count, THUMB, THUMB), dtype=np.uint8)
    step = max(1, _AT_ONCE // max(height * width, 1))
    for start in range(0, count, step):
        part = slice(start, start + step)
        down, across = _weights(height), _weights(width)
        lines = np.matmul(grey_levels(images[part]).reshape(-1, width), across.T)
        lines = np.ascontiguousarray(lines.reshape(-1, height, len(across)).swapaxes(0, 1))
        for number in range(len(ZOOMS)):
            own = slice(number * _WAVES, (number + 1) * _WAVES)
            waves = np.tensordot(down[own], lines[:, :, own], 1).swapaxes(0, 1)
            waves = waves.reshape(lines.shape[1], -1)
            middle = np.partition(waves, (31, 32), axis=1)[:, 31:33].mean(axis=1, keepdims=True)
            bits[part, number] = np.packbits(waves > middle, axis=1).view(">u8")[:, 0]
        own = slice(-THUMB, None)
        sums = np.outer(down[own].sum(1), across[own].sum(1))
        means = np.tensordot(down[own], lines[:, :, own], 1).swapaxes(0, 1) / sums
        thumbs[part] = np.rint(means)
    return bits, thumbs


def flat(thumbs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which thumbnails show nothing that could be like another image."""
    spread: NDArray[np.float64] = thumbs.reshape(len(thumbs), -1).std(axis=1, dtype=np.float64)
    return spread < FLAT


@lru_cache(maxsize=256)
def _cells(pixels: int, cells: int, zoom: float) -> NDArray[np.float64]:
    """Return whole-numbered weights (cells, pixels): how much of each pixel lies in each cell."""
    edges = np.linspace(zoom * pixels, (1 - zoom) * pixels, cells + 1)
    at = np.arange(pixels)
    inside = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    share = np.clip(inside, 0, None)
    return np.asarray(np.rint(share / share.sum(axis=1, keepdims=True) * _UNIT))


@lru_cache(maxsize=256)
def _weights(pixels: int) -> NDArray[np.float64]:
    """Return whole-numbered weights: the 8 lowest waves over 32 cells, for each zoom, and a mean.

    Sums of their products with whole numbers up to 255 stay below 2^53, so that they are exact in
    any order of adding.
    """
    at, wave = np.arange(_CELLS), np.arange(_WAVES)[:, None]
    cosine = np.cos(np.pi * wave * (2 * at + 1) / (2 * _CELLS))
    waves = [np.rint(cosine @ _cells(pixels, _CELLS, zoom)) for zoom in ZOOMS]
    return np.concatenate([*waves, _cells(pixels, THUMB, 0.0)])
