"""The smallest change of the environment that breaks a property: found on one half of the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.change import Change
from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.identity import digest
from modelchecks.inference import Model
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.environment import changed
from modelchecks.probes.pictures import picture
from modelchecks.probes.rows import Drawn, draw, logits_of, module_of
from modelchecks.probes.strategies import smallest
from modelchecks.stats.paired import paired_bounds

ALPHA = 0.05
"""What the search calls broken; not the check's own level, which a ledger may lower at each look
without anything to be searched again. Which change is decided depends on it, the decision does not.
"""
POWER = 0.9
"""How probably the other half confirms what is found: the search asks for that much more."""
PICTURES = 3


@dataclass
class Half:
    """Some rows, what the model says to them as they are, and what a change does to that."""

    model: Model
    rows: Drawn
    drop: bool
    seed: int
    seen: dict[Change, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clean = logits_of(self.model, self.rows)

    def shown(self, change: Change) -> Drawn:
        """Return the rows under a change."""
        images: list[NDArray[Any]] = [np.empty(0)] * len(self.rows)
        for where, group in self.rows.groups():
            for place, image in zip(
                where.tolist(), changed(group, change, seed=self.seed), strict=True
            ):
                images[place] = image
        return Drawn(self.rows.ids, self.rows.labels, tuple(images))

    def counts(self, change: Change) -> list[int]:
        """Return rows that are right [both, only clean, only changed, neither] times.

        Without labels 'right' is what the model said to the image as it is.
        """
        if change not in self.seen:
            answers = self.clean.argmax(1)
            truth = self.rows.labels if self.drop else answers
            right = answers == truth
            still = logits_of(self.model, self.shown(change)).argmax(1) == truth
            pairs = ((right & still), (right & ~still), (~right & still), (~right & ~still))
            self.seen[change] = [int(pair.sum()) for pair in pairs]
        return self.seen[change]

    def effect(self, change: Change) -> float:
        """Return the share of rows lost (or flipped)."""
        _, lost, won, _ = self.counts(change)
        return (lost - won) / len(self.rows)

    def bound(self, change: Change, alpha: float) -> float:
        """Return the lower bound of the effect."""
        _, lost, won, _ = self.counts(change)
        if not self.drop:
            return float(stats.clopper_pearson(lost, len(self.rows), alpha=alpha)[0])
        return float(paired_bounds(lost, won, len(self.rows), alpha=alpha)[0])


class Search(AtOnce):
    """The smallest change that breaks a property on one half, with what it does on the other."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels"})
    packages: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "pillow", "hypothesis")

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {rows, searched, tried, change, found, first, second, known, images}.

        `change` is the smallest that broke on the first half (`found`), else the worst that was
        tried there; `first` and `second` are its counts on the halves (see `Half.counts`). `known`
        are the counts of the committed ones on the second half.
        """
        options = dict(request.options)
        drop, limit = options["property"] == "drop", float(options["limit"] or 0)
        rows = draw(context, request.split, int(options["images"] or 0), labelled=drop)
        if len(rows) < 2:
            raise EvidenceError(f"split {request.split!r} has {len(rows)} rows; a search needs two")
        model, seed = module_of(context, request.variant), context.suite.compute.seed
        half = len(rows) // 2
        first, second = (
            Half(model, part, drop, seed)
            for part in (rows.part(0, half), rows.part(half, len(rows)))
        )
        within = Change(**json.loads(str(options["within"])))
        known = [Change(**amounts) for amounts in json.loads(str(options["known"]))]
        sure = _surer(ALPHA)

        def breaks(change: Change) -> bool:
            # A known change was not chosen by these rows: it is tried where it is judged.
            if change in known:
                return second.bound(change, ALPHA) > limit
            return first.bound(change, sure) > limit

        found = smallest(
            within,
            known,
            first.effect,
            breaks,
            tries=int(options["examples"] or 0),
            start=seed,
            folder=context.own_folder / digest(list(request.options))[:16],
        )
        tried = [change for change in first.seen if any(change.amounts().values())]
        chosen = found or max([*tried, *known], key=first.effect, default=Change())
        return {
            "rows": len(second.rows),
            "searched": len(first.rows),
            "tried": len(tried),
            "change": chosen.amounts(),
            "found": found is not None,
            "first": first.counts(chosen),
            "second": second.counts(chosen),
            "known": [second.counts(change) for change in known],
            "images": _pictures(context, second, chosen),
        }


def _surer(alpha: float) -> float:
    """Return the level at which the search calls a property broken.

    What only just breaks at alpha on one half is confirmed by the other half of the time. This
    asks for as much more as makes it `POWER`.
    """
    from scipy.special import ndtr, ndtri

    return float(ndtr(-(ndtri(1 - alpha) + ndtri(POWER))))


def _pictures(context: ProbeContext, half: Half, change: Change) -> list[dict[str, str]]:
    """Return before and after of some rows whose answer a change turns."""
    shown = half.shown(change)
    after, before = logits_of(half.model, shown), half.clean
    right = before.argmax(1) == half.rows.labels if half.drop else np.ones(len(before), np.bool_)
    turned = np.flatnonzero((before.argmax(1) != after.argmax(1)) & right)[:PICTURES]
    pictures = []
    for row in turned.tolist():
        for what, logits, images in (
            ("before", before, half.rows.images),
            ("after", after, shown.images),
        ):
            chances = np.exp(logits[row] - logits[row].max())
            answer = int(chances.argmax())
            names = context.suite.classes
            name = names[answer] if answer < len(names) else str(answer)
            sure = 100 * float(chances[answer] / chances.sum())
            caption = f"{half.rows.ids[row]} {what}: {name}, {sure:.0f} %"
            pictures.append(picture(caption, images[row]))
    return pictures
