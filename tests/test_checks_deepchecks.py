"""The deepchecks adapter on the real library, and on what the library leaves unsaid."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from coloured import coloured, encoded, write
from PIL import Image

from modelchecks import load_suite, run_suite
from modelchecks.checks.deepchecks import Deepchecks, _judge
from modelchecks.errors import EvidenceError

pytest.importorskip("deepchecks.vision", exc_type=ImportError)
DRIFT = "drift_score_less_than: {max_allowed_drift_score: 0.2}"


@pytest.fixture
def folder(pool, tmp_path):
    """Two colour logs with answers that are right in nine of ten rows."""
    items, labels = pool
    for place, split in enumerate(("train", "live")):
        rows = slice(200 * place, 200 * place + 200)
        shown = [encoded(image) for image in coloured(items[rows], seed=place)]
        answers = np.where(np.arange(200) % 10, labels[rows], (labels[rows] + 1) % 10)
        chances = (0.05 + 0.5 * np.eye(10)[answers]).tolist()
        write(tmp_path / f"{split}.parquet", shown, labels[rows], split, answer=chances)
    return tmp_path


def judged(folder, check):
    (folder / "s.suite.yaml").write_text(
        f"""
suite: s
classes: [{", ".join(f"c{number}" for number in range(10))}]
data:
  train: {{source: parquet, path: train.parquet, image: image, label: label, id: id}}
  live: {{source: parquet, path: live.parquet, image: image, label: label, id: id}}
variants: {{v: {{logged: answer}}}}
checks:
  - {check}
"""
    )
    (result,) = run_suite(load_suite(folder / "s.suite.yaml")).results
    return result


def brighter(folder):
    found = pq.read_table(folder / "live.parquet").to_pydict()
    for row, data in enumerate(found["image"]):
        image = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        found["image"][row] = encoded(np.minimum(image + 120, 255).astype(np.uint8))
    pq.write_table(pa.table(found), folder / "live.parquet")


def test_conditions_of_deepchecks_become_a_result(folder):
    check = f"deepchecks: {{check: ImagePropertyDrift, conditions: {{{DRIFT}}}, html: d.html}}"
    held = judged(folder, check)
    assert held.status == "passed", held.message
    assert held.severity == "warn"
    assert "deepchecks saw 200 and 200 sampled rows" in held.message
    assert "<html" in (folder / "d.html").read_text()[:2000].lower()
    brighter(folder)
    found = judged(folder, check)
    assert found.status == "failed"
    assert "Brightness" in found.message


def test_a_check_without_conditions_decides_nothing(folder):
    found = judged(folder, "deepchecks: {check: ImagePropertyDrift}")
    assert found.status == "inconclusive"
    assert "no condition" in found.message


def test_what_did_not_run_is_errored_never_passed(folder):
    """It needs answers, which data alone has not; the library's own suite says passed."""
    found = judged(folder, "deepchecks: {check: ClassPerformance}")
    assert found.status == "errored"
    assert "did not run" in found.message
    told = judged(folder, "deepchecks: {check: NoSuchCheck}")
    assert told.status == "errored"
    assert "NoSuchCheck" in told.message


def test_a_model_s_answers_are_judged(folder):
    limit = "drift_score_less_than: {max_allowed_categorical_score: 0.2}"
    check = f"deepchecks_model: {{check: PredictionDrift, conditions: {{{limit}}}}}"
    found = judged(folder, check)
    assert found.status == "passed", found.message


RAN = {"check": "A", "ran": True, "error": None}
MET = {"name": "c", "category": "PASS", "details": ""}
ROWS = {"reference": 5, "current": 5}


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        ([{**RAN, "conditions": [MET]}], "passed"),
        ([{**RAN, "conditions": [MET, {**MET, "category": "FAIL"}]}], "failed"),
        ([{**RAN, "conditions": [MET, {**MET, "category": "WARN"}]}], "failed"),
        ([{**RAN, "conditions": [MET, {**MET, "category": "ERROR"}]}], "errored"),
        ([{**RAN, "conditions": [MET, {**MET, "category": "new"}]}], "errored"),
        ([{**RAN, "conditions": []}], "inconclusive"),
        ([{**RAN, "conditions": [MET]}, {**RAN, "ran": False, "conditions": []}], "errored"),
        ([{**RAN, "conditions": [MET]}, {**RAN, "ran": None, "conditions": [MET]}], "errored"),
    ],
)
def test_only_conditions_that_passed_pass(checks, status):
    assert _judge("A", {"checks": checks, "rows": ROWS}).status == status


def test_a_suite_of_nothing_is_errored():
    with pytest.raises(EvidenceError, match="ran nothing"):
        _judge("A", {"checks": [], "rows": ROWS})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"reference": "live"}, "current"),
        ({"rows": 5}, "rows"),
        ({"conditions": {"a": 3}}, "conditions"),
        ({"params": {"a": float("nan")}}, "params"),
    ],
)
def test_what_makes_no_sense_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        Deepchecks(check="ImagePropertyDrift", **options)
