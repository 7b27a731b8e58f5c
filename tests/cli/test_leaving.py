"""The program ends at once, and still with all that an end owes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import atexit, sys, threading, time
from pathlib import Path
from modelchecks import __main__ as program
"""


def ended(code, *arguments, begin=BEGIN, **options):
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}{code}\nprogram.run()\nprint('never here')", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )
    assert "never here" not in done.stdout
    return done


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--version",), 0), (("gate", "nothing.yaml"), 2), (("no-such-command",), 2)],
)
def test_the_code_stands_and_exit_functions_run(tmp_path, arguments, code):
    done = ended("atexit.register(lambda: print('last words'))", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout.endswith("last words\n")


def test_a_thread_that_works_is_waited_for(tmp_path):
    code = (
        "def work():\n    time.sleep(1)\n    Path('done').write_text('whole')\n"
        "threading.Thread(target=work).start()\natexit.register(lambda: print('last words'))"
    )
    done = ended(code, "--version", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "done").read_text() == "whole"
    assert done.stdout.endswith("last words\n")


def test_an_exit_function_that_fails_changes_no_code(tmp_path):
    done = ended("atexit.register(lambda: 1 / 0)", "gate", "nothing.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr


def test_what_was_printed_arrives_whole(tmp_path):
    done = ended("print('x' * 300_000, end='')", "--version", cwd=tmp_path)
    assert done.stdout.count("x") == 300_000
    assert "version" in done.stdout


def test_what_cannot_be_written_at_the_end_is_no_success(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"{BEGIN}sys.stdout.write('x')\nprogram.run()", "lint"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode != 0
