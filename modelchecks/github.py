"""`modelchecks github`: show the reports of a gate where GitHub shows the outcome of a job."""

from __future__ import annotations

import os
from pathlib import Path

import click

from modelchecks.shell import say, tell, writing


@click.command()
@click.argument("folder", default="reports", type=click.Path(path_type=Path))
@click.option("--exit-code", type=int, help="What the gate exited with; becomes an output.")
@click.option("--comment", type=click.Path(path_type=Path), help="Write the comment here.")
def github(folder: Path, exit_code: int | None, comment: Path | None) -> int:
    """Show reports in a GitHub job: summary, annotations at the suite's lines, outputs.

    Appends to the files that GITHUB_STEP_SUMMARY and GITHUB_OUTPUT name, where they do, and prints
    at most 10 annotations. Says nothing about the gate itself: let the step that ran it fail.

    \b
    Example, after `modelchecks gate SUITE --report reports`:
      modelchecks github reports
    """
    from modelchecks.errors import RecordError
    from modelchecks.report import github as texts
    from modelchecks.report import record

    runs, unreadable = [], 0
    files = sorted(folder.rglob("run.json"))
    for file in files:
        try:
            runs.append(record.read(file))
        except RecordError as error:
            unreadable += 1
            say(f"Error: {error}")
    if comment is not None:
        with writing(comment):
            record.write_text(comment, texts.comment(runs))
        say(f"wrote {comment}")
        return 2 if unreadable else 0
    for line in texts.commands(runs):
        tell(f"{line}\n")
    if not runs:
        tell("::error title=modelchecks::no suite was judged, so nothing may go live\n")
    verdict = "undecided" if unreadable else texts.verdict(runs)
    page = files[0].with_name("index.html") if len(files) == 1 else folder
    outputs = {
        "verdict": verdict if exit_code in (None, 0, 1, 3) else "error",
        "report-path": page,
        "json-path": files[0] if files else "",
        "exit-code": "" if exit_code is None else exit_code,
    }
    _append("GITHUB_STEP_SUMMARY", texts.summary(runs) or "No suite was judged.\n")
    _append("GITHUB_OUTPUT", "".join(f"{name}={_flat(v)}\n" for name, v in outputs.items()))
    return 2 if unreadable else 0


def _flat(value: object) -> str:
    """Return a value in one line: a name with a line end in it may not set another output."""
    return "".join(char if char.isprintable() else "?" for char in str(value))


def _append(variable: str, text: str) -> None:
    """Append to the file that GitHub reads; elsewhere there is none."""
    name = os.environ.get(variable)
    if name:
        with writing(Path(name)), Path(name).open("a", encoding="utf-8") as stream:
            stream.write(text)
