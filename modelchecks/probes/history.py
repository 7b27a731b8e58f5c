"""A variant's training history as a table: CSV, lines of JSON, or TensorBoard's event files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.tensorboard import scalars

Table = list[dict[str, Any]]
STEP = "step"
MOST = 10_000


class History(AtOnce):
    """The numbers of a training's checkpoints, in their order."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels"})
    packages: ClassVar[tuple[str, ...]] = ()

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {path, columns}: a list of numbers for each column asked for.

        Rows without the number that checkpoints are chosen by are no checkpoints; other columns
        take their last number before such a row.
        """
        variant = context.suite.variant(request.variant)
        if variant is None or variant.history is None:
            raise EvidenceError(
                f"variant {request.variant!r} declares no training history; name its file with "
                "`history:`"
            )
        path = context.suite.folder / variant.history
        try:
            table = _read(path)
        except (OSError, ValueError, csv.Error) as error:
            raise EvidenceError(f"history {path} cannot be read: {error}") from error
        chosen_by, *others = [str(name) for _, name in request.options if name]
        return {"path": str(variant.history), "columns": _columns(path, table, chosen_by, others)}


def _read(path: Path) -> Table:
    if path.is_dir() or "tfevents" in path.name:
        return [{STEP: step, **found} for step, found in scalars(path).items()]
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        if len(rows) == 1 and isinstance(rows[0], list):
            rows = rows[0]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("every line must be an object of numbers")
        return rows
    return list(csv.DictReader(text.splitlines()))


def _columns(
    path: Path, table: Table, chosen_by: str, others: Sequence[str]
) -> dict[str, list[float]]:
    have = list(dict.fromkeys(str(name) for row in table for name in row))
    for name in (chosen_by, *others):
        if name not in have:
            raise EvidenceError(f"history {path} has no column {name!r}{did_you_mean(name, have)}")
    found: dict[str, list[float]] = {name: [] for name in (chosen_by, *others)}
    last: dict[str, float] = {}
    for number, row in enumerate(table, 1):
        for name in found:
            if (value := row.get(name)) not in (None, ""):
                last[name] = _number(path, number, name, value)
        if row.get(chosen_by) not in (None, ""):
            for name, column in found.items():
                if name not in last:
                    raise EvidenceError(
                        f"history {path}, row {number}: {name!r} has no number yet where "
                        f"{chosen_by!r} has one"
                    )
                column.append(last[name])
    if not found[chosen_by]:
        raise EvidenceError(f"history {path} holds no checkpoint: no row has {chosen_by!r}")
    if len(found[chosen_by]) > MOST:
        raise EvidenceError(f"history {path} holds more than {MOST:,} checkpoints")
    return found


def _number(path: Path, row: int, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise EvidenceError(f"history {path}, row {row}: {name!r} is {value!r}, which is no number")
    return number
