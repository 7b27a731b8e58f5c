"""A probe's request becomes a stored outcome: asked once, shard by shard where it says so."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from modelchecks import registry
from modelchecks.check import ProbeRequest
from modelchecks.collect import Predictor
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.executors.local import map_shards
from modelchecks.facets import facets_of
from modelchecks.identity import Job, beside, digest, open_source, probe_identity
from modelchecks.plan import Shard, SplitPlan, shards
from modelchecks.probes import Probe, ProbeContext
from modelchecks.scan import predictor
from modelchecks.sources import Samples
from modelchecks.store import Store
from modelchecks.suite import Suite, Variant

Outcome = Mapping[str, Any]
DECLARED = "declared"
"""Where an outcome keeps how the suite declared what was looked at beside the variant."""


def find_probe(name: str, suite: Suite) -> Probe:
    """Return the probe of that name; raises UnknownNameError, or EvidenceError if it is none."""
    probe = registry.find("probes", name, suite.folder)()
    if not isinstance(probe, Probe):
        raise EvidenceError(f"{name!r} is no probe: see modelchecks.probes.Probe")
    return probe


def probe_key(
    request: ProbeRequest, probe: Probe, suite: Suite, keys: Mapping[str, Mapping[str, str]]
) -> str:
    """Return the key of a probe's outcome; `keys` are those of the facets of each split."""
    facets = sorted(facets_of(probe.kinds, request.variant))
    splits = (request.split, *request.others)
    read = [keys[split][facet] for split in splits for facet in facets]
    return digest(probe_identity(request, probe.packages, suite, read))


@dataclass(frozen=True, slots=True)
class Asking:
    """What probes are asked with: the evidence of the splits, and how to have more of it."""

    suite: Suite
    store: Store
    splits: Mapping[str, Evidence | EvidenceError]
    keys: Mapping[str, Mapping[str, str]]
    job_of: Callable[[SplitPlan], tuple[Job, Mapping[str, str]]]
    fresh: bool = False

    def ask(self, request: ProbeRequest, probe: Probe, key: str) -> Outcome:
        """Return the outcome that is stored under `key`, or ask the probe and store it.

        Raises EvidenceError where there is none.
        """
        store = self.store
        fresh = self.fresh or getattr(probe, "momentary", False)
        if not fresh and (known := store.outcome(key)) is not None:
            return known
        context = self.context(request, request.split)
        meta = {"split": request.split, "facet": f"probe:{request.probe}"}
        # As in a pass: two that compute wait for each other more than they work.
        turn = f"compute-{platform.node()}" if request.asks_model else None
        suite = self.suite
        declared = {DECLARED: digest(beside(request, suite))} if request.beside else {}

        def one(shard: Shard | None) -> Outcome:
            name = key if shard is None else f"{key}-{shard.index:06d}"
            with store.lock(f"probe-{name[:48]}"):
                # Another gate may have answered it meanwhile.
                if not fresh and (known := store.outcome(name)) is not None:
                    return known
                with store.lock(turn) if turn else nullcontext():
                    outcome = dict(probe.run(request, context, shard))
                outcome |= declared
                store.save_outcome(name, outcome, meta)
                return outcome

        if not probe.by_shard:
            return one(None)
        rows, at_once = context.evidence.total, suite.compute.shard_rows
        plan = shards(request.split, rows, at_once)
        merged = dict(probe.merge(list(map_shards(one, plan)))) | declared
        store.save_outcome(key, merged, meta)
        return merged

    def context(self, request: ProbeRequest, name: str) -> ProbeContext:
        """Return what a probe may use of a split that its request names."""
        evidence = self.splits.get(name)
        if not isinstance(evidence, Evidence):
            raise evidence or EvidenceError(f"no evidence for split {name!r}")
        split = self.suite.split(name)

        def of(other: str) -> ProbeContext:
            if other not in (request.split, *request.others):
                raise EvidenceError(
                    f"probe {request.probe!r} reads split {other!r}, which its request does not "
                    "name in `others`"
                )
            return self.context(request, other)

        def every_row(facet: str, shard: int | None = None) -> Iterator[Mapping[str, Any]]:
            return self.store.every_row(self.keys[name][facet], shard)

        def model(of: Variant | None = None, *, transform: str | None = None) -> Predictor:
            return self._model(request, name, of, transform)

        def samples() -> Samples:
            return open_source(self.suite, split).open(self.suite.folder)

        own_folder = self.store.folder / "examples"
        return ProbeContext(self.suite, evidence, samples, model, every_row, of, own_folder)

    def _model(
        self, request: ProbeRequest, split: str, of: Variant | None, transform: str | None
    ) -> Predictor:
        variant = of or self.suite.variant(request.variant)
        if variant is None:
            raise EvidenceError(f"probe {request.probe!r} asks a model but names no variant")
        facets = tuple(sorted(facets_of({"predictions", "logits"}, variant.name)))
        job, failures = self.job_of(SplitPlan(split, facets, (variant,)))
        if variant.name in failures:
            raise EvidenceError(failures[variant.name])
        asked = variant if transform is None else replace(variant, transform=transform)
        return predictor(job, asked)


def still_declared(request: ProbeRequest, outcome: Outcome, suite: Suite) -> Outcome:
    """Return a stored outcome if the suite still declares what it was asked beside its variant."""
    if request.beside and outcome.get(DECLARED) != digest(beside(request, suite)):
        raise EvidenceError(
            f"variant {request.variant!r} has its {request.beside} declared otherwise than when "
            f"probe {request.probe!r} was asked; run `modelchecks gate`"
        )
    return outcome
