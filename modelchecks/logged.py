"""Answers that the log already carries: predicted classes or probability lists, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.collect import Answers, class_ids
from modelchecks.errors import EvidenceError
from modelchecks.facets import EMBEDDING, INPUTS, LOGITS
from modelchecks.sources import Batch


@dataclass(frozen=True, slots=True)
class LoggedAnswers:
    """Reads a variant's answers from one column of the log.

    The column holds class ids, class names (then the suite lists `classes:`), or one list of
    probabilities (or logits, where it is no distribution) per row; a null or non-finite
    answer counts as missing.
    """

    variant: str
    column: str
    classes: Sequence[str]

    def __call__(self, batch: Batch) -> Answers:
        """Return one answer per row; raises EvidenceError where the column cannot be one."""
        if self.column not in batch.columns:
            raise EvidenceError(
                f"variant {self.variant!r}: the log has no column {self.column!r}, which `logged:` "
                "names"
            )
        column = batch.columns[self.column]
        where = f"variant {self.variant!r}, logged column {self.column!r}"
        if column.dtype.kind in "iuf":
            return self._classes(column.astype(np.float64), where, batch.ids)
        values = column.tolist()
        if any(isinstance(value, list) for value in values):
            return self._lists(values, where)
        ids = class_ids(column, len(batch), self.classes, where)
        return self._classes(np.where(ids < 0, np.nan, ids), where, batch.ids)

    def _classes(self, values: NDArray[np.float64], where: str, ids: Sequence[str]) -> Answers:
        finite = np.isfinite(values)
        # 2^31, as for labels: beyond that it is no class id, and soon no exact number.
        whole = (values == np.floor(values)) & (values < 2**31)
        wrong = finite & ((values < 0) | ~whole)
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise EvidenceError(
                f"{where}, row {ids[first]!r}: {values[first]} is no class id; log whole numbers "
                "from 0, class names, or a list of probabilities, and null where there is no answer"
            )
        predicted = np.where(finite, values, -1).astype(np.int64)
        confidence = np.full(len(values), np.nan, dtype=np.float32)
        absent = dict.fromkeys(
            (LOGITS, EMBEDDING, INPUTS),
            f"{where} holds classes; log one list of probabilities per row to have them",
        )
        # A log of classes does not say how many outputs there were; 0 stands for unknown.
        return Answers(predicted, confidence, finite, len(self.classes), absent=absent)

    def _lists(self, values: list[Any], where: str) -> Answers:
        lengths = {len(value) for value in values if value is not None}
        if len(lengths) != 1 or 0 in lengths:
            raise EvidenceError(
                f"{where}: probability lists have lengths {sorted(lengths)}; every row needs one "
                "probability per class"
            )
        outputs = lengths.pop()
        blank = [np.nan] * outputs
        table = np.array(
            [blank if value is None else value for value in values], dtype=np.float64
        ).reshape(len(values), outputs)
        finite = np.asarray(np.isfinite(table).all(axis=1))
        safe = np.where(finite[:, None], table, 0.0)
        # Row by row, so that it does not matter which rows are read together.
        given = (safe >= 0).all(axis=1) & (np.abs(safe.sum(axis=1) - 1) <= 0.01)
        logits = safe - safe.max(axis=1, keepdims=True)
        # Far below any probability that a model tells apart from none.
        logits[given] = np.log(np.maximum(safe[given], 1e-30))
        softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        safe = np.where(given[:, None], safe, softmax)
        return Answers(
            safe.argmax(axis=1).astype(np.int64),
            safe.max(axis=1).astype(np.float32),
            finite,
            outputs,
            np.where(finite[:, None], logits, np.nan).astype(np.float32),
            absent=dict.fromkeys((EMBEDDING, INPUTS), f"{where} holds answers and nothing else"),
        )
