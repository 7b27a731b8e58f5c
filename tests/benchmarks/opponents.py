"""The libraries for tables that are asked our questions: Evidently about drift, NannyML about CBPE.

`python opponents.py drift FOLDER` and `python opponents.py estimate FOLDER` run one side each and
print one line of JSON. The interpreter chooses the side: where Evidently or NannyML can be imported
it is theirs, where modelchecks can be it is ours. They pin other versions than ours does, so they
live in an environment of their own, whose interpreter `make bench` is told by OPPONENTS.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROWS, COLUMNS, CLASSES = 100_000, 15, 10


def prepare(folder: Path) -> None:
    """Write a reference and a live table, and predicted probabilities with their labels."""
    draw = np.random.default_rng(0)
    for name, shift in (("reference", 0.0), ("live", 0.1)):
        np.save(folder / f"{name}.npy", draw.normal(shift, 1, (ROWS, COLUMNS)))
        labels = draw.integers(0, CLASSES, ROWS)
        scores = draw.normal(0, 1 + shift, (ROWS, CLASSES))
        scores[np.arange(ROWS), labels] += 3
        shares = np.exp(scores - scores.max(1, keepdims=True))
        np.save(folder / f"{name}-probabilities.npy", shares / shares.sum(1, keepdims=True))
        np.save(folder / f"{name}-labels.npy", labels)


def _tables(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "reference.npy"), np.load(folder / "live.npy")


def drift_ours(folder: Path) -> None:
    """Bounds on the distance of each of 15 columns, for all of them at once."""
    from modelchecks import stats

    reference, live = _tables(folder)
    with timed():
        for column in range(COLUMNS):
            found = stats.feature_distance(
                reference[:, column], live[:, column], alpha=0.05, features=COLUMNS
            )
            assert 0 < found.estimate.value < 1


def drift_theirs(folder: Path) -> None:
    """Evidently's preset for drift over the same columns."""
    import pandas
    from evidently import Report
    from evidently.presets import DataDriftPreset

    reference, live = (
        pandas.DataFrame(rows, columns=[f"c{i}" for i in range(COLUMNS)])
        for rows in _tables(folder)
    )
    with timed():
        found = Report([DataDriftPreset()]).run(live, reference)
        assert len(found.dict()["metrics"]) > COLUMNS


def _answers(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / f"{name}-probabilities.npy"), np.load(folder / f"{name}-labels.npy")


def estimate_ours(folder: Path) -> None:
    """The live accuracy, estimated without live labels, by every method that we compare."""
    from modelchecks import stats

    probabilities, labels = _answers(folder, "reference")
    live, _ = _answers(folder, "live")
    with timed():
        found = stats.label_free_accuracy(probabilities, labels, live)
        assert 0 < found["hybrid"] < 1


def estimate_theirs(folder: Path) -> None:
    """NannyML's CBPE over the same rows, in one chunk."""
    import nannyml
    import pandas

    def frame(name: str) -> pandas.DataFrame:
        probabilities, labels = _answers(folder, name)
        columns = {f"p{c}": probabilities[:, c] for c in range(CLASSES)}
        predicted = probabilities.argmax(1).astype(str)
        return pandas.DataFrame({**columns, "predicted": predicted, "label": labels.astype(str)})

    reference, live = frame("reference"), frame("live").drop(columns="label")
    with timed():
        estimator = nannyml.CBPE(
            y_pred="predicted",
            y_pred_proba={str(c): f"p{c}" for c in range(CLASSES)},
            y_true="label",
            problem_type="classification_multiclass",
            metrics=["accuracy"],
            chunk_size=ROWS,
        )
        estimator.fit(reference)
        assert len(estimator.estimate(live).to_df()) > 0


class timed:
    """Prints the seconds of a block, as the last line."""

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            seconds = time.perf_counter() - self.started
            print("\n" + json.dumps({"seconds": seconds}))


SIDES = {
    "drift": ("evidently", drift_theirs, drift_ours),
    "estimate": ("nannyml", estimate_theirs, estimate_ours),
}

if __name__ == "__main__":
    package, theirs, ours = SIDES[sys.argv[1]]
    (theirs if find_spec(package) else ours)(Path(sys.argv[2]))
