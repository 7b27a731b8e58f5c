"""Ratios, side by side on this machine: `make bench`, or `make bench PARTS="doors engine"`.

Writes `bench.json` beside itself and the table in the README. A ratio divides the median of ours by
the median of theirs, taken in turns so that both see the same noise; beside it stand the smallest
and the largest ratio of a pair. Run it on a machine that does nothing else: models at work on
every core slow one another far more than their share.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import engine
import numpy as np
import opponents
import peers
from measure import ROOT, Process, Ratio, in_turns, process
from rich.console import Console
from rich.table import Table

SUITE = ROOT / "suites" / "fashion.suite.yaml"
RECORD = ROOT / "reports" / "fashion-live-gate" / "run.json"
README = ROOT / "README.md"
TARGET = Path(__file__).with_name("bench.json")
MARKS = ("<!-- bench: start -->", "<!-- bench: end -->")
ANY_VERDICT = (0, 1, 3)
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
SHELL = [sys.executable, "-m", "modelchecks"]


def doors(folder: Path) -> Iterator[Ratio]:
    """Collecting, judging again and a warm gate beside bare pytest, as whole processes."""
    if not RECORD.is_file():
        raise SystemExit(f"{RECORD} is not there; run `make gate` first")
    tests = "\n".join(f"def test_{i}():\n    assert True\n" for i in range(12))
    (folder / "test_bare.py").write_text(tests)
    without = ["-p", "no:modelchecks", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    collect = ["--collect-only"]
    again = [*SHELL, "decide", str(RECORD), "--suite", str(SUITE)]
    warm = [*SHELL, "gate", "-q", str(SUITE), "--report", str(folder / "reports")]
    for what, ours, theirs, budget in (
        ("collect the suite / collect 12 bare tests", [*PYTEST, *collect, str(SUITE)],
         [*PYTEST, *collect, *without], "1.5"),
        ("`decide` on stored evidence / 12 bare tests", again, [*PYTEST, *without], "3"),
        ("`gate`, evidence there already / 12 bare tests", warm, [*PYTEST, *without], ""),
    ):  # fmt: skip
        yield in_turns(
            what,
            lambda ours=ours: process(ours, ROOT, ANY_VERDICT).seconds,
            lambda theirs=theirs: process(theirs, folder).seconds,
            7,
            budget,
        )


def passes(_: Path) -> Iterator[Ratio]:
    """The pass with all evidence against bare forwards of the same models and batches."""
    draw = np.random.default_rng(0)
    for name, model, shape, repeats, budgets in (
        ("case-study CNN", "casestudy:small_cnn", (28, 28), 5, ("2.0", "2.0")),
        ("resnet18", "nets:resnet18", (64, 64, 3), 2, ("1.10", "")),
    ):
        pixels = draw.integers(0, 256, (10_000, *shape), dtype=np.uint8)
        for precision, how, budget in zip(
            ("float32", "bfloat16"), ("", " in bfloat16"), budgets, strict=True
        ):
            what = f"{name}{how}, 3 variants, 10,000 images of {shape[0]} px"
            yield engine.pass_against_bare(what, model, pixels, repeats, budget, precision)


FIRST = """checks:
  - schema:
      expectations: schema/fashion.json
      image: {shape: [28, 28, 1], dtype: uint8, range: [0, 255]}
      splits: [train, offline, live]
  - feature_drift:    {reference: train, current: live, max_effect: 0.1}
  - label_drift:      {reference: train, current: live, max_effect: 0.1}
  - prediction_drift: {reference: offline, current: live, max_effect: 0.1}
  - accuracy_floor:   {split: offline, min_accuracy: 90%}
  - accuracy_drop:    {offline: offline, live: live, max_drop: 5pp}
"""
"""What the case study asked when the limit on a cold gate was set."""
SWIFT = "compute: {precision: bfloat16}\n"


def cold(folder: Path) -> Iterator[Ratio]:
    """The whole cold gate of the case study beside what its libraries take to start."""
    start = [sys.executable, "-c", "import torch, torchvision, great_expectations"]
    for name in ("casestudy", "runs", "data", "schema"):
        (folder / name).symlink_to(SUITE.parent / name)
    text = SUITE.read_text()
    head, _, _ = text.partition("checks:\n")
    # Without the splits that only later checks look at.
    data, _, rest = head.partition("  # The first and the last third")
    head = data + "\n" + rest[rest.index("variants:") :]
    for what, suite, budget in (
        ("all its cases", text, ""),
        ("its first checks", head + FIRST, "ours 15 s"),
        ("its first checks in bfloat16", head + FIRST + SWIFT, "ours 15 s"),
    ):
        path = folder / "s.suite.yaml"
        path.write_text(suite.replace("ledger: runs/looks.jsonl", "ledger: looks.jsonl"))
        gate = [*SHELL, "gate", "-q", str(path), "--report", str(folder / "reports")]

        def once(gate: list[str] = gate) -> float:
            cache = folder / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            return process(gate, ROOT, ANY_VERDICT, MODELCHECKS_CACHE=str(cache)).seconds

        yield in_turns(
            f"cold `gate`, {what} / importing its libraries",
            once,
            lambda: process(start).seconds,
            3,
            budget,
        )


def memory(_: Path) -> Iterator[Ratio]:
    """Peak memory at a million images against a hundred thousand."""
    many, few = engine.memory(1_000_000), engine.memory(100_000)
    yield Ratio.of(
        "peak memory, 1,000,000 / 100,000 images",
        [(many, few)],
        "1.2",
        "MB",
    )


def deepchecks(folder: Path) -> Iterator[Ratio]:
    """deepchecks' suites, and its checks that ask what ours do, on 2 x 10,000 images."""
    peers.prepare(folder)

    def side(name: str, **environment: str) -> tuple[Process, dict[str, float]]:
        command = [sys.executable, str(Path(peers.__file__)), name, str(folder)]
        done = process(command, ROOT, **environment)
        return done, json.loads(done.output.strip().splitlines()[-1])

    side("ours")
    asked: tuple[tuple[str, dict[str, str]], ...] = (
        ("ours", {}),
        ("deepchecks", {}),
        ("deepchecks", {"MATCHED": "1"}),
        ("ours", {"PRECISION": "bfloat16"}),
    )
    rounds = [[side(name, **how) for name, how in asked] for _ in range(5)]
    for number, name in ((1, "three suites"), (2, "matched checks")):
        pairs = [(turn[0], turn[number]) for turn in rounds]
        for what, value, unit, budget in (
            ("whole process", lambda s: s[0].seconds, "s", "0.5"),
            ("without start-up", lambda s: s[1]["seconds"], "s", "0.1"),
            ("memory above torch's own", lambda s: s[1]["megabytes"], "MB", "0.5"),
            ("reports", lambda s: s[1]["report"] / 1e6, "MB", ""),
        ):
            yield Ratio.of(
                f"ours / deepchecks' {name}: {what}",
                [(value(mine), value(theirs)) for mine, theirs in pairs],
                budget if number == 1 else "",
                unit,
            )
    yield Ratio.of(
        "ours in bfloat16 / deepchecks' three suites: without start-up",
        [(turn[3][1]["seconds"], turn[1][1]["seconds"]) for turn in rounds],
        "0.1",
    )


def tables(folder: Path) -> Iterator[Ratio]:
    """Evidently and NannyML on 100,000 rows, where OPPONENTS names an interpreter that has them."""
    theirs = os.environ.get("OPPONENTS")
    if theirs is None:
        print("Evidently and NannyML are left out: OPPONENTS names no interpreter that has them")
        return
    opponents.prepare(folder)
    for question, what in (
        ("drift", "drift of 15 columns x 100,000 rows: ours / Evidently's"),
        ("estimate", "accuracy without labels, 100,000 rows x 10 classes: ours / NannyML's"),
    ):

        def seconds(python: str, question: str = question) -> float:
            command = [python, str(Path(opponents.__file__)), question, str(folder)]
            return float(json.loads(process(command).output.strip().splitlines()[-1])["seconds"])

        yield in_turns(what, lambda: seconds(sys.executable), lambda: seconds(theirs), 3)


def kernel(_: Path) -> Iterator[Ratio]:
    """The kernel two-sample test beside one kernel, one permutation after the other."""
    from modelchecks.stats import kernel_two_sample

    draw = np.random.default_rng(14)
    x, y = (draw.normal(size=(2000, 64)).astype(np.float32) for _ in range(2))
    both = np.concatenate([x, y])

    def ours() -> float:
        started = time.perf_counter()
        kernel_two_sample(x, y, permutations=100)
        return time.perf_counter() - started

    def theirs() -> float:
        started = time.perf_counter()
        squares = (both**2).sum(1)
        pairs = np.exp(-(squares[:, None] + squares - 2 * both @ both.T) / 128)
        for _ in range(100):
            order = draw.permutation(4000)
            a, b = order[:2000], order[2000:]
            pairs[np.ix_(a, a)].mean() + pairs[np.ix_(b, b)].mean() - 2 * pairs[np.ix_(a, b)].mean()
        return time.perf_counter() - started

    what = "kernel test, 2 x 2,000 rows, 8 kernels, 100 permutations / one kernel, one by one"
    yield in_turns(what, ours, theirs, 3, "0.2")


PARTS: dict[str, Callable[[Path], Iterator[Ratio]]] = {
    "doors": doors,
    "engine": passes,
    "cold": cold,
    "deepchecks": deepchecks,
    "memory": memory,
    "tables": tables,
    "kernel": kernel,
}


def machine() -> str:
    """Return what the figures were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [
            line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def row(found: dict) -> tuple[str, ...]:
    """Return one line of the table, in words."""
    low, ratio, high = (
        f"{value:.2g}" if value < 0.1 else f"{value:.2f}"
        for value in (found["low"], found["ratio"], found["high"])
    )
    spread = "" if found["low"] == found["high"] else f"{low} to {high}"
    return (
        found["what"],
        f"{found['ours']:.3g} {found['unit']}",
        f"{found['theirs']:.3g} {found['unit']}",
        ratio,
        spread,
        found["budget"],
    )


HEAD = ("what", "ours", "theirs", "ratio", "spread", "at most")


def publish(found: dict[str, list[dict]]) -> None:
    """Write the file and the README's table, a part that was not measured as it was."""
    kept = json.loads(TARGET.read_text())["parts"] if TARGET.is_file() else {}
    parts = {name: found.get(name) or kept.get(name, []) for name in PARTS}
    told = {"machine": machine(), "parts": parts}
    TARGET.write_text(json.dumps(told, indent=2) + "\n")
    rows = [row(one) for name in PARTS for one in parts[name]]
    shown = Table(*HEAD, title=machine())
    for line in rows:
        shown.add_row(*line)
    Console().print(shown)
    lines = ["", f"Measured on {machine()}.", "", "| " + " | ".join(HEAD) + " |"]
    lines += ["|---|--:|--:|--:|---|--:|", *("| " + " | ".join(line) + " |" for line in rows), ""]
    before, start, rest = README.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    README.write_text(before + start + "\n".join(lines) + "\n" + end + after)


def main() -> None:
    """Measure the parts named, or all of them."""
    names = sys.argv[1:] or list(PARTS)
    found = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = [one.json() for one in PARTS[name](Path(folder))]
        for one in found[name]:
            print(*row(one), sep="  ", flush=True)
        publish(found)


if __name__ == "__main__":
    main()
