"""Log columns and image properties as drift checks read them: their kinds, gaps and shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.evidence import Evidence
from modelchecks.facets import FEATURE
from modelchecks.stats.drift import FeatureDistance, Kind

MOST_CATEGORIES = 200
"""A reference column with more values is a measurement, or names the rows."""
SHOWN = 20
"""Categories of an overlay; the rest is one more."""
BINS = 30
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MISSING, OTHERS = "(missing)", "(others)"


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """What a column's values are: see `stats.feature_distance`."""

    kind: Kind = "numeric"
    order: tuple[Any, ...] | None = None
    period: float | None = None


def column_kinds(columns: Mapping[str, Any]) -> dict[str, ColumnKind]:
    """Return the kind of each column, written `camera: categorical` or `{kind: ..., ...}`.

    Raises ValueError that starts with `columns:`.
    """
    return {name: _kind(name, said) for name, said in columns.items()}


def _kind(name: str, said: Any) -> ColumnKind:
    given = dict(said) if isinstance(said, Mapping) else {"kind": said}
    wrong = sorted(set(given) - {"kind", "order", "period"})
    if wrong:
        hint = did_you_mean(wrong[0], ["kind", "order", "period"])
        raise ValueError(f"columns: {name!r} has no key {wrong[0]!r}{hint}")
    kind, order, period = (given.get(key) for key in ("kind", "order", "period"))
    kinds: tuple[Kind, ...] = get_args(Kind)
    known = next((one for one in kinds if one == kind), None)
    if known is None:
        hint = did_you_mean(str(kind), kinds)
        raise ValueError(
            f"columns: {name!r} is {kind!r}; it must be one of {', '.join(kinds)}{hint}"
        )
    number = isinstance(period, int | float) and not isinstance(period, bool)
    if kind == "circular" and not (number and 0 < float(str(period)) < float("inf")):
        raise ValueError(
            f"columns: {name!r} is circular, so it needs the `period` after which it comes round, "
            f"such as {{kind: circular, period: 24}}"
        )
    if kind != "circular" and period is not None:
        raise ValueError(f"columns: {name!r} is {kind}; only a circular column has a `period`")
    if order is not None:
        if kind != "ordinal":
            raise ValueError(f"columns: {name!r} is {kind}; only an ordinal column has an `order`")
        scalars = isinstance(order, list) and all(isinstance(x, str | int | float) for x in order)
        if not scalars or len(order) < 2 or len(set(order)) != len(order):
            raise ValueError(
                f"columns: `order` of {name!r} must list its values once each, lowest first"
            )
    return ColumnKind(known, None if order is None else tuple(order), period)


def feature_values(evidence: Evidence, name: str) -> NDArray[np.float64]:
    """Return an image property of the sampled rows; a gap in it is an error, never a value."""
    values: NDArray[np.float64] = _sampled(evidence, FEATURE + name)
    gaps = int((~np.isfinite(values)).sum())
    if gaps:
        raise EvidenceError(
            f"feature {name!r} is NaN or infinite in {gaps} rows of split {evidence.split!r}"
        )
    return values


def column_values(evidence: Evidence, name: str, of: ColumnKind) -> NDArray[Any]:
    """Return a log column of the sampled rows, None or NaN where a value is missing.

    A time is given in hours (UTC). Raises EvidenceError where the values are not of that kind.
    """
    key, split = f"column:{name}", evidence.split
    if key not in evidence.rows.columns and evidence.total:
        columns = [c for c in evidence.rows.columns if c.startswith("column:")]
        have = sorted(c.removeprefix("column:") for c in columns)
        raise EvidenceError(
            f"split {split!r} has no column {name!r}{did_you_mean(name, have)}; its columns are: "
            f"{', '.join(have) or 'none'}"
        )
    values = _sampled(evidence, key)
    where = f"column {name!r} of split {split!r}"
    if values.dtype.kind == "M":
        if of.kind != "circular":
            raise EvidenceError(
                f"{where} is a time; say `{{kind: circular, period: 24}}` for the hour of the day "
                "(168: of the week), or leave it out"
            )
        hours = values.astype("datetime64[us]").astype(np.float64) / 3.6e9
        return np.where(np.isnat(values), np.nan, hours)
    if of.kind == "categorical":
        return values
    if of.order is None and not _are_numbers(values):
        raise EvidenceError(
            f"{where} holds text: it is categorical, or ordinal with an `order`, not {of.kind}"
        )
    if of.order is not None:
        known = set(of.order)
        strange = sorted({str(v) for v in values.tolist() if not _gap(v) and v not in known})
        if strange:
            raise EvidenceError(
                f"{where} holds {strange[0]!r}, which `order` does not name; it names "
                f"{', '.join(map(str, of.order))}"
            )
        return values
    numbers = np.where(missing(values), np.nan, values).astype(np.float64)
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        raise EvidenceError(f"{where} is infinite in {infinite} rows; log nothing where none is")
    return numbers


def see_values(
    name: str, of: ColumnKind, reference: NDArray[Any], current: NDArray[Any], split: str
) -> None:
    """Raise EvidenceError where the two sides hold nothing that could be compared."""
    if all(missing(side).all() for side in (reference, current)):
        raise EvidenceError(f"column {name!r} is empty in every row of both splits")
    if of.kind == "categorical" and of.order is None:
        found = len({value for value in reference.tolist() if not _gap(value)})
        if found > MOST_CATEGORIES:
            raise EvidenceError(
                f"column {name!r} of split {split!r} has {found:,} values, and categories are at "
                f"most {MOST_CATEGORIES}: it is a measurement, or it names the rows"
            )


def _sampled(evidence: Evidence, key: str) -> NDArray[Any]:
    if not evidence.total:
        raise EvidenceError(f"split {evidence.split!r} has no rows")
    evidence.distinct()
    return evidence.sample(key)


def _are_numbers(values: NDArray[Any]) -> bool:
    """Return whether all values that are there are numbers; a column of gaps has no type."""
    if values.dtype != object:
        return values.dtype.kind in "biuf"
    return all(_gap(v) or isinstance(v, int | float | np.number) for v in values.tolist())


def _gap(value: Any) -> bool:
    return value is None or value != value


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values are missing."""
    if values.dtype == object:
        return np.array([_gap(value) for value in values.tolist()], dtype=np.bool_)
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    return np.zeros(len(values), dtype=np.bool_)


def changed(
    of: ColumnKind, found: FeatureDistance, reference: NDArray[Any], current: NDArray[Any]
) -> str:
    """Return in words what has changed most: the median, the largest category, the gaps."""
    told = []
    if of.kind == "numeric" or (of.kind == "ordinal" and of.order is None):
        sides = [side[~missing(side)] for side in (reference, current)]
        if all(len(side) for side in sides):
            before, after = (f"{float(np.median(side)):.4g}" for side in sides)
            told.append(f"median {before} → {after}" if before != after else f"median {before}")
    elif of.kind != "circular":
        names, a, b = _counts(reference, current)
        if names:
            most = max(range(len(names)), key=lambda i: abs(b[i] - a[i]))
            told.append(f"{names[most]} {_percent(a[most])} → {_percent(b[most])}")
    before_gaps, after_gaps = found.missing
    if max(found.missing) > 0 and abs(after_gaps - before_gaps) >= 0.001:
        told.append(f"missing {_percent(before_gaps)} → {_percent(after_gaps)}")
    return ", ".join(told)


def unseen_text(unseen: Mapping[Any, float], limit: int = 3) -> str:
    """Return categories that the reference lacks, each with its share.

    >>> unseen_text({"D": 0.03})
    'D (3.0 %)'
    """
    shown = [
        f"{category(name)} ({_percent(share)})" for name, share in list(unseen.items())[:limit]
    ]
    more = len(unseen) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def overlay(of: ColumnKind, reference: NDArray[Any], current: NDArray[Any]) -> dict[str, Any]:
    """Return both sides' shares over the same bins or categories, for a picture of the two.

    Numbers: `edges` (bins + 1) between the outermost half percents, beyond which the end bins
    count, and five quantiles of either side. Circular: equal bins of the period. Categories, and
    numbers of few values: `categories`, most frequent first (numbers and ordinal: in order), what
    is missing last.
    """
    sides = (reference, current)
    levels = of.order if of.order is not None else _few(of, sides)
    if of.kind == "categorical" or levels is not None:
        names, a, b = _counts(*sides)
        order = sorted(range(len(names)), key=lambda i: -max(a[i], b[i]))
        kept, rest = order[:SHOWN], order[SHOWN:]
        if levels is not None:
            place = {category(level): i for i, level in enumerate(levels)}
            kept = sorted(kept, key=lambda i: place.get(names[i], len(place)))
        shown = {names[i]: (a[i], b[i]) for i in kept}
        if rest:
            shown[OTHERS] = (float(a[rest].sum()), float(b[rest].sum()))
        gaps = [float(missing(side).mean()) for side in sides]
        if max(gaps):
            shown[MISSING] = (gaps[0], gaps[1])
        return {
            "categories": list(shown),
            "reference": [round(float(before), 5) for before, _ in shown.values()],
            "current": [round(float(after), 5) for _, after in shown.values()],
        }
    present = [side[~missing(side)].astype(np.float64) for side in sides]
    if of.period is not None:
        present = [side % of.period for side in present]
        edges = np.linspace(0, of.period, 25)
    else:
        edges = _edges(np.concatenate(present))
    drawn: dict[str, Any] = {"edges": [_rounded(edge) for edge in edges]}
    for name, side in zip(("reference", "current"), present, strict=True):
        inner = np.searchsorted(edges[1:-1], side, side="right")
        counts = np.bincount(inner, minlength=max(len(edges) - 1, 1))
        drawn[name] = [round(float(share), 5) for share in counts / max(len(side), 1)]
        if of.period is None and len(side):
            drawn[f"{name}_quantiles"] = [_rounded(q) for q in np.quantile(side, QUANTILES)]
    return drawn


def _few(of: ColumnKind, sides: tuple[NDArray[Any], NDArray[Any]]) -> list[float] | None:
    """Return the values of numbers that take only a few, in order."""
    if of.kind not in ("numeric", "ordinal"):
        return None
    found = np.unique(np.concatenate([side[~missing(side)].astype(np.float64) for side in sides]))
    return found.tolist() if len(found) <= SHOWN else None


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = (float(q) for q in np.quantile(values, (0.005, 0.995)))
    if low == high:  # constant, or all but
        low, high = float(values.min()), float(values.max())
    return np.linspace(low, high, BINS + 1) if low < high else np.array([low, low])


def _counts(
    reference: NDArray[Any], current: NDArray[Any]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return the categories that are there and their shares of all rows of either side."""
    tables = [
        Counter(category(value) for value in side.tolist() if not _gap(value))
        for side in (reference, current)
    ]
    names = list({**tables[0], **tables[1]})
    a, b = (
        np.array([table[name] for name in names], dtype=np.float64) / len(side)
        for table, side in zip(tables, (reference, current), strict=True)
    )
    return names, a, b


def category(value: Any) -> str:
    """Return a category as a text: whole numbers alike, whether gaps made them floats or not.

    >>> category(3.0), category(3), category("A")
    ('3', '3', 'A')
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> float:
    return float(f"{float(value):.6g}")


def _percent(share: float) -> str:
    return f"{100 * float(share):z.1f} %"
