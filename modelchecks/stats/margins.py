"""Margins by measurement: above what varies anyway, below what costs accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.distance import kolmogorov, total_variation
from modelchecks.stats.distance_power import chance_variation, margin_in_reach
from modelchecks.stats.estimate import TooFewRowsError
from modelchecks.stats.interval import Floats, check_count, numbers

FEWEST_ROWS = 50
"""Rows of a group below which its distance is mostly chance."""
HEADROOM = 1.5
"""Times the natural variation, where nothing is known of what costs accuracy."""


@dataclass(frozen=True, slots=True)
class ProposedMargin:
    """A margin for the distance of one feature (Kolmogorov, total variation), with its reason.

    `natural` is the largest distance between a group of the reference and the other groups, freed
    of what the largest is by chance, and `group` that group; `costly` the distance at which the
    battery loses `max_drop`, None where it never does or there is no battery; `in_reach` the
    smallest margin that so many rows can show. `separates`: the margin lies above natural variation
    and above what is in reach, and not beyond what is costly.
    """

    feature: str
    margin: float
    natural: float
    group: str
    costly: float | None
    in_reach: float
    separates: bool
    reason: str


def propose_margins(
    reference: NDArray[Any],
    groups: NDArray[Any],
    *,
    current_n: int,
    names: Sequence[str] | None = None,
    categorical: Sequence[bool] | None = None,
    effects: NDArray[Any] | None = None,
    drops: NDArray[Any] | None = None,
    max_drop: float | None = None,
) -> tuple[ProposedMargin, ...]:
    """Return a margin for each feature, from the reference against itself and a severity battery.

    `reference` (rows, features); `groups` (rows,) names each row's day, camera or seed: how far
    they differ is what a margin must bear. `current_n` is how many rows will be compared. Columns
    that are `categorical` hold numbers of categories.
    `effects` (severities, features) are the distances that a battery of changes of growing severity
    has from the reference, `drops` (severities,) what it cost: both and `max_drop`, or none. NaN in
    a whole column of `effects` is a feature that the battery does not touch.
    The margin is the geometric mean of the floor (the larger of natural variation and what the rows
    can show) and the costly distance; without a costly one, 1.5 times the natural variation, at
    least the floor; where the floor lies beyond it, the costly distance, and `separates` is False:
    this feature cannot tell harm from noise. Margins are rounded to .005, down where a cost bounds
    them. With G groups, another one exceeds the largest in about 1 of G + 1 cases. Raises
    TooFewRowsError unless two groups have 50 rows, ValueError for other input.
    """
    table = numbers(reference, "reference")
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not table.size or np.isnan(table).any():
        raise ValueError("reference: must be numbers (rows, features), none NaN")
    of = np.asarray(groups)
    if of.shape != table.shape[:1]:
        raise ValueError(f"groups: has shape {of.shape}, reference has {len(table)} rows")
    check_count(current_n, "current_n")
    count = table.shape[1]
    named = [False] * count if categorical is None else [bool(one) for one in categorical]
    if len(named) != count:
        raise ValueError(f"categorical: has {len(named)}, reference has {count} features")
    labels = [f"feature {i}" for i in range(count)] if names is None else list(names)
    if len(labels) != count:
        raise ValueError(f"names: has {len(labels)}, reference has {count} features")
    found, sizes = np.unique(of, return_counts=True)
    large = found[(sizes >= FEWEST_ROWS) & (len(of) - sizes >= FEWEST_ROWS)]
    if len(large) < 2:
        raise TooFewRowsError(f"groups: {len(large)} have {FEWEST_ROWS} rows, 2 are needed")
    curve = _battery(effects, drops, max_drop, count)
    sizes_of = [len(np.unique(column)) for column in table.T]
    categories = [size for size, one in zip(sizes_of, named, strict=True) if one]
    numeric = count - len(categories)
    reach = margin_in_reach(numeric, len(table), current_n, categories=categories)
    proposed = []
    for i, name in enumerate(labels):
        size = sizes_of[i] if named[i] else None
        apart = [_natural(table[of == g, i], table[of != g, i], len(large), size) for g in large]
        most = int(np.argmax(apart))
        costly = limit = None
        if curve is not None and max_drop is not None and not np.isnan(curve[0][:, i]).any():
            limit, costly = max_drop, _costly(curve[0][:, i], curve[1], max_drop)
        proposed.append(
            _proposal(name, apart[most], str(large[most]), len(large), costly, reach, limit)
        )
    return tuple(proposed)


def _proposal(
    name: str,
    natural: float,
    group: str,
    groups: int,
    costly: float | None,
    reach: float,
    max_drop: float | None,
) -> ProposedMargin:
    floor = max(natural, reach)
    told = f"{groups} groups of the reference differ by up to {natural:.3f} ({group})"
    if reach > natural:
        told += f", and so few rows show no less than {reach:.3f}"
    if costly is None:
        margin = _rounded(min(max(HEADROOM * natural, floor), 1.0), math.ceil)
        never = "" if max_drop is None else f"; no severity tried costs {100 * max_drop:g} pp"
        return ProposedMargin(
            name, margin, natural, group, None, reach, True, f"{told}{never}: {margin:g}"
        )
    cost = f"a distance of {costly:.3f} costs {100 * (max_drop or 0):g} pp"
    separates = floor < costly
    margin = _rounded(math.sqrt(floor * costly) if separates else costly, math.floor)
    if separates:
        margin = max(margin, floor)
        reason = f"{told}; {cost}: {margin:g} lies between"
    else:
        reason = f"{told}, but {cost}: {name} cannot tell harm from what varies anyway"
    return ProposedMargin(name, margin, natural, group, costly, reach, separates, reason)


def _natural(own: Floats, others: Floats, groups: int, categories: int | None) -> float:
    """Return the distance of two samples, less in squares the largest of so many by chance."""
    if categories is not None:
        names = np.unique(np.concatenate([own, others]))
        counts = [
            np.bincount(np.searchsorted(names, side), minlength=len(names))
            for side in (own, others)
        ]
        return _beyond_chance(total_variation(*counts).value, own, others, groups, categories)
    value = kolmogorov(own, others).value
    # The median of that largest one, by the tail of Kolmogorov's law.
    chance = math.log(2 / (1 - 0.5 ** (1 / groups))) / 2 * (1 / len(own) + 1 / len(others))
    return math.sqrt(max(value**2 - chance, 0.0))


def _beyond_chance(
    value: float, own: Floats, others: Floats, groups: int, categories: int
) -> float:
    from scipy.special import ndtri

    mean, spread = chance_variation(max(categories, 2))
    # The median of the largest of so many, each about normal.
    largest = mean + float(ndtri(0.5 ** (1 / groups))) * spread
    chance = largest**2 * (1 / len(own) + 1 / len(others))
    return math.sqrt(max(value**2 - chance, 0.0))


def _costly(effects: Floats, drops: Floats, max_drop: float) -> float | None:
    """Return the distance at which the drop first exceeds `max_drop`, on a line between points."""
    order = np.argsort(effects, kind="stable")
    # A cost once seen at a smaller distance counts for all larger ones.
    x = np.append(0.0, effects[order])
    y = np.append(0.0, np.maximum.accumulate(np.maximum(drops[order], 0)))
    beyond = np.flatnonzero(y > max_drop)
    if not len(beyond):
        return None
    at = int(beyond[0])
    step = y[at] - y[at - 1]
    return float(x[at - 1] + (x[at] - x[at - 1]) * (max_drop - y[at - 1]) / step)


def _battery(
    effects: Any, drops: Any, max_drop: float | None, features: int
) -> tuple[Floats, Floats] | None:
    given = [effects is not None, drops is not None, max_drop is not None]
    if not any(given):
        return None
    if not all(given):
        raise ValueError("effects: a battery needs `effects`, `drops` and `max_drop`")
    x, y = numbers(effects, "effects"), numbers(drops, "drops")
    within = ((x >= 0) & (x <= 1)) | np.isnan(x).all(axis=0)
    if x.ndim != 2 or not len(x) or x.shape[1] != features or not within.all():
        raise ValueError(f"effects: must be between 0 and 1, (severities, {features})")
    if y.shape != x.shape[:1] or not np.isfinite(y).all():
        raise ValueError(f"drops: must be finite, one for each of {len(x)} severities")
    if max_drop is None or not 0 <= max_drop < 1:
        raise ValueError(f"max_drop: {max_drop} is not at least 0 and less than 1")
    return x, y


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    return max(towards(round(value * 200, 6)), 1) / 200
