"""The pace at which a model answers fastest here, found by trying some."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.collect import OutOfMemoryError, rows_at_once
from modelchecks.identity import Pace
from modelchecks.inference import Model
from modelchecks.pixels import by_shape
from modelchecks.sources import Samples
from modelchecks.suite import Compute, Variant

_FIRST = 64
"""The batch size at which formats are compared."""
_SIZES = {"cpu": (128, 32)}
_ELSEWHERE = (256, 128, 32)
"""Other sizes worth trying. A processor's caches gain nothing by more."""
_FEW = 4
"""So many first, to learn how long the others will take."""
_LEAST_SECONDS = 0.25
_SHARE = 0.03
_FASTER = 0.95
"""A pace is taken for the one before it only where it takes less than this part of its time."""
_AS_FAST = 1.05
"""A larger batch is taken also where it is no faster: what comes between calls slows it less."""
_LOOKED_AT = 64
_TOLERANCE = 1e-4
_BFLOAT16 = 0.02
"""How far logits may be from those of plain batches in float32, as a share of the largest."""


def fastest(variant: Variant, folder: Path, compute: Compute, samples: Samples) -> Pace:
    """Return the pace at which a variant answers these samples fastest, found by trying some.

    Takes a quarter of a second, or 3 % of the time of the whole pass where that is more. What helps
    on most machines is tried first, and each way by itself only where both together do not help;
    then batch sizes, none larger than what is decoded at once. The first that helps is taken, a
    larger one also where it does no harm.
    `channels_last` is taken only where the logits agree within 1e-4 of the largest, bfloat16 only
    where the suite allows it and they agree within 2 %. A batch size that the suite gives stays.
    What does not fit into memory is not taken; where nothing does, the pass goes on halving.
    """
    given, model = compute.batch_size, Model(variant, folder, compute, Pace(_FEW))
    decoded = rows_at_once(samples)
    sizes = _SIZES.get(model.device.type, _ELSEWHERE)
    images = _some(samples, min(max(sizes), decoded))
    if images is None:
        return Pace(given or _FIRST)
    first = Pace(min(given or decoded, _FIRST))
    few = Pace(min(_FEW, first.batch_size))
    started = time.perf_counter()
    try:
        expected = seconds_per_image(model, few, images)
    except (OutOfMemoryError, MemoryError):
        return few
    budget = max(_LEAST_SECONDS, _SHARE * expected * len(samples))

    def worth(pace: Pace, seconds: float, share: float, *, agreed: bool = False) -> float | None:
        """Return the time per image at a pace that helps, None where it does not or is unknown."""
        if time.perf_counter() - started + _runs(pace) * pace.batch_size * seconds >= budget:
            return None
        try:
            taken = seconds_per_image(model, pace, images)
            if taken < share * seconds and (agreed or agrees(model, pace, images)):
                return taken
        except (OutOfMemoryError, MemoryError):
            pass
        return None

    best, seconds = first, worth(first, expected, math.inf, agreed=True) or expected
    formats = _formats(first, compute)
    for pace in formats:
        if (taken := worth(pace, seconds, _FASTER)) is not None:
            best, seconds = pace, taken
            if pace == formats[0]:
                break
    if given is not None:
        return replace(best, batch_size=given)
    for size in sizes:
        other, share = replace(best, batch_size=size), _AS_FAST if size > _FIRST else _FASTER
        fits = size <= min(decoded, 2 * len(samples))
        # Of a larger batch no more rows would be compared than before.
        if fits and worth(other, seconds, share, agreed=size > _FIRST) is not None:
            return other
    return best


def _some(samples: Samples, most: int) -> NDArray[Any] | None:
    """Return the images of one shape that most of the first rows have, None where none has any."""
    groups = by_shape(samples.read(0, min(most, len(samples)), images=True, columns=[]))
    return max((images for _, images in groups), key=len) if groups else None


def seconds_per_image(model: Model, pace: Pace, images: NDArray[Any]) -> float:
    """Return the least time per image of a whole batch at a pace, after a warm-up.

    `images` are repeated where they are fewer.
    """
    model.set_pace(pace)
    size = pace.batch_size
    batch = images[:size] if len(images) >= size else np.resize(images, (size, *images.shape[1:]))
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
    return 3 if pace.batch_size <= 2 * _FIRST else 2


def _formats(first: Pace, compute: Compute) -> list[Pace]:
    """Return the paces of one batch size that are worth trying: all that may help, then each."""
    apart = replace(first, channels_last=True)
    if compute.precision == "float32":
        return [apart]
    return [replace(apart, bfloat16=True), replace(first, bfloat16=True), apart]
