"""A name in a suite means exactly one thing, and what it means is found beside that suite first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from modelchecks import registry
from modelchecks.checks.accuracy import AccuracyDrop
from modelchecks.registry import UnknownNameError, code_digest, find, load


def write(folder: Path, **files: str) -> Path:
    """Write modules: a double underscore in a name stands for a folder."""
    for name, text in files.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return folder


def package(folder: Path, name: str, **files: str) -> Path:
    """Write a package with an `__init__.py` from the file `init`."""
    inner = write(folder / name, **files)
    (inner / "init.py").rename(inner / "__init__.py")
    return folder


def refused(name: str, folder: Path) -> str:
    """Return what is told about a name that cannot be used; nothing half loaded is left behind."""
    before, path = set(sys.modules), list(sys.path)
    with pytest.raises(UnknownNameError) as raised:
        load(name, folder) if ":" in name else find("checks", name, folder)
    assert sys.path == path
    told, new = str(raised.value), set(sys.modules) - before
    if "cannot be imported" in told:
        assert not [name for name in new if name.startswith("_modelchecks_")]
    return told


def entry_point(folder: Path, distribution: str, line: str, group: str = "checks") -> None:
    """Install, for whoever has `folder` on the path, a distribution with one entry point."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[modelchecks.{group}]\n{line}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, as site-packages is."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_built_in_names_are_entry_points_like_any_other(tmp_path: Path) -> None:
    assert find("checks", "accuracy_drop", tmp_path) is AccuracyDrop
    for group in ("checks", "features", "sources", "probes"):
        assert registry.names(group) == tuple(sorted(set(registry.names(group))))
    assert "parquet" in registry.names("sources")
    for name in registry.names("checks"):
        assert find("checks", name, tmp_path).__doc__


def test_an_unknown_name_is_told_with_the_closest_or_with_all(tmp_path: Path) -> None:
    said = refused("acuracy_drop", tmp_path)
    assert said == "no check is named 'acuracy_drop'; did you mean 'accuracy_drop'?"
    assert "; known: accuracy_drop, " in refused("zzzzzz", tmp_path)


def test_a_name_of_another_distribution_is_found(installed: Path) -> None:
    entry_point(installed, "theirs", "their_check = their_module_a:Check")
    write(installed, their_module_a="class Check: pass")
    assert find("checks", "their_check", installed / "nowhere").__name__ == "Check"


def test_a_name_registered_twice_is_refused_with_both_owners(installed: Path) -> None:
    entry_point(installed, "theirs", "schema = theirs.schema:Schema")
    said = refused("schema", installed)
    assert said == (
        "'schema' is registered more than once: modelchecks.checks.schema:Schema, "
        "theirs.schema:Schema; remove all but one"
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import nope_", "ModuleNotFoundError: No module named 'nope_'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("x = 1", "AttributeError"),
    ],
)
def test_an_entry_point_that_cannot_be_imported_is_refused_with_the_reason(
    installed: Path, body: str, said: str
) -> None:
    entry_point(installed, "broken", "broken = broken_module_b:Check")
    write(installed, broken_module_b=body)
    told = refused("broken", installed)
    assert told.startswith("'broken' (broken_module_b:Check) cannot be imported: ")
    assert said in told
    sys.modules.pop("broken_module_b", None)


def test_nothing_is_imported_before_it_is_named() -> None:
    code = "import sys; from modelchecks.registry import names; names('checks'); print([m for m in "
    code += "sys.modules if m.startswith('modelchecks.checks') or m in ('torch', 'numpy')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_module_beside_the_suite_comes_before_an_installed_one(tmp_path: Path) -> None:
    write(tmp_path, json="def dumps(): return 'beside'")
    assert load("json:dumps", tmp_path)() == "beside"
    assert load("json:dumps", tmp_path / "elsewhere")([]) == "[]"


def test_an_attribute_may_be_dotted_and_is_loaded_once(tmp_path: Path) -> None:
    write(tmp_path, mine="class A:\n    class B: pass\n")
    assert load("mine:A.B", tmp_path) is load("mine:A", tmp_path).B


def test_two_folders_with_modules_of_one_name_stay_apart(tmp_path: Path) -> None:
    for name in "ab":
        write(
            tmp_path / name,
            models="import siblings\ndef build(): return siblings.NAME\n",
            siblings=f"NAME = {name!r}\n",
        )
    builders = [load("models:build", tmp_path / name) for name in "ab"]
    assert [build() for build in builders] == ["a", "b"]
    assert "siblings" not in sys.modules
    assert "models" not in sys.modules


def test_a_module_is_loaded_anew_after_it_or_its_sibling_changed(tmp_path: Path) -> None:
    write(tmp_path, mine="from sibling import NAME\n", sibling="NAME = 1\n")
    assert load("mine:NAME", tmp_path) == 1
    write(tmp_path, sibling="NAME = 22\n")
    assert load("mine:NAME", tmp_path) == 22


def test_a_package_with_relative_imports_is_loaded_from_any_of_its_modules(tmp_path: Path) -> None:
    package(
        tmp_path,
        "pack",
        init="from .inner import NAME\n",
        inner="from . import other\nNAME = other.NAME\n",
        other="NAME = 'other'\n",
    )
    package(tmp_path / "pack", "deep", init="", leaf="from ..other import NAME\n")
    assert load("pack:NAME", tmp_path) == "other"
    assert load("pack.inner:NAME", tmp_path) == "other"
    assert load("pack.deep.leaf:NAME", tmp_path) == "other"
    assert "pack" not in sys.modules


def test_a_folder_without_init_is_a_package_too(tmp_path: Path) -> None:
    write(tmp_path, plain__leaf="import helper_c\nNAME = helper_c.NAME\n", helper_c="NAME = 'h'\n")
    assert load("plain.leaf:NAME", tmp_path) == "h"


def test_what_is_installed_below_the_folder_is_no_sibling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = write(tmp_path / ".venv" / "site-packages", library_d="NAME = 'installed'\n")
    monkeypatch.syspath_prepend(str(site))
    write(tmp_path, mine="import library_d\nNAME = library_d.NAME\n")
    assert load("mine:NAME", tmp_path) == "installed"
    assert sys.modules.pop("library_d").NAME == "installed", "torch would not load twice"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("mine:Chek", "class Check: pass", "module 'mine' has no 'Chek'; did you mean 'Check'?"),
        ("mine:Check.buld", "class Check:\n build = 1", "has no 'buld'; did you mean 'build'?"),
        ("mine:X", "import nope_", "ModuleNotFoundError: No module named 'nope_'"),
        ("mine:X", "1 / 0", "ZeroDivisionError: division by zero"),
        ("mine:X", "def f(:", "SyntaxError"),
        ("mine:X", "raise SystemExit(0)", "'mine' of 'mine:X' cannot be imported: SystemExit: 0"),
        ("mine:", "", "'mine:' is not of the form `module:attribute`"),
        (":X", "", "':X' is not of the form `module:attribute`"),
        ("nope_:X", "", "no module 'nope_' beside the suite file"),
        ("nope_.deep:X", "", "no module 'nope_.deep' beside the suite file"),
        ("..:X", "", "cannot be imported"),
        (f"{'x' * 300}:X", "", "cannot be imported"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_reason(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    assert said in refused(name, write(tmp_path, mine=text))


# Digests.


def test_the_digest_of_a_module_follows_its_code_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, mine="X = 1\n", sibling="Y = 1\n")
    package(tmp_path, "pack", init="", inner="Z = 1\n")
    seen = {code_digest("mine:X", tmp_path)}
    for irrelevant in ("data.csv", "x.suite.yaml", "mine.txt", ".venv/lib/other.py", "sub/x.csv"):
        path = tmp_path / irrelevant
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("anything")
    load("mine:X", tmp_path)
    assert code_digest("mine:X", tmp_path) in seen
    for relevant in ("mine.py", "sibling.py", "pack/inner.py", "new.py"):
        (tmp_path / relevant).write_text("X = 2\n")
        seen.add(code_digest("mine:X", tmp_path))
    (tmp_path / "new.py").rename(tmp_path / "renamed.py")
    seen.add(code_digest("mine:X", tmp_path))
    seen.add(code_digest("mine:Y", tmp_path))
    assert len(seen) == 7


def test_the_digest_of_a_package_follows_all_of_it_from_any_of_its_modules(tmp_path: Path) -> None:
    package(tmp_path, "pack", init="", inner="X = 1\n", deep__leaf="Y = 1\n")
    for name in ("pack:X", "pack.inner:X"):
        seen = {code_digest(name, tmp_path)}
        (tmp_path / "pack" / "deep" / "leaf.py").write_text(f"# {name}")
        seen.add(code_digest(name, tmp_path))
        # It may import what lies beside it, in a folder without `__init__.py` too.
        (tmp_path / "beside.py").write_text(name)
        seen.add(code_digest(name, tmp_path))
        (tmp_path / "space").mkdir(exist_ok=True)
        (tmp_path / "space" / "part.py").write_text(name)
        seen.add(code_digest(name, tmp_path))
        assert len(seen) == 4


def test_the_digest_of_an_installed_package_follows_all_of_it(tmp_path, monkeypatch) -> None:
    site = tmp_path / "site"
    package(site, "zoo_", init="from zoo_.layers import X\n", layers="X = 1\n")
    monkeypatch.syspath_prepend(str(site))
    before = code_digest("zoo_:X", tmp_path / "suite")
    (site / "zoo_" / "layers.py").write_text("X = 2\n")
    assert code_digest("zoo_:X", tmp_path / "suite") != before
    assert "zoo_" not in sys.modules


def test_the_digest_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, mine="X = 1\n") for name in "ab"]
    first, second = (code_digest("mine:X", folder) for folder in folders)
    assert first == second


def test_the_digest_of_installed_and_of_missing_modules_can_be_had(tmp_path: Path) -> None:
    names = ["modelchecks.features:brightness", "json:dumps", "nope_:X", "nope_.deep:X", "sys:path"]
    assert len({code_digest(name, tmp_path) for name in names}) == len(names)
