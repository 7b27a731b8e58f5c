"""A plan becomes evidence: from the store where it is there, else by one pass over each split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelchecks import registry
from modelchecks.check import ProbeRequest
from modelchecks.collect import Predictor, collect
from modelchecks.errors import EvidenceError, UnexpectedError
from modelchecks.evidence import Evidence, merge_all
from modelchecks.executors.local import map_shards
from modelchecks.identity import Job, describe, digest, open_source, probe_identity
from modelchecks.plan import Plan, Shard, SplitPlan, shards
from modelchecks.store import Store

Progress = Callable[[str, int, int], None]
"""Called with (split, rows done, rows in all) while a pass is under way."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a run may look at; an EvidenceError stands where evidence could not be had.

    `keys` maps each split to the key of its evidence in the store; `probe_keys` likewise.
    """

    splits: Mapping[str, Evidence | EvidenceError] = field(default_factory=dict)
    probes: Mapping[ProbeRequest, Mapping[str, Any] | EvidenceError] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    probe_keys: Mapping[ProbeRequest, str] = field(default_factory=dict)


def gather(
    plan: Plan,
    store: Store,
    *,
    fresh: bool = False,
    collecting: bool = True,
    progress: Progress = lambda split, done, total: None,
) -> Gathered:
    """Return the evidence that the plan needs; no gap raises, it becomes `errored` cases.

    `fresh` passes by what the store holds and gathers again; with `collecting` false only the
    store is asked, and what it lacks is an EvidenceError.
    """
    splits: dict[str, Evidence | EvidenceError] = {}
    probes: dict[ProbeRequest, Mapping[str, Any] | EvidenceError] = {}
    keys: dict[str, str] = {}
    probe_keys: dict[ProbeRequest, str] = {}
    for split_plan in plan.splits:
        name = split_plan.split
        try:
            job, failures = describe(plan.suite, split_plan)
            keys[name] = digest(job.meta)
            seen = _split(job, keys[name], store, fresh, collecting, progress)
            splits[name] = replace(seen, failures={**seen.failures, **failures})
        except EvidenceError as error:
            splits[name] = error
        except Exception as error:
            splits[name] = _unexpected(f"split {name!r}", error)
    for request in plan.probes:
        evidence = splits.get(request.split)
        try:
            if not isinstance(evidence, Evidence):
                raise evidence or EvidenceError(f"no evidence for split {request.split!r}")
            probe_keys[request] = digest(
                [keys[request.split], probe_identity(request, plan.suite.folder)]
            )
            probes[request] = _probe(
                plan, request, evidence, probe_keys[request], store, fresh, collecting
            )
        except EvidenceError as error:
            probes[request] = error
        except Exception as error:
            what = f"probe {request.probe!r} on split {request.split!r}"
            probes[request] = _unexpected(what, error)
    return Gathered(splits, probes, keys, probe_keys)


def _unexpected(what: str, error: Exception) -> UnexpectedError:
    wrapped = UnexpectedError(f"{what}: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _split(
    job: Job, key: str, store: Store, fresh: bool, collecting: bool, progress: Progress
) -> Evidence:
    """Return a split's evidence: stored shards are opened, the others gathered and stored."""
    count = None if fresh else store.shard_count(key)
    stored = [store.shard(key, index) for index in range(count or 0)]
    whole = [part for part in stored if part is not None]
    if count is not None and len(whole) == count:
        return merge_all(whole)
    if not collecting:
        raise EvidenceError(
            f"the evidence store holds nothing for split {job.split.name!r} as the suite asks it "
            "now; run `modelchecks gate` once to gather it"
        )
    samples = open_source(job.suite, job.split).open(job.suite.folder)
    plan = shards(job.split.name, len(samples), job.suite.compute.shard_rows)
    store.set_shard_count(key, len(plan), job.meta)
    # A shard list of another length is of no use: the rows were cut differently.
    known = dict(enumerate(stored)) if count == len(plan) else {}
    predictors, failures = _predictors(job)
    done = 0

    def count_rows(rows: int) -> None:
        nonlocal done
        done += rows
        progress(job.split.name, done, len(samples))

    def one(shard: Shard) -> Evidence:
        part = known.get(shard.index)
        if part is not None:
            count_rows(shard.stop - shard.start)
            return part
        part = collect(job, shard, samples, predictors, count_rows)
        # What a failing variant left out must be tried again next time.
        if not part.failures and not failures:
            store.save_shard(key, shard.index, part)
        return part

    merged = merge_all(list(map_shards(one, plan)))
    return replace(merged, failures={**merged.failures, **failures})


def _predictors(job: Job) -> tuple[dict[str, Predictor], dict[str, str]]:
    """Return what answers for each variant, and why some cannot; torch only where a model is."""
    predictors: dict[str, Predictor] = {}
    failures: dict[str, str] = {}
    for variant in job.plan.variants:
        try:
            if variant.logged is not None:
                from modelchecks.logged import LoggedAnswers

                predictors[variant.name] = LoggedAnswers(
                    variant.name, variant.logged, job.suite.classes
                )
            else:
                from modelchecks.inference import Model

                predictors[variant.name] = Model(variant, job.suite.folder, job.suite.compute)
        except EvidenceError as error:
            failures[variant.name] = str(error)
    return predictors, failures


def _probe(
    plan: Plan,
    request: ProbeRequest,
    evidence: Evidence,
    key: str,
    store: Store,
    fresh: bool,
    collecting: bool,
) -> Mapping[str, Any]:
    outcome = None if fresh else store.outcome(key)
    if outcome is None:
        if not collecting:
            raise EvidenceError(
                f"the evidence store holds no outcome of probe {request.probe!r} on split "
                f"{request.split!r}; run `modelchecks gate` once"
            )
        run = registry.find("probes", request.probe, plan.suite.folder)
        outcome = dict(run(request, evidence, plan.suite.folder))
        store.save_outcome(key, outcome)
    return outcome


def from_keys(
    plan: Plan, store: Store, keys: Mapping[str, str], probe_keys: Mapping[ProbeRequest, str]
) -> Gathered:
    """Return the evidence that an earlier run stored under `keys`, to be judged again.

    What the plan needs and that evidence does not hold is an EvidenceError in its place.
    """
    splits: dict[str, Evidence | EvidenceError] = {}
    for split_plan in plan.splits:
        try:
            splits[split_plan.split] = _stored(plan, split_plan, store, keys)
        except EvidenceError as error:
            splits[split_plan.split] = error
    probes: dict[ProbeRequest, Mapping[str, Any] | EvidenceError] = {}
    for request in plan.probes:
        outcome = store.outcome(probe_keys[request]) if request in probe_keys else None
        probes[request] = outcome or EvidenceError(
            f"that run holds no outcome of probe {request.probe!r} ({', '.join(request.files)}) "
            f"on split {request.split!r}; run `modelchecks gate`"
        )
    return Gathered(splits, probes, keys, probe_keys)


def _stored(plan: Plan, wanted: SplitPlan, store: Store, keys: Mapping[str, str]) -> Evidence:
    from modelchecks.identity import split_declaration, variant_declaration

    key = keys.get(wanted.split)
    count = store.shard_count(key) if key else None
    parts = [store.shard(str(key), index) for index in range(count or 0)]
    whole = [part for part in parts if part is not None]
    if count is None or len(whole) != count:
        raise EvidenceError(
            f"the evidence of split {wanted.split!r} is not (or no longer) in {store.folder}; run "
            "`modelchecks gate`"
        )
    evidence = merge_all(whole)
    split = next(split for split in plan.suite.splits if split.name == wanted.split)
    if evidence.meta["declaration"] != split_declaration(split):
        raise EvidenceError(
            f"split {wanted.split!r} is declared otherwise than when this evidence was gathered; "
            "run `modelchecks gate`"
        )
    if list(plan.suite.classes) != evidence.meta["classes"]:
        raise EvidenceError("`classes:` changed since this evidence was gathered; run the gate")
    lacking = wanted.kinds - set(evidence.meta["kinds"])
    if lacking:
        raise EvidenceError(
            f"that evidence of split {wanted.split!r} lacks {', '.join(sorted(lacking))}; run "
            "`modelchecks gate`"
        )
    failures = {
        variant.name: f"variant {variant.name!r} is declared otherwise than when this evidence was "
        "gathered, or was not part of it; run `modelchecks gate`"
        for variant in wanted.variants
        if evidence.meta["variants"].get(variant.name, {}).get("declaration")
        != variant_declaration(variant)
    }
    return replace(evidence, failures={**evidence.failures, **failures})
