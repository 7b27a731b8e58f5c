"""The labelled rows of a split as arrays, for questions that totals cannot answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks import stats
from modelchecks.check import View
from modelchecks.errors import EvidenceError
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.temperature import softmax

Bools = NDArray[np.bool_]


class LabelledRows:
    """A random sample of a split's labelled rows: the same rows, in one order, for all variants.

    All of them, up to `compute.max_rows`. Raises EvidenceError where the answers of one of the
    variants have any gap.
    """

    def __init__(self, view: View, split: str, *variants: str) -> None:
        self.split, self.evidence = split, view.split(split)
        for variant in variants:
            # It knows every gap: answers that are missing or not finite, labels of other classes.
            self.evidence.confusion(variant)
        self.label: NDArray[np.int64] = self.column("label")

    def __len__(self) -> int:
        return len(self.label)

    def column(self, name: str) -> NDArray[Any]:
        """Return one column of the rows."""
        return self.evidence.sample(name, labelled=True)

    def right(self, variant: str) -> Bools:
        """Return whether the variant was right, row by row."""
        return np.asarray(self.column(f"predicted:{variant}") == self.label)

    def confidence(self, variant: str) -> NDArray[np.float64]:
        """Return how sure the variant was of its answers, 0 to 1."""
        found = self.column(f"confidence:{variant}").astype(np.float64)
        return known_confidence(found, variant, self.split)

    def probabilities(self, variant: str) -> NDArray[np.float64]:
        """Return the probabilities (rows, classes) that the variant gave."""
        return softmax(self.column(f"logits:{variant}").astype(np.float64))

    @property
    def weights(self) -> NDArray[Any] | None:
        """The inverse chances that the rows were drawn with, where they are declared."""
        return self.column("weight") if "weight" in self.evidence.drawn else None

    @property
    def groups(self) -> NDArray[Any] | None:
        """The names of the groups that the rows come in, where they are declared."""
        return self.column("group") if "group" in self.evidence.drawn else None

    def mean(self, values: NDArray[Any], alpha: float) -> Estimate:
        """Return the mean of a number between 0 and 1 per row, as the rows were drawn."""
        try:
            return stats.bounded_mean(values, weights=self.weights, groups=self.groups, alpha=alpha)
        except ValueError as error:
            raise EvidenceError(f"split {self.split!r}: {error}") from error

    def gain(self, variant: str, over: str, alpha: float) -> Estimate:
        """Return the accuracy of a variant minus that of another one, on the same rows."""
        a, b = self.right(variant), self.right(over)
        if self.evidence.drawn:
            half = self.mean((1.0 + a - b) / 2, alpha)
            names = ("value", "low", "high", "lower_bound", "upper_bound")
            gain = {name: 2 * float(getattr(half, name)) - 1 for name in names}
            return replace(half, **gain, method="beta-mean-paired")  # type: ignore[arg-type]
        counts = [int((x & y).sum()) for x in (a, ~a) for y in (b, ~b)]
        both, only_a, only_b, neither = counts
        return stats.paired_gain(both, only_a, only_b, neither, alpha=alpha)


def known_confidence(
    confidence: NDArray[np.float64], variant: str, split: str
) -> NDArray[np.float64]:
    """Return the confidences, or raise where the log tells none."""
    if np.isnan(confidence).any():
        raise EvidenceError(
            f"variant {variant!r} has no confidence in its answers on split {split!r}: its log "
            "holds classes. Log one list of probabilities per row"
        )
    # A logged list need not sum to 1 to the last digit.
    return np.minimum(confidence, 1.0)
