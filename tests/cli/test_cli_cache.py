"""`modelchecks cache`: what is there is shown, and only what is meant is removed."""

from __future__ import annotations

import os
import time

import pytest

from modelchecks.store import Store


@pytest.fixture
def stored(bench, shell):
    """A store with the evidence of one gate, in a folder beside the suite."""
    bench.suite("- accuracy_drop: {max_drop: 5pp}\n- label_drift: {reference: offline}")
    shell("gate", "live.suite.yaml", "-q", code=1)
    return bench.folder / ".modelchecks"


def count(stored):
    return len(list(Store(stored).entries()))


def test_the_list_names_split_facet_size_and_age(shell, stored):
    lines = shell("cache", "ls", code=0).stdout.splitlines()
    assert lines[0].startswith(".modelchecks: 10 entries, ")
    facets = [
        [split, facet]
        for split in ("live", "offline")
        for facet in ("answers:bad", "answers:good", "rows")
    ]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["judged", "3"],
        *facets,
        ["report", "pictures"],
    ]
    assert all("KB" in line and line.endswith("just now") for line in lines[1:])
    assert shell("cache", "ls", "live.suite.yaml", code=0).stdout.splitlines() == lines
    assert shell("cache", "ls", ".modelchecks", code=0).stdout.splitlines() == lines


def test_one_split_is_removed_and_gathered_again(shell, stored):
    assert "removed 3 entries" in shell("cache", "rm", "--split", "live", code=0).stdout
    assert count(stored) == 7
    shell("gate", "live.suite.yaml", "-q", code=1)
    assert count(stored) == 10
    said = shell("cache", "rm", "--split", "lvie", code=2).stderr
    assert "holds nothing of split 'lvie'; it has judged, live, offline, report" in said
    assert "removed 10 entries" in shell("cache", "rm", code=0).stdout
    assert count(stored) == 0


def test_what_was_used_lately_is_kept(shell, stored):
    old = time.time() - 40 * 86_400
    entries = list(Store(stored).entries())
    for entry in entries[:2]:
        os.utime(entry.folder, (old, old))
    shell("cache", "ls", code=0)
    assert "removed 0 entries" in shell("cache", "prune", "--unused-for", "60d", code=0).stdout
    assert "removed 2 entries" in shell("cache", "prune", code=0).stdout
    assert {e.folder for e in Store(stored).entries()} == {e.folder for e in entries[2:]}
    assert "removed 8 entries" in shell("cache", "prune", "--keep", "1KB", code=0).stdout


def test_judging_again_counts_as_use(shell, stored, bench):
    old = time.time() - 40 * 86_400
    for entry in Store(stored).entries():
        os.utime(entry.folder, (old, old))
    again = ("decide", "reports/live-gate", "--suite", "live.suite.yaml")
    shell(*again, "--report", "reports", code=1)
    assert "removed 0 entries" in shell("cache", "prune", code=0).stdout


def test_what_is_no_age_size_or_place_is_refused(shell, stored):
    assert (
        "is no number with one of m, h, d, w"
        in shell("cache", "prune", "--unused-for", "soon", code=2).stderr
    )
    assert "is no number with one of B" in shell("cache", "prune", "--keep", "2 XB", code=2).stderr
    assert "nowhere does not exist" in shell("cache", "ls", "nowhere", code=2).stderr


def test_the_environment_names_the_store(shell, stored, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = shell("cache", "ls", code=0, MODELCHECKS_CACHE=str(elsewhere))
    assert "no suite and no evidence store is here" in done.stderr or "0 entries" in done.stdout
    assert count(stored) == 10
