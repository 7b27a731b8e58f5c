"""Are images in more than one place: twice in a split, or in the training set and in another?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, Share, SplitName, View, param
from modelchecks.errors import EvidenceError
from modelchecks.facets import HASHES
from modelchecks.results import Severity, Status
from modelchecks.wording import listing, percent, points, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Hardly any image of a split is there twice.

    Statistic: counts over all rows, no sample. An exact copy has the same decoded pixels; a near
    copy has almost the same (saved again, resized, brightened, slightly cropped): its perceptual
    hash is found in hash tables and its thumbnail, aligned, lies nearer than different images of
    this set do, measured on the set itself, so that sets of look-alikes (digits, garments) are not
    called full of copies. Of several copies all but the first count. Blank images do not: see
    `image_schema`. Failed when a share is above its limit.

    Assumes: nothing for exact copies. Near copies that were cropped by more than a few percent, or
    turned, are not found, so their number is a lower bound.

    Reference: Zauner (2010), Implementation and Benchmarking of Perceptual Image Hash Functions;
    Manku, Jain and Sarma (2007), Detecting Near-Duplicates for Web Crawling, WWW 2007.

    Example:
      - duplicates: {splits: [train, offline, live], max_exact: 0.1%}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    splits: tuple[SplitName, ...] = param("splits to look into, each for itself")
    max_exact: Share = param("largest allowed share of exact copies", default=0.001)
    max_near: Share = param("largest allowed share of near copies", default=0.005)

    def __post_init__(self) -> None:
        if not self.splits:
            raise ValueError("splits: is empty; name at least one")

    def needs(self) -> Needs:
        """Return the hashes of all rows of every split, and a probe for each."""
        kinds = dict.fromkeys(self.splits, frozenset({HASHES, "labels"}))
        return Needs(kinds, tuple(twins(split) for split in self.splits))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all splits."""
        found = {split: Found(split, "", view.probe(twins(split))) for split in self.splits}
        return _judge(list(found.values()), self.max_exact, self.max_near, [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """Hardly any image of a split is also in a split before it, such as the training set.

    Statistic: counts over all rows, exact and near copies as `duplicates` finds them; a near copy
    must lie nearer than different images of the two splits do. Failed when a share is above its
    limit. The effect is shown beside it: each variant's accuracy with and without the labelled rows
    that were found, on the sample of at most `max_rows` rows.

    Assumes: nothing for exact copies; the number of near copies is a lower bound, as in
    `duplicates`. Blank images are not counted.

    Reference: Barz and Denzler (2020), Do We Train on Test Data?, Journal of Imaging 6, 41.

    Example:
      - leakage: {splits: [train, offline, live], max_exact: 0.1%, max_near: 0.5%}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "data"

    splits: tuple[SplitName, ...] = param("splits, the one that the model was trained on first")
    max_exact: Share = param("largest allowed share of exact copies", default=0.001)
    max_near: Share = param("largest allowed share of near copies", default=0.005)
    effect: bool = param("show accuracies without the leaked rows", default=True)

    def __post_init__(self) -> None:
        if len(set(self.splits)) != len(self.splits) or len(self.splits) < 2:
            raise ValueError("splits: must name two different splits at least")

    def needs(self) -> Needs:
        """Return the hashes of all rows, a probe for each pair, and answers to show the effect."""
        kinds = {split: frozenset({HASHES, "labels"}) for split in self.splits}
        if self.effect:
            kinds |= {split: kinds[split] | {"predictions"} for split in self.splits[1:]}
        probes = tuple(twins(later, earlier) for earlier, later in self._pairs())
        return Needs(kinds, probes, "all" if self.effect else "own")

    def _pairs(self) -> list[tuple[str, str]]:
        return list(combinations(self.splits, 2))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all pairs of splits."""
        found = [
            Found(later, earlier, view.probe(twins(later, earlier)))
            for earlier, later in self._pairs()
        ]
        first = [one for one in found if one.earlier == self.splits[0]]
        effects = [_effect(view, one) for one in first] if self.effect else []
        return _judge(found, self.max_exact, self.max_near, effects)


def twins(split: str, other: str | None = None) -> ProbeRequest:
    """Return the request for the copies within a split, or of its images in another one."""
    return ProbeRequest("twins", split, others=() if other is None else (other,))


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one split, in itself or in an earlier one."""

    split: str
    earlier: str
    facts: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.facts["of"] or not self.facts["against"]:
            raise EvidenceError(f"split {self.split!r} or {self.earlier!r} has no rows")

    def share(self, kind: str) -> float:
        """Return the share of all rows that are copies of a kind, `exact` or `near`."""
        return float(self.facts[kind] / self.facts["of"])

    def most(self, kind: str) -> float:
        """Return the same if every image that cannot be read were a copy."""
        return float((self.facts[kind] + self.facts["unread"]) / self.facts["of"])

    def told(self) -> str:
        """Return what was found in words."""
        facts, where = self.facts, f" are also in {self.earlier}" if self.earlier else ""
        kinds = f"{facts['exact']:,} exact, {facts['near']:,} near copies"
        share = percent(self.share("exact") + self.share("near"), 2)
        text = f"{self.split}: {kinds} of {facts['of']:,} rows ({share}){where}"
        rows = [
            f"{one['row']['id']} {_SIGNS[one['kind']]} {one['copy_of']['id']}"
            for one in facts["examples"]
        ]
        return f"{text}, such as {listing(rows, 2)}" if rows else text


def _judge(
    found: Sequence[Found], max_exact: float, max_near: float, effects: Sequence[Mapping[str, Any]]
) -> Outcome:
    limits = {"exact": max_exact, "near": max_near}
    failed = [one for one in found if any(one.share(kind) > limits[kind] for kind in limits)]
    allowed = f"allowed are {threshold(max_exact, '%')} exact and {threshold(max_near, '%')} near"
    if failed:
        message = f"{'. '.join(one.told() for one in failed)}; {allowed}"
    else:
        worst = max(found, key=lambda one: one.share("exact") + one.share("near"))
        message = f"at most {worst.told()}; {allowed}"
    told = [effect["told"] for effect in effects if effect["rows"]]
    if told:
        message = f"{message}. {'. '.join(told)}"
    unsure = [one for one in found if any(one.most(kind) > limits[kind] for kind in limits)]
    status: Status = "failed" if failed else "inconclusive" if unsure else "passed"
    if unsure and not failed:
        message = (
            f"{message}. But {unsure[0].facts['unread']:,} images of {unsure[0].split} and "
            f"{unsure[0].earlier or unsure[0].split} cannot be read and may be copies: repair or "
            "remove these rows"
        )
    worst = max(found, key=lambda one: one.share("exact"))
    return Outcome(
        status,
        message,
        stats.proportion(worst.facts["exact"], worst.facts["of"]),
        {"max_exact": max_exact, "max_near": max_near},
        details={
            "copies": [
                {"split": one.split, "in": one.earlier or one.split, **_lean(one.facts)}
                for one in found
            ],
            "effects": [dict(effect) for effect in effects],
            "images": [picture for one in found for picture in _pictures(one)],
        },
    )


def _lean(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts without pictures and row lists, which a record does not need twice."""
    rows = [
        {
            "kind": one["kind"],
            "apart": one["apart"],
            **{side: {k: v for k, v in one[side].items() if k != "picture"} for side in _SIDES},
        }
        for one in facts["examples"]
    ]
    return {k: v for k, v in facts.items() if k not in ("sampled", "examples")} | {"examples": rows}


_SIDES = ("row", "copy_of")
_SIGNS = {"exact": "=", "near": "≈", "conflict": "="}


def _pictures(found: Found) -> list[dict[str, Any]]:
    """Return the pictures of the pairs, one after the other, each with its caption."""
    shown = []
    for one in found.facts["examples"]:
        for side, split in (("row", found.split), ("copy_of", found.earlier or found.split)):
            if one[side]["picture"] is not None:
                caption = f"{one['kind']}: {split} {one[side]['id']}"
                shown.append({"caption": caption, "png": one[side]["picture"]})
    return shown


def _effect(view: View, found: Found) -> dict[str, Any]:
    """Return each variant's accuracy on the labelled sample with and without the leaked rows."""
    leaked = np.asarray(found.facts["sampled"], dtype=np.int64)
    effect: dict[str, Any] = {"split": found.split, "rows": len(leaked), "variants": {}}
    told = []
    for variant in view.variants:
        try:
            evidence = view.split(found.split)
            evidence.correct(variant)
            label = evidence.sample("label", labelled=True)
            right = evidence.sample(f"predicted:{variant}", labelled=True) == label
            clean = ~np.isin(evidence.sample("index", labelled=True), leaked)
        except EvidenceError as error:
            effect["variants"][variant] = {"unknown": str(error)}
            continue
        if not clean.any():
            effect["variants"][variant] = {"unknown": "no labelled row is left"}
            continue
        before, after = float(right.mean()), float(right[clean].mean())
        effect["variants"][variant] = {"with": before, "without": after, "rows": int(clean.sum())}
        told.append(f"{variant} {percent(after, 2)} ({points(after - before, 2)})")
    names = ", ".join(told) or "unknown"
    effect["told"] = f"Without the {len(leaked):,} on {found.split}: {names}"
    return effect
