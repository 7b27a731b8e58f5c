"""What changed in the data, and what a change of it does: drift, maps, severity, found inputs."""

from __future__ import annotations

from collections.abc import Sequence

from modelchecks.report import details, pictures
from modelchecks.report.figures import charts
from modelchecks.report.figures.gallery import (
    MOST_POINTS,
    Cell,
    Figure,
    Gallery,
    by_check,
    count,
    cut,
    declared,
    full,
    of_whom,
    told,
)
from modelchecks.report.figures.grammar import PAGE, Axis
from modelchecks.report.numbers import Unit, unit_of
from modelchecks.results import Result, Run

_PERCENT = Unit("%")


def drift(result: Result, gallery: Gallery) -> list[Figure]:
    """Return the shares of classes and values, and the histograms of properties, of both sides."""
    sides = details.sides(result.details)
    told = {"class": details.shares(result.details), **details.categories(result.details)}
    figures = [
        f for name, rows in told.items() for f in _shares(result, gallery, sides, name, rows)
    ]
    return [*figures, *_histograms(result, gallery, sides)]


def _shares(
    result: Result,
    gallery: Gallery,
    sides: tuple[str, str],
    what: str,
    told: Sequence[details.Shares],
) -> list[Figure]:
    of = "classes" if what == "class" else what
    found, note = cut(told, of)
    if not found:
        return []
    rows = [
        {"name": s.name, "side": side, "x": x, "told": f"{s.name}, {side}: {_PERCENT.full(x)}"}
        for s in found
        for side, x in zip(sides, (s.reference, s.current), strict=True)
    ]
    table = [
        (Cell(s.name), *(Cell(_PERCENT.bare(x), x) for x in (s.reference, s.current)))
        for s in found
    ]
    return gallery.figure(
        f"{of_whom(result)}: {declared(result)}, shares of {of}",
        result,
        charts.bars(PAGE, rows, sides, Axis("share of rows", percent=True)),
        (what, *(f"{side} %" for side in sides)),
        table,
        note,
    )


def _histograms(result: Result, gallery: Gallery, sides: tuple[str, str]) -> list[Figure]:
    figures = []
    effects, plain = details.effects(result.details), Unit()
    for found in details.distributions(result.details):
        rows = [
            {"side": side, "x": left, "y": share}
            for left, _, *shares in found.bins
            for side, share in zip(sides, shares, strict=True)
        ]
        # The last step needs an end.
        _, end, *last = found.bins[-1]
        rows += [{"side": s, "x": end, "y": y} for s, y in zip(sides, last, strict=True)]
        table = [
            (
                Cell(f"{plain.bare(left)} to {plain.bare(right)}"),
                Cell(_PERCENT.bare(before), before),
                Cell(_PERCENT.bare(after), after),
            )
            for left, right, before, after in found.bins
        ]
        effect = effects.get(found.name)
        whose = "" if result.variant is None else f"{result.variant}: "
        named = declared(result) if found.name == "value" else found.name
        figures += gallery.figure(
            f"{whose}{named} of {sides[0]} and {sides[1]}",
            result,
            charts.overlay(PAGE, rows, sides, found.name),
            (found.name, *(f"{side} %" for side in sides)),
            table,
            "" if effect is None else f"distance {full(effect, plain)}",
        )
    return figures


def embedding(result: Result, gallery: Gallery) -> list[Figure]:
    """Return the map of both splits' embeddings."""
    found = details.embedding(result.details)
    if len(found) != 2:
        return []
    first, second = found
    rows = [
        {"side": side, "x": x, "y": y}
        for side, places in found.items()
        for x, y in places[:MOST_POINTS]
    ]
    table = [(Cell(side), Cell(f"{len(places):,}", len(places))) for side, places in found.items()]
    most = max(len(places) for places in found.values())
    note = f"{MOST_POINTS} of each" if most > MOST_POINTS else ""
    return gallery.figure(
        f"{of_whom(result)}: embedding map",
        result,
        charts.scatter(PAGE, rows, (first, second)),
        ("split", "points recorded"),
        table,
        note,
    )


def severity(run: Run, gallery: Gallery) -> list[Figure]:
    """Return for each check and disturbance a line per variant."""
    figures = []
    for check, results in by_check(run.results).items():
        lines = {of_whom(r): details.curves(r.details) for r in results}
        unit = unit_of(results[0]) if unit_of(results[0]).name else _PERCENT
        if unit.name == "pp":
            unit = _PERCENT
        for name in dict.fromkeys(name for curves in lines.values() for name in curves):
            rows, table = [], []
            over = name if name == details.ATTACK else f"severity of {name}"
            asked = [whose for whose, curves in lines.items() if name in curves]
            for whose in asked:
                for strength, p in lines[whose][name]:
                    words = f"{whose}, {name} {strength:g}: {full(p, unit)}"
                    ends = (("y", p.value), ("y1", p.low), ("y2", p.high))
                    values = {key: unit.scaled(v) for key, v in ends if v is not None}
                    rows.append({"side": whose, "told": words, "x": strength, **values})
                    strong = Cell(f"{strength:g}", strength)
                    table.append((Cell(whose), strong, told(p, unit), count(p)))
            shown, note = cut(table, "points")
            figures += gallery.figure(
                f"{check}: {name}",
                results[0],
                charts.lines(PAGE, rows, asked, Axis(over), Axis(f"value, {unit.name}")),
                ("variant", over, f"value {unit.name}", "rows"),
                shown,
                note,
            )
    return figures


def counterexamples(result: Result, gallery: Gallery) -> list[Figure]:
    """Return the smallest inputs found, beside their originals."""
    return _images(result, gallery, pictures.counterexamples(result.details))


def images(result: Result, gallery: Gallery) -> list[Figure]:
    """Return the images of the rows that a result tells of."""
    return _images(result, gallery, pictures.images(result.details))


def _images(result: Result, gallery: Gallery, found: list[pictures.Image]) -> list[Figure]:
    if not found:
        return []
    kept = gallery.images(found)
    note = "" if len(kept) == len(found) else f"{len(kept)} of {len(found):,} recorded"
    title = f"{of_whom(result)}: {declared(result)}"
    return [Figure(title, declared(result), None, (), (), note, kept)] if kept else []
