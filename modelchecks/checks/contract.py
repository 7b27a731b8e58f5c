"""Is the variant sound as a piece of software?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from modelchecks import stats
from modelchecks.check import (
    Needs,
    Outcome,
    ProbeRequest,
    Scope,
    Share,
    SplitName,
    SuitePath,
    View,
    param,
)
from modelchecks.checks.corruption import combined
from modelchecks.checks.deciding import check_confidence, level
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, listing, percent, threshold

_AGAIN = {
    "twice": "asked twice",
    "permuted": "in another order of the batch",
    "alone": "asked alone instead of in a batch",
}
_MEBI = 2.0**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The variant answers each row the same, whatever is around it, and so do its copies.

    Stated, each true or false over the rows asked: it gives finite logits of the declared number of
    classes, also for an all-dark and an all-light image; the same when asked twice in evaluation
    mode (a model that draws is found), in another order of the batch and for rows by themselves
    (batch norms left in training mode are found); answering changes nothing in it; on every named
    device and in every named type of number its classes agree.

    `copies` are functions from the loaded module to a copy that is deployed in its place (exported,
    quantised, compiled), and `golden` is a file with images and the logits that the model gave
    where it was trained: with them the whole way from pixels to logits is compared, so swapped
    channels or a forgotten normalisation are found. `{variant}` in its name is the variant's.

    Statistic: for copies, golden answers, devices and types the share of rows with the same class,
    with Clopper-Pearson bounds: passed when the lower bound reaches `min_agreement`, failed when
    the upper bound stays below it. Everything else fails at the first row that breaks it; the
    message says how many rows were asked.

    Assumes: nothing about rows that were not asked.

    Reference: Breck et al. (2017), The ML test score, IEEE Big Data.

    Example:
      - contract: {split: offline, copies: ["casestudy:eight_bits"], max_megabytes: 5}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    split: SplitName = param("split whose images are asked", default="offline")
    classes: int | None = param("how many; default: as the suite's `classes:` says", default=None)
    images: int = param("how many rows, drawn at random", default=512)
    tolerance: float = param(
        "largest difference that is rounding, as a share of the largest logit", default=1e-3
    )
    devices: tuple[str, ...] = param("further devices that it must run on", default=())
    dtypes: tuple[str, ...] = param("further types, such as bfloat16 or float64", default=())
    copies: tuple[str, ...] = param(
        "module:function, each from the module to the copy that is deployed", default=()
    )
    golden: SuitePath | None = param(
        ".npz with `images` and `logits` from where it was trained", default=None
    )
    files: tuple[SuitePath, ...] = param("files that `copies` read", default=())
    min_agreement: Share = param("smallest share of rows with the same class", default=0.99)
    max_gap: float | None = param(
        "largest difference of a copy's logits, as a share of the largest logit", default=None
    )
    max_megabytes: float | None = param("largest size of its parameters, in MiB", default=None)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.images < 2:
            raise ValueError("images: must be at least 2, to be asked in another order")
        if self.tolerance < 0:
            raise ValueError("tolerance: must not be negative")
        for reference in self.copies:
            if ":" not in reference:
                raise ValueError(f"copies: {reference!r} is not of the form `module:function`")

    def needs(self) -> Needs:
        """Return the probe, and the rows that it draws from."""
        return Needs({self.split: frozenset({"labels"})}, (self._request(),))

    def _request(self) -> ProbeRequest:
        options: tuple[tuple[str, str | int | float | bool | None], ...] = (
            ("golden", self.golden is not None),
            ("images", self.images),
            ("places", ",".join((*self.devices, *self.dtypes))),
            ("tolerance", self.tolerance),
            *(("copy", reference) for reference in self.copies),
        )
        files = (*((self.golden,) if self.golden else ()), *self.files)
        return ProbeRequest("contract", self.split, files, options, asks_model=True)

    def evaluate(self, view: View) -> Outcome:
        """Return passed when every statement held for all rows asked and every copy agrees."""
        found, alpha = view.probe(self._request()), level(self.confidence)
        n = int(found["rows"])
        limits: dict[str, float] = {"tolerance": self.tolerance}
        if self.max_megabytes is not None:
            limits["max_megabytes"] = self.max_megabytes
        if found["broken"] is not None:
            message = f"gives no usable answer: {found['broken']}"
            return Outcome("failed", message, threshold=limits, details=dict(found))
        faults = list(self._faults(found, len(view.class_names)))
        statuses: list[Status] = ["failed" if faults else "passed"]
        agreements: dict[str, Estimate] = {}
        notes: list[str] = []
        for name, one in self._compared(found).items():
            if "raised" in one:
                faults.append(f"{name} {one['raised']}")
                statuses.append("failed")
                continue
            agreement = stats.proportion(one["rows"] - one["turned"], one["rows"], alpha=alpha)
            agreements[name] = agreement
            status: Status = stats.decide_at_least(agreement, self.min_agreement)
            gap = f"{percent(one['gap'], 2)} of the largest logit"
            told = (
                f"{name} agrees on {percent(agreement.value)} "
                f"{interval(agreement.low, agreement.high)} of {one['rows']:,} rows, logits within "
                f"{gap}"
            )
            if status != "passed":
                told += f"; {threshold(self.min_agreement, '%')} is asked"
                told += "" if status == "failed" else ", and the rows are too few to tell"
            if self.max_gap is not None and one["gap"] > self.max_gap:
                told += f"; at most {percent(self.max_gap, 2)} is allowed"
                status = "failed"
            statuses.append(status)
            (faults if status == "failed" else notes).append(told)
        if agreements:
            limits["min_agreement"] = self.min_agreement
        status = combined(statuses)
        worst = max((one.get("apart", 0) for one in _exact(found).values()), default=0)
        broken = stats.proportion(min(worst, n), n, alpha=alpha)
        estimate = min(agreements.values(), key=lambda a: a.value) if agreements else broken
        size = f"{found['bytes'] / _MEBI:.1f} MiB, {found['outputs']} classes"
        if faults:
            message = f"{len(faults)} broken: {listing(faults, 4)}"
            message += f". {size}, {n:,} rows asked"
        else:
            message = f"every statement held for {n:,} rows ({size})"
        if notes:
            message += f". {listing(notes)}"
        details: dict[str, Any] = {
            **{k: found[k] for k in ("rows", "outputs", "bytes", "same", "copies")},
            "faults": faults,
            "agreement": {name: asdict(one) for name, one in agreements.items()},
        }
        return Outcome(status, message, estimate, limits, details=details)

    def _faults(self, found: Mapping[str, Any], declared: int) -> Iterator[str]:
        """Yield what is plainly wrong."""
        wanted = self.classes or declared or None
        if wanted is not None and found["outputs"] != wanted:
            yield f"it has {found['outputs']} outputs where {wanted} classes are declared"
        if found["infinite"]:
            yield f"{found['infinite']} answers are NaN or infinite, dark and light images included"
        if found["training"]:
            layers = ", ".join(found["training"])
            yield f"{layers} stays in training mode after `eval()`: answers depend on other rows"
        if found["changed"]:
            yield f"answering changes its own {', '.join(found['changed'])}"
        for name, one in _exact(found).items():
            if "raised" in one:
                yield f"{_AGAIN[name]}, it {one['raised']}"
            elif one["apart"]:
                yield (
                    f"{_AGAIN[name]}, {one['apart']:,} of {one['rows']:,} rows get other logits "
                    f"({one['turned']:,} another class; up to {percent(one['gap'])} of the largest "
                    "logit)"
                )
        if self.max_megabytes is not None and found["bytes"] / _MEBI > self.max_megabytes:
            size = found["bytes"] / _MEBI
            yield f"its parameters take {size:.1f} MiB, {self.max_megabytes:g} are allowed"

    def _compared(self, found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return what is compared by class: copies, golden answers, devices and types."""
        places = {f"on {name}, it": found["same"][name] for name in self.devices}
        kinds = {f"in {name}, it": found["same"][name] for name in self.dtypes}
        return {**found["copies"], **places, **kinds}


def _exact(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: found["same"][name] for name in _AGAIN}
