"""Which images are copies of one another: exact by digest, near by perceptual hash.

Near copies are looked up in hash tables, not by comparing all with all, and confirmed by aligned
thumbnails. What counts as near is measured on the set itself: in a set whose images are all alike
(digits, garments), two different ones are as near as a copy is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bits = NDArray[np.uint64]
Pixels = NDArray[np.float32]

RADII = (6, 4, 2, 0)
"""Hamming distances up to which hashes are looked up; a smaller one where pairs are too many."""
MOST_PAIRS = 2**26
"""How many pairs of hashes are compared, at most, for one way of cropping."""
BEST = 3
"""How many of the nearest hashes of an image are confirmed."""
FARTHEST = 0.05
"""Thumbnails that are farther apart (1 - correlation) are no near copies in any set."""
FALSE_SHARE = 1e-3
"""The share of images that may have a neighbour within the threshold by chance."""

_BLOCKS = {6: 8, 4: 6, 2: 4, 0: 1}
_CHUNK = 2**21
_CROPS = (0.0, 0.035, 0.07, 0.105)


@dataclass(frozen=True, slots=True)
class Copies:
    """For each digest the place of an equal one, -1 for none, and whether their labels conflict."""

    other: Ints
    conflict: NDArray[np.bool_]


def copies_within(digests: Bits, labels: Ints) -> Copies:
    """Return for each digest (n, 2) the first equal one before it; a label below 0 is none."""
    first, mixed = _grouped(digests, labels)
    return Copies(np.where(first < np.arange(len(first)), first, -1), mixed & (labels >= 0))


def copies_between(query: Bits, labels: Ints, reference: Bits, known: Ints) -> Copies:
    """Return for each digest its first equal one in `reference`, whose labels are `known`."""
    size = len(reference)
    first, mixed = _grouped(np.concatenate([reference, query]), np.concatenate([known, labels]))
    other = np.where(first[size:] < size, first[size:], -1)
    return Copies(other, mixed[size:] & (labels >= 0) & (other >= 0))


def _grouped(digests: Bits, labels: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the first place with the same digest, and whether its labelled ones differ."""
    first = np.arange(len(digests))
    if not len(digests):
        return first, np.zeros(0, dtype=np.bool_)
    order = np.lexsort((first, digests[:, 1], digests[:, 0]))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (digests[order][1:] != digests[order][:-1]).any(axis=1)
    begins, group = np.flatnonzero(new), np.cumsum(new) - 1
    sorted_labels = labels[order]
    none = np.iinfo(np.int64).max
    lowest = np.minimum.reduceat(np.where(sorted_labels < 0, none, sorted_labels), begins)
    highest = np.maximum.reduceat(sorted_labels, begins)
    mixed = np.empty(len(order), dtype=np.bool_)
    first[order], mixed[order] = order[begins][group], (lowest < highest)[group]
    return first, mixed


@dataclass(frozen=True, slots=True)
class Pairs:
    """Candidates: places of a query and a reference, the Hamming distance of their hashes.

    `radius` is how far was looked.
    """

    query: Ints
    reference: Ints
    distance: Ints
    radius: int


def look_up(query: Bits, reference: Bits) -> Pairs:
    """Return for each hash (n, zooms) its nearest `BEST` in `reference` within a radius.

    Hashes are cut into blocks; of those that differ in at most `radius` bits some blocks are equal,
    so each choice of blocks is a hash table. One side as it is meets the other under every crop.
    """
    for radius in RADII:
        found = _within(query, reference, radius)
        if found is not None:
            return found
    raise AssertionError("a radius of 0 always has an answer")


def _within(query: Bits, reference: Bits, radius: int) -> Pairs | None:
    """Return the pairs within a radius, or None where too many would have to be compared."""
    zooms = query.shape[1]
    ways = [(0, z) for z in range(zooms)] + [(z, 0) for z in range(1, zooms)]
    best = Pairs(*(np.empty(0, dtype=np.int64),) * 3, radius)
    for mine, theirs in ways:
        ours, others = query[:, mine], reference[:, theirs]
        budget = MOST_PAIRS
        found = [best]
        for mask in _masks(radius):
            keys = others & mask
            # Only where few of the equal ones are taken does their order matter.
            order = np.argsort(keys, kind="quicksort" if radius else "stable")
            keys = keys[order]
            low = np.searchsorted(keys, ours & mask, "left")
            count = np.searchsorted(keys, ours & mask, "right") - low
            if radius == 0:
                # All are equal, and a few of them say it all.
                count = np.minimum(count, BEST + 1)
            budget -= int(count.sum())
            if budget < 0:
                return None
            for who, where in _expanded(low, count):
                pair = order[where]
                apart = popcount(ours[who] ^ others[pair])
                near = apart <= radius
                found.append(Pairs(who[near], pair[near], apart[near], radius))
        best = _nearest(found, radius)
    return best


@lru_cache
def _masks(radius: int) -> tuple[np.uint64, ...]:
    """Return the bits of each choice of as many blocks as must be equal within a radius."""
    blocks = _BLOCKS[radius]
    edges = np.linspace(0, 64, blocks + 1).astype(int).tolist()
    parts = [sum(1 << bit for bit in range(start, stop)) for start, stop in pairwise(edges)]
    return tuple(np.uint64(sum(some)) for some in combinations(parts, blocks - radius))


def _expanded(low: Ints, count: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield (query, place) for `count` places from `low` on for each query, chunk by chunk."""
    ends = np.cumsum(count)
    start = 0
    while start < len(count):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK, "right")))
        part = count[start:stop]
        who = np.repeat(np.arange(start, stop), part)
        offset = np.arange(len(who)) - np.repeat(np.cumsum(part) - part, part)
        yield who, low[who] + offset
        start = stop


def _nearest(found: list[Pairs], radius: int) -> Pairs:
    """Return the `BEST` nearest of each query, each pair once."""
    query = np.concatenate([pairs.query for pairs in found])
    reference = np.concatenate([pairs.reference for pairs in found])
    distance = np.concatenate([pairs.distance for pairs in found])
    order = np.lexsort((distance, reference, query))
    query, reference, distance = query[order], reference[order], distance[order]
    new = np.ones(len(query), dtype=np.bool_)
    new[1:] = (query[1:] != query[:-1]) | (reference[1:] != reference[:-1])
    query, reference, distance = query[new], reference[new], distance[new]
    order = np.lexsort((reference, distance, query))
    query, reference, distance = query[order], reference[order], distance[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query, "left")
    kept = rank <= BEST
    return Pairs(query[kept], reference[kept], distance[kept], radius)


def popcount(values: Bits) -> Ints:
    """Return how many bits are set in each number."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(values).astype(np.int64)
    pairs = np.unpackbits(values.view(np.uint8).reshape(len(values), 8), axis=1)
    return np.asarray(pairs.sum(axis=1, dtype=np.int64))


def apart(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Floats:
    """Return how far thumbnails (n, size, size) are apart: 1 - correlation, best aligned.

    Either may be a crop of the other, by up to a tenth of its width and height, at any corner or
    edge or all round; so near copies are near whichever was cropped.
    """
    found = np.empty(len(first))
    shown = _windows(first.shape[1])
    for start in range(0, len(first), 1024):
        part = slice(start, start + 1024)
        one, two = (
            side[part].reshape(-1, len(shown)).astype(np.float32) for side in (first, second)
        )
        best = np.maximum(_likeness(one, two, shown), _likeness(two, one, shown))
        found[part] = np.clip(1 - best.astype(np.float64), 0.0, 2.0)
    return found


def _likeness(one: Pixels, other: Pixels, shown: Pixels) -> Pixels:
    """Return the best correlation of any window of `one` with all of `other`, row by row."""
    seen = (one @ shown).reshape(len(one), -1, one.shape[1])
    against = other - other.mean(axis=1, keepdims=True)
    both = np.matmul(seen, against[:, :, None])[..., 0]
    norms = np.sqrt(np.square(seen).sum(axis=2)) * np.linalg.norm(against, axis=1)[:, None]
    return np.asarray((both / np.maximum(norms, 1e-6)).max(axis=1))


def _normed(thumbs: Floats) -> Floats:
    flat = thumbs.reshape(len(thumbs), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))


@lru_cache
def _windows(size: int) -> Pixels:
    """Return what makes of a thumbnail all windows of it, each less its mean, side by side."""
    middle = np.eye(size * size) - 1 / size**2
    found = []
    for crop in _CROPS:
        corners = (0.0, 0.5, 1.0) if crop else (0.0,)
        for top in corners:
            for left in corners:
                down, across = (_shown(size, crop, corner) for corner in (top, left))
                found.append((middle @ np.kron(down, across)).T)
    return np.asarray(np.concatenate(found, axis=1), dtype=np.float32)


def _shown(size: int, crop: float, corner: float) -> Floats:
    """Return linear interpolation (size, size) of what is left when a share is cropped."""
    at = corner * crop * size + (np.arange(size) + 0.5) * (1 - crop) - 0.5
    at = np.clip(at, 0, size - 1)
    below = np.minimum(np.floor(at).astype(int), size - 2)
    weights = np.zeros((size, size))
    weights[np.arange(size), below] = 1 - (at - below)
    weights[np.arange(size), below + 1] = at - below
    return weights


def nearest_apart(query: NDArray[np.uint8], reference: NDArray[np.uint8], own: Ints) -> Floats:
    """Return how far each thumbnail's nearest one in `reference` is, by comparing all with all.

    `own` is the place in `reference` that is the query itself, or -1.
    """
    scores = _normed(query.astype(np.float64)) @ _normed(reference.astype(np.float64)).T
    rows = np.flatnonzero(own >= 0)
    scores[rows, own[rows]] = -2.0
    most = min(BEST, scores.shape[1])
    top = np.argpartition(-scores, most - 1, axis=1)[:, :most]
    every = [apart(reference[top[:, rank]], query) for rank in range(most)]
    return np.asarray(np.min(every, axis=0))


def threshold(nearest: Floats, compared: int, rows: int) -> float:
    """Return the distance within which different images of such a set hardly ever lie.

    `nearest` are the distances of some images to their nearest among `compared` others; `rows` is
    how many there are in all. Nearest distances follow a Weibull law (their minimum is that of many
    distances); it is fitted between the 5 % and the 40 % point, so that some copies among them do
    no harm, and read where `FALSE_SHARE` of the images would have a neighbour.
    """
    points = np.quantile(nearest, (0.05, 0.40))
    if not 0 < points[0] < points[1]:
        return 0.0
    low, high = (float(np.log(-np.log1p(-share))) for share in (0.05, 0.40))
    slope = (high - low) / float(np.log(points[1] / points[0]))
    # With more images all come nearer.
    more = float(np.log(max(rows, compared) / compared))
    wanted = float(np.log(-np.log1p(-FALSE_SHARE))) - more
    return float(min(points[0] * np.exp((wanted - low) / slope), FARTHEST))
