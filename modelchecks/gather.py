"""A plan becomes evidence: from the store where it is there, else by one pass over each split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from modelchecks.check import ProbeRequest
from modelchecks.collect import OutOfMemoryError
from modelchecks.errors import EvidenceError, UnexpectedError
from modelchecks.evidence import Evidence, join_all
from modelchecks.facets import variant_of
from modelchecks.identity import (
    Job,
    Pace,
    describe,
    digest,
    pace_key,
    split_declaration,
    variant_declaration,
)
from modelchecks.plan import Plan, SplitPlan
from modelchecks.probing import Asking, find_probe, probe_key, still_declared
from modelchecks.scan import Scan, measure_pace
from modelchecks.store import Store
from modelchecks.suite import Suite, Variant

Progress = Callable[[str, int, int], None]
"""Called with (split, rows done, rows in all) while a pass is under way."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a run may look at; an EvidenceError stands where evidence could not be had.

    `keys` maps each split to its facets' keys in the store; `probe_keys` likewise. `store` is where
    cases judged on it are remembered, None where all is to be judged anew.
    """

    splits: Mapping[str, Evidence | EvidenceError] = field(default_factory=dict)
    probes: Mapping[ProbeRequest, Mapping[str, Any] | EvidenceError] = field(default_factory=dict)
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    probe_keys: Mapping[ProbeRequest, str] = field(default_factory=dict)
    store: Store | None = None


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
    suite = plan.suite
    splits: dict[str, Evidence | EvidenceError] = {}
    probes: dict[ProbeRequest, Mapping[str, Any] | EvidenceError] = {}
    keys: dict[str, Mapping[str, str]] = {}
    probe_keys: dict[ProbeRequest, str] = {}

    def job_of(wanted: SplitPlan) -> tuple[Job, dict[str, str]]:
        return describe(suite, wanted, _paces(suite, wanted.split, store, collecting))

    for wanted in plan.splits:
        name = wanted.split
        try:
            if collecting:
                splits[name], keys[name] = _gathered(wanted, job_of, store, fresh, progress)
            else:
                job, failures = job_of(wanted)
                keys[name] = job.keys
                splits[name] = _stored(store, wanted, job.keys, failures)
        except EvidenceError as error:
            splits[name] = error
        except (Exception, SystemExit) as error:
            splits[name] = _unexpected(f"split {name!r}", error)
    _of_one_model(splits)
    asking = Asking(suite, store, splits, keys, job_of, fresh)
    for request in plan.probes:
        try:
            for name in (request.split, *request.others):
                if not isinstance(evidence := splits.get(name), Evidence):
                    raise evidence or EvidenceError(f"no evidence for split {name!r}")
            probe = find_probe(request.probe, suite)
            key = probe_keys[request] = probe_key(request, probe, suite, keys)
            if collecting:
                probes[request] = asking.ask(request, probe, key)
            else:
                probes[request] = _stored_outcome(store, request, key)
        except EvidenceError as error:
            probes[request] = error
        except (Exception, SystemExit) as error:
            what = f"probe {request.probe!r} on split {request.split!r}"
            probes[request] = _unexpected(what, error)
    return Gathered(splits, probes, keys, probe_keys, None if fresh else store)


def _unexpected(what: str, error: BaseException) -> UnexpectedError:
    wrapped = UnexpectedError(f"{what}: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


def _gathered(
    wanted: SplitPlan,
    job_of: Callable[[SplitPlan], tuple[Job, dict[str, str]]],
    store: Store,
    fresh: bool,
    progress: Progress,
) -> tuple[Evidence, Mapping[str, str]]:
    """Return a split's evidence and keys, by one pass for all that the store lacks."""
    while True:
        job, failures = job_of(wanted)
        scan = Scan(job, store, fresh, progress)
        try:
            facets = scan.run()
        except OutOfMemoryError as error:
            _halve(job, error, store)
            continue
        if scan.collected:
            # What was read is what was identified before, or it is evidence of something else.
            now, _ = job_of(wanted)
            changed = [facet for facet, key in job.keys.items() if now.keys.get(facet) != key]
            for facet in changed:
                store.discard(job.keys[facet])
                facets.pop(facet, None)
            told = "changed while it was read; run the gate again when nothing writes to it"
            if any(variant_of(facet) is None for facet in changed):
                raise EvidenceError(f"split {wanted.split!r} {told}")
            failures |= {name: f"variant {name!r} {told}" for name in _names(changed)}
        found = join_all(facets.values())
        return replace(found, failures={**scan.failures, **failures}), job.keys


def _names(facets: Iterable[str]) -> set[str]:
    return {name for facet in facets if (name := variant_of(facet)) is not None}


def _halve(job: Job, error: OutOfMemoryError, store: Store) -> None:
    """Remember half the batch size for a model; its answers get a key of their own by that."""
    pace = job.paces[error.variant]
    if pace.batch_size == 1:
        raise EvidenceError(
            f"variant {error.variant!r} does not fit into memory, not even one image at a time: "
            f"{error}"
        ) from error
    smaller = replace(pace, batch_size=pace.batch_size // 2)
    store.say(
        f"variant {error.variant!r}: out of memory with {pace.batch_size} images at once; going on "
        f"with {smaller.batch_size}"
    )
    variant = next(v for v in job.variants if v.name == error.variant)
    key = pace_key(job.suite, variant, job.weights[variant.name])
    store.save_pace(key, asdict(smaller))


def _paces(
    suite: Suite, split: str, store: Store, collecting: bool
) -> Callable[[Variant, str | None], Pace]:
    """Return what tells a variant's pace: remembered, as the suite says, or measured now."""
    declared, compute = suite.split(split), suite.compute

    def pace_of(variant: Variant, weights: str | None) -> Pace:
        key = pace_key(suite, variant, weights)
        if (known := store.pace(key)) is not None:
            return Pace(**known)
        if compute.batch_size is not None and compute.precision == "float32":
            return Pace(compute.batch_size)
        if not collecting:
            raise EvidenceError(
                f"the evidence store holds nothing of variant {variant.name!r} as it is now; run "
                "`modelchecks gate` once to gather it"
            )
        return measure_pace(suite, declared, variant, key, store)

    return pace_of


def _of_one_model(splits: dict[str, Evidence | EvidenceError]) -> None:
    """See that each variant had the same weights on every split; else it has no answers at all."""
    seen: dict[str, set[str]] = {}
    whole = {name: found for name, found in splits.items() if isinstance(found, Evidence)}
    for found in whole.values():
        for variant, identity in found.meta.get("variants", {}).items():
            # The pace may change on the way, where a batch does not fit.
            told = {name: value for name, value in identity.items() if name != "pace"}
            seen.setdefault(variant, set()).add(digest(told))
    torn = {
        variant: f"variant {variant!r} changed between two splits; run the gate again when nothing "
        "writes to it"
        for variant, identities in seen.items()
        if len(identities) > 1
    }
    for name, found in whole.items():
        splits[name] = replace(found, failures={**found.failures, **torn}) if torn else found


def _stored(
    store: Store, wanted: SplitPlan, keys: Mapping[str, str], failures: Mapping[str, str]
) -> Evidence:
    """Return the evidence stored under the keys; variants that are not there are in `failures`."""
    found, absent = [], dict(failures)
    for facet in wanted.facets:
        evidence = store.whole(keys[facet]) if facet in keys else None
        variant = variant_of(facet)
        if evidence is not None:
            found.append(evidence)
        elif variant is None:
            raise EvidenceError(
                f"the evidence store {store.folder} holds no {facet!r} of split {wanted.split!r} "
                "as the suite asks it now; run `modelchecks gate` once to gather it"
            )
        else:
            absent.setdefault(
                variant,
                f"the evidence store {store.folder} holds no answers of variant {variant!r} on "
                f"split {wanted.split!r} as the suite asks it now; run `modelchecks gate` once",
            )
    return replace(join_all(found), failures=absent)


def _stored_outcome(store: Store, request: ProbeRequest, key: str | None) -> Mapping[str, Any]:
    outcome = None if key is None else store.outcome(key)
    if outcome is None:
        raise EvidenceError(
            f"the evidence store holds no outcome of probe {request.probe!r} "
            f"({', '.join(request.files)}) on split {request.split!r}; run `modelchecks gate` once"
        )
    return outcome


def from_keys(
    plan: Plan,
    store: Store,
    keys: Mapping[str, Mapping[str, str]],
    probe_keys: Mapping[ProbeRequest, str],
) -> Gathered:
    """Return the evidence that an earlier run stored under `keys`, to be judged again.

    What the plan needs and that evidence does not hold is an EvidenceError in its place.
    """
    splits: dict[str, Evidence | EvidenceError] = {}
    for wanted in plan.splits:
        try:
            evidence = _stored(store, wanted, keys.get(wanted.split, {}), {})
            splits[wanted.split] = _as_declared(plan.suite, wanted, evidence)
        except EvidenceError as error:
            splits[wanted.split] = error
    probes: dict[ProbeRequest, Mapping[str, Any] | EvidenceError] = {}
    for request in plan.probes:
        try:
            outcome = _stored_outcome(store, request, probe_keys.get(request))
            probes[request] = still_declared(request, outcome, plan.suite)
        except EvidenceError as error:
            probes[request] = error
    return Gathered(splits, probes, keys, probe_keys, store)


def _as_declared(suite: Suite, wanted: SplitPlan, evidence: Evidence) -> Evidence:
    """Return the evidence if the suite still declares what it is of."""
    if evidence.meta["declaration"] != split_declaration(suite.split(wanted.split)):
        raise EvidenceError(
            f"split {wanted.split!r} is declared otherwise than when this evidence was gathered; "
            "run `modelchecks gate`"
        )
    if list(suite.classes) != evidence.meta["classes"]:
        raise EvidenceError("`classes:` changed since this evidence was gathered; run the gate")
    gathered = evidence.meta.get("variants", {})
    stale = {
        variant.name: f"variant {variant.name!r} is declared otherwise than when this evidence was "
        "gathered; run `modelchecks gate`"
        for variant in wanted.variants
        if variant.name in gathered
        and gathered[variant.name]["declaration"] != variant_declaration(variant)
    }
    return replace(evidence, failures={**evidence.failures, **stale})
