"""What the user declared: splits, variants, checks and policy. Frozen, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from modelchecks.check import Check
from modelchecks.results import Location, Severity

Sampling = Literal["random", "weights", "unknown"]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows from one source: `options` are the fields of the source's dataclass.

    `sampling` says how the labelled rows were drawn from the traffic they stand for: at random, or
    with known chances, whose inverse is in the column `weights`. `unknown` can warn and block but
    not approve, unless `assume_random` gives the reason to trust it. Rows with the same value in
    the column `group` (a user, a session, a video) may depend on each other. `expected_labels` is
    how many labelled rows there are meant to be; `lint` says for which thresholds that is too few.
    """

    name: str
    source: str
    options: Mapping[str, Any]
    slices: tuple[str, ...] = ()
    sampling: Sampling = "unknown"
    weights: str | None = None
    group: str | None = None
    assume_random: str | None = None
    location: Location = field(default=Location("", 1), compare=False)
    expected_labels: int | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One trained model: a factory plus weights, or a column of logged answers.

    `model` is `module:callable` returning a torch module; `transform` is `module:callable` from
    uint8 images (n, height, width, channels) to the tensor that the model takes (default: NCHW
    float32 in [0, 1]). `logged` names a column with predicted classes or probability lists.
    `embedding` names the layer whose output is the embedding (default: what the last linear layer
    gets; `none`: there is none).
    """

    name: str
    model: str | None = None
    weights: str | None = None
    transform: str | None = None
    logged: str | None = None
    embedding: str | None = None
    history: str | None = None
    trusted: bool = False
    runs: tuple[Mapping[str, Any], ...] = ()
    location: Location = field(default=Location("", 1), compare=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """How outcomes count: `inconclusive` and `mode` change exit codes, never a verdict.

    `ledger` is a file or folder that counts how often the same rows have judged variants;
    `spending` makes each further look at them decide at a smaller error (see `modelchecks.ledger`).
    `history` is the file that remembers decisions from run to run, relative to the suite file.
    """

    inconclusive: Literal["fail", "warn", "skip"] = "fail"
    mode: Literal["enforce", "observe"] = "enforce"
    ledger: str | None = None
    spending: Literal["none", "halving", "inverse_square"] = "none"
    history: str | None = None


@dataclass(frozen=True, slots=True)
class Compute:
    """How evidence is gathered; every field is part of the evidence's key.

    `batch_size` is chosen by measuring where it is not given, and `threads` by torch. Of the
    devices only `cpu` was run on the machines that test this project; the others are unverified.
    `precision: bfloat16` allows autocast: it is taken where it is measured to be faster and logits
    stay within 2 % (of the largest) of those in float32.
    """

    batch_size: int | None = None
    threads: int | None = None
    shard_rows: int = 10_000
    max_rows: int = 20_000
    seed: int = 0
    device: Literal["cpu", "cuda", "mps", "auto"] = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True, slots=True)
class DeclaredCheck:
    """A check as one suite declares it: `name` is its registered name, `id` is unique."""

    name: str
    id: str
    check: Check
    severity: Severity
    location: Location


@dataclass(frozen=True, slots=True)
class Waiver:
    """A case whose failure does not block from `since` to `until`, both days included.

    It is granted in `NAME.waivers.yaml` beside the suite, never inside it: who changes a threshold
    and who answers for passing one over need not be the same person.
    """

    case: str
    owner: str
    reason: str
    until: date
    since: date | None = None
    location: Location = field(default=Location("", 1), compare=False)


@dataclass(frozen=True, slots=True)
class Suite:
    """A whole suite file, valid in itself; `path` is the file that all other paths start from."""

    name: str
    path: Path
    splits: tuple[Split, ...]
    variants: tuple[Variant, ...]
    checks: tuple[DeclaredCheck, ...]
    description: str = ""
    champion: str | None = None
    classes: tuple[str, ...] = ()
    policy: Policy = Policy()
    compute: Compute = Compute()
    sha256: str = ""
    waivers: tuple[Waiver, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that relative paths and modules of the suite start from."""
        return self.path.parent

    def split(self, name: str) -> Split:
        """Return the split of that name, which must be declared."""
        return next(split for split in self.splits if split.name == name)

    def variant(self, name: str | None) -> Variant | None:
        """Return the variant of that name, None where none is declared."""
        return next((variant for variant in self.variants if variant.name == name), None)
