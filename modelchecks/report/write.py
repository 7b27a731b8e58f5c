"""Which report is written where: one folder per suite, a file per format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from modelchecks.report import junit, markdown, record
from modelchecks.results import Run

Format = Literal["html", "json", "junit", "md"]
FORMATS: tuple[Format, ...] = ("html", "json", "junit", "md")
FILES: dict[Format, str] = {
    "html": "index.html",
    "json": "run.json",
    "junit": "junit.xml",
    "md": "summary.md",
}


def write(run: Run, folder: Path, formats: Sequence[Format] = FORMATS) -> dict[Format, Path]:
    """Write the run's reports into `folder`, overwriting; return the path of each format."""
    # All rendered before any is written: no page may speak of a run whose record is not there.
    texts = {name: render(run, name) for name in formats}
    paths = {name: folder / FILES[name] for name in texts}
    try:
        for name, text in texts.items():
            record.write_text(paths[name], text)
    except OSError:
        for path in paths.values():
            path.unlink(missing_ok=True)
        raise
    return paths


def remove(folder: Path, but: Sequence[Format] = ()) -> None:
    """Remove the reports in a folder, except some formats; what is not there is none."""
    for name, file in FILES.items():
        if name not in but:
            (folder / file).unlink(missing_ok=True)


def render(run: Run, name: Format) -> str:
    """Return the run in one format."""
    if name == "html":
        # Here, because jinja2 is not for those who want JSON alone.
        from modelchecks.report import page

        return page.render(run)
    if name == "json":
        return record.dumps(run)
    return junit.render(run) if name == "junit" else markdown.render(run)


def folder_name(suite: str) -> str:
    """Return a suite's name as a folder name that stays inside its parent.

    >>> folder_name("../fashion gate")
    'fashion-gate'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", suite).strip("-") or "suite"
