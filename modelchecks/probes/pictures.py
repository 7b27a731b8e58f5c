"""Some rows of a split by their places: their ids, their images, and small pictures of these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.probes import ProbeContext
from modelchecks.thumbnail import png


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
    """Return {caption, png} for an image (height, width, channels), as the page shows it."""
    return {"caption": caption, "png": png(image) or ""}
