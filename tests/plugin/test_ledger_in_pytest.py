"""The ledger through pytest: the same looks, in one process or in several workers."""

from __future__ import annotations

import json

import pytest

POLICY = "policy: {ledger: looks.jsonl}"
REPORT = ("--modelchecks-report", "reports")


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_looks_are_counted_recorded_and_told(bench, inner, workers):
    bench.suite(rest=POLICY)
    for _ in range(2):
        result = inner.run(*REPORT, *workers, process=bool(workers))
        record = inner.record()
        assert [found["details"]["look"] for found in record["results"]] == [1, 2]
        assert record["splits"]["live"]["ledger"]["looks"] == 2
        note = "note: ledger: the rows of split 'live' have judged 2 variants in 2 looks*"
        result.stdout.fnmatch_lines([note])
    kept = (inner.folder / "looks.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["number"] for line in kept] == [1, 2]
