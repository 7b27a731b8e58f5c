"""What a result shows beside its numbers: images of rows, and a map of embeddings.

Nothing here decides anything, and nothing here may fail a case: what cannot be shown is left out.
Images are read from the split's source, a few for each case, and only of the rows that were judged.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.check import Check, Outcome, View
from modelchecks.identity import open_source
from modelchecks.sources import Samples
from modelchecks.suite import Suite

MOST_IMAGES, SIDE = 8, 64
"""Images of a case, and the pixels of their longer side."""
MAP_POINTS, MAP_ROWS = 200, 2_000
"""Points of either side on a map, and the rows that its axes are found from."""
_NAMED = {
    "current_least_like_reference": ("current", "reference"),
    "reference_least_like_current": ("reference", "current"),
}
"""Details that name rows of a split, by the fields that name it and the one it is unlike."""

Shown = tuple[str, int, str, str]
"""A row to show: split, position, id, caption."""


def illustrated(suite: Suite, check: Check, outcome: Outcome, view: View) -> dict[str, Any]:
    """Return an outcome's details with images, the names of both sides, and a map of embeddings.

    What the check recorded itself under those names stands.
    """
    details = dict(outcome.details)
    sides = {side: getattr(check, side, None) for side in ("reference", "current")}
    if all(isinstance(name, str) for name in sides.values()):
        details.setdefault("splits", sides)
    for key, make in (("images", _images), ("embedding", _map)):
        if key in details:
            continue
        try:
            found = make(suite, check, outcome, view)
        except Exception:
            # Whatever a source or somebody's check does here, the verdict does not hang on it.
            continue
        if found:
            details[key] = found
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
            declared = next(found for found in suite.splits if found.name == split)
            opened[split] = open_source(suite, declared).open(suite.folder)
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


def _map(
    suite: Suite, check: Check, outcome: Outcome, view: View
) -> dict[str, list[list[float]]] | None:
    """Return the first two principal axes of both sides' embeddings, of a sample of their rows."""
    names = [str(getattr(check, side, "")) for side in ("reference", "current")]
    if view.variant is None or "directions" not in outcome.details or names[0] == names[1]:
        return None
    sides = [
        view.split(name).sample(f"embedding:{view.variant}")[:MAP_ROWS].astype(np.float64)
        for name in names
    ]
    return {
        name: np.round(places, 4).tolist()
        for name, places in zip(names, projected(sides), strict=True)
    }


def projected(sides: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return the first points of each side on the two axes along which all of them vary most.

    An axis has no direction of its own: each is turned so that its largest weight is positive, by
    which two renderings are the same.
    """
    both = np.concatenate(sides)
    mean = both.mean(axis=0)
    axes = np.linalg.svd(both - mean, full_matrices=False)[2][:2]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return [(side[:MAP_POINTS] - mean) @ axes.T for side in sides]


def png(image: NDArray[Any] | None) -> str | None:
    """Return a small PNG of an image (height, width, channels) in base64, or None without one.

    Numbers that are no bytes are taken to be 0 to 1, or their own range where they are beyond it.
    """
    if image is None or not image.size:
        return None
    from PIL import Image

    pixels = image[..., :3] if image.shape[2] >= 3 else image[..., 0]
    if pixels.dtype != np.uint8:
        numbers = np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0)
        low, high = min(float(numbers.min()), 0.0), max(float(numbers.max()), 1.0)
        pixels = np.rint((numbers - low) / (high - low) * 255).astype(np.uint8)
    shown = Image.fromarray(np.ascontiguousarray(pixels))
    shown.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    shown.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
