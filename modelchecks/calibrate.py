"""Margins by measurement: above what varies anyway, below what costs accuracy, each with why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks import features as image_features
from modelchecks import stats
from modelchecks.checks.columns import (
    ColumnKind,
    category,
    column_kinds,
    column_values,
    feature_values,
    missing,
)
from modelchecks.checks.time_windows import By, time_windows
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.totals import UNLABELLED

Images = NDArray[Any]
PARTS = 5
"""Random parts of the reference that stand for days where no column tells them."""
USUAL = 0.1
"""The margin where nothing was measured: about a quarter of a standard deviation."""


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A value for one parameter of a check, and the reason for it in one sentence.

    `parameter` is a key of the check, or `max_effects.NAME`. `separates` is False where nothing
    lies between what varies anyway and what costs accuracy: then the value bounds the cost, and the
    feature cannot tell harm from noise.
    """

    check: str
    parameter: str
    value: float
    reason: str
    separates: bool = True


@dataclass(frozen=True, slots=True)
class Curve:
    """What a change of growing severity does to features, and what it costs a model.

    `effects` maps a feature to its distance from the unchanged images at each severity; `drops` are
    the accuracy lost, as shares.
    """

    severities: tuple[float, ...]
    effects: Mapping[str, tuple[float, ...]]
    drops: tuple[float, ...]


def severity_curve(
    images: Images,
    labels: NDArray[np.int64],
    answer: Callable[[Images], NDArray[np.int64]],
    change: Callable[[Images, float], Images],
    *,
    severities: Sequence[float],
    features: Sequence[str] = image_features.DEFAULT,
    folder: Path = Path(),
) -> Curve:
    """Return how far each severity of a change moves the features, and what it costs.

    `images` (n, height, width, channels), `labels` (n,) class ids; `answer` gives the class ids
    that the model sees in images, `change` the images as they look at a severity. `folder` is where
    features written `module:function` lie. Raises ValueError that names the argument.

    >>> import numpy as np
    >>> images = np.arange(400, dtype=np.uint8).reshape(100, 2, 2, 1)
    >>> right = (images.mean(axis=(1, 2, 3)) > 100).astype(int)
    >>> def model(seen): return (seen.mean(axis=(1, 2, 3)) > 100).astype(int)
    >>> def darker(seen, s): return (seen * (1 - s)).astype(np.uint8)
    >>> curve = severity_curve(images, right, model, darker, severities=[0, .5],
    ...     features=["brightness"])
    >>> curve.drops[0], curve.drops[1] > .1, curve.effects["brightness"][0]
    (0.0, True, 0.0)
    """
    if images.ndim != 4 or not len(images):
        raise ValueError("images: must be (n, height, width, channels), at least one")
    if np.shape(labels) != (len(images),):
        raise ValueError(
            f"labels: has shape {np.shape(labels)}, and there are {len(images)} images"
        )
    if not len(severities):
        raise ValueError("severities: there is none")
    functions = {name: image_features.resolve(name, folder) for name in features}
    before = {name: function(images) for name, function in functions.items()}
    right = float((answer(images) == labels).mean())
    effects: dict[str, list[float]] = {name: [] for name in functions}
    drops = []
    for severity in severities:
        seen = change(images, severity)
        for name, function in functions.items():
            effects[name].append(stats.kolmogorov(before[name], function(seen)).value)
        drops.append(right - float((answer(seen) == labels).mean()))
    return Curve(
        tuple(float(severity) for severity in severities),
        {name: tuple(values) for name, values in effects.items()},
        tuple(drops),
    )


def propose(
    reference: Evidence,
    *,
    current_rows: int,
    by: str | None = None,
    window: By = "day",
    features: Sequence[str] = image_features.DEFAULT,
    columns: Mapping[str, Any] | None = None,
    curve: Curve | None = None,
    max_drop: float | None = None,
) -> tuple[Proposal, ...]:
    """Return margins for `feature_drift` and, where there are labels, `label_drift`, with reasons.

    `by` names the log column whose values (days of a time, cameras, seeds) tell the parts of the
    reference that differ without harm; without one, random parts stand for them, and only chance is
    known to vary. `current_rows` is how many rows will be compared with the reference. `columns`
    are kinds as `feature_drift` takes them, numeric, ordinal or categorical; rows with a gap in one
    are left out. `curve` and `max_drop` say what costs: a margin then lies between the two. Raises
    TooFewRowsError where the parts are too small, EvidenceError for gaps, ValueError else.
    """
    kinds = column_kinds(columns or {})
    values, named = _values(reference, features, kinds)
    groups, said = _groups(reference, by, window, len(next(iter(values.values()))))
    complete = np.logical_and.reduce([~missing(column) for column in values.values()])
    table = np.stack([column[complete].astype(np.float64) for column in values.values()], axis=1)
    if not len(table):
        raise EvidenceError(f"split {reference.split!r} has no row without a gap")
    effects, drops = _battery(values, curve, max_drop)
    proposed = stats.propose_margins(
        table,
        groups[complete],
        current_n=current_rows,
        names=list(values),
        categorical=named,
        effects=effects,
        drops=drops,
        max_drop=None if curve is None else max_drop,
    )
    known = by is not None
    found = [
        _proposal("feature_drift", f"max_effects.{p.feature}", p, said, known) for p in proposed
    ]
    return (*found, *_labels(reference, by, window, current_rows))


def as_yaml(proposals: Sequence[Proposal], indent: int = 6) -> str:
    """Return the proposals as the keys of their checks, each with its reason as a comment.

    >>> print(as_yaml([Proposal("feature_drift", "max_effects.blur", 0.15, "3 days differ")]))
          # feature_drift
          max_effects:
            blur: 0.15   # 3 days differ
    """
    space, lines = " " * indent, list[str]()
    for check in dict.fromkeys(proposal.check for proposal in proposals):
        lines.append(f"{space}# {check}")
        opened = set()
        for proposal in (one for one in proposals if one.check == check):
            key, _, name = proposal.parameter.partition(".")
            if name and key not in opened:
                opened.add(key)
                lines.append(f"{space}{key}:")
            reason = " ".join(proposal.reason.split())
            deeper = "  " if name else ""
            plain = name or key
            said = plain if _PLAIN.fullmatch(plain) else json.dumps(plain, ensure_ascii=False)
            lines.append(f"{space}{deeper}{said}: {proposal.value:g}   # {reason}")
    return "\n".join(lines)


def _values(
    reference: Evidence, features: Sequence[str], kinds: Mapping[str, ColumnKind]
) -> tuple[dict[str, NDArray[Any]], list[bool]]:
    """Return a column of numbers for each feature, categories as their numbers, and which are."""
    values: dict[str, NDArray[Any]] = {n: feature_values(reference, n) for n in features}
    for name, kind in kinds.items():
        column = column_values(reference, name, kind)
        if kind.kind == "circular":
            raise ValueError(f"columns: {name!r} is circular, for which nothing is proposed")
        if kind.kind == "categorical" or kind.order is not None:
            levels = kind.order or sorted({*column[~missing(column)].tolist()}, key=category)
            number = {level: float(place) for place, level in enumerate(levels)}
            gaps = missing(column).tolist()
            column = np.array(
                [np.nan if gap else number[v] for v, gap in zip(column.tolist(), gaps, strict=True)]
            )
        values[name] = column
    if not values:
        raise ValueError("features: there is none, so there is nothing to propose")
    return values, [name in kinds and kinds[name].kind == "categorical" for name in values]


def _groups(
    reference: Evidence, by: str | None, window: By, rows: int, labelled: bool = False
) -> tuple[NDArray[Any], str]:
    """Return the part that each row belongs to, and what to say of it first."""
    if by is None:
        # The rows of a sample are in random order.
        return np.arange(rows) % PARTS, "no column tells days or cameras: "
    column = reference.sample(f"column:{by}", labelled=labelled)
    if column.dtype.kind == "M":
        windows = time_windows(reference, by, window, labelled=labelled)
        return np.array(windows.names, dtype=object)[windows.of].astype(str), f"{window}s: "
    names = [
        "(missing)" if gap else category(v) for v, gap in zip(column, missing(column), strict=True)
    ]
    return np.array(names), f"by {by}: "


def _battery(
    values: Mapping[str, Any], curve: Curve | None, max_drop: float | None
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    if curve is None:
        return None, None
    if max_drop is None:
        raise ValueError("max_drop: a curve needs it, to say what costs too much")
    # A log column is not touched by a change of the images.
    untouched = (np.nan,) * len(curve.drops)
    effects = np.array([curve.effects.get(name, untouched) for name in values]).T
    return effects, np.array(curve.drops)


def _labels(
    reference: Evidence, by: str | None, window: By, current_rows: int
) -> tuple[Proposal, ...]:
    """Return a margin for the classes' shares, where there are labels."""
    if not reference.labelled:
        return ()
    labels = reference.sample("label", labelled=True)
    labels = labels[labels != UNLABELLED].astype(np.float64)
    groups, said = _groups(reference, by, window, len(labels), labelled=True)
    (found,) = stats.propose_margins(
        labels, groups, current_n=current_rows, names=["labels"], categorical=[True]
    )
    return (_proposal("label_drift", "max_effect", found, said, by is not None),)


def _proposal(
    check: str, parameter: str, found: stats.ProposedMargin, said: str, known: bool
) -> Proposal:
    """Return what was found, or the usual margin where neither days nor costs are known."""
    if known or found.costly is not None:
        return Proposal(check, parameter, found.margin, said + found.reason, found.separates)
    value = max(USUAL, found.margin)
    reason = f"{said}the usual {USUAL:g}" + (
        f", but so few rows show no less than {found.in_reach:.3f}" if value > USUAL else ""
    )
    return Proposal(check, parameter, value, reason)
