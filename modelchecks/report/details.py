"""What the page can draw: the shapes of a result's `details` that it knows, in this one place.

A check that has more to show than one estimate puts it into `Outcome.details`, under these keys.
Numbers are as measured (a share is 0.152, not 15.2), names are any text, a POINT is
`{"value", "low", "high", "n"}` of which only `value` must be there (`asdict(Estimate)` is one).

    unit             text      how the case's numbers are written: "pp" and "%" are times 100, any
                               other text follows the number ("ms"); without it by the threshold
    splits           {"reference": name, "current": name}  what the two sides of a drift check are
    offline, live    POINT     one point of the plot of offline against live
    effects          {name: POINT}                 several effects, each against the threshold
    per_class        [{"name", "n", "drop", "low", "high", "offline": POINT, "live": POINT}]
    groups           [{"name", "n", "drop", "low", "high", "status"}], or as `slices`:
                     {name: {"drop": POINT, "status"}}
    reliability      {"offline": BINS, "live": BINS}, or BINS inside `offline` and `live`, where
                     BINS is [{"confidence", "accuracy", "n", "low", "high"}]
    shares           {class: {"reference": share, "current": share}}
    distributions    {property: {"edges": [k + 1 numbers], "reference": [k shares], "current": …}}
    confusions       [{"label", "predicted", "offline": share, "live": share}]  of a label's rows
    classes          [name, …]     the order in which the confusions' classes stand
    series           [{"at": text, "value", "low", "high", "n"}]   windows in time, in order
    curves           {perturbation: [{"severity", "value", "low", "high", "n"}]}
    embedding        {"reference": [[x, y], …], "current": [[x, y], …]}
    images           [{"caption", "png": base64}]                  rows that the variant loses
    counterexamples  [{"caption", "before": base64, "after": base64, "parameters": {…}}]
    traceback        text

What does not have its shape is not drawn and no error: it stands in run.json. Readers here return
what can be drawn, in the order recorded.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelchecks.results import Result

DRAWN = frozenset(
    {
        *("unit", "splits", "offline", "live", "effects", "per_class", "groups", "slices"),
        *("reliability", "shares", "distributions", "confusions", "classes", "series", "curves"),
        *("embedding", "images", "counterexamples", "traceback"),
    }
)
"""The keys that have a place of their own on the page."""

Details = Mapping[str, Any]
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Point:
    """A number with what is known of its uncertainty."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A class or slice: how far it dropped, and from where to where."""

    name: str
    drop: Point
    status: str | None = None
    offline: Point | None = None
    live: Point | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram."""

    confidence: float
    accuracy: Point


@dataclass(frozen=True, slots=True)
class Shares:
    """A class's share, or a bin's, in two splits."""

    name: str
    reference: float
    current: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """A property's histogram in two splits: (left, right, reference share, current share)."""

    name: str
    bins: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often rows of one class were called another, offline and live."""

    label: str
    predicted: str
    offline: float
    live: float


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in base64, checked to be a PNG, with its caption and, perhaps, its original."""

    caption: str
    png: str
    before: str | None = None


def point(value: Any) -> Point | None:
    """Return an estimate, or anything with a `value`, as a point."""
    if not isinstance(value, Mapping):
        return None
    found = number(value.get("value"))
    if found is None:
        return None
    n = value.get("n")
    count = n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else None
    return Point(found, number(value.get("low")), number(value.get("high")), count)


def observed(result: Result) -> Point | None:
    """Return a result's estimate as a point."""
    found = result.estimate
    return None if found is None else Point(found.value, found.low, found.high, found.n)


def number(value: Any) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def pair(details: Details) -> tuple[Point, Point] | None:
    """Return (offline, live)."""
    offline, live = point(details.get("offline")), point(details.get("live"))
    return None if offline is None or live is None else (offline, live)


def sides(details: Details) -> tuple[str, str]:
    """Return what the two sides of a comparison are called."""
    names = dict(_items(details, "splits"))
    before, after = (str(names.get(side, side)) for side in ("reference", "current"))
    return (before, after) if before != after else ("reference", "current")


def effects(details: Details) -> dict[str, Point]:
    """Return the effects by name."""
    return {str(name): p for name, v in _items(details, "effects") if (p := point(v)) is not None}


def per_class(details: Details) -> list[Group]:
    """Return the classes."""
    return [group for row in _rows(details.get("per_class")) if (group := _group(row))]


def groups(details: Details) -> list[Group]:
    """Return the slices, in either of their shapes."""
    found = [group for row in _rows(details.get("groups")) if (group := _group(row))]
    for name, row in _items(details, "slices"):
        drop = point(row.get("drop")) if isinstance(row, Mapping) else None
        if drop is not None:
            found.append(Group(str(name), drop, _status(row)))
    return found


def _group(row: Details) -> Group | None:
    drop = point({**row, "value": row.get("drop")})
    if drop is None or "name" not in row:
        return None
    offline, live = point(row.get("offline")), point(row.get("live"))
    return Group(str(row["name"]), drop, _status(row), offline, live)


def _status(row: Details) -> str | None:
    status = row.get("status")
    return status if isinstance(status, str) else None


def reliability(details: Details) -> dict[str, list[Bin]]:
    """Return the bins by split."""
    told = details.get("reliability")
    sides = dict(told) if isinstance(told, Mapping) else {}
    for split in ("offline", "live"):
        side = details.get(split)
        if isinstance(side, Mapping) and "reliability" in side:
            sides.setdefault(split, side["reliability"])
    found = {}
    for split, rows in sides.items():
        bins = []
        for row in _rows(rows):
            confidence = number(row.get("confidence"))
            accuracy = point({**row, "value": row.get("accuracy")})
            if confidence is not None and accuracy is not None:
                bins.append(Bin(confidence, accuracy))
        if bins:
            found[str(split)] = bins
    return found


def shares(details: Details) -> list[Shares]:
    """Return the classes' shares."""
    found = []
    for name, row in _items(details, "shares"):
        if isinstance(row, Mapping):
            before, after = number(row.get("reference")), number(row.get("current"))
            if before is not None and after is not None:
                found.append(Shares(str(name), before, after))
    return found


def distributions(details: Details) -> list[Distribution]:
    """Return the histograms."""
    found = []
    for name, row in _items(details, "distributions"):
        if not isinstance(row, Mapping):
            continue
        edges, before, after = (_numbers(row.get(k)) for k in ("edges", "reference", "current"))
        if before and len(edges) == len(before) + 1 == len(after) + 1:
            bins = tuple(zip(edges, edges[1:], before, after, strict=False))
            found.append(Distribution(str(name), bins))
    return found


def confusions(details: Details) -> list[Confusion]:
    """Return the cells of the confusion matrices."""
    found = []
    for row in _rows(details.get("confusions")):
        before, after = number(row.get("offline")), number(row.get("live"))
        if before is not None and after is not None and {"label", "predicted"} <= set(row):
            found.append(Confusion(str(row["label"]), str(row["predicted"]), before, after))
    return found


def order(details: Details) -> list[str]:
    """Return the classes in the order in which they are to stand, if it is recorded."""
    found = details.get("classes")
    return [str(name) for name in found or ()] if _is_list(found) else []


def series(details: Details) -> list[tuple[str, Point]]:
    """Return the windows as (when, value)."""
    return [
        (str(row.get("at", place)), p)
        for place, row in enumerate(_rows(details.get("series")), start=1)
        if (p := point(row)) is not None
    ]


def curves(details: Details) -> dict[str, list[tuple[float, Point]]]:
    """Return for each perturbation (severity, value)."""
    found = {}
    for name, rows in _items(details, "curves"):
        line = []
        for row in _rows(rows):
            severity, value = number(row.get("severity")), point(row)
            if severity is not None and value is not None:
                line.append((severity, value))
        if line:
            found[str(name)] = line
    return found


def embedding(details: Details) -> dict[str, list[tuple[float, float]]]:
    """Return the points by split."""
    found = {}
    for split, rows in _items(details, "embedding"):
        pairs = [_numbers(row) for row in rows] if _is_list(rows) else []
        places = [(place[0], place[1]) for place in pairs if len(place) == 2]
        if places:
            found[str(split)] = places
    return found


def images(details: Details) -> list[Image]:
    """Return the images that are really PNG."""
    return [
        Image(str(row.get("caption", "")), png)
        for row in _rows(details.get("images"))
        if (png := _png(row.get("png"))) is not None
    ]


def counterexamples(details: Details) -> list[Image]:
    """Return the smallest inputs that a search found, with their originals."""
    found = []
    for row in _rows(details.get("counterexamples")):
        png = _png(row.get("after", row.get("png")))
        if png is not None:
            told = [str(row.get("caption", ""))]
            told += [f"{name} {value}" for name, value in _items(row, "parameters")]
            caption = ", ".join(filter(None, told))
            found.append(Image(caption, png, _png(row.get("before"))))
    return found


def _png(text: Any) -> str | None:
    """Return base64 that is a PNG and nothing else, ready for a data address."""
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None
    return base64.b64encode(data).decode("ascii") if data.startswith(_PNG) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _rows(value: Any) -> Iterator[Details]:
    if _is_list(value):
        yield from (row for row in value if isinstance(row, Mapping))


def _items(details: Details, key: str) -> list[tuple[Any, Any]]:
    found = details.get(key)
    return list(found.items()) if isinstance(found, Mapping) else []


def _numbers(value: Any) -> list[float]:
    """Return a list of numbers; empty if any is none."""
    found = [number(item) for item in value] if _is_list(value) else []
    return [] if None in found else [item for item in found if item is not None]
