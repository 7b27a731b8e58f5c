"""What the one pass over a split saw: exact totals over all rows, and a bounded sample of rows.

Both merge associatively and commutatively, so the evidence of a split does not depend on how the
split was cut into shards or on the order in which the shards were finished.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
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
FEATURE = "feature:"
"""The prefix of the kinds and columns that hold an image feature."""


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
    """At most `limit` rows as columns of equal length: those with the smallest priorities.

    The priority is a seeded hash of the row's id, so the sample is the same whatever the
    sharding, and the same for all variants. `index` is the row's position in its split.
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

    def bounded(self) -> Rows:
        """Return the sample in its canonical order, without repeats, cut to the limit."""
        if not len(self):
            return self
        order = np.lexsort((self.columns["index"], self.columns["priority"]))
        index = self.columns["index"][order]
        # Equal index means the same row of the split, whatever its id says.
        first = np.concatenate([[True], index[1:] != index[:-1]])
        keep = order[first][: self.limit]
        return Rows({name: column[keep] for name, column in self.columns.items()}, self.limit)


def priorities(ids: Iterable[str], seed: int) -> NDArray[np.uint64]:
    """Return the sampling priority of each row id: a 64-bit hash seeded by `seed`."""
    start = hashlib.blake2b(f"modelchecks:{seed}:".encode(), digest_size=8)
    values = []
    for row_id in ids:
        digest = start.copy()
        digest.update(row_id.encode("utf-8", "surrogatepass"))
        values.append(int.from_bytes(digest.digest(), "big"))
    return np.array(values, dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one split; the accessors raise EvidenceError where there is a gap.

    `failures` maps a variant to the reason why it could not answer here; `meta` describes the
    split and variants (digests) that the evidence belongs to.
    """

    split: str
    totals: Totals
    rows: Rows
    failures: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def merge(self, other: Evidence) -> Evidence:
        """Return the evidence of both sets of rows taken together."""
        if self.split != other.split:
            raise EvidenceError(f"cannot merge evidence of {self.split!r} and {other.split!r}")
        failures = {
            name: min(told[name] for told in (self.failures, other.failures) if name in told)
            for name in sorted({*self.failures, *other.failures})
        }
        # A variant that failed in one shard has no columns there, so it keeps none anywhere.
        gone = {f"{kind}:{name}" for name in failures for kind in ("predicted", "confidence")}
        rows = self.rows.without(gone).merge(other.rows.without(gone))
        totals = self.totals.merge(other.totals)
        return Evidence(self.split, totals, rows, failures, self.meta or other.meta)

    @property
    def total(self) -> int:
        """The number of rows of the split, readable or not."""
        return self.totals.counts.get(("rows",), 0)

    @property
    def labelled(self) -> int:
        """The number of rows that carry a label."""
        return sum(self._table("label").values())

    def _table(self, *prefix: str) -> dict[int, int]:
        depth = len(prefix)
        return {
            int(key[depth]): count
            for key, count in self.totals.counts.items()
            if key[:depth] == prefix and len(key) == depth + 1
        }

    def _readable(self) -> None:
        unreadable = self.totals.counts.get(("unreadable",), 0)
        if unreadable:
            examples = "; ".join(self.totals.examples.get(("unreadable",), ())[:3])
            raise EvidenceError(
                f"split {self.split!r}: {unreadable} of {self.total} images cannot be read: "
                f"{examples}. Repair or remove these rows"
            )
        if not self.total:
            raise EvidenceError(f"split {self.split!r} has no rows")

    def label_counts(self) -> dict[int, int]:
        """Return the number of rows per class id, over all labelled rows."""
        counts = self._table("label")
        if not counts:
            raise EvidenceError(
                f"split {self.split!r} has no labelled row. Add labels, or name the column that "
                "holds them with `label:`"
            )
        return counts

    def _answered(self, variant: str) -> None:
        if variant in self.failures:
            raise EvidenceError(self.failures[variant])
        self._readable()
        if ("answered", variant) not in self.totals.counts:
            raise EvidenceError(
                f"variant {variant!r} has no predictions on split {self.split!r} in this evidence"
            )
        missing = self.totals.counts.get(("nonfinite", variant), 0)
        if missing:
            examples = ", ".join(self.totals.examples.get(("nonfinite", variant), ())[:3])
            raise EvidenceError(
                f"variant {variant!r} on split {self.split!r}: {missing} of {self.total} answers "
                f"are NaN, infinite or missing (rows {examples})"
            )
        answered = self.totals.counts["answered", variant]
        if answered != self.total:
            raise EvidenceError(
                f"variant {variant!r} answered {answered} of {self.total} rows of {self.split!r}"
            )

    def predicted_counts(self, variant: str) -> dict[int, int]:
        """Return the number of rows per predicted class id, over all rows."""
        self._answered(variant)
        return self._table("predicted", variant)

    def confusion(self, variant: str) -> dict[tuple[int, int], int]:
        """Return (label, predicted) -> number of rows, over all labelled rows."""
        self._answered(variant)
        labelled = sum(self.label_counts().values())
        table = {
            (int(key[2]), int(key[3])): count
            for key, count in self.totals.counts.items()
            if key[:2] == ("confusion", variant)
        }
        if sum(table.values()) != labelled:
            raise EvidenceError(
                f"variant {variant!r} on split {self.split!r}: {sum(table.values())} judged rows "
                f"but {labelled} labels; the evidence is damaged"
            )
        outputs = self.totals.highs.get(("outputs", variant))
        if outputs != self.totals.lows.get(("outputs", variant)):
            raise EvidenceError(
                f"variant {variant!r} on split {self.split!r} has a different number of outputs "
                "in different rows"
            )
        strange = sorted({label for label, _ in table if outputs and label >= outputs})
        if strange:
            raise EvidenceError(
                f"split {self.split!r} has labels {strange} but variant {variant!r} has "
                f"{int(outputs or 0)} outputs (0 to {int(outputs or 0) - 1}): the label ids and "
                "the model's classes are not the same list"
            )
        return table

    def correct(self, variant: str) -> tuple[int, int]:
        """Return (correct answers, labelled rows) of a variant, over all rows."""
        table = self.confusion(variant)
        right = sum(count for (label, predicted), count in table.items() if label == predicted)
        return right, sum(table.values())

    def sample(self, column: str) -> Column:
        """Return one column of the sampled rows."""
        if column.startswith(("feature:", "image:")):
            self._readable()
        if column not in self.rows.columns:
            have = ", ".join(sorted(self.rows.columns))
            raise EvidenceError(
                f"split {self.split!r} has no column {column!r} in its evidence; it has {have}"
            )
        return self.rows.columns[column]


def merge_all(parts: Sequence[Evidence]) -> Evidence:
    """Return the evidence of all shards of a split, merged in the order given."""
    if not parts:
        raise EvidenceError("no shard was gathered")
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    return merged
