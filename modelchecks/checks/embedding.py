"""Do rows of one split lie where the variant puts rows of another, nearer than others do?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import neighbours, stats
from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import check_confidence, hold_if_unequal, level
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity
from modelchecks.wording import interval, listing, percent, threshold

ASKED = 2_000
"""How many sampled rows are looked up."""
_FEWEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingLeakage:
    """Hardly any row of a split has a twin in the training set in the variant's own eyes.

    Statistic: on the samples of both splits (at most 2,000 rows against at most `max_rows`), the
    cosine distance of each embedding to the nearest one of the other split. Twins lie nearer than
    different rows do, by a Weibull law fitted to the bulk of the nearest distances. The share of
    rows with a twin, less what chance explains, is divided by the share of the training set that is
    in its sample; Clopper-Pearson bounds. Finds copies that were turned, recoloured or cropped,
    which `leakage` does not see, as far as the variant takes them for the same.

    Assumes: samples are random. The severity is `warn` unless set: twins in an embedding are a
    suspicion, copies of pixels a fact.

    Reference: Barz and Denzler (2020), Do We Train on Test Data?, Journal of Imaging 6, 41.

    Example:
      - embedding_leakage: {train: train, split: offline, max_share: 1%}
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "variant"

    train: SplitName = param("split that the model was trained on", default="train")
    split: SplitName = param("split to look at", default="offline")
    max_share: Share = param("largest allowed share of rows with a twin", default=0.01)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if self.train == self.split:
            raise ValueError("split: is the same split as `train`; leakage needs two")

    def needs(self) -> Needs:
        """Return the embeddings of both splits."""
        kinds = frozenset({"embeddings", "labels"})
        return Needs({self.train: kinds, self.split: kinds})

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the share of rows with a twin."""
        variant, column = str(view.variant), f"embedding:{view.variant}"
        query, reference = view.split(self.split), view.split(self.train)
        vectors = [one.sample(column) for one in (query, reference)]
        for name, rows in zip((self.split, self.train), vectors, strict=True):
            if not np.isfinite(rows).all():
                raise EvidenceError(f"variant {variant!r} has embeddings of {name!r} with NaN")
        ours, theirs = _units(vectors[0][:ASKED]), _units(vectors[1])
        if min(len(ours), len(theirs)) < _FEWEST:
            raise EvidenceError(
                f"fewer than {_FEWEST} rows in the sample of {self.split!r} or {self.train!r}: too "
                "few to tell twins from look-alikes"
            )
        nearest, where = _nearest(ours, theirs)
        limit = neighbours.threshold(nearest, len(theirs), len(theirs))
        twins = np.flatnonzero(nearest <= limit)
        looked = len(theirs) / reference.total
        alpha = level(self.confidence)
        found = stats.proportion(len(twins), len(ours), alpha=alpha)
        names = ("value", "low", "high", "lower_bound", "upper_bound")
        share = {
            name: min(max(getattr(found, name) - neighbours.FALSE_SHARE, 0.0) / looked, 1.0)
            for name in names
        }
        estimate = replace(found, **share, method="clopper-pearson, less chance")
        status = stats.decide(estimate, self.max_share)
        ids, others = query.sample("id"), reference.sample("id")
        order = twins[np.argsort(nearest[twins], kind="stable")][:6].tolist()
        pairs = [f"{ids[row]} ≈ {others[where[row]]}" for row in order]
        message = (
            f"{percent(estimate.value, 2)} {interval(estimate.low, estimate.high, 2)} of "
            f"{self.split} have a twin in {self.train} in the embedding of {variant}, allowed "
            f"{threshold(self.max_share, '%')}; looked at {len(ours):,} of {query.total:,} rows "
            f"against {len(theirs):,} of {reference.total:,}"
        )
        if pairs:
            message = f"{message}; the nearest: {listing(pairs)}"
        limits = {"max_share": self.max_share}
        details: dict[str, Any] = {"threshold": limit, "pairs": pairs, "twins": len(twins)}
        outcome = Outcome(status, message, estimate, limits, details=details)
        return hold_if_unequal(outcome, view, self.split, labelled=False)


def _units(rows: NDArray[Any]) -> NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-12), dtype=np.float32)


def _nearest(
    ours: NDArray[np.float32], theirs: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the cosine distance of each row to its nearest, and the place of that."""
    distance, where = [], []
    for start in range(0, len(ours), 256):
        likeness = ours[start : start + 256] @ theirs.T
        best = likeness.argmax(axis=1)
        where.append(best)
        distance.append(1 - likeness[np.arange(len(best)), best].astype(np.float64))
    return np.maximum(np.concatenate(distance), 0.0), np.concatenate(where)
