"""Suite file → Suite; every problem is found before anything heavy loads, and all at once."""

from __future__ import annotations

import dataclasses
import hashlib
import runpy
import traceback
from pathlib import Path

import yaml

from modelchecks.check import Check
from modelchecks.errors import Problem, SuiteError
from modelchecks.fields import Reader
from modelchecks.results import Location
from modelchecks.suite import Suite
from modelchecks.suite_file import SuiteReader

DEPTH, VALUES = 100, 100_000
"""How deep and how large the tree of a suite file may be."""


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
        text = data.decode("utf-8-sig")
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
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        reader.report(*_no_yaml(error, text))
        return None, reader.problems
    if root is None:
        return None, [Problem(str(path), 1, 1, "is empty; `modelchecks explain` lists the checks")]
    if (knot := _knot(root)) is not None:
        reader.report(*knot)
        return None, reader.problems
    suite = SuiteReader(reader, path, root, hashlib.sha256(data).hexdigest()).read()
    if reader.problems or suite is None:
        # What an alias repeats is one fault, told once.
        once = dict.fromkeys(reader.problems)
        return None, sorted(once, key=lambda found: (found.line, found.column))
    return suite, advice(suite)


def _no_yaml(error: Exception, text: str) -> tuple[yaml.Mark, str]:
    """Return where a text stops to be YAML, and why."""
    if isinstance(error, yaml.reader.ReaderError):
        upto = (text[: error.position] + ".").splitlines()
        mark = yaml.Mark("", error.position, len(upto) - 1, len(upto[-1]) - 1, None, 0)
        return mark, f"is not YAML: {error.reason} (character {chr(error.character)!r})"
    mark = getattr(error, "problem_mark", None) or yaml.Mark("", 0, 0, 0, None, 0)
    said = [getattr(error, "context", None), getattr(error, "problem", None)]
    return mark, f"is not YAML: {', '.join(filter(None, said)) or error}"


def _knot(root: yaml.Node) -> tuple[yaml.Node, str] | None:
    """Return a place where aliases make the tree endless, or larger than anyone can mean."""
    todo, seen = [(root, root, 0)], 0
    while todo:
        node, place, depth = todo.pop()
        if depth > DEPTH:
            return node, f"nests more than {DEPTH} deep; an anchor (`&`) may not hold itself"
        if seen > VALUES:
            return place, f"stands for more than {VALUES:,} values once aliases are written out"
        if isinstance(node, yaml.CollectionNode):
            pairs = isinstance(node, yaml.MappingNode)
            inner = [one for pair in node.value for one in pair] if pairs else node.value
            seen += len(inner)
            todo += [(one, place if depth else one, depth + 1) for one in inner]
    return None


def _read_python(path: Path, data: bytes) -> tuple[Suite | None, list[Problem]]:
    """Run a `.py` suite, which must leave a Suite in the name `suite`."""
    try:
        found = runpy.run_path(str(path)).get("suite")
        if not isinstance(found, Suite):
            problem = Problem(str(path), 1, 1, "leaves no modelchecks.Suite in the name `suite`")
            return None, [problem]
        suite = dataclasses.replace(found, path=path, sha256=hashlib.sha256(data).hexdigest())
        return suite, advice(suite)
    except (Exception, SystemExit) as error:
        # SystemExit as well: a suite that ends the process would end it with an exit code of 0.
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame.lineno or 1 for frame in frames if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            inside = [error.lineno or 1]
        line = inside[-1] if inside else 1
        source = "".join(data.decode("utf-8-sig").splitlines()[line - 1 : line])
        said = f"raised {type(error).__name__}: {error}"
        return None, [Problem(str(path), line, 1, said, source=source)]


def advice(suite: Suite) -> list[Problem]:
    """Return warnings about a suite that is valid and yet cannot approve what it may seem to."""
    lines = suite.path.read_text(encoding="utf-8-sig").splitlines()

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
