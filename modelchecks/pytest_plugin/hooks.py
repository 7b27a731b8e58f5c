"""The hooks that this plugin calls, for a conftest.py or another plugin to implement.

They are called in the process that concludes, never in an xdist worker, and cannot change what was
decided: what they raise ends the session in an internal error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from modelchecks.results import Decision, Result, Run


def pytest_modelchecks_result(config: pytest.Config, nodeid: str, result: Result) -> None:
    """Hear each result, as soon as its test is done; `nodeid` is that of the item that asked."""


def pytest_modelchecks_decision(config: pytest.Config, run: Run, decision: Decision) -> None:
    """Hear the decision on each variant of each suite, at the end of the session."""


def pytest_modelchecks_run(config: pytest.Config, run: Run, report: Path | None) -> None:
    """Hear each suite's whole record, and where its first report is, None where none was asked."""
