"""Which is the smallest change of the environment that breaks the variant?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from modelchecks import stats
from modelchecks.change import COMMON, Change
from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, Share, SplitName, View, param
from modelchecks.checks.corruption import combined
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
)
from modelchecks.checks.shown import before_after
from modelchecks.results import Severity
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, percent, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """No change of the environment up to `within` breaks the variant, as far as a search can find.

    Hypothesis composes changes (rotation, shift, zoom, blur, light, noise, JPEG, ...), led toward
    what does more harm, and shrinks the first that breaks the property to one of which nothing can
    be taken away. The property is that accuracy falls by at most `max_drop`, or that at most
    `max_flips` of the answers change (which needs no label).

    Statistic: the change is found on one half of the rows, where its lower bound must clear the
    limit by as much as makes it 90 % sure to be confirmed, and decided on the other half at full
    confidence: a paired drop, or a share with Clopper-Pearson bounds. Where nothing breaks, the
    worst change that was tried is decided in its place. `known` changes, such as what an earlier
    search found, are replayed first and decided each.

    The search is derandomized and keeps nothing where the environment variable CI is set;
    elsewhere Hypothesis's example database beside the evidence remembers what broke.

    Assumes: the changes keep the class of an image, so choose `within` such that they do. Not to
    find a change does not show that there is none.

    Reference: MacIver and Donaldson (2020), Test-case reduction via test-case generation, ECOOP;
    Xie et al. (2011), Testing and validating machine learning classifiers by metamorphic testing.

    Example:
      - search: {split: offline, max_drop: 10pp, within: {rotation: 10, noise: 0.03, blur: 0.02}}
      - search: {split: offline, max_flips: 5%, known: [{rotation: 9.5}], examples: 0}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share | None = param("largest allowed drop of the accuracy", default=None)
    max_flips: Share | None = param(
        "in its place: largest allowed share of answers that change", default=None
    )
    split: SplitName = param("split of rows to change", default="offline")
    within: Change | None = param(
        "the largest change to try; default: what everybody's photographs go through", default=None
    )
    known: tuple[Change, ...] = param("changes that must not break it, replayed first", default=())
    images: int = param("how many rows, drawn at random; half search, half decide", default=600)
    examples: int = param("how many changes to try; 0 replays only the known", default=100)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if (self.max_drop is None) == (self.max_flips is None):
            raise ValueError("needs one of `max_drop` and `max_flips`")
        if self.within is not None and not any(self.within.amounts().values()):
            raise ValueError("within: changes nothing")
        if self.images < 2:
            raise ValueError("images: must be at least 2, half of them to decide")
        if self.examples < 0 or not (self.examples or self.known):
            raise ValueError("examples: asks nothing; try some, or give `known` changes")

    def needs(self) -> Needs:
        """Return the labels and the probe."""
        return Needs({self.split: frozenset({"labels"})}, (self._request(),))

    @property
    def _limit(self) -> float:
        return float(self.max_flips if self.max_drop is None else self.max_drop)  # type: ignore[arg-type]

    def _request(self) -> ProbeRequest:
        options = (
            ("examples", self.examples),
            ("images", self.images),
            ("known", json.dumps([change.amounts() for change in self.known])),
            ("limit", self._limit),
            ("property", "flips" if self.max_drop is None else "drop"),
            ("within", json.dumps((self.within or COMMON).amounts())),
        )
        return ProbeRequest("search", self.split, (), options, asks_model=True)

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the smallest change that breaks, or the worst that was tried."""
        found, limit = view.probe(self._request()), self._limit
        change = Change(**found["change"])
        estimate = self._effect(found["second"])
        known = [self._effect(counts) for counts in found["known"]]
        replayed = [stats.decide(effect, limit) for effect in known]
        status = combined([*replayed, *([stats.decide(estimate, limit)] if self.examples else [])])
        allowed = threshold(limit, "%" if self.max_drop is None else "pp")
        broken = [i for i, decided in enumerate(replayed) if decided == "failed"]
        if broken or not self.examples:
            worst = broken[0] if broken else max(range(len(known)), key=lambda i: known[i].value)
            change, estimate = self.known[worst], known[worst]
            said = f"the known change {change.told()} {self._told(estimate)}"
            size = ""
        elif found["found"]:
            share = change.share_of(self.within or COMMON)
            said = f"the smallest change found, {change.told()}, {self._told(estimate)}"
            size = f", {percent(share, 0)} of what it should bear ({found['tried']} tried)"
        else:
            said = f"of {found['tried']} changes tried none broke it beyond doubt on the rows that "
            said += f"search; the worst, {change.told()}, {self._told(estimate)}"
            size = ""
        if status == "failed":
            regression = (
                f"{said}; {allowed} is allowed{size}. To keep it: {self._pasteable(change)}"
            )
            message = regression
        elif status == "passed":
            message = f"{said}; {allowed} is allowed. A search is no proof"
        else:
            message = f"{said}; {allowed} is allowed, and {estimate.n:,} rows are too few to tell"
            message += f"; raise `images: {self.images}`"
        details: dict[str, Any] = {
            "change": {name: amount for name, amount in change.amounts().items() if amount},
            "yaml": self._pasteable(change),
            "tried": found["tried"],
            "found": found["found"],
            "searched": asdict(self._effect(found["first"])),
            "known": [
                {"change": one.told(), "status": decided, "effect": asdict(effect)}
                for one, decided, effect in zip(self.known, replayed, known, strict=True)
            ],
            "counterexamples": before_after(found["images"]),
        }
        limits = {"max_drop" if self.max_flips is None else "max_flips": limit}
        outcome = Outcome(status, message, estimate, limits, details=details)
        return hold_if_unsampled(hold_if_unequal(outcome, view, self.split), view, self.split)

    def _effect(self, counts: Sequence[int]) -> Estimate:
        both, lost, won, neither = counts
        alpha = level(self.confidence)
        if self.max_drop is None:
            return stats.proportion(lost, both + lost, alpha=alpha)
        return stats.paired_gain(both, lost, won, neither, alpha=alpha)

    def _told(self, effect: Estimate) -> str:
        shown = interval(effect.low, effect.high)
        if self.max_drop is None:
            return f"turns {percent(effect.value)} {shown} of the answers (n {effect.n:,})"
        return f"costs {points(effect.value)} {shown} of accuracy (n {effect.n:,})"

    def _pasteable(self, change: Change) -> str:
        """Return a check for a suite file that replays this one change."""
        limit = f"max_drop: {threshold(self._limit, 'pp')}".replace(" pp", "pp")
        if self.max_drop is None:
            limit = f"max_flips: {threshold(self._limit, '%')}".replace(" %", "%")
        return f"- search: {{split: {self.split}, {limit}, known: [{change.told()}], examples: 0}}"
