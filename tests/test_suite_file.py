"""Checks and suites that the user writes in Python: used as they are, or told what is wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from modelchecks.errors import Problem
from modelchecks.load import load_suite, read_suite

CHECKS = """\
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
from modelchecks.check import Needs, Outcome, SplitName, View, param

@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    '''The live split has enough classes.'''
    default_severity: ClassVar[str] = "block"
    scope: ClassVar[str] = "data"
    min_classes: int = param("how many")
    live: SplitName = param("split", default="live")

    def needs(self) -> Needs:
        return Needs({self.live: frozenset({"labels"})})

    def evaluate(self, view: View) -> Outcome:
        return Outcome("passed", "")
"""
HEAD = """\
suite: s
data: {live: {source: parquet, path: l.parquet, label: y, sampling: random}}
variants: {a: {logged: a}}
checks:
"""
SUITE = """\
from pathlib import Path
from modelchecks.checks.accuracy import AccuracyFloor
from modelchecks.results import Location
from modelchecks.suite import DeclaredCheck, Split, Suite, Variant

suite = Suite(
    name="in-python",
    path=Path("anything"),
    splits=(Split("live", "parquet", {"path": "l.parquet", "label": "y"}, sampling="random"),),
    variants=(Variant("a", logged="a"),),
    checks=(
        DeclaredCheck(
            "accuracy_floor", "floor", AccuracyFloor(min_accuracy=0.9), "block", Location("", 12)
        ),
    ),
)
"""


def told(folder: Path, checks: str, module: str = CHECKS) -> list[Problem]:
    """Write a suite and a module of checks beside it; return what reading the suite tells."""
    (folder / "mine.py").write_text(dedent(module), encoding="utf-8")
    path = folder / "x.suite.yaml"
    path.write_text(HEAD + checks, encoding="utf-8")
    return read_suite(path)[1]


def told_python(folder: Path, text: str) -> Problem:
    path = folder / "x.suite.py"
    path.write_text(dedent(text), encoding="utf-8")
    suite, (problem,) = read_suite(path)
    assert suite is None
    return problem


def test_a_check_beside_the_suite_is_used_by_module_and_class(tmp_path: Path) -> None:
    (warning,) = told(
        tmp_path, "- mine:ClassCount: {min_classes: 3}\n- mine:ClassCount: {min_classes: 4}"
    )
    assert warning.severity == "warning"
    assert "data alone approves no model" in warning.message
    suite = load_suite(tmp_path / "x.suite.yaml")
    assert [declared.id for declared in suite.checks] == ["mine.ClassCount", "mine.ClassCount-2"]
    assert [declared.check.min_classes for declared in suite.checks] == [3, 4]
    assert suite.checks[0].severity == "block"


def test_its_fields_are_read_as_strictly_as_those_of_a_built_in_check(tmp_path: Path) -> None:
    problems = told(tmp_path, "- mine:ClassCount: {min_clases: 3, live: lvie}\n")
    assert [(problem.line, problem.column, problem.message) for problem in problems] == [
        (5, 20, "check 'mine:ClassCount' needs `min_classes` (how many)"),
        (5, 21, "check 'mine:ClassCount' has no key 'min_clases'; did you mean 'min_classes'?"),
        (5, 42, "`live`: no split is named 'lvie'; did you mean 'live'?"),
    ]


@pytest.mark.parametrize(
    ("name", "was", "becomes", "said"),
    [
        ("ClassCont", "", "", "module 'mine' has no 'ClassCont'; did you mean 'ClassCount'?"),
        ("", "", "", "is not of the form `module:attribute`"),
        ("ClassVar", "", "", "is not a dataclass, as every check must be"),
        ("ClassCount", "@dataclass", "import nope_\n@dataclass", "No module named 'nope_'"),
        ("ClassCount", "@dataclass", "1 / 0\n@dataclass", "ZeroDivisionError: division by zero"),
        ("ClassCount", "@dataclass", "import sys; sys.exit(0)\n@dataclass", "SystemExit: 0"),
        ("ClassCount", "@dataclass", "@dataclas s", "SyntaxError"),
        ("ClassCount", "min_classes: int", "min_classes: Nope", "NameError: name 'Nope' is not"),
        ("ClassCount", '"block"', '"blok"', "default_severity 'blok'; it must be one of block"),
        ("ClassCount", '"data"', '"dta"', "scope 'dta'; it must be one of variant, data"),
        ("ClassCount", "def needs", "def need", "is no check: see modelchecks.check.Check"),
        ("ClassCount", "def evaluate", "def judge", "is no check: see modelchecks.check.Check"),
        ("ClassCount", "return ", "raise KeyError('x')  # ", "needs() raised KeyError: 'x'"),
        ("ClassCount", "return Needs({", "return ({", "needs() raised AttributeError"),
    ],
)  # fmt: skip
def test_a_check_that_cannot_be_used_is_told_at_the_line_that_names_it(
    tmp_path: Path, name: str, was: str, becomes: str, said: str
) -> None:
    checks = f"- label_drift\n- mine:{name}: {{min_classes: 3}}\n"
    head = HEAD.replace("data: {", "data: {train: {source: parquet, path: t, sampling: random}, ")
    (tmp_path / "mine.py").write_text(CHECKS.replace(was, becomes, 1) if was else CHECKS)
    path = tmp_path / "x.suite.yaml"
    path.write_text(head + checks)
    suite, (problem,) = read_suite(path)
    assert suite is None
    assert (problem.line, problem.column) == (6, 3)
    assert said in problem.message


def test_a_missing_module_is_told_with_the_places_looked_at(tmp_path: Path) -> None:
    problems = told(tmp_path, "- label_drift: {reference: live, current: other}\n- nope_:X: {}\n")
    assert problems[-1].message == (
        f"no module 'nope_' beside the suite file (in {tmp_path}) or installed"
    )


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("5", "an item of `checks` must be a mapping of keys to values, not a whole number"),
        ("[label_drift]", "an item of `checks` must be a mapping of keys to values, not a list"),
        ("{}", "an item of `checks` must name exactly one check; this names none"),
        ("severity: warn", "an item of `checks` must name exactly one check; this names none"),
    ],
)
def test_an_item_that_names_no_check_is_one_problem(tmp_path: Path, item: str, said: str) -> None:
    (problem,) = told(tmp_path, f"- accuracy_floor: {{min_accuracy: 9%}}\n- {item}\n")
    assert (problem.line, problem.column, problem.message) == (6, 3, said)


def test_empty_parts_are_refused(tmp_path: Path) -> None:
    (problem,) = told(tmp_path, "  []\n")
    assert problem.message == "`checks` is empty; a suite that asks nothing cannot approve"
    text = "suite: s\ndata: {}\nvariants: {}\nchecks: []\n"
    path = tmp_path / "x.suite.yaml"
    path.write_text(text)
    assert [problem.line for problem in read_suite(path)[1]] == [2, 3, 4]


def test_the_champion_may_be_a_variant_whose_entry_has_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "x.suite.yaml"
    text = HEAD.replace("{logged: a}", "{loged: a}") + "- accuracy_floor: {min_accuracy: 9%}\n"
    path.write_text(text + "champion: a\n")
    (problem,) = read_suite(path)[1]
    assert "has no key 'loged'" in problem.message


@pytest.mark.parametrize("weights", ["a.pkl", "a.PKL", "a.pickle"])
def test_a_pickle_needs_the_users_trust(tmp_path: Path, weights: str) -> None:
    path = tmp_path / "x.suite.yaml"
    model = f"{{model: 'm:f', weights: {weights}}}"
    text = HEAD.replace("{logged: a}", model) + "- accuracy_floor: {min_accuracy: 9%}\n"
    path.write_text(text)
    (problem,) = read_suite(path)[1]
    assert "are a pickle, which may run code when it loads" in problem.message
    path.write_text(text.replace("'m:f'", "'m:f', trusted: true"))
    assert load_suite(path).variants[0].trusted


def test_assumed_randomness_needs_a_reason_and_weights_and_groups_a_column(tmp_path: Path) -> None:
    path = tmp_path / "x.suite.yaml"
    for odd, said in [
        ("assume_random: '  '", "`assume_random` must give a reason"),
        ("group: [session]", "`group` must be text, not a list"),
        ("sampling: {weights: 5}", "`weights` must be text, not '5'"),
        ("sampling: lottery", "`sampling` is 'lottery'; it must be one of random, unknown"),
    ]:
        checks = "- accuracy_floor: {min_accuracy: 9%}\n"
        path.write_text(HEAD.replace("sampling: random", odd) + checks)
        (problem,) = read_suite(path)[1]
        assert said in problem.message
        assert problem.line == 2


# Suites in Python.


def test_a_python_suite_is_read_with_its_own_path_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "x.suite.py"
    path.write_text(SUITE)
    suite = load_suite(path)
    assert (suite.name, suite.path) == ("in-python", path)
    first = suite.sha256
    path.write_text(SUITE + "# changed\n")
    assert load_suite(path).sha256 != first


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\ny = 2\n\n1 / 0\n", 4, "raised ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError('no')\n\nf()\n", 2, "raised ValueError: no"),
        ("import json\njson.loads('{')\n", 2, "raised JSONDecodeError"),
        ("x = 1\ny = (\n", 2, "raised SyntaxError"),
        ("import sys\nsys.exit(0)\n", 2, "raised SystemExit: 0"),
        ("import nope_\n", 1, "raised ModuleNotFoundError: No module named 'nope_'"),
        ("suit = 1\n", 1, "leaves no modelchecks.Suite in the name `suite`"),
        ("suite = 'x'\n", 1, "leaves no modelchecks.Suite in the name `suite`"),
        ("", 1, "leaves no modelchecks.Suite in the name `suite`"),
        (SUITE.replace("checks=(", "checks=(None,"), 1, "raised AttributeError"),
    ],
)
def test_a_python_suite_that_cannot_be_used_is_told_at_the_line_that_raised(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    problem = told_python(tmp_path, text)
    assert problem.line == line
    assert said in problem.message


def test_a_python_suite_whose_check_has_faulty_needs_is_told(tmp_path: Path) -> None:
    text = SUITE + (
        "import dataclasses\n"
        "class Odd(AccuracyFloor):\n    def needs(self):\n        raise KeyError('k')\n"
        "odd = dataclasses.replace(suite.checks[0], check=Odd(min_accuracy=0.9))\n"
        "suite = dataclasses.replace(suite, checks=(odd,))\n"
    )
    problem = told_python(tmp_path, text)
    assert problem.message == "raised KeyError: 'k'"
    assert problem.source.strip() == "raise KeyError('k')"
