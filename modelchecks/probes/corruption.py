"""Rows of a split under a battery of realistic environment changes at five severities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks.change import SEVERITIES
from modelchecks.check import ProbeRequest
from modelchecks.inference import Model
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.environment import battery, changed
from modelchecks.probes.pictures import picture
from modelchecks.probes.rows import Drawn, draw, logits_of, module_of


class Corruption(AtOnce):
    """Which rows a variant has right as they are, and how often under each kind of change."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels"})
    packages: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "pillow")

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {rows, clean, kinds, images}.

        `clean` has a 0 or 1 for each row. Each kind has `kept`, how many of its five severities
        each row was right under, and `severities`, for each of them the rows that were right, those
        right only clean, and those right only changed.
        """
        options = dict(request.options)
        model = module_of(context, request.variant)
        rows = draw(context, request.split, int(options["images"] or 0), labelled=True)
        seed = context.suite.compute.seed
        clean = _right(model, rows)
        found: dict[str, Any] = {}
        images = []
        for kind in str(options["kinds"]).split(","):
            changes = battery(kind, len(rows), seed=seed)
            kept, severities = np.zeros(len(rows), np.int64), []
            for severity in SEVERITIES:
                scaled = [change.times(severity / SEVERITIES[-1]) for change in changes]
                shown = _under(rows, scaled, seed)
                right = _right(model, shown)
                kept += right
                only_clean, only_changed = int((clean & ~right).sum()), int((right & ~clean).sum())
                severities.append([int(right.sum()), only_clean, only_changed])
                if severity == 3 and (clean & ~right).any():
                    first = int(np.argmax(clean & ~right))
                    caption = f"{kind}, severity 3: {rows.ids[first]} is not recognised any more"
                    images.append(picture(caption, shown.images[first]))
            found[kind] = {"kept": kept.tolist(), "severities": severities}
        return {
            "rows": len(rows),
            "clean": clean.astype(int).tolist(),
            "kinds": found,
            "images": images,
        }


def _right(model: Model, rows: Drawn) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = logits_of(model, rows).argmax(1) == rows.labels
    return right


def _under(rows: Drawn, changes: Sequence[Any], seed: int) -> Drawn:
    images: list[NDArray[Any]] = [np.empty(0)] * len(rows)
    for where, group in rows.groups():
        shown = changed(group, [changes[i] for i in where.tolist()], seed=seed)
        for place, image in zip(where.tolist(), shown, strict=True):
            images[place] = image
    return Drawn(rows.ids, rows.labels, tuple(images))
