"""One pass over one split: what the store lacks is collected shard by shard, and shared by gates.

Shards are claimed by a lock: several gates on one store split them among themselves, each is
gathered once, and a killed gate leaves its finished shards to the next.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from modelchecks.collect import Predictor, collect, rows_at_once
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.executors.local import map_shards
from modelchecks.facets import EMBEDDING, INPUTS, LOGITS, keeps_every_row, variant_of
from modelchecks.identity import Job, Pace, open_source
from modelchecks.plan import Shard, shards
from modelchecks.sources import Samples
from modelchecks.store import Store
from modelchecks.suite import Split, Suite, Variant

Parts = dict[str, Evidence]


@dataclass
class Scan:
    """The pass over one split; `failures` says why variants, or facets of them, have no evidence.

    Raises EvidenceError where the split cannot be read, OutOfMemoryError for too large a batch.
    """

    job: Job
    store: Store
    fresh: bool = False
    progress: Callable[[str, int, int], None] = lambda split, done, total: None
    failures: dict[str, str] = field(default_factory=dict)
    finished: Parts = field(default_factory=dict)
    merged: Parts = field(default_factory=dict)
    collected: bool = False
    done: int = 0

    def run(self) -> Parts:
        """Return the evidence of every facet that could be gathered, over all rows."""
        if not self.fresh:
            for facet, key in self.job.keys.items():
                if (whole := self.store.whole(key)) is not None:
                    self.finished[facet] = whole
                else:
                    self.store.drop_damaged(key)
        if len(self.finished) < len(self.job.keys):
            self._gather()
        return {facet: self.finished[facet] for facet in self.job.keys if facet in self.finished}

    def _gather(self) -> None:
        plan = shards(self.job.split.name, len(self.samples), self.job.suite.compute.shard_rows)
        merged = self.merged
        claimed_elsewhere = []
        for shard, parts in zip(plan, map_shards(self._unclaimed, plan), strict=True):
            if parts is None:
                claimed_elsewhere.append(shard)
            else:
                _merge_into(merged, parts)
        # By now these are there, or the gate that claimed them is gone.
        for parts in map_shards(self._claimed, claimed_elsewhere):
            _merge_into(merged, parts)
        for facet, evidence in merged.items():
            if facet in self.finished or self._failed(facet):
                continue
            kept = len(plan) if keeps_every_row(facet) else None
            self.store.save_whole(self.job.keys[facet], evidence, kept)
            self.finished[facet] = evidence

    def _unclaimed(self, shard: Shard) -> Parts | None:
        with self.store.lock(self._lock(shard), wait=False) as held:
            return self._shard(shard) if held else None

    def _claimed(self, shard: Shard) -> Parts:
        with self.store.lock(self._lock(shard)):
            return self._shard(shard)

    def _lock(self, shard: Shard) -> str:
        return f"{self.job.base[:32]}-{shard.index:06d}"

    def _shard(self, shard: Shard) -> Parts:
        """Return what is stored of one shard's facets, and collect and store what is not."""
        parts: Parts = {}
        missing = []
        alone = shard.stop - shard.start == len(self.samples)
        for facet, key in self.job.keys.items():
            if facet in self.finished or self._failed(facet):
                continue
            part = None if self.fresh else self.store.shard(key, shard.index)
            if part is None and not self.fresh and (whole := self.store.whole(key)) is not None:
                # Another gate has finished it since.
                self.finished[facet] = whole
            elif part is None:
                missing.append(facet)
            else:
                parts[facet] = part
        if missing:
            self.collected = True
            found, failures = self._collect(shard, missing)
            self.failures |= failures
            for facet, part in found.items():
                if alone and not keeps_every_row(facet):
                    # The whole at once, as long as no other gate can claim the shard.
                    self.store.save_whole(self.job.keys[facet], part)
                    self.finished[facet] = part
                else:
                    self.store.save_shard(self.job.keys[facet], shard.index, part)
                    parts[facet] = part
        else:
            self._count(shard.stop - shard.start)
        return parts

    def _collect(self, shard: Shard, facets: list[str]) -> tuple[Parts, dict[str, str]]:
        asked = dict.fromkeys(name for facet in facets if (name := variant_of(facet)) is not None)
        predictors = {name: p for name in asked if (p := self._predictor(name)) is not None}
        facets = [facet for facet in facets if not self._failed(facet)]
        # One gate computes at a time on a machine: torch takes all cores, and two that do wait
        # for each other more than they work.
        computing = any(name in self.job.paces for name in predictors)
        turn = self.store.lock(f"compute-{platform.node()}") if computing else nullcontext()
        with turn, _one_blas_thread() if computing else nullcontext():
            return collect(
                self.job,
                shard,
                self.samples,
                predictors,
                facets,
                self._count,
                self._rows_at_once,
                self._ceilings(),
            )

    def _ceilings(self) -> Mapping[bool, np.uint64]:
        """Return above which priority no further row can enter the samples."""
        sampled = [e for facet, e in self.merged.items() if not keeps_every_row(facet)]
        return sampled[0].rows.ceilings() if sampled else {}

    def _failed(self, facet: str) -> bool:
        return facet in self.failures or variant_of(facet) in self.failures

    def _count(self, rows: int) -> None:
        self.done += rows
        self.progress(self.job.split.name, self.done, len(self.samples))

    @cached_property
    def samples(self) -> Samples:
        """The opened split."""
        return open_source(self.job.suite, self.job.split).open(self.job.suite.folder)

    @cached_property
    def _rows_at_once(self) -> int:
        """How many rows are decoded together: fewer where images are large."""
        given = self.job.suite.compute.batch_size
        if given is not None:
            return given
        return rows_at_once(self.samples)

    def _predictor(self, name: str) -> Predictor | None:
        """Return what answers for a variant, loaded once; None, and the reason, where it fails."""
        if name not in self._predictors and name not in self.failures:
            variant = next(v for v in self.job.variants if v.name == name)
            try:
                self._predictors[name] = predictor(self.job, variant)
            except EvidenceError as error:
                self.failures[name] = str(error)
        return self._predictors.get(name)

    @cached_property
    def _predictors(self) -> dict[str, Predictor]:
        return {}


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Keep numpy's and scipy's own threads from waiting for work on the cores that models need.

    OpenBLAS spins for some hundredths of a second after each product: with the features' products
    between the forwards of a small network, these took 1.4 times as long on two cores. What torch
    multiplies with is left alone.
    """
    from threadpoolctl import ThreadpoolController

    loaded = ThreadpoolController()
    files = [
        library["filepath"]
        for library in loaded.info()
        if any(part.startswith(("numpy", "scipy")) for part in Path(library["filepath"]).parts)
    ]
    limits: AbstractContextManager[Any] = loaded.select(filepath=files).limit(limits=1)
    return limits


def _merge_into(merged: Parts, parts: Mapping[str, Evidence]) -> None:
    for facet, part in parts.items():
        if keeps_every_row(facet):
            # Its rows stay on disk.
            part = part.counted()
        merged[facet] = merged[facet].merge(part) if facet in merged else part


def predictor(job: Job, variant: Variant) -> Predictor:
    """Return what answers for a variant; torch is loaded only where that is a model.

    Raises EvidenceError that names the file and the remedy.
    """
    if variant.logged is not None:
        from modelchecks.logged import LoggedAnswers

        return LoggedAnswers(variant.name, variant.logged, job.suite.classes)
    from modelchecks.inference import Model

    kinds = (LOGITS, EMBEDDING, INPUTS)
    wanted = {prefix for prefix in kinds if f"{prefix}{variant.name}" in job.keys}
    pace = job.paces[variant.name]
    sha256 = job.weights.get(variant.name)
    return Model(variant, job.suite.folder, job.suite.compute, pace, frozenset(wanted), sha256)


def measure_pace(suite: Suite, split: Split, variant: Variant, key: str, store: Store) -> Pace:
    """Return how a model is asked fastest here, measured once and remembered under `key`."""
    # One gate measures: with another pace the others would find none of its evidence.
    with store.lock(f"pace-{key[:32]}"):
        if (known := store.pace(key)) is not None:
            return Pace(**known)
        from modelchecks.pacing import fastest

        samples = open_source(suite, split).open(suite.folder)
        pace = fastest(variant, suite.folder, suite.compute, samples)
        store.save_pace(key, asdict(pace))
        return pace
