"""Suite file → Suite; every problem is found before anything heavy loads, and all at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from modelchecks.check import judged_split
from modelchecks.errors import Problem, SuiteError
from modelchecks.fields import Reader
from modelchecks.python_suite import read_python
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
        suite, problems = read_python(path, data)
        return suite, [*problems, *(advice(suite) if suite is not None else [])]
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
    elif all(declared.check.scope == "data" for declared in blocking):
        message = (
            "no check of severity block looks at a variant, so every variant stays undecided; data "
            "alone approves no model"
        )
        found.append(warning(blocking[0].location, message))
    for split in suite.splits:
        judging = [d.id for d in blocking if judged_split(d.check) == split.name]
        if judging and split.sampling == "unknown" and split.assume_random is None:
            message = (
                f"`sampling` of split {split.name!r} is unknown, so {', '.join(judging)} can block "
                "but not approve; say `sampling: random` if its labelled rows are a random sample "
                "of live traffic"
            )
            found.append(warning(split.location, message))
    return found
