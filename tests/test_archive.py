"""The history: nothing is lost, by concurrent gates or by an upgrade."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from modelchecks import archive
from modelchecks.errors import RecordError
from modelchecks.report import record

GOLDEN = Path(__file__).resolve().parent / "golden"
OLD = GOLDEN / "history-v1.sqlite"


@pytest.fixture
def run():
    return record.read(GOLDEN / "run-v1.json")


@pytest.fixture
def place(tmp_path):
    return tmp_path / "deep" / "history.sqlite"


def test_a_run_comes_back_as_it_was_added(run, place):
    archive.add(place, run)
    (past,) = archive.past(place)
    assert (past.run_id, past.suite, past.finished) == (run.run_id, "live-gate", run.finished)
    assert [(d.variant, d.verdict, d.reasons) for d in past.decisions] == [
        (d.variant, d.verdict, d.reasons) for d in run.decisions.values()
    ]
    assert [(e.case, e.variant, e.status, e.check) for e in past.estimates] == [
        (r.case, r.variant, r.status, r.check) for r in run.results
    ]
    for found, result in zip(past.estimates, run.results, strict=True):
        estimate = result.estimate
        numbers = (found.value, found.low, found.high, found.n)
        if estimate is None:
            assert numbers == (None, None, None, None)
        else:
            assert numbers == (estimate.value, estimate.low, estimate.high, estimate.n)
        assert found.threshold == result.threshold
    drop = next(e for e in past.estimates if e.check == "accuracy_drop")
    assert drop.unit == "pp"


def test_a_run_is_remembered_once_and_in_order(run, place):
    later = replace(run, run_id="later", finished="2027-01-01T00:00:00.000+00:00")
    for one in (later, run, run, later):
        archive.add(place, one)
    assert [past.run_id for past in archive.past(place)] == [run.run_id, "later"]
    assert [past.run_id for past in archive.past(place, last=1)] == ["later"]
    assert archive.past(place, "another-gate") == []
    assert archive.suites(place) == ["live-gate"]


def test_hostile_texts_are_texts(run, place):
    name = "'); DROP TABLE runs; --\x00\ud800"
    archive.add(place, replace(run, suite={**run.suite, "name": name}))
    (past,) = archive.past(place)
    assert past.suite == name.replace("\ud800", "?")


def test_an_old_file_is_brought_up_to_date_and_loses_nothing(run, tmp_path):
    place = Path(shutil.copy(OLD, tmp_path / "history.sqlite"))
    before = archive.past(place, "made-gate")
    assert [past.run_id for past in before] == ["old-1", "old-2"]
    first, second = before
    assert (first.git, second.git) == ("aaa", None)
    assert first.decisions == (archive.PastDecision("baseline", "approved", (), None),)
    assert second.decisions[0].reasons == ("live-drop[baseline]",)
    drop, schema = first.estimates
    assert (drop.value, drop.low, drop.high, drop.n) == (0.01, 0.0, 0.02, 5000)
    assert (drop.check, drop.severity, drop.unit, drop.threshold) == (None, None, None, {})
    assert (schema.case, schema.value) == ("schema[data]", None)

    archive.add(place, run)
    assert [past.run_id for past in archive.past(place)] == ["old-1", "old-2", "old-3", run.run_id]
    assert archive.past(place, "made-gate") == before
    with sqlite3.connect(place) as base:
        assert base.execute("PRAGMA user_version").fetchone() == (archive.VERSION,)
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base.close()


def test_a_file_of_a_later_version_is_left_alone(run, tmp_path):
    place = Path(shutil.copy(OLD, tmp_path / "history.sqlite"))
    with sqlite3.connect(place) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    before = place.read_bytes()
    with pytest.raises(RecordError, match=r"written by a later modelchecks .version 99"):
        archive.add(place, run)
    assert place.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + bytes(200)])
def test_a_damaged_file_is_told(run, tmp_path, content):
    place = tmp_path / "history.sqlite"
    place.write_bytes(content * 20)
    for ask in (lambda: archive.add(place, run), lambda: archive.past(place)):
        with pytest.raises(RecordError, match=r"history .*history\.sqlite: .* Move the file away"):
            ask()


def test_no_history_is_told_and_none_is_made(tmp_path):
    with pytest.raises(RecordError, match="is no history"):
        archive.past(tmp_path / "no.sqlite")
    assert not list(tmp_path.iterdir())


def test_concurrent_gates_lose_no_entry(tmp_path):
    """Eight processes at once, on a file of the old version, which the first must upgrade."""
    place = Path(shutil.copy(OLD, tmp_path / "history.sqlite"))
    code = (
        "import sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from modelchecks import archive\nfrom modelchecks.report import record\n"
        f"run = record.read({str(GOLDEN / 'run-v1.json')!r})\n"
        "sys.stdin.readline()\n"
        "for number in range(10):\n"
        "    one = replace(run, run_id=f'{sys.argv[1]}-{number}')\n"
        f"    archive.add(Path({str(place)!r}), one)\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(child)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for child in range(8)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate()[1] for child in children]
    assert said == [""] * 8
    found = [past.run_id for past in archive.past(place, "live-gate")]
    assert sorted(found) == sorted(
        f"{child}-{number}" for child in range(8) for number in range(10)
    )
    assert len(archive.past(place)) == 83
