"""One decision over several things: all shown within their margins, or any shown beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from modelchecks import stats
from modelchecks.check import Outcome
from modelchecks.checks.deciding import settle
from modelchecks.results import Status
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import listing


@dataclass(frozen=True, slots=True)
class Effect:
    """How far one thing is from the reference: `distance` decides on `margin`.

    `label` stands before the number (`sharpness D`), `change` says in words what has changed.
    `categories` is how many there are, None for a number.
    """

    name: str
    label: str
    distance: Estimate
    margin: float
    change: str = ""
    categories: int | None = None

    @property
    def status(self) -> Status:
        """The decision on this effect alone."""
        return stats.decide(self.distance, self.margin)

    def told(self, margin: bool) -> str:
        """Return the effect in words, with its margin where that is not the same for all."""
        d = self.distance
        limit = f" of at most {self.margin:g}" if margin else ""
        change = f" ({self.change})" if self.change else ""
        return f"{self.label} {d.value:.3f} [{d.low:.3f}, {d.high:.3f}]{limit}{change}"


def judged(effects: Sequence[Effect], what: str, reference: str, reference_n: int) -> Outcome:
    """Return the decision: passed when all are within, failed when any is beyond its margin.

    `what` the effects are of, in the plural; `reference` names the split that they start from.
    """
    by_size = sorted(effects, key=lambda effect: effect.margin - effect.distance.value)
    failed = [effect for effect in by_size if effect.status == "failed"]
    unsettled = [effect for effect in by_size if effect.status == "inconclusive"]
    worst = (failed or unsettled or by_size)[0]
    margins = {effect.margin for effect in effects}
    one = len(margins) == 1
    shown = [effect.told(not one) for effect in failed or unsettled or by_size[:1]]
    allowed = f"{worst.margin:g}" if one else "its margin"
    count = f"{len(failed or unsettled)} of {len(effects)} " if len(effects) > 1 else ""
    needed = None
    if failed:
        message = f"{count}{what} differ by more than {allowed}: {listing(shown)}"
    elif unsettled:
        needed = _needed(effects, unsettled, reference_n)
        n = worst.distance.n
        message = (
            f"{count}{what} may differ by more than the allowed {allowed}: {listing(shown)} "
            f"(n {n:,}). {settle(needed, n, 'rows', f'rows of {reference}')}"
        )
    else:
        within = f"within {allowed}" if one else "each within its margin"
        message = f"{what} shown similar {within}: largest {shown[0]}"
    status: Status = "failed" if failed else "inconclusive" if unsettled else "passed"
    limits = {"max_effect": worst.margin}
    details = {"effects": {effect.name: asdict(effect.distance) for effect in effects}}
    return Outcome(status, message, worst.distance, limits, needed, details=details)


def _needed(effects: Sequence[Effect], unsettled: Sequence[Effect], reference_n: int) -> int | None:
    """Return the rows that would settle it: one beyond its margin does, else all must be within."""
    categories = [effect.categories for effect in effects if effect.categories is not None]
    numbers = len(effects) - len(categories)
    found = {
        effect.name: stats.rows_to_decide(
            effect.distance,
            reference_n,
            margin=effect.margin,
            features=numbers,
            categories=categories,
            own=effect.categories,
        )
        for effect in unsettled
    }
    beyond = [found[e.name] for e in unsettled if e.distance.value > e.margin]
    some = [n for n in beyond if n is not None]
    if some:
        return min(some)
    every = list(found.values())
    return None if beyond or None in every else max(n for n in every if n is not None)
