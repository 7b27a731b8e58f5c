"""The shape of the package: floors, cold doors, file sizes, names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "modelchecks"
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = "torch torchvision scipy pandas great_expectations deepchecks ray jinja2 vl_convert pyarrow"
HEAVY += " numpy.f2py"
COLD = f"""
import sys
loaded = sorted(set(sys.modules) & set({HEAVY.split()!r}))
assert not loaded, loaded
"""


def python(code: str, *, cwd: Path = ROOT) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout


def test_a_module_imports_only_what_is_below_it():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_no_file_is_longer_than_350_lines(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 350


def test_evidence_is_known_by_all_code_that_makes_it():
    """What the code that names evidence imports is part of the name, or changes no evidence."""
    import grimp

    from modelchecks.identity import CODE

    # They say what is asked and in which order, raise, or only gather the names of others. What
    # pacing finds is in the name itself, and how is in that of the pace.
    harmless = {"check", "errors", "executors.local", "plan", "registry", "results", "stats"}
    harmless |= {"suite", "pacing", "allocator"}
    graph = grimp.build_graph("modelchecks")
    known = {"modelchecks." + name.removesuffix(".py").replace("/", ".") for name in CODE}
    for folder in ("sources", "probes"):
        known |= {f"modelchecks.{folder}", *graph.find_descendants(f"modelchecks.{folder}")}
    assert known <= graph.modules
    used = {name for module in known for name in graph.find_modules_directly_imported_by(module)}
    missed = {name.removeprefix("modelchecks.") for name in used - known} - harmless
    assert not missed


def test_no_room_is_called_after_nothing():
    vague = {"utils", "util", "base", "core", "common", "helpers", "misc"}
    assert not [file for file in FILES if vague & {file.stem, *file.relative_to(PACKAGE).parts}]


def test_importing_the_package_loads_no_dependency():
    python(
        "import sys\nbefore = set(sys.modules)\nimport modelchecks\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert new <= {'modelchecks'} | set(sys.stdlib_module_names), new"
    )


def test_every_public_name_is_what_it_says():
    python(
        "import modelchecks, modelchecks.run, modelchecks.load, modelchecks.suite\n"
        "for name in modelchecks.__all__:\n"
        "    found = getattr(modelchecks, name)\n"
        "    assert getattr(found, '__name__', name) == name, (name, found)"
    )


def test_statistics_load_numpy_alone():
    python(
        "import modelchecks.stats, modelchecks.stats.interval, modelchecks.stats.distance" + COLD
    )


def test_collecting_the_suites_is_cold():
    python(
        "import pytest\n"
        # pytest-html, which is there for other tests, loads jinja2.
        "away = ['-p', 'no:cacheprovider', '-p', 'no:html']\n"
        "code = pytest.main(['suites', '--collect-only', '-q', *away])\n"
        "assert code == 0, code" + COLD
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["lint", "suites"]])
def test_the_shell_door_is_cold(arguments):
    python(
        "import sys\nfrom modelchecks.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code" + COLD
    )


def test_judging_stored_evidence_is_cold(bench):
    from modelchecks import load_suite, run_suite

    suite = bench.suite()
    run_suite(load_suite(suite))
    python(
        "from modelchecks import load_suite\nfrom modelchecks.run import judge_again\n"
        "from pathlib import Path\n"
        f"suite = load_suite({str(suite)!r})\n"
        "run = judge_again(suite, suite.folder / '.modelchecks')\n"
        "assert run.decisions['good'].verdict == 'approved', run.results\n"
        "import sys\n"
        "assert not {'torch', 'great_expectations', 'deepchecks', 'pandas'} & set(sys.modules)"
    )
