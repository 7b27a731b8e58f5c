"""The evidence store: a folder of totals (JSON) and sampled rows (Parquet), content-addressed.

One folder per facet and key. While a pass is under way it holds a pair of files per shard, in the
end one pair for all of them. A pair is finished when its JSON file is there: it is renamed into
place after its rows, and carries both digests, so that a torn or damaged file is found and
gathered again rather than believed. Locks let several gates share one pass.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.totals import Rows, Totals

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = "whole"


def default_folder(suite_folder: Path) -> Path:
    """Return where a suite's evidence lies: $MODELCHECKS_CACHE, or `.modelchecks` beside it."""
    named = os.environ.get("MODELCHECKS_CACHE")
    return Path(named) if named else suite_folder / ".modelchecks"


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored facet or probe outcome: what it is, its size in bytes, when it was last used."""

    folder: Path
    meta: Mapping[str, Any]
    size: int
    used: float
    whole: bool

    def remove(self) -> None:
        """Remove it; a gate that wants it gathers it again."""
        # First what makes it believed.
        for file in self.folder.glob("*.json"):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Store:
    """Evidence on disk under `folder`; `say` hears of damaged files."""

    folder: Path
    say: Callable[[str], None] = lambda line: None

    def whole(self, key: str) -> Evidence | None:
        """Return the evidence of a facet over all shards; None where it is absent or damaged."""
        return self._evidence(key, WHOLE)

    def save_whole(self, key: str, evidence: Evidence, shards: int | None = None) -> None:
        """Write a facet's evidence over all shards; drop these, unless so many are to be kept."""
        self._save(key, WHOLE, evidence, shards)
        if shards is not None:
            return
        for file in (*self._path(key).glob("[0-9]*.json"), *self._path(key).glob("[0-9]*.parquet")):
            file.unlink(missing_ok=True)

    def drop_damaged(self, key: str) -> None:
        """Remove what `whole` did not believe, so that it is told once."""
        with suppress(OSError):
            (self._path(key) / f"{WHOLE}.json").unlink()

    def shard(self, key: str, index: int) -> Evidence | None:
        """Return the stored evidence of one shard; None where it is absent or damaged."""
        return self._evidence(key, f"{index:06d}")

    def save_shard(self, key: str, index: int, evidence: Evidence) -> None:
        """Write one shard's evidence; a reader sees all of it or nothing."""
        self._save(key, f"{index:06d}", evidence)

    def every_row(self, key: str, shard: int | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the columns of a facet that keeps all its rows, shard by shard, or of one shard.

        Raises EvidenceError where a file is missing or damaged, and drops the facet, so that the
        next gate gathers it again.
        """
        body = self._read(self._path(key) / f"{WHOLE}.json")
        shards = 0 if body is None else int(body.get("shards") or 0)
        for index in range(shards) if shard is None else [shard]:
            part = self.shard(key, index) if index < shards else None
            if part is None:
                self.discard(key)
                raise EvidenceError(
                    f"{self._path(key) / f'{index:06d}.parquet'} is damaged or missing, and was "
                    "dropped; run the gate again to gather it"
                )
            yield part.rows.columns

    def discard(self, key: str) -> None:
        """Remove a facet's evidence, which turned out to be of something else."""
        Entry(self._path(key), {}, 0, 0.0, True).remove()

    def outcome(self, key: str) -> dict[str, Any] | None:
        """Return a probe's stored outcome; None where it is absent or damaged."""
        body = self._read(self.folder / "probes" / key / "outcome.json")
        return None if body is None else dict(body["outcome"])

    def save_outcome(
        self, key: str, outcome: Mapping[str, Any], meta: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Write a probe's outcome; `meta` says what it is of."""
        self._write(
            self.folder / "probes" / key / "outcome.json",
            {"outcome": dict(outcome), "meta": dict(meta)},
        )

    def pace(self, key: str) -> dict[str, Any] | None:
        """Return how fast a model was measured to answer; None where it was not."""
        return self._read(self.folder / "paces" / f"{key}.json")

    def save_pace(self, key: str, pace: Mapping[str, Any]) -> None:
        """Remember how a model is asked fastest on this machine."""
        self._write(self.folder / "paces" / f"{key}.json", dict(pace))

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of that name among all gates on this store; yield whether it is held.

        With `wait` false it is not held where another gate holds it. A killed process holds none.
        """
        from filelock import FileLock, Timeout

        folder = self.folder / "locks"
        self._prepare(folder)
        held = FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0)
        try:
            held.acquire(poll_interval=0.02)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            held.release()

    def entries(self) -> Iterator[Entry]:
        """Yield all that is stored, without opening any rows."""
        for name, finished in (("evidence", f"{WHOLE}.json"), ("probes", "outcome.json")):
            for path in sorted((self.folder / name).glob("*/")):
                whole = (path / finished).exists()
                first = path / finished if whole else next(iter(sorted(path.glob("*.json"))), None)
                body = (self._peek(first) if first else None) or {}
                with suppress(OSError):
                    used = path.stat().st_mtime
                    size = sum(file.stat().st_size for file in path.iterdir())
                    yield Entry(path, body.get("meta", {}), size, used, whole)

    def _peek(self, path: Path) -> dict[str, Any] | None:
        try:
            body = json.loads(path.read_text(encoding="utf-8"))["body"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return body if isinstance(body, dict) else None

    def _path(self, key: str) -> Path:
        return self.folder / "evidence" / key

    def _evidence(self, key: str, name: str) -> Evidence | None:
        path = self._path(key) / f"{name}.json"
        body = self._read(path)
        if body is None:
            return None
        kept = [path.with_name(f"{index:06d}.json") for index in range(body.get("shards") or 0)]
        if not all(shard.exists() and shard.with_suffix(".parquet").exists() for shard in kept):
            self.say(f"{path.parent}: a shard is missing; gathering this evidence again")
            return None
        rows_path = path.with_suffix(".parquet")
        try:
            data = rows_path.read_bytes()
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() != body["rows_sha256"]:
            # Another gate may just have put the whole in the place of its shards.
            if path.exists():
                self.say(f"{rows_path}: damaged or missing; gathering this evidence again")
            return None
        rows = Rows(_read_rows(data), int(body["limit"]))
        return Evidence(body["split"], Totals.from_json(body["totals"]), rows, {}, body["meta"])

    def _save(self, key: str, name: str, evidence: Evidence, shards: int | None = None) -> None:
        path = self._path(key) / f"{name}.json"
        self._prepare(path.parent)
        digest = _write_rows(path.with_suffix(".parquet"), evidence.rows.columns)
        body = {
            "split": evidence.split,
            "totals": evidence.totals.to_json(),
            "limit": evidence.rows.limit,
            "rows_sha256": digest,
            "meta": dict(evidence.meta),
            "shards": shards,
        }
        self._write(path, body)

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
                # For `cache prune`: what is read is in use. A read-only store is read all the same.
                with suppress(OSError):
                    os.utime(path.parent)
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

    table = pa.table({name: _to_arrow(column) for name, column in columns.items()})
    # A dictionary of numbers that all differ takes three times as long and a third more room.
    words = [field.name for field in table.schema if pa.types.is_string(field.type)]
    _replace(
        path, lambda file: pq.write_table(table, file, compression="zstd", use_dictionary=words)
    )
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _to_arrow(column: NDArray[Any]) -> Any:
    import pyarrow as pa

    if column.dtype == object:
        return pa.array(column.tolist(), pa.string())
    if column.ndim == 2:
        flat = pa.array(np.ascontiguousarray(column).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, max(column.shape[1], 1))
    return pa.array(column)


def _read_rows(data: bytes) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(pa.BufferReader(data)).read()
    return {name: _to_numpy(table[name].combine_chunks()) for name in table.column_names}


def _to_numpy(array: pa.Array) -> NDArray[Any]:
    """Return a column without Arrow's own `to_numpy`, which would import pandas to judge again."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(array.type):
        return _to_numpy(array.flatten()).reshape(len(array), array.type.list_size)
    if pa.types.is_string(array.type):
        return np.array([*array.to_pylist(), None], dtype=object)[:-1]
    if pa.types.is_boolean(array.type):
        return np.array(array.to_pylist(), dtype=np.bool_)
    if pa.types.is_timestamp(array.type):
        return np.from_dlpack(array.view(pa.int64())).view(f"datetime64[{array.type.unit}]")
    return np.from_dlpack(array)
