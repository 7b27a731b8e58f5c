"""Inner pytest runs: a folder with real logs and suites, and a real pytest over it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
import scipy.optimize
import scipy.special  # noqa: F401
import vl_convert  # noqa: F401

# Runs in this process share its modules; what loads during one would be forgotten after it.
import modelchecks.checks.accuracy
import modelchecks.checks.drift
import modelchecks.logged
import modelchecks.publish
import modelchecks.report.page
import modelchecks.report.terminal
import modelchecks.run
import modelchecks.sources.parquet  # noqa: F401

OTHERS = ("hypothesispytest", "html", "metadata", "allure_pytest", "randomly")
"""Plugins that the environment has and an inner run only meets if it says so."""

ODD_CHECK = '''\
import os, sys
from dataclasses import dataclass
from typing import ClassVar

import pytest

from modelchecks.check import Needs, Outcome
from modelchecks.stats.estimate import Estimate

BOTH = {"offline": frozenset({"labels"}), "live": frozenset({"labels"})}


@dataclass(frozen=True, kw_only=True)
class Odd:
    """Somebody's check."""

    default_severity: ClassVar = "block"
    scope: ClassVar = "variant"

    def needs(self):
        return Needs(BOTH)

    def evaluate(self, view):
'''


@dataclass
class Inner:
    """Runs pytest in the folder of the bench, and reads what it left there."""

    folder: Path
    pytester: pytest.Pytester

    def run(
        self, *arguments: str, process: bool = False, beside: Collection[str] = ()
    ) -> pytest.RunResult:
        """Run pytest here, in this process or in one of its own, beside the plugins named."""
        here = self.pytester
        run = here.runpytest_subprocess if process else here.runpytest_inprocess
        # Loading hypothesis would take longer than all the rest; the others do things of their own.
        away = [name for name in OTHERS if name not in beside]
        return run(*(word for name in away for word in ("-p", f"no:{name}")), *arguments)

    def write(self, name: str, text: str) -> Path:
        """Write a file beside the suites."""
        path = self.folder / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def odd_check(self, body: str, module: str = "odd") -> None:
        """Write a module with a check `Odd` that answers what `body` returns."""
        self.write(f"{module}.py", ODD_CHECK + indent(dedent(body).strip(), " " * 8) + "\n")

    def record(self, folder: str = "reports/live-gate") -> dict[str, Any]:
        """Return the run record that the reports hold."""
        text = (self.folder / folder / "run.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def verdicts(self, folder: str = "reports/live-gate") -> Mapping[str, str]:
        """Return each variant's verdict in the record."""
        return {name: d["verdict"] for name, d in self.record(folder)["decisions"].items()}

    def statuses(self, folder: str = "reports/live-gate") -> Mapping[str, str]:
        """Return each case's status in the record."""
        return {result["case"]: result["status"] for result in self.record(folder)["results"]}


@pytest.fixture
def inner(bench: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Inner:
    """Runs pytest where the bench has its logs and suites."""
    monkeypatch.chdir(bench.folder)
    # These tests may run in a worker themselves; what they start does not.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return Inner(bench.folder, pytester)
