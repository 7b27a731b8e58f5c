"""The pass: the same evidence however the rows are cut, and every gap is counted."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casestudy.live import png
from modelchecks import EvidenceError, load_suite
from modelchecks.collect import collect
from modelchecks.evidence import join_all, merge_all
from modelchecks.gather import gather
from modelchecks.identity import Pace, describe, open_source
from modelchecks.judging import judge
from modelchecks.logged import LoggedAnswers
from modelchecks.pixels import look
from modelchecks.plan import make_plan, shards
from modelchecks.run import suite_store
from modelchecks.sources import Batch
from modelchecks.tally import Seen

SUITE = """
suite: pass
data:
  a: {{source: parquet, path: a.parquet, image: image, label: label, id: id}}
variants:
  v: {{logged: answer}}
checks:
  - schema: {{image: {{dtype: uint8}}, splits: [a]}}
  - "needing:Everything": {{split: a, features: [{features}]}}
compute: {{batch_size: {batch}, shard_rows: {shard}, max_rows: {rows}}}
"""
CHECK = """
from dataclasses import dataclass
from modelchecks.check import Needs, Outcome
@dataclass(frozen=True)
class Everything:
    '''All there is.'''
    default_severity = "block"
    scope = "variant"
    split: str
    features: tuple[str, ...] = ()
    def needs(self):
        kinds = {"labels", "predictions", "columns", *("feature:" + f for f in self.features)}
        return Needs({self.split: frozenset(kinds)})
    def evaluate(self, view):
        view.split(self.split).correct(view.variant)
        return Outcome("passed", "all there")
def brightest(images):
    return images.reshape(len(images), -1).max(1)
def short(images):
    return images.reshape(len(images), -1).max(1)[1:]
def raising(images):
    raise IndexError("no such pixel")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty rows: images of two sizes, one unreadable, some labels and one answer missing."""
    made = tmp_path_factory.mktemp("pass")
    draw = np.random.default_rng(3)
    sizes = [(4, 4) if i % 3 else (5, 7) for i in range(60)]
    images = [png(draw.integers(0, 256, size, dtype=np.uint8)) for size in sizes]
    images[17] = b"broken"
    table = pa.table(
        {
            "image": pa.array(images, pa.binary()),
            "label": pa.array([None if i % 7 == 0 else i % 4 for i in range(60)]),
            "id": [f"row-{i % 50}" for i in range(60)],
            "answer": pa.array([float("nan") if i == 23 else float(i % 5 % 4) for i in range(60)]),
            "camera": ["A", "B", "C"] * 20,
        }
    )
    pq.write_table(table, made / "a.parquet", row_group_size=13)
    (made / "needing.py").write_text(CHECK)
    return made


def evidence_of(folder, *, batch, shard, rows, features="brightness, 'needing:brightest'", order=1):
    path = folder / "s.suite.yaml"
    path.write_text(SUITE.format(features=features, batch=batch, shard=shard, rows=rows))
    suite = load_suite(path)
    job, failures = described(suite)
    assert failures == {}
    samples = open_source(suite, job.split).open(folder)
    predictors = {"v": LoggedAnswers("v", "answer", ())}
    facets = list(job.keys)
    parts = []
    for one in shards("a", len(samples), shard)[::order]:
        found, failures = collect(job, one, samples, predictors, facets, at_once=batch)
        assert set(found) == set(facets) - set(failures)
        parts.append(found)
    whole = join_all(merge_all(part[facet] for part in parts) for facet in found)
    return replace(whole, failures=failures)


def described(suite):
    return describe(suite, make_plan(suite).splits[0], lambda variant: Pace(64))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 80), st.sampled_from([1, -1]))
@settings(max_examples=25, deadline=None)
def test_evidence_does_not_depend_on_batches_shards_or_order(folder, batch, shard, rows, order):
    whole = evidence_of(folder, batch=60, shard=60, rows=rows)
    cut = evidence_of(folder, batch=batch, shard=shard, rows=rows, order=order)
    assert cut.totals == whole.totals
    assert cut.totals.to_json() == whole.totals.to_json()
    assert set(cut.rows.columns) == set(whole.rows.columns)
    assert len(whole.rows.uniform()) == min(rows, 60)
    assert len(whole.rows.labelled()) == min(rows, whole.labelled)
    for name, column in whole.rows.columns.items():
        np.testing.assert_array_equal(cut.rows.columns[name], column, err_msg=name)


def test_every_row_and_every_gap_is_counted(folder):
    evidence = evidence_of(folder, batch=7, shard=20, rows=100)
    counts = evidence.totals.counts
    assert evidence.total == 60
    assert evidence.labelled == sum(i % 7 != 0 for i in range(60))
    assert counts["unreadable",] == 1
    assert "a.parquet:17" in evidence.totals.examples["unreadable",][0]
    assert counts["shape", "4x4x1"] + counts["shape", "5x7x1"] == 59
    assert counts["dtype", "uint8"] == 59
    assert counts["nonfinite", "v"] == 1
    assert evidence.totals.examples["nonfinite", "v"] == ("row-23",)
    assert counts["answered", "v"] == 60
    confusion = sum(n for key, n in counts.items() if key[0] == "confusion")
    assert confusion == sum(i % 7 != 0 and i != 23 for i in range(60))
    # Ids that repeat are still rows of their own.
    assert len(evidence.rows) == 60
    brightest = evidence.rows.columns["feature:needing:brightest"]
    assert np.isnan(brightest).sum() == 1
    assert np.nanmax(brightest) == evidence.totals.highs["value",]


@pytest.mark.parametrize(
    ("feature", "told"),
    [("needing:short", r"gave shape \(\d+,\) for"), ("needing:raising", "raised IndexError")],
)
def test_a_feature_that_fails_is_named_and_nothing_passes(folder, feature, told, tmp_path):
    evidence = evidence_of(folder, batch=20, shard=60, rows=100, features=f"'{feature}'")
    with pytest.raises(EvidenceError, match=told) as error:
        evidence.sample(f"feature:{feature}")
    assert feature in str(error.value)
    suite = load_suite(folder / "s.suite.yaml")
    plan = make_plan(suite)
    gathered = gather(plan, suite_store(suite))
    results = [judge(plan, case, gathered) for case in plan.cases]
    # The unreadable image fails the schema, whatever a feature does.
    assert [result.status for result in results] == ["failed", "errored"]


def test_data_that_shrinks_while_it_is_read_is_an_error(folder):
    path = folder / "s.suite.yaml"
    path.write_text(SUITE.format(features="", batch=10, shard=100, rows=10))
    suite = load_suite(path)
    job, _ = described(suite)
    samples = open_source(suite, job.split).open(folder)
    (whole,) = shards("a", len(samples) + 5, 100)
    with pytest.raises(EvidenceError, match="the data changed while it was read"):
        collect(job, whole, samples, {}, ["rows"])


def test_images_without_pixels_are_an_error_whatever_is_asked_of_them():
    batch = Batch(["a", "b"], images=np.zeros((2, 0, 4, 1), np.uint8))
    rows = np.arange(2)
    seen = Seen(batch, rows, rows, np.ones(2, bool), {})
    job = SimpleNamespace(split=SimpleNamespace(name="live"))
    with pytest.raises(EvidenceError, match=r"'live': 2 images .* no pixels, 'a' first"):
        look(job, seen, {}, {}, modelled=True)
