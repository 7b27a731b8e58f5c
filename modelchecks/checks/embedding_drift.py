"""Do the live images look to the variant like those it knows?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as image_features
from modelchecks import stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.columns import feature_values
from modelchecks.checks.deciding import hold_if_unequal, settle
from modelchecks.checks.harm import (
    Drift,
    drift_level,
    weighed,
    with_harm,
)
from modelchecks.checks.shown import of_splits
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.facets import FEATURE
from modelchecks.results import Severity
from modelchecks.stats.domain import DomainAuc
from modelchecks.stats.estimate import Estimate
from modelchecks.stats.kernel import KernelTest
from modelchecks.wording import listing

PERMUTATIONS = 199
EXTREMES = 12
"""Rows of either side that are named: enough for a strip of images."""
DIRECTIONS = 10
DRAWN = 200
"""Rows of either side on the map; a sample is in random order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingDrift(Drift):
    """To the variant's own eyes, rows of `current` can hardly be told from rows of `reference`.

    Statistic: the area under the ROC curve of a classifier that tells the two sides apart by the
    variant's embedding, on rows that it has not seen: 0.5 cannot tell, 1 always. Passed when its
    upper bound is within `max_auc`, failed when its lower bound is beyond, inconclusive between. A
    pass says that this classifier finds no more, not that none could. The p-value of a kernel
    two-sample test stands beside it and decides nothing: at many rows everything is significant.
    The details name what differs: image properties that go along with the classifier's score, the
    embedding's columns, and the ids of the rows that differ most either way.

    Assumes: rows are independent; samples of at most `compute.max_rows` rows are compared. Drift
    alone is not harm: the severity is `warn` unless set, and `block_when: harmful` lets a shift
    through that labels show to cost no more than `max_drop`.

    Reference: Lopez-Paz and Oquab (2017), ICLR (classifier two-sample tests); Gretton et al.
    (2012), JMLR 13, 723-773 (kernel test).

    Example:
      - embedding_drift: {reference: offline, current: live, max_auc: 60%}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    reference: SplitName = param("split to start from", default="offline")
    current: SplitName = param("split to compare with it", default="live")
    max_auc: Share = param("largest allowed area, 0.5 (cannot tell) to 1 (always)", default=0.6)
    properties: tuple[str, ...] = param(
        "image properties that may explain a difference", default=image_features.DEFAULT
    )

    def __post_init__(self) -> None:
        Drift.__post_init__(self)
        if self.max_auc <= 0.5:
            raise ValueError("max_auc: must be over 0.5, which is what pure chance gives")

    def needs(self) -> Needs:
        """Return the embeddings of both splits, and the properties that explain them."""
        kinds = frozenset({"predictions", "embeddings", *(FEATURE + p for p in self.properties)})
        return with_harm(self, Needs({self.reference: kinds, self.current: kinds}))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the area; what differs most is in the details."""
        variant = str(view.variant)
        sides = [view.split(name) for name in (self.reference, self.current)]
        before, now = (_embedding(side, variant) for side in sides)
        if before.shape[1] != now.shape[1]:
            raise EvidenceError(
                f"variant {variant!r} has embeddings of {before.shape[1]} and {now.shape[1]} "
                "columns, which are not of one model"
            )
        area = stats.domain_auc(before, now, alpha=drift_level(self))
        kernel = stats.kernel_two_sample(before, now, permutations=PERMUTATIONS)
        estimate = Estimate(**{name: getattr(area, name) for name in Estimate.__slots__})
        status = stats.decide(estimate, self.max_auc)
        properties = {name: _property(name, sides, area) for name in self.properties}
        seen = (
            f"embeddings of {self.current} are told from those of {self.reference} with an AUC of "
            f"{area.value:.3f} [{area.low:.3f}, {area.high:.3f}] (0.5: not at all; n {area.n:,})"
        )
        needed = None
        if status == "passed":
            message = f"{seen}: at most {area.upper_bound:.3f}, within {self.max_auc:g}"
        elif status == "failed":
            message = f"{seen}: at least {area.lower_bound:.3f}, over {self.max_auc:g}"
        else:
            needed = _needed(area, self.max_auc)
            message = (
                f"{seen}: it may be {area.lower_bound:.3f} to {area.upper_bound:.3f} and "
                f"{self.max_auc:g} is allowed. "
                f"{settle(needed, area.n, 'rows', f'rows of {self.reference}')}"
            )
        if status != "passed" and (why := _why(properties)):
            message += f". What goes along with it: {why}"
        outcome = Outcome(
            status,
            message,
            estimate,
            {"max_auc": self.max_auc},
            needed,
            details={
                "effects": {"auc": asdict(estimate)},
                "rows": [area.reference_n, area.n],
                "kernel": _kernel(kernel),
                "properties": properties,
                "directions": _directions(area),
                "together": area.together,
                **_map(area, (self.reference, before), (self.current, now)),
                "current_least_like_reference": _extremes(sides[1], area.score_current, 1),
                "reference_least_like_current": _extremes(sides[0], area.score_reference, -1),
            },
        )
        outcome = of_splits(outcome, self.reference, self.current)
        outcome = weighed(outcome, view, self)
        return hold_if_unequal(outcome, view, self.reference, self.current, labelled=False)


def _embedding(evidence: Evidence, variant: str) -> NDArray[np.float32]:
    evidence.predicted_counts(variant)  # It knows every gap of the answers.
    found: NDArray[np.float32] = evidence.sample(f"embedding:{variant}")
    if found.ndim != 2 or not np.isfinite(found).all():
        raise EvidenceError(
            f"variant {variant!r} has embeddings on split {evidence.split!r} that are no finite "
            "numbers; name another layer with `embedding:`"
        )
    return found


def _needed(area: DomainAuc, margin: float) -> int | None:
    """Return the rows from which the bounds are close enough, both sides growing alike."""
    gap = abs(area.value - margin)
    half = (area.upper_bound - area.lower_bound) / 2
    # Four in five times: the value varies as well as its bounds.
    ratio = (1.51 * half / gap) ** 2 if gap else np.inf
    return int(np.ceil(area.n * ratio)) if ratio < 1000 else None


def _property(name: str, sides: list[Evidence], area: DomainAuc) -> dict[str, Any]:
    """Return how a property differs, and whether it goes along with the score that tells."""
    before, now = (feature_values(side, name) for side in sides)
    scores = [area.score_reference, area.score_current]
    along = None
    if all(score is not None for score in scores):
        both = np.concatenate([before, now])
        along = _rank_correlation(both, np.concatenate([np.asarray(s) for s in scores]))
    medians = [float(f"{float(np.median(side)):.6g}") for side in (before, now)]
    distance = stats.kolmogorov(before, now).value
    return {"distance": distance, "median": medians, "along_score": along}


def _rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    ranks = [np.unique(x, return_inverse=True)[1].astype(np.float64) for x in (a, b)]
    first, second = (rank - rank.mean() for rank in ranks)
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float(first @ second) / scale if scale > 0 else None


def _why(properties: dict[str, dict[str, Any]]) -> str:
    """Return the properties that go along with the score, most first."""
    with_score = {
        name: one for name, one in properties.items() if abs(one["along_score"] or 0.0) >= 0.2
    }
    order = sorted(with_score, key=lambda name: -abs(with_score[name]["along_score"]))
    return listing(
        [
            f"{name} (median {with_score[name]['median'][0]:.4g} → "
            f"{with_score[name]['median'][1]:.4g})"
            for name in order
        ]
    )


def _directions(area: DomainAuc) -> list[dict[str, Any]]:
    """Return the embedding's columns that carry most of the difference."""
    order = np.argsort(-np.abs(area.attribution), kind="stable")[:DIRECTIONS]
    return [
        {
            "column": int(i),
            "part": float(area.attribution[i]),
            "direction": float(area.direction[i]),
        }
        for i in order
    ]


def _map(
    area: DomainAuc, *sides: tuple[str, NDArray[np.float32]]
) -> dict[str, dict[str, list[list[float]]]]:
    """Return a map of some rows: the score that tells the sides apart, and what varies most beside.

    Nothing where the rows have no score, as when they were read in blocks.
    """
    scores = [area.score_reference, area.score_current]
    if any(score is None for score in scores):
        return {}
    x = np.concatenate(
        [np.asarray(score[:DRAWN], np.float64) for score in scores if score is not None]
    )
    rows = np.concatenate([embedding[:DRAWN] for _, embedding in sides]).astype(np.float64)
    rows -= rows.mean(axis=0)
    along = x - x.mean()
    if along.any():
        # What goes along with the score is on the other axis already.
        rows -= np.outer(along, along @ rows) / (along @ along)
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    y = left[:, 0] * singular[0]
    y *= -1 if y[np.argmax(np.abs(y))] < 0 else 1
    places = [[float(f"{a:.4g}"), float(f"{b:.4g}")] for a, b in zip(x, y, strict=True)]
    first = min(DRAWN, len(sides[0][1]))
    return {"embedding": {sides[0][0]: places[:first], sides[1][0]: places[first:]}}


def _kernel(test: KernelTest) -> dict[str, Any]:
    return {
        "p_value": test.p_value,
        "statistic": test.statistic,
        "bandwidth": test.bandwidth,
        "equal_spread": test.equal_spread,
        "method": test.method,
        "permutations": test.permutations,
        "rows": [test.reference_n, test.current_n],
    }


def _extremes(side: Evidence, score: NDArray[Any] | None, sign: int) -> list[dict[str, Any]]:
    """Return the rows with the largest (or, with -1, smallest) scores: their ids and places."""
    if score is None:
        return []
    ids, index = side.sample("id"), side.sample("index")
    order = np.argsort(-sign * score, kind="stable")[:EXTREMES]
    return [
        {"id": str(ids[i]), "row": int(index[i]), "score": float(f"{float(score[i]):.5g}")}
        for i in order
    ]
