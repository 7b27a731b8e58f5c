"""Ratios of whole processes, measured side by side on this machine: `make bench`.

A ratio divides the median of our times by the median of the times of a bare run, taken in turns so
that both see the same noise. The evidence engine's own benchmarks come with that engine.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "suites" / "fashion.suite.yaml"
RECORD = ROOT / "reports" / "fashion-live-gate" / "run.json"
REPEATS = 7
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def measure(command: list[str], folder: Path, codes: tuple[int, ...]) -> float:
    """Return the seconds of one process; raises when it ends otherwise than expected."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(command)} exited {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds


def ratio(ours: list[str], bare: list[str], folder: Path, codes: tuple[int, ...]) -> dict:
    """Return medians, spreads and their ratio, the two commands taken in turns."""
    measure(ours, ROOT, codes)
    pairs = [(measure(ours, ROOT, codes), measure(bare, folder, (0,))) for _ in range(REPEATS)]
    mine, theirs = zip(*pairs, strict=True)
    return {
        "ours_s": statistics.median(mine),
        "ours_range_s": [min(mine), max(mine)],
        "bare_s": statistics.median(theirs),
        "bare_range_s": [min(theirs), max(theirs)],
        "ratio": statistics.median(mine) / statistics.median(theirs),
    }


def main() -> None:
    """Measure, print a table and write `reports/bench.json`."""
    if not RECORD.is_file():
        raise SystemExit(f"{RECORD} is not there; run `make gate` first")
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name)
        tests = "\n".join(f"def test_{i}():\n    assert True\n" for i in range(12))
        (bare / "test_bare.py").write_text(tests)
        without = ["-p", "no:modelchecks", "-c", os.devnull, "--rootdir", str(bare), str(bare)]
        shell = [sys.executable, "-m", "modelchecks"]
        found = {
            "collect the suites / collect 12 bare tests": ratio(
                [*PYTEST, "--collect-only", str(SUITE)],
                [*PYTEST, "--collect-only", *without],
                bare,
                (0,),
            ),
            "judge stored evidence again / 12 bare tests": ratio(
                [*shell, "decide", str(RECORD), "--suite", str(SUITE)],
                [*PYTEST, *without],
                bare,
                (0, 1, 3),
            ),
            "the gate, evidence there already / 12 bare tests": ratio(
                [*shell, "gate", "-q", str(SUITE), "--report", name],
                [*PYTEST, *without],
                bare,
                (0, 1, 3),
            ),
        }
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table("what", "ours s", "bare s", "ratio", title=f"medians of {REPEATS}, {machine}")
    for what, told in found.items():
        table.add_row(
            what, f"{told['ours_s']:.2f}", f"{told['bare_s']:.2f}", f"{told['ratio']:.2f}"
        )
    Console().print(table)
    target = ROOT / "reports" / "bench.json"
    target.write_text(json.dumps({"machine": machine, "ratios": found}, indent=2) + "\n")
    print(f"written to {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
