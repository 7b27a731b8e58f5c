"""Answers command lines from a warm process: each runs in a child of its own, forked before use.

A line of JSON comes in ({cwd, arguments, out, err}), the child's exit code goes out. What the child
would import is imported here already, and nothing more is done, so that no thread is running.
"""

from __future__ import annotations

import json
import os
import sys

import scipy.special
import scipy.stats  # noqa: F401

import modelchecks.checks.accuracy
import modelchecks.checks.drift
import modelchecks.logged
import modelchecks.report.write
import modelchecks.run
import modelchecks.sources.parquet  # noqa: F401
from modelchecks.cli import main


def child(asked: dict) -> None:
    """Run one command line as `python -m modelchecks` would, and never return."""
    os.chdir(asked["cwd"])
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    sys.path.insert(0, "")
    main(asked["arguments"])


for line in sys.stdin:
    if (pid := os.fork()) == 0:
        child(json.loads(line))
        os._exit(99)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
