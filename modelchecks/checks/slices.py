"""Does the variant hold up in every part of the live traffic, or only on average?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.cuts import (
    Counts,
    Cut,
    Sides,
    by_class,
    by_column,
    by_feature,
    pairs,
    shown,
)
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
    settle,
)
from modelchecks.checks.labelled import LabelledRows
from modelchecks.facets import FEATURE
from modelchecks.results import Severity
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, listing, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDrop:
    """The variant's accuracy falls by no more than `max_drop` in any slice of the live rows.

    Statistic: the drop of every slice with MOVER-CP bounds. Passed when the upper bound of every
    slice is within `max_drop` (all of them passing is wrong with probability 1 - confidence at
    most); failed when a lower bound is beyond it, by Holm over all slices, so that many slices make
    no false failure likelier. A slice with fewer live rows than `minimum`, one that is expected and
    missing, or one without offline rows leaves the case inconclusive.

    Slices are the values of log `columns` that the splits declare under `slices:`, their pairs with
    `crossed`, the true `classes`, and `bins` of equal offline size of image `features`. Where the
    offline split has no such column, `against: whole` compares each live slice with all of offline.
    `find: K` looks for the K worst slices, pairs included, on one half of the rows and judges them
    on the other half, so that what was picked for being bad by chance is not called bad.

    Assumes: the labelled live rows are a random sample of live traffic, each counting as one;
    otherwise the check can fail but not pass.

    Reference: Berger (1982), Technometrics 24, 295-300; Holm (1979), Scandinavian Journal of
    Statistics 6, 65-70; Zou and Donner (2008), Statistics in Medicine 27, 1693-1702.

    Example:
      - slice_drop: {columns: [camera, store], against: whole, max_drop: 10pp}
      - slice_drop: {classes: true, max_drop: 10pp}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share = param("largest allowed drop of any slice")
    columns: tuple[str, ...] = param("log columns whose values are slices", default=())
    crossed: bool = param("also the pairs of values of two columns", default=False)
    classes: bool = param("also the true classes", default=False)
    features: tuple[str, ...] = param("image properties, cut into bins", default=())
    bins: int = param("how many bins of a feature, of equal offline size", default=4)
    against: Literal["slice", "whole"] = param(
        "what a live slice is compared with: the same slice offline, or all of it", default="slice"
    )
    expected: Mapping[str, Any] = param(
        "values that each column must have live, {column: [values]}", default_factory=dict
    )
    find: int | None = param(
        "judge only so many worst slices, found on half of the rows", default=None
    )
    minimum: int = param("fewest live rows of a slice that is judged", default=30)
    offline: SplitName = param("split of the offline evaluation", default="offline")
    live: SplitName = param("split of labelled live rows", default="live")
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a drop needs two")
        if not (self.columns or self.classes or self.features):
            raise ValueError("asks for no slice; give `columns`, `classes` or `features`")
        if self.crossed and len(self.columns) < 2:
            raise ValueError("crossed: takes two columns at least")
        for name, least in (("bins", 2), ("minimum", 1), ("find", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}: must be at least {least}")
        if self.expected and self.find is not None:
            raise ValueError("expected: is for declared slices, and `find` looks for others")
        for column, values in self.expected.items():
            if column not in self.columns:
                raise ValueError(f"expected: {column!r} is not among `columns`")
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"expected: {column!r} needs a list of values")

    def needs(self) -> Needs:
        """Return labels, predictions and the features of both splits."""
        kinds = frozenset({"labels", "predictions", *(FEATURE + name for name in self.features)})
        return Needs({self.offline: kinds, self.live: kinds})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all slices of the view's variant."""
        variant = str(view.variant)
        offline, live = (LabelledRows(view, name, variant) for name in (self.offline, self.live))
        sides = Sides(offline.right(variant), live.right(variant))
        cuts = self._cuts(view, offline, live)
        if self.find is None:
            crossed = pairs({name: cuts[name] for name in self.columns}) if self.crossed else {}
            table = sides.count({**cuts, **crossed})
            for column, values in self.expected.items():
                for value in values:
                    table.setdefault(f"{column}={shown(value)}", (0, 0, 0, 0))
        else:
            cuts |= pairs(cuts)
            worst = self._worst(sides.count(cuts, half=0))
            judged = sides.count(cuts, half=1)
            table = {name: judged.get(name, (0, 0, 0, 0)) for name in worst}
        outcome = self._judge(table, len(live))
        outcome = hold_if_unequal(outcome, view, self.offline, self.live)
        return hold_if_unsampled(outcome, view, self.live)

    def _cuts(self, view: View, offline: LabelledRows, live: LabelledRows) -> dict[str, Cut]:
        """Return each way to cut the rows into slices."""
        whole = self.against == "whole"
        cuts: dict[str, Cut] = {}
        for column in self.columns:
            before = None if whole else by_column(column, offline)
            cuts[column] = before, by_column(column, live)
        if self.classes:
            names = {
                label: view.class_name(label)
                for label in {*offline.label.tolist(), *live.label.tolist()}
            }
            cuts["class"] = by_class(offline, names), by_class(live, names)
        for feature in self.features:
            cuts[feature] = by_feature(feature, offline, live, self.bins)
        return {name: (None, now) for name, (_, now) in cuts.items()} if whole else cuts

    def _worst(self, table: Mapping[str, Counts]) -> list[str]:
        """Return the slices that look worst, by what their drops are at least."""
        drops = {
            name: stats.proportion_drop(*counts).lower_bound
            for name, counts in table.items()
            if self._large(counts)
        }
        if not drops:
            raise stats.TooFewRowsError(
                f"no slice has {self.minimum} live rows in the half that slices are looked for in"
            )
        return sorted(drops, key=lambda name: -drops[name])[: self.find]

    def _large(self, counts: Counts) -> bool:
        return counts[1] > 0 and counts[3] >= self.minimum

    def _judge(self, table: Mapping[str, Counts], live_n: int) -> Outcome:
        x1, n1, x2, n2 = np.array(list(table.values()), dtype=np.int64).T
        alpha, allowed = level(self.confidence), threshold(self.max_drop, "pp")
        found = stats.worst_group(
            x1, n1, x2, n2, margin=self.max_drop, minimum=self.minimum, alpha=alpha
        )
        slices = [
            Slice(name, counts, status, drop)
            for (name, counts), status, drop in zip(
                table.items(), found.statuses, found.drops, strict=True
            )
        ]
        slices.sort(key=lambda one: -(one.drop.value if one.drop is not None else 1.0))
        failed = [one for one in slices if one.status == "failed"]
        small = [one for one in slices if not self._large(one.counts)]
        open_ = [one for one in slices if one.status == "inconclusive" and one not in small]
        all_ = f"of {len(slices)} slices"
        if self.find is not None:
            all_ = f"of the {len(slices)} worst slices (found on the other half of the rows)"
        needed = None
        if failed:
            told = listing([one.told for one in failed])
            message = f"{len(failed)} {all_} fell by more than {allowed}: {told}"
        elif open_ or small:
            needed = None if small else _needed(open_, self.max_drop, live_n)
            parts = []
            if open_:
                told = listing([one.told for one in open_])
                parts.append(f"{len(open_)} {all_} may have fallen by more than {allowed}: {told}")
            if small:
                told = listing([f"{one.name} (n {one.counts[3]:,})" for one in small])
                parts.append(
                    f"{len(small)} {all_} cannot be judged, with fewer than {self.minimum} live "
                    f"rows or none offline: {told}"
                )
            else:
                parts.append(settle(needed, live_n, "labelled live rows"))
            message = ". ".join(parts)
        else:
            message = f"none {all_} fell by more than {allowed}; the most did {slices[0].told}"
        details = {"slices": {one.name: one.json() for one in slices}}
        return Outcome(
            found.status, message, found.worst, {"max_drop": self.max_drop}, needed, details=details
        )


@dataclass(frozen=True, slots=True)
class Slice:
    """What is shown about one slice."""

    name: str
    counts: Counts
    status: str
    drop: Estimate | None

    @property
    def told(self) -> str:
        """The slice in words: 'camera=A 12.1 pp [9.0, 15.2] (n 800)'."""
        if self.drop is None:
            return self.name
        fell = f"{points(self.drop.value)} {interval(self.drop.low, self.drop.high)}"
        return f"{self.name} {fell} (n {self.drop.n:,})"

    def json(self) -> dict[str, Any]:
        """Return the slice as JSON values."""
        return {
            "offline": list(self.counts[:2]),
            "live": list(self.counts[2:]),
            "status": self.status,
            "drop": None if self.drop is None else asdict(self.drop),
        }


def _needed(slices: Sequence[Slice], margin: float, live_n: int) -> int | None:
    """Return the live rows, over all slices, from which the last of these is settled."""
    most = 0
    for one in slices:
        x1, n1, x2, n2 = one.counts
        before, now = stats.proportion(x1, n1), stats.proportion(x2, n2)
        other = (before.upper_bound - before.lower_bound) / 2
        gap = abs(x1 / n1 - x2 / n2 - margin)
        needed = stats.rows_to_settle(now, gap, other=other)
        if needed is None:
            return None
        most = max(most, math.ceil(needed * live_n / n2))
    return most
