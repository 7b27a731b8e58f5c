"""A schema inferred from data: expectation suites that hold for it with room to spare.

What is proposed is where to begin, in Great Expectations' own JSON: open it, tighten what you know,
and remove what does not matter. `modelchecks.checks.schema` asks it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.expecting import OWN, Name, table_facets
from modelchecks.facets import ROWS
from modelchecks.gather import gather
from modelchecks.plan import Plan, SplitPlan
from modelchecks.probes.tables import ROW, WHOLE, Table, sample_table
from modelchecks.probing import Asking
from modelchecks.store import Store, default_folder
from modelchecks.suite import Suite

TABLES: Final[tuple[Name, ...]] = ("images", "labels", "log")
SLACK: Final = 0.25
"""How far beyond the range seen a value may lie, as a share of that range."""
MOSTLY: Final = 0.99
"""The share of rows that must do so: another sample has other extremes."""
FEW: Final = 50
"""Texts with at most so many different values are categories."""
_CHANNEL: Final = ("min", "max", "mean")
_LABELS: Final = ("label", "name", "form")


def propose(
    suite: Suite,
    split: str,
    *,
    live: Sequence[str] = ("live",),
    absent: Mapping[str, Sequence[str]] | None = None,
    tables: Sequence[Name] = TABLES,
    store: Store | None = None,
) -> dict[str, dict[str, Any]]:
    """Return expectation suites that hold for a split, one for each table that has columns.

    `live` are the environments where labels are optional: those that are there must still be known
    classes. `absent` names for a column the environments that do not have it at all. Ranges have
    slack, since the next sample has other extremes. Raises EvidenceError where the split cannot be
    read or has no rows.
    """
    facets = sorted({ROWS, *(facet for name in tables for facet in table_facets(name))})
    plan = Plan(suite, (), (), (), (SplitPlan(split, tuple(facets), ()),), ())
    store = store or Store(default_folder(suite.folder))
    gathered = gather(plan, store)
    evidence = gathered.splits[split]
    if not isinstance(evidence, Evidence):
        raise evidence
    if not evidence.total:
        raise EvidenceError(f"split {split!r} has no rows to infer a schema from")

    def no_job(wanted: SplitPlan) -> Any:
        raise EvidenceError("a schema is inferred without any model")

    asking = Asking(suite, store, gathered.splits, gathered.keys, no_job)
    context = asking.context(ProbeRequest("expectations", split), split)
    found: dict[str, dict[str, Any]] = {}
    for name in tables:
        table = sample_table(context, name, suite.compute.max_rows)
        expectations = expectations_for(table, live, absent or {})
        if expectations:
            found[name] = {
                "name": f"{suite.name}-{name}",
                "expectations": expectations,
                "meta": {"great_expectations_version": _version()},
                "notes": f"Inferred from {len(table[ROW]):,} rows of {split!r}, with slack.",
            }
    return found


def expectations_for(
    table: Table, live: Sequence[str] = (), absent: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, Any]]:
    """Return what holds for the rows of a table, with slack; nothing where it has only ids.

    `live` and `absent` are those of `propose`.
    """
    columns = {c: v for c, v in table.items() if c not in (ROW, "id") and not _empty(v)}
    if not columns:
        return []
    found = [
        _expect("table_row_count_to_be_between", "An empty split says nothing.", min_value=1),
        _expect("column_values_to_not_be_null", "Each row can be named.", column="id"),
        _expect("column_values_to_be_unique", "No row is counted twice.", column="id"),
    ]
    scale = _scale(columns)
    for column, values in columns.items():
        lacking = list((absent or {}).get(column, ()))
        maybe = [one for one in live if column in _LABELS and one not in lacking]
        full = _own(not_in=[*lacking, *maybe])
        optional = _own(not_in=lacking, optional_in=maybe)
        known = values[~_missing(values)]
        share = len(known) / len(values)
        found += [
            _expect("column_to_exist", "", full, column=column),
            _expect(
                "column_values_to_not_be_null",
                f"{share:.1%} of the rows have it.",
                full,
                column=column,
                mostly=_down(max(0.0, share - (1 - MOSTLY))) if share < 1 else MOSTLY,
            ),
        ]
        found += _of_values(column, known, optional, scale if column in _CHANNEL else None)
        if column == "label":
            classes = sorted({int(label) for label in known.tolist()})
            text, kind = "Every class is there.", "column_distinct_values_to_contain_set"
            found.append(_expect(kind, text, full, "warning", column=column, value_set=classes))
    return found


def _own(**environments: list[str]) -> dict[str, list[str]]:
    """Return what an expectation's meta says of environments; nothing where there are none."""
    return {key: names for key, names in environments.items() if names}


def _of_values(
    column: str, known: NDArray[Any], meta: Mapping[str, Any], scale: float | None
) -> list[dict[str, Any]]:
    """Return what holds for the values of a column that are there."""
    if known.dtype.kind == "M":
        # When rows were logged says nothing of when others will be.
        return []
    distinct = sorted(set(known.tolist()))
    strict = column in ("label", "name", "form", "dtype", "mode", "format", "channels")
    if known.dtype.kind in "Ob" or strict or (column in WHOLE and len(distinct) <= 3):
        if len(distinct) <= FEW or strict:
            values = [int(v) if isinstance(v, float) else v for v in distinct]
            mostly: dict[str, Any] = {} if strict else {"mostly": MOSTLY}
            told = f"{len(values)} different values were seen."
            kind = "column_values_to_be_in_set"
            return [_expect(kind, told, meta, column=column, value_set=values, **mostly)]
        longest = max(len(str(value)) for value in distinct)
        kind, told = "column_value_lengths_to_be_between", "A text of about the usual length."
        bounds: dict[str, Any] = {"min_value": 1, "max_value": 2 * longest}
        return [_expect(kind, told, meta, column=column, **bounds, mostly=MOSTLY)]
    low, high = float(known.min()), float(known.max())
    room = SLACK * (high - low)
    if scale is not None:
        room = max(room, scale / 10)
    elif high == low:
        room = SLACK * max(abs(high), 1.0)
    least = max(low - room, 0.0) if low >= 0 else low - room
    most = min(high + room, scale) if scale is not None else high + room
    middle, spread = float(known.mean()), max(float(known.std()), room / 4)
    between: dict[str, Any] = {"min_value": _down(least), "max_value": _up(most)}
    mean: dict[str, Any] = {"min_value": _down(middle - spread), "max_value": _up(middle + spread)}
    seen = f"Seen: {low:.4g} to {high:.4g}, {middle:.4g} on average."
    return [
        _expect("column_values_to_be_between", seen, meta, column=column, **between, mostly=MOSTLY),
        _expect("column_mean_to_be_between", seen, meta, "warning", column=column, **mean),
    ]


def _expect(
    kind: str,
    notes: str,
    meta: Mapping[str, Any] | None = None,
    severity: str = "critical",
    /,
    **kwargs: Any,
) -> dict[str, Any]:
    item = {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity}
    return {
        **item,
        "meta": {OWN: dict(meta)} if meta else {},
        **({"notes": notes} if notes else {}),
    }


def _scale(columns: Mapping[str, NDArray[Any]]) -> float | None:
    """Return the largest value that a pixel can have, where the pixels' type says so."""
    whole = {"uint8": 255.0, "uint16": 65535.0}
    kinds = {kind for kind in columns.get("dtype", np.empty(0)).tolist() if kind is not None}
    return whole.get(kinds.pop()) if len(kinds) == 1 else None


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype == object:
        return np.array([value is None for value in values], dtype=np.bool_)
    if values.dtype.kind in "fM":
        return np.asarray(np.isnan(values) if values.dtype.kind == "f" else np.isnat(values))
    return np.zeros(len(values), dtype=np.bool_)


def _empty(values: NDArray[Any]) -> bool:
    return bool(_missing(values).all())


def _down(value: float) -> float:
    return _rounded(value, math.floor)


def _up(value: float) -> float:
    return _rounded(value, math.ceil)


def _rounded(value: float, towards: Any) -> float:
    """Return a number with three digits, rounded away from what was seen."""
    if value == 0 or not math.isfinite(value):
        return 0.0 if value == 0 else value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{towards(value / unit) * unit:.6g}")


def _version() -> str:
    try:
        return version("great-expectations")
    except PackageNotFoundError:
        return ""
