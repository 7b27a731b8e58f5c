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
    features         {property: {"shape": one of `distributions`, or the same with "categories"
                     [k names] in place of edges}}; `shape` alone is that of the whole case
    confusions       [{"label", "predicted", "offline": share, "live": share}]  of a label's rows
    classes          [name, …]     the order in which the confusions' classes stand
    gaps             as `effects`
    series           [{"at": text, "value", "low", "high", "n"}]   windows in time, in order, or
                     [{"window": text, "drop": POINT or None}], or several lines as
                     [{"window": text, "rows": n, "distances": {name: [value, low, high, …]}}]
    waterfall        [{"step": "offline", "accuracy"}, {"step", "from", "to", "change", "low",
                     "high"}, …, {"step": "live", "accuracy"}]   what a drop is made of
    curves           {perturbation: [{"severity", "value", "low", "high", "n"}]}, or the POINT of
                     each row as "accuracy"
    curve            [{"eps", "accuracy": POINT}]                  under a stronger attack
    embedding        {"reference": [[x, y], …], "current": [[x, y], …]}
    images           [{"caption", "png": base64}]                  rows that the case is about;
                     "ID before: …" followed by "ID after: …" are one counter-example
    pictures         [{"caption", "picture": data address of a PNG}]   the same
    counterexamples  [{"caption", "before": base64, "after": base64, "parameters": {…}}]
    traceback        text

What does not have its shape is not drawn and no error: it stands in run.json. Readers here return
what can be drawn, in the order recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelchecks.report.shapes import (
    Details,
    Point,
    floats,
    is_list,
    is_map,
    mappings,
    members,
    number,
    point,
)
from modelchecks.results import Result

DRAWN = frozenset(
    {
        *("unit", "splits", "offline", "live", "effects", "per_class", "groups", "slices"),
        *("reliability", "shares", "distributions", "confusions", "classes", "series", "curves"),
        *("embedding", "images", "pictures", "counterexamples", "traceback"),
        *("waterfall", "curve", "features", "shape", "gaps"),
    }
)
"""The keys that have a place of their own on the page."""

ATTACK = "eps of the attack"
"""What the curve of an attack is drawn over."""


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
class Step:
    """A part of the way from offline to live accuracy: where it begins and ends, as shares."""

    name: str
    start: float
    end: float
    change: Point | None
    """None for the two ends of the way, which start and end there."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often rows of one class were called another, offline and live."""

    label: str
    predicted: str
    offline: float
    live: float


def observed(result: Result) -> Point | None:
    """Return a result's estimate as a point."""
    found = result.estimate
    return None if found is None else Point(found.value, found.low, found.high, found.n)


def pair(details: Details) -> tuple[Point, Point] | None:
    """Return (offline, live)."""
    offline, live = point(details.get("offline")), point(details.get("live"))
    return None if offline is None or live is None else (offline, live)


def sides(details: Details) -> tuple[str, str]:
    """Return what the two sides of a comparison are called."""
    names = dict(members(details, "splits"))
    before, after = (str(names.get(side, side)) for side in ("reference", "current"))
    return (before, after) if before != after else ("reference", "current")


def effects(details: Details) -> dict[str, Point]:
    """Return the effects by name."""
    told = recorded(details).items()
    return {name: p for name, value in told if (p := point(value)) is not None}


def recorded(details: Details) -> dict[str, Any]:
    """Return the effects as they were recorded."""
    told = [*members(details, "effects"), *members(details, "gaps")]
    return {str(name): value for name, value in told}


def per_class(details: Details) -> list[Group]:
    """Return the classes."""
    return [group for row in mappings(details.get("per_class")) if (group := _group(row))]


def groups(details: Details) -> list[Group]:
    """Return the slices, in either of their shapes."""
    found = [group for row in mappings(details.get("groups")) if (group := _group(row))]
    for name, row in members(details, "slices"):
        drop = point(row.get("drop", row)) if isinstance(row, Mapping) else None
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
        for row in mappings(rows):
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
    for name, row in members(details, "shares"):
        if isinstance(row, Mapping):
            before, after = number(row.get("reference")), number(row.get("current"))
            if before is not None and after is not None:
                found.append(Shares(str(name), before, after))
    return found


def distributions(details: Details) -> list[Distribution]:
    """Return the histograms, one of each property."""
    found: dict[str, Distribution] = {}
    for name, row in [*members(details, "distributions"), *_shapes(details)]:
        if not isinstance(row, Mapping):
            continue
        edges, before, after = (floats(row.get(k)) for k in ("edges", "reference", "current"))
        if before and len(edges) == len(before) + 1 == len(after) + 1:
            bins = tuple(zip(edges, edges[1:], before, after, strict=False))
            found.setdefault(str(name), Distribution(str(name), bins))
    return list(found.values())


def categories(details: Details) -> dict[str, list[Shares]]:
    """Return the shares of the values of each property that has only some."""
    found = {}
    for name, row in _shapes(details):
        named: Any = row.get("categories") if isinstance(row, Mapping) else None
        before, after = (floats(row.get(k)) if named else [] for k in ("reference", "current"))
        if is_list(named) and before and len(named) == len(before) == len(after):
            rows = zip(named, before, after, strict=True)
            found[name] = [Shares(str(value), *shares) for value, *shares in rows]
    return found


def _shapes(details: Details) -> list[tuple[str, Any]]:
    """Return what each property, and the case as a whole, looks like on both sides."""
    told = [(str(n), v.get("shape")) for n, v in members(details, "features") if is_map(v)]
    return [*told, ("value", details["shape"])] if "shape" in details else told


def waterfall(details: Details) -> list[Step]:
    """Return the way from offline to live accuracy, nothing if any step of it is not whole."""
    found = []
    for row in mappings(details.get("waterfall")):
        level, name = number(row.get("accuracy")), str(row.get("step", ""))
        start, end = (number(row.get(key)) for key in ("from", "to"))
        change = point({**row, "value": row.get("change")})
        if level is not None:
            found.append(Step(name, level, level, None))
        elif start is not None and end is not None and change is not None:
            found.append(Step(name, start, end, change))
        else:
            return []
    return found


def parts(details: Details) -> list[tuple[str, Point, str]]:
    """Return the part that each property has in a drop, and its medians on both sides."""
    found = []
    for name, row in members(details, "features"):
        part = point(row)
        if part is not None:
            medians = floats(row.get("median"))
            said = " → ".join(f"{median:.4g}" for median in medians)
            found.append((str(name), part, said))
    return found


def confusions(details: Details) -> list[Confusion]:
    """Return the cells of the confusion matrices."""
    found = []
    for row in mappings(details.get("confusions")):
        before, after = number(row.get("offline")), number(row.get("live"))
        if before is not None and after is not None and {"label", "predicted"} <= set(row):
            found.append(Confusion(str(row["label"]), str(row["predicted"]), before, after))
    return found


def order(details: Details) -> list[str]:
    """Return the classes in the order in which they are to stand, if it is recorded."""
    found = details.get("classes")
    return [str(name) for name in found or ()] if is_list(found) else []


def series(details: Details) -> dict[str, list[tuple[str, Point]]]:
    """Return the windows as (when, value) of each line; a line alone has no name."""
    found: dict[str, list[tuple[str, Point]]] = {}
    for place, row in enumerate(mappings(details.get("series")), start=1):
        at = str(row.get("at", row.get("window", place)))
        lines = {"": point(row.get("drop")) if "drop" in row else point(row)}
        for name, told in members(row, "distances"):
            # The bounds that decide follow the interval.
            numbers = told if is_list(told) else ()
            named = dict(zip(("value", "low", "high"), numbers, strict=False))
            lines[str(name)] = point({**named, "n": row.get("rows")})
        for name, p in lines.items():
            if p is not None:
                found.setdefault(name, []).append((at, p))
    return found


def silent(details: Details) -> int:
    """Return how many windows have rows of which none has a label."""
    told = list(mappings(details.get("series")))
    return sum(row.get("labels") == 0 and (number(row.get("rows")) or 0) > 0 for row in told)


def curves(details: Details) -> dict[str, list[tuple[float, Point]]]:
    """Return for each perturbation (severity, value)."""
    found = {}
    for name, rows in [*members(details, "curves"), (ATTACK, details.get("curve"))]:
        line = []
        for row in mappings(rows):
            severity = number(row.get("severity", row.get("eps")))
            value = point(row.get("accuracy", row))
            if severity is not None and value is not None:
                line.append((severity, value))
        if line:
            found[str(name)] = line
    return found


def embedding(details: Details) -> dict[str, list[tuple[float, float]]]:
    """Return the points by split."""
    found = {}
    for split, rows in members(details, "embedding"):
        pairs = [floats(row) for row in rows] if is_list(rows) else []
        places = [(place[0], place[1]) for place in pairs if len(place) == 2]
        if places:
            found[str(split)] = places
    return found
