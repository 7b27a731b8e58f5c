"""What is found about images and tensors, and whether they are on the scale of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.check import Outcome
from modelchecks.results import Status
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.intensity import mean_shift, scale_ratio
from modelchecks.wording import listing

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Findings:
    """Facts that are faults, and effects with bounds, that together decide a case."""

    facts: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    effects: dict[str, Estimate] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    worst: tuple[str, Estimate] | None = None

    def decide(self, name: str, effect: Estimate, limit: float, told: str, allowed: str) -> None:
        """Take in an effect: failed where its lower bound is beyond the limit, or left open."""
        status = stats.decide(effect, limit)
        self.effects[told.partition(":")[0] + f" {name}"] = effect
        self.limits[f"max_{name}"] = limit
        if status == "failed":
            self.failed.append(f"{told}, allowed {allowed}")
            self.worst = self.worst or (f"max_{name}", effect)
        elif status == "inconclusive":
            self.unsettled.append(f"{told}, allowed {allowed}")

    def outcome(self, held: str) -> Outcome:
        """Return the decision: failed for any fault, passed only where nothing is left open."""
        broken = [*self.facts, *self.failed]
        status: Status = "failed" if broken else "inconclusive" if self.unsettled else "passed"
        parts = []
        if broken:
            parts.append(listing(broken, 4))
        if self.unsettled:
            more = listing(self.unsettled)
            parts.append(f"{len(self.unsettled)} cannot be told: {more}; more rows would settle it")
        if not parts:
            parts.append(held)
        parts += self.notes
        limits, shown = self.limits, next(iter(self.effects.values()), None)
        if self.worst is not None:
            # The first threshold is the one of the estimate that is shown.
            limit, shown = self.worst
            limits = {limit: limits[limit], **limits}
        measured = {name: asdict(effect) for name, effect in self.effects.items()}
        details: dict[str, Any] = {"measured": measured}
        return Outcome(status, ". ".join(parts), shown, limits, details=details)


@dataclass(frozen=True, slots=True)
class Scale:
    """Means and deviations of the pixels of images, rows (n, 2), before and now, and limits."""

    before: Floats
    now: Floats
    max_shift: float
    max_ratio: float
    alpha: float

    def judge(self, name: str, findings: Findings) -> None:
        """Judge how far the mean has moved and by how much the deviation has changed."""
        before, now, alpha = self.before, self.now, self.alpha
        if not _deviation(before):
            findings.notes.append(f"{name}: the reference has no scale, all its values are equal")
            return
        hint = _suspicion(_deviation(before), _deviation(now))
        shift = mean_shift(before[:, 0], before[:, 1], now[:, 0], alpha=alpha)
        told = f"{name}: the mean has moved by {shift.value:.2f} pixel deviations{hint}"
        findings.decide("shift", shift, self.max_shift, told, f"{self.max_shift:g}")
        if not _deviation(now):
            findings.facts.append(f"{name}: all values are equal")
            return
        ratio = scale_ratio(before[:, 0], before[:, 1], now[:, 0], now[:, 1], alpha=alpha)
        grown = "grown" if _deviation(now) > _deviation(before) else "shrunk"
        told = f"{name}: a pixel's deviation has {grown} by a factor of {ratio.value:.3g}{hint}"
        findings.decide("ratio", ratio, self.max_ratio, told, f"{self.max_ratio:g}")


def _deviation(rows: Floats) -> float:
    means, deviations = rows.T
    return float(np.sqrt((deviations**2).mean() + means.var()))


_SUSPECTS: Sequence[tuple[float, str]] = (
    (255.0, " (a division by 255 was forgotten?)"),
    (1 / 255, " (divided by 255 twice?)"),
)


def _suspicion(before: float, now: float) -> str:
    """Return what the scale looks like, in words, where it looks like something known."""
    for factor, told in _SUSPECTS:
        # On a logarithmic scale, as wide as an ordinary change of light.
        if now and abs(np.log(now / before / factor)) < np.log(2):
            return told
    return ""
