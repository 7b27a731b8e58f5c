"""`modelchecks waive`: grant a waiver, in the file beside the suite, under version control."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from modelchecks.completion import completing
from modelchecks.shell import tell, writing


def _failing(context: click.Context) -> list[str]:
    from modelchecks.load import load_suite
    from modelchecks.plan import all_cases

    return [case.id for case in all_cases(load_suite(context.params["suite"]))]


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@click.argument("case", shell_complete=completing(_failing))
@click.option("--owner", required=True, help="Who answers for it.")
@click.option("--reason", required=True, help="Why the failure may pass for now.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day on which it counts.  [default: in 30 days]",
)
def waive(suite: Path, case: str, owner: str, reason: str, until: datetime | None) -> int:
    """Grant a waiver: a failed case that does not block until a day, and then blocks again.

    It is written to NAME.waivers.yaml beside the suite; commit it, so that whoever reviews sees who
    asked for it and why. Only a case that failed can be waived: one that crashed, found no data or
    could not be decided keeps its variant undecided.

    \b
    Example:
      modelchecks waive fashion.suite.yaml "live-drop[curriculum]" \\
        --owner anna@example.org --reason "camera B is replaced, ticket 4711"
    """
    import yaml

    from modelchecks.load import load_suite
    from modelchecks.plan import all_cases
    from modelchecks.report.record import write_text
    from modelchecks.waivers import DAYS, SUFFIXES, stem, waiver_file

    loaded = load_suite(suite)
    severities = {asked.id: asked.declared.severity for asked in all_cases(loaded)}
    if case not in severities:
        from modelchecks.errors import did_you_mean

        hint = did_you_mean(case, list(severities))
        raise click.UsageError(f"no case of the suite is {case!r}{hint}")
    if severities[case] != "block":
        raise click.UsageError(f"{case} has severity {severities[case]} and blocks nothing")
    held = [waiver for waiver in loaded.waivers if waiver.case == case]
    if held:
        place = held[0].location
        raise click.UsageError(
            f"{case} is waived already until {held[0].until}: edit {place.path}:{place.line}"
        )
    today = datetime.now(UTC).date()
    last: date = until.date() if until is not None else today + timedelta(days=DAYS)
    if last < today:
        raise click.UsageError(f"--until {last} lies in the past")
    entry = {"case": case, "owner": owner, "reason": reason, "since": today, "until": last}
    item = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=88)
    file = waiver_file(suite) or suite.with_name(stem(suite) + SUFFIXES[0])
    before = file.read_text(encoding="utf-8-sig") if file.is_file() else "waivers:\n"
    with writing(file):
        write_text(file, before.rstrip("\n") + "\n" + _like(before, item))
        granted = _read_back(suite)
        if case not in granted:
            # Somebody's own layout of the file, which appending does not go with.
            if before == "waivers:\n":
                file.unlink()
            else:
                write_text(file, before)
            raise click.UsageError(f"add this to {file} by hand, under `waivers:`:\n{item}")
    tell(f"{case} is waived until {last}; commit {file}\n")
    return 0


def _like(before: str, item: str) -> str:
    """Return the item, indented as the list that it is added to."""
    dashes = [line for line in before.splitlines() if line.lstrip().startswith("- ")]
    indent = " " * (len(dashes[-1]) - len(dashes[-1].lstrip())) if dashes else "  "
    return "".join(f"{indent}{line}\n" for line in item.splitlines())


def _read_back(suite: Path) -> list[str]:
    from modelchecks.load import read_suite

    found, _ = read_suite(suite)
    return [] if found is None else [waiver.case for waiver in found.waivers]
