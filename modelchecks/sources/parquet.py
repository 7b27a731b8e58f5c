"""A log in Parquet files: one row per sample, the image as encoded bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.check import param
from modelchecks.errors import EvidenceError, did_you_mean
from modelchecks.sources import Batch
from modelchecks.sources.decoding import MAX_PIXELS, Decoded, decode, decode_all, facts

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
    max_pixels: int = param("refuse to decode a larger image", default=MAX_PIXELS)

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
        # A folder that a writer named *.parquet holds the parts of one table.
        parts = [sorted(file.glob("*.parquet")) if file.is_dir() else [file] for file in files]
        files = [file for part in parts for file in part]
        real: dict[Path, Path] = {}
        for file in files:
            if (twin := real.setdefault(file.resolve(), file)) is not file:
                raise EvidenceError(
                    f"{file} is the same file as {twin}: its rows would count twice. Let `path:` "
                    "name only one of them"
                )
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


_ROWS_AT_ONCE = 512


class ParquetSamples:
    """An opened Parquet log, read page by page: never a whole row group, which may be the file."""

    def __init__(self, log: ParquetLog, files: tuple[Path, ...]) -> None:
        self._log = log
        self._files = files
        # Files of one name in different folders are told apart, however long their common path is.
        common = os.path.commonpath([file.parent for file in files])
        self._names = [file.relative_to(common).as_posix() for file in files]
        self._cursor: _Cursor | None = None

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

    @cached_property
    def _everywhere(self) -> list[str]:
        """The columns that every file has, in the order of the first."""
        first, *others = [file.schema_arrow.names for file in self._opened]
        return [name for name in first if all(name in other for other in others)]

    @cached_property
    def plain(self) -> list[str]:
        """Those of them that hold one number, text, truth or time per row in every file."""
        schemas = [file.schema_arrow for file in self._opened]
        return [
            name
            for name in self._everywhere
            if all(_is_plain(schema.field(name).type) for schema in schemas)
        ]

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
        have = self._everywhere
        missing = [name for name in columns or () if name not in have]
        if missing:
            raise EvidenceError(
                f"{self._files[0]} has no column {missing[0]!r}{did_you_mean(missing[0], have)}"
            )
        wanted = [n for n in (self.plain if columns is None else columns) if n not in special]
        named = [name for name in (log.label, log.id) if name is not None]
        if images and log.image is not None:
            named.append(log.image)
        selected = (*wanted, *named)
        if self._cursor is None or not self._cursor.reaches(start, selected):
            self._cursor = _Cursor(self._chunks(start, selected), selected)
        parts, files, names = [], [], []
        for number, row, part in self._cursor.take(start, stop):
            parts.append(part)
            files.append(self._files[number])
            names += [f"{self._names[number]}:{row + i}" for i in range(part.num_rows)]
        if not parts:
            return Batch([], np.empty((0, 1, 1, 1), np.uint8) if images else None, None)
        try:
            table = pa.Table.from_batches(parts)
        except pa.ArrowException as error:
            raise EvidenceError(
                f"the files of {log.path} differ in their columns: "
                f"{next(_differences(files, [part.schema for part in parts]), error)}"
            ) from error
        ids = names if log.id is None else [str(value) for value in table[log.id].to_pylist()]
        decoded: list[Decoded | None] | None = None
        unreadable: dict[int, str] = {}
        if images and log.image is not None:
            decoded, unreadable = decode_all(
                lambda value: decode(value, log.max_pixels),
                table[log.image].to_pylist(),
                lambda position: f"{names[position]} (id {ids[position]})",
            )
        labels = None if log.label is None else _labels(table[log.label], self._files[0], log.label)
        logged = {name: _column(table[name]) for name in wanted}
        if decoded is None:
            return Batch(ids, None, labels, logged)
        pixels = [None if image is None else image.pixels for image in decoded]
        return Batch(ids, pixels, labels, logged, unreadable, facts(decoded))

    def _chunks(
        self, start: int, columns: tuple[str, ...]
    ) -> Iterator[tuple[int, int, int, pa.RecordBatch]]:
        """Yield (first row, file, row in that file, some rows) from the group of `start` on."""
        import pyarrow as pa

        for first, rows, number, group in self._groups:
            if first + rows <= start:
                continue
            row, before = first, first - self._before(number, group)
            try:
                for part in self._opened[number].iter_batches(
                    _ROWS_AT_ONCE, row_groups=[group], columns=list(columns)
                ):
                    part.validate(full=True)
                    yield row, number, row - before, part
                    row += part.num_rows
            except (pa.ArrowException, OSError) as error:
                raise EvidenceError(
                    f"{self._files[number]}, row group {group}: damaged or unlike the other "
                    f"files: {error}. Write the file again"
                ) from error

    def _before(self, number: int, group: int) -> int:
        """Return how many rows of its own file lie before a row group."""
        metadata = self._opened[number].metadata
        return sum(metadata.row_group(before).num_rows for before in range(group))


class _Cursor:
    """Reads on where the last call stopped, so that reading in order decompresses a page once."""

    def __init__(
        self, chunks: Iterator[tuple[int, int, int, pa.RecordBatch]], columns: tuple[str, ...]
    ) -> None:
        self._chunks = chunks
        self._columns = columns
        self._rest: tuple[int, int, int, pa.RecordBatch] | None = None
        self._at = 0

    def reaches(self, start: int, columns: tuple[str, ...]) -> bool:
        """Return whether row `start` lies ahead and these are the columns that are read."""
        return columns == self._columns and self._at <= start

    def take(self, start: int, stop: int) -> Iterator[tuple[int, int, pa.RecordBatch]]:
        """Yield (file, row in that file, rows) of rows `start` to `stop`."""
        self._at = stop
        while (chunk := self._rest or next(self._chunks, None)) is not None:
            first, number, row, part = chunk
            self._rest = chunk if first + part.num_rows > stop else None
            low, high = max(start, first), min(stop, first + part.num_rows)
            if low < high:
                yield number, row + low - first, part.slice(low - first, high - low)
            if self._rest is not None:
                return


def _labels(column: pa.ChunkedArray, file: Path, name: str) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _one_hot(column.to_pylist(), file, name)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise EvidenceError(f"{file}: label column {name!r} is {kind}, not an id or a name")
    # pyarrow's own way to numpy loads pandas, which is much for the few rows that a report shows.
    few = len(column) <= 100
    values = (
        np.array(column.to_pylist(), np.float64) if few else column.to_numpy().astype(np.float64)
    )
    whole = np.where(np.isnan(values), -1, values)
    # 2^31: beyond that it is no class id, and soon no exact number.
    wrong = (whole != np.floor(whole)) | (whole >= 2**31) | (values < 0)
    if wrong.any():
        raise EvidenceError(
            f"{file}: label column {name!r} holds {values[wrong][0]}, which is no class id; leave "
            "unlabelled rows null"
        )
    return whole.astype(np.int64)


def _differences(files: Sequence[Path], schemas: Sequence[Any]) -> Iterator[str]:
    """Yield each column that two files hold in different types."""
    for file, schema in zip(files, schemas, strict=True):
        for first, field in zip(schemas[0], schema, strict=True):
            if field.type != first.type:
                one, other = f"{first.type} in {files[0].name}", f"{field.type} in {file.name}"
                yield f"{field.name!r} is {one} and {other}; write it with one type"


def _one_hot(values: Sequence[Any], file: Path, name: str) -> NDArray[np.float64]:
    """Return lists of one number per class as rows (n, classes); NaN where there is no list."""
    widths = {len(value) for value in values if value is not None}
    if len(widths) > 1 or widths & {0, 1}:
        raise EvidenceError(
            f"{file}: label column {name!r} holds lists of {sorted(widths)} values, not an id or a "
            "name; a one-hot label has one number per class in every row"
        )
    blank = [np.nan] * (widths.pop() if widths else 1)
    try:
        return np.array([blank if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvidenceError(
            f"{file}: label column {name!r} holds lists that are no numbers: {error}"
        ) from error


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    of = pa.types
    return bool(
        of.is_integer(kind)
        or of.is_floating(kind)
        or of.is_decimal(kind)
        or of.is_boolean(kind)
        or of.is_temporal(kind)
        or of.is_string(kind)
        or of.is_large_string(kind)
    )


def _column(column: pa.ChunkedArray) -> Any:
    """Return a column as numbers (null is NaN), truths, microseconds, or Python objects."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64(), safe=False), pa.float64()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        if column.null_count:
            return column.cast(pa.float64(), safe=False).to_numpy()
        return column.to_numpy()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"), safe=False).to_numpy()
    if pa.types.is_temporal(kind):
        column = column.cast(pa.string())
    return np.array([*column.to_pylist(), None], dtype=object)[:-1]
