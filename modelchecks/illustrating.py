"""The images of rows that a result shows beside its numbers.

Nothing here decides anything, and nothing here may fail a case: what cannot be shown is left out.
Images are read from the split's source, a few for each case, and only of the rows that were judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from modelchecks.check import Check, Outcome, View
from modelchecks.identity import open_source
from modelchecks.sources import Samples
from modelchecks.suite import Suite
from modelchecks.thumbnail import png

MOST_IMAGES = 8
"""Images of a case."""
_NAMED = {
    "current_least_like_reference": ("current", "reference"),
    "reference_least_like_current": ("reference", "current"),
}
"""Details that name rows of a split, by the fields that name it and the one it is unlike."""

Shown = tuple[str, int, str, str]
"""A row to show: split, position, id, caption."""


def illustrated(suite: Suite, check: Check, outcome: Outcome, view: View) -> dict[str, Any]:
    """Return an outcome's details with images, and the names of both sides.

    What the check recorded itself under those names stands.
    """
    details = dict(outcome.details)
    sides = {side: getattr(check, side, None) for side in ("reference", "current")}
    if all(isinstance(name, str) for name in sides.values()):
        details.setdefault("splits", sides)
    if "images" not in details:
        # Whatever a source or somebody's check does here, the verdict does not hang on it.
        with suppress(Exception):
            if found := _images(suite, check, outcome, view):
                details["images"] = found
    return details


def _images(suite: Suite, check: Check, outcome: Outcome, view: View) -> list[dict[str, str]]:
    rows = [*_named(check, outcome.details)]
    if not rows and outcome.status in ("failed", "inconclusive"):
        rows = [*_lost(check, outcome.details, view)]
    opened: dict[str, Samples] = {}
    images = []
    # In the order of the rows: a log is read from front to back.
    for place in sorted(range(len(rows)), key=lambda i: (rows[i][0], rows[i][1])):
        split, row, name, caption = rows[place]
        if split not in opened:
            opened[split] = open_source(suite, suite.split(split)).open(suite.folder)
        batch = opened[split].read(row, row + 1, images=True, columns=[])
        # The data may have changed since it was judged: then it shows something else.
        if batch.images is not None and str(batch.ids[0]) == name:
            text = png(batch.images[0])
            if text is not None:
                images.append((place, {"caption": caption, "png": text}))
    return [image for _, image in sorted(images, key=lambda pair: pair[0])]


def _named(check: Check, details: Mapping[str, Any]) -> Iterator[Shown]:
    """Yield the rows that a check names, as many of either side."""
    for key, (own, other) in _NAMED.items():
        for row in details.get(key, ())[: MOST_IMAGES // 2]:
            split, unlike = str(getattr(check, own)), str(getattr(check, other))
            name = str(row["id"])
            yield split, int(row["row"]), name, f"{split} {name}, least like {unlike}"


def _lost(check: Check, details: Mapping[str, Any], view: View) -> Iterator[Shown]:
    """Yield live rows that the variant gets wrong, of the mistakes that became most frequent.

    Of each mistake the row of which the variant was most sure.
    """
    if "confusions" not in details or view.variant is None:
        return
    split = str(getattr(check, "live"))  # noqa: B009
    evidence = view.split(split)
    columns = ("label", f"predicted:{view.variant}", f"confidence:{view.variant}", "id", "index")
    label, said, sure, ids, index = (evidence.sample(name, labelled=True) for name in columns)
    names = {number: view.class_name(number) for number in {*label.tolist(), *said.tolist()}}
    known: dict[tuple[str, str], list[int]] = {}
    for place in np.flatnonzero(label != said)[np.argsort(-sure[label != said], kind="stable")]:
        pair = names[int(label[place])], names[int(said[place])]
        known.setdefault(pair, []).append(int(place))
    wrong = [
        (str(cell["label"]), str(cell["predicted"]))
        for cell in sorted(details["confusions"], key=lambda cell: cell["offline"] - cell["live"])
        if cell["label"] != cell["predicted"] and cell["live"] > cell["offline"]
    ]
    for is_, called in [pair for pair in wrong if pair in known][:MOST_IMAGES]:
        place = known[is_, called][0]
        # A log of answers alone does not say how sure they were.
        how = f", {100 * sure[place]:.0f} % sure" if np.isfinite(sure[place]) else ""
        caption = f"{is_} called {called}{how}: {ids[place]}"
        yield split, int(index[place]), str(ids[place]), caption
