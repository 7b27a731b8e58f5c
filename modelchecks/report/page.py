"""The self-contained HTML page of a run: no network, no script, everything escaped."""

from __future__ import annotations

import json

from modelchecks.report.record import result_to_json
from modelchecks.report.summary import GLYPHS, accuracy_rows, findings, sentence
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
    return environment.get_template("run.html").render(
        run=run,
        rows=accuracy_rows(run),
        findings=findings(run),
        passed=[result for result in run.results if result.status == "passed"],
        matrix=_matrix(run),
        sentences=[(d.verdict, sentence(run, d)) for d in run.decisions.values()],
        glyphs=GLYPHS,
        number=_number,
        detail=_detail,
    )


def _matrix(run: Run) -> list[tuple[str, list[Result | None]]]:
    """Return (check id, one result per variant) rows; a data case stands under every variant."""
    found: dict[str, dict[str | None, Result]] = {}
    for result in run.results:
        declared_id = result.case.rpartition("[")[0]
        found.setdefault(declared_id, {})[result.variant] = result
    return [
        (name, [by_variant.get(variant, by_variant.get(None)) for variant in run.decisions])
        for name, by_variant in found.items()
    ]


def _number(value: float) -> str:
    return f"{value:.4f}"


def _detail(result: Result) -> str:
    return json.dumps(result_to_json(result), indent=2, ensure_ascii=False)
