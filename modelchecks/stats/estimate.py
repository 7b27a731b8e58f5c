"""An estimate never travels alone: value, interval, decision bounds, n and method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "inconclusive"]


class TooFewRowsError(ValueError):
    """The rows are too few, or too much alike, for bounds that hold: nothing can be decided."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An observed effect with a two-sided 95 % interval and one-sided level-alpha bounds.

    `low`/`high` are for reading, `lower_bound`/`upper_bound` for the decision. `n` counts the
    rows behind the value (the live or current ones where there are two samples). Raises
    ValueError that names a field which is not finite.
    """

    value: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    alpha: float
    n: int
    method: str

    def __post_init__(self) -> None:
        for name in ("value", "low", "high", "lower_bound", "upper_bound", "alpha"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)} is not a finite number")
        if not 0 < self.n < math.inf:
            raise ValueError(f"n: {self.n} is not positive and finite")


def decide(estimate: Estimate, margin: float) -> Verdict:
    """Return passed iff the upper bound is within the margin, failed iff the lower is beyond."""
    if not math.isfinite(margin):
        raise ValueError(f"margin: {margin} is not a finite number")
    if estimate.upper_bound <= margin:
        return "passed"
    return "failed" if estimate.lower_bound > margin else "inconclusive"


def decide_at_least(estimate: Estimate, floor: float) -> Verdict:
    """Return passed iff the lower bound reaches the floor, failed iff the upper stays below."""
    if not math.isfinite(floor):
        raise ValueError(f"floor: {floor} is not a finite number")
    if estimate.lower_bound >= floor:
        return "passed"
    return "failed" if estimate.upper_bound < floor else "inconclusive"
