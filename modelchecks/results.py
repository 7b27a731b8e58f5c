"""Outcomes: what a case answered, what a variant's verdict is, and the record of a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelchecks.stats.estimate import Estimate

Status = Literal["passed", "failed", "inconclusive", "not_applicable", "errored"]
Severity = Literal["block", "warn", "info"]
Verdict = Literal["approved", "blocked", "undecided"]

DATA = "data"
"""The name that stands for 'no variant' in case ids; reserved, so no variant may have it."""


@dataclass(frozen=True, slots=True)
class Location:
    """The place in the suite file that declares a case (1-based line)."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Waived:
    """Why a failure does not block for now, who answers for it, and the last day (ISO) of that."""

    owner: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True)
class Result:
    """One case's outcome: status, observed estimate, threshold, and one sentence for people.

    `variant` is None for a case about the data alone. `needed` is the number of labelled rows that
    would settle an inconclusive case, those that are there included, where it can be computed.
    `structural` marks the only kind of `not_applicable` that the gate may leave out. `waived` is
    set by the gate alone, and only on a `failed` case.
    """

    case: str
    check: str
    variant: str | None
    severity: Severity
    status: Status
    message: str
    location: Location
    estimate: Estimate | None = None
    threshold: Mapping[str, float] = field(default_factory=dict)
    needed: int | None = None
    structural: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    waived: Waived | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One variant's verdict and the ids of the cases that are the reason for it.

    `approved_with_waivers` names the failed cases that an approval passed over.
    """

    variant: str
    verdict: Verdict
    reasons: tuple[str, ...]
    approved_with_waivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """The whole of one gate run; every report is a function of this record alone."""

    run_id: str
    started: str
    finished: str
    suite: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    splits: Mapping[str, Mapping[str, Any]]
    results: tuple[Result, ...]
    decisions: Mapping[str, Decision]
    provenance: Mapping[str, Any]
    notes: tuple[str, ...] = ()
