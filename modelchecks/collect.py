"""The one pass: for every batch decode once, features once, then each variant's answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as features_module
from modelchecks.errors import EvidenceError
from modelchecks.evidence import (
    EXAMPLES,
    FEATURE,
    UNLABELLED,
    Evidence,
    Key,
    Rows,
    Totals,
    priorities,
)
from modelchecks.identity import Job
from modelchecks.plan import Shard
from modelchecks.sources import Batch, Samples


@dataclass(frozen=True, slots=True)
class Answers:
    """One variant's answers to a batch: class ids, confidence, and which rows have an answer."""

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    finite: NDArray[np.bool_]
    outputs: int


class Predictor(Protocol):
    """Anything that answers a batch."""

    def __call__(self, batch: Batch) -> Answers:
        """Return one answer per row; a row without an image has none (`finite` is False)."""
        ...


@dataclass(slots=True)
class _Tally:
    """Totals in the making."""

    counts: Counter[Key] = field(default_factory=Counter)
    lows: dict[Key, float] = field(default_factory=dict)
    highs: dict[Key, float] = field(default_factory=dict)
    examples: defaultdict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))

    def span(self, key: Key, values: NDArray[Any]) -> None:
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if finite.size:
            self.lows[key] = min(self.lows.get(key, np.inf), float(finite.min()))
            self.highs[key] = max(self.highs.get(key, -np.inf), float(finite.max()))

    def example(self, key: Key, texts: Sequence[str]) -> None:
        self.examples[key] = sorted([*self.examples[key], *texts])[:EXAMPLES]

    def per_class(self, key: Key, values: NDArray[np.int64]) -> None:
        for value, count in zip(*np.unique(values, return_counts=True), strict=True):
            self.counts[*key, int(value)] += int(count)


def collect(
    job: Job,
    shard: Shard,
    samples: Samples,
    predictors: Mapping[str, Predictor],
    progress: Callable[[int], None] = lambda rows: None,
) -> Evidence:
    """Return the evidence of one shard; the only function that looks at samples.

    A variant whose predictor raises is reported in `failures` and does not stop the others.
    """
    kinds, tally = job.plan.kinds, _Tally()
    wants_images = any(kind == "images" or kind.startswith(FEATURE) for kind in kinds) or any(
        variant.logged is None for variant in job.plan.variants
    )
    failures = _lacking(job, shard, samples)
    answering = [v for v in job.plan.variants if v.name not in failures]
    logged = [variant.logged for variant in answering if variant.logged is not None]
    columns = None if "columns" in kinds else list(dict.fromkeys([*job.split.slices, *logged]))
    features = {
        name: features_module.resolve(name, job.suite.folder)
        for name in sorted(k.removeprefix(FEATURE) for k in kinds if k.startswith(FEATURE))
    }
    tables: list[dict[str, NDArray[Any]]] = []
    for start in range(shard.start, shard.stop, job.suite.compute.batch_size):
        stop = min(start + job.suite.compute.batch_size, shard.stop)
        batch = samples.read(start, stop, images=wants_images, columns=columns)
        if len(batch) != stop - start:
            raise EvidenceError(
                f"split {shard.split!r}: rows {start} to {stop} gave {len(batch)} rows; the data "
                "changed while it was read"
            )
        table = _identify(job, batch, start, tally)
        if wants_images:
            _look(job, batch, features, table, tally)
        for name, predictor in predictors.items():
            if name in failures:
                continue
            try:
                _answer(name, predictor, batch, table, tally)
            except EvidenceError as error:
                failures[name] = str(error)
        tables.append(table)
        progress(len(batch))
    for name in failures:
        for table in tables:
            for column in (f"predicted:{name}", f"confidence:{name}"):
                table.pop(column, None)
    rows = {key: np.concatenate([t[key] for t in tables]) for key in tables[0]} if tables else {}
    totals = Totals(
        dict(tally.counts),
        tally.lows,
        tally.highs,
        {k: tuple(v) for k, v in tally.examples.items()},
    )
    sample = Rows(rows, job.suite.compute.max_rows).bounded()
    return Evidence(shard.split, totals, sample, failures, job.meta)


def _lacking(job: Job, shard: Shard, samples: Samples) -> dict[str, str]:
    """Return why variants whose logged answers are not in the log cannot take part."""
    failures = {}
    for variant in job.plan.variants:
        if variant.logged is not None:
            try:
                samples.read(shard.start, shard.start, images=False, columns=[variant.logged])
            except EvidenceError as error:
                failures[variant.name] = f"variant {variant.name!r}: {error}"
    return failures


def _identify(job: Job, batch: Batch, start: int, tally: _Tally) -> dict[str, NDArray[Any]]:
    """Count rows and labels; return the columns that every row has."""
    where = f"split {job.split.name!r}"
    tally.counts["rows",] += len(batch)
    table: dict[str, NDArray[Any]] = {
        "index": np.arange(start, start + len(batch), dtype=np.int64),
        "priority": priorities(batch.ids, job.suite.compute.seed),
        "id": np.array([*batch.ids, None], dtype=object)[:-1],
        "label": class_ids(batch.labels, len(batch), job.suite.classes, where),
    }
    tally.per_class(("label",), table["label"][table["label"] != UNLABELLED])
    logged = {variant.logged for variant in job.plan.variants}
    for name, column in batch.columns.items():
        if name not in logged and (column.dtype != object or _plain(column)):
            table[f"column:{name}"] = column
    return table


def _plain(column: NDArray[Any]) -> bool:
    return all(value is None or isinstance(value, str) for value in column)


def class_ids(
    labels: NDArray[Any] | None, rows: int, classes: Sequence[str], where: str
) -> NDArray[np.int64]:
    """Return class ids for labels given as ids or names; -1 for none.

    Raises EvidenceError for a name that the suite's `classes:` does not list.
    """
    if labels is None:
        return np.full(rows, UNLABELLED, dtype=np.int64)
    if labels.dtype.kind == "i":
        return labels.astype(np.int64)
    known = {name: number for number, name in enumerate(classes)}
    strange = sorted({str(name) for name in labels if name is not None and name not in known})
    if strange:
        raise EvidenceError(
            f"{where}: class name {strange[0]!r} is not in the suite's `classes:` "
            f"({', '.join(classes) or 'none declared'}); list the names there in the order of the "
            f"model's outputs (names found: {', '.join(strange[:12])})"
        )
    return np.array([known.get(name, UNLABELLED) for name in labels], dtype=np.int64)


def _look(
    job: Job,
    batch: Batch,
    features: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]],
    table: dict[str, NDArray[Any]],
    tally: _Tally,
) -> None:
    """Count shapes, types and values; fill the image and feature columns."""
    if batch.images is None:
        if features or any(variant.logged is None for variant in job.plan.variants):
            raise EvidenceError(
                f"split {job.split.name!r} has no images; name the column that holds them with "
                "`image:`"
            )
        return
    size = len(batch)
    tally.counts["unreadable",] += len(batch.unreadable)
    tally.example(("unreadable",), list(batch.unreadable.values()))
    facts = ("width", "height", "channels", "min", "max", "mean")
    numbers = {f"image:{name}": np.full(size, np.nan) for name in facts}
    values = {f"{FEATURE}{name}": np.full(size, np.nan) for name in features}
    kinds = np.full(size, None, dtype=object)
    for where, images in by_shape(batch):
        height, width, channels = images.shape[1:]
        tally.counts["shape", f"{height}x{width}x{channels}"] += len(images)
        tally.counts["dtype", str(images.dtype)] += len(images)
        flat = images.reshape(len(images), -1)
        tally.span(("value",), flat)
        if flat.dtype.kind == "f":
            tally.counts["nan_values",] += int((~np.isfinite(flat)).sum())
        columns = (width, height, channels, flat.min(1), flat.max(1), flat.mean(1))
        for name, column in zip(facts, columns, strict=True):
            numbers[f"image:{name}"][where] = column
        kinds[where] = str(images.dtype)
        for name, function in features.items():
            values[f"{FEATURE}{name}"][where] = _feature(name, function, images)
    if "images" in job.plan.kinds:
        table.update(numbers)
        table["image:dtype"] = kinds
    for key, column in values.items():
        table[key] = column
        tally.counts["missing", key] += int(np.isnan(column).sum())
        tally.span(("span", key), column)


def _feature(
    name: str, function: Callable[[NDArray[Any]], NDArray[Any]], images: NDArray[Any]
) -> NDArray[Any]:
    try:
        column = np.asarray(function(images), dtype=np.float64)
    except Exception as error:
        raise EvidenceError(f"feature {name!r} raised {type(error).__name__}: {error}") from error
    if column.shape != (len(images),):
        raise EvidenceError(
            f"feature {name!r} gave shape {column.shape} for {len(images)} images; it must give "
            "one number per image"
        )
    return column


def by_shape(batch: Batch) -> list[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Return (positions, images as one array) for each shape and type among the readable images."""
    if isinstance(batch.images, np.ndarray):
        return [(np.arange(len(batch)), batch.images)] if len(batch) else []
    groups: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for position, image in enumerate(batch.images or ()):
        if image is not None:
            groups[(*image.shape, str(image.dtype))].append(position)
    return [
        (np.array(where), np.stack([np.asarray(batch.images[i]) for i in where]))  # type: ignore[index]
        for where in groups.values()
    ]


def _answer(
    name: str,
    predictor: Predictor,
    batch: Batch,
    table: dict[str, NDArray[Any]],
    tally: _Tally,
) -> None:
    """Count one variant's answers; the rows without a finite answer are counted apart."""
    answers = predictor(batch)
    tally.counts["answered", name] += len(answers.predicted)
    tally.lows["outputs", name] = min(
        tally.lows.get(("outputs", name), np.inf), float(answers.outputs)
    )
    tally.highs["outputs", name] = max(
        tally.highs.get(("outputs", name), -np.inf), float(answers.outputs)
    )
    silent = ~answers.finite
    if silent.any():
        tally.counts["nonfinite", name] += int(silent.sum())
        tally.example(("nonfinite", name), [batch.ids[i] for i in np.flatnonzero(silent).tolist()])
    tally.per_class(("predicted", name), answers.predicted[answers.finite])
    judged = answers.finite & (table["label"] != UNLABELLED)
    pairs = np.stack([table["label"][judged], answers.predicted[judged]])
    for (label, predicted), count in zip(*_unique_pairs(pairs), strict=True):
        tally.counts["confusion", name, int(label), int(predicted)] += int(count)
    table[f"predicted:{name}"] = answers.predicted
    table[f"confidence:{name}"] = answers.confidence


def _unique_pairs(pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    return found.T, counts
