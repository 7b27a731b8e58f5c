"""`modelchecks doctor`: what is installed here, what is missing, and the command that mends it."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from typing import Literal

import click

from modelchecks import __version__
from modelchecks.shell import tell

Mark = Literal["ok", "missing", "optional"]
_SIGNS: dict[Mark, str] = {"ok": "✓", "missing": "✗", "optional": "–"}
_IMPORTED = ("torch", "torchvision", "scipy", "pyarrow", "PIL", "safetensors", "great_expectations")
"""What a gate imports, together: versions that are fine alone may not fit each other."""
_EXTRAS = {
    "deepchecks": "its own checks (AGPL-3.0)",
    "metrics": "metrics of torchmetrics",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what mends it where something does."""

    mark: Mark
    text: str
    mend: str | None = None


@click.command()
@click.option(
    "--quick", is_flag=True, help="Do not try whether torch and the others can be imported."
)
def doctor(quick: bool) -> int:
    """Say what is installed here, what is missing, and the one command that mends it.

    \b
    Example:
      modelchecks doctor

    \b
    Exit codes: 0 a gate can run here, 2 something that it needs is missing.
    """
    tell(f"modelchecks {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
    found = list(findings(quick))
    for finding in found:
        tell(f"{_SIGNS[finding.mark]} {finding.text}\n")
        if finding.mend is not None:
            tell(f"    {finding.mend}\n")
    broken = sum(finding.mark == "missing" for finding in found)
    if broken:
        tell(f"\n{broken} thing{'s' * (broken != 1)} to mend before a gate can run here.\n")
        return 2
    tell("\nA gate can run here.\n")
    return 0


def findings(quick: bool = False) -> Iterator[Finding]:
    """Yield what there is to say, in the order in which one would mend it."""
    try:
        wanted = requires("modelchecks") or []
    except PackageNotFoundError:
        # From a checkout that was never installed no check is known by its name.
        yield Finding("missing", "modelchecks is not installed", f"{_pip()} -e .")
        return
    yield from _core(wanted)
    if not quick:
        yield _imports()
    points = {point.name for point in entry_points(group="pytest11")}
    if "modelchecks" in points:
        yield Finding("ok", "pytest knows the plugin")
    else:
        mend = f"{_pip()} --force-reinstall --no-deps modelchecks"
        yield Finding("missing", "pytest does not know the plugin", mend)
    yield from _optional(wanted)


def _pip() -> str:
    return f"{sys.executable} -m pip install"


def _core(wanted: list[str]) -> Iterator[Finding]:
    """Yield one finding about all core packages, or one for each that does not fit."""
    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in wanted]
    core = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [one for one in core if not _fits(one.name, str(one.specifier))]
    for one in wrong:
        has = f"{one.name} {_version(one.name) or 'is not installed'}"
        yield Finding("missing", f"{has}; wanted {one}", f'{_pip()} "{one}"')
    if not wrong:
        shown = ", ".join(f"{one.name} {_version(one.name)}" for one in core)
        yield Finding("ok", f"core: {shown}")


def _fits(name: str, specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet

    found = _version(name)
    return found is not None and SpecifierSet(specifier).contains(found, prereleases=True)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _imports() -> Finding:
    """Return whether what a gate imports can be imported together, in a process of its own."""
    code = (
        f"import {', '.join(_IMPORTED)}\n"
        "print(f'torch computes on {torch.get_num_threads()} threads', end='')\n"
        "print(', CUDA is there' if torch.cuda.is_available() else ', no CUDA')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Finding("ok", f"imports work; {done.stdout.strip().splitlines()[-1]}")
    why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    what = f"importing {', '.join(_IMPORTED)} fails: {why}"
    # torch and torchvision come in pairs; the newest of both is one.
    return Finding("missing", what, f"{_pip()} --upgrade torch torchvision")


def _optional(wanted: list[str]) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    for extra, what in _EXTRAS.items():
        needed = [Requirement(text) for text in wanted]
        own = [
            one
            for one in needed
            if one.marker is not None
            and one.marker.evaluate({"extra": extra})
            and not one.marker.evaluate({"extra": ""})
        ]
        unfit = [one for one in own if not _fits(one.name, str(one.specifier))]
        if own and not unfit:
            yield Finding("ok", f"{extra}: {what}")
        else:
            missing = ", ".join(f"{one.name} {_version(one.name) or '-'}" for one in unfit)
            text = f"without {extra}, so no {what}" + (f" (now: {missing})" if missing else "")
            yield Finding("optional", text, f'{_pip()} "modelchecks[{extra}]"')
    if _version("pytest-xdist"):
        yield Finding("ok", f"pytest-xdist {_version('pytest-xdist')}: pytest -n")
    else:
        text = "without pytest-xdist, so no `pytest -n`"
        yield Finding("optional", text, f"{_pip()} pytest-xdist")
