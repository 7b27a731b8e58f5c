"""The self-contained HTML page of a run: no network, no script, everything escaped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelchecks.report.matrix import cell, matrix
from modelchecks.report.record import result_to_json
from modelchecks.report.summary import GLYPHS, NONE, accuracy_rows, findings, sentence
from modelchecks.report.text import clean
from modelchecks.results import Result, Run


def render(run: Run) -> str:
    """Return the page, rendered from the record alone."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("modelchecks.report"),
        # Always, whatever the template's name ends in: every text of a run is foreign text.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("run.html").render(
        run=run,
        name=str(run.suite.get("name", "")),
        description=run.suite.get("description"),
        rows=accuracy_rows(run),
        findings=findings(run),
        passed=[result for result in run.results if result.status == "passed"],
        matrix=matrix(run),
        cell_of=cell,
        sentences=[
            (d.verdict, sentence(run, d), d.approved_with_waivers) for d in run.decisions.values()
        ],
        origins=_origins(run),
        glyphs=GLYPHS,
        shown=_shown,
        detail=_detail,
        traceback=_traceback,
    )
    return clean(page)


def _origins(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return where the run comes from: (what, (name, value) rows), everything that is recorded."""
    about = {"id": run.run_id, "started": run.started, "finished": run.finished}
    return [
        ("run", list(_facts(about))),
        ("suite", list(_facts(run.suite))),
        *[(f"variant {name}", list(_facts(facts))) for name, facts in run.variants.items()],
        *[(f"split {name}", list(_facts(facts))) for name, facts in run.splits.items()],
        ("made with", list(_facts(run.provenance))),
    ]


def _facts(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _facts(item, f"{prefix}{key} ")
        elif isinstance(item, list) and item:
            numbered = {str(number): part for number, part in enumerate(item, start=1)}
            yield from _facts(numbered, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", _shown(item)


def _shown(value: Any) -> str:
    """Return a recorded value as a reader writes it: 10,000, 0.1428, yes, – for none."""
    if value is None or value in ("", [], {}):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _traceback(result: Result) -> str | None:
    found = result.details.get("traceback")
    return None if found is None else str(found)


def _detail(result: Result) -> str:
    """Return the result as it is recorded, but for the traceback, which is shown as lines."""
    recorded = result_to_json(result)
    recorded["details"].pop("traceback", None)
    return json.dumps(recorded, indent=2, ensure_ascii=False)
