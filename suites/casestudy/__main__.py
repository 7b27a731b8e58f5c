"""`python suites/casestudy gate`: make what the case study needs, judge it, compare with the paper.

`--report FOLDER` writes the reports there, by default into `reports`. Exit 0 when the gate ran and
said what the case study expects, 1 when it said something else, else the gate's own code.
`python suites/casestudy prepare` stops before the gate.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUITES = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SUITES))

from casestudy.prepare import prepare  # noqa: E402
from modelchecks.errors import RecordError  # noqa: E402
from modelchecks.gate import BLOCKED  # noqa: E402
from modelchecks.report import record  # noqa: E402
from modelchecks.results import Run  # noqa: E402

ASKED = ("fashion.suite.yaml", "robustness.suite.yaml")
ROBUSTNESS = (
    "contract",
    "latency",
    "corruption",
    "adversarial",
    "search",
    "stability",
    "training_history",
    "guardrail",
)
RANGES = {
    # variant: (offline, live) accuracy, lowest and highest that the case study allows
    "baseline": ((0.914, 0.931), (0.75, 0.81)),
    "domain_adapted": ((0.928, 0.944), (0.75, 0.81)),
    "curriculum": ((0.934, 0.949), (0.75, 0.81)),
}


def unexpected(run: Run) -> list[str]:
    """Return what of a run is not as the case study expects; empty when all is."""
    wrong = []
    drops = {r.variant: r for r in run.results if r.case == f"live-drop[{r.variant}]"}
    for variant, ranges in RANGES.items():
        decision, result = run.decisions.get(variant), drops.get(variant)
        if decision is None or decision.verdict != "blocked":
            wrong.append(f"{variant}: expected blocked, got {decision and decision.verdict}")
        if result is None or result.status != "failed":
            wrong.append(f"{variant}: expected its live-drop case to fail")
            continue
        for split, (low, high) in zip(("offline", "live"), ranges, strict=True):
            value = result.details[split]["value"]
            if not low <= value <= high:
                wrong.append(f"{variant}: {split} accuracy {value:.4f} is not in {low} to {high}")
    return wrong


FGSM = {
    # variant: accuracy under one step of so many of 255 that the case study was measured with
    "baseline": {2.0: 0.886, 4.0: 0.836, 8.0: 0.689},
    "domain_adapted": {2.0: 0.887, 4.0: 0.814, 8.0: 0.664},
    "curriculum": {2.0: 0.882, 4.0: 0.793, 8.0: 0.649},
}
APART = 0.09
"""How far from it: 500 images are within 4.2 points of the truth, which is up to 5.1 points lower
(decision 0012)."""


def unsound(run: Run) -> list[str]:
    """Return what of the robustness suite's run is not as the case study expects.

    The models are sound software and bear a small attack and a rough environment; a search still
    finds what they do not bear, so it may say anything but passed. Nothing may be without answer.
    """
    wrong = [f"{r.case}: {r.message}" for r in run.results if r.status == "errored"]
    for result in run.results:
        expected = {"contract": ("passed",), "search": ("failed", "inconclusive")}
        allowed = expected.get(result.check, (result.status,))
        curves = result.details.get("curves", {}) if result.check == "adversarial" else {}
        measured = FGSM.get(result.variant or "", {})
        for point in curves.get("fast gradient sign, eps", ()):
            there = measured.get(point["severity"], point["value"])
            if abs(point["value"] - there) > APART:
                at = f"{point['value']:.3f} at eps {point['severity']:g}"
                wrong.append(f"{result.case}: accuracy {at} is not within {APART} of {there}")
        if result.status not in allowed:
            wrong.append(f"{result.case}: expected {' or '.join(allowed)}, got {result.status}")
    seen = {result.check for result in run.results}
    wrong += [f"{check}: was not asked" for check in ROBUSTNESS if check not in seen]
    return wrong


def main() -> int:
    """Run the command named on the command line."""
    command, *more = sys.argv[1:] or [""]
    where = Path(more[1]) if more[:1] == ["--report"] and len(more) == 2 else None
    if command not in ("gate", "prepare") or (more and (where is None or command == "prepare")):
        usage = "gate [--report FOLDER] | prepare"
        print(f"usage: python {Path(sys.argv[0])} {usage}", file=sys.stderr)
        return 2
    try:
        prepare(SUITES)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if command == "prepare":
        return 0
    root = SUITES.parent
    suites = [str(SUITES.relative_to(root) / name) for name in ASKED]
    reports = where or Path("reports")
    gate = [sys.executable, "-m", "modelchecks", "gate", *suites, "--report", str(reports)]
    code = subprocess.run(gate, cwd=root, check=False).returncode
    if code != BLOCKED:
        print(f"the gate exited {code}; the case study expects {BLOCKED} (blocked)")
        return code or 1
    try:
        run = record.read(root / reports / "fashion-live-gate" / "run.json")
        robustness = record.read(root / reports / "fashion-robustness" / "run.json")
    except RecordError as error:
        print(error, file=sys.stderr)
        return 2
    wrong = [*unexpected(run), *unsound(robustness)]
    if wrong:
        print("not what the case study expects:", *wrong, sep="\n  ")
        return 1
    print(
        "\nas the case study expects: offline accuracy rises from variant to variant, live "
        "accuracy does not,\nand fashion-live-gate blocks all three (so `modelchecks gate` itself "
        "exits 1)."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
