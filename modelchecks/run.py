"""The straight line: suite → plan → evidence → results → decisions → run record."""

from __future__ import annotations

import hashlib
import inspect
import platform
import subprocess
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from modelchecks import __version__, gate, waivers
from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError, RecordError
from modelchecks.evidence import Evidence
from modelchecks.gather import Gathered, Progress, from_keys, gather
from modelchecks.identity import installed
from modelchecks.judging import judge
from modelchecks.ledger import Looks, take, told
from modelchecks.plan import Case, Plan, make_plan
from modelchecks.report import record
from modelchecks.results import Result, Run
from modelchecks.store import Store, default_folder
from modelchecks.suite import Suite


def run_suite(
    suite: Suite,
    *,
    variants: Sequence[str] | None = None,
    select: Callable[[Case], bool] = lambda case: True,
    store: Store | None = None,
    fresh: bool = False,
    progress: Progress = lambda split, done, total: None,
) -> Run:
    """Return the record of judging a suite: every case answered, every variant decided.

    `variants` names the variants asked for (default: all), `select` the cases (a deselected
    blocking case leaves its variants undecided). Raises SuiteError for an unknown variant; data,
    weights or models that fail do not raise: their cases are `errored`.
    """
    started = now()
    plan = make_plan(suite, variants, select)
    gathered = gather(plan, store or suite_store(suite), fresh=fresh, progress=progress)
    return _concluded(plan, gathered, started)


def _concluded(plan: Plan, gathered: Gathered, started: str) -> Run:
    """Return the record of judging all cases of a plan on what was gathered."""
    looks = take(plan, gathered)
    results = [judge(plan, case, gathered, looks) for case in plan.cases]
    return conclude(plan, gathered, results, started, looks)


def suite_store(suite: Suite, say: Callable[[str], None] = lambda line: None) -> Store:
    """Return the evidence store of a suite."""
    return Store(default_folder(suite.folder), say)


def now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def day(started: str) -> date:
    """Return the day (UTC) of a run, which is what waivers are measured by."""
    return date.fromisoformat(started[:10])


def conclude(
    plan: Plan,
    gathered: Gathered,
    results: Iterable[Result],
    started: str,
    looks: Looks | None = None,
) -> Run:
    """Return the run record: the decisions over all declared cases, and where they come from."""
    suite, judged = plan.suite, gate.waive(results, plan.suite.waivers, day(started))
    splits = _splits(plan, gathered)
    for name, facts in (looks.splits if looks is not None else {}).items():
        splits[name]["ledger"] = dict(facts)
    return Run(
        run_id=uuid.uuid4().hex,
        started=started,
        finished=now(),
        suite={
            "name": suite.name,
            "path": str(suite.path),
            "sha256": suite.sha256,
            "description": suite.description,
            "champion": suite.champion,
            "policy": asdict(suite.policy),
            "text": _text(suite),
            "about": {
                declared.name: inspect.cleandoc(type(declared.check).__doc__ or "")
                for declared in suite.checks
            },
        },
        variants=_variants(plan, gathered),
        splits=splits,
        results=judged,
        decisions=gate.decide(plan.variants, plan.declared, judged),
        provenance=_provenance(suite, gathered),
        notes=notes(plan, judged, splits),
    )


def _text(suite: Suite) -> str | None:
    """Return the suite file as it was read, None where it has been changed or removed since."""
    try:
        data = suite.path.read_bytes()
    except OSError:
        return None
    same = hashlib.sha256(data).hexdigest() == suite.sha256
    return data.decode("utf-8-sig", errors="replace") if same else None


def _variants(plan: Plan, gathered: Gathered) -> dict[str, dict[str, Any]]:
    seen: dict[str, Mapping[str, Any]] = {}
    for evidence in gathered.splits.values():
        if isinstance(evidence, Evidence):
            seen.update(evidence.meta.get("variants", {}))
    return {
        variant.name: {
            "weights_sha256": seen.get(variant.name, {}).get("weights_sha256"),
            "weights": variant.weights,
            "model": variant.model,
            "logged": variant.logged,
            "trusted": variant.trusted,
            "pace": seen.get(variant.name, {}).get("pace"),
        }
        for variant in plan.suite.variants
        if variant.name in plan.variants
    }


def _splits(plan: Plan, gathered: Gathered) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = {}
    for split in plan.suite.splits:
        found = gathered.splits.get(split.name)
        if isinstance(found, Evidence):
            described[split.name] = {
                "rows": found.total,
                "fingerprint": found.meta.get("fingerprint"),
                "labelled": found.labelled,
            }
        elif isinstance(found, EvidenceError):
            described[split.name] = {
                "rows": None,
                "fingerprint": None,
                "labelled": None,
                "error": str(found),
            }
        if split.name in described:
            described[split.name]["sampling"] = split.sampling
            described[split.name]["weights"] = split.weights
            described[split.name]["group"] = split.group
            described[split.name]["assume_random"] = split.assume_random
    return described


def _provenance(suite: Suite, gathered: Gathered) -> dict[str, Any]:
    return {
        "modelchecks": __version__,
        "python": platform.python_version(),
        "torch": installed("torch"),
        "numpy": installed("numpy"),
        "great_expectations": installed("great-expectations"),
        "device": suite.compute.device,
        "seed": suite.compute.seed,
        "git": _git(suite.folder),
        "evidence": {split: dict(keys) for split, keys in sorted(gathered.keys.items())},
        "probes": [{**asdict(request), "key": key} for request, key in gathered.probe_keys.items()],
    }


def _git(folder: Path) -> str | None:
    """Return the commit that the suite is at, `-dirty` when changed, or None outside git."""
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def notes(
    plan: Plan, results: Sequence[Result], splits: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Return what a reader of any report must be told besides the results."""
    lines = [
        f"variant {variant.name!r}: weights were loaded as a trusted pickle, which may run code"
        for variant in plan.suite.variants
        if variant.trusted and variant.name in plan.variants
    ]
    lines += [
        f"split {split.name!r}: rows taken as a random sample because: {split.assume_random}"
        for split in plan.suite.splits
        if split.assume_random is not None
    ]
    lines += [
        f"{result.case} passed with a warning: {result.details['warning']}"
        for result in results
        if result.status == "passed" and "warning" in result.details
    ]
    left_out = len(plan.declared) - len(results)
    if left_out:
        lines.append(f"not a gate run: {left_out} of {len(plan.declared)} cases were not asked")
    lines += waivers.notes(plan.suite.waivers, results)
    if plan.suite.policy.mode == "observe":
        lines.append("mode: observe; verdicts are recorded and block nothing")
    if plan.suite.policy.ledger is None:
        lines.append("no ledger, counted as first look at the live rows")
    lines += [told(name, facts["ledger"]) for name, facts in splits.items() if "ledger" in facts]
    return tuple(lines)


def judge_again(
    suite: Suite,
    source: Path,
    variants: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Run:
    """Return the record of judging a suite on stored evidence alone: nothing is gathered.

    `source` is the run.json of an earlier gate (its evidence is looked up in the suite's store)
    or a folder of stored evidence. What is not there makes its cases `errored`.
    """
    started = now()
    plan = make_plan(suite, variants)
    if source.is_dir():
        gathered = gather(plan, Store(source, say), collecting=False)
    else:
        provenance = record.read(source).provenance
        try:
            keys = {split: dict(facets) for split, facets in dict(provenance["evidence"]).items()}
            probe_keys = {_request(item): str(item["key"]) for item in provenance["probes"]}
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(
                f"{source} does not say which evidence it was judged on ({type(error).__name__}: "
                f"{error}); make it again with `modelchecks gate`"
            ) from error
        gathered = from_keys(plan, suite_store(suite, say), keys, probe_keys)
    return _concluded(plan, gathered, started)


def _request(item: Mapping[str, Any]) -> ProbeRequest:
    options = tuple((name, value) for name, value in item["options"])
    files = tuple(item["files"])
    asks, variant = item["asks_model"], item["variant"]
    # Not in the records of before.
    more = {name: item[name] for name in ("of_champion", "beside") if name in item}
    more["others"] = tuple(item.get("others", ()))
    return ProbeRequest(item["probe"], item["split"], files, options, asks, variant, **more)
