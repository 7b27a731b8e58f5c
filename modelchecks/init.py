"""`modelchecks init`: a suite, its schema, a workflow and a pre-commit entry, to begin with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelchecks.shell import say, tell, writing

if TYPE_CHECKING:
    from modelchecks.scaffold import Sampling


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option(
    "--from-data",
    type=click.Path(path_type=Path),
    help="A Parquet log, an image folder, or a folder of train/offline/live of either.",
)
@click.option("--name", default="release", show_default=True, help="What the suite is called.")
@click.option("--logged", multiple=True, help="A column of answers (repeatable; else: found).")
@click.option(
    "--sampling",
    type=click.Choice(["random", "unknown"]),
    default="unknown",
    show_default=True,
    help="Whether the labelled rows are a random sample of what they stand for.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def init(
    folder: Path,
    from_data: Path | None,
    name: str,
    logged: Sequence[str],
    sampling: Sampling,
    force: bool,
) -> int:
    """Write a suite, a workflow and a pre-commit entry to begin with.

    With --from-data the suite is about the data that is there: splits, schema, variants (columns of
    logged answers) and thresholds are taken from it, so that lint and gate work as it is.

    \b
    Example:
      modelchecks init --from-data logs --sampling random
      modelchecks lint suites
      modelchecks gate suites
    """
    from modelchecks import scaffold
    from modelchecks.report.record import write_text

    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise click.BadParameter("letters, digits, '_', '-' and '.' only", param_hint="--name")
    if logged and from_data is None:
        raise click.UsageError("--logged names columns of --from-data; say where these are")
    suites = folder / "suites"
    file = suites / f"{name}.suite.yaml"
    texts: dict[Path, str] = {}
    if from_data is None:
        texts[file] = scaffold.empty_suite(name, _shown(file), sampling)
    else:
        from modelchecks.proposing import look

        sources = look(from_data, logged)
        schema_file = suites / "schema" / f"{name}.json"
        proposed = scaffold.schema(name, sources[0])
        schema_name = None
        if proposed["expectations"]:
            schema_name = f"schema/{name}.json"
            texts[schema_file] = json.dumps(proposed, indent=2, ensure_ascii=False) + "\n"
        texts[file] = scaffold.suite(name, sources, suites, sampling, schema_name)
    workflow = folder / ".github" / "workflows" / "modelchecks.yml"
    texts[workflow] = scaffold.WORKFLOW.format(suite=f"suites/{name}.suite.yaml")
    hooks, entry = folder / ".pre-commit-config.yaml", scaffold.PRE_COMMIT
    there = hooks.is_file() and "modelchecks-lint" in hooks.read_text(encoding="utf-8")
    if not hooks.is_file():
        texts[hooks] = f"repos:\n{entry}"
    taken = [path for path in texts if path.exists()]
    if taken and not force:
        names = ", ".join(map(_shown, taken))
        raise click.UsageError(f"{names} is there already; --force overwrites it")
    for path, text in texts.items():
        with writing(path):
            write_text(path, text)
        tell(f"wrote {_shown(path)}\n")
    if hooks not in texts and not there:
        say(f"{_shown(hooks)} is there; add to its `repos:`\n{entry.rstrip()}")
    tell(f"\nNext:\n  modelchecks lint {_shown(file)}\n  modelchecks gate {_shown(file)}\n")
    return 0


def _shown(path: Path) -> str:
    return path.as_posix()
