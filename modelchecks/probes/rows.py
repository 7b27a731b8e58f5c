"""The rows and models that a probe asks: a bounded, seeded draw, and the torch module itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError
from modelchecks.inference import Model
from modelchecks.pixels import by_shape
from modelchecks.probes import ProbeContext
from modelchecks.sources import Batch
from modelchecks.suite import Variant

_GAP = 32
"""Rows nearer to each other than this are read in one go."""


@dataclass(frozen=True)
class Drawn:
    """Rows of a split in random order, the same for every variant.

    `images` holds one array (height, width, channels) per row; `labels` are -1 where there is none.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    images: tuple[NDArray[Any], ...]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, stop: int) -> Drawn:
        """Return rows `start` to `stop` of the draw."""
        rows = slice(start, stop)
        return Drawn(self.ids[rows], self.labels[rows], self.images[rows])

    def groups(self) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Yield (positions, images as one array) for each shape and type."""
        yield from by_shape(Batch(self.ids, self.images))


def draw(context: ProbeContext, split: str, rows: int, *, labelled: bool) -> Drawn:
    """Return at most `rows` rows of the split, drawn by the seed of its evidence.

    Raises EvidenceError where there is none, or one of them cannot be read.
    """
    sampled = context.evidence.rows
    chosen = sampled.places(labelled=labelled)[:rows]
    if not len(chosen):
        what = "labelled row" if labelled else "row"
        raise EvidenceError(f"split {split!r} has no {what}, so nothing can be asked")
    ids, index, labels = (sampled.columns[name][chosen] for name in ("id", "index", "label"))
    samples = context.samples()
    found: dict[int, NDArray[Any]] = {}
    for start, stop in _spans(np.sort(index)):
        batch = samples.read(start, stop, images=True, columns=[])
        if batch.images is None:
            raise EvidenceError(
                f"split {split!r} has no images; name the column that holds them with `image:`"
            )
        for place in range(len(batch)):
            if (image := batch.images[place]) is not None:
                found[start + place] = image
            elif start + place in index:
                said = batch.unreadable.get(place, "no reason given")
                raise EvidenceError(f"split {split!r}: an image cannot be read: {said}")
    return Drawn(
        tuple(map(str, ids)),
        np.asarray(labels, dtype=np.int64),
        tuple(np.asarray(found[row]) for row in index.tolist()),
    )


def _spans(index: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    cuts = np.flatnonzero(np.diff(index) > _GAP) + 1
    for part in np.split(index, cuts):
        yield int(part[0]), int(part[-1]) + 1


def module_of(context: ProbeContext, name: str | None, of: Variant | None = None) -> Model:
    """Return a variant's model; raises EvidenceError where all there is of it is logged answers."""
    model = context.model(of)
    if not isinstance(model, Model):
        raise EvidenceError(
            f"variant {of.name if of else name!r} is a column of logged answers; this check asks "
            "the model itself, so give it `model:` and `weights:`"
        )
    return model


def logits_of(model: Model, drawn: Drawn) -> NDArray[np.float32]:
    """Return logits (n, classes) of drawn rows; raises EvidenceError where one is not finite."""
    return _gathered(drawn, [model.logits(images).numpy() for _, images in drawn.groups()])


def _gathered(drawn: Drawn, parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    logits = np.empty((len(drawn), parts[0].shape[1]), dtype=np.float32)
    for (where, _), part in zip(drawn.groups(), parts, strict=True):
        logits[where] = part
    silent = np.flatnonzero(~np.isfinite(logits).all(1))
    if len(silent):
        raise EvidenceError(
            f"{len(silent)} of {len(drawn)} answers are NaN or infinite (rows "
            f"{', '.join(drawn.ids[i] for i in silent[:3])})"
        )
    return logits
