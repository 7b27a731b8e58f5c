"""Suite file → Suite; every problem is found before anything heavy loads, and all at once."""

from __future__ import annotations

import dataclasses
import hashlib
import runpy
from pathlib import Path

import yaml

from modelchecks.check import Check
from modelchecks.errors import Problem, SuiteError
from modelchecks.fields import Reader
from modelchecks.results import Location
from modelchecks.suite import Suite
from modelchecks.suite_file import SuiteReader


def load_suite(path: str | Path) -> Suite:
    """Return the suite of a `.suite.yaml` (or `.py`) file; raises SuiteError with all problems."""
    suite, problems = read_suite(path)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors or suite is None:
        raise SuiteError(errors)
    return suite


def read_suite(path: str | Path) -> tuple[Suite | None, list[Problem]]:
    """Return the suite, None where it cannot be used, and every problem and warning in it."""
    path = Path(path)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        problem = Problem(str(path), 1, 1, f"cannot be read: {error.strerror or error}")
        return None, [problem]
    except UnicodeDecodeError as error:
        return None, [Problem(str(path), 1, 1, f"is not UTF-8 text: {error}")]
    if path.suffix == ".py":
        return _read_python(path, data)
    reader = Reader(str(path), text)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error)
        if mark is not None:
            reader.report(mark, f"is not YAML: {said}")
        else:
            reader.problems.append(Problem(str(path), 1, 1, f"is not YAML: {said}"))
        return None, reader.problems
    if root is None:
        return None, [Problem(str(path), 1, 1, "is empty; `modelchecks explain` lists the checks")]
    suite = SuiteReader(reader, path, root, hashlib.sha256(data).hexdigest()).read()
    if reader.problems or suite is None:
        return None, sorted(reader.problems, key=lambda found: (found.line, found.column))
    return suite, advice(suite)


def _read_python(path: Path, data: bytes) -> tuple[Suite | None, list[Problem]]:
    """Run a `.py` suite, which must leave a Suite in the name `suite`."""
    try:
        found = runpy.run_path(str(path)).get("suite")
    except Exception as error:
        last = error.__traceback__
        line = 1
        while last is not None:
            if last.tb_frame.f_code.co_filename == str(path):
                line = last.tb_lineno
            last = last.tb_next
        return None, [Problem(str(path), line, 1, f"raised {type(error).__name__}: {error}")]
    if not isinstance(found, Suite):
        return None, [Problem(str(path), 1, 1, "leaves no modelchecks.Suite in the name `suite`")]
    suite = dataclasses.replace(found, path=path, sha256=hashlib.sha256(data).hexdigest())
    return suite, advice(suite)


def advice(suite: Suite) -> list[Problem]:
    """Return warnings about a suite that is valid and yet cannot approve what it may seem to."""
    lines = suite.path.read_text(encoding="utf-8").splitlines()

    def warning(at: Location, message: str) -> Problem:
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        column = len(line) - len(line.lstrip()) + 1
        return Problem(str(suite.path), at.line, column, message, "warning", line)

    found = []
    blocking = [declared for declared in suite.checks if declared.severity == "block"]
    if not blocking:
        at = suite.checks[0].location if suite.checks else Location(str(suite.path), 1)
        message = "no check has severity block, so every variant stays undecided"
        found.append(warning(at, message))
    for split in suite.splits:
        judging = [d.id for d in blocking if _judged_split(d.check) == split.name]
        if judging and split.sampling == "unknown" and split.assume_random is None:
            message = (
                f"`sampling` of split {split.name!r} is unknown, so {', '.join(judging)} can block "
                "but not approve; say `sampling: random` if its labelled rows are a random sample "
                "of live traffic"
            )
            found.append(warning(split.location, message))
    return found


def _judged_split(check: Check) -> str | None:
    """Return the split whose labelled rows a check takes for live traffic, if it names one."""
    for name in ("live", "current", "split"):
        value = getattr(check, name, None)
        if isinstance(value, str):
            needs = check.needs().splits.get(value, frozenset())
            return value if "labels" in needs else None
    return None
