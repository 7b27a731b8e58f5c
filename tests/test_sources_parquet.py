"""A Parquet log is read row by row as it was written, or a message names file and remedy."""

from __future__ import annotations

import io
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modelchecks.errors import EvidenceError
from modelchecks.sources.parquet import ParquetLog, decode


def encoded(array, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def images(rows: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (4, 6), dtype=np.uint8) for _ in range(rows)]


@pytest.fixture
def log(tmp_path):
    """Two files of 7 and 4 rows in row groups of 3."""
    table = pa.table(
        {
            "image": pa.array([encoded(image) for image in images(11)], pa.binary()),
            "label": pa.array([0, 1, None, 3, 0, 1, 2, 3, 0, 1, 2]),
            "id": [f"r{i}" for i in range(11)],
            "score": pa.array([0.5, None] * 5 + [0.25]),
            "camera": pa.array([None, "A"] * 5 + ["B"]),
            "time": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 11, pa.timestamp("ms", "UTC")),
            "clicked": pa.array([True, False] * 5 + [True]),
        }
    )
    pq.write_table(table.slice(0, 7), tmp_path / "a.parquet", row_group_size=3)
    pq.write_table(
        table.slice(7), tmp_path / "b.parquet", row_group_size=3, write_page_checksum=True
    )
    return tmp_path


NAMED = {"path": "*.parquet", "image": "image", "label": "label", "id": "id"}


@given(st.data())
@settings(max_examples=30)
def test_any_cut_reads_the_same_rows(tmp_path_factory, data):
    rows = data.draw(st.integers(1, 12))
    size = data.draw(st.integers(1, 5))
    cut = data.draw(st.integers(0, rows))
    folder = tmp_path_factory.mktemp("log")
    table = pa.table({"label": np.arange(rows), "id": [f"r{i}" for i in range(rows)]})
    pq.write_table(table.slice(0, cut), folder / "a.parquet", row_group_size=size)
    pq.write_table(table.slice(cut), folder / "b.parquet", row_group_size=size)
    samples = ParquetLog(path="*.parquet", label="label", id="id").open(folder)
    assert len(samples) == rows
    start = data.draw(st.integers(0, rows))
    stop = data.draw(st.integers(start, rows))
    batch = samples.read(start, stop, images=False, columns=[])
    assert list(batch.ids) == [f"r{i}" for i in range(start, stop)]
    if start < stop:
        assert batch.labels.tolist() == list(range(start, stop))


def test_images_labels_and_columns_are_those_written(log):
    batch = ParquetLog(**NAMED).open(log).read(0, 11, images=True, columns=None)
    for seen, written in zip(batch.images, images(11), strict=True):
        np.testing.assert_array_equal(seen, written[:, :, None])
    assert batch.labels.tolist() == [0, 1, -1, 3, 0, 1, 2, 3, 0, 1, 2]
    assert set(batch.columns) == {"score", "camera", "time", "clicked"}
    assert np.isnan(batch.columns["score"][1])
    assert batch.columns["camera"].tolist()[:2] == [None, "A"]
    assert batch.columns["time"].dtype == "datetime64[us]"
    assert batch.columns["clicked"].dtype == bool
    assert batch.unreadable == {}


def test_rows_without_an_id_are_named_by_file_and_row(log):
    samples = ParquetLog(path="*.parquet").open(log)
    ids = samples.read(5, 9, images=False, columns=[]).ids
    assert ids == ["a.parquet:5", "a.parquet:6", "b.parquet:0", "b.parquet:1"]


@pytest.mark.parametrize("path", ["*.parquet", ".", "a.parquet", "{folder}/*.parquet", "?.parquet"])
def test_a_file_a_folder_or_a_glob(log, path):
    samples = ParquetLog(path=path.format(folder=log)).open(log)
    assert len(samples) == (7 if path == "a.parquet" else 11)


def test_the_fingerprint_follows_every_byte_and_name(log):
    source = ParquetLog(**NAMED)
    first = source.fingerprint(log)
    assert first == source.fingerprint(log)
    data = (log / "b.parquet").read_bytes()
    (log / "b.parquet").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    second = source.fingerprint(log)
    (log / "b.parquet").write_bytes(data)
    (log / "b.parquet").rename(log / "c.parquet")
    assert len({first, second, source.fingerprint(log)}) == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"path": "none/*.parquet"}, r"no Parquet file matches 'none/\*.parquet'"),
        ({"path": "nothing.parquet"}, "Write the log there or correct `path:`"),
        ({"label": "lable"}, "a.parquet has no column 'lable'.*did you mean 'label'"),
        ({"image": "picture"}, "has no column 'picture', which `image:` names"),
        ({"id": "key"}, "which `id:` names"),
    ],
)
def test_what_is_named_must_be_there(log, options, told):
    with pytest.raises(EvidenceError, match=told):
        ParquetLog(**{**NAMED, **options}).open(log)


def test_a_column_asked_for_later_must_be_there(log):
    samples = ParquetLog(**NAMED).open(log)
    with pytest.raises(EvidenceError, match="no column 'camra'; did you mean 'camera'"):
        samples.read(0, 2, images=False, columns=["camra"])


@pytest.mark.parametrize("damage", ["text", "cut", "flipped"])
def test_a_damaged_file_is_named(log, damage):
    data = (log / "b.parquet").read_bytes()
    broken = {
        "text": b"<html>",
        "cut": data[:100],
        "flipped": data[:40] + b"\xff" * 60 + data[100:],
    }
    (log / "b.parquet").write_bytes(broken[damage])
    with pytest.raises(EvidenceError, match=r"b.parquet"):
        ParquetLog(**NAMED).open(log).read(0, 11, images=True, columns=None)


def test_files_that_differ_in_their_columns_are_refused(log):
    pq.write_table(pa.table({"label": ["x"], "id": ["y"]}), log / "c.parquet")
    samples = ParquetLog(path="*.parquet", label="label", id="id").open(log)
    with pytest.raises(EvidenceError, match="differ in their columns") as raised:
        samples.read(0, 12, images=False, columns=[])
    assert "'label' is int64 in " in str(raised.value)
    assert "and string in c.parquet; write it with one type" in str(raised.value)


@pytest.mark.parametrize("value", [-1, -2.0, 1.5, float("inf"), 1e19])
def test_a_label_that_is_no_class_is_refused(tmp_path, value):
    pq.write_table(pa.table({"label": [1.0, value]}), tmp_path / "a.parquet")
    samples = ParquetLog(path="a.parquet", label="label").open(tmp_path)
    with pytest.raises(EvidenceError, match=r"a\.parquet: label column 'label' holds"):
        samples.read(0, 2, images=False, columns=[])


def test_labels_may_be_names_or_categories(tmp_path):
    names = pa.array(["cat", None, "dog"])
    pq.write_table(pa.table({"a": names, "b": names.dictionary_encode()}), tmp_path / "a.parquet")
    for column in "ab":
        samples = ParquetLog(path="a.parquet", label=column).open(tmp_path)
        batch = samples.read(0, 3, images=False, columns=[])
        assert batch.labels.tolist() == ["cat", None, "dog"]


def test_labels_of_another_type_are_refused(tmp_path):
    pq.write_table(pa.table({"label": [[1], [2]]}), tmp_path / "a.parquet")
    samples = ParquetLog(path="a.parquet", label="label").open(tmp_path)
    with pytest.raises(EvidenceError, match="not an id or a name"):
        samples.read(0, 2, images=False, columns=[])


# Images


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_lossless_formats_give_the_pixels_back(kind):
    image = images(1)[0]
    options = {"lossless": True} if kind == "WEBP" else {}
    seen = decode(encoded(image, kind, **options), 1000).pixels
    assert (seen[:, :, 0] == image).all()


def test_colour_alpha_palette_and_sixteen_bits():
    colour = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(encoded(colour), 1000).pixels, colour)
    file = io.BytesIO()
    Image.fromarray(colour).quantize(8).save(file, "PNG")
    assert decode(file.getvalue(), 1000).pixels.shape == (4, 6, 3)
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000
    np.testing.assert_array_equal(decode(encoded(deep), 1000).pixels[:, :, 0], deep)
    file = io.BytesIO()
    Image.new("1", (3, 2), 1).save(file, "PNG")
    assert decode(file.getvalue(), 1000).pixels.tolist() == [[[255]] * 3] * 2
    assert decode({"bytes": encoded(colour), "path": None}, 1000).pixels.shape == (4, 6, 3)


@pytest.mark.parametrize("value", [None, b"", "text", 3, {"bytes": None}, {}, b"\x89PNG\r\n"])
def test_what_is_no_image_is_refused(value):
    with pytest.raises((ValueError, OSError)):
        decode(value, 1000)


def test_a_large_image_is_refused_before_its_pixels_are_decoded():
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    with pytest.raises(
        ValueError, match=r"20000x20000 is more than max_pixels: 1000|exceeds limit"
    ):
        decode(file.getvalue(), 1000)
    assert decode(encoded(images(1)[0]), 24).pixels.shape == (4, 6, 1)
    with pytest.raises(ValueError, match="6x4 is more than max_pixels: 23"):
        decode(encoded(images(1)[0]), 23)


@given(st.integers(0, 2**16), st.integers(1, 255))
@settings(max_examples=60)
def test_flipped_bytes_give_an_image_or_a_reason_never_a_crash(at, change):
    data = bytearray(encoded(images(1)[0]))
    data[at % len(data)] ^= change
    with suppress(ValueError, OSError, SyntaxError):
        assert decode(bytes(data), 10_000).pixels.ndim == 3
