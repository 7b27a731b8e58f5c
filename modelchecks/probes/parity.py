"""The same golden inputs through the offline transform and the live path, and what comes out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks import registry
from modelchecks.check import ProbeRequest
from modelchecks.diagnosis import diagnose
from modelchecks.errors import EvidenceError
from modelchecks.facets import ROWS
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.sources import Batch
from modelchecks.suite import Suite
from modelchecks.thumbnail import png

PLAIN = "modelchecks.inference:to_tensor"
AS_IT_IS = "modelchecks.inference:as_tensor"
EXAMPLES = 4
DIAGNOSED = 64
"""How many rows a cause is looked for in."""

Tensor = NDArray[np.float64]


class Parity(AtOnce):
    """Differences of two tensors of the same inputs, and of the model's answers to them.

    The request's options are `offline`, `live` (a callable `module:attribute`, a recorded .npy
    file, or none for the variant's own transform), `rows` and `logits`.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({ROWS})
    packages: ClassVar[tuple[str, ...]] = ("numpy", "torch", "pillow")

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {rows, shapes, types, difference, flips, logits, causes, examples}."""
        options = dict(request.options)
        variant = context.suite.variant(request.variant)
        assert variant is not None
        names = [str(options[side] or variant.transform or PLAIN) for side in ("offline", "live")]
        if names[0] == names[1]:
            raise EvidenceError(
                f"parity of variant {variant.name!r}: offline and live are both {names[0]!r}, so "
                "comparing them says nothing; name the live path with `live:`"
            )
        golden = _Golden(context, names, int(options["rows"] or 0))
        offline, live = (golden.tensor(name) for name in names)
        found: dict[str, Any] = {
            "rows": len(offline),
            "shapes": [list(offline.shape[1:]), list(live.shape[1:])],
            "types": [str(offline.dtype), str(live.dtype)],
            "difference": None,
            "worst": None,
            "broken": int((~np.isfinite(live.astype(np.float64))).sum()),
            "examples": [],
            "answers": None,
        }
        if len(offline) != len(live):
            raise EvidenceError(
                f"parity: {names[0]} has {len(offline)} rows and {names[1]} has {len(live)}; both "
                "must be made of the same inputs"
            )
        if not np.isfinite(offline.astype(np.float64)).all():
            raise EvidenceError(f"parity: {names[0]} gives NaN or infinity, so it is no reference")
        if offline.shape == live.shape and not found["broken"]:
            found |= _differences(golden, offline.astype(np.float64), live.astype(np.float64))
        if not found["broken"]:
            found["causes"] = golden.causes(names[0], offline, live)
        if options["logits"]:
            if variant.logged is not None:
                raise EvidenceError(
                    f"variant {variant.name!r} is a log of answers, so there is no model to ask; "
                    "say `logits: false`"
                )
            found["answers"] = _answers(context, offline, live)
        return {"causes": [], **found}


class _Golden:
    """The golden inputs: rows of the split, read once, or whatever was recorded."""

    def __init__(self, context: ProbeContext, names: Sequence[str], rows: int) -> None:
        self._context = context
        lengths = {len(_recorded(context.suite, name)) for name in names if not _is_code(name)}
        total = context.evidence.total
        if lengths:
            # Recordings are of the first rows, in the order of the split.
            self.rows = list(range(min(max(lengths), total)))
            self._needed = any(_is_code(name) for name in names)
        else:
            self.rows = sorted(context.evidence.sample("index")[:rows].tolist())
            self._needed = True
        if not self.rows:
            raise EvidenceError(f"split {context.evidence.split!r} has no rows")

    @functools.cached_property
    def _read(self) -> tuple[list[str], list[NDArray[Any]]]:
        samples, ids, images = self._context.samples(), [], []
        for row in self.rows:
            batch = samples.read(row, row + 1, images=True, columns=[])
            image = None if batch.images is None else batch.images[0]
            if image is None:
                raise EvidenceError(
                    f"golden input {batch.ids[0]} of split {self._context.evidence.split!r} cannot "
                    "be read; repair it, or name another split"
                )
            ids.append(str(batch.ids[0]))
            images.append(np.asarray(image))
        return ids, images

    @property
    def ids(self) -> list[str]:
        """Return how the rows are called."""
        return self._read[0] if self._needed else [f"row {row}" for row in self.rows]

    @property
    def images(self) -> list[NDArray[Any]] | None:
        """The images, where they were read."""
        return self._read[1] if self._needed else None

    def tensor(self, name: str) -> NDArray[Any]:
        """Return what a callable makes of the golden inputs, or a recording of it."""
        if not _is_code(name):
            return _recorded(self._context.suite, name)
        return _made(self._context.suite, name, self.images or [])

    def causes(
        self, offline_name: str, offline: NDArray[Any], live: NDArray[Any]
    ) -> list[dict[str, Any]]:
        """Return why the two differ, as far as some of the rows tell."""
        again: Callable[[NDArray[Any]], Tensor] | None = None
        raw = self.images[:DIAGNOSED] if self.images is not None else None
        if _is_code(offline_name):

            def again(images: NDArray[Any]) -> Tensor:
                made = _made(self._context.suite, offline_name, list(images))
                return made.astype(np.float64)

        before, after = (side[:DIAGNOSED].astype(np.float64) for side in (offline, live))
        return [
            {"kind": one.kind, "told": one.told, "explained": one.explained}
            for one in diagnose(before, after, raw, again)
        ]


def _is_code(name: str) -> bool:
    return ":" in name


def _recorded(suite: Suite, name: str) -> NDArray[Any]:
    path = suite.folder / Path(name)
    try:
        found: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EvidenceError(
            f"recorded tensor {path} cannot be read as an .npy file: {error}"
        ) from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf" or not len(found):
        raise EvidenceError(f"recorded tensor {path} holds no array of numbers (n, ...)")
    return found


def _made(suite: Suite, name: str, images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return what a callable makes of images, in one call for those of one shape."""
    try:
        transform = registry.load(name, suite.folder)
    except registry.UnknownNameError as error:
        raise EvidenceError(f"parity: {error}") from error
    same = len({(image.shape, str(image.dtype)) for image in images}) == 1
    parts = [np.stack(images)] if same else [image[None] for image in images]
    made = []
    for part in parts:
        try:
            tensor = transform(part.copy())
            if hasattr(tensor, "detach"):
                tensor = tensor.detach().cpu()
            made.append(np.asarray(tensor))
        except (Exception, SystemExit) as error:
            raise EvidenceError(
                f"parity: `{name}` raised {type(error).__name__} on images of shape {part.shape}: "
                f"{error}"
            ) from error
        if made[-1].dtype.kind not in "iuf" or len(made[-1]) != len(part):
            raise EvidenceError(
                f"parity: `{name}` gave {made[-1].dtype} {made[-1].shape} for {len(part)} images; "
                "it must give one tensor of numbers for each"
            )
    if len({one.shape[1:] for one in made}) > 1:
        raise EvidenceError(f"parity: `{name}` gives tensors of different shapes")
    return np.concatenate(made)


def _differences(golden: _Golden, offline: Tensor, live: Tensor) -> dict[str, Any]:
    """Return how far the tensors are apart, in deviations of an offline value, row by row."""
    deviation = float(offline.std())
    if not deviation:
        raise EvidenceError("parity: all values of the offline tensor are equal")
    apart = np.abs(offline - live).reshape(len(offline), -1) / deviation
    per_row = apart.mean(axis=1)
    worst = np.argsort(-per_row, kind="stable")[:EXAMPLES].tolist()
    return {
        "difference": float(per_row.mean()),
        "worst": float(apart.max()),
        "examples": [
            {
                "id": golden.ids[row],
                "difference": float(per_row[row]),
                "offline": _shown(offline[row]),
                "live": _shown(live[row]),
            }
            for row in worst
            if per_row[row] > 0
        ],
    }


def _shown(tensor: Tensor) -> str | None:
    """Return a picture of a tensor (channels, height, width), or none where it is no such."""
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        return None
    return png(tensor.transpose(1, 2, 0))


def _answers(context: ProbeContext, offline: NDArray[Any], live: NDArray[Any]) -> dict[str, Any]:
    """Return how often the model's first answer changes, and by how much its logits do."""
    model = context.model(transform=AS_IT_IS)
    ids = [str(row) for row in range(len(offline))]
    before = model(Batch(ids, offline))
    try:
        after = model(Batch(ids, live))
    except EvidenceError as error:
        return {"refused": str(error)}
    if before.logits is None or after.logits is None or not before.finite.all():
        raise EvidenceError("parity: the model gives no finite logits of the offline tensor")
    moved = np.abs(before.logits.astype(np.float64) - after.logits.astype(np.float64))
    if not after.finite.all():
        return {"refused": "the model gives NaN or infinite logits of the live tensor"}
    return {
        "refused": None,
        "flips": int((before.predicted != after.predicted).sum()),
        "mean": float(moved.mean()),
        "most": float(moved.max()),
    }
