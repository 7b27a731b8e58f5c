"""Does what users feel stay where it should: satisfaction, latency, errors, complaints?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, not_applicable, param
from modelchecks.checks.deciding import check_confidence, hold_if_unequal, level, settle
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import percent, threshold

_LIMITS = (
    "at_least",
    "at_most",
    "max_fall",
    "max_rise",
    "max_relative_fall",
    "max_relative_rise",
)
HEAVY = 2.0
"""A tail that falls no faster than this power of x has no variance, so a mean has no bound."""
_ENOUGH = 100
"""Rows from which the tail of a column can be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A column of the log stays within a bound, or near what it was, or near the champion's.

    The column holds numbers or truths: a score, a latency, an error, an abstention, a complaint.
    One limit is given: `at_least` or `at_most` for the value itself, or how far it may fall or rise
    (`max_fall`, `max_rise` in its own units, `max_relative_fall`, `max_relative_rise` as a share)
    against `reference` (another split), the rows before `since`, or the champion's rows. For the
    last, `served_by` names the column that says which variant answered; then every variant is
    judged on its own rows. Without it the log is one, and the case is about the data.

    Statistic: `rate`, the share of rows that are true, or `over` or `under` a number, with
    Clopper-Pearson bounds, which hold near 0 and 1; `quantile`, with bounds from order statistics,
    which hold for every tail; `mean`, with beta bounds where `range` is given, else by Hall's
    transformation. Differences by MOVER. Passed when the bound is within the limit, failed when the
    opposite bound is beyond it, else inconclusive. A mean whose tail is so heavy that it has no
    variance (Hill's index under 2) is inconclusive: ask for a quantile or a rate.

    Assumes: rows are independent, and rows without a value are like the others: more of them than
    `max_missing` (default none) is an error, since they may be the ones that failed.

    Reference: Kohavi, Tang and Xu (2020), Trustworthy online controlled experiments, chapter 21;
    Hall (1992), JRSS B 54, 221-228; Zou and Donner (2008), Statistics in Medicine 27, 1693-1702.

    Example:
      - guardrail: {column: satisfaction, statistic: mean, range: [1, 5], at_least: 3.8}
      - guardrail: {column: latency_ms, statistic: quantile, quantile: 95%, served_by: model,
                    max_relative_rise: 10%}
    """

    default_severity: ClassVar[Severity] = "block"

    column: str = param("column of the log: numbers or truths")
    statistic: Literal["mean", "rate", "quantile"] = param("what is judged", default="mean")
    split: SplitName = param("split whose log it is", default="live")
    quantile: Share | None = param("which quantile: 95%", default=None)
    over: float | None = param("rate of rows above this", default=None)
    under: float | None = param("rate of rows below this", default=None)
    range: tuple[float, ...] | None = param("[smallest, largest] possible value", default=None)
    at_least: float | None = param("smallest allowed value", default=None)
    at_most: float | None = param("largest allowed value", default=None)
    max_fall: float | None = param("largest allowed fall", default=None)
    max_rise: float | None = param("largest allowed rise", default=None)
    max_relative_fall: Share | None = param("largest allowed fall, as a share", default=None)
    max_relative_rise: Share | None = param("largest allowed rise, as a share", default=None)
    reference: SplitName | None = param("split to compare with", default=None)
    since: str | None = param("compare rows from this time on with those before", default=None)
    time: str = param("column of the time, for `since`", default="time")
    served_by: str | None = param("column that names the variant that answered", default=None)
    max_missing: Share = param("largest allowed share of rows without a value", default=0.0)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        given = [name for name in _LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_LIMITS)}")
        against = [self.reference, self.since, self.served_by]
        compared = not given[0].startswith("at_")
        if compared and sum(one is not None for one in against) != 1:
            raise ValueError(f"{given[0]}: needs one of `reference`, `since` and `served_by`")
        if not compared and (self.reference is not None or self.since is not None):
            raise ValueError(f"{given[0]}: is about the value itself; it takes no reference")
        if self.reference == self.split:
            raise ValueError("reference: is the same split as `split`")
        if (self.statistic == "quantile") != (self.quantile is not None):
            raise ValueError("quantile: goes with `statistic: quantile`, and that with it")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise ValueError(f"quantile: {self.quantile:g} is not between 0% and 100%")
        if (self.over is not None or self.under is not None) and self.statistic != "rate":
            raise ValueError("over, under: go with `statistic: rate`")
        if self.over is not None and self.under is not None:
            raise ValueError("over: give it or `under`, not both")
        if self.range is not None:
            if self.statistic != "mean":
                raise ValueError("range: goes with `statistic: mean`")
            if len(self.range) != 2 or not self.range[0] < self.range[1]:
                raise ValueError("range: must be [smallest, largest]")
        if self.since is not None:
            try:
                np.datetime64(self.since)
            except ValueError as error:
                raise ValueError(f"since: {self.since!r} is no time, as 2026-10-12 is") from error

    @property
    def scope(self) -> Scope:
        """Whether there is a case per variant: only where the log says who answered."""
        return "data" if self.served_by is None else "variant"

    def needs(self) -> Needs:
        """Return the columns of the log."""
        splits = [self.split, *([self.reference] if self.reference is not None else [])]
        return Needs(dict.fromkeys(splits, frozenset({"columns"})))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the statistic, or on how far it moved."""
        (limit,) = (name for name in _LIMITS if getattr(self, name) is not None)
        margin, alpha = float(getattr(self, limit)), level(self.confidence)
        if self.served_by is not None and not limit.startswith("at_"):
            if view.champion is None:
                raise EvidenceError("the suite names no champion to compare with: `champion:`")
            if view.variant == view.champion:
                return not_applicable("the champion is not compared with itself")
        groups = self._groups(view)
        found = {name: self._measured(name, values, alpha) for name, values in groups.items()}
        now, *before = found.values()
        effect = now if not before else _moved(limit, before[0], now)
        decide = stats.decide_at_least if limit == "at_least" else stats.decide
        status: Status = decide(effect, margin)
        message = "; ".join(self._told(name, one) for name, one in found.items())
        share = limit.startswith("max_relative") or self.statistic == "rate"
        shown = percent if share else _plain
        if before:
            what = "fell" if limit.endswith("fall") else "rose"
            message += (
                f": {what} by {shown(effect.value)} [{shown(effect.low)}, {shown(effect.high)}]"
            )
        message += f"; {threshold(margin, '%') if share else _plain(margin)} {_ALLOWED[limit]}"
        needed = None
        if status == "inconclusive":
            other = (before[0].upper_bound - before[0].lower_bound) / 2 if before else 0.0
            other = 0.0 if limit.startswith("max_relative") else other
            needed = stats.rows_to_settle(effect, abs(effect.value - margin), other=other)
            message += f". {settle(needed, now.n, 'rows')}"
        heavy = self._heavy(groups) if self.statistic == "mean" and self.range is None else None
        if heavy is not None and status in ("passed", "failed"):
            status, needed = "inconclusive", None
            message += (
                f"; but the tail of {heavy[0]} is so heavy (index {heavy[1]:.1f}) that a mean has "
                "no bound: ask for a quantile, or for the rate `over` a number"
            )
        details: dict[str, Any] = {name: asdict(one) for name, one in found.items()}
        outcome = Outcome(status, message, effect, {limit: margin}, needed, details=details)
        return hold_if_unequal(outcome, view, *self.needs().splits, labelled=False)

    def _told(self, name: str, found: Estimate) -> str:
        what = f"{100 * (self.quantile or 0):g} % quantile" if self.quantile else self.statistic
        of = self.column
        if self.over is not None or self.under is not None:
            word, number = ("over", self.over) if self.over is not None else ("under", self.under)
            of = f"{self.column} {word} {number:g}"
        shown = percent if self.statistic == "rate" else _plain
        return (
            f"{what} of {of} in {name} {shown(found.value)} [{shown(found.low)}, "
            f"{shown(found.high)}] (n {found.n:,})"
        )

    def _groups(self, view: View) -> dict[str, NDArray[np.float64]]:
        """Return the values that are judged, and then those that they are compared with."""
        evidence = view.split(self.split)
        values = self._values(evidence)
        if self.reference is not None:
            other = view.split(self.reference)
            if other.meta.get("fingerprint") == evidence.meta.get("fingerprint"):
                raise EvidenceError(
                    f"splits {self.split!r} and {self.reference!r} hold the same rows, so "
                    "comparing them says nothing; correct the path of one of them"
                )
            groups = {self.split: values, self.reference: self._values(other)}
        elif self.since is not None:
            times = evidence.sample(f"column:{self.time}")
            if times.dtype.kind != "M":
                raise EvidenceError(f"column {self.time!r} of {self.split!r} holds no times")
            if np.isnat(times).any():
                raise EvidenceError(f"column {self.time!r} of {self.split!r} has rows without one")
            later = times >= np.datetime64(self.since)
            groups = {f"rows since {self.since}": values[later], "those before": values[~later]}
        elif self.served_by is not None:
            who = np.array([str(one) for one in evidence.sample(f"column:{self.served_by}")])
            names = [str(view.variant)]
            if self.at_least is None and self.at_most is None:
                names.append(str(view.champion))
            groups = {f"rows of {name}": values[who == name] for name in names}
        else:
            groups = {self.split: values}
        for name, rows in groups.items():
            if not len(rows):
                raise EvidenceError(f"{name}: there are none in the log of split {self.split!r}")
        return {name: self._present(name, rows) for name, rows in groups.items()}

    def _values(self, evidence: Evidence) -> NDArray[np.float64]:
        column = evidence.sample(f"column:{self.column}")
        if column.dtype.kind not in "biuf":
            raise EvidenceError(
                f"column {self.column!r} of split {evidence.split!r} holds no numbers; a guardrail "
                "needs numbers or truths"
            )
        return column.astype(np.float64)

    def _present(self, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values that are there; too many gaps, or anything infinite, is an error."""
        gaps = np.isnan(values)
        if gaps.mean() > self.max_missing:
            raise EvidenceError(
                f"column {self.column!r} has no value in {int(gaps.sum()):,} of {len(values):,} "
                f"rows ({name}); they may be the rows that failed. Fill them, or say `max_missing: "
                f"{math.ceil(1000 * float(gaps.mean())) / 10:g}%` if they are like the others"
            )
        present = values[~gaps]
        if not len(present) or np.isinf(present).any():
            raise EvidenceError(f"column {self.column!r} holds infinity or nothing ({name})")
        return present

    def _measured(self, name: str, values: NDArray[np.float64], alpha: float) -> Estimate:
        if self.statistic == "quantile":
            return stats.quantile(values, float(self.quantile or 0), alpha=alpha)
        if self.statistic == "rate":
            if self.over is not None:
                hit = values > self.over
            elif self.under is not None:
                hit = values < self.under
            elif ((values == 0) | (values == 1)).all():
                hit = values == 1
            else:
                raise EvidenceError(
                    f"column {self.column!r} is not all 0 and 1 ({name}); a rate of numbers needs "
                    "`over` or `under`"
                )
            return stats.proportion(int(hit.sum()), len(values), alpha=alpha)
        if self.range is None:
            if ((values == 0) | (values == 1)).all():
                return stats.proportion(int(values.sum()), len(values), alpha=alpha)
            return stats.unbounded_mean(values, alpha=alpha)
        low, high = self.range
        if values.min() < low or values.max() > high:
            raise EvidenceError(
                f"column {self.column!r} reaches from {values.min():g} to {values.max():g} "
                f"({name}), beyond `range: [{low:g}, {high:g}]`"
            )
        found = stats.bounded_mean(values - low, largest=high - low, alpha=alpha)
        moved = {key: getattr(found, key) + low for key in ("value", "low", "high")}
        bounds = {key: getattr(found, key) + low for key in ("lower_bound", "upper_bound")}
        return replace(found, **moved, **bounds)

    def _heavy(self, groups: dict[str, NDArray[np.float64]]) -> tuple[str, float] | None:
        """Return the rows whose tail has no variance, and its index."""
        for name, values in groups.items():
            if len(values) >= _ENOUGH:
                index = stats.tail_index(values - np.median(values))
                if index < HEAVY:
                    return name, index
        return None


_ALLOWED = {
    "at_least": "is the least allowed",
    "at_most": "is the most allowed",
    "max_fall": "may be lost",
    "max_rise": "may be added",
    "max_relative_fall": "may be lost",
    "max_relative_rise": "may be added",
}


def _moved(limit: str, before: Estimate, now: Estimate) -> Estimate:
    """Return how far a statistic fell, or rose, in its own units or as a share of what it was."""
    falls = limit.endswith("fall")
    if limit.startswith("max_relative"):
        try:
            lost = stats.relative_drop(before, now)
        except ValueError as error:
            raise EvidenceError(
                f"no share of it can be said to be lost ({error}); give `max_fall` or `max_rise`"
            ) from error
        return lost if falls else _negative(lost)
    return stats.metric_drop(before, now, higher_is_better=falls)


def _negative(found: Estimate) -> Estimate:
    return replace(
        found,
        value=-found.value,
        low=-found.high,
        high=-found.low,
        lower_bound=-found.upper_bound,
        upper_bound=-found.lower_bound,
    )


def _plain(value: float) -> str:
    return f"{value:.4g}"
