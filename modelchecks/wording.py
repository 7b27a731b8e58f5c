"""Numbers the way people read them in a message: percent, percentage points, counts."""

from __future__ import annotations

from collections.abc import Sequence

from modelchecks.stats.estimate import Estimate


def bare(share: float, digits: int = 1) -> str:
    """Return a share or difference in percent without a unit, for a column that names it.

    >>> bare(0.7899), bare(-0.0001)
    ('79.0', '0.0')
    """
    return f"{100 * share:z.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share as percent.

    >>> percent(0.7899)
    '79.0 %'
    """
    return f"{bare(share, digits)} %"


def points(share: float, digits: int = 1) -> str:
    """Return a difference of shares as percentage points.

    >>> points(0.152)
    '15.2 pp'
    """
    return f"{bare(share, digits)} pp"


def threshold(share: float, unit: str) -> str:
    """Return a threshold with as many digits as it was given.

    >>> threshold(0.05, "pp"), threshold(0.155, "pp")
    ('5 pp', '15.5 pp')
    """
    return f"{100 * share:.6g} {unit}"


def interval(low: float, high: float, digits: int = 1) -> str:
    """Return an interval of shares as percent without a unit.

    >>> interval(0.1428, 0.1612)
    '[14.3, 16.1]'
    """
    return f"[{bare(low, digits)}, {bare(high, digits)}]"


def accuracy(estimate: Estimate) -> str:
    """Return an accuracy with its interval and n: '79.0 % [78.2, 79.8] (n 10,000)'."""
    return f"{percent(estimate.value)} {interval(estimate.low, estimate.high)} (n {estimate.n:,})"


def listing(texts: Sequence[str], limit: int = 3) -> str:
    """Return the first few texts and how many more there are.

    >>> listing(["a", "b", "c", "d"])
    'a; b; c; and 1 more'
    """
    shown = "; ".join(texts[:limit])
    return f"{shown}; and {len(texts) - limit} more" if len(texts) > limit else shown
