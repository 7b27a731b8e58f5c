"""The shell door by real processes: lint, report, explain, and what holds for every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

HEAVY = (
    "torch",
    "scipy",
    "pandas",
    "great_expectations",
    "deepchecks",
    "ray",
    "jinja2",
    "vl_convert",
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--version"], "modelchecks, version 0"),
        (["-h"], "modelchecks gate suites/fashion.suite.yaml"),
        (["gate", "-h"], "3 none blocked but at least one undecided"),
        (["lint", "--help"], "Usage: modelchecks lint"),
    ],
)
def test_help_and_version_load_nothing_heavy(bench, arguments, told):
    code = (
        "import sys\nfrom modelchecks.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit as end:\n    print('LOADED', end.code, *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=bench.folder, capture_output=True, text=True
    )
    assert done.stderr == ""
    shown, _, loaded = done.stdout.partition("LOADED ")
    assert told in shown
    code, *modules = loaded.split()
    assert code == "0"
    assert set(modules).isdisjoint({*HEAVY, "numpy", "pyarrow", "yaml"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Usage: modelchecks"),
        (["gaet"], "No such command 'gaet'"),
        (["gate"], "Missing argument 'SUITE...'"),
        (["lint"], "name at least one suite file"),
        (["decide", "nothing.json", "--suite", "live.suite.yaml"], "'nothing.json' does not exist"),
        (["report", "nothing.json"], "'nothing.json' does not exist"),
    ],
)
def test_wrong_usage_is_told_on_standard_error(shell, arguments, told):
    done = shell(*arguments, code=2)
    assert told in done.stderr
    assert done.stdout == ""


# lint


def test_lint_says_that_a_suite_is_valid_and_touches_nothing(bench, shell):
    bench.suite()
    (bench.folder / "live.parquet").unlink()
    done = shell("lint", "live.suite.yaml", code=0)
    assert done.stdout == "live.suite.yaml: a valid suite, 1 check\n"
    assert done.stderr == ""
    assert {path.name for path in bench.folder.iterdir()} == {"live.suite.yaml", "offline.parquet"}


def test_lint_reports_every_problem_of_every_suite_of_a_folder(bench, shell):
    bench.suite()
    bench.suite("- accuracy_dorp\n- accuracy_drop: {max_drop: 5 apples}", name="wrong")
    (bench.folder / "deep").mkdir()
    bench.suite(sampling="unknown").rename(bench.folder / "deep" / "deep.suite.yml")
    bench.suite()
    (bench.folder / ".venv").mkdir()
    (bench.folder / ".venv" / "hidden.suite.yaml").write_text("nonsense: [")
    done = shell("lint", ".", "live.suite.yaml", code=2)
    lines = done.stdout.splitlines()
    assert [line for line in lines if "a valid suite" in line] == [
        "deep/deep.suite.yml: a valid suite, 1 check",
        "live.suite.yaml: a valid suite, 1 check",
    ]
    assert any(line.startswith("deep/deep.suite.yml:4:3: warning: `sampling`") for line in lines)
    assert any(line.startswith("wrong.suite.yaml:9:5: ") and "did you" in line for line in lines)
    assert any(line.startswith("wrong.suite.yaml:10:") and "apples" in line for line in lines)
    assert "wrong.suite.yaml: 2 errors" in lines
    assert "hidden" not in done.stdout


def test_lint_of_no_suite_is_no_success(bench, shell):
    (bench.folder / "empty").mkdir()
    assert "no suite file" in shell("lint", "empty", code=5).stderr
    assert (
        "missing.suite.yaml:1:1: cannot be read"
        in shell("lint", "missing.suite.yaml", code=2).stdout
    )


def test_lint_prints_the_schema_for_editors(shell):
    done = shell("lint", "--json-schema", code=0)
    schema = json.loads(done.stdout)
    assert schema["type"] == "object"
    assert {"suite", "data", "variants", "checks"} <= set(schema["properties"])


# report


@pytest.fixture
def record(bench, shell):
    """The run record of a gate that approves `good` and blocks `bad`."""
    bench.suite()
    shell("gate", "-q", "live.suite.yaml", "--format", "json", code=1)
    return bench.folder / "reports" / "live-gate" / "run.json"


def test_report_renders_a_record_in_every_format(bench, shell, record):
    shown = shell("report", record, code=0)
    assert shown.stderr == ""
    assert "bad must not go live: accuracy_drop[bad] failed." in shown.stdout
    done = shell(
        "report", record, "--html", "a.html", "--junit", "deep/a.xml", "--markdown", "a.md", code=0
    )
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["wrote a.html", "wrote deep/a.xml", "wrote a.md"]
    assert "accuracy_drop[bad]" in (bench.folder / "a.html").read_text(encoding="utf-8")
    assert len(list(ElementTree.parse(bench.folder / "deep" / "a.xml").iter("testcase"))) == 2
    assert "## modelchecks: live-gate" in (bench.folder / "a.md").read_text().replace("\\", "")


def test_report_to_a_place_that_cannot_be_written_is_told(shell, record):
    done = shell("report", record, "--html", "live.parquet/a.html", code=2)
    assert "live.parquet/a.html cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not strict JSON"),
        ("{", "is not strict JSON"),
        ("[]", "no `schema_version`"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1}', "is damaged"),
        ('{"schema_version": NaN}', "NaN is not JSON"),
        ("\udcff", "cannot be read"),
    ],
)
@pytest.mark.parametrize("command", ["report", "decide"])
def test_a_record_that_is_none_is_told(bench, shell, command, text, told):
    bench.suite()
    (bench.folder / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    rest = ["--suite", "live.suite.yaml"] if command == "decide" else []
    done = shell(command, "run.json", *rest, code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("Error: run.json ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


# explain


def test_explain_lists_the_checks_and_tells_about_one(shell):
    listed = shell("explain", code=0).stdout
    assert listed.startswith("accuracy_drop ")
    told = shell("explain", "accuracy_drop", code=0).stdout
    for part in ("Statistic:", "Assumes:", "Reference:", "Parameters:", "max_drop:", "Example:"):
        assert part in told


def test_explain_of_an_unknown_check_names_the_nearest(shell):
    done = shell("explain", "accuracy_dorp", code=2)
    assert done.stdout == ""
    assert "Error: no check is named 'accuracy_dorp'; did you mean 'accuracy_drop'?" in done.stderr


# Output that nobody can read


@pytest.mark.parametrize(
    ("environment", "sign"),
    [
        # Click takes ASCII for a setting that nobody meant, and writes UTF-8.
        ({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, "✗"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, "✗"),
        ({"PYTHONIOENCODING": "latin-1"}, "x"),
        ({"PYTHONIOENCODING": "cp1252"}, "x"),
    ],
)
def test_an_output_without_the_signs_is_no_accident(bench, shell, environment, sign):
    bench.suite()
    done = shell("gate", "live.suite.yaml", code=1, PYTHONCOERCECLOCALE="0", **environment)
    assert f"{sign} accuracy_drop[bad] failed" in done.stdout
    assert done.stdout.isascii() == (sign == "x")


@pytest.mark.parametrize("target", ["closed pipe", "full disk", "no standard output"])
def test_a_verdict_that_nobody_hears_is_no_approval(bench, target):
    bench.suite(variants="good: {logged: good}")
    command = [sys.executable, "-m", "modelchecks", "gate", "-q", "live.suite.yaml"]
    if target == "closed pipe":
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            command, cwd=bench.folder, stdout=write, stderr=subprocess.PIPE, text=True
        )
        os.close(write)
    else:
        into = ">&-" if target == "no standard output" else "> /dev/full"
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {into}', "sh", *command],
            cwd=bench.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: standard output ")
    assert len(done.stderr.splitlines()) == 1
