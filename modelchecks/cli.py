"""The shell door: gate, decide, report, lint, explain. Heavy modules load inside the commands."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelchecks import __version__

if TYPE_CHECKING:
    from modelchecks.results import Run
    from modelchecks.suite import Suite

EXIT_CODES = """\b
Exit codes: 0 every asked variant approved, 1 at least one blocked, 2 usage or suite error,
3 none blocked but at least one undecided, 4 internal error, 5 nothing ran."""


class _Commands(click.Group):
    """Lists the commands in the order in which they are declared here, not by letter."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


_settings = {"help_option_names": ["-h", "--help"]}


@click.group(cls=_Commands, epilog=EXIT_CODES, context_settings=_settings)
@click.version_option(__version__, prog_name="modelchecks")
def cli() -> None:
    """Decide whether a trained model may go live.

    A suite file declares data splits, model variants and checks; `gate` answers, for each
    variant: approved, blocked or undecided.

    \b
    Example:
      modelchecks lint suites/fashion.suite.yaml
      modelchecks gate suites/fashion.suite.yaml --report reports
    """


_suites = click.argument("suites", nargs=-1, required=True, metavar="SUITE...")
_fail_on = click.option(
    "--fail-on",
    type=click.Choice(["blocked", "undecided"]),
    default="undecided",
    show_default=True,
    help="`blocked` lets variants through whose only open cases are inconclusive.",
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="No progress.")


@cli.command(epilog=EXIT_CODES)
@_suites
@click.option("--variant", "variants", multiple=True, help="Judge only this variant (repeatable).")
@click.option("--report", "folder", default="reports", show_default=True, help="Where reports go.")
@click.option(
    "--format",
    "formats",
    default="html,json,junit,md",
    show_default=True,
    help="Which reports to write, separated by commas.",
)
@_fail_on
@click.option("--executor", default="local", show_default=True, help="local, or ray[://address].")
@click.option("--no-cache", is_flag=True, help="Gather all evidence again.")
@_quiet
def gate(
    suites: Sequence[str],
    variants: Sequence[str],
    folder: str,
    formats: str,
    fail_on: Any,
    executor: str,
    no_cache: bool,
    quiet: bool,
) -> int:
    """Judge every variant of one or more suites and write the reports.

    \b
    Example:
      modelchecks gate suites/fashion.suite.yaml --variant curriculum --report reports
    """
    from modelchecks import gate as gate_module
    from modelchecks.report.write import FORMATS

    asked = [name.strip() for name in formats.split(",") if name.strip()]
    for name in asked:
        if name not in FORMATS:
            known = ", ".join(FORMATS)
            raise click.BadParameter(f"{name!r} is none of {known}", param_hint="--format")
    if executor != "local":
        raise click.BadParameter(
            f"{executor!r} is planned and not built yet; leave it out or say `local`",
            param_hint="--executor",
        )
    codes: list[int] = []
    names: set[str] = set()
    for path in _files(suites):

        def judge(suite: Suite) -> Run:
            from modelchecks.progress import shown
            from modelchecks.run import run_suite, suite_store

            with shown(quiet=quiet) as progress:
                return run_suite(
                    suite,
                    variants=list(variants) or None,
                    store=suite_store(suite, _say),
                    fresh=no_cache,
                    progress=progress,
                )

        codes.append(_judged(path, judge, folder, asked, fail_on, names))
    if not codes:
        _say("no suite file (*.suite.yaml) was found, so nothing ran")
    return gate_module.worst(codes)


@cli.command(epilog=EXIT_CODES)
@click.argument("run_or_evidence", type=click.Path(exists=True, path_type=Path))
@click.option("--suite", "suite_path", required=True, help="The suite to judge by.")
@click.option("--variant", "variants", multiple=True, help="Judge only this variant (repeatable).")
@click.option("--report", "folder", default=None, help="Where reports go (default: none written).")
@_fail_on
def decide(
    run_or_evidence: Path,
    suite_path: str,
    variants: Sequence[str],
    folder: str | None,
    fail_on: Any,
) -> int:
    """Judge again from stored evidence: no inference, no torch.

    RUN_OR_EVIDENCE is the run.json of an earlier gate, or a folder of stored evidence.

    \b
    Example:
      modelchecks decide reports/fashion/run.json --suite stricter.suite.yaml
    """

    def judge(suite: Suite) -> Run:
        from modelchecks.run import judge_again

        return judge_again(suite, run_or_evidence, list(variants) or None, _say)

    formats = ["html", "json", "junit", "md"] if folder else []
    return _judged(Path(suite_path), judge, folder or "", formats, fail_on, set())


@cli.command()
@click.argument("run_json", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Write the HTML page here.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the summary here.")
def report(run_json: Path, html: Path | None, junit: Path | None, markdown: Path | None) -> int:
    """Render a run record again; without options, print it.

    \b
    Example:
      modelchecks report reports/fashion/run.json --html page.html
    """
    from modelchecks.report import record, terminal
    from modelchecks.report.write import render

    run = record.read(run_json)
    targets = {"html": html, "junit": junit, "md": markdown}
    for name, path in targets.items():
        if path is not None:
            record.write_text(path, render(run, name))  # type: ignore[arg-type]
            _say(f"wrote {path}")
    if not any(targets.values()):
        click.echo(terminal.render(run), nl=False)
    return 0


@cli.command()
@click.argument("suites", nargs=-1, metavar="SUITE...")
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of suite files.")
def lint(suites: Sequence[str], json_schema: bool) -> int:
    """Report every problem of suite files at once; needs no model and no data.

    \b
    Example:
      modelchecks lint suites/*.suite.yaml
    """
    from modelchecks import gate as gate_module

    if json_schema:
        import json

        from modelchecks.suite_schema import suite_schema

        click.echo(json.dumps(suite_schema(), indent=2))
        return 0
    if not suites:
        raise click.UsageError("name at least one suite file, or --json-schema")
    from modelchecks.load import read_suite

    codes = []
    for path in _files(suites):
        suite, problems = read_suite(path)
        for problem in problems:
            click.echo(str(problem))
        wrong = sum(problem.severity == "error" for problem in problems)
        if suite is None:
            click.echo(f"{path}: {wrong} error{'s' * (wrong != 1)}")
        else:
            click.echo(f"{path}: a valid suite, {len(suite.checks)} checks")
        codes.append(gate_module.USAGE if suite is None else gate_module.OK)
    if not codes:
        _say("no suite file (*.suite.yaml) was found")
    return gate_module.worst(codes)


@cli.command()
@click.argument("check", required=False)
def explain(check: str | None) -> int:
    """Say what a check asks, its statistic, assumptions, reference and parameters.

    \b
    Example:
      modelchecks explain accuracy_drop
    """
    from modelchecks.explain import explain as tell

    click.echo(tell(check, Path()), nl=False)
    return 0


def _judged(
    path: Path,
    judge: Callable[[Suite], Run],
    folder: str,
    formats: Sequence[Any],
    fail_on: Any,
    taken: set[str],
) -> int:
    """Judge one suite file, print and write what came out, and return its exit code."""
    from modelchecks import gate as gate_module
    from modelchecks.errors import SuiteError
    from modelchecks.load import read_suite
    from modelchecks.report import terminal
    from modelchecks.report.write import folder_name, write

    suite, problems = read_suite(path)
    for problem in problems:
        _say(str(problem))
    if suite is None:
        return gate_module.USAGE
    try:
        run = judge(suite)
    except SuiteError as error:
        _say(str(error))
        return gate_module.USAGE
    click.echo(terminal.render(run), nl=False)
    for variant in gate_module.forgiven(run, fail_on):
        click.echo(
            f"LET THROUGH: {variant} is undecided; its inconclusive cases were forgiven, as asked"
        )
    if formats:
        name = folder_name(suite.name)
        number = 1
        while name in taken:
            number += 1
            name = f"{folder_name(suite.name)}-{number}"
        taken.add(name)
        written = write(run, Path(folder) / name, formats)
        click.echo(f"report: {next(iter(written.values()))}")
    return gate_module.exit_code(run, fail_on)


def _files(arguments: Sequence[str]) -> list[Path]:
    """Return the suite files named; a folder stands for all suite files below it."""
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        found += sorted(path.rglob("*.suite.yaml")) if path.is_dir() else [path]
    return found


def _say(line: str) -> None:
    click.echo(line, err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the shell door and exit with its code."""
    from modelchecks.errors import ModelchecksError

    try:
        code = cli.main(arguments, prog_name="modelchecks", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ModelchecksError as error:
        _say(f"Error: {error}")
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; nothing was decided")
        sys.exit(130)
    except Exception:
        # Whatever it was, it is ours and no verdict: exit 4, never an approval.
        traceback.print_exc()
        _say("internal error of modelchecks; nothing was decided")
        sys.exit(4)
    sys.exit(code if isinstance(code, int) else 0)
