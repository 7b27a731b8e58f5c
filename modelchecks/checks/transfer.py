"""Does the gain that was measured offline arrive live?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import (
    Needs,
    Outcome,
    Scope,
    Share,
    SplitName,
    View,
    not_applicable,
    param,
)
from modelchecks.checks.champion import labels_to_tell
from modelchecks.checks.deciding import check_confidence, hold_if_unsampled, level
from modelchecks.checks.labelled import LabelledRows
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.ranking import FEWEST
from modelchecks.wording import bare, interval, percent, points, threshold

DISCORDANCE = (0.05, 0.15)
"""Shares of rows on which two variants usually differ, where only their accuracies are known."""
_STATUS: dict[str, Status] = {"kept": "passed", "lost": "failed", "not_shown": "inconclusive"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GainTransfer:
    """The variant's offline gain over the champion arrives live.

    Statistic: the gain over the champion on the rows of each split, paired, with bounds, and the
    difference of the two gains by MOVER. Passed (kept) when the live gain is shown to be more than
    `min_gain`; failed (lost) when the gain is shown to shrink and the live gain to be no more than
    that; else inconclusive: not established live, and the message says how many labels would tell.
    `paired: false` uses the accuracies alone, as with published figures. From five variants on, the
    details say whether the order of the variants offline tells their order live (Kendall's tau, the
    line of probit accuracies and how far off it each variant lies); that decides nothing.

    Assumes: the labelled rows of both splits are random samples; otherwise the check can fail but
    not pass. Weights and groups are honoured where rows are paired. Severity is `warn` unless set:
    a gain that does not arrive does no harm.

    Reference: Zou and Donner (2008), Statistics in Medicine 27, 1693-1702; Newcombe (1998),
    Statistics in Medicine 17, 2635-2650; Miller et al. (2021), Accuracy on the line, ICML.

    Example:
      - gain_transfer: {offline: offline, live: live}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    min_gain: Share = param("the live gain must be more than this", default=0.0)
    offline: SplitName = param("split on which the gain was measured", default="offline")
    live: SplitName = param("split on which it must arrive", default="live")
    paired: bool = param(
        "false: use accuracies alone, not who was right on which row", default=True
    )
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a transfer needs two")

    def needs(self) -> Needs:
        """Return labels and the predictions of all variants on both splits."""
        kinds = frozenset({"labels", "predictions"})
        return Needs({self.offline: kinds, self.live: kinds}, whose="all")

    def evaluate(self, view: View) -> Outcome:
        """Return whether the gain of the view's variant is kept."""
        if view.champion is None:
            raise EvidenceError("a gain is one over the champion; name it with `champion:`")
        variant, champion, alpha = str(view.variant), view.champion, level(self.confidence)
        if variant == champion:
            return not_applicable("the champion has no gain over itself")
        offline, live = (self._gain(view, name, alpha) for name in (self.offline, self.live))
        found = stats.gain_transfer(offline, live, margin=self.min_gain, alpha=alpha)
        status = _STATUS[found.status]
        message, needed = _prose(found, champion, self.min_gain), None
        if status == "inconclusive":
            told, needed = _telling(found.live_gain, self.min_gain, self.paired)
            message += f"; {told}"
        details: dict[str, Any] = {
            "champion": champion,
            "offline": asdict(found.offline_gain),
            "live": asdict(found.live_gain),
            "shrinkage": asdict(found.shrinkage),
            "kept_ratio": found.kept_ratio,
        }
        if len(view.variants) < FEWEST:
            message += (
                f". {len(view.variants)} variants are too few to say whether the order offline "
                "tells the order live"
            )
        elif (order := self._order(view)) is not None:
            details["order"] = order
            message += _ordered(order, variant)
        outcome = Outcome(
            status, message, found.live_gain, {"min_gain": self.min_gain}, needed, details=details
        )
        return hold_if_unsampled(outcome, view, self.live)

    def _gain(self, view: View, split: str, alpha: float) -> Estimate:
        variant, champion = str(view.variant), str(view.champion)
        if self.paired:
            return LabelledRows(view, split, variant, champion).gain(variant, champion, alpha)
        evidence = view.split(split)
        if evidence.drawn:
            raise EvidenceError(
                f"the rows of {split!r} have weights or groups; leave `paired` true"
            )
        own, others = evidence.correct(variant), evidence.correct(champion)
        return stats.proportion_gain(*own, *others, alpha=alpha)

    def _order(self, view: View) -> dict[str, Any] | None:
        """Return how the variants' order offline tells their order live; None where one is missing.

        It describes all variants, so that the fault of another one is no fault of this case.
        """
        try:
            sides = []
            for split in (self.offline, self.live):
                rows = LabelledRows(view, split, *view.variants)
                sides.append(np.stack([rows.right(name) for name in view.variants], axis=1))
            agreed = stats.rank_agreement(*sides)
            line = stats.accuracy_line(sides[0].mean(0), sides[1].mean(0))
        except (EvidenceError, ValueError):
            return None
        return {
            "tau": agreed.tau,
            "low": agreed.low,
            "high": agreed.high,
            "best_is_best": agreed.best_is_best,
            "slope": line.slope,
            "r_squared": line.r_squared,
            "off_the_line": dict(zip(view.variants, line.residuals.tolist(), strict=True)),
        }


def _prose(found: stats.GainTransfer, champion: str, margin: float) -> str:
    """Return what is shown about a gain, as a sentence without its end."""
    offline, live, shrunk = found.offline_gain, found.live_gain, found.shrinkage
    message = f"over {champion}: offline {_signed(offline)}, live {_signed(live)}: "
    if offline.lower_bound <= 0:
        message += "no gain is established offline, and "
    gain = f"the gain of more than {threshold(margin, 'pp')}" if margin else "the gain"
    if found.status == "kept":
        part = "" if found.kept_ratio is None else f", {percent(found.kept_ratio, 0)} of it"
        return f"{message}{gain} is established live{part}"
    if found.status == "lost":
        by = f"{points(shrunk.value)} {interval(shrunk.low, shrunk.high)}"
        return f"{message}{gain} does not arrive live; it shrank by {by}"
    return f"{message}{gain} is not established live"


def _telling(live: Estimate, margin: float, paired: bool) -> tuple[str, int | None]:
    """Return what number of paired labels would tell whether the live gain is there."""
    if paired:
        needed = labels_to_tell(live, margin)
        told = "no practical number of" if needed is None else f"about {needed:,}"
        return f"{told} paired labels would tell", needed
    needs = [
        stats.paired_labels_needed(live.value, share, margin=margin, alpha=live.alpha)
        for share in DISCORDANCE
        if abs(live.value) <= share
    ]
    known = [n for n in needs if n is not None]
    if not known or len(known) < len(needs):
        return "no practical number of paired labels would tell", None
    counts = " to ".join(f"{n:,}" for n in sorted(set(known)))
    shares = f"{bare(DISCORDANCE[0], 0)} to {percent(DISCORDANCE[1], 0)}"
    told = f"about {counts} paired labels would tell, if the two differ on {shares} of the rows"
    return told, max(known)


def _signed(gain: Estimate) -> str:
    """Return a gain with its sign: '+0.6 pp [-0.5, +1.7]'."""
    value, low, high = (f"{100 * x:+z.1f}" for x in (gain.value, gain.low, gain.high))
    return f"{value} pp [{low}, {high}]"


def _ordered(order: dict[str, Any], variant: str) -> str:
    """Return how the order offline tells the order live, as a sentence without its end."""
    off = order["off_the_line"][variant]
    return (
        f". Over all variants the order offline agrees with the order live by a Kendall's tau of "
        f"{order['tau']:.2f} [{order['low']:.2f}, {order['high']:.2f}], and the best offline is "
        f"the best live in {percent(order['best_is_best'], 0)} of resamples; {variant} lies "
        f"{points(abs(off))} {'above' if off >= 0 else 'below'} the line of their accuracies"
    )
