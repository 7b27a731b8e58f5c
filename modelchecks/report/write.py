"""Which report is written where: one folder per suite, a file per format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelchecks.report import badge, junit, markdown, record
from modelchecks.results import Run

if TYPE_CHECKING:
    from modelchecks.archive import PastRun

Format = Literal["html", "json", "junit", "md", "png", "svg", "badge"]
FORMATS: tuple[Format, ...] = ("html", "json", "junit", "md", "png", "svg", "badge")
FILES: dict[Format, str] = {
    "html": "index.html",
    "json": "run.json",
    "junit": "junit.xml",
    "md": "summary.md",
    "png": "accuracy.png",
    "svg": "accuracy.svg",
    "badge": "badge.json",
}


def write(
    run: Run, folder: Path, formats: Sequence[Format] = FORMATS, past: Sequence[PastRun] = ()
) -> dict[Format, Path]:
    """Write the run's reports into `folder`, overwriting; return the path of each format.

    A picture that the run has no numbers for is not written. `past` are earlier runs of the suite,
    for the page's trends.
    """
    # All rendered before any is written: no page may speak of a run whose record is not there.
    rendered: dict[Format, str | bytes] = {}
    for name in sorted(formats, key=lambda name: name not in ("png", "svg")):
        rendered[name] = render(run, name, past, FILES["png"] if rendered.get("png") else None)
    texts = {name: rendered[name] for name in formats if rendered[name]}
    paths = {name: folder / FILES[name] for name in texts}
    try:
        for name, text in texts.items():
            record.write(paths[name], text)
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


def render(
    run: Run, name: Format, past: Sequence[PastRun] = (), picture: str | None = None
) -> str | bytes:
    """Return the run in one format, empty where there is nothing to draw.

    `picture` is the file that a Markdown summary shows.
    """
    # What is heavy is imported here: jinja2 and the charts are not for those who want JSON alone.
    if name == "html":
        from modelchecks.report import page

        return page.render(run, past)
    if name in ("png", "svg"):
        from modelchecks.report import picture as pictures

        return pictures.png(run) if name == "png" else pictures.svg(run)
    if name == "json":
        return record.dumps(run)
    if name == "junit":
        return junit.render(run)
    return badge.render(run) if name == "badge" else markdown.render(run, picture)


def folder_name(suite: str) -> str:
    """Return a suite's name as a folder name that stays inside its parent.

    >>> folder_name("../fashion gate")
    'fashion-gate'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", suite).strip("-") or "suite"
