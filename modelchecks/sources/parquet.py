"""A log in Parquet files: one row per sample, the image as encoded bytes."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelchecks.check import param
from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.sources import Batch, Image

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


@dataclass(frozen=True, kw_only=True)
class ParquetLog:
    """A Parquet log with a row per sample, such as a live environment writes.

    The images are bytes of any format that Pillow reads (PNG, JPEG, ...), or a struct with a
    `bytes` field. Rows without a label (null) count as unlabelled. A log that carries a column of
    predicted classes or probability lists can be judged without any model: `logged: COLUMN` in
    the variant.
    """

    path: str = param("file, folder or glob of Parquet files, relative to the suite file")
    image: str | None = param("column with the encoded image", default=None)
    label: str | None = param("column with the true class: an id or a class name", default=None)
    id: str | None = param("column that names each row; default: file name and row", default=None)
    max_pixels: int = param("refuse to decode a larger image", default=50_000_000)

    def _files(self, folder: Path) -> list[Path]:
        target = folder / self.path
        if target.is_dir():
            files = sorted(target.glob("*.parquet"))
        elif any(mark in self.path for mark in "*?["):
            pattern = Path(self.path)
            root = Path(pattern.anchor) if pattern.is_absolute() else folder
            files = sorted(root.glob(str(pattern.relative_to(pattern.anchor))))
        else:
            files = [target] if target.is_file() else []
        if not files:
            raise EvidenceError(
                f"no Parquet file matches {self.path!r} (looked in {folder.resolve()}). Write the "
                "log there or correct `path:`"
            )
        return files

    def fingerprint(self, folder: Path) -> str:
        """Return the digest of the files' bytes, in the order of their names."""
        digest = hashlib.sha256()
        for file in self._files(folder):
            digest.update(file.name.encode() + b"\0")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def open(self, folder: Path) -> ParquetSamples:
        """Open the files and see that the named columns are there."""
        samples = ParquetSamples(self, tuple(self._files(folder)))
        samples.verify()
        return samples


class ParquetSamples:
    """An opened Parquet log, read row group by row group."""

    def __init__(self, log: ParquetLog, files: tuple[Path, ...]) -> None:
        self._log = log
        self._files = files
        self._kept: tuple[tuple[int, int, tuple[str, ...]], pa.Table] | None = None

    @cached_property
    def _opened(self) -> list[pq.ParquetFile]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        opened = []
        for file in self._files:
            try:
                # Where the writer kept page checksums; without them a flipped bit stays unseen.
                opened.append(pq.ParquetFile(file, page_checksum_verification=True))
            except (pa.ArrowException, OSError) as error:
                raise EvidenceError(
                    f"{file} cannot be read as Parquet: {error}. Write the file again"
                ) from error
        return opened

    @cached_property
    def _groups(self) -> list[tuple[int, int, int, int]]:
        """(first row, rows, file, group) of every row group, in order."""
        found, row = [], 0
        for number, file in enumerate(self._opened):
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                found.append((row, rows, number, group))
                row += rows
        return found

    def __len__(self) -> int:
        return sum(rows for _, rows, _, _ in self._groups)

    def verify(self) -> None:
        """Raise EvidenceError naming the file and the column where a named column is missing."""
        for path, file in zip(self._files, self._opened, strict=True):
            have = file.schema_arrow.names
            for key in ("image", "label", "id"):
                column = getattr(self._log, key)
                if column is not None and column not in have:
                    raise EvidenceError(
                        f"{path} has no column {column!r}, which `{key}:` names"
                        f"{did_you_mean(column, have)}"
                    )

    def read(self, start: int, stop: int, *, images: bool, columns: Sequence[str] | None) -> Batch:
        """Return rows `start` to `stop`; see `Samples.read`."""
        import pyarrow as pa

        log = self._log
        special = {log.image, log.label, log.id} - {None}
        have = list(self._opened[0].schema_arrow.names)
        missing = [name for name in columns or () if name not in have]
        if missing:
            raise EvidenceError(
                f"{self._files[0]} has no column {missing[0]!r}{did_you_mean(missing[0], have)}"
            )
        wanted = [n for n in (have if columns is None else columns) if n not in special]
        named = [name for name in (log.label, log.id) if name is not None]
        if images and log.image is not None:
            named.append(log.image)
        parts, names = [], []
        for first, rows, number, group in self._groups:
            low, high = max(start, first), min(stop, first + rows)
            if low >= high:
                continue
            path = self._files[number]
            table = self._group(number, group, (*wanted, *named))
            parts.append(table.slice(low - first, high - low))
            offset = first - self._before(number, group)
            names += [f"{path.name}:{row - offset}" for row in range(low, high)]
        if not parts:
            return Batch([], np.empty((0, 1, 1, 1), np.uint8) if images else None, None)
        try:
            table = pa.concat_tables(parts)
        except pa.ArrowException as error:
            raise EvidenceError(
                f"the files of {log.path} differ in their columns: {error}"
            ) from error
        ids = names if log.id is None else [str(value) for value in table[log.id].to_pylist()]
        decoded: list[Image | None] | None = None
        unreadable: dict[int, str] = {}
        if images and log.image is not None:
            decoded = []
            for position, value in enumerate(table[log.image].to_pylist()):
                try:
                    decoded.append(decode(value, log.max_pixels))
                except Exception as error:
                    decoded.append(None)
                    unreadable[position] = (
                        f"{names[position]} (id {ids[position]}): {type(error).__name__}: {error}"
                    )
        return Batch(
            ids,
            decoded,
            None if log.label is None else _labels(table[log.label], self._files[0], log.label),
            {name: _column(table[name]) for name in wanted},
            unreadable,
        )

    def _group(self, number: int, group: int, columns: tuple[str, ...]) -> pa.Table:
        """Return a row group; the last one is kept, since batches are smaller than groups."""
        import pyarrow as pa

        if self._kept is None or self._kept[0] != (number, group, columns):
            try:
                table = self._opened[number].read_row_group(group, columns=list(columns))
                table.validate(full=True)
            except (pa.ArrowException, OSError) as error:
                raise EvidenceError(
                    f"{self._files[number]}, row group {group}: damaged or unlike the other "
                    f"files: {error}. Write the file again"
                ) from error
            self._kept = ((number, group, columns), table)
        return self._kept[1]

    def _before(self, number: int, group: int) -> int:
        """Return how many rows of its own file lie before a row group."""
        metadata = self._opened[number].metadata
        return sum(metadata.row_group(before).num_rows for before in range(group))


def decode(value: Any, max_pixels: int) -> Image:
    """Return the image in `value` (bytes, or a mapping with `bytes`) as (height, width, channels).

    Raises ValueError where there is no image or it has more than `max_pixels` pixels, and what
    Pillow raises where the bytes are no whole image.
    """
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    if isinstance(value, dict):
        value = value.get("bytes")
    if not isinstance(value, bytes) or not value:
        raise ValueError("no image bytes")
    with warnings.catch_warnings():
        # Pillow only warns below twice its own limit; ours is checked before a pixel is decoded.
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        try:
            opened = Pillow.open(io.BytesIO(value))
        except Pillow.DecompressionBombError as error:
            raise ValueError(str(error)) from error
        except UnidentifiedImageError as error:
            # Pillow's own text holds a memory address, and would differ from run to run.
            raise ValueError("not an image, or of a format that Pillow does not know") from error
        with opened as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ValueError(f"{width}x{height} is more than max_pixels: {max_pixels}")
            if image.mode in ("P", "PA"):
                # A palette index is no intensity.
                array = np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))
            else:
                array = np.asarray(image.convert("L") if image.mode == "1" else image)
    return array[:, :, None] if array.ndim == 2 else array


def _labels(column: pa.ChunkedArray, file: Path, name: str) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise EvidenceError(f"{file}: label column {name!r} is {kind}, not an id or a name")
    values = column.to_numpy().astype(np.float64)
    whole = np.where(np.isnan(values), -1, values)
    # 2^31: beyond that it is no class id, and soon no exact number.
    wrong = (whole != np.floor(whole)) | (whole >= 2**31) | (values < 0)
    if wrong.any():
        raise EvidenceError(
            f"{file}: label column {name!r} holds {values[wrong][0]}, which is no class id; leave "
            "unlabelled rows null"
        )
    return whole.astype(np.int64)


def _column(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        if column.null_count:
            return column.cast(pa.float64()).to_numpy()
        return column.to_numpy()
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us")).to_numpy()
    return np.array([*column.to_pylist(), None], dtype=object)[:-1]
