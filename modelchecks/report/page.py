"""The self-contained HTML page of a run: no network, everything escaped, whole without scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelchecks.report import cards, matrix, trends
from modelchecks.report.figures import sections
from modelchecks.report.figures.gallery import Gallery
from modelchecks.report.numbers import NONE, Unit, shown, unit_of
from modelchecks.report.summary import GLYPHS
from modelchecks.report.text import clean, coded
from modelchecks.results import Result, Run

if TYPE_CHECKING:
    from jinja2 import Environment

    from modelchecks.archive import PastRun

_APART = ("text", "about")
"""What of the suite's facts stands elsewhere on the page."""


def render(run: Run, past: Sequence[PastRun] = ()) -> str:
    """Return the page, rendered from the record alone, and from past runs where they are given."""
    gallery = Gallery()
    evidence = sections(run, gallery)
    return filled(
        "run.html",
        run=run,
        name=str(run.suite.get("name", "")),
        description=run.suite.get("description"),
        banners=matrix.banners(run),
        lines=matrix.lines(run),
        cards=cards.cards(run, gallery, evidence),
        missing=matrix.missing(run),
        evidence=evidence,
        trends=trends.section(past, gallery) if past else None,
        left_out=gallery.left_out,
        passed=[result for result in run.results if result.status == "passed"],
        structural=[result for result in run.results if cards.structural(result)],
        waived=[result for result in run.results if result.waived is not None],
        ranks=matrix.RANKS,
        origins=_origins(run),
        suite_text=run.suite.get("text"),
        traceback=_traceback,
        further=cards.further,
        limits=cards.limits,
        claim=lambda result: cards.about(run, result.check)[0],
    )


def filled(template: str, **values: Any) -> str:
    """Return a template with the page's style and script, and only these allowed to act."""
    environment = _environment()
    style, script = (
        environment.get_template(name).render().strip() for name in ("style.css", "page.js")
    )
    page = environment.get_template(template).render(
        style=style,
        script=script,
        style_digest=_digest(style),
        script_digest=_digest(script),
        glyphs=GLYPHS,
        shown=shown,
        unit_of=unit_of,
        coded=coded,
        plain=Unit(),
        absent=NONE,
        **values,
    )
    return clean(page)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("modelchecks.report"),
        # Always, whatever the template's name ends in: every text of a run is foreign text.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _digest(text: str) -> str:
    """Return what the Content-Security-Policy calls a text that may act."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _origins(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return where the run comes from: (what, (name, value) rows), everything that is recorded."""
    about = {"id": run.run_id, "started": run.started, "finished": run.finished}
    suite = {key: value for key, value in run.suite.items() if key not in _APART}
    keys = ("evidence", "probes")
    made = {key: value for key, value in run.provenance.items() if key not in keys}
    gathered = {key: run.provenance[key] for key in keys if run.provenance.get(key)}
    told: Sequence[tuple[str, Mapping[str, Any]]] = [
        ("run", about),
        ("suite", suite),
        ("made with", made),
        *((f"variant {name}", facts) for name, facts in run.variants.items()),
        *((f"split {name}", facts) for name, facts in run.splits.items()),
        ("evidence", gathered),
    ]
    return [(what, rows) for what, facts in told if (rows := list(_facts(facts)))]


def _facts(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _facts(item, f"{prefix}{key} ")
        elif isinstance(item, list) and item:
            numbered = {str(number): part for number, part in enumerate(item, start=1)}
            yield from _facts(numbered, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", shown(item)


def _traceback(result: Result) -> str | None:
    found = result.details.get("traceback")
    return None if found is None else str(found)
