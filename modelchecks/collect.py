"""The one pass: for every batch decode once, features once, then each variant's answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as features_module
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.facets import (
    ANSWERS,
    COLUMNS,
    EMBEDDING,
    EVERY_COLUMN,
    EVERY_ROW,
    FEATURE,
    INPUTS,
    LOGITS,
    ROWS,
    variant_of,
)
from modelchecks.identity import Job
from modelchecks.pixels import is_of_images, look
from modelchecks.plan import Shard
from modelchecks.sources import Batch, Samples, read_ahead
from modelchecks.suite import Split, Variant
from modelchecks.tally import Seen, Table, Tally
from modelchecks.totals import HIGHEST, UNLABELLED, priorities

MOST_BYTES = 2**26
"""How many bytes of images are decoded at once, where the suite gives no batch size."""
MOST_ROWS = 512


def rows_at_once(samples: Samples) -> int:
    """Return how many rows are decoded together: fewer where the first image is large."""
    first = samples.read(0, min(1, len(samples)), images=True, columns=[])
    if first.images is None or not len(first) or first.images[0] is None:
        return MOST_ROWS
    return max(8, min(MOST_ROWS, MOST_BYTES // max(first.images[0].nbytes, 1)))


@dataclass(frozen=True, slots=True)
class Answers:
    """One variant's answers to a batch: class ids, confidence, and which rows have an answer.

    `logits` (n, outputs), `embedding` (n, width) and `inputs` (n, facts; see `inputs.facts`) are
    there where they were asked for, or `absent` says why one is not, by the prefix of its facet.
    `kinds` counts the shapes and types of the tensors that `inputs` describes.
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    finite: NDArray[np.bool_]
    outputs: int
    logits: NDArray[np.float32] | None = None
    embedding: NDArray[np.float32] | None = None
    inputs: NDArray[np.float64] | None = None
    kinds: Mapping[str, int] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


class Predictor(Protocol):
    """Anything that answers a batch."""

    def __call__(self, batch: Batch) -> Answers:
        """Return one answer per row; a row without an image has none (`finite` is False)."""
        ...


class OutOfMemoryError(Exception):
    """A model's batch did not fit; a smaller one may."""

    def __init__(self, variant: str, batch_size: int, message: str) -> None:
        super().__init__(message)
        self.variant, self.batch_size = variant, batch_size


def collect(
    job: Job,
    shard: Shard,
    samples: Samples,
    predictors: Mapping[str, Predictor],
    facets: Sequence[str],
    progress: Callable[[int], None] = lambda rows: None,
    at_once: int = MOST_ROWS,
    ceilings: Mapping[bool, np.uint64] = MappingProxyType({}),
) -> tuple[dict[str, Evidence], dict[str, str]]:
    """Return the evidence of one shard, facet by facet, and why variants or facets have none.

    The only function that looks at samples. A variant whose predictor raises EvidenceError does
    not stop the others. Rows whose priority is above the ceiling of their kind (with a label, or
    without) cannot enter the sample any more and are only counted. Raises OutOfMemoryError where a
    model's batch does not fit.
    """
    tallies = {facet: Tally() for facet in facets}
    images = {f: t for f, t in tallies.items() if is_of_images(f)}
    features = {
        facet: features_module.resolve(facet.removeprefix(FEATURE), job.suite.folder)
        for facet in images
        if facet.startswith(FEATURE)
    }
    asked = [v for v in job.variants if v.name in map(variant_of, facets)]
    failures = _lacking(asked, shard, samples)
    modelled = any(variant.logged is None for variant in asked)
    logged = [v.logged for v in asked if v.logged is not None and v.name not in failures]
    drawn = [name for name in (job.split.weights, job.split.group) if name is not None]
    named = [*job.split.slices, *drawn, *logged]
    columns: list[str] | None = list(dict.fromkeys(named))
    if {COLUMNS, EVERY_COLUMN} & set(facets):
        # `None` stands for the plain columns; answers may be lists, and are wanted as well.
        plain = getattr(samples, "plain", None)
        columns = None if plain is None else list(dict.fromkeys([*plain, *named]))
    spans = [
        (start, min(start + at_once, shard.stop))
        for start in range(shard.start, shard.stop, at_once)
    ]
    wants_images = bool(images) or modelled
    for start, stop, batch in read_ahead(samples, spans, images=wants_images, columns=columns):
        if len(batch) != stop - start:
            raise EvidenceError(
                f"split {shard.split!r}: rows {start} to {stop} gave {len(batch)} rows; the data "
                "changed while it was read"
            )
        seen = _identify(job, batch, start, ceilings)
        for facet in (ROWS, COLUMNS, EVERY_ROW, EVERY_COLUMN):
            if facet in tallies:
                _record(job, facet, seen, tallies[facet])
        if wants_images:
            failures |= look(job, seen, images, features, modelled)
        for name, predictor in predictors.items():
            if name in failures:
                continue
            mine = {f: t for f, t in tallies.items() if variant_of(f) == name}
            try:
                failures |= _answer(name, predictor, seen, mine)
            except EvidenceError as error:
                failures[name] = str(error)
        progress(len(batch))
    found = {
        facet: tally.evidence(job, facet)
        for facet, tally in tallies.items()
        if variant_of(facet) not in failures and facet not in failures
    }
    return found, failures


def _lacking(variants: Sequence[Variant], shard: Shard, samples: Samples) -> dict[str, str]:
    """Return why variants whose logged answers are not in the log cannot take part."""
    failures = {}
    for variant in variants:
        if variant.logged is not None:
            try:
                samples.read(shard.start, shard.start, images=False, columns=[variant.logged])
            except EvidenceError as error:
                failures[variant.name] = f"variant {variant.name!r}: {error}"
    return failures


def _identify(job: Job, batch: Batch, start: int, ceilings: Mapping[bool, np.uint64]) -> Seen:
    """Return the batch with what every row has: its position, priority and label."""
    labels = class_ids(batch.labels, len(batch), job.suite.classes, f"split {job.split.name!r}")
    base: Table = {
        "index": np.arange(start, start + len(batch), dtype=np.int64),
        "priority": priorities(batch.ids, job.suite.compute.seed),
        "labelled": labels != UNLABELLED,
    }
    highest = np.where(base["labelled"], ceilings.get(True, HIGHEST), ceilings.get(False, HIGHEST))
    kept = base["priority"] <= highest
    kept_base = {name: column[kept] for name, column in base.items()}
    return Seen(batch, labels, base["index"], kept, kept_base)


def _record(job: Job, facet: str, seen: Seen, tally: Tally) -> None:
    """Count rows and labels (`rows`), or keep the log's own columns (`columns`)."""
    batch = seen.batch
    own = set(batch.columns) - _answers_of(job)
    wanted = {ROWS: set(job.split.slices), EVERY_ROW: set[str]()}.get(facet, own)
    columns = {
        f"column:{name}": column
        for name, column in batch.columns.items()
        if name in wanted and (column.dtype != object or _plain(column))
    }
    if facet in (ROWS, EVERY_ROW):
        tally.counts["rows",] += len(batch)
        tally.counts["form", label_form(batch.labels)] += len(batch)
        tally.per_class(("label",), seen.labels[seen.labels != UNLABELLED])
        ids = np.array([*batch.ids, None], dtype=object)[:-1]
        drawn = _drawn(job.split, batch) if facet == ROWS else {}
        columns = {"id": ids, "label": seen.labels, **drawn, **columns}
    tally.tables.append(seen.lines(facet, columns))


def label_form(labels: NDArray[Any] | None) -> str:
    """Return how a source writes labels: `none`, `id`, `name` or `one-hot`."""
    if labels is None:
        return "none"
    if labels.ndim == 2:
        return "one-hot"
    return "id" if labels.dtype.kind == "i" else "name"


def _drawn(split: Split, batch: Batch) -> Table:
    """Return what says how the rows were drawn: `weight` and `group`, where they are declared."""
    found: Table = {}
    for name, of in (("weight", split.weights), ("group", split.group)):
        if of is not None:
            column = batch.columns.get(of)
            if column is None or (column.dtype == object and not _plain(column)):
                raise EvidenceError(
                    f"split {split.name!r} has no column {of!r} of numbers or texts, which is "
                    f"declared as the {name} of its rows"
                )
            found[name] = column
    return found


def _answers_of(job: Job) -> set[str]:
    return {variant.logged for variant in job.suite.variants if variant.logged is not None}


def _plain(column: NDArray[Any]) -> bool:
    return all(value is None or isinstance(value, str) for value in column)


def class_ids(
    labels: NDArray[Any] | None, rows: int, classes: Sequence[str], where: str
) -> NDArray[np.int64]:
    """Return class ids for labels given as ids, names or one-hot rows; -1 for none.

    Raises EvidenceError for a name that the suite's `classes:` does not list, or a row that is of
    several classes.
    """
    if labels is None:
        return np.full(rows, UNLABELLED, dtype=np.int64)
    if labels.ndim == 2:
        return _of_one_hot(labels, where)
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


def _of_one_hot(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    wrong = ~(np.isnan(labels) | (labels == 0) | (labels == 1)).all(1) | (labels == 1).sum(1) > 1
    if wrong.any():
        row = labels[np.flatnonzero(wrong)[0]].tolist()
        raise EvidenceError(
            f"{where}: a label is {str(row)[:80]}, which is not one class (one 1, all else 0); one "
            "class per image is judged. Log the class that counts, or leave the row null"
        )
    known = (labels == 1).any(1)
    return np.where(known, (labels == 1).argmax(1), UNLABELLED).astype(np.int64)


def _answer(
    name: str, predictor: Predictor, seen: Seen, tallies: Mapping[str, Tally]
) -> dict[str, str]:
    """Count one variant's answers, the rows without a finite one apart; return what is absent."""
    batch, answers = seen.batch, predictor(seen.batch)
    absent = {}
    whole = ((LOGITS, answers.logits), (EMBEDDING, answers.embedding), (INPUTS, answers.inputs))
    for facet, column in whole:
        if (tally := tallies.get(f"{facet}{name}")) is None:
            continue
        if column is None:
            absent[f"{facet}{name}"] = answers.absent.get(facet, f"variant {name!r} gave none")
        else:
            tally.tables.append(seen.keep({f"{facet}{name}": column}))
        if facet == INPUTS and column is not None:
            _count_inputs(name, answers, column, tally, seen)
    if (tally := tallies.get(f"{ANSWERS}{name}")) is None:
        return absent
    # Also where nothing but a model looks at the images.
    tally.counts["unreadable",] += len(batch.unreadable)
    tally.example(("unreadable",), list(batch.unreadable.values()))
    tally.counts["answered", name] += len(answers.predicted)
    tally.span(("outputs", name), np.array([answers.outputs]))
    silent = ~answers.finite
    if silent.any():
        tally.counts["nonfinite", name] += int(silent.sum())
        tally.example(("nonfinite", name), [batch.ids[i] for i in np.flatnonzero(silent).tolist()])
    tally.per_class(("predicted", name), answers.predicted[answers.finite])
    judged = answers.finite & (seen.labels != UNLABELLED)
    pairs = zip(seen.labels[judged].tolist(), answers.predicted[judged].tolist(), strict=True)
    for (label, predicted), count in sorted(Counter(pairs).items()):
        tally.counts["confusion", name, label, predicted] += count
    columns: Table = {
        f"predicted:{name}": answers.predicted,
        f"confidence:{name}": answers.confidence,
    }
    tally.tables.append(seen.keep(columns))
    return absent


def _count_inputs(
    name: str, answers: Answers, facts: NDArray[Any], tally: Tally, seen: Seen
) -> None:
    """Count, over all rows, what the tensors are that a variant gets."""
    for kind, count in answers.kinds.items():
        tally.counts["input", name, kind] += count
    tally.span(("input", name), facts[:, :2])
    for fault, which in (("broken", facts[:, 2] > 0), ("flat", facts[:, 3] == 1)):
        rows = np.flatnonzero(which).tolist()
        tally.counts[f"input_{fault}", name] += len(rows)
        tally.example((f"input_{fault}", name), [seen.batch.ids[row] for row in rows])
