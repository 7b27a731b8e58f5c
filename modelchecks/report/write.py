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
    written = {}
    for name in formats:
        path = folder / FILES[name]
        record.write_text(path, render(run, name))
        written[name] = path
    return written


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
