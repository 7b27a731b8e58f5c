"""Is the variant as quick as what it replaces?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import (
    Needs,
    Outcome,
    ProbeRequest,
    Scope,
    Share,
    SplitName,
    View,
    not_applicable,
    param,
)
from modelchecks.checks.corruption import combined
from modelchecks.checks.deciding import check_confidence, level
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """The variant takes at most `max_ratio` times as long as the champion, on this machine.

    Both answer the same batch in turns, in one process, so that whatever else the machine does hits
    both; each pair gives a ratio of seconds from pixels to logits.

    Statistic: the median of these ratios with limits from order statistics, which hold for every
    law. Passed when the upper bound is within `max_ratio`, failed when the lower bound is beyond
    it. The ratio of the two 95 % quantiles is shown, and decided with `max_p95_ratio`.

    Assumes: the gate runs on a machine like that of production. With glibc, freed memory is kept
    for the next layer, which quickens a model of large layers more than others; set GLIBC_TUNABLES
    (an empty value will do) to measure without. A time is true of its moment, so it is measured in
    every gate run and never taken from stored evidence; the severity is `warn` unless set. There is
    no case for the champion itself.

    Reference: Thompson (1936), Annals of Mathematical Statistics 7, 122-128.

    Example:
      - latency: {split: offline, max_ratio: 1.2, batch: 1}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    max_ratio: float = param("largest allowed ratio of the medians", default=1.2)
    max_p95_ratio: float | None = param("the same of the 95 % quantiles", default=None)
    split: SplitName = param("split whose images are asked", default="offline")
    batch: int = param("how many images at once", default=1)
    pairs: int = param("how often both answer", default=100)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        for name, value in (("batch", self.batch), ("pairs", self.pairs)):
            if value < 1:
                raise ValueError(f"{name}: must be at least 1")
        for name, ratio in (("max_ratio", self.max_ratio), ("max_p95_ratio", self.max_p95_ratio)):
            if ratio is not None and ratio <= 0:
                raise ValueError(f"{name}: must be positive")

    def needs(self) -> Needs:
        """Return the probe, and the rows that it draws from."""
        return Needs({self.split: frozenset({"labels"})}, (self._request(),))

    def _request(self) -> ProbeRequest:
        options = (("batch", self.batch), ("pairs", self.pairs))
        return ProbeRequest("latency", self.split, (), options, asks_model=True, beside="champion")

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the ratio of the medians."""
        if view.variant == view.champion:
            return not_applicable("the champion is not compared with itself")
        found, alpha = view.probe(self._request()), level(self.confidence)
        own, theirs = np.array(found["own"]), np.array(found["theirs"])
        ratio = stats.quantile(own / theirs, 0.5, alpha=alpha)
        statuses: list[Status] = [stats.decide(ratio, self.max_ratio)]
        limits = {"max_ratio": self.max_ratio}
        median, slow = (1000 * float(np.quantile(own, q)) for q in (0.5, 0.95))
        message = (
            f"takes {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] times as long as "
            f"{found['champion']} for {found['batch']:,} images (median {median:.2f} ms; "
            f"{ratio.n:,} pairs), {self.max_ratio:g} is allowed"
        )
        details = {"champion": found["champion"], "median_ms": median, "p95_ms": slow}
        try:
            tail = _ratio(*(stats.quantile(x, 0.95, alpha=alpha) for x in (own, theirs)))
        except stats.TooFewRowsError as error:
            message += f". 95 % quantile {slow:.2f} ms, without bounds: {error}"
            if self.max_p95_ratio is not None:
                statuses.append("inconclusive")
        else:
            message += (
                f". At the 95 % quantile ({slow:.2f} ms) {tail.value:.2f} [{tail.low:.2f}, "
                f"{tail.high:.2f}] times"
            )
            details["p95_ratio"] = asdict(tail)
            if self.max_p95_ratio is not None:
                limits["max_p95_ratio"] = self.max_p95_ratio
                message += f", {self.max_p95_ratio:g} is allowed"
                statuses.append(stats.decide(tail, self.max_p95_ratio))
        return Outcome(combined(statuses), message, ratio, limits, details=details)


def _ratio(own: Estimate, theirs: Estimate) -> Estimate:
    """Return own / theirs of two independent estimates, by MOVER."""
    lost = stats.relative_drop(theirs, own)
    return Estimate(
        1 - lost.value,
        1 - lost.high,
        1 - lost.low,
        1 - lost.upper_bound,
        1 - lost.lower_bound,
        lost.alpha,
        lost.n,
        lost.method,
    )
