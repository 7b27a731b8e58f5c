"""What is stored comes back the same, and what is damaged is never believed."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks import load_suite, run_suite
from modelchecks.evidence import Evidence
from modelchecks.report import record
from modelchecks.run import judge_again, suite_store
from modelchecks.store import Store, default_folder
from modelchecks.totals import Rows, Totals

KEY = "ab" * 32


def some_evidence(rows: int = 5) -> Evidence:
    columns = {
        "index": np.arange(rows),
        "priority": np.arange(rows, dtype=np.uint64) + np.uint64(2**63),
        "id": np.array([*[f"id-{i}" for i in range(rows)], None], dtype=object)[:-1],
        "label": np.arange(rows) % 3,
        "column:camera": np.array([*["A" if i % 2 else None for i in range(rows)], 1], object)[:-1],
        "column:good": np.arange(rows) % 2 == 0,
        "column:time": np.arange(rows).astype("datetime64[us]"),
        "confidence:m": np.linspace(0, 1, rows, dtype=np.float32),
        "feature:x": np.where(np.arange(rows) % 2, np.nan, 0.5),
    }
    totals = Totals(
        {("rows",): rows, ("confusion", "m", 1, 2): 3},
        {("value",): -0.5},
        {("value",): 1e300},
        {("unreadable",): ("a", "b")},
    )
    return Evidence("live", totals, Rows(columns, 100), {}, {"split": "live"})


def same(a: Evidence, b: Evidence) -> bool:
    assert (a.split, a.totals, a.meta, a.rows.limit) == (b.split, b.totals, b.meta, b.rows.limit)
    assert list(a.rows.columns) == list(b.rows.columns)
    for name, column in a.rows.columns.items():
        assert column.dtype == b.rows.columns[name].dtype, name
        np.testing.assert_array_equal(column, b.rows.columns[name])
    return True


@given(st.integers(0, 40))
@settings(max_examples=15, deadline=None)
def test_evidence_comes_back_as_it_was(tmp_path_factory, rows):
    store = Store(tmp_path_factory.mktemp("store"))
    store.save_shard(KEY, 3, some_evidence(rows))
    found = store.shard(KEY, 3)
    assert found is not None
    assert same(found, some_evidence(rows))


def test_what_was_never_written_is_not_there(tmp_path):
    said: list[str] = []
    store = Store(tmp_path / "none", said.append)
    assert store.whole(KEY) is None
    assert store.pace(KEY) is None
    assert list(store.entries()) == []
    assert store.shard(KEY, 0) is None
    assert store.outcome(KEY) is None
    assert said == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "emptied", "of another shard"])
def test_a_damaged_shard_is_gathered_again_and_said(tmp_path, suffix, damage):
    said: list[str] = []
    store = Store(tmp_path, said.append)
    store.save_shard(KEY, 0, some_evidence())
    store.save_shard(KEY, 1, some_evidence(6))
    path = tmp_path / "evidence" / KEY / f"000000{suffix}"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "of another shard" and suffix == ".parquet":
        shutil.copy(path.with_name("000001.parquet"), path)
    elif damage == "flipped":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    assert store.shard(KEY, 0) is None
    if (damage, suffix) != ("gone", ".json"):
        assert str(path) in said[0]
        assert "again" in said[0]
    assert store.shard(KEY, 1) is not None


def test_a_shard_under_another_name_is_not_believed(tmp_path):
    """A file that was moved carries right checksums, but not of what is asked for."""
    store = Store(tmp_path)
    store.save_shard(KEY, 0, some_evidence())
    other = "cd" * 32
    shutil.copytree(tmp_path / "evidence" / KEY, tmp_path / "evidence" / other)
    assert store.shard(other, 0) is None


def test_a_damaged_outcome_is_not_believed(tmp_path):
    said: list[str] = []
    store = Store(tmp_path, said.append)
    store.save_outcome(KEY, {"met": False})
    path = tmp_path / "probes" / KEY / "outcome.json"
    assert store.outcome(KEY) == {"met": False}
    path.write_text(path.read_text().replace("false", "true"))
    assert store.outcome(KEY) is None
    assert str(path) in said[0]


def test_a_failing_write_leaves_nothing_behind(tmp_path):
    store = Store(tmp_path)
    store.save_outcome(KEY, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        store.save_outcome(KEY, {"a": float("nan")})
    assert store.outcome(KEY) == {"a": 1}
    assert [p.name for p in (tmp_path / "probes" / KEY).iterdir()] == ["outcome.json"]


def test_git_ignores_the_store(tmp_path):
    Store(tmp_path / "s").save_outcome(KEY, {})
    assert "*" in (tmp_path / "s" / ".gitignore").read_text().splitlines()


def test_the_folder_is_beside_the_suite_or_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    assert default_folder(tmp_path) == tmp_path / ".modelchecks"
    monkeypatch.setenv("MODELCHECKS_CACHE", str(tmp_path / "elsewhere"))
    assert default_folder(tmp_path) == tmp_path / "elsewhere"


def _results(run):
    return record.to_json(run)["results"]


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_a_gate_on_a_damaged_store_says_the_same_as_on_none(bench, kind):
    suite = load_suite(
        bench.suite("- accuracy_drop: {max_drop: 5pp}\n- label_drift: {reference: offline}")
    )
    suite_checks = _results(run_suite(suite))
    for path in (bench.folder / ".modelchecks").rglob(f"*.{kind}"):
        path.write_bytes(path.read_bytes()[:-7])
    said: list[str] = []
    again = run_suite(suite, store=suite_store(suite, said.append))
    assert _results(again) == suite_checks
    assert said
    said.clear()
    run_suite(suite, store=suite_store(suite, said.append))
    assert said == []


def test_judging_again_needs_what_was_gathered(bench):
    path = bench.suite()
    suite = load_suite(path)
    run = run_suite(suite)
    told = bench.folder / "run.json"
    told.write_text(record.dumps(run))
    assert _results(judge_again(suite, told)) == _results(run)
    wider = load_suite(bench.suite("- accuracy_drop: {max_drop: 30pp}", name="wider"))
    assert judge_again(wider, told).decisions["bad"].verdict == "approved"
    # A check that needs more than was gathered, a split and a variant declared otherwise.
    for checks, options in (
        ("- accuracy_drop: {max_drop: 5pp}\n- feature_drift: {reference: offline}", {}),
        ("- accuracy_drop: {max_drop: 5pp}", {"variants": "good: {logged: bad}"}),
    ):
        other = load_suite(bench.suite(checks, name="other", **options))
        judged = judge_again(other, told)
        errored = [r for r in judged.results if r.status == "errored"]
        assert errored
        assert all("modelchecks gate" in r.message for r in errored)
    shutil.rmtree(bench.folder / ".modelchecks")
    gone = judge_again(suite, told)
    assert {r.status for r in gone.results} == {"errored"}
    assert {d.verdict for d in gone.decisions.values()} == {"undecided"}


def test_a_store_that_cannot_be_written_does_not_approve_silently(bench):
    """The pass itself succeeded, yet what cannot be kept is said as a fault, not passed over."""
    if os.geteuid() == 0:
        (bench.folder / ".modelchecks").write_text("a file where a folder should be")
    else:
        (bench.folder / ".modelchecks").mkdir(mode=0o500)
    run = run_suite(load_suite(bench.suite()))
    assert {d.verdict for d in run.decisions.values()} == {"undecided"}
    assert all("MODELCHECKS_CACHE" in r.message for r in run.results)
