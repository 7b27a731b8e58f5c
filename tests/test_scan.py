"""One pass, shared and never repeated: killed, parallel, short of memory, or changed underway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from modelchecks import load_suite, run_suite
from modelchecks.gather import gather
from modelchecks.plan import make_plan
from modelchecks.report import record
from modelchecks.run import suite_store
from modelchecks.store import Store

ROWS, SHARD = 600, 50

COUNTING = """
import os, time
import numpy as np
HERE = os.path.dirname(os.path.abspath(__file__))
def rows_of(images):
    flat = images.reshape(len(images), -1).astype(int)
    return flat[:, 0] * 256 + flat[:, 1]
def noted(images):
    with open(os.path.join(HERE, "noted.txt"), "a") as file:
        file.write("".join(f"{row}\\n" for row in rows_of(images)))
    time.sleep(float(os.environ.get("SLOWLY", "0")))
    return rows_of(images).astype(float)
"""

CHECK = """
from dataclasses import dataclass
from modelchecks.check import Needs, Outcome
@dataclass(frozen=True)
class Sees:
    '''Everything was seen.'''
    default_severity = "block"
    scope = "data"
    def needs(self):
        return Needs({"a": frozenset({"labels", "feature:counting:noted"})})
    def evaluate(self, view):
        seen = view.split("a").sample("feature:counting:noted")
        index = view.split("a").sample("index")
        right = (seen == index).all() and len(seen) == view.split("a").total
        return Outcome("passed" if right else "failed", f"{len(seen)} rows, sum {seen.sum():.0f}")
"""


def numbered(rows: int) -> np.ndarray:
    """Images whose first two pixels say which row they are."""
    images = np.zeros((rows, 4, 4), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(rows), 256)
    return images


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A suite whose pass notes every row that it computes, and can be slowed down."""
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    np.save(tmp_path / "x.npy", numbered(ROWS))
    np.save(tmp_path / "y.npy", np.arange(ROWS) % 3)
    (tmp_path / "counting.py").write_text(COUNTING)
    (tmp_path / "seeing.py").write_text(CHECK)
    (tmp_path / "s.suite.yaml").write_text(
        "suite: s\n"
        "data:\n  a: {source: arrays, images: x.npy, labels: y.npy, sampling: random}\n"
        "variants:\n  v: {logged: none}\n"
        'checks:\n  - "seeing:Sees": {}\n'
        f"compute: {{shard_rows: {SHARD}, batch_size: 10}}\n"
    )
    return tmp_path


def noted(folder: Path) -> list[int]:
    """The rows computed so far, in the order in which they were."""
    path = folder / "noted.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def gate(folder: Path, slowly: float, report: str = "r") -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "modelchecks",
        "gate",
        "-q",
        "s.suite.yaml",
        "--report",
        report,
    ]
    environment = {**os.environ, "SLOWLY": str(slowly)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=quiet, stderr=quiet)


def finished(folder: Path) -> set[int]:
    """The shards of the feature that are stored whole at this moment."""
    found: set[int] = set()
    for path in (folder / ".modelchecks" / "evidence").glob("*/*.json"):
        try:
            body = json.loads(path.read_text())["body"]
        except FileNotFoundError:
            continue
        if body["meta"]["facet"] == "feature:counting:noted":
            whole = path.stem == "whole"
            found |= set(range(ROWS // SHARD)) if whole else {int(path.stem)}
    return found


def results(folder: Path, report: str = "r") -> list[dict]:
    run = record.read(folder / report / "s" / "run.json")
    return record.to_json(run)["results"]


@pytest.mark.slow
def test_a_killed_pass_goes_on_where_it_was(slow):
    draw = np.random.default_rng(7)
    for _ in range(20):
        done = finished(slow)
        before = len(noted(slow))
        process = gate(slow, slowly=0.02)
        started = time.monotonic()
        while (
            not noted(slow)[before:] and process.poll() is None and time.monotonic() < started + 20
        ):
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
        again = {row // SHARD for row in noted(slow)[before:]} & done
        assert not again, "a finished shard was computed again"
    done, before = finished(slow), len(noted(slow))
    assert gate(slow, slowly=0).wait() == 3
    assert {row // SHARD for row in noted(slow)[before:]} == set(range(ROWS // SHARD)) - done
    resumed = results(slow)
    for path in (slow / ".modelchecks" / "evidence").iterdir():
        Store(slow / ".modelchecks").discard(path.name)
    assert gate(slow, slowly=0, report="clean").wait() == 3
    assert resumed == results(slow, "clean")
    assert resumed[0]["status"] == "passed"


@pytest.mark.slow
def test_parallel_gates_compute_each_shard_once_and_agree(slow):
    gates = [gate(slow, slowly=0.01, report=f"r{number}") for number in range(4)]
    assert [one.wait() for one in gates] == [3] * 4
    assert sorted(noted(slow)) == list(range(ROWS))
    told = [results(slow, f"r{number}") for number in range(4)]
    assert told == [told[0]] * 4
    assert told[0][0]["status"] == "passed"


def test_what_is_stored_is_not_computed_again(slow):
    suite = load_suite(slow / "s.suite.yaml")
    run_suite(suite)
    assert sorted(noted(slow)) == list(range(ROWS))
    run_suite(suite)
    run_suite(load_suite(slow / "s.suite.yaml"), store=Store(slow / ".modelchecks"))
    assert len(noted(slow)) == ROWS
    run_suite(suite, fresh=True)
    assert len(noted(slow)) == 2 * ROWS


def test_one_damaged_shard_is_the_only_one_computed_again(slow):
    suite = load_suite(slow / "s.suite.yaml")
    process = gate(slow, slowly=0.02)
    while len(finished(slow)) < 4:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = finished(slow)
    for path in (slow / ".modelchecks" / "evidence").glob("*/000001.parquet"):
        path.write_bytes(path.read_bytes()[:-9])
    said: list[str] = []
    before = len(noted(slow))
    run = run_suite(suite, store=suite_store(suite, said.append))
    again = {row // SHARD for row in noted(slow)[before:]}
    assert again == set(range(ROWS // SHARD)) - done | {1}
    assert any("000001.parquet: damaged" in line for line in said)
    assert run.results[0].status == "passed"


def test_data_that_changes_while_it_is_read_is_no_evidence(slow, monkeypatch):
    from modelchecks.sources.arrays import ArrayFiles

    read = ArrayFiles.read

    def changing(self, start, stop, **options):
        if start == 300:
            np.save(slow / "y.npy", np.zeros(ROWS, int))
        return read(self, start, stop, **options)

    monkeypatch.setattr(ArrayFiles, "read", changing)
    suite = load_suite(slow / "s.suite.yaml")
    (result,) = run_suite(suite).results
    assert result.status == "errored"
    assert "changed while it was read" in result.message
    monkeypatch.undo()
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    assert not list((slow / ".modelchecks" / "evidence").glob("*/*.json"))


def test_one_process_computes_in_two_halves_what_it_computes_at_once(slow):
    """Two shard orders, and two processes that share them, give the same bytes."""
    suite = load_suite(slow / "s.suite.yaml")
    plan = make_plan(suite)
    once = gather(plan, Store(slow / "once")).splits["a"]
    assert gate(slow, slowly=0).wait() == 3
    twice = gather(plan, Store(slow / ".modelchecks"), collecting=False).splits["a"]
    assert once.totals.to_json() == twice.totals.to_json()
    for name, column in once.rows.columns.items():
        np.testing.assert_array_equal(column, twice.rows.columns[name])
