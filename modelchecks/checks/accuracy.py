"""Is the variant accurate enough live, and how much does it lose between offline and live?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import check_confidence, hold_if_unsampled, level, settle
from modelchecks.checks.labelled import LabelledRows, known_confidence
from modelchecks.checks.metric import Metric
from modelchecks.checks.shown import by_class
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity
from modelchecks.stats.estimate import Estimate
from modelchecks.wording import interval, percent, threshold

METRICS = (
    "accuracy, balanced_accuracy, macro_f1, weighted_f1, kappa, f1(CLASS), precision(CLASS), "
    "recall(CLASS), top_k(K), auroc, log_loss, brier, or module:function of numpy arrays (labels, "
    "probabilities[, weights])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyDrop:
    """The variant's accuracy falls by no more than `max_drop` between offline and live.

    Statistic: the difference of two accuracies on independent rows, with two one-sided bounds
    (MOVER with Clopper-Pearson limits). Passed when the upper bound is within `max_drop`, failed
    when the lower bound is beyond it, inconclusive between: then the message says how many
    labelled live rows would settle it. Any other metric has bounds of its own kind, and MOVER
    makes one of the two; of log loss, Brier score and what is `lower_is_better` the rise is judged.
    With `max_relative_drop` the drop is a share of the offline value. Weights and groups of rows
    that the split declares are honoured.

    `labels: few` sharpens a small number of live labels by the model's confidence on the unlabelled
    live rows (PPI++); a confidence that says nothing costs nothing. `offline_accuracy` puts a
    published number in the place of the offline split, exact, or measured on `offline_n` rows.
    `selected_from: K` says that the variant was picked as the best of K offline: what luck may have
    added to its offline accuracy then makes no failure.

    Assumes: the labelled live rows are a random sample of live traffic (`sampling: random` on
    the split, or `assume_random: reason`); otherwise the check can fail but not pass.

    Reference: Newcombe (1998), Statistics in Medicine 17, 873-890, method 10; Zou and Donner
    (2008), Statistics in Medicine 27, 1693-1702; Angelopoulos, Duchi and Zrnic (2023),
    arXiv:2311.01453.

    Example:
      - accuracy_drop: {offline: offline, live: live, max_drop: 5pp, confidence: 95%}
      - accuracy_drop: {metric: macro_f1, max_relative_drop: 10%}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    max_drop: Share | None = param(
        "largest allowed drop: 5pp, or 0.05", default=None, unless="max_relative_drop"
    )
    max_relative_drop: Share | None = param(
        "in place of `max_drop`: largest allowed share of the offline value", default=None
    )
    metric: str = param(METRICS, default="accuracy")
    lower_is_better: bool = param("of a function of your own: less is better", default=False)
    offline: SplitName = param(
        "split of the offline evaluation", default="offline", unless="offline_accuracy"
    )
    live: SplitName = param("split of labelled live rows", default="live")
    offline_accuracy: Share | None = param("a published value in place of `offline`", default=None)
    offline_n: int | None = param("rows behind `offline_accuracy`; none: it is exact", default=None)
    labels: Literal["all", "few"] = param(
        "few: use the model's confidence on unlabelled live rows as well", default="all"
    )
    selected_from: int = param("how many variants this one was the best of offline", default=1)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.offline_accuracy is None and self.offline == self.live:
            raise ValueError("live: is the same split as `offline`; a drop needs two")
        if (self.max_drop is None) == (self.max_relative_drop is None):
            raise ValueError("needs one of `max_drop` and `max_relative_drop`")
        metric = self._metric
        if metric.lower_is_better and self.max_drop is None:
            said = f"{metric.title} is better when lower; give `max_drop`"
            raise ValueError(f"max_relative_drop: {said}")
        if self.offline_accuracy is not None and not metric.is_share:
            raise ValueError(f"offline_accuracy: is a share, and {metric.title} is none")
        if self.offline_n is not None and (self.offline_accuracy is None or self.offline_n < 1):
            raise ValueError("offline_n: must be the number of rows behind `offline_accuracy`")
        if self.labels == "few" and not metric.is_accuracy:
            raise ValueError(f"labels: `few` is for accuracy, not for {metric.title}")
        if self.selected_from < 1:
            raise ValueError("selected_from: must be at least 1")
        if self.selected_from > 1 and not self._of_counts:
            raise ValueError("selected_from: is for the `max_drop` of accuracy, with all labels")

    @property
    def _metric(self) -> Metric:
        return Metric.parse(self.metric, self.lower_is_better)

    @property
    def _of_counts(self) -> bool:
        """Whether right answers and rows, counted on both sides, are all that is asked for."""
        exact = self.offline_accuracy is not None and self.offline_n is None
        plain = self._metric.is_accuracy and self.max_drop is not None
        return plain and self.labels == "all" and not exact

    def needs(self) -> Needs:
        """Return labels and answers of both splits."""
        splits = [self.live] if self.offline_accuracy is not None else [self.offline, self.live]
        return Needs(dict.fromkeys(splits, self._metric.needs))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the drop of the view's variant."""
        alpha, metric = level(self.confidence), self._metric
        offline, live = self._offline(view, alpha), self._live(view, alpha)
        drop = self._drop(view, offline, live)
        name = "max_drop" if self.max_drop is not None else "max_relative_drop"
        limit: float = getattr(self, name)
        status = stats.decide(drop, limit)
        needed = None
        sides = f"offline {self._told(offline)}, live {metric.shown(live)}"
        if self.max_drop is not None:
            verb = "rose" if metric.lower_is_better else "fell"
            fell = f"{metric.title} {verb} by {metric.changed(drop)}: {sides}"
            least, most = metric.change(drop.lower_bound), metric.change(drop.upper_bound)
            allowed = metric.limit(limit)
        else:
            lost = f"{percent(drop.value)} {interval(drop.low, drop.high)}"
            fell = f"{metric.title} lost {lost} of its offline value: {sides}"
            least, most = percent(drop.lower_bound), percent(drop.upper_bound)
            allowed = threshold(limit, "%")
        if live.method == "ppi++":
            fell += ", sharpened by unlabelled rows"
        if self.selected_from > 1:
            fell += f"; taken as the best of {self.selected_from} offline"
        if status == "passed":
            message = f"{fell}; at most {most}, within the allowed {allowed}"
        elif status == "failed":
            message = f"{fell}; at least {least}, over the allowed {allowed}"
        else:
            needed = self._needed(drop, offline, live, limit)
            otherwise = None if self.offline_accuracy is not None else "labelled offline rows"
            message = (
                f"{fell}; the drop may be {least} to {most} and {allowed} is allowed. "
                f"{settle(needed, live.n, 'labelled live rows', otherwise)}"
            )
        details: dict[str, Any] = {"offline": asdict(offline), "live": asdict(live)}
        if not metric.is_accuracy:
            details["metric"] = metric.text
        elif self.offline_accuracy is None:
            details |= by_class(view, self.offline, self.live)
        outcome = Outcome(status, message, drop, {name: limit}, needed, details=details)
        return hold_if_unsampled(outcome, view, self.live)

    def _offline(self, view: View, alpha: float) -> Estimate:
        known = self.offline_accuracy
        if known is None:
            return self._metric.measure(view, self.offline, str(view.variant), alpha)
        if self.offline_n is None:
            return Estimate(known, known, known, known, known, alpha, 1, "published")
        return stats.proportion(round(known * self.offline_n), self.offline_n, alpha=alpha)

    def _told(self, offline: Estimate) -> str:
        if self.offline_accuracy is not None and self.offline_n is None:
            return f"{self._metric.value(offline.value)} (published)"
        return self._metric.shown(offline)

    def _live(self, view: View, alpha: float) -> Estimate:
        variant = str(view.variant)
        if self.labels == "all":
            return self._metric.measure(view, self.live, variant, alpha)
        rows = LabelledRows(view, self.live, variant)
        if rows.evidence.drawn:
            raise EvidenceError(
                f"`labels: few` takes the labelled rows for a plain random sample, and those of "
                f"split {self.live!r} are weighted or come in groups; leave it out"
            )
        unlabelled = ~rows.evidence.sample("labelled")
        scores = rows.evidence.sample(f"confidence:{variant}")[unlabelled]
        if not len(scores):
            return self._metric.measure(view, self.live, variant, alpha)
        scores = known_confidence(scores, variant, self.live)
        return stats.few_label_accuracy(
            rows.right(variant), rows.confidence(variant), scores, alpha=alpha
        )

    def _drop(self, view: View, offline: Estimate, live: Estimate) -> Estimate:
        if self.max_drop is None:
            try:
                return stats.relative_drop(offline, live)
            except ValueError as error:
                raise EvidenceError(f"{self._metric.title}: {error}") from error
        splits = {self.live, *self.needs().splits}
        if not self._of_counts or any(view.split(name).drawn for name in splits):
            if self.selected_from > 1:
                raise EvidenceError("`selected_from` takes plain random rows, none with weights")
            higher = not self._metric.lower_is_better
            return stats.metric_drop(offline, live, higher_is_better=higher)
        # Both are shares of whole rows.
        counts = [round(side.value * side.n) for side in (offline, live)]
        both = (counts[0], offline.n, counts[1], live.n)
        if self.selected_from > 1:
            return stats.best_of_drop(*both, variants=self.selected_from, alpha=live.alpha)
        return stats.proportion_drop(*both, alpha=live.alpha)

    def _needed(
        self, drop: Estimate, offline: Estimate, live: Estimate, limit: float
    ) -> int | None:
        if drop.method.startswith("mover-cp"):
            return stats.labels_needed(
                offline.value,
                offline.n,
                true_drop=drop.value,
                max_drop=limit,
                alpha=drop.alpha,
            )
        kept = 1.0 if self.max_drop is not None else 1 - limit
        gap = abs(drop.value - limit) * (1.0 if self.max_drop is not None else offline.value)
        other = kept * (offline.upper_bound - offline.lower_bound) / 2
        return stats.rows_to_settle(live, gap, other=other)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyFloor:
    """The variant's accuracy on a split is at least `min_accuracy`.

    Statistic: one accuracy with Clopper-Pearson bounds. Passed when the lower bound reaches
    `min_accuracy`, failed when the upper bound stays below it, inconclusive between. Any other
    `metric` has bounds of its own kind; one that is no share takes `at_least` or, if less is
    better, `at_most`.

    Assumes: the labelled rows are a random sample of the traffic that the split stands for
    (`sampling: random` on the split, or `assume_random: reason`); otherwise the check can fail
    but not pass.

    Reference: Clopper and Pearson (1934), Biometrika 26, 404-413.

    Example:
      - accuracy_floor: {split: live, min_accuracy: 75%}
      - accuracy_floor: {split: live, metric: log_loss, at_most: 0.8}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    min_accuracy: Share | None = param("smallest allowed value: 75%, or 0.75", default=None)
    at_least: float | None = param("the same for a metric that is no share", default=None)
    at_most: float | None = param("largest allowed value where less is better", default=None)
    metric: str = param(METRICS, default="accuracy")
    split: SplitName = param("split to judge on", default="live")
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if sum(x is not None for x in (self.min_accuracy, self.at_least, self.at_most)) != 1:
            raise ValueError("needs one of `min_accuracy`, `at_least` and `at_most`")
        metric = Metric.parse(self.metric)
        if metric.lower_is_better and self.at_most is None:
            raise ValueError(f"metric: {metric.title} is better when lower; give `at_most`")
        known = ":" not in metric.name and not metric.lower_is_better
        if self.at_most is not None and known:
            raise ValueError(f"at_most: {metric.title} is better when higher")

    def needs(self) -> Needs:
        """Return labels and answers of the split."""
        return Needs({self.split: Metric.parse(self.metric).needs})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the metric of the view's variant."""
        variant, alpha, metric = (
            str(view.variant),
            level(self.confidence),
            Metric.parse(self.metric),
        )
        estimate = metric.measure(view, self.split, variant, alpha)
        floors = {
            "min_accuracy": self.min_accuracy,
            "at_least": self.at_least,
            "at_most": self.at_most,
        }
        (name, limit), *_ = ((name, x) for name, x in floors.items() if x is not None)
        up = self.at_most is not None
        decide = stats.decide if up else stats.decide_at_least
        status = decide(estimate, limit)
        least, most = metric.value(estimate.lower_bound), metric.value(estimate.upper_bound)
        seen = f"{metric.title} on {self.split} {metric.shown(estimate)}"
        allowed = threshold(limit, "%") if metric.is_share else f"{limit:g}"
        needed = None
        if status == "passed":
            within = f"at most {most}, within" if up else f"at least {least}, which reaches"
            message = f"{seen}; {within} {allowed}"
        elif status == "failed":
            beyond = f"at least {least}, over" if up else f"at most {most}, below the floor of"
            message = f"{seen}; {beyond} {allowed}"
        else:
            needed = self._needed(metric, estimate, limit)
            message = (
                f"{seen}; it may be {least} to {most} and {allowed} is asked. "
                f"{settle(needed, estimate.n, 'labelled rows')}"
            )
        outcome = Outcome(status, message, estimate, {name: limit}, needed)
        return hold_if_unsampled(outcome, view, self.split)

    @staticmethod
    def _needed(metric: Metric, estimate: Estimate, limit: float) -> int | None:
        if metric.is_accuracy and estimate.method == "clopper-pearson":
            return stats.labels_needed_floor(estimate.value, floor=limit, alpha=estimate.alpha)
        return stats.rows_to_settle(estimate, abs(estimate.value - limit))
