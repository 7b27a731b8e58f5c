"""Where a variant loses: offline against live, by class, slice and time, and what it mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelchecks.report import details
from modelchecks.report.details import Group
from modelchecks.report.figures import charts
from modelchecks.report.figures.gallery import (
    Cell,
    Figure,
    Gallery,
    by_check,
    count,
    cut,
    declared,
    full,
    of_whom,
    place,
    told,
)
from modelchecks.report.figures.grammar import PAGE, Axis, Palette, Spec, span
from modelchecks.report.numbers import NONE, Unit, unit_of
from modelchecks.report.shapes import Point
from modelchecks.results import Result, Run

_PERCENT, _POINTS = Unit("%"), Unit("pp")
_LEVELS = {"max_drop", "max_relative_drop"}
"""Thresholds of a drop, whose two sides are levels."""
Pairs = Sequence[tuple[Result, tuple[Point, Point]]]


def pairs(run: Run) -> dict[str, Pairs]:
    """Return the variants' (offline, live) points of each check that recorded them."""
    found: dict[str, Pairs] = {}
    for check, results in by_check(run.results).items():
        points = [(r, pair) for r in results if (pair := details.pair(r.details)) is not None]
        if points:
            found[check] = points
    return found


def offline_live(run: Run, gallery: Gallery) -> list[Figure]:
    """Return the plot of each check that says where its variants were and are."""
    figures = []
    for check, points in pairs(run).items():
        unit = _level(points[0][0])
        head = ("variant", *(f"{side} {unit.name}".strip() for side in ("offline", "live")))
        figures += gallery.figure(
            f"{check}: offline against live",
            points[0][0],
            key_spec(PAGE, points),
            (*head, f"difference {unit_of(points[0][0]).name}".strip(), "rows live"),
            [
                (
                    Cell(of_whom(result)),
                    told(offline, unit),
                    told(live, unit),
                    told(details.observed(result), unit_of(result)),
                    count(live),
                )
                for result, (offline, live) in points
            ],
        )
    return figures


def key_spec(palette: Palette, points: Pairs) -> Spec:
    """Return the plot of offline against live."""
    first = points[0][0]
    unit, allowed = _level(first), first.threshold.get("max_drop")
    rows = []
    for result, (offline, live) in points:
        words = f"{of_whom(result)}: offline {full(offline, unit)}, live {full(live, unit)}"
        row = {"name": of_whom(result), "told": words, "status": result.status}
        rows.append({**row, **place("x", offline, unit), **place("y", live, unit)})
    limit = unit.scaled(allowed) if allowed is not None and unit.hundredths else None
    return charts.offline_live(palette, rows, unit.name, limit)


def _level(result: Result) -> Unit:
    """Return the unit of the two sides whose difference a result is about."""
    unit = unit_of(result)
    if "metric" in result.details:
        return Unit()
    return _PERCENT if unit.hundredths and _LEVELS & set(result.threshold) else unit


def classes(run: Run, gallery: Gallery) -> list[Figure]:
    """Return where each class was and is, in one order and on one axis for all variants."""
    figures = []
    for results in by_check(run.results).values():
        found = {r.case: details.per_class(r.details) for r in results}
        told_of = [result for result in results if found[result.case]]
        if not told_of:
            continue
        order = [group.name for group in found[told_of[0].case]]
        ends = [
            _PERCENT.scaled(x)
            for groups in found.values()
            for g in groups
            for x in _ends(g.offline) + _ends(g.live)
        ]
        axis = Axis("right answers, %", span(ends))
        for result in told_of:
            known = {group.name: group for group in found[result.case]}
            names = [name for name in order if name in known]
            names += [name for name in known if name not in order]
            figures += _classes(result, gallery, [known[name] for name in names], axis)
    return figures


def _ends(point: Point | None) -> list[float]:
    ends = () if point is None else (point.value, point.low, point.high)
    return [end for end in ends if end is not None]


def _classes(result: Result, gallery: Gallery, groups: Sequence[Group], axis: Axis) -> list[Figure]:
    found, note = cut(groups, "classes")
    rows, table = [], []
    for group in found:
        offline, live = group.offline, group.live
        if offline is None or live is None:
            return _drops(result, gallery, found, note, "class")
        words = f"{group.name}: offline {full(offline, _PERCENT)}, live {full(live, _PERCENT)}"
        row = {"name": group.name, "told": words, "from": _PERCENT.scaled(offline.value)}
        rows.append({**row, **place("x", live, _PERCENT)})
        cells = (told(offline, _PERCENT), told(live, _PERCENT), told(group.drop, _POINTS))
        table.append((Cell(group.name), *cells, count(live)))
    return gallery.figure(
        f"{of_whom(result)}: {declared(result)}, right answers by class",
        result,
        charts.dumbbells(PAGE, rows, axis),
        ("class", "offline %", "live %", "drop pp", "rows live"),
        table,
        note,
    )


def slices(result: Result, gallery: Gallery) -> list[Figure]:
    """Return how far each slice dropped."""
    found, note = cut(details.groups(result.details), "slices")
    return _drops(result, gallery, found, note, "slice") if found else []


def _drops(
    result: Result, gallery: Gallery, found: Sequence[Group], note: str, what: str
) -> list[Figure]:
    unit = unit_of(result) if unit_of(result).name else _POINTS
    gap = "behind all other rows" if "max_gap" in result.threshold else "drop"
    # The threshold is that of the slices only where slices are what is judged.
    limit = next(iter(result.threshold.values()), None) if what == "slice" else None
    rows = [
        {
            "name": group.name,
            "told": f"{group.name}: {full(group.drop, unit)}",
            "status": group.status or "",
            **place("x", group.drop, unit),
            **place("b", group.drop, unit),
        }
        for group in found
    ]
    at = None if limit is None else unit.scaled(limit)
    name = "" if limit is None else f"allowed {unit.limit(limit)}"
    table = [
        (Cell(g.name), told(g.drop, unit), count(g.drop), Cell(g.status or NONE)) for g in found
    ]
    return gallery.figure(
        f"{of_whom(result)}: {declared(result)}, {gap} by {what}",
        result,
        charts.against_limit(PAGE, rows, Axis(f"{gap}, {unit.name}"), at, name),
        (what, f"{gap} {unit.name}", "rows", "status"),
        table,
        note,
    )


def over_time(result: Result, gallery: Gallery) -> list[Figure]:
    """Return the windows of a result, the latest where there are many."""
    lines = details.series(result.details)
    if not lines:
        return []
    most, windows = 40, max(len(line) for line in lines.values())
    notes = [f"the last {most} of {windows:,} windows"] if windows > most else []
    if silent := details.silent(result.details):
        some = "window has" if silent == 1 else "windows have"
        notes.append(f"{silent:,} {some} rows and no label")
    note = "; ".join(notes)
    unit, limit = unit_of(result), next(iter(result.threshold.values()), None)
    found = [(name, at, p) for name, line in lines.items() for at, p in line[-most:]]
    names = {name: name or of_whom(result) for name in lines}
    rows = [
        {"side": names[name], "told": f"{at}: {full(p, unit)}", "x": at, **_y(p, unit)}
        for name, at, p in found
    ]
    spec = charts.lines(
        PAGE,
        rows,
        tuple(names.values()),
        None,
        Axis(f"{result.check}, {unit.name}".rstrip(", ")),
        limit=None if limit is None else unit.scaled(limit),
    )
    head: tuple[str, ...] = ("window", "value", "rows")
    table: list[tuple[Cell, ...]] = [(Cell(at), told(p, unit), count(p)) for _, at, p in found]
    if len(lines) > 1:
        head = ("window", "of", *head[1:])
        table = [
            (row[0], Cell(names[name]), *row[1:])
            for row, (name, *_) in zip(table, found, strict=True)
        ]
    title = f"{of_whom(result)}: {declared(result)} over time"
    return gallery.figure(title, result, spec, head, table, note)


_STEPS = {
    "label_shift": "class shares",
    "covariate_shift": "shifted properties",
    "unseen": "unlike offline",
    "rest": "the rest",
}
"""What a step is called where the check calls it so."""


def attribution(result: Result, gallery: Gallery) -> list[Figure]:
    """Return the way from offline to live accuracy, and what each property has in it."""
    found = details.waterfall(result.details)
    if not found:
        return []
    rows, table = [], []
    for step in found:
        name, change = _STEPS.get(step.name, step.name), step.change
        row: dict[str, Any] = {"name": name, "from": _PERCENT.scaled(step.start)}
        row["to"] = _PERCENT.scaled(step.end)
        if change is None:
            said = _PERCENT.full(step.end)
        else:
            said = full(change, _POINTS)
            ends = (
                step.end if end is None else step.start + end for end in (change.low, change.high)
            )
            row |= dict(zip(("x1", "x2"), map(_PERCENT.scaled, ends), strict=True))
        row["status"] = "" if change is None else "failed" if change.value < 0 else "passed"
        rows.append({**row, "told": f"{name}: {said}"})
        table.append(
            (
                Cell(name),
                Cell(_PERCENT.bare(step.end), step.end),
                Cell(NONE) if change is None else told(change, _POINTS),
            )
        )
    figures = gallery.figure(
        f"{of_whom(result)}: {declared(result)}, from offline to live",
        result,
        charts.waterfall(PAGE, rows, Axis("accuracy, %")),
        ("step", "accuracy %", "change pp"),
        table,
    )
    carried = details.parts(result.details)
    if carried and figures:
        by = [(Cell(name), told(part, _POINTS), Cell(said or NONE)) for name, part, said in carried]
        title = f"{of_whom(result)}: {declared(result)}, what each shifted property costs"
        head = ("property", "drop pp", "median offline → live")
        figures.append(Figure(title, declared(result), None, head, tuple(by), drawn=False))
    return figures


def _y(point: Point, unit: Unit) -> dict[str, float]:
    return {
        key: unit.scaled(value)
        for key, value in (("y", point.value), ("y1", point.low), ("y2", point.high))
        if value is not None
    }


def reliability(result: Result, gallery: Gallery) -> list[Figure]:
    """Return how often answers of each confidence are right, offline and live."""
    found = details.reliability(result.details)
    if not found:
        return []
    plain = Unit()
    whole = Axis("confidence", (0, 1), percent=True)
    rows, table = [], []
    for split, bins in found.items():
        for bar in bins:
            words = f"{split}, confidence {bar.confidence:.0%}: {full(bar.accuracy, _PERCENT)}"
            row = {"side": split, "told": words, "x": bar.confidence}
            rows.append(row | _y(bar.accuracy, plain))
            confidence = Cell(_PERCENT.bare(bar.confidence), bar.confidence)
            table.append(
                (Cell(split), confidence, told(bar.accuracy, _PERCENT), count(bar.accuracy))
            )
    spec = charts.lines(
        PAGE,
        rows,
        tuple(found),
        whole,
        Axis("right answers", (0, 1), percent=True),
        diagonal=True,
        colours=(PAGE.first, PAGE.second, *PAGE.several),
    )
    title = f"{of_whom(result)}: confidence and right answers"
    return gallery.figure(title, result, spec, ("split", "confidence %", "right %", "rows"), table)


def confusion(result: Result, gallery: Gallery) -> list[Figure]:
    """Return which classes are taken for which more often live than offline."""
    found = details.confusions(result.details)
    names = list(dict.fromkeys(name for c in found for name in (c.label, c.predicted)))
    if not found:
        return []
    largest = max(abs(c.live - c.offline) for c in found) or 1.0
    rows, table = [], []
    for cell in found:
        change = cell.live - cell.offline
        sides = f"offline {_PERCENT.full(cell.offline)}, live {_PERCENT.full(cell.live)}"
        rows.append(
            {
                "label": cell.label,
                "predicted": cell.predicted,
                "told": f"{cell.label} called {cell.predicted}: {sides}",
                "more": "more live" if change > 0 else "less live",
                "size": abs(change) / largest,
                "on": "dark" if abs(change) > 0.5 * largest else "light",
                "text": f"{100 * change:+.0f}" if abs(change) >= 0.05 else "",
            }
        )
        shares = (Cell(_PERCENT.bare(x), x) for x in (cell.offline, cell.live))
        table.append((Cell(cell.label), Cell(cell.predicted), *shares))
    shown, note = cut(table, "pairs of classes, the largest changes first")
    most = 24
    if len(names) > most:
        kept = set(names[:most])
        rows = [row for row in rows if {row["label"], row["predicted"]} <= kept]
        names = names[:most]
    order = details.order(result.details) or sorted(names)
    return gallery.figure(
        f"{of_whom(result)}: {declared(result)}, change of confusions in pp",
        result,
        charts.confusion(PAGE, rows, [name for name in order if name in names]),
        ("is", "called", "offline %", "live %"),
        shown,
        note,
    )
