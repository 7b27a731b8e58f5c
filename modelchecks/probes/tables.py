"""The tables that expectations are asked of: a row per image, from facets that keep every row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError
from modelchecks.expecting import IMAGE_COLUMNS, Name, table_facets
from modelchecks.probes import ProbeContext
from modelchecks.totals import UNLABELLED

Table = dict[str, NDArray[Any]]

ROW = "modelchecks_row"
"""The column that tells the place of a row, where failing rows are to be named."""
WHOLE = frozenset({"label", "width", "height", "channels", "bytes", "orientation"})
"""Columns of whole numbers; NaN stands for none."""


def shard_table(context: ProbeContext, name: Name, shard: int) -> Table:
    """Return one shard of a table, with the places of its rows under `ROW`."""
    parts = [next(iter(context.every_row(facet, shard))) for facet in table_facets(name)]
    form = next((key[1] for key in context.evidence.totals.counts if key[0] == "form"), "none")
    return _table(name, parts, context.suite.classes, str(form))


def sample_table(context: ProbeContext, name: Name, most: int) -> Table:
    """Return the rows of a table that are in the sample, in the order of the split."""
    chosen = np.sort(context.evidence.sample("index")[:most])
    total, at_once = context.evidence.total, context.suite.compute.shard_rows
    tables = []
    for shard in range(-(-total // at_once)):
        if ((chosen >= shard * at_once) & (chosen < (shard + 1) * at_once)).any():
            table = shard_table(context, name, shard)
            kept = np.isin(table[ROW], chosen)
            tables.append({column: values[kept] for column, values in table.items()})
    return {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}


def _table(
    name: Name, parts: list[Mapping[str, Any]], classes: tuple[str, ...], form: str
) -> Table:
    rows = parts[0]
    if not all(np.array_equal(part["index"], rows["index"]) for part in parts):
        raise EvidenceError("facets of one split hold different rows; the evidence is damaged")
    table: Table = {ROW: rows["index"], "id": rows["id"]}
    labels = np.where(rows["label"] == UNLABELLED, np.nan, rows["label"].astype(np.float64))
    if name in ("rows", "labels"):
        table["label"] = labels
    if name == "labels":
        known = dict(enumerate(classes))
        names = [known.get(label) for label in rows["label"].tolist()]
        table["name"] = np.array([*names, None], dtype=object)[:-1]
        table["form"] = np.full(len(labels), form, dtype=object)
    for part in parts[1:]:
        # An image column wins over a log column of the same name: it is what was really decoded.
        table |= {
            column.partition(":")[2]: values
            for column, values in part.items()
            if column.startswith("column:") and column.partition(":")[2] not in table
        }
        table |= {
            column: part[f"image:{column}"] for column in IMAGE_COLUMNS if f"image:{column}" in part
        }
    return table
