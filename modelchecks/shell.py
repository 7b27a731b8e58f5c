"""What the commands of the shell door do with files and output, so that no fault approves."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelchecks import SUITE_SUFFIXES

if TYPE_CHECKING:
    from modelchecks.results import Run
    from modelchecks.suite import Suite


@dataclass(frozen=True)
class Reports:
    """Where the reports of one command go, and in which formats; `taken` are folders in use."""

    base: Path
    formats: Sequence[Any]
    taken: set[str]
    clear: bool = True
    history: Path | None = None

    def folder(self, suite: Suite) -> Path:
        """Return a folder that no other suite of this command writes to."""
        from modelchecks.report.write import folder_name

        name, number = folder_name(suite.name), 1
        while (unique := name if number == 1 else f"{name}-{number}") in self.taken:
            number += 1
        self.taken.add(unique)
        return self.base / unique

    def prepare(self, folder: Path) -> None:
        """Refuse a folder that cannot be written before any work, and clear it if asked to."""
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            if self.clear:
                self.remove(folder)

    def write(self, run: Run, folder: Path) -> Path:
        """Write the reports and return the path of the first."""
        from modelchecks.publish import publish

        with writing(folder):
            written, problems = publish(run, folder, self.formats, self.history)
            self.remove(folder, but=list(written))
        for problem in problems:
            say(f"Warning: {problem}")
        return next(iter(written.values()), folder)

    @staticmethod
    def remove(folder: Path, but: Sequence[Any] = ()) -> None:
        """Remove reports of an earlier run: this one may not be taken to have said that."""
        from modelchecks.report.write import remove

        remove(folder, but)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn a place that cannot be written into a usage error that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.ClickException(f"{target} cannot be written: {reason}") from error


def suite_files(arguments: Sequence[str]) -> tuple[list[Path], list[int]]:
    """Return the suite files named, each once, and an exit code for each folder without any.

    A folder stands for all suite files below it, but for hidden folders.
    """
    from modelchecks import gate as gate_module

    found: dict[Path, Path] = {}
    codes = []
    for argument in arguments:
        path = Path(argument)
        paths = [path]
        if path.is_dir():
            paths = _below(path)
            if not paths:
                say(f"{path}: no suite file (*.suite.yaml) is in this folder, so nothing ran")
                codes.append(gate_module.NOTHING)
        for file in paths:
            found.setdefault(file.resolve(), file)
    return list(found.values()), codes


def _below(folder: Path) -> list[Path]:
    """Return the suite files below a folder, through links too, as pytest would find them."""
    found, been = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in been else sorted(f for f in folders if not f.startswith("."))
        if real in been:
            continue
        been.add(real)
        for name in sorted(files):
            if name.endswith(SUITE_SUFFIXES) and not name.startswith("."):
                found.append(Path(root) / name)
            elif re.search(r"\.suites?\.", name, re.IGNORECASE):
                known = ", ".join(SUITE_SUFFIXES)
                say(f"{Path(root) / name}: passed over; suite files end in {known}")
    return sorted(found)


def tell(text: str) -> None:
    """Write to standard output; who does not listen to the verdict does not get an approval."""
    try:
        click.echo(text, nl=False)
    except OSError as error:
        # What is still buffered would make Python fail once more, at exit.
        with suppress(OSError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        reason = error.strerror or str(error)
        raise click.ClickException(
            f"standard output cannot be written ({reason}), so no verdict was given"
        ) from error


def say(line: str) -> None:
    """Write a line to standard error, if anybody listens."""
    with suppress(OSError):
        click.echo(line, err=True)


def internal_error(what: str) -> int:
    """Print the exception that is being handled, and return the exit code for it."""
    from modelchecks import gate as gate_module

    with suppress(OSError):
        traceback.print_exc()
    say(
        f"{what}: internal error of modelchecks, or of a module that the suite names; nothing "
        "was decided"
    )
    return gate_module.INTERNAL


_PLAIN = {"✓": "+", "✗": "x", "–": "-", "−": "-", "∅": "0", "…": "..."}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what the output's encoding lacks; `?` would be the sign for inconclusive."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "_") for sign in text), error.end


def prepare_output() -> None:
    """Let every text be written whatever the terminal's encoding; refuse a closed output."""
    if sys.stdout is None:
        # The next file opened would become standard output.
        say("Error: standard output is closed, so no verdict was given; redirect it to /dev/null")
        sys.exit(2)
    codecs.register_error("modelchecks", _plain)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="modelchecks")
