"""The evidence store: a folder of totals (JSON) and sampled rows (Parquet), content-addressed.

One folder per key, one pair of files per shard. A shard is finished when its JSON file is there:
it is renamed into place after its rows, and carries both digests, so that a torn or damaged file
is found and gathered again rather than believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence, Rows, Totals

if TYPE_CHECKING:
    import pyarrow as pa


def default_folder(suite_folder: Path) -> Path:
    """Return where a suite's evidence lies: $MODELCHECKS_CACHE, or `.modelchecks` beside it."""
    named = os.environ.get("MODELCHECKS_CACHE")
    return Path(named) if named else suite_folder / ".modelchecks"


@dataclass(frozen=True, slots=True)
class Store:
    """Evidence on disk under `folder`; `say` hears of damaged files."""

    folder: Path
    say: Callable[[str], None] = lambda line: None

    def shard_count(self, key: str) -> int | None:
        """Return how many shards the evidence has, or None when that is not known yet."""
        body = self._read(self._path(key) / "shards.json")
        return None if body is None else int(body["shards"])

    def set_shard_count(self, key: str, shards: int, meta: Mapping[str, Any]) -> None:
        """Record the fixed number of shards, and what the key stands for."""
        self._write(self._path(key) / "shards.json", {"shards": shards, "meta": dict(meta)})

    def shard(self, key: str, index: int) -> Evidence | None:
        """Return the stored evidence of one shard; None where it is absent or damaged."""
        path = self._path(key) / f"{index:06d}.json"
        body = self._read(path)
        if body is None:
            return None
        rows_path = path.with_suffix(".parquet")
        try:
            with rows_path.open("rb") as stream:
                seen = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            seen = ""
        if seen != body["rows_sha256"]:
            self.say(f"{rows_path}: damaged or missing; gathering this evidence again")
            return None
        return Evidence(
            body["split"],
            Totals.from_json(body["totals"]),
            Rows(_read_rows(rows_path), int(body["limit"])),
            {},
            body["meta"],
        )

    def save_shard(self, key: str, index: int, evidence: Evidence) -> None:
        """Write one shard's evidence; a reader sees all of it or nothing."""
        path = self._path(key) / f"{index:06d}.json"
        digest = _write_rows(path.with_suffix(".parquet"), evidence.rows.columns)
        body = {
            "split": evidence.split,
            "totals": evidence.totals.to_json(),
            "limit": evidence.rows.limit,
            "rows_sha256": digest,
            "meta": dict(evidence.meta),
        }
        self._write(path, body)

    def outcome(self, key: str) -> dict[str, Any] | None:
        """Return a probe's stored outcome; None where it is absent or damaged."""
        return self._read(self.folder / "probes" / f"{key}.json")

    def save_outcome(self, key: str, outcome: Mapping[str, Any]) -> None:
        """Write a probe's outcome."""
        self._write(self.folder / "probes" / f"{key}.json", dict(outcome))

    def _path(self, key: str) -> Path:
        return self.folder / "evidence" / key

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            return None
        except UnicodeDecodeError:
            text = ""
        try:
            envelope = json.loads(text)
            body: dict[str, Any] = envelope["body"]
            if envelope["sha256"] == self._digest(path, body):
                return body
        except (ValueError, KeyError, TypeError):
            pass
        self.say(f"{path}: damaged; gathering this evidence again")
        return None

    def _write(self, path: Path, body: Mapping[str, Any]) -> None:
        self._prepare(path.parent)
        text = json.dumps({"sha256": self._digest(path, body), "body": body}, allow_nan=False)
        _replace(path, lambda file: file.write_text(text, encoding="utf-8"))

    def _digest(self, path: Path, body: Mapping[str, Any]) -> str:
        # Of the place as well: a file that was moved is whole, and evidence of something else.
        told = [path.relative_to(self.folder).as_posix(), body]
        text = json.dumps(told, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _prepare(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("# written by modelchecks\n*\n", encoding="utf-8")
        except OSError as error:
            raise EvidenceError(
                f"the evidence store {self.folder} cannot be written ({error.strerror or error}); "
                "make it writable or name another folder in MODELCHECKS_CACHE"
            ) from error


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    os.close(handle)
    try:
        write(Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_rows(path: Path, columns: Mapping[str, NDArray[Any]]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            name: pa.array(column.tolist(), pa.string()) if column.dtype == object else column
            for name, column in columns.items()
        }
    )
    _replace(path, lambda file: pq.write_table(table, file, compression="zstd"))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_rows(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    return {name: _to_numpy(table[name].combine_chunks()) for name in table.column_names}


def _to_numpy(array: pa.Array) -> NDArray[Any]:
    """Return a column without Arrow's own `to_numpy`, which would import pandas to judge again."""
    import pyarrow as pa

    if pa.types.is_string(array.type):
        return np.array([*array.to_pylist(), None], dtype=object)[:-1]
    if pa.types.is_boolean(array.type):
        return np.array(array.to_pylist(), dtype=np.bool_)
    if pa.types.is_timestamp(array.type):
        return np.from_dlpack(array.view(pa.int64())).view(f"datetime64[{array.type.unit}]")
    return np.from_dlpack(array)
