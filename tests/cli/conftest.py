"""The shell door by real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent
from types import SimpleNamespace

import pytest

ODD_CHECK = '''\
import os, sys, time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from modelchecks.check import Needs, Outcome

CALLS = []


@dataclass(frozen=True, kw_only=True)
class Odd:
    """Somebody's check."""

    default_severity: ClassVar = "block"
    scope: ClassVar = "variant"

    def needs(self):
        CALLS.append("needs")
        if {needs_breaks} and len(CALLS) > 1:
            raise RuntimeError("needs() broke later")
        return Needs({{"offline": frozenset({{"labels"}}), "live": frozenset({{"labels"}})}})

    def evaluate(self, view):
{body}
'''


@pytest.fixture
def shell(bench):
    """Runs `python -m modelchecks` in the folder of the bench."""

    def run(*arguments, code=None, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "modelchecks", *map(str, arguments)],
            cwd=bench.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def odd_suite(bench):
    """Writes `odd.suite.yaml` over a check of somebody's with a given `evaluate`."""

    def write(body="return Outcome('passed', 'fine')", *, needs_breaks=False):
        text = ODD_CHECK.format(body=indent(dedent(body), " " * 8), needs_breaks=needs_breaks)
        (bench.folder / "odd.py").write_text(text, encoding="utf-8")
        return bench.suite('- "odd:Odd": {}', name="odd", variants="good: {logged: good}")

    return write


@pytest.fixture(scope="session")
def warm():
    """A process that forks one for each command line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("MODELCHECKS_CACHE", None)
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("forked.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def forked(bench, warm, tmp_path_factory):
    """Runs a command line in a process of its own."""
    outputs = tmp_path_factory.mktemp("forked")

    def run(*arguments, code=None):
        files = {name: str(outputs / name) for name in ("out", "err")}
        asked = {"cwd": str(bench.folder), "arguments": list(map(str, arguments)), **files}
        warm.stdin.write(json.dumps(asked) + "\n")
        warm.stdin.flush()
        done = SimpleNamespace(
            returncode=int(warm.stdout.readline()),
            **{f"std{name}": Path(file).read_text("utf-8") for name, file in files.items()},
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    return run
