"""Findings: a card per check that did not pass everywhere, its numbers against its threshold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelchecks.report import details, shapes
from modelchecks.report.figures import charts
from modelchecks.report.figures.gallery import (
    Gallery,
    Section,
    by_check,
    declared,
    full,
    of_whom,
    place,
)
from modelchecks.report.figures.grammar import PAGE, Axis, Spec
from modelchecks.report.numbers import Unit, limit_at, limit_text, unit_of
from modelchecks.report.summary import findings
from modelchecks.results import Result, Run

MOST_RECORD = 4_000
"""Characters of a result's other details that a card shows."""


@dataclass(frozen=True, slots=True)
class Card:
    """One check: what it claims, the cases that did not pass, and all of its cases in a picture."""

    check: str
    name: str
    severity: str
    claim: str
    about: str
    limits: tuple[str, ...]
    svg: str | None
    results: tuple[Result, ...]
    passed: tuple[str, ...]
    evidence: tuple[tuple[str, str], ...]


def cards(run: Run, gallery: Gallery, evidence: Sequence[Section]) -> list[Card]:
    """Return the cards, worst first; what by its structure asks nothing is no finding."""
    by_id = by_check(run.results)
    told: dict[str, list[Result]] = {}
    for result in findings(run):
        if not structural(result):
            told.setdefault(declared(result), []).append(result)
    return [
        _card(run, check, by_id[check], results, gallery, evidence)
        for check, results in told.items()
    ]


def structural(result: Result) -> bool:
    """Return whether a case by its structure asks nothing."""
    return result.structural and result.status == "not_applicable"


def about(run: Run, check: str) -> tuple[str, str]:
    """Return what a check claims, and its whole text, as the run recorded them."""
    texts = run.suite.get("about")
    text = str(texts.get(check, "")) if isinstance(texts, dict) else ""
    return " ".join(text.partition("\n\n")[0].split()), text


def _card(
    run: Run,
    check: str,
    all_of_it: Sequence[Result],
    told: Sequence[Result],
    gallery: Gallery,
    evidence: Sequence[Section],
) -> Card:
    first = told[0]
    # A case that could not be judged has no threshold; the others of its check have.
    asked = next((result for result in (*told, *all_of_it) if result.threshold), first)
    claim, text = about(run, first.check)
    drawn = picture(all_of_it, asked)
    return Card(
        check,
        first.check,
        first.severity,
        claim,
        text,
        limits(asked),
        None if drawn is None else gallery.picture(drawn, f"{check}: against the threshold"),
        tuple(told),
        tuple(of_whom(result) for result in all_of_it if result.status == "passed"),
        tuple(
            (section.key, section.title)
            for section in evidence
            if any(figure.check == check for figure in section.figures)
        ),
    )


def limits(result: Result) -> tuple[str, ...]:
    """Return a result's thresholds as a reader says them."""
    unit = unit_of(result)
    return tuple(limit_text(name, value, unit) for name, value in result.threshold.items())


def picture(results: Sequence[Result], first: Result) -> Spec | None:
    """Return each variant's estimate against the threshold, or each effect of a data case."""
    unit = unit_of(first)
    limit = next(iter(first.threshold.items()), None)
    rows = []
    effects = details.effects(first.details)
    if first.variant is None and len(effects) > 1:
        bounds = details.recorded(first.details)
        for name, point in effects.items():
            row = {"name": name, "told": f"{name}: {full(point, unit)}", "status": ""}
            rows.append({**row, **place("x", point, unit), **_bounds(bounds[name], point, unit)})
    else:
        for result in results:
            seen = details.observed(result)
            if result.estimate is None or seen is None:
                continue
            bounds = asdict(result.estimate)
            row = {
                "name": of_whom(result),
                "told": f"{of_whom(result)}: {full(seen, unit)}",
                "status": result.status,
            }
            rows.append({**row, **place("x", seen, unit), **_bounds(bounds, seen, unit)})
    if not rows:
        return None
    at = None if limit is None else unit.scaled(limit_at(*limit, unit))
    name = "" if limit is None else limit_text(*limit, unit)
    title = ", ".join(filter(None, [first.check.rpartition(":")[2], unit.name]))
    return charts.against_limit(PAGE, rows, Axis(title), at, name)


def _bounds(recorded: Any, point: shapes.Point, unit: Unit) -> dict[str, float]:
    """Return the decision bounds of an estimate, or its value where it has none."""
    ends = [shapes.number(recorded.get(name)) for name in ("lower_bound", "upper_bound")]
    low, high = (point.value if end is None else end for end in ends)
    return {"b1": unit.scaled(low), "b2": unit.scaled(high)}


def further(result: Result) -> str:
    """Return the details that have no place of their own on the page, as JSON, cut if long."""
    rest = _rest(result.details)
    if not rest:
        return ""
    text = json.dumps(rest, indent=1, ensure_ascii=False)
    return text if len(text) <= MOST_RECORD else text[:MOST_RECORD] + "\n… the rest is in run.json"


def _rest(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has no place of its own on the page."""
    found = {key: value for key, value in recorded.items() if key not in details.DRAWN}
    for key in ("offline", "live", "features"):
        told = recorded.get(key)
        if not isinstance(told, Mapping) or "value" in told:
            continue
        # Of these only some is drawn.
        kept = {name: _lean(value) for name, value in told.items() if name != "reliability"}
        if kept := {name: value for name, value in kept.items() if value not in ({}, None)}:
            found[key] = kept
    return found


def _lean(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: item for name, item in value.items() if name != "shape"}
