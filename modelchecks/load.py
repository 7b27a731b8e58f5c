"""Suite file → Suite; every problem is found before anything heavy loads, and all at once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import yaml

from modelchecks import waivers
from modelchecks.check import judged_split
from modelchecks.errors import Problem, SuiteError
from modelchecks.fields import Reader
from modelchecks.plan import all_cases
from modelchecks.python_suite import read_python
from modelchecks.results import Location
from modelchecks.suite import Suite, Waiver
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
    """Return the suite with its waivers, None where it cannot be used, and every problem in it."""
    path = Path(path)
    suite, problems = _read(path)
    granted, wrong = _waivers(path, suite)
    if suite is None or wrong:
        return None, [*problems, *wrong]
    return replace(suite, waivers=(*suite.waivers, *granted)), problems


def _read(path: Path) -> tuple[Suite | None, list[Problem]]:
    data, found = _bytes(path)
    if data is None:
        return None, found
    if path.suffix == ".py":
        suite, problems = read_python(path, data)
        return suite, [*problems, *(advice(suite) if suite is not None else [])]
    reader, root = _tree(path, data)
    if root is None:
        empty = Problem(str(path), 1, 1, "is empty; `modelchecks explain` lists the checks")
        return None, reader.problems or [empty]
    suite = SuiteReader(reader, path, root, hashlib.sha256(data).hexdigest()).read()
    if reader.problems or suite is None:
        return None, _sorted(reader)
    return suite, advice(suite)


def _waivers(path: Path, suite: Suite | None) -> tuple[list[Waiver], list[Problem]]:
    """Return the waivers beside a suite file, and what is wrong with them."""
    file = waivers.waiver_file(path)
    if file is None:
        return [], []
    data, found = _bytes(file)
    if data is None:
        return [], found
    reader, root = _tree(file, data)
    if root is None:
        return [], reader.problems
    cases = None
    if suite is not None:
        cases = {case.id: case.declared.severity for case in all_cases(suite)}
    granted = waivers.read(reader, root, cases)
    return granted, _sorted(reader)


def _sorted(reader: Reader) -> list[Problem]:
    # What an alias repeats is one fault, told once.
    once = dict.fromkeys(reader.problems)
    return sorted(once, key=lambda found: (found.line, found.column))


def _bytes(path: Path) -> tuple[bytes | None, list[Problem]]:
    """Return a file's bytes, which are UTF-8 text, or None and the reason."""
    try:
        data = path.read_bytes()
        data.decode("utf-8-sig")
    except OSError as error:
        problem = Problem(str(path), 1, 1, f"cannot be read: {error.strerror or error}")
        return None, [problem]
    except UnicodeDecodeError as error:
        return None, [Problem(str(path), 1, 1, f"is not UTF-8 text: {error}")]
    return data, []


def _tree(path: Path, data: bytes) -> tuple[Reader, yaml.Node | None]:
    """Return a reader for a file and the root of its tree, None where it is empty or no YAML."""
    text = data.decode("utf-8-sig")
    reader = Reader(str(path), text)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        reader.report(*_no_yaml(error, text))
        return reader, None
    if root is not None and (knot := _knot(root)) is not None:
        reader.report(*knot)
        return reader, None
    return reader, root


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
