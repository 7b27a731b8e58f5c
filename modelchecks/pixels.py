"""What a batch's images are: shapes, types, values, hashes and features, each read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as image_features
from modelchecks import fingerprints
from modelchecks.errors import EvidenceError
from modelchecks.facets import EVERY_IMAGE, FEATURE, HASHES, IMAGES
from modelchecks.identity import Job
from modelchecks.sources import Batch
from modelchecks.tally import Seen, Table, Tally

Feature = Callable[[NDArray[Any]], NDArray[Any]]

BLANK = 0.01
"""An image whose luminance spreads less (standard deviation; 1 is white) shows nothing."""
SOURCE_FACTS = ("format", "mode", "bytes", "orientation")
"""What the encoded image says of itself, where the source has encoded images."""
_FACTS = ("width", "height", "channels", "min", "max", "mean", "std")
_COLOURS = ("red", "green", "blue", "warm_top", "warm_bottom", "warm_spread")
"""Per image: means of the first three channels; first minus third in the upper and the lower half,
and of their standard deviations. NaN where there are no three channels."""


def is_of_images(facet: str) -> bool:
    """Return whether a facet is made of the decoded images alone."""
    return facet in (IMAGES, EVERY_IMAGE, HASHES) or facet.startswith(FEATURE)


def look(
    job: Job,
    seen: Seen,
    tallies: Mapping[str, Tally],
    features: Mapping[str, Feature],
    modelled: bool,
) -> dict[str, str]:
    """Count shapes, types and values, and fill the columns that are made of a batch's images.

    Returns why features have no numbers, by their facet.
    """
    batch = seen.batch
    if batch.images is None:
        if features or modelled or HASHES in tallies:
            raise EvidenceError(
                f"split {job.split.name!r} has no images; name the column that holds them with "
                "`image:`"
            )
        for facet, tally in tallies.items():
            tally.tables.append(seen.lines(facet, {}))
        return {}
    failures: dict[str, str] = {}
    tables = {facet: _blank(facet, batch) for facet in tallies}
    for where, images in by_shape(batch):
        if not images.size:
            raise EvidenceError(
                f"split {job.split.name!r}: {len(images)} images have the shape {images.shape[1:]} "
                f"and no pixels, {batch.ids[where[0]]!r} first; leave such rows out or save their "
                "images again"
            )
        for facet, tally in tallies.items():
            if facet in (IMAGES, EVERY_IMAGE):
                found = _measured(images, where, batch, tally)
                if facet == EVERY_IMAGE:
                    found["image:entropy"] = image_features.entropy(images)
            elif facet == HASHES:
                found = _hashed(images)
            else:
                try:
                    name = facet.removeprefix(FEATURE)
                    found = {facet: _feature(name, features[facet], images)}
                except EvidenceError as error:
                    failures[facet] = str(error)
                    continue
            for name, column in found.items():
                tables[facet][name][where] = column
    for facet, tally in tallies.items():
        tally.counts["unreadable",] += len(batch.unreadable)
        tally.example(("unreadable",), list(batch.unreadable.values()))
        if facet in (IMAGES, EVERY_IMAGE):
            _sources_facts(batch, tables[facet], tally)
        elif facet == HASHES:
            tables[facet]["label"] = seen.labels
        else:
            tally.counts["missing", facet] += int(np.isnan(tables[facet][facet]).sum())
            tally.span(("span", facet), tables[facet][facet])
        tally.tables.append(seen.lines(facet, tables[facet]))
    return failures


def _blank(facet: str, batch: Batch) -> Table:
    """Return the columns that a facet has for every row, empty as they are for unreadable ones."""
    size = len(batch)
    if facet == HASHES:
        return {
            # Readable rows have a hash; the digest of nothing is nothing.
            "hash:there": np.zeros(size, dtype=np.uint8),
            "hash:content": np.zeros((size, 2), dtype=np.uint64),
            "hash:waves": np.zeros((size, len(fingerprints.ZOOMS)), dtype=np.uint64),
            "hash:thumb": np.zeros((size, fingerprints.THUMB**2), dtype=np.uint8),
        }
    if facet not in (IMAGES, EVERY_IMAGE):
        return {facet: np.full(size, np.nan)}
    names = [*_FACTS, *_COLOURS, *(["entropy"] if facet == EVERY_IMAGE else [])]
    columns: Table = {f"image:{name}": np.full(size, np.nan) for name in names}
    return {**columns, "image:dtype": np.full(size, None, dtype=object)}


def _measured(
    images: NDArray[Any], where: NDArray[np.int64], batch: Batch, tally: Tally
) -> dict[str, Any]:
    """Count what images of one shape are; return their facts, column by column."""
    height, width, channels = images.shape[1:]
    tally.counts["shape", f"{height}x{width}x{channels}"] += len(images)
    tally.counts["dtype", str(images.dtype)] += len(images)
    flat = images.reshape(len(images), -1)
    lowest, highest = flat.min(1), flat.max(1)
    broken = np.zeros(len(images), dtype=np.bool_)
    if flat.dtype.kind == "f":
        finite = np.isfinite(flat)
        broken = ~finite.all(axis=1)
        tally.counts["nan_values",] += int((~finite).sum())
        tally.span(("value",), flat)
    else:
        tally.span(("value",), np.concatenate([lowest, highest]))
    with np.errstate(invalid="ignore", over="ignore"):
        one = image_features.is_grey(images) and channels == 1
        mean, std = image_features.grey_moments(images) if one else _moments(flat)
        spread = image_features.contrast(images)
        colours = _coloured(images)
    constant = lowest == highest
    white = np.maximum(1.0, np.abs(highest)) if flat.dtype.kind == "f" else 1.0
    blank = spread < BLANK * white
    grey = _colourless(images)
    faults = {"nan_images": broken, "constant": constant, "blank": blank, "colourless": grey}
    for kind, which in faults.items():
        rows = where[which].tolist()
        tally.counts[kind,] += len(rows)
        tally.example((kind,), [batch.ids[row] for row in rows])
    facts = (width, height, channels, lowest, highest, mean, std)
    found = {f"image:{name}": column for name, column in zip(_FACTS, facts, strict=True)}
    found |= {f"image:{name}": column for name, column in zip(_COLOURS, colours, strict=True)}
    return {**found, "image:dtype": str(images.dtype)}


def _colourless(images: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which images show no colour: one channel, or three that are equal everywhere."""
    if images.shape[3] < 3:
        return np.ones(len(images), dtype=np.bool_)
    same = (images[..., 0] == images[..., 1]) & (images[..., 1] == images[..., 2])
    return np.asarray(same.all(axis=(1, 2)))


def _coloured(images: NDArray[Any]) -> NDArray[np.float64]:
    """Return what `_COLOURS` names, (6, n)."""
    if images.shape[3] < 3:
        return np.full((len(_COLOURS), len(images)), np.nan)
    # Channel by channel: side by side in memory, numpy takes ten times as long.
    planes = np.ascontiguousarray(np.moveaxis(images[..., :3], 3, 0))
    red, green, blue = planes.mean(axis=3, dtype=np.float64)
    warm = red - blue
    middle = max(1, warm.shape[1] // 2)
    top, bottom = warm[:, :middle].mean(1), warm[:, -middle:].mean(1)
    flat = planes.reshape(3, len(images), -1)
    spread = _moments(flat[0])[1] - _moments(flat[2])[1]
    return np.stack([*(part.mean(1) for part in (red, green, blue)), top, bottom, spread])


def _moments(flat: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation of each row (n, values)."""
    mean = flat.mean(1, dtype=np.float64)
    if flat.dtype.kind not in "ui" or flat.dtype.itemsize > 2:
        return mean, flat.std(1, dtype=np.float64)
    # Without what they have in common, small whole numbers lose nothing that counts in float32.
    apart = flat - mean.astype(np.float32)[:, None]
    return mean, np.sqrt(np.square(apart, out=apart).mean(1, dtype=np.float64))


def _sources_facts(batch: Batch, table: Table, tally: Tally) -> None:
    """Add what the encoded images say of themselves, and count how cameras were held."""
    size = len(batch)
    for name in SOURCE_FACTS:
        kind = object if name in ("format", "mode") else np.float64
        empty = np.full(size, None if kind is object else np.nan, dtype=kind)
        table[f"image:{name}"] = batch.facts.get(name, empty)
    turned = table["image:orientation"]
    for value in np.unique(turned[np.isfinite(turned)]).tolist():
        rows = np.flatnonzero(turned == value).tolist()
        tally.counts["orientation", int(value)] += len(rows)
        if value != 1:
            tally.example(("turned",), [batch.ids[row] for row in rows])


def _hashed(images: NDArray[Any]) -> dict[str, Any]:
    waves, thumbs = fingerprints.perceptual(images)
    return {
        "hash:there": 1,
        "hash:content": fingerprints.contents(images),
        "hash:waves": waves,
        "hash:thumb": thumbs.reshape(len(images), -1),
    }


def _feature(name: str, function: Feature, images: NDArray[Any]) -> NDArray[Any]:
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
