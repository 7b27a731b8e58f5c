"""Which images of a split are copies of one another, or of another split's, over all rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import fingerprints, neighbours
from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.facets import HASHES
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.pictures import pictures

AT_ONCE = 4_000_000
"""How many rows' hashes are in memory at a time, at most."""
QUERIES = 100_000
EXAMPLES = 6
_COMPARED, _ASKED = 5_000, 400
_FEWEST = 40
_COLUMNS = ("index", "label", "hash:content", "hash:waves", "hash:thumb")

Table = dict[str, NDArray[Any]]


class Twins(AtOnce):
    """Exact copies by digest, near ones by perceptual hash, of a split in itself or another one."""

    kinds: ClassVar[frozenset[str]] = frozenset({HASHES})
    packages: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {of, against, unread, blank, exact, near, conflicts, ..., examples, sampled}."""
        other = context.of(request.others[0]) if request.others else None
        search = Search(context, other)
        search.exact()
        search.near()
        return search.outcome()


@dataclass
class Search:
    """One search: what was found so far, by the place of a row in the split that is asked."""

    context: ProbeContext
    other: ProbeContext | None
    copied: NDArray[np.bool_] = field(init=False)
    nearly: NDArray[np.bool_] = field(init=False)
    facts: dict[str, Any] = field(default_factory=dict)
    found: list[tuple[str, int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = self.context.evidence.total
        self.copied, self.nearly = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)

    @property
    def against(self) -> ProbeContext:
        """The split whose images may be the originals."""
        return self.other or self.context

    def exact(self) -> None:
        """Find equal images, one range of digests after the other, so that memory has a bound."""
        conflicts = readable = blank = there = 0
        parts = -(-max(self.context.evidence.total, self.against.evidence.total) // AT_ONCE)
        for part in range(max(parts, 1)):
            rows = _in_range(self.context, part, parts)
            flat = _flat(rows)
            readable, blank = readable + len(flat), blank + int(flat.sum())
            rows = _only(rows, ~flat)
            if self.other is None:
                theirs = rows
                there = readable
                found = neighbours.copies_within(rows["hash:content"], rows["label"])
            else:
                theirs = _in_range(self.other, part, parts)
                there += len(theirs["index"])
                found = neighbours.copies_between(
                    rows["hash:content"], rows["label"], theirs["hash:content"], theirs["label"]
                )
            who = np.flatnonzero(found.other >= 0)
            self.copied[rows["index"][who]] = True
            conflicts += int(found.conflict.sum())
            at_odds = np.flatnonzero(found.conflict & (found.other >= 0))
            self._tell("conflict", rows["index"], theirs["index"], at_odds, found.other[at_odds])
            self._tell("exact", rows["index"], theirs["index"], who, found.other[who])
        unread = self.context.evidence.total - readable
        if self.other is not None:
            unread += self.other.evidence.total - there
        self.facts |= {"unread": unread, "blank": blank, "conflicts": conflicts}

    def _tell(self, kind: str, mine: Any, theirs: Any, who: Any, where: Any) -> None:
        wanted = EXAMPLES - sum(one[0] == kind for one in self.found)
        for row, twin in zip(who[:wanted].tolist(), where[:wanted].tolist(), strict=True):
            self.found.append((kind, int(mine[row]), int(theirs[twin]), 0.0))

    def near(self) -> None:
        """Find images that are nearly equal, and not equal."""
        limit = self._threshold()
        radius = neighbours.RADII[0]
        for queries in _blocks(self.context, QUERIES):
            asked = _only(queries, ~_flat(queries) & ~self.copied[queries["index"]])
            best: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
            for block in _blocks(self.against, AT_ONCE, thumbs=False):
                pairs = neighbours.look_up(asked["hash:waves"], block["hash:waves"])
                radius = min(radius, pairs.radius)
                where = block["index"][pairs.reference]
                who = pairs.query
                if self.other is None:
                    # The first of two copies is the original.
                    before = where < asked["index"][who]
                    who, where = who[before], where[before]
                best.append((who, where))
            if best:
                who, where = (np.concatenate(side) for side in zip(*best, strict=True))
                self._confirm(asked, who, where, limit)
        self.facts |= {"threshold": limit, "radius": radius}

    def _confirm(self, asked: Table, who: Any, where: Any, limit: float) -> None:
        """Keep the candidates whose aligned thumbnails are within the limit."""
        wanted, inverse = np.unique(where, return_inverse=True)
        originals = _thumbs_of(self.against, wanted)
        distance = np.full(len(who), np.inf)
        real = ~fingerprints.flat(originals[inverse])
        distance[real] = neighbours.apart(
            _square(asked["hash:thumb"])[who[real]], originals[inverse][real]
        )
        near = np.flatnonzero(distance <= limit)
        rows = asked["index"][who[near]]
        self.nearly[rows] = True
        count = EXAMPLES - sum(kind == "near" for kind, *_ in self.found)
        for place in near[np.argsort(distance[near], kind="stable")][:count].tolist():
            row, twin = int(asked["index"][who[place]]), int(where[place])
            self.found.append(("near", row, twin, float(distance[place])))

    def _threshold(self) -> float:
        """Return the distance within which different images of these splits hardly ever lie."""
        mine, theirs = (
            one.evidence.sample("index")[:most]
            for one, most in ((self.context, _ASKED), (self.against, _COMPARED))
        )
        query, reference = _thumbs_of(self.context, mine), _thumbs_of(self.against, theirs)
        shown, there = ~fingerprints.flat(query), ~fingerprints.flat(reference)
        query, reference, theirs = query[shown], reference[there], theirs[there]
        if min(len(query), len(reference)) < _FEWEST:
            # Too few to measure on: only what is equal but for its encoding.
            return neighbours.FALSE_SHARE
        own = np.full(len(query), -1)
        if self.other is None:
            place = {row: at for at, row in enumerate(theirs.tolist())}
            own = np.array([place.get(row, -1) for row in mine[shown].tolist()])
        nearest = neighbours.nearest_apart(query, reference, own)
        return neighbours.threshold(nearest, len(reference), self.against.evidence.total)

    def outcome(self) -> dict[str, Any]:
        """Return what was found, as JSON values, with pictures of some pairs."""
        evidence = self.context.evidence
        labelled = evidence.rows.labelled().columns.get("index", np.empty(0, np.int64))
        either = self.copied | self.nearly
        pairs = self.found
        mine = pictures(self.context, [row for _, row, _, _ in pairs])
        theirs = pictures(self.against, [twin for _, _, twin, _ in pairs])
        return {
            **self.facts,
            "of": evidence.total,
            "against": self.against.evidence.total,
            "exact": int(self.copied.sum()),
            "near": int(self.nearly.sum()),
            "sampled": [int(row) for row in labelled[either[labelled]].tolist()],
            "examples": [
                {
                    "kind": kind,
                    "apart": distance,
                    "row": mine[row].json(),
                    "copy_of": theirs[twin].json(),
                }
                for kind, row, twin, distance in pairs
            ],
        }


def _columns(part: Mapping[str, Any], thumbs: bool = True) -> Table:
    """Return what is needed of one shard's readable rows."""
    there = part["hash:there"] == 1
    names = _COLUMNS if thumbs else _COLUMNS[:-1]
    return {name: part[name][there] for name in names}


def _joined(tables: Sequence[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _only(table: Table, which: NDArray[Any]) -> Table:
    return {name: column[which] for name, column in table.items()}


def _in_range(context: ProbeContext, part: int, parts: int) -> Table:
    """Return all readable rows of a split whose digests lie in one of `parts` equal ranges."""
    tables = []
    for shard in context.every_row(HASHES):
        table = _columns(shard)
        if parts > 1:
            place = (table["hash:content"][:, 0] >> np.uint64(32)) * np.uint64(parts)
            table = _only(table, place >> np.uint64(32) == part)
        # One number instead of 144.
        table["hash:thumb"] = fingerprints.flat(_square(table["hash:thumb"]))
        del table["hash:waves"]
        tables.append(table)
    if not tables:
        raise EvidenceError(f"split {context.evidence.split!r} keeps no hashes")
    return _joined(tables)


def _flat(table: Table) -> NDArray[np.bool_]:
    thumbs = table["hash:thumb"]
    return thumbs if thumbs.ndim == 1 else fingerprints.flat(_square(thumbs))


def _square(thumbs: NDArray[Any]) -> NDArray[np.uint8]:
    return thumbs.reshape(len(thumbs), fingerprints.THUMB, fingerprints.THUMB)


def _blocks(context: ProbeContext, rows: int, *, thumbs: bool = True) -> Iterator[Table]:
    """Yield the readable rows of a split, about so many at a time."""
    tables: list[Table] = []
    for shard in context.every_row(HASHES):
        tables.append(_columns(shard, thumbs))
        if sum(len(table["index"]) for table in tables) >= rows:
            yield _joined(tables)
            tables = []
    if tables:
        yield _joined(tables)


def _thumbs_of(context: ProbeContext, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the thumbnails of some rows, by one reading of all; blank where an image is unread."""
    size = fingerprints.THUMB
    order = np.argsort(wanted, kind="stable")
    ordered = wanted[order]
    found = np.zeros((len(wanted), size, size), dtype=np.uint8)
    for shard in context.every_row(HASHES):
        rows = shard["index"]
        if not len(rows):
            continue
        low, high = np.searchsorted(ordered, [rows[0], rows[-1] + 1])
        found[order[low:high]] = _square(shard["hash:thumb"])[ordered[low:high] - rows[0]]
    return found
