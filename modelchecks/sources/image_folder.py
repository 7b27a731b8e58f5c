"""A folder of image files, one folder inside it for each class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelchecks.check import param
from modelchecks.errors import EvidenceError
from modelchecks.sources import Batch
from modelchecks.sources.decoding import MAX_PIXELS, Decoded, decode, decode_all, facts

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Image files as `CLASS/name.png`, the layout of torchvision's ImageFolder.

    The label is the name of the folder, which the suite's `classes:` lists in the order of the
    model's outputs; the id is the path inside `path`. With `labelled: false` files may lie
    anywhere below and have no label.
    """

    path: str = param("folder, relative to the suite file")
    labelled: bool = param("whether the folders are class names", default=True)
    max_pixels: int = param("refuse to decode a larger image", default=MAX_PIXELS)

    def _files(self, folder: Path) -> tuple[Path, list[str]]:
        root = folder / self.path
        if not root.is_dir():
            raise EvidenceError(f"{root} is no folder; put the images there or correct `path:`")
        names = sorted(
            file.relative_to(root).as_posix()
            for file in root.rglob("*")
            if file.suffix.lower() in SUFFIXES and file.is_file()
        )
        if not names:
            raise EvidenceError(f"{root} holds no image file ({', '.join(SUFFIXES)})")
        loose = [name for name in names if self.labelled and name.count("/") != 1]
        if loose:
            raise EvidenceError(
                f"{root / loose[0]} does not lie in a folder of its class; move it, or say "
                "`labelled: false`"
            )
        return root, names

    def fingerprint(self, folder: Path) -> str:
        """Return the digest of the files' names and bytes."""
        root, names = self._files(folder)
        digest = hashlib.sha256()
        for name in names:
            digest.update(name.encode() + b"\0")
            digest.update(hashlib.sha256((root / name).read_bytes()).digest())
        return digest.hexdigest()

    def open(self, folder: Path) -> ImageFiles:
        """Open the folder for reading."""
        return ImageFiles(*self._files(folder), self.labelled, self.max_pixels)


@dataclass(frozen=True)
class ImageFiles:
    """An opened folder; `names` are paths inside `root`."""

    root: Path
    names: Sequence[str]
    labelled: bool
    max_pixels: int

    def __len__(self) -> int:
        return len(self.names)

    def read(self, start: int, stop: int, *, images: bool, columns: Sequence[str] | None) -> Batch:
        """Return rows `start` to `stop`; raises EvidenceError when columns are asked for."""
        if columns:
            raise EvidenceError(f"{self.root} has no column {columns[0]!r}, only images")
        names = self.names[start:stop]
        decoded: list[Decoded | None] | None = None
        unreadable: dict[int, str] = {}
        if images:
            decoded, unreadable = decode_all(self._decode, names, lambda at: names[at])
        labels = None
        if self.labelled:
            labels = np.array([*(name.partition("/")[0] for name in names), None], object)[:-1]
        if decoded is None:
            return Batch(names, None, labels)
        pixels = [None if image is None else image.pixels for image in decoded]
        return Batch(names, pixels, labels, {}, unreadable, facts(decoded))

    def _decode(self, name: str) -> Decoded:
        return decode((self.root / name).read_bytes(), self.max_pixels)
