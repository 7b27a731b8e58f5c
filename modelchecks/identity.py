"""What the evidence of a split depends on; its digest is the key under which evidence is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modelchecks import registry
from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.evidence import FEATURE
from modelchecks.plan import SplitPlan
from modelchecks.sources import Source
from modelchecks.suite import Split, Suite, Variant

_PROBE_PACKAGES = {"expectations": ("great-expectations",)}


@dataclass(frozen=True, slots=True)
class Job:
    """One pass over one split: what to gather, for which variants, and what identifies it."""

    suite: Suite
    split: Split
    plan: SplitPlan
    meta: Mapping[str, Any]


def describe(suite: Suite, plan: SplitPlan) -> tuple[Job, dict[str, str]]:
    """Return the job of a split, and the reasons why some of its variants cannot take part.

    `Job.meta` holds everything that the evidence depends on, so its digest is the evidence's key.
    Raises EvidenceError where the split itself cannot be had. Imports neither model nor torch.
    """
    split = next(split for split in suite.splits if split.name == plan.split)
    try:
        fingerprint = open_source(suite, split).fingerprint(suite.folder)
    except (OSError, ValueError, registry.UnknownNameError) as error:
        raise EvidenceError(f"split {split.name!r}: {error}") from error
    failures: dict[str, str] = {}
    variants: dict[str, Any] = {}
    for variant in plan.variants:
        try:
            variants[variant.name] = variant_identity(suite, variant)
        except EvidenceError as error:
            failures[variant.name] = str(error)
    healthy = tuple(variant for variant in plan.variants if variant.name in variants)
    meta = {
        "split": split.name,
        "declaration": split_declaration(split),
        "fingerprint": fingerprint,
        "kinds": sorted(plan.kinds),
        "variants": variants,
        "classes": list(suite.classes),
        "slices": list(split.slices),
        "features": _feature_code(plan.kinds, suite.folder),
        "compute": asdict(suite.compute),
        "code": {"modelchecks": code_version(), "torch": _version("torch")},
    }
    return Job(suite, split, SplitPlan(plan.split, plan.kinds, healthy), meta), failures


def open_source(suite: Suite, split: Split) -> Source:
    """Return the source that a split declares."""
    source: Source = registry.find("sources", split.source, suite.folder)(**split.options)
    return source


def split_declaration(split: Split) -> str:
    """Return a digest of how a split is declared, for judging stored evidence again."""
    return digest([split.source, dict(split.options), list(split.slices)])


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
    return digest(
        [variant.model, variant.weights, variant.transform, variant.logged, variant.trusted]
    )


def digest(value: Any) -> str:
    """Return the sha256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def probe_identity(request: ProbeRequest, folder: Path) -> list[Any]:
    """Return what a probe's outcome depends on besides the evidence of its split.

    Raises EvidenceError that names the file where one cannot be read.
    """
    files = []
    for name in request.files:
        try:
            files.append(hashlib.sha256((folder / name).read_bytes()).hexdigest())
        except OSError as error:
            raise EvidenceError(
                f"{folder / name} cannot be read ({error.strerror or error}), which probe "
                f"{request.probe!r} needs; write it there or correct the suite"
            ) from error
    packages = [_version(package) for package in _PROBE_PACKAGES.get(request.probe, ())]
    return [request.probe, request.split, files, packages, code_version()]


@lru_cache
def code_version() -> str:
    """Return a digest of the code that evidence depends on."""
    here = Path(__file__).parent
    code = hashlib.sha256()
    names = (
        "evidence.py",
        "identity.py",
        "collect.py",
        "logged.py",
        "features.py",
        "inference.py",
        "store.py",
    )
    for file in (
        *(here / name for name in names),
        *sorted((here / "sources").glob("*.py")),
        *sorted((here / "probes").glob("*.py")),
    ):
        code.update(file.read_bytes())
    return code.hexdigest()[:16]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _feature_code(kinds: frozenset[str], folder: Path) -> dict[str, str]:
    custom = (kind.removeprefix(FEATURE) for kind in kinds if kind.startswith(FEATURE))
    return {name: registry.code_digest(name, folder) for name in sorted(custom) if ":" in name}
