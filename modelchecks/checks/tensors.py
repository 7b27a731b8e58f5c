"""Are the tensors that a variant gets like those that it was trained on?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import check_confidence, hold_if_unequal, level
from modelchecks.checks.scale import Findings, Scale
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.inputs import PLAIN
from modelchecks.results import Severity
from modelchecks.wording import listing, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSchema:
    """The tensors that the variant gets, after its own transform, are like those of the reference.

    Statistic: over all rows, the tensors' shape and type, their range, and how many hold NaN or one
    value only. On the sample, channel by channel: the shift of the mean in standard deviations of a
    reference value, and the ratio of these deviations, each with bounds (Bonferroni over channels
    for failing). This is where a forgotten division by 255 or a normalisation with other constants
    shows, whatever the images looked like before.

    Assumes: images are independent. The reference goes through the same transform, so a fault that
    both share is seen only by `shape` and `range`; `parity` compares two transforms.

    Reference: Breck et al. (2019), Data Validation for Machine Learning, MLSys (training-serving
    skew).

    Example:
      - tensor_schema: {reference: offline, splits: [live], shape: [1, 28, 28], range: [0, 1]}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    splits: tuple[SplitName, ...] = param("splits to look at")
    reference: SplitName = param("split that the model was made for", default="train")
    shape: tuple[int, ...] | None = param("[channels, height, width]", default=None)
    dtype: str | None = param("type of the tensors, such as float32", default=None)
    range: tuple[float, ...] | None = param("[smallest, largest] allowed value", default=None)
    max_flat: Share = param("largest share of tensors that hold one value", default=0.005)
    max_shift: float = param("largest shift of a channel's mean, in deviations", default=0.5)
    max_ratio: float = param("largest ratio of a channel's deviations", default=1.75)
    confidence: Share = param("one-sided confidence of decisions on the sample", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not self.splits:
            raise ValueError("splits: is empty; name at least one")
        if self.range is not None and (len(self.range) != 2 or self.range[0] > self.range[1]):
            raise ValueError("range: must be [smallest, largest]")
        if self.max_ratio < 1:
            raise ValueError("max_ratio: is a factor, so at least 1")

    def needs(self) -> Needs:
        """Return the facts of the tensors that the variant gets."""
        return Needs(dict.fromkeys((self.reference, *self.splits), frozenset({"inputs"})))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all splits, channels and questions."""
        variant, findings = str(view.variant), Findings()
        reference = view.split(self.reference)
        expected = _tensors(reference, variant)
        for split in (*self.splits, *([] if self.reference in self.splits else [self.reference])):
            evidence = view.split(split)
            told = self._faults(evidence, variant, _tensors(evidence, variant), expected)
            findings.facts += [f"{split}: {text}" for text in told]
        for split in self.splits:
            if split != self.reference:
                self._scales(view.split(split), reference, variant, findings)
        names = ", ".join(self.splits)
        outcome = findings.outcome(f"tensors of {names} are like those of {self.reference}")
        if findings.facts:
            # Counts over all rows are what they are, however these were drawn.
            return outcome
        return hold_if_unequal(outcome, view, self.reference, *self.splits, labelled=False)

    def _faults(
        self, evidence: Evidence, variant: str, seen: dict[str, int], expected: dict[str, int]
    ) -> Iterator[str]:
        counts, totals = evidence.totals.counts, evidence.totals
        shape = None if self.shape is None else "x".join(map(str, self.shape))
        for kind, count in seen.items():
            had_shape, had_type = kind.split(" ")
            if shape not in (None, had_shape) or self.dtype not in (None, had_type):
                asked = " ".join(filter(None, (shape, self.dtype)))
                yield f"{count:,} tensors are {kind}, not {asked}"
            elif kind not in expected:
                yield f"{count:,} tensors are {kind}; {self.reference} has {listing([*expected])}"
        broken = counts.get(("input_broken", variant), 0)
        if broken:
            rows = listing(totals.examples.get(("input_broken", variant), ()))
            yield f"{broken:,} tensors hold NaN or infinity: {rows}"
        flat = counts.get(("input_flat", variant), 0)
        if flat / evidence.total > self.max_flat:
            rows = listing(totals.examples.get(("input_flat", variant), ()))
            yield f"{flat:,} tensors ({percent(flat / evidence.total)}) hold one value only: {rows}"
        low, high = totals.lows.get(("input", variant)), totals.highs.get(("input", variant))
        if self.range is None or low is None or high is None:
            return
        if low < self.range[0] or high > self.range[1]:
            wanted = f"{self.range[0]:g} to {self.range[1]:g}"
            yield f"values {low:g} to {high:g} leave the range {wanted}"

    def _scales(
        self, current: Evidence, reference: Evidence, variant: str, findings: Findings
    ) -> None:
        ours, theirs = (one.sample(f"inputs:{variant}") for one in (current, reference))
        if ours.shape[1] != theirs.shape[1]:
            findings.facts.append(f"{current.split}: another number of channels")
            return
        channels = (ours.shape[1] - len(PLAIN)) // 2
        # Failing any of them is to be as rare as failing one.
        alpha = level(self.confidence) / channels
        for channel in range(channels):
            columns = [len(PLAIN) + channel, len(PLAIN) + channels + channel]
            before, now = (side[:, columns] for side in (theirs, ours))
            before, now = (side[np.isfinite(side).all(axis=1)] for side in (before, now))
            name = f"{current.split} channel {channel}" if channels > 1 else current.split
            if len(before) and len(now):
                scale = Scale(before, now, self.max_shift, self.max_ratio, alpha)
                scale.judge(name, findings)


def _tensors(evidence: Evidence, variant: str) -> dict[str, int]:
    """Return how many tensors have each shape and type; EvidenceError where there are none."""
    evidence.sample(f"inputs:{variant}")
    found = {
        str(key[2]): count
        for key, count in evidence.totals.counts.items()
        if key[:2] == ("input", variant)
    }
    if not found:
        raise EvidenceError(f"variant {variant!r} got no tensor on split {evidence.split!r}")
    if sum(found.values()) + evidence.totals.counts.get(("unreadable",), 0) != evidence.total:
        raise EvidenceError(
            f"variant {variant!r} got {sum(found.values()):,} tensors for {evidence.total:,} rows "
            f"of {evidence.split!r}"
        )
    return found
