"""One facet of one shard in the making."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.evidence import Evidence
from modelchecks.facets import keeps_every_row
from modelchecks.identity import Job
from modelchecks.sources import Batch
from modelchecks.totals import EXAMPLES, Key, Rows, Totals

Table = dict[str, NDArray[Any]]


@dataclass(slots=True)
class Tally:
    """One facet in the making: totals over all rows, and the columns of the rows kept."""

    counts: Counter[Key] = field(default_factory=Counter)
    lows: dict[Key, float] = field(default_factory=dict)
    highs: dict[Key, float] = field(default_factory=dict)
    examples: defaultdict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    tables: list[Table] = field(default_factory=list)

    def span(self, key: Key, values: NDArray[Any]) -> None:
        """Widen the range seen under `key` to the finite values."""
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if finite.size:
            self.lows[key] = min(self.lows.get(key, np.inf), float(finite.min()))
            self.highs[key] = max(self.highs.get(key, -np.inf), float(finite.max()))

    def example(self, key: Key, texts: Sequence[str]) -> None:
        """Keep the smallest few texts as examples, each once."""
        self.examples[key] = sorted({*self.examples[key], *texts})[:EXAMPLES]

    def per_class(self, key: Key, values: NDArray[np.int64]) -> None:
        """Count the values, each under `key` and itself."""
        for value, count in zip(*np.unique(values, return_counts=True), strict=True):
            self.counts[*key, int(value)] += int(count)

    def evidence(self, job: Job, facet: str) -> Evidence:
        """Return what was counted and kept as the evidence of a facet."""
        # A column that some rows could not be given (by a source of somebody else's) is none.
        first = self.tables[0] if self.tables else {}
        names = [name for name in first if all(name in table for table in self.tables)]
        columns = {name: np.concatenate([table[name] for table in self.tables]) for name in names}
        totals = Totals(
            dict(self.counts),
            self.lows,
            self.highs,
            {key: tuple(texts) for key, texts in self.examples.items()},
        )
        if keeps_every_row(facet):
            rows = Rows(columns, max(len(columns.get("index", ())), 1))
        else:
            rows = Rows(columns, job.suite.compute.max_rows).bounded()
        return Evidence(job.split.name, totals, rows, {}, job.metas[facet])


@dataclass(frozen=True, slots=True)
class Seen:
    """One batch on its way: its labels, the places of its rows, and which of them are kept."""

    batch: Batch
    labels: NDArray[np.int64]
    index: NDArray[np.int64]
    kept: NDArray[np.bool_]
    base: Table

    def keep(self, columns: Mapping[str, NDArray[Any]]) -> Table:
        """Return the columns of the rows that are kept, with what identifies these."""
        kept = {name: column[self.kept] for name, column in columns.items()}
        return {**self.base, **kept}

    def lines(self, facet: str, columns: Mapping[str, NDArray[Any]]) -> Table:
        """Return the columns of the rows that a facet keeps: all, or those of the sample."""
        return {"index": self.index, **columns} if keeps_every_row(facet) else self.keep(columns)
