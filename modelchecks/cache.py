"""`modelchecks cache`: what evidence is stored, how large and how old, and how to be rid of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelchecks.facets import JUDGED
from modelchecks.shell import say, suite_files, tell

if TYPE_CHECKING:
    from modelchecks.store import Entry

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}

_places = click.argument("places", nargs=-1, metavar="[SUITE|FOLDER]...")


@click.group()
def cache() -> None:
    """List or remove stored evidence; what is removed is gathered again when it is asked for.

    A place is a suite file, a folder with suites, or an evidence store itself; by default the store
    that MODELCHECKS_CACHE names, else those of the suites below the current folder.
    """


@cache.command("ls")
@_places
def list_(places: Sequence[str]) -> int:
    """Show what is stored: split, facet, size, and when it was last used.

    \b
    Example:
      modelchecks cache ls suites
    """
    now = time.time()
    for folder, entries in _stores(places):
        size = sum(entry.size for entry in entries)
        tell(f"{folder}: {len(entries)} entries, {_size(size)}\n")
        rows = [_row(entry, now) for entry in entries if _split(entry) != JUDGED]
        if judged := [entry for entry in entries if _split(entry) == JUDGED]:
            size, used = sum(entry.size for entry in judged), max(entry.used for entry in judged)
            rows.append((JUDGED, f"{len(judged)} cases", _size(size), _age(now - used)))
        widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
        for row in sorted(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            tell("  " + "  ".join(cells).rstrip() + "\n")
    return 0


@cache.command("rm")
@_places
@click.option("--split", help="Only the evidence of this split.")
def remove(places: Sequence[str], split: str | None) -> int:
    """Remove stored evidence.

    \b
    Example:
      modelchecks cache rm suites/fashion.suite.yaml --split live
    """
    for folder, entries in _stores(places):
        chosen = [e for e in entries if split is None or _split(e) == split]
        if split is not None and entries and not chosen:
            known = ", ".join(sorted({_split(entry) for entry in entries}))
            raise click.UsageError(f"{folder} holds nothing of split {split!r}; it has {known}")
        _drop(folder, chosen)
    return 0


@cache.command()
@_places
@click.option("--unused-for", default="30d", show_default=True, help="Age, as 12h, 30d or 4w.")
@click.option("--keep", default=None, help="Then the longest unused too, down to this size: 2GB.")
def prune(places: Sequence[str], unused_for: str, keep: str | None) -> int:
    """Remove what no gate has used for a while, and what killed gates left behind.

    \b
    Example:
      modelchecks cache prune --unused-for 14d --keep 2GB
    """
    age = _parse(unused_for, _SECONDS, "--unused-for")
    limit = None if keep is None else _parse(keep.upper(), _UNITS, "--keep")
    now = time.time()
    for folder, entries in _stores(places):
        old = [entry for entry in entries if now - entry.used > age]
        young = sorted((e for e in entries if e not in old), key=lambda entry: entry.used)
        left = sum(entry.size for entry in young)
        for entry in young:
            if limit is not None and left > limit:
                old.append(entry)
                left -= entry.size
        _drop(folder, old)
    return 0


def _stores(places: Sequence[str]) -> Iterator[tuple[Path, list[Entry]]]:
    """Yield each evidence store that is meant, once, with what it holds."""
    from modelchecks.store import Store, default_folder

    named = os.environ.get("MODELCHECKS_CACHE")
    folders: dict[Path, Path] = {}
    for place in places or [named or "."]:
        path = Path(place)
        if not path.exists():
            raise click.UsageError(f"{path} does not exist")
        if (path / "evidence").is_dir():
            folders[path.resolve()] = path
            continue
        for suite in suite_files([place])[0]:
            folder = default_folder(suite.parent)
            folders[folder.resolve()] = folder
    if not folders:
        say("no suite and no evidence store is here; name one")
    for folder in folders.values():
        yield folder, list(Store(folder).entries())


def _drop(folder: Path, entries: Sequence[Entry]) -> None:
    for entry in entries:
        entry.remove()
    size = sum(entry.size for entry in entries)
    tell(f"{folder}: removed {len(entries)} entries, {_size(size)}\n")


def _split(entry: Entry) -> str:
    return str(entry.meta.get("split", "?"))


def _row(entry: Entry, now: float) -> tuple[str, str, str, str]:
    facet = str(entry.meta.get("facet", "?")) + ("" if entry.whole else " (unfinished)")
    return _split(entry), facet, _size(entry.size), _age(now - entry.used)


def _size(size: float) -> str:
    """Return a size as people read it: 1.2 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def _parse(text: str, units: dict[str, int], option: str) -> float:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]+)\s*", text)
    if found is None or found[2] not in units or found[1].count(".") > 1 or found[1] == ".":
        known = ", ".join(units)
        raise click.BadParameter(f"{text!r} is no number with one of {known}", param_hint=option)
    return float(found[1]) * units[found[2]]
