"""Pictures as Vega-Lite specifications: rows in, a dictionary out; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Sequence

from modelchecks.report.figures import grammar as g
from modelchecks.report.figures.grammar import DASH, LEGEND, ROW, Axis, Palette, Row, Spec, at, span


def offline_live(
    palette: Palette, rows: Sequence[Row], unit: str, allowed: float | None, size: int = 300
) -> Spec:
    """Return live against offline, with the line where nothing is lost and the limit below it.

    `rows` have name, told, status, x, x1, x2, y, y1, y2.
    """
    left, right = span(row[key] for row in rows for key in ("x", "x1", "x2"))
    xs = left, right + (right - left) * max(len(row["name"]) for row in rows) / 60
    ys = span([*(row[key] for row in rows for key in ("y", "y1", "y2")), *xs], 0.07)
    diagonal = [{"x": x, "y": x} for x in xs]
    limit = [] if allowed is None else [{"x": x, "y": x - allowed} for x in xs]
    x, y = (
        at(axis, Axis(", ".join(filter(None, [side, unit])), ends))
        for axis, side, ends in (("x", "offline", xs), ("y", "live", ys))
    )
    # Each name stands right of a thin line up from its point, the leftmost highest: no two meet.
    step = 15 / size * (ys[1] - ys[0])
    top = max(row["y2"] for row in rows)
    from_right = sorted(rows, key=lambda row: -row["x"])
    names = [{**row, "up": top + step * place} for place, row in enumerate(from_right, start=1)]
    told = {"x": x, "y": {**y, "field": "up"}, "text": {"field": "name"}}
    layers = [
        g.line(diagonal, x, y, palette.muted),
        g.line(limit, x, y, palette.failed, strokeDash=DASH),
        g.note(diagonal[1:], x, y, "nothing lost", palette.muted),
        g.note(limit[1:], x, y, f"{allowed:.6g} pp lost" if limit else "", palette.failed),
        *[
            {
                "data": {"values": [row]},
                "mark": {"type": "rule", "strokeWidth": 1.5, "color": palette.of(row["status"])},
                "encoding": {"x": x if far == "y" else at(f"{far}1"), "y": y, **ends},
            }
            for row in rows
            for far, ends in (
                ("x", {"x": at("x1"), "x2": {"field": "x2"}}),
                ("y", {"y": at("y1"), "y2": {"field": "y2"}}),
            )
        ],
        *g.points(palette, rows, x, y, 70),
    ]
    leader = {"type": "rule", "color": palette.muted, "strokeWidth": 0.75}
    name = {"type": "text", "align": "left", "dx": 3, "fontWeight": 600, "color": palette.ink}
    layers += [
        {
            "data": {"values": names},
            "mark": leader,
            "encoding": {"x": x, "y": y, "y2": {"field": "up"}},
        },
        {"data": {"values": names}, "mark": name, "encoding": told},
    ]
    return g.spec(palette, layers, size)


def against_limit(
    palette: Palette, rows: Sequence[Row], axis: Axis, limit: float | None, limit_name: str
) -> Spec:
    """Return a row per name: value, interval, and thick the decision bounds, against the limit.

    `rows` have name, told, status, x, x1, x2, b1, b2.
    """
    keys = ("x", "x1", "x2", "b1", "b2")
    domain = axis.domain or span([*(row[k] for row in rows for k in keys), *g.given(limit)])
    x, y = at("x", Axis(axis.title, domain)), g.by_name(rows)
    layers: list[Spec] = []
    if limit is not None:
        mark = {"type": "rule", "color": palette.failed, "strokeDash": DASH, "strokeWidth": 1.5}
        layers.append(
            {"data": {"values": [{"x": limit}]}, "mark": mark, "encoding": {"x": at("x", x)}}
        )
        right = limit > sum(domain) / 2
        text = {"type": "text", "y": -7, "text": limit_name, "color": palette.failed}
        text |= {"align": "right" if right else "left", "dx": 2 if right else -2}
        layers.append(
            {"data": {"values": [{"x": limit}]}, "mark": text, "encoding": {"x": at("x", x)}}
        )
    for first, last, width in (("x1", "x2", 1.5), ("b1", "b2", 4)):
        layers.append(
            {
                "mark": {"type": "rule", "strokeWidth": width},
                "encoding": {
                    "x": {**x, "field": first},
                    "x2": {"field": last},
                    "y": y,
                    "color": g.by_status(palette, rows),
                },
            }
        )
    layers.extend(g.points(palette, rows, x, y, 60))
    return g.spec(palette, layers, ROW * len(rows) + 40, rows)


def dumbbells(palette: Palette, rows: Sequence[Row], axis: Axis) -> Spec:
    """Return a row per class: hollow where it was offline, full where it is live.

    `rows` have name, told, x (live), x1, x2, from.
    """
    keys = ("x", "x1", "x2", "from")
    x, y = at("x", Axis(axis.title, axis.domain or span(row[k] for row in rows for k in keys))), {}
    y = g.by_name(rows)
    told = {"description": {"field": "told"}}
    layers: list[Spec] = [
        {
            "mark": {"type": "rule", "color": palette.line, "strokeWidth": 3},
            "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "x"}, "y": y},
        },
        {
            "mark": {"type": "rule", "color": palette.second, "strokeWidth": 1.5},
            "encoding": {"x": {**x, "field": "x1"}, "x2": {"field": "x2"}, "y": y},
        },
        {
            "mark": {"type": "point", "color": palette.first, "size": 40, "strokeWidth": 1.5},
            "encoding": {"x": {**x, "field": "from"}, "y": y},
        },
        {
            "mark": {
                "type": "point",
                "filled": True,
                "color": palette.second,
                "size": 45,
                "opacity": 1,
                "aria": True,
            },
            "encoding": {"x": x, "y": y, **told},
        },
    ]
    return g.spec(palette, layers, ROW * len(rows) + 40, rows)


def bars(palette: Palette, rows: Sequence[Row], names: tuple[str, str], axis: Axis) -> Spec:
    """Return two bars per class; `rows` have name, told, side (one of `names`), x."""
    y, x = g.by_name(rows), {"field": "x", "type": "quantitative", **axis.json()}
    x["scale"] = {"zero": True}
    layer = {
        "mark": {"type": "bar", "aria": True},
        "encoding": {
            "x": x,
            "y": {**y, "scale": {"paddingInner": 0.25}},
            "yOffset": {"field": "side", "sort": list(names)},
            "color": g.by_side(palette, names),
            "description": {"field": "told"},
        },
    }
    count = len({row["name"] for row in rows})
    return g.spec(palette, [layer], (ROW + 4) * count + 40, rows)


def overlay(palette: Palette, rows: Sequence[Row], names: tuple[str, str], title: str) -> Spec:
    """Return two histograms over each other; `rows` have side, x (left edge of a bin), y."""
    layer = {
        "mark": {
            "type": "area",
            "interpolate": "step-after",
            "line": {"strokeWidth": 1.5},
            "fillOpacity": 0.25,
        },
        "encoding": {
            "x": at("x", Axis(title)) | {"scale": {"zero": False, "nice": False}},
            "y": {
                "field": "y",
                "type": "quantitative",
                "stack": None,
                "axis": {"title": "share of rows", "format": "~%", "tickCount": 4},
            },
            "color": g.by_side(palette, names),
        },
    }
    return g.spec(palette, [layer], 160, rows)


def lines(
    palette: Palette,
    rows: Sequence[Row],
    names: Sequence[str],
    x_axis: Axis | None,
    y_axis: Axis,
    *,
    diagonal: bool = False,
    limit: float | None = None,
    colours: Sequence[str] | None = None,
) -> Spec:
    """Return lines with intervals; `rows` have side (one of `names`), told, x, y, y1, y2.

    Without an `x_axis` the x are texts, in the order given.
    """
    if x_axis is None:
        order = list(dict.fromkeys(str(row["x"]) for row in rows))
        x: Spec = {"field": "x", "type": "ordinal", "sort": order}
        x["axis"] = {"title": None, "labelAngle": -40, "labelLimit": 90, "labelOverlap": True}
    else:
        x = at("x", x_axis)
    values = [v for row in rows for k in ("y", "y1", "y2") if (v := row.get(k)) is not None]
    domain = y_axis.domain or span([*values, *g.given(limit)])
    y = at("y", Axis(y_axis.title, domain, y_axis.percent))
    colour = {
        "field": "side",
        "type": "nominal",
        "scale": {"domain": list(names), "range": list(colours or palette.several)},
        "legend": LEGEND if len(names) > 1 else None,
    }
    layers: list[Spec] = []
    if diagonal and x_axis is not None and x_axis.domain:
        ends = [{"x": end, "y": end} for end in x_axis.domain]
        layers.append(g.line(ends, x, y, palette.muted))
    if limit is not None:
        mark = {"type": "rule", "color": palette.failed, "strokeDash": DASH, "strokeWidth": 1.5}
        layers.append(
            {"data": {"values": [{"y": limit}]}, "mark": mark, "encoding": {"y": at("y", y)}}
        )
    told = {"description": {"field": "told"}}
    layers += [
        {
            "transform": [{"filter": "isValid(datum.y1) && isValid(datum.y2)"}],
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": {
                "x": x,
                "y": {**y, "field": "y1"},
                "y2": {"field": "y2"},
                "color": colour,
            },
        },
        {
            "mark": {"type": "line", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y, "color": colour},
        },
        {
            "mark": {"type": "point", "filled": True, "opacity": 1, "size": 30, "aria": True},
            "encoding": {"x": x, "y": y, "color": colour, "shape": g.by_shape(names), **told},
        },
    ]
    return g.spec(palette, layers, 260 if diagonal else 190, rows)


def scatter(palette: Palette, rows: Sequence[Row], names: tuple[str, str]) -> Spec:
    """Return a map of points; `rows` have side, x, y. The axes of a projection have no unit."""
    bare = {"labels": False, "ticks": False, "title": None, "grid": False}
    layer = {
        "mark": {"type": "point", "filled": True, "size": 14, "fillOpacity": 0.55, "opacity": 1},
        "encoding": {
            "x": at("x", Axis("")) | {"axis": bare},
            "y": at("y", Axis("")) | {"axis": bare},
            "color": g.by_side(palette, names),
            "shape": {**g.by_shape(names), "legend": None},
        },
    }
    return g.spec(palette, [layer], 260, rows)


def confusion(palette: Palette, rows: Sequence[Row], names: Sequence[str]) -> Spec:
    """Return a square per pair of classes; `rows` have label, predicted, told, text and on
    what it stands (dark, light), more (live or less) and size (0 to 1)."""
    side = {"type": "nominal", "sort": list(names), "scale": {"domain": list(names)}}
    x = {**side, "field": "predicted", "axis": {"title": "called", "labelAngle": -40}}
    y = {**side, "field": "label", "axis": {"title": "is"}}
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "aria": True},
            "encoding": {
                "x": x,
                "y": y,
                "color": {
                    "field": "more",
                    "type": "nominal",
                    "scale": {
                        "domain": ["more live", "less live"],
                        "range": [palette.second, palette.first],
                    },
                    "legend": LEGEND,
                },
                "opacity": {
                    "field": "size",
                    "type": "quantitative",
                    "scale": {"domain": [0, 1], "range": [0, 1]},
                    "legend": None,
                },
                "description": {"field": "told"},
            },
        },
        {
            "transform": [{"filter": "datum.text != ''"}],
            "mark": {"type": "text", "fontSize": 9},
            "encoding": {
                "x": x,
                "y": y,
                "text": {"field": "text"},
                "color": {
                    "field": "on",
                    "type": "nominal",
                    "scale": {"domain": ["dark", "light"], "range": [palette.paper, palette.ink]},
                    "legend": None,
                },
            },
        },
    ]
    return {**g.spec(palette, layers, 340, rows), "resolve": {"scale": {"color": "independent"}}}
