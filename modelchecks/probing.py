"""A probe's request becomes a stored outcome: asked once, shard by shard where it says so."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from contextlib import nullcontext
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


def probe_key(request: ProbeRequest, probe: Probe, suite: Suite, keys: Mapping[str, str]) -> str:
    """Return the key of a probe's outcome; `keys` are those of the facets of its split."""
    read = [keys[facet] for facet in sorted(facets_of(probe.kinds, request.variant))]
    return digest(probe_identity(request, probe.packages, suite, read))


def run_probe(
    request: ProbeRequest,
    probe: Probe,
    key: str,
    evidence: Evidence,
    job_of: Callable[[SplitPlan], tuple[Job, Mapping[str, str]]],
    store: Store,
    suite: Suite,
    fresh: bool,
) -> Outcome:
    """Return the outcome that is stored under `key`, or ask the probe and store it.

    Raises EvidenceError where there is none.
    """
    fresh = fresh or getattr(probe, "momentary", False)
    if not fresh and (known := store.outcome(key)) is not None:
        return known
    split = next(split for split in suite.splits if split.name == request.split)
    context = ProbeContext(
        suite,
        evidence,
        lambda: open_source(suite, split).open(suite.folder),
        lambda of=None: _model(request, of, job_of, suite),
        store.folder / "examples",
    )

    meta = {"split": request.split, "facet": f"probe:{request.probe}"}
    # As in a pass: two that compute wait for each other more than they work.
    turn = f"compute-{platform.node()}" if request.asks_model else None

    def one(shard: Shard | None) -> Outcome:
        name = key if shard is None else f"{key}-{shard.index:06d}"
        with store.lock(f"probe-{name[:48]}"):
            # Another gate may have answered it meanwhile.
            if not fresh and (known := store.outcome(name)) is not None:
                return known
            with store.lock(turn) if turn else nullcontext():
                outcome = dict(probe.run(request, context, shard))
            outcome |= {DECLARED: digest(beside(request, suite))} if request.beside else {}
            store.save_outcome(name, outcome, meta)
            return outcome

    if not probe.by_shard:
        return one(None)
    plan = shards(request.split, evidence.total, suite.compute.shard_rows)
    merged = dict(probe.merge(list(map_shards(one, plan))))
    merged |= {DECLARED: digest(beside(request, suite))} if request.beside else {}
    store.save_outcome(key, merged, meta)
    return merged


def still_declared(request: ProbeRequest, outcome: Outcome, suite: Suite) -> Outcome:
    """Return a stored outcome if the suite still declares what it was asked beside its variant."""
    if request.beside and outcome.get(DECLARED) != digest(beside(request, suite)):
        raise EvidenceError(
            f"variant {request.variant!r} has its {request.beside} declared otherwise than when "
            f"probe {request.probe!r} was asked; run `modelchecks gate`"
        )
    return outcome


def _model(
    request: ProbeRequest,
    of: Variant | None,
    job_of: Callable[[SplitPlan], tuple[Job, Mapping[str, str]]],
    suite: Suite,
) -> Predictor:
    variant = of or next((v for v in suite.variants if v.name == request.variant), None)
    if variant is None:
        raise EvidenceError(f"probe {request.probe!r} asks a model but names no variant")
    facets = tuple(sorted(facets_of({"predictions"}, variant.name)))
    job, failures = job_of(SplitPlan(request.split, facets, (variant,)))
    if variant.name in failures:
        raise EvidenceError(failures[variant.name])
    return predictor(job, variant)
