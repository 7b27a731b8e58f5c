"""What the one pass over a split saw: exact totals over all rows, and a bounded sample of rows.

Both merge associatively and commutatively, so the evidence of a split does not depend on how the
split was cut into shards or on the order in which the shards were finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelchecks.errors import EvidenceError
from modelchecks.facets import variant_of
from modelchecks.totals import Column, Rows, Totals

_ANSWERS = ("predicted", "confidence", "logits", "embedding", "inputs")
"""The columns that a variant may have, each completed by its name."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one split; the accessors raise EvidenceError where there is a gap.

    `failures` maps a variant, or one of its facets, to the reason why it is not here; `meta`
    describes the split and variants (digests) that the evidence belongs to.
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
        gone = {f"{kind}:{name}" for name in failures for kind in _ANSWERS}
        rows = self.rows.without(gone).merge(other.rows.without(gone))
        totals = self.totals.merge(other.totals)
        return Evidence(self.split, totals, rows, failures, self.meta or other.meta)

    def join(self, other: Evidence) -> Evidence:
        """Return both facets of the same rows as one."""
        if self.split != other.split:
            raise EvidenceError(f"cannot join evidence of {self.split!r} and {other.split!r}")
        ours, theirs = self.totals, other.totals
        totals = Totals(
            {**ours.counts, **theirs.counts},
            {**ours.lows, **theirs.lows},
            {**ours.highs, **theirs.highs},
            {**ours.examples, **theirs.examples},
        )
        variants = {**self.meta.get("variants", {}), **other.meta.get("variants", {})}
        meta = {**self.meta, **other.meta, "variants": variants}
        failures = {**self.failures, **other.failures}
        return Evidence(self.split, totals, self.rows.join(other.rows), failures, meta)

    def counted(self) -> Evidence:
        """Return the totals alone, without any row."""
        rows = Rows({}, self.rows.limit)
        return Evidence(self.split, self.totals, rows, self.failures, self.meta)

    @property
    def total(self) -> int:
        """The number of rows of the split, readable or not."""
        return self.totals.counts.get(("rows",), 0)

    @property
    def labelled(self) -> int:
        """The number of rows that carry a label."""
        return sum(self._table("label").values())

    @property
    def drawn(self) -> frozenset[str]:
        """What makes the rows count unequally: the columns `weight` and `group`, if there are."""
        return frozenset({"weight", "group"} & set(self.rows.columns))

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
        self.distinct()
        counts = self._table("label")
        if not counts:
            raise EvidenceError(
                f"split {self.split!r} has no labelled row. Add labels, or name the column that "
                "holds them with `label:`"
            )
        return counts

    def distinct(self) -> None:
        """Raise where rows share an id: a row that is counted twice makes intervals too narrow.

        Rows with equal ids have equal priorities, so that the sample holds all of them or none:
        with more than `max_rows` rows a share of repeated ids is seen with near certainty.
        """
        priority = self.rows.columns.get("priority")
        if priority is None or len(priority) < 2:
            return
        # Canonical order is by priority.
        again = np.flatnonzero(priority[1:] == priority[:-1])
        if len(again):
            ids = self.rows.columns.get("id")
            some = "" if ids is None else f", such as {ids[again[0]]!r}"
            raise EvidenceError(
                f"split {self.split!r} has rows with the same id{some} ({len(again):,} repeats "
                f"among {len(priority):,} rows looked at): a row that counts twice makes every "
                "interval too narrow. Remove the repeats, or name another column with `id:` if "
                "these are different rows"
            )

    def _answered(self, variant: str) -> None:
        if variant in self.failures:
            raise EvidenceError(self.failures[variant])
        self._readable()
        self.distinct()
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
        lowest, highest = (
            t.get(("outputs", variant)) for t in (self.totals.lows, self.totals.highs)
        )
        if lowest != highest:
            raise EvidenceError(
                f"variant {variant!r} on split {self.split!r} has a different number of outputs "
                "in different rows"
            )
        classes = self.meta.get("classes") or ()
        if classes and highest and highest != len(classes):
            raise EvidenceError(
                f"variant {variant!r} has {int(highest)} outputs but the suite's `classes:` lists "
                f"{len(classes)}: they are not the same list"
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

    def sample(self, column: str, *, labelled: bool = False) -> Column:
        """Return one column of a random sample of the rows, or of those that have a label.

        At most `compute.max_rows` rows; with fewer it is all of them. The same rows, in the same
        order, for every column and every variant.
        """
        for failed in (column, variant_of(column) or ""):
            if failed in self.failures:
                raise EvidenceError(self.failures[failed])
        if column.startswith(("feature:", "image:")):
            self._readable()
        if column not in self.rows.columns:
            have = ", ".join(sorted(self.rows.columns))
            raise EvidenceError(
                f"split {self.split!r} has no column {column!r} in its evidence; it has {have}"
            )
        # This column alone: a copy of all of them for each would cost more than many checks.
        found = self.rows.columns[column][self.rows.places(labelled=labelled)].view()
        # What one check did to it, the next would judge.
        found.flags.writeable = False
        return found


def merge_all(parts: Iterable[Evidence]) -> Evidence:
    """Return the evidence of all shards of a split, merged in the order given, one at a time."""
    merged: Evidence | None = None
    for part in parts:
        merged = part if merged is None else merged.merge(part)
    if merged is None:
        raise EvidenceError("no shard was gathered")
    return merged


def join_all(facets: Iterable[Evidence]) -> Evidence:
    """Return the facets of one split, each of all its rows, as one evidence."""
    joined: Evidence | None = None
    for facet in facets:
        joined = facet if joined is None else joined.join(facet)
    if joined is None:
        raise EvidenceError("no facet was gathered")
    return joined
