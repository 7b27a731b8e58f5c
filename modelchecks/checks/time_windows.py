"""The rows of a log cut into hours, days, weeks or months, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.evidence import Evidence

By = Literal["hour", "day", "week", "month"]
MOST = 1_000
"""Windows of one series."""
_UNITS = {"hour": "h", "day": "D", "month": "M"}


@dataclass(frozen=True, slots=True)
class Windows:
    """Consecutive windows of time (UTC) by their names, none left out though it be empty.

    `of` holds the window's number for each row looked at, `rows` how many rows each has.
    """

    names: tuple[str, ...]
    of: NDArray[np.int64]
    rows: NDArray[np.int64]


def time_windows(
    evidence: Evidence, column: str, by: By, *, labelled: bool = False, span: Windows | None = None
) -> Windows:
    """Return the windows of a sample of the rows, or of those with a label.

    `span` gives the windows that they are placed in. Raises EvidenceError where the column does not
    tell when each of these rows was seen.
    """
    key, where = f"column:{column}", f"column {column!r} of split {evidence.split!r}"
    if not evidence.total:
        raise EvidenceError(f"split {evidence.split!r} has no rows")
    if key not in evidence.rows.columns:
        columns = [c for c in evidence.rows.columns if c.startswith("column:")]
        have = sorted(c.removeprefix("column:") for c in columns)
        raise EvidenceError(
            f"split {evidence.split!r} has no column {column!r}{did_you_mean(column, have)}; its "
            f"columns are: {', '.join(have) or 'none'}"
        )
    times = evidence.sample(key, labelled=labelled)
    if times.dtype.kind != "M":
        raise EvidenceError(f"{where} is no time; log a timestamp or a date there")
    gaps = int(np.isnat(times).sum())
    if gaps:
        raise EvidenceError(f"{where} is empty in {gaps:,} rows, so nobody knows when they were")
    starts = _starts(times, by)
    if span is not None:
        number = {name: i for i, name in enumerate(span.names)}
        of = np.array([number[name] for name in _names(starts, by)], dtype=np.int64)
        return Windows(span.names, of, np.bincount(of, minlength=len(span.names)))
    return _consecutive(starts, by, where)


def spanning(evidence: Evidence, column: str, by: By) -> tuple[Windows, Windows]:
    """Return the windows of a sample of all rows, and of the labelled ones in the same windows."""
    everything = time_windows(evidence, column, by)
    labelled = time_windows(evidence, column, by, labelled=True)
    # Either sample may reach farther.
    names = sorted({*everything.names, *labelled.names})
    span = Windows(tuple(names), everything.of, everything.rows)
    return (
        time_windows(evidence, column, by, span=span),
        time_windows(evidence, column, by, labelled=True, span=span),
    )


def _starts(times: NDArray[Any], by: By) -> NDArray[Any]:
    """Return the start of each time's window; a week starts on Monday."""
    if by != "week":
        return times.astype(f"datetime64[{_UNITS[by]}]")
    days = times.astype("datetime64[D]").astype(np.int64)
    # Day 0 was a Thursday.
    return ((days + 3) // 7 * 7 - 3).astype("datetime64[D]")


def _consecutive(starts: NDArray[Any], by: By, where: str) -> Windows:
    if not len(starts):
        return Windows((), np.empty(0, np.int64), np.empty(0, np.int64))
    step = 7 if by == "week" else 1
    numbers = (starts - starts.min()).astype(np.int64) // step
    count = int(numbers.max()) + 1
    if count > MOST:
        raise EvidenceError(
            f"{where} spans {count:,} windows of one {by}, and a series has at most {MOST:,}; say "
            "`by:` a longer one"
        )
    first = starts.min()
    names = tuple(_names(np.array([first + i * step for i in range(count)]), by))
    return Windows(names, numbers, np.bincount(numbers, minlength=count))


def _names(starts: NDArray[Any], by: By) -> list[str]:
    texts = np.datetime_as_string(starts).tolist()
    return [text.replace("T", " ") + ":00" if by == "hour" else text for text in texts]


def listed(names: Sequence[str], limit: int = 3) -> str:
    """Return windows by name, and how many more there are.

    >>> listed(["2026-10-05", "2026-10-06"])
    '2026-10-05, 2026-10-06'
    """
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
