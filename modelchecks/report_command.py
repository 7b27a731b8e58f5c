"""`modelchecks report`: a record rendered again, or what changed since another one."""

from __future__ import annotations

from pathlib import Path

import click

from modelchecks.shell import say, tell, writing

_path = click.Path(path_type=Path)
_record = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("run_json", type=_record)
@click.option("--against", type=_record, help="An earlier run.json: say what changed since.")
@click.option("--history", type=_record, help="A history, for the trends on the page.")
@click.option("--html", type=_path, help="Write the HTML page here.")
@click.option("--junit", type=_path, help="Write JUnit XML here.")
@click.option("--markdown", type=_path, help="Write the summary here.")
@click.option("--picture", type=_path, help="Write the key plot here: FILE.png or FILE.svg.")
@click.option("--badge", type=_path, help="Write a badge here: the endpoint JSON of shields.io.")
def report(
    run_json: Path, against: Path | None, history: Path | None, **targets: Path | None
) -> int:
    """Render a run record again, or what changed since another; without options, print it.

    \b
    Example:
      modelchecks report reports/fashion/run.json --html page.html
      modelchecks report reports/fashion/run.json --against last-week/run.json
    """
    wanted = {name: path for name, path in targets.items() if path is not None}
    if against is not None:
        _compare(run_json, against, wanted)
    else:
        _render(run_json, history, wanted)
    return 0


def _render(run_json: Path, history: Path | None, wanted: dict[str, Path]) -> None:
    from modelchecks.report import record, terminal
    from modelchecks.report.write import Format, render

    run = record.read(run_json)
    names: dict[str, Format] = {"html": "html", "junit": "junit", "markdown": "md"}
    names["badge"] = "badge"
    if "picture" in wanted:
        suffix = wanted["picture"].suffix
        if suffix not in (".png", ".svg"):
            raise click.BadParameter("the file must end in .png or .svg", param_hint="--picture")
        names["picture"] = "png" if suffix == ".png" else "svg"
    past = []
    if history is not None:
        from modelchecks import archive

        past = archive.past(history, str(run.suite.get("name", "")))
    for name, path in wanted.items():
        content = render(run, names[name], past)
        if not content:
            raise click.ClickException(f"{run_json} has no accuracies to draw")
        _write(path, content)
    if not wanted:
        tell(terminal.render(run))


def _compare(run_json: Path, against: Path, wanted: dict[str, Path]) -> None:
    from modelchecks.report import compare, record

    odd = sorted(set(wanted) - {"html"})
    if odd:
        raise click.UsageError(f"--{odd[0]} is of one run; with --against there is --html")
    found = compare.compare(record.read(against), record.read(run_json))
    if "html" in wanted:
        _write(wanted["html"], compare.render(found))
    else:
        tell(compare.text(found))


def _write(path: Path, content: str | bytes) -> None:
    from modelchecks.report import record

    with writing(path):
        record.write(path, content)
    say(f"wrote {path}")
