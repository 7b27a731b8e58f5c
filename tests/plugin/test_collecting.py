"""Which items a suite becomes, how they are selected, and what is refused before anything runs."""

from __future__ import annotations

import os

import pytest

CHECKS = """
- accuracy_drop: {max_drop: 5pp}
- label_drift: {reference: offline, current: live, max_effect: 0.3}
"""
HEAVY = (
    "torch",
    "torchvision",
    "vl_convert",
    "scipy",
    "pandas",
    "great_expectations",
    "deepchecks",
    "jinja2",
    "pyarrow",
    "ray",
)
SHOW_MODULES = """
import sys

def pytest_sessionfinish():
    print("LOADED", *sorted(sys.modules))
"""


def loaded(result):
    line = next(line for line in result.outlines if "LOADED" in line)
    return set(line.partition("LOADED")[2].split())


def collected(result):
    return [line for line in result.outlines if "::" in line]


def test_every_case_is_an_item_with_a_stable_name(bench, inner):
    (inner.folder / "suites").mkdir()
    bench.suite(CHECKS).rename(inner.folder / "suites" / "x.suite.yaml")
    result = inner.run("--collect-only", "-q", "suites")
    assert result.ret == 0
    assert collected(result) == [
        "suites/x.suite.yaml::accuracy_drop[good]",
        "suites/x.suite.yaml::accuracy_drop[bad]",
        "suites/x.suite.yaml::label_drift[data]",
    ]


def test_collecting_loads_nothing_heavy_and_decides_nothing(bench, inner):
    bench.suite(CHECKS)
    inner.write("conftest.py", SHOW_MODULES)
    result = inner.run("--collect-only", "-q", "--modelchecks-report", "reports", process=True)
    assert result.ret == 0
    assert len(collected(result)) == 3
    assert loaded(result).isdisjoint(HEAVY)
    result.stdout.no_fnmatch_line("*modelchecks:*")
    assert not (inner.folder / "reports").exists()
    assert not (inner.folder / ".modelchecks").exists()


def test_two_hundred_cases_are_collected_cold_and_soon(bench, inner):
    floors = "\n".join(
        f"- accuracy_floor: {{split: live, min_accuracy: {50 + number}%}}\n  id: floor-{number}"
        for number in range(20)
    )
    variants = "\n".join(f"v{number}: {{logged: good}}" for number in range(10))
    path = bench.suite(floors, variants=variants)
    # A split that no check uses is a mistake.
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if "offline" not in line) + "\n")
    inner.write("conftest.py", SHOW_MODULES)
    before = os.times()
    result = inner.run("--collect-only", "-q", "-p", "no:cacheprovider", process=True)
    after = os.times()
    assert result.ret == 0
    assert len(collected(result)) == 200
    assert loaded(result).isdisjoint(HEAVY)
    # Processor time of that process: a machine with other work does not fail this.
    assert after.children_user - before.children_user < 5


def test_a_session_without_suites_hears_and_loads_nothing_of_it(inner):
    inner.write(
        "test_plain.py", "def test_plain(record_property): record_property('modelchecks', 1)"
    )
    inner.write("conftest.py", SHOW_MODULES)
    result = inner.run("--modelchecks-report", "reports", process=True)
    result.assert_outcomes(passed=1)
    assert [
        line for line in result.outlines if "modelchecks" in line and "plugins" not in line
    ] == [line for line in result.outlines if "LOADED" in line]
    ours = {name for name in loaded(result) if name.split(".")[0] == "modelchecks"}
    assert {".".join(name.split(".")[:2]) for name in ours} == {
        "modelchecks",
        "modelchecks.pytest_plugin",
    }
    assert loaded(result).isdisjoint(HEAVY)
    assert not (inner.folder / "reports").exists()


def test_without_the_plugin_suites_are_not_collected(bench, inner):
    bench.suite()
    result = inner.run("-p", "no:modelchecks", process=True)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (["-m", "accuracy_drop"], ["accuracy_drop[good]", "accuracy_drop[bad]"]),
        (["-m", "variant_good"], ["accuracy_drop[good]"]),
        (["-m", "block"], ["accuracy_drop[good]", "accuracy_drop[bad]"]),
        (["-m", "warn"], ["label_drift[data]"]),
        (["-m", "block and not variant_bad"], ["accuracy_drop[good]"]),
        (["-k", "drift"], ["label_drift[data]"]),
        (["--modelchecks-variant", "bad"], ["accuracy_drop[bad]", "label_drift[data]"]),
        (
            ["--modelchecks-variant", "bad", "--modelchecks-variant", "good"],
            ["accuracy_drop[good]", "accuracy_drop[bad]", "label_drift[data]"],
        ),
        (["-o", "modelchecks_variant=good"], ["accuracy_drop[good]", "label_drift[data]"]),
    ],
)
def test_cases_are_selected_by_marker_name_and_variant(bench, inner, arguments, cases):
    bench.suite(CHECKS)
    result = inner.run("--collect-only", "-q", "--strict-markers", *arguments)
    assert result.ret == 0
    assert [line.partition("::")[2] for line in collected(result)] == cases


def test_names_that_are_no_identifiers_are_markers_all_the_same(bench, inner):
    bench.suite(variants="good-1.2: {logged: good}\n_x: {logged: bad}")
    result = inner.run("--collect-only", "-q", "--strict-markers", "-m", "variant_good_1_2")
    assert collected(result) == ["live.suite.yaml::accuracy_drop[good-1.2]"]


def test_a_check_named_xfail_does_not_excuse_its_own_failure(bench, inner):
    """Registered by an installed package, as anybody may."""
    inner.odd_check('return Outcome("failed", "it is wrong")', module="other")
    package = inner.folder / "other-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[modelchecks.checks]\nxfail = other:Odd\n")
    bench.suite("- xfail", variants="good: {logged: good}")
    result = inner.run("-rA", "-m", "check_xfail", process=True)
    result.assert_outcomes(failed=1)


def test_a_suite_is_named_by_file_and_a_case_by_its_id(bench, inner):
    bench.suite(CHECKS)
    bench.suite(CHECKS, name="other")
    result = inner.run("--collect-only", "-q", "other.suite.yaml")
    assert {line.partition("::")[0] for line in collected(result)} == {"other.suite.yaml"}
    result = inner.run("--collect-only", "-q", "live.suite.yaml::label_drift[data]")
    assert collected(result) == ["live.suite.yaml::label_drift[data]"]


def test_a_wrong_suite_is_one_collection_error_that_lists_every_problem(bench, inner):
    bench.suite(
        """
        - accuracy_dorp: {max_drop: 5pp}
        - accuracy_drop: {max_drop: 5 apples}
          severity: blok
        """
    )
    bench.suite(name="sound")
    result = inner.run("--modelchecks-report", "reports")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "live.suite.yaml:9:5: *'accuracy_dorp'*did you mean 'accuracy_drop'?",
            "live.suite.yaml:10:*apples*",
            "live.suite.yaml:11:*blok*",
            "*modelchecks: sound-gate*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*.py:*")
    assert inner.verdicts("reports/sound-gate") == {"good": "undecided", "bad": "undecided"}
    assert not (inner.folder / "reports" / "live-gate").exists()


def test_an_unknown_variant_is_told_with_the_nearest_name(bench, inner):
    bench.suite()
    result = inner.run("--modelchecks-variant", "goood")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*no variant is named 'goood'; did you mean 'good'?"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--modelchecks-executor", "ray"], "*executor ray: planned and not built yet*"),
        (["-o", "modelchecks_executor=ray"], "*executor ray: planned and not built yet*"),
        (["-o", "modelchecks_inconclusive=maybe"], "*'maybe'; it must be fail, warn or skip*"),
        (["--modelchecks-inconclusive", "maybe"], "*choose from*fail*warn*skip*"),
    ],
)
def test_what_cannot_be_honoured_is_a_usage_error(bench, inner, arguments, told):
    bench.suite()
    result = inner.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*passed*")
