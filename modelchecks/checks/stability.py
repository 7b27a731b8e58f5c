"""Would the same recipe, run again, give the same model?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, Share, SplitName, View, param
from modelchecks.checks.corruption import combined
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
)
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import points, threshold

LABELLED_ANSWERS = frozenset({"labels", "predictions"})
Runs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Runs of the variant's recipe that differ by chance alone have the same accuracy.

    The runs are those under the variant's `runs:`, each with weights and tags: `{weights: ...,
    seed: 1, lr: 0.1}`. Tags in `chance` (the seed) are chance, all others are choices.

    Statistic: the standard deviation of the runs' accuracies, offline and live, within runs of the
    same choices, with chi-squared limits. Passed when both upper bounds are within `max_spread`,
    failed when one lower bound is beyond it, else inconclusive, with the number of runs that would
    settle it. Beside it, for reading: how far the choices move the accuracy, and whether the
    variant's gain over the champion is more than two runs of one recipe differ by (one-sided t);
    if not, it is reported as not established. A variant without runs is measured by the champion's.

    Assumes: accuracies of runs scatter normally; the runs were not picked.

    Reference: Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks,
    MLSys.

    Example:
      - stability: {offline: offline, live: live, max_spread: 1.5pp}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_spread: Share = param("largest allowed standard deviation between runs: 1pp, or 0.01")
    offline: SplitName = param("split of the offline evaluation", default="offline")
    live: SplitName = param("split of labelled live rows", default="live")
    chance: tuple[str, ...] = param("tags of runs that are chance", default=("seed",))
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`")

    def needs(self) -> Needs:
        """Return labels and answers of variant and champion, and the runs of both."""
        splits = (self.offline, self.live)
        probes = tuple(
            self._request(split, champion) for split in splits for champion in (False, True)
        )
        return Needs(dict.fromkeys(splits, LABELLED_ANSWERS), probes, whose="champion")

    def _request(self, split: str, champion: bool) -> ProbeRequest:
        return ProbeRequest("runs", split, asks_model=True, of_champion=champion, beside="runs")

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the spread of the variant's runs."""
        alpha = level(self.confidence)
        own = {split: self._spread(view, split, False) for split in (self.offline, self.live)}
        said, statuses, needed = [], list[Status](), None
        details: dict[str, Any] = {"runs": {}, "sensitivity": {}, "gain": {}}
        for split, (runs, spread, why) in own.items():
            details["runs"][split] = [dict(run) for run in runs]
            if spread is None:
                statuses.append("inconclusive")
                said.append(f"{split}: {why}")
                continue
            statuses.append(stats.decide(spread, self.max_spread))
            said.append(
                f"{split}: sd {points(spread.value, 2)} [{points(spread.low, 2)}, "
                f"{points(spread.high, 2)}] over {spread.n} runs"
            )
            details["sensitivity"][split] = sensitivity(runs, self.chance)
            if statuses[-1] == "inconclusive":
                more = stats.runs_needed(spread.value, self.max_spread, alpha=alpha)
                needed = None if more is None else max(needed or 0, more)
        status = combined(statuses)
        message = f"{'; '.join(said)}. {threshold(self.max_spread, 'pp')} is allowed"
        if needed is not None:
            message += f"; about {needed} runs would settle it"
        for split, choices in details["sensitivity"].items():
            for tag, found in choices.items():
                message += f". {split}: {tag} moves the accuracy by {points(found['range'], 2)}"
        for split in own:
            gain = self._gain(view, split, own[split], alpha)
            if gain is not None:
                details["gain"][split] = gain
                message += f". {gain['said']}"
        spreads = [spread for _, spread, _ in own.values() if spread is not None]
        worst = max(spreads, key=lambda spread: spread.value) if spreads else None
        limits = {"max_spread": self.max_spread}
        outcome = Outcome(status, message, worst, limits, needed, details=details)
        outcome = hold_if_unequal(outcome, view, self.offline, self.live)
        return hold_if_unsampled(outcome, view, self.live)

    def _spread(self, view: View, split: str, champion: bool) -> tuple[Runs, Estimate | None, str]:
        """Return the runs of the variant or the champion, and their spread or why there is none."""
        runs: Runs = view.probe(self._request(split, champion))["runs"]
        if not runs:
            return runs, None, "no `runs:` are declared, so how far its recipe scatters is unknown"
        choices = [_choices(run, self.chance) for run in runs]
        names = sorted(set(choices))
        groups = np.array([names.index(one) for one in choices])
        accuracies = np.array([run["correct"] / run["rows"] for run in runs])
        try:
            alpha = level(self.confidence)
            return runs, stats.run_spread(accuracies, groups=groups, alpha=alpha), ""
        except stats.TooFewRowsError as error:
            return runs, None, f"{str(error).removeprefix('accuracies: ')} under `runs:`"

    def _groups(self, runs: Runs) -> int:
        """Return how many different choices the runs made."""
        return len({_choices(run, self.chance) for run in runs})

    def _gain(
        self, view: View, split: str, own: tuple[Runs, Estimate | None, str], alpha: float
    ) -> dict[str, Any] | None:
        """Return whether the gain over the champion is more than runs of a recipe differ by."""
        variant, champion = str(view.variant), view.champion
        if champion is None or champion == variant:
            return None
        evidence = view.split(split)
        (right, n), (theirs, other_n) = (evidence.correct(name) for name in (variant, champion))
        gain = right / n - theirs / other_n
        sides = [own]
        with suppress(EvidenceError):
            sides.append(self._spread(view, split, True))
        spreads = [(runs, spread) for runs, spread, _ in sides if spread is not None]
        what = f"{split}: {points(abs(gain))} {'above' if gain > 0 else 'below'} {champion}"
        if not spreads:
            said = f"{what}, and no runs tell how much of that is chance"
            return {"gain": gain, "established": False, "said": said}
        (runs, spread), (others, other) = spreads[0], spreads[-1]
        groups = self._groups(runs), self._groups(others)
        both = other if len(spreads) == 2 else None
        least = stats.gain_over_spread(gain, spread, both, groups=groups, alpha=alpha)
        established = gain > least
        said = f"{what}, {'more' if established else 'not more'} than the {points(least)} by which"
        said += " two runs of one recipe differ"
        said += "" if established or gain <= 0 else ": a gain is not established"
        return {"gain": gain, "least": least, "established": established, "said": said}


def _choices(run: Mapping[str, Any], chance: Sequence[str]) -> str:
    kept = {tag: value for tag, value in run["tags"].items() if tag not in chance}
    return str(sorted(kept.items()))


def sensitivity(runs: Runs, chance: Sequence[str]) -> dict[str, Any]:
    """Return, for each tag that is a choice, the mean accuracy at each of its values."""
    tags = sorted({tag for run in runs for tag in run["tags"] if tag not in chance})
    found: dict[str, Any] = {}
    for tag in tags:
        at: dict[str, list[float]] = {}
        for run in runs:
            at.setdefault(str(run["tags"].get(tag)), []).append(run["correct"] / run["rows"])
        means = {value: float(np.mean(shares)) for value, shares in at.items()}
        if len(means) > 1:
            found[tag] = {"means": means, "range": max(means.values()) - min(means.values())}
    return found
