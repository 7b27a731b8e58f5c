"""Scalars from TensorBoard's event files, without TensorBoard: two nested binary formats.

A file is a sequence of TFRecords (length, checksum, event, checksum); an event is a protocol buffer
with a step and summaries. https://github.com/tensorflow/tensorboard, tensorboard/compat/proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FLOAT, _DOUBLE = 1, 2


def scalars(path: Path) -> dict[int, dict[str, float]]:
    """Return tag -> value for each step, of one event file or of all in a folder.

    A record that was cut short ends its file, as in one that is still being written. Raises
    ValueError where a file is none of TensorBoard's.
    """
    files = sorted(path.rglob("*tfevents*")) if path.is_dir() else [path]
    found: dict[int, dict[str, float]] = {}
    for file in files:
        for event in _records(file.read_bytes()):
            step, summaries = 0, []
            for number, value in _fields(event):
                if number == 2:
                    step = int(value)
                elif number == 5:
                    summaries += [one for field, one in _fields(value) if field == 1]
            for summary in summaries:
                tag, scalar = _value(summary)
                if scalar is not None:
                    found.setdefault(step, {})[tag] = scalar
    return dict(sorted(found.items()))


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        start = at + 12
        if length > len(data) - start:
            return
        yield data[start : start + length]
        at = start + length + 4


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value): an integer, 4 or 8 bytes, or what a length stands before."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"holds a field of kind {kind}, so it is no event file")
        if at + size > len(message):
            raise ValueError("holds a field that is cut short, so it is no event file")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("holds a number that never ends, so it is no event file")
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _value(summary: bytes) -> tuple[str, float | None]:
    """Return the tag of a summary, and its scalar if it has one."""
    tag, number = "", None
    for field, value in _fields(summary):
        if field == 1:
            tag = value.decode("utf-8", "replace")
        elif field == 2:
            (number,) = struct.unpack("<f", value)
        elif field == 8:
            number = _tensor(value)
    return tag, number


def _tensor(message: bytes) -> float | None:
    """Return the number of a tensor that holds one float or double."""
    kind, content = 0, b""
    for field, value in _fields(message):
        if field == 1:
            kind = value
        elif field in (4, 5, 6):
            content = value
    form = {(_FLOAT, 4): "<f", (_DOUBLE, 8): "<d"}.get((kind, len(content)))
    return None if form is None else float(struct.unpack(form, content)[0])
