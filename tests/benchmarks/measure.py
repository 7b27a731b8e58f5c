"""How the benchmarks measure: processes and functions, in turns, so that both see the noise."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ratio:
    """Ours over theirs: medians of both in seconds (or MB), and the smallest and largest ratio."""

    what: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    unit: str = "s"
    budget: str = ""

    @classmethod
    def of(
        cls, what: str, pairs: Sequence[tuple[float, float]], budget: str = "", unit: str = "s"
    ) -> Ratio:
        """Return the ratio of the medians, and the spread of the paired ratios."""
        ours, theirs = zip(*pairs, strict=True)
        paired = [mine / yours for mine, yours in pairs]
        median = statistics.median
        return cls(
            what,
            median(ours),
            median(theirs),
            median(ours) / median(theirs),
            min(paired),
            max(paired),
            unit,
            budget,
        )

    def json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)


def in_turns(
    what: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    repeats: int,
    budget: str = "",
    unit: str = "s",
) -> Ratio:
    """Return the ratio of two measurements that are taken in turns, after one round to warm up."""
    ours(), theirs()
    return Ratio.of(what, [(ours(), theirs()) for _ in range(repeats)], budget, unit)


@dataclass(frozen=True)
class Process:
    """What one process took: seconds from start to end, and its output."""

    seconds: float
    output: str


def megabytes() -> float:
    """Return this process's own peak memory so far.

    Linux's `ru_maxrss` begins with the peak of the process that started this one, `VmHWM` does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = [text for text in status.read_text().splitlines() if text.startswith("VmHWM")]
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def process(
    command: Sequence[str], folder: Path = ROOT, codes: Sequence[int] = (0,), **environment: str
) -> Process:
    """Run a process and return what it took; raises when it ends otherwise than expected."""
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        child.wait()
        seconds = time.perf_counter() - started
        output.seek(0)
        said = output.read()
    if child.returncode not in codes:
        raise SystemExit(f"{' '.join(command)} exited {child.returncode}:\n{said[-3000:]}")
    return Process(seconds, said)
