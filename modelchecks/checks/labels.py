"""Are the labels those of the classes that the model knows, and are they right?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import check_confidence, hold_if_unequal, level, settle
from modelchecks.checks.leakage import twins
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.facets import HASHES
from modelchecks.results import Severity, Status
from modelchecks.stats.confident import label_noise, renumbered
from modelchecks.stats.temperature import softmax
from modelchecks.wording import interval, listing, percent, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of every split are of the classes that the reference has, all of them.

    Statistic: over all rows, classes that the reference has not (new, or renumbered), the share of
    rows that have a label, and images that are there twice with different labels (equal pixels, as
    `duplicates` finds them, in the split and in the reference). A class without any row is missing
    where chance does not explain it: with the lower bound p of its share in the reference,
    (1 - p)^n is at most alpha, shared among the classes (Bonferroni); where it does, the case is
    inconclusive and says how many labelled rows would tell. That classes are more or less frequent
    is no fault here: the distance is shown, and `label_drift` judges it.

    Assumes: labelled rows are drawn independently of their class.

    Reference: Breck et al. (2019), Data Validation for Machine Learning, MLSys; Clopper and Pearson
    (1934), Biometrika 26, 404-413.

    Example:
      - labels: {reference: train, splits: [offline, live], min_labelled: 95%}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "data"

    splits: tuple[SplitName, ...] = param("splits to look at")
    reference: SplitName = param("split that the model was trained on", default="train")
    min_labelled: Share = param("smallest share of rows that have a label", default=0.0)
    min_share: Share = param("rarer classes of the reference may be missing", default=0.001)
    conflicts: bool = param("whether equal images are looked for", default=True)
    max_conflicts: Share = param("largest share of rows at odds with an equal one", default=0.001)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not self.splits:
            raise ValueError("splits: is empty; name at least one")
        if self.reference in self.splits:
            raise ValueError("splits: names the reference, which has its own classes")

    def needs(self) -> Needs:
        """Return labels, and where conflicts are looked for, hashes and probes."""
        kinds = frozenset({"labels", HASHES} if self.conflicts else {"labels"})
        probes = []
        for split in self.splits if self.conflicts else ():
            probes += [twins(split), twins(split, self.reference)]
        return Needs(dict.fromkeys((self.reference, *self.splits), kinds), tuple(probes))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all splits."""
        known = view.split(self.reference).label_counts()
        found = _Labels()
        for split in self.splits:
            evidence = view.split(split)
            share = evidence.labelled / evidence.total if evidence.total else 0.0
            if share < self.min_labelled:
                has = f"{evidence.labelled:,} of {evidence.total:,} rows ({percent(share)})"
                asked = threshold(self.min_labelled, "%")
                found.faults.append(f"{split}: {has} have a label, {asked} are asked")
            if not evidence.labelled:
                found.open.append(f"{split}: no row has a label yet")
            else:
                self._classes(view, evidence, known, found)
            if self.conflicts:
                self._conflicts(view, split, evidence, found)
        return found.outcome(f"labels of {', '.join(self.splits)} are those of {self.reference}")

    def _classes(
        self, view: View, evidence: Evidence, known: Mapping[int, int], found: _Labels
    ) -> None:
        split, counts = evidence.split, evidence.label_counts()
        n, all_known = sum(counts.values()), sum(known.values())
        for label in sorted(set(counts) - set(known)):
            rows = listing(_rows_of(evidence, label))
            name = view.class_name(label)
            text = f"{split}: class {name} is new ({counts[label]:,} rows: {rows})"
            found.faults.append(f"{text}; {self.reference} has no such label")
        expected = [c for c in known if known[c] / all_known >= self.min_share]
        alpha = level(self.confidence) / max(len(expected), 1)
        for label in sorted(set(expected) - set(counts)):
            least = stats.proportion(known[label], all_known, alpha=alpha).lower_bound
            chance = (1 - least) ** n
            share = percent(known[label] / all_known)
            text = f"{split}: class {view.class_name(label)} has no row among {n:,} labelled ones"
            text = f"{text}; {self.reference} has {share}"
            if evidence.drawn:
                found.open.append(
                    f"{text}; its rows do not count equally, so chance may explain it"
                )
            elif chance <= alpha:
                found.faults.append(f"{text}, so chance does not explain it (p {chance:.1g})")
            else:
                needed = math.ceil(math.log(alpha) / math.log1p(-least))
                found.needed = max(needed, found.needed or 0)
                found.open.append(f"{text}. {settle(needed, n, 'labelled rows')}")
        classes = sorted({*known, *counts})
        before, after = (np.array([one.get(c, 0) for c in classes]) for one in (known, counts))
        moved = stats.total_variation(before, after, alpha=level(self.confidence))
        found.shifts[split] = asdict(moved)
        if moved.lower_bound > 0:
            found.notes.append(
                f"{split}: classes are otherwise as frequent as before but for "
                f"{percent(moved.value)} of the rows, which `label_drift` judges"
            )

    def _conflicts(self, view: View, split: str, evidence: Evidence, found: _Labels) -> None:
        for other in (None, self.reference):
            facts = view.probe(twins(split, other))
            where = f"in {other}" if other else "there"
            count, unread = int(facts["conflicts"]), int(facts["unread"])
            if count / evidence.total > self.max_conflicts:
                pairs = [e for e in facts["examples"] if e["kind"] == "conflict"]
                told = listing([_pair(view, pair) for pair in pairs])
                found.faults.append(
                    f"{split}: {count:,} rows ({percent(count / evidence.total, 2)}) have an equal "
                    f"image {where} with another label: {told}"
                )
                for pair in pairs:
                    for side in ("row", "copy_of"):
                        picture = pair[side]["picture"]
                        if picture is not None:
                            caption = f"{pair[side]['id']}: {_named(view, pair[side]['label'])}"
                            found.pictures.append({"caption": caption, "png": picture})
            elif unread / evidence.total > max(self.max_conflicts, _UNREAD):
                found.open.append(f"{split}: {unread:,} images cannot be read, so not compared")


_UNREAD = 0.01
"""So many images may be unreadable without leaving open whether equal ones have other labels."""


@dataclass(slots=True)
class _Labels:
    """What was found so far."""

    faults: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    needed: int | None = None
    shifts: dict[str, Any] = field(default_factory=dict)
    pictures: list[dict[str, Any]] = field(default_factory=list)

    def outcome(self, held: str) -> Outcome:
        """Return failed for any fault, passed where nothing is left open."""
        status: Status = "failed" if self.faults else "inconclusive" if self.open else "passed"
        parts = [listing(some, 4) for some in (self.faults, self.open) if some] or [held]
        details = {"prior_shift": self.shifts, "images": self.pictures}
        message = ". ".join([*parts, *self.notes])
        needed = self.needed if status == "inconclusive" else None
        return Outcome(status, message, needed=needed, details=details)


def _rows_of(evidence: Evidence, label: int) -> list[str]:
    """Return the ids of some sampled rows of a class."""
    ids = evidence.sample("id", labelled=True)
    return [str(row) for row in ids[evidence.sample("label", labelled=True) == label][:4]]


def _pair(view: View, pair: Mapping[str, Any]) -> str:
    sides = [pair[side] for side in ("row", "copy_of")]
    return " = ".join(f"{side['id']} ({_named(view, side['label'])})" for side in sides)


def _named(view: View, label: Any) -> str:
    return view.class_name(label) if isinstance(label, int) else str(label)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise:
    """At most `max_noise` of the labels of a split are wrong, as the variant's answers suggest.

    Statistic: confident learning. A row whose probability of another class is at least that class's
    mean probability, and the largest such, counts as mislabelled; shares are weighted by class,
    with bounds. The rows to look at first are listed. Besides, classes are looked for that seem to
    have changed numbers: a cycle of classes, each answered as the next in more than half of its
    rows. Passed when the upper bound is within the limit and there is no cycle.

    Assumes: the variant was not trained on these rows, and is mostly right on them. Where it errs
    with confidence (after a shift, in classes that look alike) its errors are taken for wrong
    labels, so the estimate is too high rather than too low: ask it offline, not live. The severity
    is `warn` unless set.

    Reference: Northcutt, Jiang and Chuang (2021), Confident Learning, Journal of Artificial
    Intelligence Research 70, 1373-1411.

    Example:
      - label_noise: {split: offline, max_noise: 5%}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    split: SplitName = param("split to look at", default="offline")
    max_noise: Share = param("largest allowed share of wrong labels", default=0.05)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)

    def needs(self) -> Needs:
        """Return the labels and the variant's logits."""
        return Needs({self.split: frozenset({"labels", "logits"})})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the estimated share of wrong labels."""
        variant, alpha = str(view.variant), level(self.confidence)
        evidence = view.split(self.split)
        counts = evidence.confusion(variant)
        labels = evidence.sample("label", labelled=True)
        chances = softmax(evidence.sample(f"logits:{variant}", labelled=True).astype(np.float64))
        noise = label_noise(chances, labels, alpha=alpha)
        size = chances.shape[1]
        if any(answer >= size for _, answer in counts):
            raise EvidenceError(f"variant {variant!r} answers classes that it has no output for")
        table = np.zeros((size, size), dtype=np.int64)
        for (label, answer), count in counts.items():
            table[label, answer] = count
        cycles = [
            " → ".join(view.class_name(label) for label in (*cycle, cycle[0]))
            for cycle in renumbered(table, alpha=alpha)
        ]
        status: Status = stats.decide(noise.share, self.max_noise)
        share = noise.share
        told = f"{percent(share.value)} {interval(share.low, share.high)} of the labels of"
        told = f"{told} {self.split} look wrong (n {share.n:,}), allowed"
        message = f"{told} {threshold(self.max_noise, '%')}"
        ids = evidence.sample("id", labelled=True)
        first = [
            f"{ids[row]} ({view.class_name(int(labels[row]))}, rather "
            f"{view.class_name(int(noise.likely[row]))})"
            for row in noise.order[:5].tolist()
        ]
        if first and status != "passed":
            message = f"{message}; look first at {listing(first)}"
        if cycles:
            status = "failed"
            message = f"classes seem to be renumbered: {listing(cycles)}. {message}"
        details: dict[str, Any] = {"look_first": first, "renumbered": cycles}
        details["likely"] = _largest(view, noise.joint)
        limits = {"max_noise": self.max_noise}
        outcome = Outcome(status, message, share, limits, details={"unit": "%", **details})
        return hold_if_unequal(outcome, view, self.split)


def _largest(view: View, joint: np.ndarray[Any, np.dtype[np.float64]]) -> Sequence[dict[str, Any]]:
    """Return the pairs of classes that are taken for one another most."""
    off = joint - np.diag(np.diag(joint))
    pairs = [divmod(int(place), len(off)) for place in np.argsort(-off, axis=None)[:10]]
    return [
        {"label": view.class_name(a), "likely": view.class_name(b), "share": float(off[a, b])}
        for a, b in pairs
        if off[a, b] > 0
    ]
