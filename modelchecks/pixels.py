"""What a batch's images are: shapes, types, values and features, each read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError
from modelchecks.facets import FEATURE, IMAGES
from modelchecks.identity import Job
from modelchecks.sources import Batch
from modelchecks.tally import Seen, Tally


def look(
    job: Job,
    seen: Seen,
    tallies: Mapping[str, Tally],
    features: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]],
    modelled: bool,
) -> dict[str, str]:
    """Count shapes, types and values, and fill the image and feature columns of a batch.

    Returns why features have no numbers, by their facet.
    """
    batch, size = seen.batch, len(seen.batch)
    if batch.images is None:
        if features or modelled:
            raise EvidenceError(
                f"split {job.split.name!r} has no images; name the column that holds them with "
                "`image:`"
            )
        for tally in tallies.values():
            tally.tables.append(seen.keep({}))
        return {}
    failures: dict[str, str] = {}
    facts = {f"image:{name}": np.full(size, np.nan) for name in _FACTS}
    kinds = np.full(size, None, dtype=object)
    values = {facet: np.full(size, np.nan) for facet in features}
    groups = by_shape(batch)
    for where, images in groups:
        if IMAGES in tallies:
            kinds[where] = str(images.dtype)
            for name, column in zip(_FACTS, _measure(images, tallies[IMAGES]), strict=True):
                facts[f"image:{name}"][where] = column
        for facet, function in features.items():
            try:
                values[facet][where] = _feature(facet.removeprefix(FEATURE), function, images)
            except EvidenceError as error:
                failures[facet] = str(error)
    for facet, tally in tallies.items():
        tally.counts["unreadable",] += len(batch.unreadable)
        tally.example(("unreadable",), list(batch.unreadable.values()))
        if facet == IMAGES:
            tally.tables.append(seen.keep({**facts, "image:dtype": kinds}))
            continue
        tally.counts["missing", facet] += int(np.isnan(values[facet]).sum())
        tally.span(("span", facet), values[facet])
        tally.tables.append(seen.keep({facet: values[facet]}))
    return failures


_FACTS = ("width", "height", "channels", "min", "max", "mean")


def _measure(images: NDArray[Any], tally: Tally) -> tuple[Any, ...]:
    """Count what images of one shape are; return their facts, in the order of `_FACTS`."""
    height, width, channels = images.shape[1:]
    tally.counts["shape", f"{height}x{width}x{channels}"] += len(images)
    tally.counts["dtype", str(images.dtype)] += len(images)
    flat = images.reshape(len(images), -1)
    lowest, highest = flat.min(1), flat.max(1)
    if flat.dtype.kind == "f":
        tally.counts["nan_values",] += int((~np.isfinite(flat)).sum())
        tally.span(("value",), flat)
    else:
        tally.span(("value",), np.concatenate([lowest, highest]))
    return width, height, channels, lowest, highest, flat.mean(1)


def _feature(
    name: str, function: Callable[[NDArray[Any]], NDArray[Any]], images: NDArray[Any]
) -> NDArray[Any]:
    try:
        column = np.asarray(function(images), dtype=np.float64)
    except (Exception, SystemExit) as error:
        raise EvidenceError(f"feature {name!r} raised {type(error).__name__}: {error}") from error
    if column.shape != (len(images),):
        raise EvidenceError(
            f"feature {name!r} gave shape {column.shape} for {len(images)} images; it must give "
            "one number per image"
        )
    return column


def by_shape(batch: Batch) -> list[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Return (positions, images as one array) for each shape and type among the readable images."""
    if isinstance(batch.images, np.ndarray):
        return [(np.arange(len(batch)), _fixed(batch.images))] if len(batch) else []
    groups: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for position, image in enumerate(batch.images or ()):
        if image is not None:
            groups[(*image.shape, str(image.dtype))].append(position)
    return [
        (np.array(where), _fixed(np.stack([np.asarray(batch.images[i]) for i in where])))  # type: ignore[index]
        for where in groups.values()
    ]


def _fixed(images: NDArray[Any]) -> NDArray[Any]:
    """Return a view that nobody can write to: what one feature did, all others would see."""
    view = images.view()
    view.flags.writeable = False
    return view
