"""Are image properties and log columns distributed as in the rows the model was made for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as image_features
from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.columns import (
    ColumnKind,
    category,
    changed,
    column_kinds,
    column_values,
    feature_values,
    overlay,
    see_values,
    unseen_text,
)
from modelchecks.checks.deciding import hold_if_unequal
from modelchecks.checks.harm import (
    Drift,
    drift_level,
    weighed,
    with_harm,
)
from modelchecks.checks.shown import of_splits
from modelchecks.checks.similar import Effect, judged
from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.facets import COLUMNS, FEATURE
from modelchecks.results import Severity
from modelchecks.stats.drift import FeatureDistance

PERMUTATIONS = 199


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift(Drift):
    """Every image property and named log column is distributed in `current` as in `reference`.

    Statistic: a distance of each, 0 (same) to 1 (disjoint), with an upper bound for each and a
    lower bound that holds for all at once. numeric: Kolmogorov's D (0.10 is about a quarter of a
    standard deviation). ordinal: the same on ranks, in the `order` given where values are names.
    circular: the largest difference on any arc of its `period`; a time counts in hours.
    categorical: total variation, the share of rows that would have to change. Where values are
    missing, the share missing must be similar as well; a category that the reference lacks counts
    in full and is named. Passed when every upper bound is within its margin, failed when any lower
    bound is beyond, inconclusive between: then the message says how many rows would settle it. The
    verdict does not depend on n but through the width of the bounds. Population stability,
    Jensen-Shannon, Wasserstein and a permutation p-value stand in the details and decide nothing.

    Assumes: rows are independent. Drift alone is not harm: the severity is `warn` unless set, and
    `block_when: harmful` lets a shift through that labels show to cost no more than `max_drop`.

    Reference: Massart (1990), Annals of Probability 18, 1269-1283 (lower bound); Wellek (2010),
    Testing Statistical Hypotheses of Equivalence (upper bound); Kuiper (1960), Indagationes
    Mathematicae 63, 38-47; Weissman et al. (2003), HP Labs HPL-2003-97.

    Example:
      - feature_drift: {reference: train, current: live, max_effect: 0.1}
      - feature_drift:
          reference: last_month
          current: live
          features: []
          columns: {camera: categorical, time: {kind: circular, period: 24}, size: numeric}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    reference: SplitName = param("split that the model was made for", default="train")
    current: SplitName = param("split to compare with it", default="live")
    max_effect: Share = param("largest allowed distance of one of them", default=0.1)
    features: tuple[str, ...] = param(
        "image properties: registered names or module:function", default=image_features.DEFAULT
    )
    columns: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={
            "help": "log columns and their kinds: numeric, ordinal, categorical, or {kind: circular"
            ", period: 24}, {kind: ordinal, order: [S, M, L]}"
        },
    )
    max_effects: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={"help": "margins of their own for some of them, such as {brightness: 0.15}"},
    )

    def __post_init__(self) -> None:
        Drift.__post_init__(self)
        kinds = column_kinds(self.columns)
        if not self.features and not kinds:
            raise ValueError("features: is empty; a check that compares nothing cannot pass")
        names = [*self.features, *kinds]
        if twice := [name for name in self.features if names.count(name) > 1]:
            raise ValueError(f"features: {twice[0]!r} is named twice")
        for name, margin in self.max_effects.items():
            if name not in names:
                raise ValueError(
                    f"max_effects: {name!r} is not compared here{did_you_mean(name, names)}"
                )
            number = isinstance(margin, int | float) and not isinstance(margin, bool)
            if not (number and 0 <= margin <= 1):
                raise ValueError(f"max_effects: {margin!r} of {name!r} is not between 0 and 1")

    def needs(self) -> Needs:
        """Return the features and columns of both splits."""
        kinds = {FEATURE + name for name in self.features}
        if self.columns:
            kinds.add(COLUMNS)
        return with_harm(
            self, Needs(dict.fromkeys((self.reference, self.current), frozenset(kinds)))
        )

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all of them; the estimate is that of the worst one."""
        kinds = column_kinds(self.columns)
        effects, described, n = [], {}, 0
        for name, of in (*((name, None) for name in self.features), *kinds.items()):
            reference, current = (
                feature_values(view.split(split), name)
                if of is None
                else column_values(view.split(split), name, of)
                for split in (self.reference, self.current)
            )
            kind = of or ColumnKind()
            see_values(name, kind, reference, current, self.reference)
            found = self._distance(name, kind, reference, current)
            n = len(reference)
            effects.append(self._effect(name, kind, found, reference, current))
            described[name] = _description(kind, found, reference, current)
        what = "image properties" if not kinds else "features"
        outcome = judged(effects, what, self.reference, n)
        message = outcome.message
        if unseen := [
            f"{name} {unseen_text(of['new'])}" for name, of in described.items() if of["new"]
        ]:
            message += f". Never seen in {self.reference}: {'; '.join(unseen)}"
        drawn = {
            name: {key: one["shape"][key] for key in ("edges", "reference", "current")}
            for name, one in described.items()
            if "edges" in one["shape"]
        }
        details = {**outcome.details, "features": described, "distributions": drawn}
        outcome = replace(outcome, message=message, details=details)
        outcome = of_splits(outcome, self.reference, self.current)
        outcome = weighed(outcome, view, self)
        return hold_if_unequal(outcome, view, self.reference, self.current, labelled=False)

    def _distance(
        self, name: str, kind: ColumnKind, reference: NDArray[Any], current: NDArray[Any]
    ) -> FeatureDistance:
        try:
            return stats.feature_distance(
                reference,
                current,
                kind=kind.kind,
                order=kind.order,
                period=kind.period,
                alpha=drift_level(self),
                features=len(self.features) + len(self.columns),
            )
        except ValueError as error:
            raise EvidenceError(f"{name!r} cannot be compared: {error}") from error

    def _effect(
        self,
        name: str,
        kind: ColumnKind,
        found: FeatureDistance,
        reference: NDArray[Any],
        current: NDArray[Any],
    ) -> Effect:
        symbol = "TV" if found.estimate.method == "total-variation" else "D"
        categories = None
        if kind.kind == "categorical":
            categories = len(
                {category(value) for value in (*reference.tolist(), *current.tolist())}
            )
        change = changed(kind, found, reference, current)
        margin = float(self.max_effects.get(name, self.max_effect))
        return Effect(name, f"{name} {symbol}", found.estimate, margin, change, categories)


def _description(
    kind: ColumnKind, found: FeatureDistance, reference: NDArray[Any], current: NDArray[Any]
) -> dict[str, Any]:
    """Return what a report shows of one of them, beside the distance that decides."""
    p_value = stats.permutation_p_value(
        reference,
        current,
        kind=kind.kind,
        order=kind.order,
        period=kind.period,
        permutations=PERMUTATIONS,
    )
    new = {category(name): float(share) for name, share in list(found.unseen.items())[:10]}
    return {
        "kind": kind.kind,
        "rows": [len(reference), len(current)],
        "missing": [float(np.round(share, 6)) for share in found.missing],
        "new": new,
        "psi": found.psi,
        "jensen_shannon": found.jensen_shannon,
        "wasserstein": found.wasserstein,
        "p_value": p_value,
        "shape": overlay(kind, reference, current),
    }
