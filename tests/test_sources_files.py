"""Images in folders and in NumPy files: what is read is what lies there, and every gap is told."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image

from modelchecks import EvidenceError, load_suite, run_suite
from modelchecks.sources import Batch, read_ahead
from modelchecks.sources.arrays import Arrays
from modelchecks.sources.decoding import decode_all
from modelchecks.sources.image_folder import ImageFolder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Thirty images in folders of their classes, and the same in NumPy files."""
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (30, 5, 6, 3), dtype=np.uint8)
    for row, image in enumerate(images):
        home = tmp_path / "pictures" / ("cat", "dog", "eel")[row % 3]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(home / f"{row:02d}.png")
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", np.arange(30) % 3)
    return tmp_path


def test_a_folder_of_images_is_read_with_its_classes(folder):
    source = ImageFolder(path="pictures")
    samples = source.open(folder)
    batch = samples.read(0, 30, images=True, columns=None)
    rows = [int(name.rpartition("/")[2][:2]) for name in batch.ids]
    assert sorted(rows) == list(range(30))
    assert batch.ids[0] == "cat/00.png"
    assert batch.labels.tolist() == [("cat", "dog", "eel")[row % 3] for row in rows]
    images = np.load(folder / "x.npy")
    for row, image in zip(rows, batch.images, strict=True):
        np.testing.assert_array_equal(image, images[row])
    assert samples.read(3, 5, images=False, columns=[]).images is None


def test_the_fingerprint_follows_names_and_pixels(folder):
    sources = (ImageFolder(path="pictures"), Arrays(images="x.npy", labels="y.npy"))
    first = [source.fingerprint(folder) for source in sources]
    assert [source.fingerprint(folder) for source in sources] == first
    (folder / "pictures" / "cat" / "00.png").rename(folder / "pictures" / "dog" / "00.png")
    np.save(folder / "y.npy", np.arange(30) % 3 == 0)
    for source, before in zip(sources, first, strict=True):
        assert source.fingerprint(folder) != before


def test_both_are_judged_by_a_suite(folder):
    (folder / "odd.py").write_text(
        "def half(images):\n    return images.reshape(len(images), -1).mean(1)\n"
    )
    (folder / "s.suite.yaml").write_text(
        "suite: s\nclasses: [cat, dog, eel]\n"
        "data:\n  a: {source: image_folder, path: pictures, sampling: random}\n"
        "  b: {source: arrays, images: x.npy, labels: y.npy, sampling: random}\n"
        "variants: {v: {logged: none}}\n"
        "checks:\n  - feature_drift: {reference: a, current: b, features: ['odd:half']}\n"
        "  - label_drift: {reference: a, current: b}\n"
        "  - schema: {splits: [a, b], image: {shape: [5, 6, 3], dtype: uint8}}\n"
    )
    run = run_suite(load_suite(folder / "s.suite.yaml"))
    assert [result.estimate.value for result in run.results[:2]] == [0, 0]
    assert run.results[2].status == "passed"


def test_a_broken_image_is_told_by_its_place(folder):
    (folder / "pictures" / "dog" / "01.png").write_bytes(b"no image")
    batch = ImageFolder(path="pictures").open(folder).read(0, 30, images=True, columns=[])
    (position,) = batch.unreadable
    assert batch.ids[position] == "dog/01.png"
    assert batch.images[position] is None
    assert batch.unreadable[position].startswith("dog/01.png: ValueError: not an image")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere", "is no folder"),
        ("empty", "holds no image file"),
        ("loose", "does not lie in a folder of its class"),
    ],
)
def test_what_is_no_image_folder_is_refused(folder, path, said):
    (folder / "empty").mkdir()
    (folder / "loose").mkdir()
    Image.new("L", (2, 2)).save(folder / "loose" / "a.png")
    with pytest.raises(EvidenceError, match=said):
        ImageFolder(path=path).open(folder)
    loose = ImageFolder(path="loose", labelled=False).open(folder)
    assert loose.read(0, 1, images=True, columns=[]).labels is None


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((3, 4)), np.zeros(3, int), "has shape"),
        (np.zeros((3, 4, 4)), np.zeros(2, int), "must hold 3 whole numbers"),
        (np.zeros((3, 4, 4)), np.zeros(3), r"must hold 3 whole numbers\. If they are class ids"),
        (np.zeros((3, 4, 4)), np.eye(3), r"If they are one-hot, save `labels\.argmax\(1\)`"),
        (np.zeros((3, 4, 4)), np.zeros((3, 1), int), "one class id for each image"),
        (np.zeros((3, 0, 4)), np.zeros(3, int), "its images have no pixels"),
        (np.array(["a", "b"]), np.zeros(2, int), "no plain array of numbers"),
        (np.array([{}, {}]), np.zeros(2, int), "cannot be read as an .npy file"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, images, labels, said):
    np.save(tmp_path / "x.npy", images, allow_pickle=True)
    np.save(tmp_path / "y.npy", labels)
    with pytest.raises(EvidenceError, match=said):
        Arrays(images="x.npy", labels="y.npy").open(tmp_path)


@pytest.mark.parametrize("written", [b"", b"no array", b"PK\x03\x04 a broken archive"])
def test_what_is_no_array_file_is_refused_without_advice_to_run_it(tmp_path, written):
    (tmp_path / "x.npy").write_bytes(written)
    with pytest.raises(EvidenceError, match=r"x\.npy cannot be read") as refused:
        Arrays(images="x.npy").open(tmp_path)
    assert "pickle" not in str(refused.value)


def test_a_cut_file_is_refused(folder):
    path = folder / "x.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EvidenceError, match=r"x\.npy cannot be read .* it is cut off"):
        Arrays(images="x.npy").open(folder)


class Counting:
    """Samples that note in which thread and order they are read."""

    def __init__(self, fail_at: int = -1) -> None:
        self.read_in: list[tuple[str, int]] = []
        self.fail_at = fail_at

    def __len__(self) -> int:
        return 100

    def read(self, start, stop, *, images, columns):
        self.read_in.append((threading.current_thread().name, start))
        if start == self.fail_at:
            raise EvidenceError("gone")
        return Batch([str(row) for row in range(start, stop)])


def test_batches_are_read_ahead_in_order_by_one_thread():
    samples = Counting()
    spans = [(start, start + 10) for start in range(0, 100, 10)]
    found = []
    for start, stop, batch in read_ahead(samples, spans, images=True, columns=[]):
        found.append((start, stop))
        assert batch.ids[0] == str(start)
        # At most three are ahead of the one that is being worked on.
        assert len(samples.read_in) <= len(found) + 3
    assert found == spans
    assert len({thread for thread, _ in samples.read_in}) == 1
    assert [start for _, start in samples.read_in] == [start for start, _ in spans]
    assert threading.current_thread().name not in {thread for thread, _ in samples.read_in}


def test_an_error_ahead_is_raised_in_its_turn_and_the_thread_ends():
    samples = Counting(fail_at=30)
    spans = [(start, start + 10) for start in range(0, 100, 10)]
    batches = read_ahead(samples, spans, images=True, columns=[])
    assert [next(batches)[0] for _ in range(3)] == [0, 10, 20]
    with pytest.raises(EvidenceError, match="gone"):
        next(batches)
    assert not any(thread.name.startswith("modelchecks") for thread in threading.enumerate())


def test_what_cannot_be_decoded_keeps_its_place():
    def decode(value):
        if value % 7 == 3:
            raise ValueError(f"odd {value}")
        return np.full((1, 1, 1), value)

    found, unreadable = decode_all(decode, list(range(200)), lambda at: f"row {at}")
    assert len(found) == 200
    assert {row for row, image in enumerate(found) if image is None} == set(unreadable)
    assert unreadable[3] == "row 3: ValueError: odd 3"
    assert all(image is None or image[0, 0, 0] == row for row, image in enumerate(found))
