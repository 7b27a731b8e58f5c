"""How much does the variant lose when the environment of its images changes?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.change import KINDS, SEVERITIES
from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
)
from modelchecks.checks.shown import on_curve
from modelchecks.errors import did_you_mean
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, listing, percent, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """The variant keeps its accuracy when images are taken in a changed environment.

    A battery of realistic changes (rotation, translation, scale, occlusion, blur, exposure,
    contrast, noise, JPEG) is laid over the same rows at five severities; every image draws its own
    accident once, and the severity scales it. Severity 5 is, for the shorter side of an image:
    30 degrees, 15 % shift, 35 % larger or smaller, a grey square of 40 %, a blur of sigma 4 %,
    1.25 stops of light, 60 % less contrast, noise of 15 % of the range, JPEG of quality 15.

    Statistic: the share of its accuracy that the variant loses, on average over all kinds and
    severities, on the same rows clean and changed (Fieller's limits with beta quantiles). Passed
    when the upper bound is within `max_loss`, failed when the lower bound is beyond it, else
    inconclusive. With `max_worst_loss` the same for each kind by itself; there, what fails fails
    for all kinds at once (Bonferroni).

    Assumes: the rows are a random sample of the split. The battery stands for environments that may
    come, not for the one that did: only labelled live rows tell that.

    Reference: Hendrycks and Dietterich (2019), Benchmarking neural network robustness to common
    corruptions and perturbations, ICLR.

    Example:
      - corruption: {split: offline, max_loss: 25%, max_worst_loss: 50%}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_loss: Share = param("largest allowed share of the accuracy lost, on average")
    max_worst_loss: Share | None = param("the same for the worst kind of change", default=None)
    split: SplitName = param("split of labelled rows to lay changes over", default="offline")
    kinds: tuple[str, ...] = param("which changes", default=KINDS)
    images: int = param("how many rows, drawn at random", default=500)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise ValueError("kinds: must name at least one change, none twice")
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(f"kinds: there is no {kind!r}{did_you_mean(kind, KINDS)}")
        if self.images < 1:
            raise ValueError("images: must be at least 1")

    def needs(self) -> Needs:
        """Return the labels and the probe."""
        return Needs({self.split: frozenset({"labels"})}, (self._request(),))

    def _request(self) -> ProbeRequest:
        options = (("images", self.images), ("kinds", ",".join(self.kinds)))
        return ProbeRequest("corruption", self.split, (), options, asks_model=True)

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the mean and, where asked for, on the worst loss."""
        found, alpha = view.probe(self._request()), level(self.confidence)
        clean = np.array(found["clean"], dtype=np.bool_)
        kept = {
            kind: np.array(found["kinds"][kind]["kept"]) / len(SEVERITIES) for kind in self.kinds
        }
        mean = stats.relative_loss(clean, np.mean(list(kept.values()), axis=0), alpha=alpha)
        each = {
            kind: stats.relative_loss(clean, shares, alpha=alpha) for kind, shares in kept.items()
        }
        worst = max(each, key=lambda kind: each[kind].value)
        statuses: list[Status] = [stats.decide(mean, self.max_loss)]
        limits = {"max_loss": self.max_loss}
        beyond: list[str] = []
        if self.max_worst_loss is not None:
            limits["max_worst_loss"] = self.max_worst_loss
            together = alpha / len(self.kinds)
            for kind, shares in kept.items():
                shown = stats.relative_loss(clean, shares, alpha=together).lower_bound
                within = each[kind].upper_bound <= self.max_worst_loss
                statuses.append("passed" if within else "inconclusive")
                if shown > self.max_worst_loss:
                    beyond.append(f"{kind} {_told(each[kind])}")
                    statuses[-1] = "failed"
        status = combined(statuses)
        n, right = len(clean), int(clean.sum())
        said = (
            f"loses {_told(mean)} of its accuracy on average over {len(self.kinds)} changes of the "
            f"environment at five severities (of {n:,} rows {percent(right / n)} are right as they "
            f"are); most by {worst}: {_told(each[worst])}"
        )
        allowed = threshold(self.max_loss, "%")
        needed = None
        if beyond:
            limit = threshold(self.max_worst_loss or 0, "%")
            said += f". Over the {limit} that each may cost: {listing(beyond)}"
        if statuses[0] == "failed":
            said += f". At least {percent(mean.lower_bound)}, over the allowed {allowed}"
        elif status == "passed":
            said += f". At most {percent(mean.upper_bound)}, within the allowed {allowed}"
        elif status == "inconclusive":
            gap = abs(mean.value - self.max_loss)
            needed = stats.rows_to_settle(mean, gap) if statuses[0] == "inconclusive" else None
            said += (
                f". The rows are too few to tell it from the limit; raise `images: {self.images}`"
            )
            said += f" to about {needed:,}" if needed else ""
        details: dict[str, Any] = {
            "mean": asdict(mean),
            "kinds": {kind: asdict(loss) for kind, loss in each.items()},
            "curves": {kind: _curve(found["kinds"][kind], n, right, alpha) for kind in self.kinds},
            "counterexamples": found["images"],
        }
        outcome = Outcome(status, said, mean, limits, needed, details=details)
        return hold_if_unsampled(hold_if_unequal(outcome, view, self.split), view, self.split)


def combined(statuses: list[Status]) -> Status:
    """Return the status of several questions that must all pass."""
    for status in ("failed", "errored", "inconclusive"):
        if status in statuses:
            return status
    return "passed"


def _told(loss: Estimate) -> str:
    return f"{percent(loss.value)} {interval(loss.low, loss.high)}"


def _curve(kind: dict[str, Any], n: int, right: int, alpha: float) -> list[dict[str, Any]]:
    """Return the accuracy at each severity, 0 first, as points of a curve."""
    counts = [right, *(correct for correct, _, _ in kind["severities"])]
    return [
        on_curve(severity, stats.proportion(count, n, alpha=alpha))
        for severity, count in enumerate(counts)
    ]
