"""Exact totals over all rows, and a bounded sample of them; both merge in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError

Key = tuple[str | int, ...]
Column = NDArray[Any]

EXAMPLES = 10
"""How many row ids a total keeps as examples."""
UNLABELLED = -1
"""The class id of a row without a label."""
HIGHEST = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Totals:
    """Exact facts over all rows: counts add, lows take the minimum, highs the maximum.

    Keys are tuples such as ("confusion", "baseline", 3, 4). `examples` keeps the smallest few
    row descriptions per key, which is again independent of the order of merging.
    """

    counts: Mapping[Key, int] = field(default_factory=dict)
    lows: Mapping[Key, float] = field(default_factory=dict)
    highs: Mapping[Key, float] = field(default_factory=dict)
    examples: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)

    def merge(self, other: Totals) -> Totals:
        """Return the totals of both sets of rows taken together."""
        counts = dict(self.counts)
        for key, count in other.counts.items():
            counts[key] = counts.get(key, 0) + count
        lows = dict(self.lows)
        for key, low in other.lows.items():
            lows[key] = min(lows.get(key, low), low)
        highs = dict(self.highs)
        for key, high in other.highs.items():
            highs[key] = max(highs.get(key, high), high)
        examples = dict(self.examples)
        for key, texts in other.examples.items():
            joined = {*examples.get(key, ()), *texts}
            examples[key] = tuple(sorted(joined)[:EXAMPLES])
        return Totals(counts, lows, highs, examples)

    def to_json(self) -> dict[str, Any]:
        """Return the totals as JSON values, keys in a fixed order."""

        def pairs(table: Mapping[Key, Any]) -> list[list[Any]]:
            return [[list(key), table[key]] for key in sorted(table, key=repr)]

        return {
            "counts": pairs(self.counts),
            "lows": pairs(self.lows),
            "highs": pairs(self.highs),
            "examples": pairs(self.examples),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Totals:
        """Return the totals that `to_json` wrote."""
        return cls(
            {tuple(key): int(count) for key, count in value["counts"]},
            {tuple(key): float(low) for key, low in value["lows"]},
            {tuple(key): float(high) for key, high in value["highs"]},
            {tuple(key): tuple(texts) for key, texts in value["examples"]},
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as columns of equal length, in the order of their priority.

    At most `limit` rows with a label (the column `labelled`) and at most `limit` without, of each
    those with the smallest priorities. The priority is a seeded hash of the row's id, so the sample
    is the same whatever the sharding, and the same for all variants. Labels are few where rows are
    many: a plain sample of a million rows would hold hardly any of a thousand labelled ones.
    `index` is the row's position in its split.
    """

    columns: Mapping[str, Column]
    limit: int

    def __len__(self) -> int:
        return len(self.columns["index"]) if self.columns else 0

    def merge(self, other: Rows) -> Rows:
        """Return the bottom-k sample of both taken together; a row seen twice counts once."""
        if not len(other):
            return self
        if not len(self):
            return other
        if set(self.columns) != set(other.columns):
            odd = ", ".join(sorted(set(self.columns) ^ set(other.columns)))
            raise EvidenceError(f"shards of one split have different columns: {odd}")
        joined = {
            name: np.concatenate([column, other.columns[name]])
            for name, column in self.columns.items()
        }
        return Rows(joined, min(self.limit, other.limit)).bounded()

    def without(self, names: Set[str]) -> Rows:
        """Return the rows without some columns."""
        if not names:
            return self
        kept = {name: column for name, column in self.columns.items() if name not in names}
        return Rows(kept, self.limit)

    def join(self, other: Rows) -> Rows:
        """Return the columns of both, which are samples of the same rows; a row must not differ."""
        if not self.columns or not other.columns:
            return self if self.columns else other
        if not np.array_equal(self.columns["index"], other.columns["index"]):
            raise EvidenceError("facets of one split hold different rows; the evidence is damaged")
        return Rows({**other.columns, **self.columns}, self.limit)

    def bounded(self) -> Rows:
        """Return the sample in its canonical order, without repeats, cut to the limit."""
        if not len(self):
            return self
        order = np.lexsort((self.columns["index"], self.columns["priority"]))
        index = self.columns["index"][order]
        # Equal index means the same row of the split, whatever its id says.
        order = order[np.concatenate([[True], index[1:] != index[:-1]])]
        labelled = self._labelled()[order]
        kept = np.where(labelled, np.cumsum(labelled), np.cumsum(~labelled)) <= self.limit
        return self._rows(order[kept])

    def uniform(self) -> Rows:
        """Return the rows that are a random sample of all, labelled or not; at most `limit`."""
        return self._rows(self.places())

    def labelled(self) -> Rows:
        """Return the rows that are a random sample of the labelled ones; at most `limit`."""
        return self._rows(self.places(labelled=True))

    def places(self, *, labelled: bool = False) -> NDArray[np.int64]:
        """Return where the rows of `uniform` stand, or those of `labelled`."""
        if labelled:
            return np.flatnonzero(self._labelled())
        return np.arange(min(len(self), self.limit))

    def ceilings(self) -> dict[bool, np.uint64]:
        """Return the priority above which no further row, labelled or not, can enter the sample."""
        labelled = self._labelled()
        found = {}
        for kind in (True, False):
            of_kind = np.flatnonzero(labelled == kind)
            full = len(of_kind) >= self.limit
            found[kind] = self.columns["priority"][of_kind[-1]] if full else HIGHEST
        return found

    def _labelled(self) -> NDArray[np.bool_]:
        return np.asarray(self.columns.get("labelled", np.zeros(len(self), dtype=np.bool_)))

    def _rows(self, positions: NDArray[np.int64]) -> Rows:
        columns = {name: column[positions] for name, column in self.columns.items()}
        return Rows(columns, self.limit)


def priorities(ids: Iterable[str], seed: int) -> NDArray[np.uint64]:
    """Return the sampling priority of each row id: a 64-bit hash seeded by `seed`."""
    start = hashlib.blake2b(f"modelchecks:{seed}:".encode(), digest_size=8)
    values = []
    for row_id in ids:
        digest = start.copy()
        digest.update(row_id.encode("utf-8", "surrogatepass"))
        values.append(int.from_bytes(digest.digest(), "big"))
    return np.array(values, dtype=np.uint64)
