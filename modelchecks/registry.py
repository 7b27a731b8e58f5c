"""From a name in a suite to the class or function it means; nothing is imported before it is named.

Names come from the entry-point groups `modelchecks.checks`, `.features`, `.sources` and `.probes`
(the built-ins use them too) or are written `module:attribute`, the module lying beside the suite
file or being importable.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from modelchecks.errors import ModelchecksError, did_you_mean

Group = Literal["checks", "features", "sources", "probes"]


class UnknownNameError(ModelchecksError):
    """A suite names something that cannot be found or imported; the message says how to mend it."""


def names(group: Group) -> tuple[str, ...]:
    """Return the registered names of a group, sorted."""
    return tuple(sorted({point.name for point in _points(group, tuple(sys.path))}))


def find(group: Group, name: str, folder: Path) -> Any:
    """Return what `name` stands for in `group`; raises UnknownNameError with the reason."""
    if ":" in name:
        return load(name, folder)
    points = [p for p in _points(group, tuple(sys.path)) if p.name == name]
    if not points:
        raise UnknownNameError(
            f"no {group.removesuffix('s')} is named {name!r}{did_you_mean(name, names(group))}"
        )
    if len({point.value for point in points}) > 1:
        owners = ", ".join(sorted(point.value for point in points))
        raise UnknownNameError(
            f"{name!r} is registered more than once: {owners}; remove all but one"
        )
    try:
        return points[0].load()
    except (Exception, SystemExit) as error:
        raise UnknownNameError(
            f"{name!r} ({points[0].value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error


@lru_cache
def _points(group: Group, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(_installed(path).select(group=f"modelchecks.{group}"))


@lru_cache
def _installed(path: tuple[str, ...]) -> Any:
    """Return the entry points of all packages, read once for each path: it takes 30 ms.

    To select from; their type differs from one version of Python to the next.
    """
    return entry_points()


def load(reference: str, folder: Path) -> Any:
    """Return the object that `module:attribute` names; raises UnknownNameError with the reason."""
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise UnknownNameError(f"{reference!r} is not of the form `module:attribute`")
    try:
        module = _module(module_name, folder)
    except UnknownNameError:
        raise
    except (Exception, SystemExit) as error:
        raise UnknownNameError(
            f"module {module_name!r} of {reference!r} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            public = [name for name in dir(value) if not name.startswith("_")]
            raise UnknownNameError(
                f"module {module_name!r} has no {part!r}{did_you_mean(part, public)}"
            )
        value = getattr(value, part)
    return value


def _beside(module_name: str, folder: Path) -> Path | None:
    """Return the file of a module or package that lies beside the suite file."""
    stem = folder.resolve().joinpath(*module_name.split("."))
    for candidate in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
        if candidate.is_file():
            return candidate
    return None


def _is_package(file: Path | None) -> bool:
    return file is not None and file.name == "__init__.py"


def _module(module_name: str, folder: Path) -> ModuleType:
    beside = _beside(module_name, folder)
    if beside is None:
        try:
            return importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name.split(".")[0] and error.name != module_name:
                raise
            raise UnknownNameError(
                f"no module {module_name!r} beside the suite file (in {folder}) or installed"
            ) from error
    parent, _, leaf = module_name.rpartition(".")
    if parent and _is_package(_beside(parent, folder)):
        package_name = _module(parent, folder).__name__
        with _siblings(folder):
            return importlib.import_module(f"{package_name}.{leaf}")
    # A name of its own for each folder and content: two suites may each have a `models.py` beside
    # them, and a file may change while a process lives. Taking the other suite's model, or
    # yesterday's, unseen would be a wrong verdict.
    place = hashlib.sha256(f"{beside}:{code_digest(module_name, folder)}".encode()).hexdigest()
    unique = f"_modelchecks_{place[:12]}_{module_name.replace('.', '_')}"
    if unique in sys.modules:
        return sys.modules[unique]
    package = [str(beside.parent)] if _is_package(beside) else None
    spec = importlib.util.spec_from_file_location(
        unique, beside, submodule_search_locations=package
    )
    if spec is None or spec.loader is None:
        raise UnknownNameError(f"{beside} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        with _siblings(folder):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


@contextmanager
def _siblings(folder: Path) -> Iterator[None]:
    """Let what is imported inside import modules beside the suite file, and forget them by name.

    Another suite's sibling of the same name may not be taken for it. What is merely stored below
    the folder, such as a virtual environment, is no sibling.
    """
    root, known = folder.resolve(), set(sys.modules)
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))
        for name in set(sys.modules) - known:
            top, origin = name.partition(".")[0], getattr(sys.modules[name], "__file__", None)
            if (
                origin
                and top not in known
                and Path(origin).is_relative_to(root)
                and Path(origin).relative_to(root).parts[0] in (top, f"{top}.py")
            ):
                del sys.modules[name]


def code_digest(reference: str, folder: Path) -> str:
    """Return a digest of the source that `module:attribute` may run, without importing it.

    Beside the suite: all modules there and all folders with modules. Elsewhere: the whole installed
    package, by content, or by the sizes of its files where it was installed by a package manager.
    Other packages that it imports are not seen, nor are data files that it reads.
    """
    digest = hashlib.sha256(reference.encode())
    for name, file in sorted(_sources(reference.partition(":")[0], folder).items()):
        digest.update(name.encode() + b"\0")
        with suppress(OSError):
            if _MANAGED & set(file.parts):
                digest.update(str(file.stat().st_size).encode())
            else:
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


_MANAGED = {"site-packages", "dist-packages"}


def _sources(module_name: str, folder: Path) -> dict[str, Path]:
    """Return the source files that a module may be made of, each by a name that is stable."""
    root, top = folder.resolve(), module_name.partition(".")[0]
    if _beside(module_name, folder) is None:
        # Of the top alone: to find a submodule would import its parents.
        with suppress(ModuleNotFoundError, ValueError):
            spec = importlib.util.find_spec(top)
            if spec is not None and spec.submodule_search_locations:
                homes = [Path(home) for home in spec.submodule_search_locations]
                return {
                    file.relative_to(home).as_posix(): file
                    for home in homes
                    for file in home.rglob("*.py")
                }
            if spec is not None and spec.origin is not None:
                return {Path(spec.origin).name: Path(spec.origin)}
        return {}
    # Namespace folders too. What begins with a dot, such as a virtual environment, is no source.
    folders = {root / top, *(file.parent for file in root.glob("[!.]*/*.py"))}
    files = {*root.glob("*.py"), *(file for inner in folders for file in inner.rglob("*.py"))}
    return {file.relative_to(root).as_posix(): file for file in files}
