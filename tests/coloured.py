"""A small colour set for the tests: garments on coloured backgrounds, in a warm light.

Real Fashion-MNIST items, each with a tint and a smooth background of its own that have nothing to
do with its class, so that three channels mean something and two items are never alike.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIZE = 40
LIGHT = np.array([1.0, 0.8, 0.6])
"""Warm: what comes through as red, green and blue."""


def coloured(items: np.ndarray, seed: int) -> np.ndarray:
    """Return items (n, 28, 28) as colour images (n, 40, 40, 3)."""
    draw = np.random.default_rng(seed)
    made = np.empty((len(items), SIZE, SIZE, 3), dtype=np.uint8)
    tints = 0.6 + 0.4 * draw.random((len(items), 1, 1, 3))
    backgrounds = draw.integers(0, 256, (len(items), 5, 5, 3), dtype=np.uint8)
    for number, item in enumerate(items):
        item = np.asarray(Image.fromarray(item).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        behind = Image.fromarray(backgrounds[number]).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        cover = np.clip(item[..., None] / 60.0, 0, 1)
        shown = cover * item[..., None] * tints[number] + (1 - cover) * np.asarray(behind) * 0.5
        made[number] = np.clip(shown * LIGHT, 0, 255)
    return made


def encoded(image: np.ndarray, kind: str = "PNG", **options) -> bytes:
    """Return an image as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def again(image: np.ndarray, draw: np.random.Generator, crop: int = 1, quality: int = 75):
    """Return a near copy: some rows and columns cut off, resized back, through JPEG."""
    top, left = draw.integers(0, crop + 1, 2)
    height, width = image.shape[:2]
    part = image[top : height - (crop - top), left : width - (crop - left)]
    resized = Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(Image.open(io.BytesIO(encoded(np.asarray(resized), "JPEG", quality=quality))))


def write(
    path: Path,
    images: list[bytes],
    labels,
    prefix: str,
    *,
    start: str = "2026-10-05",
    seed: int = 0,
    **columns,
) -> None:
    """Write a log: id, image, label, time, camera and latency; other columns as given."""
    rows = len(images)
    draw = np.random.default_rng([seed, rows])
    hours = np.sort(draw.integers(0, 14 * 24 * 60, rows)).astype("timedelta64[m]")
    table = {
        "id": [f"{prefix}-{row:05d}" for row in range(rows)],
        "image": pa.array(images, pa.binary()),
        "label": pa.array(labels, pa.int64()),
        "time": np.datetime64(start, "us") + hours,
        "camera": draw.choice(["A", "B", "C"], rows).tolist(),
        "latency": draw.gamma(4.0, 8.0, rows),
        **columns,
    }
    kept = {name: column for name, column in table.items() if column is not None}
    pq.write_table(pa.table(kept), path, row_group_size=200)
