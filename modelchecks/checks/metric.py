"""One metric of a variant's labelled rows: how a suite names it, its bounds, and how it reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelchecks import registry, stats
from modelchecks.check import View
from modelchecks.checks.labelled import LabelledRows
from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.evidence import Evidence
from modelchecks.stats.confusion import CONFUSION_METRICS, OF_ONE_CLASS
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, percent, points, threshold

_CALL = re.compile(r"(\w+)\((.+)\)")
_TITLES = {
    "auroc": "AUROC",
    "brier": "Brier score",
    "f1": "F1",
    "kappa": "Cohen's kappa",
    "log_loss": "log loss",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
}
_PLAIN = frozenset({"auroc", "brier", "kappa", "log_loss"})
"""Metrics that are no share of anything, so nobody reads them in percent."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as a suite names it: `accuracy`, `f1(Shirt)`, `top_k(3)` or `module:function`."""

    text: str
    name: str
    argument: str | None
    lower_is_better: bool

    @classmethod
    def parse(cls, text: str, lower_is_better: bool = False) -> Metric:
        """Return the metric that a text names, or raise ValueError that says what is wrong."""
        if ":" in text and not _CALL.fullmatch(text):
            return cls(text, text, None, lower_is_better)
        called = _CALL.fullmatch(text)
        name, argument = (called[1], called[2].strip()) if called else (text, None)
        if name not in stats.METRICS:
            known = [*stats.METRICS, "module:function"]
            raise ValueError(f"metric: {text!r} is unknown{did_you_mean(name, known)}")
        if lower_is_better:
            raise ValueError(
                "lower_is_better: is for a function of your own; of others it is known"
            )
        takes = "CLASS" if name in OF_ONE_CLASS else "K" if name == "top_k" else None
        if (takes is None) != (argument is None):
            written = name if takes is None else f"{name}({takes})"
            raise ValueError(f"metric: {text!r} must be written {written}")
        if name == "top_k" and not str(argument).isdecimal():
            raise ValueError(f"metric: {text!r} must name a number of classes, such as top_k(3)")
        return cls(text, name, argument, name in stats.LOWER_IS_BETTER)

    @property
    def is_accuracy(self) -> bool:
        """Whether it is the share of right answers."""
        return self.name == "accuracy"

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1 and reads in percent."""
        return ":" not in self.name and self.name not in _PLAIN

    @property
    def needs(self) -> frozenset[str]:
        """The kinds of evidence that it is computed from."""
        of_classes = self.name in CONFUSION_METRICS
        return frozenset({"labels", "predictions"} | (set() if of_classes else {"logits"}))

    @property
    def title(self) -> str:
        """What people call it."""
        if self.name == "top_k":
            return f"top-{self.argument} accuracy"
        title = _TITLES.get(self.name, self.name.replace("_", " "))
        return title if self.argument is None else f"{title} of {self.argument}"

    def measure(self, view: View, split: str, variant: str, alpha: float) -> Estimate:
        """Return the metric of a variant on a split, its bounds of level `alpha`.

        Of all labelled rows where a table of classes says it all, else of their sample. Raises
        EvidenceError for a gap, TooFewRowsError where the rows do not carry the metric.
        """
        evidence = view.split(split)
        label = self._label(view) if self.name in OF_ONE_CLASS else None
        own = ":" in self.name
        if evidence.drawn - ({"weight"} if own else set()) and self.name not in stats.MEANS:
            raise EvidenceError(
                f"{self.title} has no bounds for rows with weights or in groups, as those of split "
                f"{split!r} are; {', '.join(sorted(stats.MEANS))} have"
            )
        try:
            if not evidence.drawn and self.is_accuracy:
                return stats.proportion(*evidence.correct(variant), alpha=alpha)
            if not evidence.drawn and self.name in CONFUSION_METRICS:
                table = _table(evidence, variant, len(view.class_names), label)
                return stats.confusion_metric(self.name, table, label=label, alpha=alpha)
            rows = LabelledRows(view, split, variant)
            if self.is_accuracy:
                return rows.mean(rows.right(variant), alpha)
            return self._of_rows(view, rows, variant, alpha)
        except stats.TooFewRowsError as error:
            raise stats.TooFewRowsError(f"{self.title} on split {split!r}: {error}") from error
        except ValueError as error:
            if own:  # Its own fault, which is told with the place where it arose.
                raise
            raise EvidenceError(f"{self.title} on split {split!r}: {error}") from error

    def _of_rows(self, view: View, rows: LabelledRows, variant: str, alpha: float) -> Estimate:
        function: str | Callable[..., float] = self.name
        if ":" in self.name:
            try:
                function = registry.load(self.name, view.folder)
            except registry.UnknownNameError as error:
                raise EvidenceError(str(error)) from error
        k = int(str(self.argument)) if self.name == "top_k" else None
        return stats.metric(
            function,
            rows.label,
            rows.probabilities(variant),
            k=k,
            weights=rows.weights,
            groups=rows.groups,
            alpha=alpha,
        )

    def _label(self, view: View) -> int:
        names, wanted = view.class_names, str(self.argument)
        if wanted in names:
            return names.index(wanted)
        if wanted.isdecimal():
            return int(wanted)
        raise EvidenceError(
            f"metric {self.text!r}: no class is named {wanted!r}{did_you_mean(wanted, names)}; the "
            "suite lists them under `classes:`"
        )

    def shown(self, estimate: Estimate) -> str:
        """Return an estimate as people read it: '79.0 % [78.2, 79.8] (n 10,000)'."""
        value = self.value(estimate.value)
        return f"{value} {self._interval(estimate)} (n {estimate.n:,})"

    def value(self, value: float) -> str:
        """Return one value of the metric: '79.0 %' or '0.412'."""
        return percent(value) if self.is_share else f"{value:.3f}"

    def change(self, value: float) -> str:
        """Return a difference of two values: '1.2 pp' or '0.041'."""
        return points(value) if self.is_share else f"{value:z.3f}"

    def changed(self, drop: Estimate) -> str:
        """Return a difference with its interval."""
        return f"{self.change(drop.value)} {self._interval(drop)}"

    def limit(self, margin: float) -> str:
        """Return a threshold for a difference, with as many digits as it was given."""
        return threshold(margin, "pp") if self.is_share else f"{margin:g}"

    def _interval(self, estimate: Estimate) -> str:
        if self.is_share:
            return interval(estimate.low, estimate.high)
        return f"[{estimate.low:z.3f}, {estimate.high:z.3f}]"


def _table(evidence: Evidence, variant: str, classes: int, label: int | None) -> NDArray[np.int64]:
    """Return the table of true classes by answers, over all labelled rows."""
    counts = evidence.confusion(variant)
    largest = max(max(pair) for pair in counts)
    size = max(largest + 1, classes, 2, 0 if label is None else label + 1)
    table: NDArray[np.int64] = np.zeros((size, size), dtype=np.int64)
    for (truth, answer), count in counts.items():
        table[truth, answer] = count
    return table
