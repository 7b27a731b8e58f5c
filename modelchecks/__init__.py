"""modelchecks decides whether a trained model may go live.

A suite file declares data splits, model variants and checks; the gate answers, for each variant,
`approved`, `blocked` or `undecided`, and never turns an error, a gap or a NaN into an approval.
Importing this package loads nothing; the public names below load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelchecks.check import Needs, Outcome, View
    from modelchecks.errors import EvidenceError, Problem, SuiteError
    from modelchecks.evidence import Evidence
    from modelchecks.load import load_suite
    from modelchecks.results import Decision, Result, Run
    from modelchecks.run import run_suite
    from modelchecks.suite import DeclaredCheck, Policy, Split, Suite, Variant

__version__ = "0.1.0"
SUITE_SUFFIXES = (".suite.yaml", ".suite.yml", ".suite.py")

_HOME = {
    "DeclaredCheck": "suite",
    "Decision": "results",
    "Evidence": "evidence",
    "EvidenceError": "errors",
    "Needs": "check",
    "Outcome": "check",
    "Policy": "suite",
    "Problem": "errors",
    "Result": "results",
    "Run": "results",
    "Split": "suite",
    "Suite": "suite",
    "SuiteError": "errors",
    "Variant": "suite",
    "View": "check",
    "load_suite": "load",
    "run_suite": "run",
}

__all__ = [
    "Decision",
    "DeclaredCheck",
    "Evidence",
    "EvidenceError",
    "Needs",
    "Outcome",
    "Policy",
    "Problem",
    "Result",
    "Run",
    "Split",
    "Suite",
    "SuiteError",
    "Variant",
    "View",
    "load_suite",
    "run_suite",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"modelchecks.{_HOME[name]}"), name)
    if name.startswith("assert_"):
        # One for each registered check, for tests: see there.
        return getattr(import_module("modelchecks.pytest_plugin.asserts"), name)
    raise AttributeError(f"module 'modelchecks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
