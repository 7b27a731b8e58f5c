"""Does the live path make the same tensor of an image as the offline transform did?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from modelchecks import stats
from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import check_confidence, level
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity, Status
from modelchecks.wording import interval, listing, percent, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The same images become the same tensors offline and live, and the variant answers them alike.

    Statistic: on golden rows of a split, the mean absolute difference of the two tensors in
    standard deviations of an offline value, and the share of rows whose answer changes, with
    Clopper-Pearson bounds. Each side is a callable `module:function` (images in, a tensor out), a
    recorded .npy file of the tensors of the split's first rows, or the variant's own transform.
    Failed when shapes differ, the difference is above its limit, the variant cannot take the live
    tensor, or the lower bound of the changed answers is above theirs. What undoes most of the
    difference is told: resize or antialias, BGR, scale, normalisation, rounding to 8 bits, JPEG
    quality, a shift, the layout.

    Assumes: nothing about the data; a path that is right on the golden rows may be wrong on others
    (other sizes, formats or modes), so choose rows of every kind.

    Reference: Breck et al. (2019), Data Validation for Machine Learning, MLSys (training-serving
    skew); Parmar, Zhang and Zhu (2022), On Aliased Resizing, CVPR (antialias).

    Example:
      - parity: {live: "serving:preprocess", split: offline, rows: 500, max_flips: 1%}
      - parity: {offline: golden/offline.npy, live: golden/live.npy, split: offline}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    live: str = param("the live path: module:function, or a recorded .npy file")
    offline: str | None = param("the same offline; default: the variant's transform", default=None)
    split: SplitName = param("split of the golden rows", default="offline")
    rows: int = param("how many golden rows, where nothing is recorded", default=500)
    max_difference: float = param("largest mean difference, in deviations", default=0.02)
    max_flips: Share = param("largest share of rows whose answer changes", default=0.01)
    logits: bool = param("whether the variant is asked", default=True)
    confidence: Share = param("one-sided confidence about changed answers", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.rows < 1:
            raise ValueError("rows: must be at least 1")
        if self.live == self.offline:
            raise ValueError("live: is the same as `offline`; parity needs two")

    def _request(self) -> ProbeRequest:
        sides = {"live": self.live, "offline": self.offline}
        files = tuple(name for name in sides.values() if name is not None and ":" not in name)
        options = (*sides.items(), ("logits", self.logits), ("rows", self.rows))
        return ProbeRequest("parity", self.split, files, options, asks_model=True)

    def needs(self) -> Needs:
        """Return the rows of the split, and the probe."""
        return Needs({self.split: frozenset({"labels"})}, (self._request(),))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the differences and on the changed answers."""
        found = view.probe(self._request())
        faults, open_, estimate = [], [], None
        before, after = found["shapes"]
        if not found["rows"]:
            raise EvidenceError("parity compared no row")
        if before != after:
            faults.append(f"live tensors are {_shape(after)}, offline ones {_shape(before)}")
        if found["broken"]:
            faults.append(f"{found['broken']:,} values of the live tensors are NaN or infinite")
        difference = found["difference"]
        text = "nothing to compare"
        if difference is not None:
            text = f"tensors differ by {difference:.3g} deviations on average"
            if difference > self.max_difference:
                faults.append(f"{text}, allowed {self.max_difference:g}")
        answers = found["answers"]
        if answers is not None and answers["refused"] is not None:
            faults.append(f"the variant cannot take the live tensor: {answers['refused']}")
        elif answers is not None:
            estimate = stats.proportion(
                answers["flips"], found["rows"], alpha=level(self.confidence)
            )
            flips = f"{percent(estimate.value)} {interval(estimate.low, estimate.high)} of answers"
            flips = f"{flips} change, allowed {threshold(self.max_flips, '%')}"
            decided = stats.decide(estimate, self.max_flips)
            if decided == "failed":
                faults.append(flips)
            elif decided == "inconclusive":
                open_.append(f"{flips}; more golden rows (`rows:`) would settle it")
            text = f"{text}, {flips}"
        status: Status = "failed" if faults else "inconclusive" if open_ else "passed"
        if status == "passed" and difference is None:
            raise EvidenceError("parity compared nothing")
        parts = [listing(faults or open_, 4) if faults or open_ else text]
        causes = found["causes"]
        if faults and causes:
            shares = [f"{one['told']} (explains {percent(one['explained'], 0)})" for one in causes]
            parts.append(f"Look here first: {'; then '.join(shares)}")
        elif faults:
            parts.append("No single cause explains most of it")
        if found["types"][0] != found["types"][1]:
            parts.append(f"types are {found['types'][0]} offline, {found['types'][1]} live")
        limits = {"max_flips": self.max_flips, "max_difference": self.max_difference}
        details: dict[str, Any] = {k: v for k, v in found.items() if k != "examples"}
        details["images"] = [
            {"caption": f"{side}: {one['id']}", "png": one[side]}
            for one in found["examples"]
            for side in ("offline", "live")
            if one[side] is not None
        ]
        message = f"{'. '.join(parts)} ({found['rows']:,} golden rows)"
        return Outcome(status, message, estimate, limits, details=details)


def _shape(shape: list[int]) -> str:
    return "x".join(map(str, shape)) or "scalars"
