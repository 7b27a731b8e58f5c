"""The pace at which a model answers fastest here, found by trying some."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelchecks.collect import rows_at_once
from modelchecks.identity import Pace
from modelchecks.inference import Model
from modelchecks.pixels import by_shape
from modelchecks.sources import Samples
from modelchecks.suite import Compute, Variant

_SIZES = (64, 256, 128, 32)
_LEAST_SECONDS = 0.25
_SHARE = 0.03
_FASTER = 0.95
"""A pace is taken for the one before it only where it takes less than this part of its time."""
_LOOKED_AT = 64
_TOLERANCE = 1e-4
_BFLOAT16 = 0.02
"""How far logits may be from those of plain batches in float32, as a share of the largest."""


@torch.inference_mode()
def fastest(variant: Variant, folder: Path, compute: Compute, samples: Samples) -> Pace:
    """Return the pace at which a variant answers these samples fastest, found by trying some.

    Takes a quarter of a second, or 3 % of the time of the whole pass where that is more. What helps
    on most machines is tried first, and each way by itself only where both together do not help;
    of the other batch sizes, none larger than what is decoded at once, the first that helps.
    `channels_last` is taken only where the logits agree within 1e-4 of the largest, bfloat16 only
    where the suite allows it and they agree within 2 %. A batch size that the suite gives stays.
    """
    first = Pace(compute.batch_size or _SIZES[0])
    batch = samples.read(0, min(_LOOKED_AT, len(samples)), images=True, columns=[])
    groups = by_shape(batch)
    model = Model(variant, folder, compute, Pace(4))
    if not groups:
        return first
    images = max((images for _, images in groups), key=len)
    started = time.perf_counter()
    expected = seconds_per_image(model, Pace(4), images)
    budget = max(_LEAST_SECONDS, _SHARE * expected * len(samples))

    def better(
        best: Pace, seconds: float, candidates: Iterable[Pace], *, first_that_helps: bool = False
    ) -> tuple[Pace, float]:
        for pace in candidates:
            taking = _runs(pace) * pace.batch_size * seconds
            if time.perf_counter() - started + taking >= budget:
                continue
            taken = seconds_per_image(model, pace, images)
            if pace == first or (taken < _FASTER * seconds and agrees(model, pace, images)):
                best, seconds = pace, taken
                if first_that_helps:
                    break
        return best, seconds

    together, *alone = _formats(first, compute)
    best, seconds = better(first, expected, [first, together])
    if best == first:
        best, seconds = better(best, seconds, alone)
    if compute.batch_size is None:
        most = min(rows_at_once(images[0].nbytes), 2 * len(samples))
        sizes = [replace(best, batch_size=size) for size in _SIZES[1:] if size <= most]
        best, _ = better(best, seconds, sizes, first_that_helps=True)
    return best


def seconds_per_image(model: Model, pace: Pace, images: NDArray[Any]) -> float:
    """Return the least time per image of a whole batch at a pace, after a warm-up.

    `images` are repeated where they are fewer.
    """
    model.set_pace(pace)
    batch = np.resize(images, (pace.batch_size, *images.shape[1:]))
    times = []
    for _ in range(_runs(pace)):
        started = time.perf_counter()
        model.logits(batch)
        times.append(time.perf_counter() - started)
    return min(times[1:]) / len(batch)


def agrees(model: Model, pace: Pace, images: NDArray[Any]) -> bool:
    """Return whether logits at a pace are finite and those of plain batches, but for bits."""
    part, tolerance = images[:_LOOKED_AT], _BFLOAT16 if pace.bfloat16 else _TOLERANCE
    model.set_pace(Pace(_LOOKED_AT))
    plain = model.logits(part)
    model.set_pace(pace)
    other = model.logits(part)
    apart, most = float((plain - other).abs().max()), float(plain.abs().max())
    # What is infinite is near nothing.
    return math.isfinite(apart) and apart <= tolerance * most


def _runs(pace: Pace) -> int:
    """Return how often a batch is asked to be timed, the warm-up included: large ones take long."""
    return 3 if pace.batch_size <= _LOOKED_AT else 2


def _formats(first: Pace, compute: Compute) -> list[Pace]:
    """Return the paces of one batch size that are worth trying: all that may help, then each."""
    apart = replace(first, channels_last=True)
    if compute.precision == "float32":
        return [apart]
    return [replace(apart, bfloat16=True), replace(first, bfloat16=True), apart]
