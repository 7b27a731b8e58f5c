"""What a check is: a frozen dataclass with `needs()` and a pure `evaluate(view)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate

Scope = Literal["variant", "data"]
Whose = Literal["own", "champion", "all"]
Beside = Literal["champion", "other", "runs", "history"]

# Markers for a field's annotation: how its YAML value is written and checked.
Share = Annotated[float, "share"]
"""A number between 0 and 1 that may be written `5pp`, `5%` or `0.05`."""
SplitName = Annotated[str, "split"]
"""The name of a split that the suite declares under `data:`."""
SuitePath = Annotated[str, "path"]
"""A file named relative to the suite file."""


def param(help: str, *, unless: str | None = None, **kwargs: Any) -> Any:
    """Return a dataclass field whose text `explain` and the JSON Schema show.

    `unless` names a field that may be given in its place; one of the two must be.
    """
    return field(metadata={"help": help, "unless": unless}, **kwargs)


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Work that a plain pass cannot do, named by a check: which probe, on which split, on what.

    `others` are further splits that it reads. `files` are paths relative to the suite file, whose
    content is part of the probe's key (`{variant}` stands for the name of the variant that is
    asked);
    `options` (name, JSON scalar) pairs configure it. One that `asks_model` is asked once for each
    variant that the check judges, or once for the champion with `of_champion`; the plan fills in
    `variant`. `beside` names what else of the suite its outcome depends on: the `champion`, some
    `other` variant, or the variant's further `runs` or training `history`. An option that reads
    `module:attribute` is code that it calls, and part of its key too.
    """

    probe: str
    split: str
    files: tuple[str, ...] = ()
    options: tuple[tuple[str, str | int | float | bool | None], ...] = ()
    asks_model: bool = False
    variant: str | None = None
    others: tuple[str, ...] = ()
    of_champion: bool = False
    beside: Beside | None = None

    def of(self, variant: str | None, champion: str | None = None) -> ProbeRequest:
        """Return the request as it is asked for a case of that variant."""
        if not self.asks_model:
            return self
        name = champion if self.of_champion else variant
        files = tuple(file.replace("{variant}", str(name)) for file in self.files)
        return replace(self, variant=name, files=files, of_champion=False)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a check must see: for each split the kinds of evidence, and the probes.

    The kinds are `labels`, `images` (size, dtype and value range of every image), `columns` (the
    log's other columns), `feature:NAME`, and of variants `predictions` (class and confidence),
    `logits` (n, classes) and `embeddings` (n, width: the input of its last layer). `whose` they
    are: the case's `own` variant's, that and the `champion`'s, or those of `all` declared variants,
    whichever of them are asked for. `inputs` are facts about the tensors that a variant gets. For
    probes there are `all:rows`, `all:images`, `all:columns` and `all:hashes`, which keep a line for
    every row on disk.
    """

    splits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    probes: tuple[ProbeRequest, ...] = ()
    whose: Whose = "own"


@dataclass(frozen=True, slots=True)
class History:
    """The first `n` labels of a log, and their digest: they must be the same at the next look."""

    n: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `evaluate` answers; the run adds case id, variant, severity and location.

    `history` is for a ledger to remember, and for the next look's view.
    """

    status: Status
    message: str
    estimate: Estimate | None = None
    threshold: Mapping[str, float] = field(default_factory=dict)
    needed: int | None = None
    structural: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    history: History | None = None


def not_applicable(reason: str) -> Outcome:
    """Return the outcome of a case that by its structure asks nothing (never for missing data)."""
    return Outcome("not_applicable", reason, structural=True)


@dataclass(frozen=True, slots=True)
class View:
    """What one case may look at: the merged evidence of its splits and its probes' outcomes."""

    splits: Mapping[str, Evidence | EvidenceError]
    variant: str | None = None
    champion: str | None = None
    probes: Mapping[ProbeRequest, Mapping[str, Any] | EvidenceError] = field(default_factory=dict)
    cannot_approve: Mapping[str, str] = field(default_factory=dict)
    """Splits whose labelled rows may not be a random sample, each with the reason and remedy."""
    class_names: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    """All declared variants, in the order of the suite."""
    folder: Path = Path()
    """Where the modules that a suite names lie: the folder of the suite file."""
    history: History | None = None
    """What the last look at this case saw, where a ledger remembers it."""

    def split(self, name: str) -> Evidence:
        """Return the evidence of a split, or raise the EvidenceError that stands in its place."""
        found = self.splits.get(name)
        if found is None:
            raise EvidenceError(f"no evidence was gathered for split {name!r}")
        if isinstance(found, EvidenceError):
            raise found
        return found

    def probe(self, request: ProbeRequest) -> Mapping[str, Any]:
        """Return a probe's stored outcome, or raise the EvidenceError that stands in its place."""
        found = self.probes.get(request.of(self.variant, self.champion))
        if found is None:
            raise EvidenceError(f"probe {request.probe!r} on split {request.split!r} did not run")
        if isinstance(found, EvidenceError):
            raise found
        return found

    def class_name(self, label: int) -> str:
        """Return the declared name of a class, or its number."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)


@runtime_checkable
class Check(Protocol):
    """A question with a threshold; implement it as a frozen dataclass, without a base class.

    The dataclass fields are the YAML keys; the docstring is the text that `explain` prints.
    `default_severity` says whether a failure blocks, `scope` whether there is a case per variant.
    """

    default_severity: ClassVar[Severity]
    scope: ClassVar[Scope]

    def needs(self) -> Needs:
        """Return what `evaluate` will look at; nothing else is gathered."""
        ...

    def evaluate(self, view: View) -> Outcome:
        """Return the outcome, as a pure function of the view.

        EvidenceError means `errored`, TooFewRowsError `inconclusive`.
        """
        ...


ANSWERS = frozenset({"predictions", "logits", "embeddings"})
"""The kinds of evidence that are a variant's."""


def judged_split(check: Check) -> str | None:
    """Return the split whose labelled rows a check takes for live traffic, if it names one."""
    for name in ("live", "current", "split"):
        value = getattr(check, name, None)
        if isinstance(value, str):
            needs = check.needs().splits.get(value, frozenset())
            return value if "labels" in needs else None
    return None
