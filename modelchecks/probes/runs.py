"""The further runs of a variant's recipe, each asked like a variant of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from modelchecks.check import ProbeRequest
from modelchecks.collect import class_ids
from modelchecks.errors import EvidenceError
from modelchecks.identity import runs_of
from modelchecks.plan import Shard
from modelchecks.probes import ProbeContext
from modelchecks.sources import read_ahead
from modelchecks.totals import UNLABELLED

ROWS = 512


class Runs:
    """How many rows each run has right."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels"})
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    by_shard: ClassVar[bool] = True

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {runs}: of each its tags, weights, right answers and labelled rows."""
        assert shard is not None
        suite = context.suite
        variant = suite.variant(request.variant)
        if variant is None:
            raise EvidenceError("the suite names no champion, whose runs could be asked")
        runs = runs_of(variant)
        models = [context.model(run) for run in runs]
        right, rows = [0] * len(runs), 0
        spans = [
            (start, min(start + ROWS, shard.stop)) for start in range(shard.start, shard.stop, ROWS)
        ]
        samples = context.samples()
        for _, _, batch in read_ahead(samples, spans if runs else [], images=True, columns=[]):
            where = f"split {request.split!r}"
            labels = class_ids(batch.labels, len(batch), suite.classes, where)
            labelled = labels != UNLABELLED
            rows += int(labelled.sum())
            for number, model in enumerate(models):
                answers = model(batch)
                if not answers.finite[labelled].all():
                    raise EvidenceError(
                        f"run {runs[number].weights} of variant {variant.name!r} gave answers that "
                        "are NaN, infinite or missing"
                    )
                right[number] += int(np.sum((answers.predicted == labels) & labelled))
        return {
            "runs": [
                {
                    "tags": {key: value for key, value in told.items() if key != "weights"},
                    "weights": run.weights,
                    "correct": correct,
                    "rows": rows,
                }
                for run, told, correct in zip(runs, variant.runs, right, strict=True)
            ]
        }

    def merge(self, parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the counts of all shards."""
        first = parts[0]["runs"]
        return {
            "runs": [
                {
                    **run,
                    "correct": sum(part["runs"][number]["correct"] for part in parts),
                    "rows": sum(part["runs"][number]["rows"] for part in parts),
                }
                for number, run in enumerate(first)
            ]
        }
