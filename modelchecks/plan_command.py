"""`modelchecks plan`: how many labels each open decision needs, and which rows to label next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from modelchecks.shell import say, tell, writing


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@click.option("--variant", "variants", multiple=True, help="Only this variant (repeatable).")
@click.option("--labels", type=click.IntRange(min=1), help="How many rows to choose.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the rows here, as CSV.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def plan(
    suite: Path, variants: Sequence[str], labels: int | None, out: Path | None, quiet: bool
) -> int:
    """Say how many labels each open decision needs, and which rows to label next.

    \b
    Example:
      modelchecks plan suites/fashion.suite.yaml --out label-next.csv
    """
    from modelchecks import labelling
    from modelchecks.load import load_suite
    from modelchecks.progress import shown
    from modelchecks.report.record import write_text
    from modelchecks.run import suite_store

    loaded, asked = load_suite(suite), list(variants) or None
    with shown(quiet=quiet) as progress:
        found = labelling.label_plan(
            loaded, suite_store(loaded, say), variants=asked, labels=labels, progress=progress
        )
    tell(labelling.told(found))
    if out is not None:
        with writing(out):
            write_text(out, labelling.as_csv(found.rows))
        say(f"wrote {out}")
    return 0
