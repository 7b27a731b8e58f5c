"""The shell door: gate, decide, report, lint, explain. Heavy modules load inside the commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelchecks import __version__
from modelchecks.cache import cache
from modelchecks.completion import VARIABLE, asked_by_a_shell, checks, completing, completion
from modelchecks.completion import variants as known_variants
from modelchecks.doctor import doctor
from modelchecks.github import github
from modelchecks.history import history
from modelchecks.init import init
from modelchecks.lint import lint
from modelchecks.plan_command import plan
from modelchecks.pytest_command import OPTIONS, pytest
from modelchecks.report_command import report
from modelchecks.shell import (
    Reports,
    internal_error,
    prepare_output,
    say,
    suite_files,
    tell,
)
from modelchecks.verify import verify
from modelchecks.waive import waive

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
_variant = click.option(
    "--variant",
    "variants",
    multiple=True,
    shell_complete=completing(known_variants),
    help="Judge only this variant (repeatable).",
)
_history = click.option(
    "--history",
    "past",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that remembers runs (default: the policy's, else in the report folder).",
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="No progress.")


@cli.command(epilog=EXIT_CODES)
@_suites
@_variant
@click.option("--report", "folder", default="reports", show_default=True, help="Where reports go.")
@click.option(
    "--format",
    "formats",
    default="html,json,junit,md,png,svg,badge",
    show_default=True,
    help="Which reports to write, separated by commas.",
)
@_fail_on
@_history
@click.option("--executor", default="local", show_default=True, help="local, or ray[://address].")
@click.option("--no-cache", is_flag=True, help="Gather all evidence again.")
@_quiet
def gate(
    suites: Sequence[str],
    variants: Sequence[str],
    folder: str,
    formats: str,
    fail_on: Any,
    past: Path | None,
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
    for name in asked or [formats]:
        if name not in FORMATS:
            known = ", ".join(FORMATS)
            raise click.BadParameter(f"{name!r} is none of {known}", param_hint="--format")
    if executor != "local":
        raise click.BadParameter(
            f"{executor!r} is planned and not built yet; leave it out or say `local`",
            param_hint="--executor",
        )
    paths, codes = suite_files(suites)
    names: set[str] = set()
    for path in paths:

        def judge(suite: Suite) -> Run:
            from modelchecks.publish import warm_up

            # First of all, as the other imports take longer.
            warm_up(asked)
            from modelchecks.progress import shown
            from modelchecks.run import run_suite, suite_store

            with shown(quiet=quiet) as progress:
                return run_suite(
                    suite,
                    variants=list(variants) or None,
                    store=suite_store(suite, say),
                    fresh=no_cache,
                    progress=progress,
                )

        reports = Reports(Path(folder), asked, names, history=past)
        codes.append(_judged(path, judge, variants, reports, fail_on))
    return gate_module.worst(codes)


@cli.command(epilog=EXIT_CODES)
@click.argument("run_or_evidence", type=click.Path(exists=True, path_type=Path))
@click.option("--suite", "suite_path", required=True, help="The suite to judge by.")
@_variant
@click.option("--report", "folder", default=None, help="Where reports go (default: none written).")
@_fail_on
@_history
def decide(
    run_or_evidence: Path,
    suite_path: str,
    variants: Sequence[str],
    folder: str | None,
    fail_on: Any,
    past: Path | None,
) -> int:
    """Judge again from stored evidence: no inference, no torch.

    RUN_OR_EVIDENCE is the run.json of an earlier gate (or its folder), or a folder of stored
    evidence.

    \b
    Example:
      modelchecks decide reports/fashion/run.json --suite stricter.suite.yaml
    """

    record = run_or_evidence / "run.json"
    source = record if record.is_file() else run_or_evidence

    def judge(suite: Suite) -> Run:
        from modelchecks.run import judge_again

        return judge_again(suite, source, list(variants) or None, say)

    from modelchecks.report.write import FORMATS

    # Not cleared before: what is judged again may lie where the new reports go.
    reports = Reports(Path(folder), FORMATS, set(), clear=False, history=past) if folder else None
    return _judged(Path(suite_path), judge, variants, reports, fail_on)


cli.add_command(report)


@cli.command()
@click.argument("check", required=False, shell_complete=completing(checks))
def explain(check: str | None) -> int:
    """Say what a check asks, its statistic, assumptions, reference and parameters.

    \b
    Example:
      modelchecks explain accuracy_drop
    """
    from modelchecks.explain import explain as text_of

    tell(text_of(check, Path()))
    return 0


cli.add_command(lint)
cli.add_command(init)
cli.add_command(plan)
cli.add_command(waive)
cli.add_command(verify)
cli.add_command(pytest)
cli.add_command(github)
cli.add_command(history)
cli.add_command(cache)
cli.add_command(doctor)
cli.add_command(completion)


def _judged(
    path: Path,
    judge: Callable[[Suite], Run],
    variants: Sequence[str],
    reports: Reports | None,
    fail_on: Any,
) -> int:
    """Judge one suite file, print and write what came out, and return its exit code."""
    from modelchecks import gate as gate_module
    from modelchecks.errors import ModelchecksError
    from modelchecks.load import read_suite
    from modelchecks.plan import make_plan
    from modelchecks.report import terminal

    folder = None
    try:
        suite, problems = read_suite(path)
        for problem in problems:
            say(str(problem))
        if suite is None:
            return gate_module.USAGE
        # Before the reports of an earlier run go: a misspelt variant is no new run.
        make_plan(suite, list(variants) or None)
        if reports is not None:
            folder = reports.folder(suite)
            reports.prepare(folder)
        run = judge(suite)
        tell(terminal.render(run))
        for variant in gate_module.forgiven(run, fail_on):
            tell(
                f"LET THROUGH: {variant} is undecided; its inconclusive cases were forgiven, as "
                "asked\n"
            )
        if reports is not None and folder is not None:
            tell(f"report: {reports.write(run, folder)}\n")
        return gate_module.exit_code(run, fail_on)
    except (click.ClickException, click.Abort, KeyboardInterrupt):
        raise
    except ModelchecksError as error:
        say(f"Error: {error}")
        return gate_module.USAGE
    except BaseException:
        # SystemExit as well: `sys.exit(0)` in somebody's check is no approval. The other suites
        # are judged still.
        if folder is not None:
            Reports.remove(folder)
        return internal_error(str(path))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the shell door and exit with its code."""
    from modelchecks.errors import ModelchecksError

    if asked_by_a_shell():
        cli.main(arguments, prog_name="modelchecks", complete_var=VARIABLE)
    prepare_output()
    try:
        code = cli.main(arguments, prog_name="modelchecks", standalone_mode=False, complete_var="-")
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and error.option_name in OPTIONS:
            say(f"{error.option_name} is pytest's: `modelchecks pytest SUITE {error.option_name}`")
        sys.exit(2)
    except ModelchecksError as error:
        say(f"Error: {error}")
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; nothing was decided")
        sys.exit(130)
    except BaseException:
        # Whatever it was, it is no verdict: exit 4, never an approval.
        sys.exit(internal_error("modelchecks"))
    sys.exit(code if isinstance(code, int) else 4)
