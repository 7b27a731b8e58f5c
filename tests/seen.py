"""Evidence as a pass would leave it, from arrays: for tests of what checks make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelchecks.evidence import Evidence
from modelchecks.totals import UNLABELLED, Rows, Totals


def seen(
    split: str,
    n: int,
    *,
    labels: np.ndarray | None = None,
    logits: Mapping[str, np.ndarray] | None = None,
    embeddings: Mapping[str, np.ndarray] | None = None,
    features: Mapping[str, np.ndarray] | None = None,
    columns: Mapping[str, Any] | None = None,
    ids: list[str] | None = None,
) -> Evidence:
    """Return the evidence of a split of n rows, all of them in the sample."""
    y = np.full(n, UNLABELLED) if labels is None else np.asarray(labels)
    names = [f"{split}-{row}" for row in range(n)] if ids is None else ids
    rows: dict[str, Any] = {
        "index": np.arange(n),
        # Rows of one id have one priority, and stand together.
        "priority": np.unique(names, return_inverse=True)[1].astype(np.uint64),
        "labelled": y != UNLABELLED,
        "id": np.array(names, dtype=object),
        "label": y,
    }
    rows |= {f"feature:{name}": values for name, values in (features or {}).items()}
    rows |= {f"column:{name}": np.asarray(values) for name, values in (columns or {}).items()}
    rows |= {f"embedding:{name}": values for name, values in (embeddings or {}).items()}
    counts: dict[Any, int] = {("rows",): n}
    lows: dict[Any, float] = {}
    for label in np.unique(y[y != UNLABELLED]).tolist():
        counts["label", label] = int((y == label).sum())
    for name, table in (logits or {}).items():
        answers = table.argmax(axis=1)
        powers = np.exp(table - table.max(axis=1, keepdims=True))
        rows[f"predicted:{name}"] = answers
        rows[f"confidence:{name}"] = (powers.max(1) / powers.sum(1)).astype(np.float32)
        rows[f"logits:{name}"] = table.astype(np.float32)
        counts["answered", name] = n
        lows["outputs", name] = float(table.shape[1])
        for answer in np.unique(answers).tolist():
            counts["predicted", name, answer] = int((answers == answer).sum())
            for label in np.unique(y[y != UNLABELLED]).tolist():
                both = int(((answers == answer) & (y == label)).sum())
                if both:
                    counts["confusion", name, label, answer] = both
    sample = Rows(rows, max(n, 1)).bounded() if n else Rows(rows, 1)
    return Evidence(split, Totals(counts, lows, dict(lows)), sample)


def answers(
    draw: np.random.Generator, labels: np.ndarray, accuracy: float, classes: int = 4
) -> np.ndarray:
    """Return logits (rows, classes) whose largest is right in exactly that share of the rows."""
    n = len(labels)
    wrong = draw.permutation(n) >= round(accuracy * n)
    said = np.where(wrong, (labels + draw.integers(1, classes, n)) % classes, labels)
    logits = draw.normal(size=(n, classes))
    sure = np.where(wrong, draw.gamma(2, 0.5, n), draw.gamma(6, 0.7, n))
    logits[np.arange(n), said] = logits.max(axis=1) + sure
    return logits
