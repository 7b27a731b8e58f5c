"""Fashion-MNIST as one pool of 70,000 items, cut into the seeded splits of the case study.

Source of the data: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms", arXiv:1708.07747 (MIT licence).
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from modelchecks.check import param
from modelchecks.sources import ArraySamples

CLASSES: Final = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SHIRT: Final = CLASSES.index("Shirt")
SHIRT_WEIGHT: Final = 0.3
"""How often the catalogue holds a shirt, where every other class has weight 1."""

SIZES: Final = {"train": 40_000, "val": 4_000, "adapt": 4_000, "offline": 8_000}
"""Rows of the splits that are drawn with the catalogue's prior; `live_pool` is what is left."""

_PARTITION_SEED: Final = 7_708_747
_ENVIRONMENT: Final = "FASHION_MNIST"
_DEBIAN: Final = Path("/usr/share/datasets/fashion-mnist")
_PARTS: Final = (("train", 60_000), ("t10k", 10_000))
_KINDS: Final = (("images-idx3-ubyte", (28, 28)), ("labels-idx1-ubyte", ()))
_FILES: Final = tuple(f"{part}-{kind}" for part, _ in _PARTS for kind, _ in _KINDS)


def find_folder(folder: str | Path | None = None, *, cache: str | Path | None = None) -> Path:
    """Return the folder that holds the four idx files, gzipped or not.

    Looked at in this order: `folder`, the environment variable FASHION_MNIST, `cache` (where the
    caller keeps what it downloads), the Debian package's folder. A folder that the user named, by
    argument or variable, is the only one looked at: other data in its place would be a surprise.
    In each, torchvision's own layout (`FashionMNIST/raw`) is accepted too. Raises
    FileNotFoundError with the three remedies.
    """
    named = folder if folder is not None else os.environ.get(_ENVIRONMENT) or None
    places = [Path(named)] if named else [*([Path(cache)] if cache else []), _DEBIAN]
    for place in places:
        for candidate in (place, place / "raw", place / "FashionMNIST" / "raw"):
            if all(_file(candidate, name) for name in _FILES):
                return candidate
    raise FileNotFoundError(
        f"Fashion-MNIST was not found in {' or '.join(str(place) for place in places)}: "
        f"a folder must hold {', '.join(f'{name}[.gz]' for name in _FILES)}. Any one of these "
        "mends it:\n"
        "  1. on Debian or Ubuntu: apt-get install dataset-fashion-mnist\n"
        '  2. with internet access: python -c "from torchvision.datasets import FashionMNIST as F;'
        " F('fashion', download=True); F('fashion', train=False, download=True)\" and then "
        f"{_ENVIRONMENT}=fashion\n"
        f"  3. name a folder that has the files: `folder: PATH` in the suite, or "
        f"{_ENVIRONMENT}=PATH"
    )


def load_pool(folder: str | Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return all 70,000 images (n, 28, 28), 0 = background, and their labels 0..9, always in order.

    The 60,000 items of the original training files come first, then the 10,000 of the test files.
    Raises ValueError naming the file that is damaged, FileNotFoundError when one is missing.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[NDArray[np.uint8]] = []
    for part, rows in _PARTS:
        for (kind, item), into in zip(_KINDS, (images, labels), strict=True):
            path = _file(Path(folder), f"{part}-{kind}")
            if path is None:
                raise FileNotFoundError(f"{Path(folder) / f'{part}-{kind}'}[.gz] does not exist")
            array = read_idx(path)
            if array.shape != (rows, *item):
                raise ValueError(
                    f"{path} is not Fashion-MNIST's: its shape is {array.shape}, "
                    f"not {(rows, *item)}"
                )
            if not item and int(array.max()) >= len(CLASSES):
                raise ValueError(f"{path} is damaged: it has labels up to {int(array.max())}")
            into.append(array)
    return np.concatenate(images), np.concatenate(labels).astype(np.int64)


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes, gzipped when its name ends in `.gz`.

    The format: two zero bytes, type 8, the number of dimensions, each dimension as a big-endian
    uint32, then the bytes (http://yann.lecun.com/exdb/mnist). Raises ValueError naming the file
    when it is cut short, too long, no gzip or of another type.
    """
    path = Path(path)
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise
        raise ValueError(f"{path} is damaged: {error}; remove it and get it again") from error
    dimensions = raw[3] if len(raw) > 3 else 0
    if raw[:3] != b"\x00\x00\x08" or dimensions == 0:
        raise ValueError(
            f"{path} is damaged: it starts with {raw[:4].hex() or 'nothing'}, which is not the "
            "magic number of an idx file of unsigned bytes"
        )
    start = 4 + 4 * dimensions
    if len(raw) < start:
        raise ValueError(f"{path} is damaged: it ends within its header; get it again")
    shape = tuple(int(size) for size in np.frombuffer(raw[4:start], ">u4"))
    expected = start + math.prod(shape)
    if len(raw) != expected:
        raise ValueError(
            f"{path} is damaged: its header {shape} asks for {expected} bytes, "
            f"it has {len(raw)}; remove it and get it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def partition(labels: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return disjoint rows of the pool for train, val, adapt, offline and live_pool, always alike.

    The first four are exchangeable: one draw with the catalogue's prior (weight .3 for 'Shirt', 1
    for the others; the class counts are multinomial), shuffled and cut. `live_pool` is the rest,
    ascending. Raises ValueError when a class has too few items.
    """
    draw = np.random.default_rng(_PARTITION_SEED)
    weights = np.where(np.arange(len(CLASSES)) == SHIRT, SHIRT_WEIGHT, 1.0)
    chosen = draw_rows(labels, np.arange(len(labels)), weights, sum(SIZES.values()), draw)
    cuts = np.cumsum(list(SIZES.values()))[:-1]
    splits = dict(zip(SIZES, np.split(chosen, cuts), strict=True))
    splits["live_pool"] = np.setdiff1d(np.arange(len(labels)), chosen)
    return splits


def draw_rows(
    labels: NDArray[np.int64],
    pool: NDArray[np.int64],
    weights: NDArray[np.float64],
    rows: int,
    draw: np.random.Generator,
) -> NDArray[np.int64]:
    """Return `rows` members of `pool` in random order, without replacement within a class.

    The class counts are multinomial in `weights` (one for each class, any scale), as they would be
    for rows that arrive independently. Raises ValueError when a class has too few members.
    """
    counts = draw.multinomial(rows, weights / weights.sum())
    chosen = []
    for label, count in enumerate(counts):
        members = pool[labels[pool] == label]
        if count > len(members):
            raise ValueError(
                f"{count} items of class {label} ({CLASSES[label]}) are needed, "
                f"the pool has {len(members)}"
            )
        chosen.append(draw.permutation(members)[:count])
    return draw.permutation(np.concatenate(chosen)).astype(np.int64)


def _file(folder: Path, name: str) -> Path | None:
    """Return the gzipped or the plain file of that name, or None."""
    for candidate in (folder / f"{name}.gz", folder / name):
        if candidate.is_file():
            return candidate
    return None


@lru_cache(maxsize=1)
def _pool(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return `load_pool`, read once for the splits of one run."""
    return load_pool(folder)


@dataclass(frozen=True, kw_only=True)
class FashionMNIST:
    """Fashion-MNIST's 70,000 images, cut into the case study's seeded, disjoint splits.

    train, val, adapt and offline are drawn alike, with the prior of a catalogue that has few
    shirts; live_pool is what is left.
    """

    split: Literal["train", "val", "adapt", "offline", "live_pool"] = param("which rows")
    folder: str | None = param("folder with the idx files; default: searched for", default=None)

    def _folder(self, suite_folder: Path) -> Path:
        named = None if self.folder is None else suite_folder / self.folder
        return find_folder(named, cache=suite_folder / "data" / "fashion-mnist")

    def fingerprint(self, folder: Path) -> str:
        """Return the digest of the idx files' content and the split's name."""
        found = self._folder(folder)
        digest = hashlib.sha256(self.split.encode())
        for name in _FILES:
            path = _file(found, name)
            if path is not None:
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def open(self, folder: Path) -> ArraySamples:
        """Return the split's rows; an id is the row's place in the pool."""
        images, labels = _pool(self._folder(folder))
        rows = partition(labels)[self.split]
        ids = [f"fashion-{row:05d}" for row in rows]
        return ArraySamples(ids, images[rows][..., None], labels[rows])
