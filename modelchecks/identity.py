"""What the evidence of a split depends on; its digest is the key under which evidence is stored."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modelchecks import registry
from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.facets import FEATURE, keeps_every_row, variant_of
from modelchecks.plan import SplitPlan
from modelchecks.sources import Source
from modelchecks.suite import Split, Suite, Variant

CODE = (
    "change.py",
    "evidence.py",
    "identity.py",
    "totals.py",
    "facets.py",
    "tally.py",
    "pixels.py",
    "fingerprints.py",
    "neighbours.py",
    "inputs.py",
    "expecting.py",
    "diagnosis.py",
    "probing.py",
    "collect.py",
    "logged.py",
    "features.py",
    "inference.py",
    "penultimate.py",
    "weights.py",
    "scan.py",
    "store.py",
    "thumbnail.py",
    # What a search decides by while it looks, and what makes answers probabilities.
    "stats/difference.py",
    "stats/estimate.py",
    "stats/interval.py",
    "stats/paired.py",
    "stats/temperature.py",
)
"""The files that evidence depends on, beside all of `sources` and `probes`."""
REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""How a suite names somebody's code: `module:attribute`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a model is asked: how many images at once, in which memory format and precision.

    All three change its answers, by bits or more, so all are part of the key of what it answered.
    """

    batch_size: int
    channels_last: bool = False
    bfloat16: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One pass over one split: its facets, each with its key, and what that key stands for.

    `base` identifies what all facets depend on: which rows, how they are cut and sampled.
    """

    suite: Suite
    split: Split
    variants: tuple[Variant, ...]
    base: str
    metas: Mapping[str, Mapping[str, Any]]
    keys: Mapping[str, str]
    paces: Mapping[str, Pace]
    weights: Mapping[str, str | None]


def describe(
    suite: Suite, plan: SplitPlan, pace_of: Callable[[Variant, str | None], Pace]
) -> tuple[Job, dict[str, str]]:
    """Return the job of a split, and the reasons why some of its variants cannot take part.

    Each of `Job.metas` holds everything that a facet depends on, so its digest is the facet's key.
    Raises EvidenceError where the split itself cannot be had. Imports neither model nor torch.
    """
    split = suite.split(plan.split)
    try:
        fingerprint = open_source(suite, split).fingerprint(suite.folder)
    except (OSError, ValueError, registry.UnknownNameError) as error:
        raise EvidenceError(f"split {split.name!r}: {error}") from error
    compute = suite.compute
    base = {
        "split": split.name,
        "declaration": split_declaration(split),
        "fingerprint": fingerprint,
        "source": _own_code(split.source, suite.folder),
        "classes": list(suite.classes),
        "rows": {
            "slices": list(split.slices),
            "weights": split.weights,
            "group": split.group,
            "seed": compute.seed,
            "max_rows": compute.max_rows,
            "shard_rows": compute.shard_rows,
        },
        "code": code_version(),
    }
    failures: dict[str, str] = {}
    identities: dict[str, dict[str, Any]] = {}
    paces: dict[str, Pace] = {}
    for variant in plan.variants:
        try:
            identity = variant_identity(suite, variant)
            if variant.logged is None:
                paces[variant.name] = pace_of(variant, identity["weights_sha256"])
                identity["pace"] = asdict(paces[variant.name])
                identity["compute"] = [compute.device, compute.threads, installed("torch")]
            identities[variant.name] = identity
        except EvidenceError as error:
            failures[variant.name] = str(error)
    metas: dict[str, dict[str, Any]] = {}
    for facet in plan.facets:
        name = variant_of(facet)
        if name is None:
            feature = "" if keeps_every_row(facet) else facet.removeprefix(FEATURE)
            metas[facet] = {**base, "facet": facet, "feature": _own_code(feature, suite.folder)}
        elif name in identities:
            metas[facet] = {**base, "facet": facet, "variants": {name: identities[name]}}
    keys = {facet: digest(meta) for facet, meta in metas.items()}
    healthy = tuple(variant for variant in plan.variants if variant.name in identities)
    weights = {name: identity["weights_sha256"] for name, identity in identities.items()}
    return Job(suite, split, healthy, digest(base), metas, keys, paces, weights), failures


PACING = "pacing.py"
"""What looks for a pace; evidence knows what it found, and only the pace itself how."""


def pace_key(suite: Suite, variant: Variant, weights: str | None) -> str:
    """Return the key under which the measured pace of a model is remembered on this machine.

    Variants of one architecture share a pace, but for bfloat16: how far its logits are from those
    of float32 is a matter of the `weights`, given as their sha256.
    """
    code = [
        [reference, registry.code_digest(reference, suite.folder)]
        for reference in (variant.model, variant.transform)
        if reference is not None
    ]
    compute = suite.compute
    asked = [compute.batch_size, compute.device, compute.threads, compute.precision]
    own = weights if compute.precision == "bfloat16" else None
    search = hashlib.sha256((Path(__file__).parent / PACING).read_bytes()).hexdigest()
    ours = [installed("torch"), code_version(), search]
    return digest([code, asked, own, os.cpu_count(), *ours])


def open_source(suite: Suite, split: Split) -> Source:
    """Return the source that a split declares."""
    source: Source = registry.find("sources", split.source, suite.folder)(**split.options)
    return source


def split_declaration(split: Split) -> str:
    """Return a digest of how a split is declared, for judging stored evidence again."""
    drawn = [split.weights, split.group]
    return digest([split.source, dict(split.options), list(split.slices), drawn])


def variant_identity(suite: Suite, variant: Variant) -> dict[str, Any]:
    """Return what a variant's answers depend on: digests of weights and code.

    Raises EvidenceError that names the file where it cannot be read.
    """
    identity: dict[str, Any] = {
        "declaration": variant_declaration(variant),
        "model": variant.model,
        "logged": variant.logged,
        "weights_sha256": None,
    }
    if variant.weights is not None:
        path = suite.folder / variant.weights
        try:
            if path.exists() and not path.is_file():
                raise OSError("not a file")
            with path.open("rb") as stream:
                identity["weights_sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise EvidenceError(
                f"variant {variant.name!r}: weights {path} cannot be read "
                f"({error.strerror or error}). Train or copy them there, or correct `weights:`"
            ) from error
    for key, reference in (("code", variant.model), ("transform", variant.transform)):
        if reference is not None:
            identity[key] = registry.code_digest(reference, suite.folder)
    return identity


def variant_declaration(variant: Variant) -> str:
    """Return a digest of how a variant is declared, for judging stored evidence again."""
    told = (variant.model, variant.weights, variant.transform, variant.embedding, variant.logged)
    return digest([*told, variant.trusted])


def digest(value: Any) -> str:
    """Return the sha256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def probe_identity(
    request: ProbeRequest, packages: Sequence[str], suite: Suite, keys: Sequence[str]
) -> list[Any]:
    """Return what a probe's outcome depends on; `keys` are those of the facets that it reads.

    Raises EvidenceError that names the file where one cannot be read.
    """
    files = []
    for name in request.files:
        path = suite.folder / name
        try:
            files.append(hashlib.sha256(path.read_bytes()).hexdigest())
        except OSError as error:
            raise EvidenceError(
                f"{path} cannot be read ({error.strerror or error}), which probe "
                f"{request.probe!r} needs; write it there or correct the suite"
            ) from error
    asked = None
    if (variant := suite.variant(request.variant)) is not None:
        compute = suite.compute
        asked = [variant_identity(suite, variant), compute.device, compute.threads]
    # What a probe calls, it depends on: its own code, and that of callables in its options.
    texts = [value for _, value in request.options if isinstance(value, str)]
    called = [text for text in texts if REFERENCE.fullmatch(text)]
    own = [_own_code(name, suite.folder) for name in (request.probe, *called)]
    versions = [[package, installed(package)] for package in packages]
    told = [beside(request, suite), _beside_content(request, suite)]
    return [asdict(request), list(keys), files, asked, own, versions, told, code_version()]


def beside(request: ProbeRequest, suite: Suite) -> list[Any]:
    """Return how the suite declares what a probe looks at beside its variant, as JSON values."""
    variant = suite.variant(request.variant)
    if variant is None or request.beside is None:
        return []
    if request.beside == "history":
        return [variant.history]
    if request.beside == "runs":
        return [dict(run) for run in variant.runs]
    found = companion(request, suite)
    return [None if found is None else [found.name, variant_declaration(found)]]


def companion(request: ProbeRequest, suite: Suite) -> Variant | None:
    """Return the variant that a probe's own is put beside, if the suite has one that is a model.

    The champion, or where `other` is asked for and the champion is the probe's own, the first other
    variant.
    """
    others = [v for v in suite.variants if v.name != request.variant and v.model is not None]
    first = [v for v in others if v.name == suite.champion]
    if request.beside == "other":
        first += others
    return first[0] if first else None


def runs_of(variant: Variant) -> tuple[Variant, ...]:
    """Return the variant's further runs, each as a variant of its own that no suite declares."""
    return tuple(
        replace(variant, name=f"{variant.name}.run-{number}", weights=str(run["weights"]), runs=())
        for number, run in enumerate(variant.runs, 1)
    )


def _beside_content(request: ProbeRequest, suite: Suite) -> list[Any]:
    """Return digests of what a probe looks at beside its variant; raises EvidenceError."""
    variant = suite.variant(request.variant)
    if variant is None or request.beside is None:
        return []
    if request.beside == "runs":
        return [variant_identity(suite, run) for run in runs_of(variant)]
    if request.beside == "history":
        return [] if variant.history is None else [_file_digests(suite.folder / variant.history)]
    found = companion(request, suite)
    return [] if found is None else [variant_identity(suite, found)]


def _file_digests(path: Path) -> list[list[str]]:
    """Return the digest of a file, or of all files in a folder (as TensorBoard writes one)."""
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [
            [file.name, hashlib.sha256(file.read_bytes()).hexdigest()]
            for file in files
            if not file.is_dir()
        ]
    except OSError as error:
        raise EvidenceError(
            f"history {path} cannot be read ({error.strerror or error}). Write it there, or "
            "correct `history:`"
        ) from error


@lru_cache
def code_version() -> str:
    """Return a digest of the code that evidence depends on."""
    here = Path(__file__).parent
    code = hashlib.sha256()
    for file in (
        *(here / name for name in CODE),
        *sorted((here / "sources").glob("*.py")),
        *sorted((here / "probes").glob("*.py")),
    ):
        code.update(file.read_bytes())
    return code.hexdigest()[:16]


def installed(package: str) -> str | None:
    """Return the version of an installed package, None where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _own_code(name: str, folder: Path) -> str | None:
    """Return the digest of code that a suite names as `module:attribute`."""
    return registry.code_digest(name, folder) if ":" in name else None
