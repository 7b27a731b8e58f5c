"""Probes: asked once, stored under all that they depend on, shard by shard where they say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelchecks import load_suite, run_suite
from modelchecks.report import record
from modelchecks.run import judge_again

PROBE = """
from dataclasses import dataclass
from pathlib import Path
from modelchecks.check import Needs, Outcome, ProbeRequest
from modelchecks.errors import EvidenceError

HERE = Path(__file__).parent

class Rights:
    kinds = frozenset({"labels"})
    packages = ("numpy",)
    by_shard = True
    def run(self, request, context, shard):
        with (HERE / "asked.txt").open("a") as file:
            file.write(f"{request.split} {request.variant} {shard.index}\\n")
        options = dict(request.options)
        if options.get("breaks"):
            raise EvidenceError("broken, as asked")
        column = context.model().column
        batch = context.samples().read(shard.start, shard.stop, images=False, columns=[column])
        answers = context.model()(batch)
        right = int((answers.predicted == batch.labels).sum())
        return {"right": right, "rows": len(batch), "times": options["times"]}
    def merge(self, parts):
        return {
            "right": sum(part["right"] for part in parts) * parts[0]["times"],
            "rows": sum(part["rows"] for part in parts),
        }

@dataclass(frozen=True)
class Right:
    '''Enough answers are right.'''
    default_severity = "block"
    scope = "variant"
    least: float
    times: int = 1
    breaks: bool = False
    def _request(self):
        options = (("breaks", self.breaks), ("times", self.times))
        return ProbeRequest("probing_here:Rights", "live", (), options, asks_model=True)
    def needs(self):
        labels = frozenset({"labels"})
        return Needs({"live": labels, "offline": labels}, (self._request(),))
    def evaluate(self, view):
        outcome = view.probe(self._request())
        share = outcome["right"] / outcome["rows"]
        return Outcome("passed" if share >= self.least else "failed", f"{share:.3f}")
"""


@pytest.fixture
def probing(bench):
    """A folder with a check whose probe asks the model shard by shard, and notes each time."""
    (bench.folder / "probing_here.py").write_text(PROBE)
    return bench


def suite(bench, check: str, name: str = "live"):
    rest = "compute: {shard_rows: 700}"
    return load_suite(bench.suite(f'- "probing_here:Right": {{{check}}}', name=name, rest=rest))


def asked(folder: Path) -> list[str]:
    path = folder / "asked.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_a_probe_is_asked_once_for_each_variant_and_shard(probing):
    run = run_suite(suite(probing, "least: 0.9"))
    assert [r.status for r in run.results] == ["passed", "failed"]
    assert [r.message for r in run.results] == ["0.930", "0.700"]
    every = [f"live {variant} {shard}" for variant in ("good", "bad") for shard in range(3)]
    assert sorted(asked(probing.folder)) == sorted(every)
    run_suite(suite(probing, "least: 0.5"))
    assert len(asked(probing.folder)) == 6


def test_what_the_outcome_depends_on_asks_again(probing):
    run_suite(suite(probing, "least: 0.9"))
    doubled = run_suite(suite(probing, "least: 0.9, times: 2"))
    assert [r.message for r in doubled.results] == ["1.860", "1.400"]
    assert len(asked(probing.folder)) == 12
    run_suite(suite(probing, "least: 0.9"), fresh=True)
    assert len(asked(probing.folder)) == 18
    source = probing.folder / "probing_here.py"
    source.write_text(source.read_text() + "\n# changed\n")
    run_suite(suite(probing, "least: 0.9"))
    assert len(asked(probing.folder)) == 24


def test_a_probe_that_fails_keeps_what_its_other_shards_said(probing):
    run = run_suite(suite(probing, "least: 0.9, breaks: true"))
    assert {r.status for r in run.results} == {"errored"}
    assert all("broken, as asked" in r.message for r in run.results)
    source = probing.folder / "probing_here.py"
    text = source.read_text()
    source.write_text(text.replace("return {", "if shard.index == 2: 1 / 0\n        return {", 1))
    run = run_suite(suite(probing, "least: 0.9"))
    assert all("ZeroDivisionError" in r.message for r in run.results)
    # The third shard of each was never stored; the first two of each are not asked again.
    before = len(asked(probing.folder))
    run_suite(suite(probing, "least: 0.9"))
    assert [line.split()[2] for line in asked(probing.folder)[before:]] == ["2", "2"]


def test_judging_again_needs_no_probe(probing):
    run = run_suite(suite(probing, "least: 0.9"))
    told = probing.folder / "run.json"
    told.write_text(record.dumps(run))
    before = len(asked(probing.folder))
    again = judge_again(suite(probing, "least: 0.99", name="stricter"), told)
    assert [r.status for r in again.results] == ["failed", "failed"]
    assert len(asked(probing.folder)) == before


def test_great_expectations_is_loaded_to_ask_and_not_to_judge_again(bench):
    (bench.folder / "e.json").write_text(
        json.dumps(
            {
                "name": "e",
                "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "label"}}],
            }
        )
    )
    bench.suite(
        "- schema: {expectations: e.json, splits: [live]}\n- accuracy_drop: {max_drop: 5pp}"
    )
    command = (
        "import sys\nfrom modelchecks.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    print('LOADED', end.code, 'great_expectations' in sys.modules)\n"
    )

    def loaded(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", command, *arguments],
            cwd=bench.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.partition("LOADED ")[2].strip()

    gate = ("gate", "-q", "live.suite.yaml")
    assert loaded(*gate) == "1 True"
    assert loaded(*gate) == "1 False"
    assert loaded("decide", "reports/live-gate", "--suite", "live.suite.yaml") == "1 False"
