"""A YAML value means one Python value or is a problem: shares, merge keys, aliases, mappings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelchecks.check import Share
from modelchecks.fields import INVALID, Reader
from modelchecks.load import load_suite, read_suite

HEAD = """\
suite: s
data:
  offline: &log {source: parquet, path: o.parquet, label: y, id: i, sampling: random}
  live: {<<: *log, path: l.parquet}
"""
TAIL = """\
variants: {a: {logged: a}}
checks: [accuracy_drop: {max_drop: 5pp}]
"""


def read(text: str, hint: Any, what: str = "`x`") -> tuple[Any, list[str]]:
    """Return the value of a YAML text under an annotation, and the messages of its problems."""
    reader = Reader("x.yaml", text)
    value = reader.value(yaml.compose(text, Loader=yaml.SafeLoader), hint, what)
    assert bool(reader.problems) == (value is INVALID)
    return value, [problem.message for problem in reader.problems]


def write(folder: Path, text: str) -> Path:
    path = folder / "x.suite.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def told(folder: Path, text: str) -> list[str]:
    _, problems = read_suite(write(folder, text))
    return [f"{problem.line}:{problem.column} {problem.message}" for problem in problems]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        *[(form, 0.05) for form in ("5pp", "5%", "0.05", "'5 pp'", '" 5 % "', "5e-2", "'0.05'")],
        ("1e-3", 0.001),
        ("1.e-3", 0.001),
        ("0", 0.0),
        ("1.0", 1.0),
        ("100%", 1.0),
        ("0.5pp", 0.005),
        (".5", 0.5),
        ("+5%", 0.05),
    ],
)
def test_a_share_is_read_in_every_form(text: str, share: float) -> None:
    value, _ = read(text, Share)
    assert value == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (".nan", "must be written 5pp, 5% or 0.05"),
        ("nan", "must be written 5pp, 5% or 0.05"),
        ("nan%", "must be written 5pp, 5% or 0.05"),
        (".inf", "must be written 5pp, 5% or 0.05"),
        ("-.inf", "must be written 5pp, 5% or 0.05"),
        ("inf pp", "must be written 5pp, 5% or 0.05"),
        ("1e999", "must be written 5pp, 5% or 0.05"),
        ("1" + "0" * 400, "must be written 5pp, 5% or 0.05"),
        ("true", "must be written 5pp, 5% or 0.05"),
        ("null", "must be written 5pp, 5% or 0.05"),
        ("[0.05]", "must be written 5pp, 5% or 0.05, not a list"),
        ("{a: 1}", "must be written 5pp, 5% or 0.05, not a mapping"),
        ("five", "must be written 5pp, 5% or 0.05, not 'five'"),
        ("5 p", "must be written 5pp, 5% or 0.05"),
        ("pp", "must be written 5pp, 5% or 0.05"),
        ("2024-01-01", "must be written 5pp, 5% or 0.05"),
        ("!!int ''", "must be written 5pp, 5% or 0.05"),
        ("-1", "is not between 0 and 1"),
        ("-5%", "is not between 0 and 1"),
        ("101%", "is not between 0 and 1"),
        ("5", "did you mean 5pp?"),
        ("1", "may be 1 % or all of it"),
        ("'1'", "may be 1 % or all of it"),
        ("'12.5'", "did you mean 12.5pp?"),
        ("200", "is not between 0 and 1"),
    ],
)
def test_what_is_no_share_is_refused(text: str, said: str) -> None:
    value, (message,) = read(text, Share)
    assert value is INVALID
    assert said in message
    assert ("did you mean" in message) == ("did you mean" in said)


@given(st.floats(0, 1), st.sampled_from(["", "pp", "%", " pp", " %"]))
def test_every_number_between_0_and_1_is_a_share(share: float, unit: str) -> None:
    number = share * 100 if unit else share
    value, _ = read(f"{number!r}{unit}", Share)
    assert value == pytest.approx(min(number / 100, 1) if unit else share, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("abc", str, "abc"),
        ("'5'", str, "5"),
        ("yes", bool, True),
        ("0", int, 0),
        ("1_000", int, 1000),
        ("1e3", float, 1000.0),
        ("3", float, 3.0),
        ("~", str | None, None),
        ("[]", tuple[str, ...], ()),
        ("[a, b]", tuple[str, ...], ("a", "b")),
        ("warn", Literal["warn", "skip"], "warn"),
        ("{a: 1, 2: [x, {b: null}]}", Mapping[str, Any], {"a": 1, "2": ["x", {"b": None}]}),
        ("{<<: {a: 1, b: 2}, b: 3}", Mapping[str, Any], {"a": 1, "b": 3}),
    ],
)
def test_a_value_is_read_as_its_annotation_asks(text: str, hint: Any, value: Any) -> None:
    found, _ = read(text, hint)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint", "message"),
    [
        ("5", str, "`x` must be text, not '5'; quote it if meant"),
        ("no", str, "`x` must be text, not 'no'; quote it if meant"),
        ("2024-01-01", str, "`x` must be text, not '2024-01-01'; quote it if meant"),
        ("[a]", str, "`x` must be text, not a list; quote it if meant"),
        ("1", bool, "`x` must be true or false, not '1'"),
        ("true", int, "`x` must be a whole number, not 'true'"),
        ("5.0", int, "`x` must be a whole number, not '5.0'"),
        ("!!int x", int, "`x` must be a whole number, not 'x'"),
        ("true", float, "`x` must be a number, not 'true'"),
        (".nan", float, "`x` must be a number, not '.nan'"),
        ("a", tuple[str, ...], "`x` must be a list, not text"),
        ("[a, 5]", tuple[str, ...], "an item of `x` must be text, not '5'; quote it if meant"),
        ("fail", Literal["warn", "skip"], "`x` is 'fail'; it must be one of warn, skip"),
        ("[]", Mapping[str, Any], "`x` must be a mapping of keys to values, not a list"),
        ("5", Mapping[str, Any], "`x` must be a mapping of keys to values, not a whole number"),
        ("{a: 1, a: 2}", Mapping[str, Any], "'a' is given twice in `x` (first in line 1)"),
        ("{[a]: 1}", Mapping[str, Any], "a key of `x` must be a plain word"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_in_plain_words(
    text: str, hint: Any, message: str
) -> None:
    assert read(text, hint) == (INVALID, [message])


def test_the_further_runs_of_a_variant_must_be_mappings(tmp_path: Path) -> None:
    model = "{model: 'a:b', weights: w, runs: [{weights: r, seed: 1, lr: 0.1}, 5, [b]]}"
    text = HEAD + TAIL.replace("{logged: a}", model)
    assert told(tmp_path, text) == [
        "5:81 an item of `runs` must be a mapping of keys to values, not a whole number",
        "5:84 an item of `runs` must be a mapping of keys to values, not a list",
    ]
    twice = text.replace("5, [b]", "{weights: q, a: {b: 1, b: 2}}")
    assert told(tmp_path, twice) == ["5:104 'b' is given twice in this mapping (first in line 5)"]
    suite = load_suite(write(tmp_path, text.replace(", 5, [b]", "")))
    assert suite.variants[0].runs == ({"weights": "r", "seed": 1, "lr": 0.1},)


def test_the_further_runs_of_a_variant_need_weights_and_a_model(tmp_path: Path) -> None:
    says = "5:{} variant 'a': each of its `runs` needs `weights`, and it a `model`"
    for variant in ("{logged: a, runs: [{weights: r}]}", "{model: 'a:b', weights: w, runs: [{}]}"):
        found = told(tmp_path, HEAD + TAIL.replace("{logged: a}", variant))
        assert [line.split(" ", 1)[1] for line in found] == [says.split(" ", 1)[1]]


@dataclass(frozen=True, kw_only=True)
class Brittle:
    """A dataclass whose own checks raise."""

    size: int = 1

    def __post_init__(self) -> None:
        if self.size == 2:
            raise ValueError("size: is 2")
        if self.size == 3:
            raise ValueError("nothing fits")
        self.size // (4 - self.size)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (2, "`size` is 2"),
        (3, "`x`: nothing fits"),
        (4, "`x` raised ZeroDivisionError: integer division or modulo by zero"),
    ],
)
def test_whatever_a_dataclass_raises_about_its_fields_is_a_problem(size: int, message: str) -> None:
    assert read(f"size: {size}", Brittle) == (INVALID, [message])


# Merge keys.


def test_a_merge_key_gives_a_split_what_it_does_not_say_itself(tmp_path: Path) -> None:
    offline, live = load_suite(write(tmp_path, HEAD + TAIL)).splits
    assert offline.options["path"] == "o.parquet"
    assert live.options == {**offline.options, "path": "l.parquet"}
    assert (live.source, live.sampling) == ("parquet", "random")


def test_merge_keys_work_in_variants_checks_and_under_each_other(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
variants:
  a: &model {model: "m:f", weights: a.pt, transform: "m:t"}
  b: &better {<<: *model, weights: b.pt}
  c: {<<: *better, transform: null}
checks:
  - accuracy_drop: &drop {max_drop: 5pp, confidence: 99%}
  - accuracy_drop: {<<: *drop, max_drop: 1pp}
  - accuracy_floor: {<<: [{min_accuracy: 80%, split: offline}, {min_accuracy: 70%}]}
"""
    )
    suite = load_suite(write(tmp_path, text))
    told = [(variant.weights, variant.transform) for variant in suite.variants]
    assert told == [("a.pt", "m:t"), ("b.pt", "m:t"), ("b.pt", None)]
    assert [declared.check.confidence for declared in suite.checks] == [0.99, 0.99, 0.95]
    assert [declared.check.max_drop for declared in suite.checks[:2]] == [0.05, 0.01]
    assert suite.checks[2].check.min_accuracy == 0.8, "the earlier merged mapping wins"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{<<: *log, path: a, path: b}", "4:29 'path' is given twice in split 'live'"),
        ("{<<: *log, <<: *log}", "4:20 '<<' is given twice in split 'live'"),
        ("{<<: 5, source: parquet, path: a}", "4:14 what `<<` names must be a mapping of keys"),
        ("{<<: [*log, x]}", "4:21 what `<<` names must be a mapping of keys to values, not text"),
        ("{<<: *log, '<<': *log}", "4:20 '<<' is given twice"),
        ("{'<<': *log, source: parquet, path: a}", "4:10 split 'live' (source parquet) has no key"),
        ("{<<: {source: parquet, path: a, path: b}}", "4:41 'path' is given twice in what `<<`"),
        ("{<<: *log, <<<: 1}", "4:20 split 'live' (source parquet) has no key '<<<'"),
    ],
)
def test_a_faulty_merge_is_told_at_its_place(tmp_path: Path, entry: str, said: str) -> None:
    (problem,) = told(tmp_path, HEAD.replace("{<<: *log, path: l.parquet}", entry) + TAIL)
    assert problem.startswith(said)


tables = st.dictionaries(st.sampled_from("abcdef"), st.integers(), max_size=4)


@given(own=tables, merged=st.lists(tables, min_size=1, max_size=3), nested=tables)
def test_merging_gives_what_pyyaml_gives(
    own: dict[str, int], merged: list[dict[str, int]], nested: dict[str, int]
) -> None:
    inner = [{**table} for table in merged]
    entries = ["{<<: " + str(nested) + ", " + str(table)[1:] for table in inner]
    text = "{<<: [" + ", ".join(entries) + "], " + str(own)[1:]
    value, _ = read(text, Mapping[str, Any])
    assert value == yaml.safe_load(text)


# Aliases.

BOMB = "a: &a [l,l,l,l,l,l,l,l,l]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: &x [*x]\n", "1:4", "an anchor (`&`) may not hold itself"),
        ("a: &x {b: *x}\n", "1:4", "an anchor (`&`) may not hold itself"),
        ("a: &x {<<: *x}\n", "1:4", "an anchor (`&`) may not hold itself"),
        ("a: &x [&y [*x, *y]]\n", "1:8", "an anchor (`&`) may not hold itself"),
        ("&x {a: *x}\n", "1:1", "an anchor (`&`) may not hold itself"),
        ("a: " + "[" * 150 + "]" * 150 + "\n", "1:104", "nests more than 100 deep"),
        (BOMB, "9:4", "stands for more than 100,000 values once aliases are written out"),
        ("suite: s\nvariants: {" + BOMB.replace("\n", ",") + "}", "2:11", "100,000 values"),
    ],
)
def test_aliases_without_an_end_are_one_problem_at_once(
    tmp_path: Path, text: str, place: str, said: str
) -> None:
    started = time.perf_counter()
    (problem,) = told(tmp_path, text)
    assert time.perf_counter() - started < 2
    assert problem.startswith(f"{place} ")
    assert said in problem


def test_a_fault_under_an_alias_is_told_once_where_it_is_written(tmp_path: Path) -> None:
    text = (
        HEAD
        + """\
variants: {a: {logged: a}}
checks:
  - accuracy_drop: &drop {max_drop: five}
  - accuracy_drop: *drop
"""
    )
    (problem,) = told(tmp_path, text)
    assert problem.startswith("7:37 `max_drop` must be written 5pp")
