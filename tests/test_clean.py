"""Clean data, split at random again and again: how often a check fires where nothing is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelchecks import features, stats
from modelchecks.check import View
from modelchecks.checks.images import ImageSchema
from modelchecks.checks.labels import LabelNoise, Labels
from modelchecks.checks.leakage import Duplicates, Leakage
from modelchecks.checks.shortcut import Shortcut
from modelchecks.checks.tensors import TensorSchema
from modelchecks.checks.weak import WeakSlices
from modelchecks.evidence import Evidence
from modelchecks.fingerprints import contents, perceptual
from modelchecks.inputs import facts
from modelchecks.probes import ProbeContext
from modelchecks.probes.expectations import _added, _answers, _expectation, _frame, _quietly
from modelchecks.probes.twins import Twins
from modelchecks.proposal import expectations_for
from modelchecks.sources import ArraySamples
from modelchecks.suite import Suite
from modelchecks.totals import Rows, Totals

SPLITS = 200
SIZES = {"train": 900, "offline": 400, "live": 400}
DECLARED = 0.05
"""A check may fire in so many of 200 splits where its limit is just reached; here, far from it."""


@pytest.fixture(scope="module")
def seen(pool):
    """Columns of 4,000 real images: what a pass over them would see, and a fair model's answers."""
    images, labels = (array[:4000] for array in pool)
    images = images[..., None]
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(4000, 10)) + 5.0 * np.eye(10)[labels]
    logits += 2.0 * np.eye(10)[(labels + 3) % 10] * (draw.random((4000, 1)) < 0.2)
    waves, thumbs = perceptual(images)
    columns = {
        "label": labels,
        "labelled": np.ones(4000, dtype=bool),
        "id": np.array([f"row {row}" for row in range(4000)], dtype=object),
        "image:mean": images.reshape(4000, -1).mean(1),
        "image:std": images.reshape(4000, -1).std(1),
        "logits:v": logits.astype(np.float32),
        "predicted:v": logits.argmax(1),
        "inputs:v": facts(images.transpose(0, 3, 1, 2) / np.float32(255)),
        "column:camera": draw.choice(["A", "B", "C"], 4000).astype(object),
        "hash:there": np.ones(4000, dtype=np.uint8),
        "hash:content": contents(images),
        "hash:waves": waves,
        "hash:thumb": thumbs.reshape(4000, -1),
    }
    for name in ("red", "blue", "warm_top", "warm_bottom", "warm_spread"):
        columns[f"image:{name}"] = np.full(4000, np.nan)
    for name in Shortcut().features:
        columns[f"feature:{name}"] = getattr(features, name)(images)
    return images, columns


def evidence_of(split: str, columns, rows: np.ndarray) -> Evidence:
    """Return what a pass over these rows would give."""
    part = {name: column[rows] for name, column in columns.items()}
    n = len(rows)
    part |= {"index": np.arange(n), "priority": np.arange(n, dtype=np.uint64)}
    counts = {("rows",): n, ("unreadable",): 0, ("shape", "28x28x1"): n, ("dtype", "uint8"): n}
    counts |= {("colourless",): n, ("answered", "v"): n, ("input", "v", "1x28x28 float32"): n}
    for label, answer in zip(part["label"].tolist(), part["predicted:v"].tolist(), strict=True):
        for key in (("label", label), ("confusion", "v", label, answer)):
            counts[key] = counts.get(key, 0) + 1
    spans = {("outputs", "v"): 10.0, ("input", "v"): 0.0}
    totals = Totals(counts, spans, {**spans, ("input", "v"): 1.0})
    return Evidence(split, totals, Rows(part, 10_000))


def splits(columns, number: int) -> dict[str, Evidence]:
    draw = np.random.default_rng([7, number])
    chosen = np.split(draw.permutation(4000)[: sum(SIZES.values())], np.cumsum([*SIZES.values()]))
    return {
        name: evidence_of(name, columns, rows) for name, rows in zip(SIZES, chosen, strict=False)
    }


CHECKS = {
    "image_schema": ImageSchema(splits=("offline", "live")),
    "tensor_schema": TensorSchema(splits=("offline", "live"), range=(0.0, 1.0)),
    "labels": Labels(splits=("offline", "live"), conflicts=False, min_labelled=0.95),
    "label_noise": LabelNoise(max_noise=0.1),
    "shortcut": Shortcut(max_gap=0.2),
    "weak_slices": WeakSlices(columns=("camera",), features=("brightness",), max_gap=0.15),
}


@pytest.mark.slow
def test_no_check_fires_on_clean_splits(seen):
    fired = dict.fromkeys(CHECKS, 0)
    for number in range(SPLITS):
        view = View(splits(seen[1], number), "v")
        for name, check in CHECKS.items():
            fired[name] += check.evaluate(view).status == "failed"
    # Beyond the declared rate is what a fair coin of that rate would hardly do.
    most = SPLITS * DECLARED + 2 * np.sqrt(SPLITS * DECLARED * (1 - DECLARED))
    assert max(fired.values()) <= most, fired
    # None of these data are at a limit, so nothing is to be seen at all.
    assert fired == dict.fromkeys(CHECKS, 0)


def test_rows_that_depend_on_each_other_decide_nothing_on_bounds(seen):
    """In groups a bound for single rows is too narrow; that all classes were seen is seen."""
    found = splits({**seen[1], "group": np.arange(4000) // 7}, 0)
    told = {name: check.evaluate(View(found, "v")) for name, check in CHECKS.items()}
    assert told.pop("labels").status == "passed"
    assert {one.status for one in told.values()} == {"inconclusive"}
    assert all("come in groups" in one.message for one in told.values())
    # What is counted over all rows fails as before.
    found["live"].totals.counts["blank",] = 40
    assert CHECKS["image_schema"].evaluate(View(found, "v")).status == "failed"


@pytest.mark.slow
def test_look_alikes_are_no_copies(seen):
    """Garments of one class are as near as copies are elsewhere; none of them is called one."""
    images, columns = seen
    duplicates = Duplicates(splits=("offline",))
    leakage = Leakage(splits=("train", "offline"), effect=False)
    fired = {"duplicates": 0, "leakage": 0}
    near = []
    for number in range(SPLITS):
        found = splits(columns, number)
        del found["live"]
        outcomes = {}
        for request in (*duplicates.needs().probes, *leakage.needs().probes):
            outcomes[request] = Twins().run(request, context(images, found, request.split), None)
        view = View(found, probes=outcomes)
        for name, check in (("duplicates", duplicates), ("leakage", leakage)):
            fired[name] += check.evaluate(view).status == "failed"
        near += [outcome["near"] for outcome in outcomes.values()]
    # The declared share of look-alikes within the threshold, and the limit that is far above it.
    assert stats.proportion(sum(near), len(near) * SIZES["offline"]).lower_bound < 0.001
    assert fired == {"duplicates": 0, "leakage": 0}


def context(images, found: dict[str, Evidence], split: str) -> ProbeContext:
    evidence = found[split]
    columns = evidence.rows.columns
    suite = Suite("clean", Path("clean.suite.yaml"), (), (), ())
    samples = ArraySamples(columns["id"].tolist(), images[: evidence.total], columns["label"])
    return ProbeContext(
        suite,
        evidence,
        lambda: samples,
        lambda of=None, *, transform=None: None,
        lambda facet, shard=None: iter([columns]),
        lambda other: context(images, found, other),
        Path("none"),
    )


@pytest.mark.slow
def test_a_proposed_schema_holds_for_other_splits(pool):
    """What Great Expectations is asked that blocks; warnings are not counted."""
    images, labels = (array[:4000] for array in pool)
    assert broken_schemas(images, labels, SPLITS) == []


def broken_schemas(images, labels, number: int) -> list[str]:
    """Return what a schema proposed on one split finds wrong with another of the same rows."""
    from modelchecks.expecting import Asked

    flat = images.reshape(len(images), -1)
    every = {
        "id": np.array([f"row {row}" for row in range(len(images))], dtype=object),
        "label": labels.astype(np.float64),
        "width": np.full(len(images), 28.0),
        "dtype": np.full(len(images), "uint8", dtype=object),
        "min": flat.min(1).astype(np.float64),
        "max": flat.max(1).astype(np.float64),
        "mean": flat.mean(1),
        "entropy": features.entropy(images[..., None]),
    }
    broken = []
    with _quietly():
        for split in range(number):
            rows = np.random.default_rng([11, split]).permutation(len(images))[:900]
            train, other = (
                {name: column[part] for name, column in every.items()}
                for part in (rows[:500], rows[500:])
            )
            asked = [Asked(place, item) for place, item in enumerate(expectations_for(train))]
            for answer in _answers(Path("proposed.json"), asked, _frame(other)):
                item = _added([{**_expectation(answer), "examples": []}])
                if not item["met"] and item["severity"] == "critical":
                    broken.append(f"{item['type']} {item['kwargs']}: {item['raised']}")
    return broken
