"""The index over the runs in a folder of reports, with what is remembered of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from modelchecks.errors import RecordError
from modelchecks.report import record, trends
from modelchecks.report.figures.gallery import Gallery, Section
from modelchecks.report.write import FILES
from modelchecks.results import Run

if TYPE_CHECKING:
    from modelchecks.archive import PastRun


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder with a run: the record (or why it cannot be read), its files, its suite's past."""

    folder: str
    run: Run | None
    problem: str
    files: tuple[tuple[str, str], ...]
    trends: Section | None


def render(base: Path, past: Mapping[str, Sequence[PastRun]]) -> str:
    """Return the index of a folder; `past` are the runs of each suite, oldest first."""
    from modelchecks.report import page

    gallery = Gallery()
    folders = sorted(path.parent for path in base.glob(f"*/{FILES['json']}"))
    entries = [_entry(folder, past, gallery) for folder in folders]
    return page.filled("overview.html", entries=entries)


def _entry(folder: Path, past: Mapping[str, Sequence[PastRun]], gallery: Gallery) -> Entry:
    files = tuple(
        (file, f"./{quote(folder.name)}/{quote(file)}")
        for file in FILES.values()
        if (folder / file).is_file()
    )
    try:
        run = record.read(folder / FILES["json"])
    except RecordError as error:
        return Entry(folder.name, None, str(error), files, None)
    known = past.get(str(run.suite.get("name", "")), ())
    return Entry(folder.name, run, "", files, trends.section(known, gallery, checks=1))
