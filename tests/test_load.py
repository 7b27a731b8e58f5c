"""A suite file is read whole, or every fault in it is told at its place; nothing else happens."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelchecks.checks.accuracy import AccuracyDrop
from modelchecks.errors import Problem, SuiteError
from modelchecks.load import load_suite, read_suite

ROOT = Path(__file__).parents[1]
EXAMPLE = """\
suite: fashion-live-gate
description: Which of the three variants may replace what is in production?
data:
  train:   {source: fashion_mnist, split: train}
  offline: {source: fashion_mnist, split: offline}
  live:    {source: parquet, path: data/live/*.parquet, image: image, label: label, id: id, slices: [camera, store],
            sampling: random, group: null}     # how the labelled rows were drawn; omitted = unknown, which cannot approve
variants:
  baseline:          {model: "casestudy:small_cnn", weights: runs/baseline.safetensors}
  domain_adapted:    {model: "casestudy:small_cnn", weights: runs/domain_adapted.safetensors}
  curriculum:        {model: "casestudy:small_cnn", weights: runs/curriculum.safetensors, history: runs/curriculum.history.csv}
                     # runs: [{weights: …, seed: 1, lr: 0.1}, …]   further runs of the recipe, free tags, for stability checks
champion: baseline
checks:
  - schema:        {expectations: schema/fashion.json, splits: [train, offline, live]}
  - feature_drift: {reference: train, current: live, max_effect: 0.1}      # drift checks: severity warn by default
  - label_drift:   {reference: train, current: live, max_effect: 0.1}
  - accuracy_drop: {offline: offline, live: live, max_drop: 5pp, confidence: 95%}
    severity: block            # block | warn | info; each check declares its default (drift: warn, most others: block)
    id: live-drop              # stable name; default: the check's name, made unique
policy: {inconclusive: fail, mode: enforce, ledger: null}    # inconclusive: fail | warn | skip; mode: observe records verdicts and blocks nothing
"""  # noqa: E501

FAULTY = """\
suite: faulty
chmapion: a
data:
  offline: {source: parquet, path: o.parquet, label: y}
  live: {source: parquet, path: l.parquet, label: y, sampling: {weight: w}}
  spare: {source: parquet, path: s.parquet}
  odd: {source: parqet, path: s.parquet}
variants:
  data: {logged: a}
  old: {model: "m:f", weights: old.pkl}
  raw: {model: "m:f"}
  both: {model: "m:f", weights: w.pt, logged: a}
  bare: {model: m, weights: w.pt}
  a: {logged: a}
  a: {logged: b}
champion: nobody
checks:
  - acuracy_drop: {max_drop: 5pp}
  - accuracy_drop: {max_drop: 5, ofline: offline}
  - accuracy_drop: {max_drop: 5pp, live: lvie}
    severity: blok
  - accuracy_drop: {confidence: true}
  - accuracy_drop: {max_drop: 5pp, live: offline}
  - accuracy_floor: {split: live, min_accuracy: 90%}
    sevrity: block
  - label_drift: {reference: offline}
    id: a b
policy: {mode: watch}
compute: {batch_size: 0}
"""
FAULTS = """\
2:1 the suite has no key 'chmapion'; did you mean 'champion'?
5:64 `sampling` is a mapping; it must be one of random, unknown, {weights: COLUMN}
6:3 no check uses split 'spare'
7:3 no check uses split 'odd'
7:17 no source is named 'parqet'; did you mean 'parquet'?
9:3 the variant name 'data' is reserved
10:3 weights 'old.pkl' are a pickle
11:3 variant 'raw' needs `weights`
12:3 variant 'both' needs either `model`
13:3 `model` 'm' is not `module:callable`
15:3 'a' is given twice in `variants` (first in line 14)
16:11 champion 'nobody' is not a variant
18:5 no check is named 'acuracy_drop'; did you mean 'accuracy_drop'?
19:31 `max_drop` is '5', which is not between 0 and 1; did you mean 5pp?
19:34 check 'accuracy_drop' has no key 'ofline'; did you mean 'offline'?
20:42 `live`: no split is named 'lvie'; did you mean 'live'?
21:15 `severity` is 'blok'; it must be one of block, warn, info
22:20 check 'accuracy_drop' needs `max_drop`
22:33 `confidence` must be written 5pp, 5% or 0.05, not 'true'
23:42 `live` is the same split as `offline`
25:5 an item of `checks` must name exactly one check; this names accuracy_floor, sevrity; did you mean
27:9 `id` 'a b' may hold only
28:16 `mode` is 'watch'; it must be one of enforce, observe
29:10 `compute`: sizes must be at least 1
"""  # noqa: E501

HEAD = """\
suite: s
data:
  offline: {source: parquet, path: o.parquet, label: y, sampling: random}
  live: {source: parquet, path: l.parquet, label: y, sampling: random}
variants: {a: {logged: a}}
checks:
"""


def told(folder: Path, text: str | bytes, name: str = "x.suite.yaml") -> list[Problem]:
    """Write a suite file and return what reading it tells."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    suite, problems = read_suite(path)
    assert (suite is None) == any(problem.severity == "error" for problem in problems)
    return problems


def only(folder: Path, text: str | bytes, name: str = "x.suite.yaml") -> Problem:
    """Return the one problem that is told."""
    problems = told(folder, text, name)
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def under_caret(problem: Problem) -> str:
    """Return the character of the shown source line that the caret stands under."""
    _, source, caret = str(problem).splitlines()
    return source[len(caret) - 1]


def test_the_example_of_the_interface_is_a_valid_suite(tmp_path: Path) -> None:
    assert told(tmp_path, EXAMPLE) == []
    suite = load_suite(tmp_path / "x.suite.yaml")
    assert suite.name == "fashion-live-gate"
    assert suite.champion == "baseline"
    assert [split.sampling for split in suite.splits] == ["unknown", "unknown", "random"]
    assert suite.splits[2].slices == ("camera", "store")
    assert [(check.id, check.severity) for check in suite.checks] == [
        ("schema", "block"),
        ("feature_drift", "warn"),
        ("label_drift", "warn"),
        ("live-drop", "block"),
    ]
    assert suite.checks[3].check == AccuracyDrop(max_drop=0.05, confidence=0.95)
    assert suite.checks[3].location.line == 18


def test_the_suite_of_the_case_study_is_valid_and_without_advice() -> None:
    suite, problems = read_suite(ROOT / "suites" / "fashion.suite.yaml")
    assert suite is not None
    assert problems == []


def test_every_fault_is_told_at_once_at_its_line_and_column(tmp_path: Path) -> None:
    problems = told(tmp_path, FAULTY)
    seen = [f"{problem.line}:{problem.column} {problem.message}" for problem in problems]
    for line, expected in zip(seen, FAULTS.splitlines(), strict=True):
        assert line.startswith(expected)
    for problem in problems:
        text = str(problem)
        assert text.startswith(f"{tmp_path}/x.suite.yaml:{problem.line}:{problem.column}: ")
        assert under_caret(problem) == FAULTY.splitlines()[problem.line - 1][problem.column - 1]
    with pytest.raises(SuiteError) as raised:
        load_suite(tmp_path / "x.suite.yaml")
    assert str(raised.value) == "\n".join(map(str, problems))


@pytest.mark.parametrize("odd", ["x", "é", "a\tb", "日本", "😀\t\té"])
def test_the_caret_stands_under_the_fault_whatever_comes_before(tmp_path: Path, odd: str) -> None:
    text = f"{HEAD}- accuracy_drop: {{'{odd}': 1, max_drop: 7}}\n"
    wrong_key, wrong_value = told(tmp_path, text)
    assert under_caret(wrong_key) == "'"
    assert under_caret(wrong_value) == "7"
    assert wrong_value.column == text.splitlines()[-1].index("7") + 1
    wide = sum(letter in "日本😀" for letter in odd)
    assert str(wrong_value).splitlines()[-1].count("\u3000") == wide, "as wide on a terminal"


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("", 1, 1, "is empty"),
        ("# nothing\n\n# here\n", 1, 1, "is empty"),
        ("- a\n- b\n", 1, 1, "the suite must be a mapping of keys to values, not a list"),
        ("just words\n", 1, 1, "the suite must be a mapping of keys to values, not text"),
        (b"\x89PNG\r\n\x1a\n\x00", 1, 1, "is not UTF-8 text"),
        ("suite: x".encode("utf-16"), 1, 1, "is not UTF-8 text"),
        ("a: 1\nsuite: b\x00c\n", 2, 9, "special characters are not allowed"),
        ("a: 1\n---\nb: 1\n", 2, 1, "expected a single document in the stream, but found another"),
        ("suite: [a,\n", 2, 1, "is not YAML: while parsing a flow"),
        ("suite: a\n\tdata: b\n", 2, 1, "is not YAML"),
        ("suite: *nowhere\n", 1, 8, "found undefined alias 'nowhere'"),
        ('suite: "\\UFFFFFFFF"\n', 1, 1, "is not YAML"),
        ("[" * 5000, 1, 1, "is not YAML"),
    ],
)
def test_what_is_no_suite_at_all_is_one_problem(
    tmp_path: Path, text: str | bytes, line: int, column: int, said: str
) -> None:
    problem = only(tmp_path, text)
    assert (problem.line, problem.column) == (line, column)
    assert said in problem.message


def test_a_missing_file_and_a_folder_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.suite.yaml"):
        suite, (problem,) = read_suite(path)
        assert suite is None
        assert problem.message.startswith("cannot be read: ")
        assert problem.path == str(path)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    plain = told(tmp_path, FAULTY)
    windows = told(tmp_path, b"\xef\xbb\xbf" + FAULTY.replace("\n", "\r\n").encode())
    assert [str(problem) for problem in windows] == [str(problem) for problem in plain]


def test_advice_says_that_nothing_can_approve_when_no_check_blocks(tmp_path: Path) -> None:
    problem = only(tmp_path, HEAD + "- label_drift: {reference: offline}\n")
    assert problem.severity == "warning"
    assert problem.line == 7
    assert "no check has severity block, so every variant stays undecided" in str(problem)
    assert under_caret(problem) == "-"


def test_advice_names_the_checks_that_cannot_approve_on_rows_of_unknown_sampling(
    tmp_path: Path,
) -> None:
    checks = "- accuracy_drop: {max_drop: 5pp}\n- accuracy_floor: {min_accuracy: 9%}\n  id: floor\n"
    problem = only(
        tmp_path, HEAD.replace("l.parquet, label: y, sampling: random", "l.parquet") + checks
    )
    assert "'live' is unknown, so accuracy_drop, floor can block but not approve" in problem.message
    assert problem.line == 4
    assumed = HEAD.replace("l.parquet, label: y, sampling: random", "l, assume_random: 'a lottery'")
    assert told(tmp_path, assumed + checks) == []


def test_default_ids_are_made_unique_and_given_ones_must_be(tmp_path: Path) -> None:
    drop = "- accuracy_drop: {max_drop: 5pp}\n"
    path = tmp_path / "x.suite.yaml"
    assert told(tmp_path, HEAD + drop + "- label_drift: {reference: offline}\n" + drop + drop) == []
    assert [check.id for check in load_suite(path).checks] == [
        "accuracy_drop",
        "label_drift",
        "accuracy_drop-2",
        "accuracy_drop-3",
    ]
    problem = only(tmp_path, HEAD + drop + drop + "  id: accuracy_drop\n")
    assert (problem.line, problem.message) == (9, "`id` 'accuracy_drop' is taken in line 7")


def mutations(text: str, seed: int) -> str:
    """Return a valid suite with one token deleted, doubled, swapped or altered."""
    draw = random.Random(seed)
    tokens = re.findall(r"\w+|\s+|.", text)
    at = draw.randrange(len(tokens))
    other = draw.choice(
        [*tokens, "<<", "*a", "&a", "!!int", "null", "-1", "5", "~", "\t", "é日", "'"]
    )
    change = draw.choice(["delete", "double", "alter", "insert"])
    token = {"delete": "", "double": tokens[at] * 2, "alter": other, "insert": other + tokens[at]}
    return "".join([*tokens[:at], token[change], *tokens[at + 1 :]])


WORDS = set(re.findall(r"[a-z_]+", EXAMPLE)) - {"casestudy"}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(sorted(WORDS)), inner, max_size=5)
    ),
    max_leaves=12,
)
documents = st.one_of(
    st.text(),
    values.map(lambda value: yaml.safe_dump(value, allow_unicode=True)),
    st.dictionaries(
        st.sampled_from(["suite", "data", "variants", "champion", "checks", "policy", "compute"]),
        values,
    ).map(yaml.safe_dump),
    st.integers(0, 2**32).map(lambda seed: mutations(EXAMPLE, seed)),
    st.integers(0, 2**32).map(lambda seed: mutations(FAULTY, seed)),
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=documents)
def test_whatever_the_text_there_are_only_problems_and_they_lie_inside_it(
    tmp_path: Path, text: str
) -> None:
    for problem in told(tmp_path, text.encode("utf-8", "replace")):
        lines = [*text.removeprefix("\ufeff").splitlines(), ""]
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.message
        assert dedent(str(problem)).startswith(f"{tmp_path}/x.suite.yaml:")


def test_reading_a_suite_loads_nothing_heavy() -> None:
    code = """
        import sys
        from modelchecks.load import load_suite
        assert load_suite("suites/fashion.suite.yaml").checks
        heavy = {"torch", "torchvision", "scipy", "pandas", "great_expectations", "pyarrow", "PIL",
                 "jinja2", "pytest", "hypothesis", "ray"}
        print(sorted(heavy & set(sys.modules)))
    """
    ran = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert ran.stdout.strip() == "[]"
