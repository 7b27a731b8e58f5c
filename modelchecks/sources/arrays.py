"""Images and labels in NumPy files, read slice by slice, so that they may be larger than memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.check import param
from modelchecks.errors import EvidenceError
from modelchecks.sources import Batch


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Images (n, height, width) or (n, height, width, channels) in an .npy file, labels in another.

    An id is the row's number. Labels are class ids; a negative one stands for none.
    """

    images: str = param(".npy file of the images, relative to the suite file")
    labels: str | None = param(".npy file of the class ids (n,)", default=None)

    def fingerprint(self, folder: Path) -> str:
        """Return the digest of the files' bytes."""
        digest = hashlib.sha256()
        for name in filter(None, (self.images, self.labels)):
            with (folder / name).open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def open(self, folder: Path) -> ArrayFiles:
        """Open the files and see that they belong together; raises EvidenceError."""
        images, labels = folder / self.images, None if self.labels is None else folder / self.labels
        shape = _open(images).shape
        if len(shape) not in (3, 4):
            raise EvidenceError(
                f"{images} has shape {shape}; images are (n, height, width[, channels])"
            )
        if 0 in shape[1:]:
            raise EvidenceError(
                f"{images} has shape {shape}: its images have no pixels; save them again"
            )
        if labels is not None:
            found = _open(labels)
            if found.shape != shape[:1] or found.dtype.kind not in "iu":
                raise EvidenceError(
                    f"{labels} holds {found.dtype} {found.shape}; for {shape[0]} images it must "
                    f"hold {shape[0]} whole numbers. {_mend(found, shape[0])}"
                )
        return ArrayFiles(images, labels, shape[0])


@dataclass(frozen=True)
class ArrayFiles:
    """Opened array files; every read maps its slice anew, so that no page stays in memory."""

    images: Path
    labels: Path | None
    rows: int

    def __len__(self) -> int:
        return self.rows

    def read(self, start: int, stop: int, *, images: bool, columns: Sequence[str] | None) -> Batch:
        """Return rows `start` to `stop`; raises EvidenceError when columns are asked for."""
        if columns:
            raise EvidenceError(f"{self.images} has no column {columns[0]!r}, only images")
        found = np.array(_open(self.images)[start:stop]) if images else None
        return Batch(
            [str(row) for row in range(start, min(stop, self.rows))],
            found[..., None] if found is not None and found.ndim == 3 else found,
            None if self.labels is None else _ids(self.labels, start, stop),
        )


def _ids(path: Path, start: int, stop: int) -> NDArray[np.int64]:
    return np.maximum(_open(path)[start:stop].astype(np.int64), -1)


def _mend(labels: NDArray[Any], images: int) -> str:
    """Return how labels of another form become class ids."""
    if labels.shape == (images,):
        return (
            "If they are class ids, save them with `numpy.save(file, labels.astype('int64'))`, -1 "
            "for no label"
        )
    if labels.ndim == 2 and len(labels) == images and labels.shape[1] > 1:
        return "If they are one-hot, save `labels.argmax(1)`"
    return "Save one class id for each image, in the order of the images"


def _open(path: Path) -> NDArray[Any]:
    try:
        # Reads this one format and no pickle: an array of objects would run code when it loads.
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        reason = str(error)
        if "mmap length" in reason:
            reason = "it is cut off; copy or save it again"
        raise EvidenceError(f"{path} cannot be read as an .npy file: {reason}") from error
    if array.dtype.kind not in "iuf":
        raise EvidenceError(f"{path} holds no plain array of numbers")
    return array
