"""What all pictures share, as parts of Vega-Lite specifications: colours, axes, marks.

Every picture is 340 units wide: it fits a telephone as it is, and several stand in a row elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 340
ROW = 20
"""Height of a row that carries a name."""
DASH = [4, 3]
NO_LIMIT, SURELY_FITS = 0, 13
"""Labels of so few characters cannot reach a limit, and each limit has every text measured once
more, which took a seventh of the time of a picture."""
Spec = dict[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a picture; `several` tells variants apart."""

    ink: str
    paper: str
    muted: str
    line: str
    passed: str
    failed: str
    open: str
    first: str
    second: str
    several: tuple[str, ...]

    def of(self, status: str) -> str:
        """Return the colour of a status or verdict; of none, a neutral one."""
        if not status:
            return self.first
        if status in ("passed", "approved"):
            return self.passed
        return self.failed if status in ("failed", "blocked") else self.open


PAGE = Palette(
    ink="var(--ink)",
    paper="var(--paper)",
    muted="var(--muted)",
    line="var(--line)",
    passed="var(--good)",
    failed="var(--bad)",
    open="var(--open)",
    first="var(--first)",
    second="var(--second)",
    several=tuple(f"var(--v{number})" for number in range(1, 7)),
)
"""Colours that follow the page, light or dark."""
PAPER = Palette(
    ink="#1b1f24",
    paper="#ffffff",
    muted="#57606a",
    line="#d5d9df",
    passed="#1a7f37",
    failed="#c0262d",
    open="#8a5a00",
    first="#3060b8",
    second="#b45309",
    several=("#3060b8", "#b45309", "#0f766e", "#9333ea", "#be185d", "#4d7c0f"),
)
"""Fixed colours on white, for a file of its own."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis counts and from where to where."""

    title: str
    domain: tuple[float, float] | None = None
    percent: bool = False
    """Whether its numbers are shares, to be written as percent."""

    def json(self, **more: Any) -> Spec:
        """Return the axis and its scale."""
        scale: Spec = {"zero": False, "nice": self.domain is None}
        if self.domain is not None:
            scale["domain"] = list(self.domain)
        axis: Spec = {"title": self.title, "tickCount": 5, "labelLimit": NO_LIMIT, **more}
        if self.percent:
            axis["format"] = "~%"
        return {"axis": axis, "scale": scale}


def span(values: Iterable[float], pad: float = 0.08) -> tuple[float, float]:
    """Return an axis that holds all values, with some room on both sides."""
    seen = list(values) or [0.0]
    low, high = min(seen), max(seen)
    room = pad * (high - low) or abs(high) * pad or 1.0
    return low - room, high + room


LEGEND = {"orient": "top", "title": None, "symbolOpacity": 1}
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def given(value: float | None) -> list[float]:
    """Return what is there of a value."""
    return [] if value is None else [value]


def at(field: str, axis: Axis | Spec | None = None) -> Spec:
    """Return a place on a scale; a second field of one axis takes over the first one's."""
    more = axis.json() if isinstance(axis, Axis) else dict(axis or {})
    return {**more, "field": field, "type": "quantitative"}


def by_name(rows: Sequence[Row]) -> Spec:
    """Return a row per name, in the order of the rows."""
    order = list(dict.fromkeys(str(row["name"]) for row in rows))
    axis = {"title": None, "grid": False, "ticks": False, "domain": False, "labelPadding": 6}
    axis |= _limit(order)
    return {"field": "name", "type": "nominal", "sort": order, "axis": axis}


def _limit(names: Iterable[str]) -> Spec:
    """Return that names need no limit, where they do not; nothing where they may."""
    return {"labelLimit": NO_LIMIT} if all(len(name) <= SURELY_FITS for name in names) else {}


def by_status(palette: Palette, rows: Sequence[Row]) -> Spec:
    """Return the colour of each row's status."""
    seen = list(dict.fromkeys(str(row["status"]) for row in rows))
    scale = {"domain": seen, "range": [palette.of(status) for status in seen]}
    return {"field": "status", "type": "nominal", "scale": scale, "legend": None}


def by_side(palette: Palette, names: tuple[str, str]) -> Spec:
    """Return the colours of two sides, with a legend."""
    scale = {"domain": list(names), "range": [palette.first, palette.second]}
    return {"field": "side", "type": "nominal", "scale": scale, "legend": LEGEND | _limit(names)}


def by_shape(names: Sequence[str]) -> Spec:
    """Return a shape per side, so that nothing is told by colour alone."""
    scale = {"domain": list(names), "range": list(SHAPES)}
    return {"field": "side", "type": "nominal", "scale": scale, "legend": None}


def points(palette: Palette, rows: Sequence[Row], x: Spec, y: Spec, size: int) -> list[Spec]:
    """Return the layer of the values themselves; each says its numbers when pointed at."""
    mark = {"type": "point", "filled": True, "opacity": 1, "size": size, "aria": True}
    colour, told = by_status(palette, rows), {"field": "told"}
    encoding = {"x": x, "y": y, "color": colour, "description": told}
    return [{"data": {"values": list(rows)}, "mark": mark, "encoding": encoding}]


def line(ends: Sequence[Row], x: Spec, y: Spec, colour: str, **mark: Any) -> Spec:
    """Return the layer of a line through some places, cut at the edge."""
    drawn = {"type": "line", "color": colour, "strokeWidth": 1, "clip": True, **mark}
    return {"data": {"values": list(ends)}, "mark": drawn, "encoding": {"x": x, "y": y}}


def note(at: Sequence[Row], x: Spec, y: Spec, text: str, colour: str) -> Spec:
    """Return the layer of a word left of a place."""
    mark = {"type": "text", "text": text, "align": "right", "dx": -4, "dy": -7, "color": colour}
    return {"data": {"values": list(at)}, "mark": mark, "encoding": {"x": x, "y": y}}


def spec(palette: Palette, layers: list[Spec], height: int, rows: Sequence[Row] = ()) -> Spec:
    """Return the whole specification."""
    text = {"labelColor": palette.muted, "titleColor": palette.muted, "labelFontSize": 11}
    text |= {"titleFontSize": 11}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": WIDTH,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": "transparent",
        # Room at the left for a font that is wider than the one it was measured with.
        "padding": {"left": 10, "right": 4, "top": 2, "bottom": 2},
        "data": {"values": list(rows)},
        "layer": [layer for layer in layers if layer.get("data", {}).get("values", [1])],
        "config": {
            "aria": False,
            "font": "sans-serif",
            "view": {"stroke": None},
            "axis": {
                **text,
                "titleFontWeight": "normal",
                "gridColor": palette.line,
                "domainColor": palette.line,
                "tickColor": palette.line,
                "labelLimit": 150,
            },
            "legend": {**text, "labelLimit": 160, "columnPadding": 24},
            "text": {"fontSize": 11},
        },
    }
