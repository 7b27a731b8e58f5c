"""`block_when: harmful`: a shift that labels show to cost little is let through, and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
    settle,
)
from modelchecks.errors import EvidenceError
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, points, threshold

BlockWhen = Literal["different", "harmful"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What drift checks have in common, beside what they compare and how far it may differ."""

    scope: ClassVar[Scope]

    reference: SplitName
    current: SplitName
    confidence: Share = param("one-sided confidence of either decision", default=0.95)
    block_when: BlockWhen = param(
        "harmful: fail only where labels show that accuracy fell by more than `max_drop` too",
        default="different",
    )
    max_drop: Share | None = param(
        "with `block_when: harmful`: largest allowed drop of accuracy: 5pp, or 0.05", default=None
    )
    offline: SplitName | None = param(
        "with `block_when: harmful`: labelled split that the drop starts from; none: `reference`",
        default=None,
    )

    def __post_init__(self) -> None:
        """Raise ValueError unless what the check was given fits together."""
        check_confidence(self.confidence)
        if self.reference == self.current:
            raise ValueError("current: is the same split as `reference`; drift needs two")
        if self.block_when == "harmful":
            if self.max_drop is None:
                raise ValueError(
                    "block_when: `harmful` needs `max_drop`, the drop of accuracy from which it is"
                )
            if self.offline == self.current:
                raise ValueError("offline: is the same split as `current`; a drop needs two")
            return
        for name in ("max_drop", "offline"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: says nothing without `block_when: harmful`")


def drift_level(check: Drift) -> float:
    """Return the error of one decision: half where either of two of them lets a shift through."""
    return level(check.confidence) / (2 if check.block_when == "harmful" else 1)


def with_harm(check: Drift, needs: Needs) -> Needs:
    """Return the needs and, where harm is asked for, labels and predictions of both sides.

    Of a question to the data, those of all declared variants: what harms one of them is harmful.
    """
    if check.block_when != "harmful":
        return needs
    asked = frozenset({"labels", "predictions"})
    splits = dict(needs.splits)
    for name in (check.offline or check.reference, check.current):
        splits[name] = splits.get(name, frozenset()) | asked
    return replace(needs, splits=splits, whose="all" if check.scope == "data" else "own")


def weighed(outcome: Outcome, view: View, check: Drift) -> Outcome:
    """Return the outcome of a drift check with what it cost in view, where that is asked for.

    Failed: shown to differ, and shown to cost more than `max_drop`. Passed: shown similar, or shown
    by labels to cost no more; with K variants, one of them harmed is at error alpha / K. Otherwise
    inconclusive: without labels nobody knows, so nothing is let through and nothing blocked.
    """
    if check.block_when != "harmful" or outcome.status not in ("failed", "inconclusive"):
        return outcome
    offline, live, margin = check.offline or check.reference, check.current, check.max_drop
    variants = (view.variant,) if view.variant is not None else view.variants
    if margin is None or not variants:
        raise EvidenceError("`block_when: harmful` asks what variants lose, and there is none")
    limits = {**outcome.threshold, "max_drop": margin}
    allowed = threshold(margin, "pp")
    if not view.split(live).labelled:
        message = (
            f"{outcome.message}. No row of {live!r} has a label, so nobody knows whether that "
            f"costs more than {allowed}: label some, or ask `harmful_shift` what is suspected"
        )
        return replace(outcome, status="inconclusive", message=message, threshold=limits)
    alpha = drift_level(check)
    usual = _drops(view, offline, live, variants, alpha)
    strict = _drops(view, offline, live, variants, alpha / len(variants))
    harmed = [name for name, drop in strict.items() if drop.lower_bound > margin]
    open_ = [name for name, drop in usual.items() if drop.upper_bound > margin]
    # Of those in question the one that lost most.
    worst = max(harmed or open_ or usual, key=lambda name: usual[name].value)
    drop = usual[worst]
    fell = f"{worst} lost {points(drop.value)} {interval(drop.low, drop.high)}"
    details: dict[str, Any] = {
        **outcome.details,
        "harm": {name: asdict(found) for name, found in usual.items()},
    }
    outcome = replace(outcome, threshold=limits, details=details)
    if harmed:
        least = points(strict[worst].lower_bound)
        message = f"{outcome.message}. Harmful: {fell}, at least {least}, and {allowed} is allowed"
        return hold_if_unequal(replace(outcome, message=message), view, offline, live)
    if open_:
        needed = _needed(view, offline, worst, drop, margin, alpha)
        message = (
            f"{outcome.message}. Whether it costs more than {allowed} is open: {fell}. "
            f"{settle(needed, drop.n, 'labelled live rows', f'labelled rows of {offline}')}"
        )
        return replace(outcome, status="inconclusive", message=message, needed=needed)
    most = points(max(found.upper_bound for found in usual.values()))
    message = (
        f"let through, as labels show no harm: at most {most} are lost ({worst} "
        f"{points(drop.value)} {interval(drop.low, drop.high)}), within the allowed {allowed}. But "
        f"{outcome.message}"
    )
    details["warning"] = message
    passed = replace(outcome, status="passed", message=message, needed=None, details=details)
    return hold_if_unequal(hold_if_unsampled(passed, view, live), view, offline, live)


def _drops(
    view: View, offline: str, live: str, variants: tuple[str, ...], alpha: float
) -> Mapping[str, Estimate]:
    before, now = view.split(offline), view.split(live)
    return {
        name: stats.proportion_drop(*before.correct(name), *now.correct(name), alpha=alpha)
        for name in variants
    }


def _needed(
    view: View, offline: str, variant: str, drop: Estimate, margin: float, alpha: float
) -> int | None:
    right, n = view.split(offline).correct(variant)
    return stats.labels_needed(right / n, n, true_drop=drop.value, max_drop=margin, alpha=alpha)
