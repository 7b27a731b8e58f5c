"""Some rows of a split by their places: their ids, their images, and small pictures of these."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.probes import ProbeContext

LARGEST = 64
"""Height and width of a picture in a report, at most."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One row: its place, id and label, and its image, None where it cannot be read."""

    row: int
    id: str
    label: Any
    image: NDArray[Any] | None

    def json(self) -> dict[str, Any]:
        """Return what a report shows of it; `picture` is a PNG in base64."""
        label: str | int | None = self.label if isinstance(self.label, str) else None
        if isinstance(self.label, int | np.integer) and self.label >= 0:
            label = int(self.label)
        return {"row": self.row, "id": self.id, "label": label, "picture": png(self.image)}


def pictures(context: ProbeContext, rows: Iterable[int]) -> dict[int, Picture]:
    """Return some rows of a split, read one by one in their order."""
    wanted = sorted(set(rows))
    if not wanted:
        return {}
    samples = context.samples()
    found = {}
    for row in wanted:
        batch = samples.read(row, row + 1, images=True, columns=[])
        label = None if batch.labels is None or batch.labels.ndim > 1 else batch.labels[0]
        image = None if batch.images is None else batch.images[0]
        found[row] = Picture(row, str(batch.ids[0]), label, image)
    return found


def picture(caption: str, image: NDArray[Any]) -> dict[str, str]:
    """Return {caption, png}, as the page shows it, of an image whose white is 1 or its type's."""
    whole = np.iinfo(image.dtype).max if image.dtype.kind in "ui" else 1.0
    pixels = np.rint(255 * np.clip(image / whole, 0, 1)).astype(np.uint8)
    return {"caption": caption, "png": png(pixels) or ""}


def png(image: NDArray[Any] | None) -> str | None:
    """Return a small PNG of an image in base64, or None where there is none to show."""
    if image is None or not image.size:
        return None
    from PIL import Image

    pixels = image[..., :3] if image.shape[2] >= 3 else image[..., 0]
    if pixels.dtype != np.uint8:
        # Nothing says what its white is, so it is shown over its own range.
        numbers = np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0)
        low, high = numbers.min(), numbers.max()
        pixels = ((numbers - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
    shown = Image.fromarray(np.ascontiguousarray(pixels))
    shown.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    shown.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
