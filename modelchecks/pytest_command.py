"""`modelchecks pytest`: suites as pytest items; what we do not know is pytest's to understand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import click

OPTIONS = ("-k", "-m", "-n", "-x", "-s", "-v", "--lf", "--ff", "--junitxml", "--collect-only")
"""Options of pytest that people give to `gate`; what takes its place is told them."""


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="SUITE... [PYTEST OPTIONS]")
def pytest(arguments: Sequence[str]) -> int:
    """Run suites as pytest items; every other argument goes to pytest as it is.

    A selection (-k, -m, -x, --lf) is not a gate run: it says so, and approves nothing. `pytest -h`
    lists the options, `--modelchecks-...` among them. Exit codes are pytest's own.

    \b
    Example:
      modelchecks pytest suites -k drift -n 2
    """
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, check=False).returncode
