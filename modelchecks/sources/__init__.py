"""Where samples come from: a source is a frozen dataclass whose fields are its YAML keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError

Image = NDArray[Any]
"""One decoded image: (height, width, channels), uint8 or float."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows of a split, decoded.

    `images` holds one array per row, (height, width, channels), or None where the image cannot be
    read (then `unreadable` gives the reason by position); it is None for a split without images.
    `labels` are class ids, -1 where there is none, strings when the source has class names, or
    one-hot rows (n, classes); None for a split without labels. `columns` are the log's other
    columns, `facts` what the encoded images say of themselves (see `decoding.Decoded`).
    """

    ids: Sequence[str]
    images: NDArray[Any] | Sequence[Image | None] | None = None
    labels: NDArray[Any] | None = None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    unreadable: Mapping[int, str] = field(default_factory=dict)
    facts: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


class Samples(Protocol):
    """An opened split.

    `read` is called from another thread, one call at a time and mostly in order, unless the
    attribute `in_memory` says that reading costs nothing.
    """

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def read(self, start: int, stop: int, *, images: bool, columns: Sequence[str] | None) -> Batch:
        """Return rows `start` to `stop`; images are decoded only when asked for.

        `columns` names the log columns wanted; None means all of them.
        """
        ...


@runtime_checkable
class Source(Protocol):
    """Where a split's rows are; `folder` is the folder of the suite file.

    Both methods raise EvidenceError, or an OSError or ValueError whose message names the file,
    when the rows cannot be had.
    """

    def fingerprint(self, folder: Path) -> str:
        """Return a digest of the rows' content, without decoding them."""
        ...

    def open(self, folder: Path) -> Samples:
        """Open the split for reading."""
        ...


@dataclass(frozen=True, slots=True)
class ArraySamples:
    """Samples that lie in memory (or in a memory map): images (n, height, width, channels)."""

    ids: Sequence[str]
    images: NDArray[Any]
    labels: NDArray[np.int64]
    in_memory: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int, *, images: bool, columns: Sequence[str] | None) -> Batch:
        """Return rows `start` to `stop`; raises EvidenceError when columns are asked for."""
        if columns:
            raise EvidenceError(f"these samples have no column {columns[0]!r}, only labels")
        return Batch(
            self.ids[start:stop],
            self.images[start:stop] if images else None,
            self.labels[start:stop],
        )


_AHEAD = 2


def read_ahead(
    samples: Samples,
    spans: Iterable[tuple[int, int]],
    *,
    images: bool,
    columns: Sequence[str] | None,
) -> Iterator[tuple[int, int, Batch]]:
    """Yield (start, stop, batch) for each span in order, reading the next two in a thread."""
    if getattr(samples, "in_memory", False) or not images:
        for start, stop in spans:
            yield start, stop, samples.read(start, stop, images=images, columns=columns)
        return
    with ThreadPoolExecutor(1, "modelchecks-read") as reader:
        ahead: deque[tuple[int, int, Future[Batch]]] = deque()
        todo = iter(spans)
        try:
            while True:
                while len(ahead) <= _AHEAD and (span := next(todo, None)) is not None:
                    future = reader.submit(samples.read, *span, images=images, columns=columns)
                    ahead.append((*span, future))
                if not ahead:
                    return
                start, stop, future = ahead.popleft()
                yield start, stop, future.result()
        finally:
            for _, _, future in ahead:
                future.cancel()
