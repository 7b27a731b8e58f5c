"""Planted faults: each is caught by the check that is made for it, and by no unrelated one."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from coloured import SIZE, again, coloured, encoded, write
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from modelchecks import load_suite, run_suite
from modelchecks.proposal import propose
from modelchecks.store import Store

ROWS = {"train": 1600, "offline": 600, "live": 500}
NETS = """
import numpy as np
import torch
from PIL import Image
from torch import nn

def net():
    body = nn.Sequential(nn.Conv2d(3, 64, 5, stride=2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
    return nn.Sequential(body, nn.Linear(2304, 10))

def plain(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2) / np.float32(255)).float()

def undivided(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))

def shrunk(images, method):
    # The tensors of parity: shrunk by a third and brought to size again by repeating pixels.
    small = [np.asarray(Image.fromarray(i).resize((20, 20), method)) for i in images]
    return plain(np.repeat(np.repeat(np.stack(small), 2, axis=1), 2, axis=2))

def antialiased(images):
    return shrunk(images, Image.Resampling.BILINEAR)

def nearest(images):
    return shrunk(images, Image.Resampling.NEAREST)

def reversed_channels(images):
    return plain(images[..., ::-1].copy())
"""
SUITE = """
suite: faults
classes: [t-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, boot]
data:
  train:   {source: parquet, path: train.parquet, image: image, label: label, id: id}
  offline: {source: parquet, path: offline.parquet, image: image, label: label, id: id,
            sampling: random}
  live:    {source: parquet, path: live.parquet, image: image, label: label, id: id,
            slices: [camera], sampling: random}
variants:
  net: {model: "nets:net", weights: net.safetensors, transform: "nets:plain"}
checks:
  - schema: {expectations: images.json, table: images, splits: [offline, live]}
    id: images
  - schema: {expectations: labels.json, table: labels, splits: [offline, live]}
    id: label-schema
  - schema: {expectations: log.json, table: log, splits: [live]}
    id: log
  - image_schema: {splits: [offline, live]}
  - tensor_schema: {splits: [offline, live], range: [0, 1]}
  - duplicates: {splits: [train, offline, live]}
  - leakage: {splits: [train, offline, live]}
  - labels: {splits: [offline, live], min_labelled: 95%}
  - label_noise: {split: live, max_noise: 40%}
  - shortcut
  - weak_slices: {columns: [camera], features: [brightness], find: 1, max_gap: 30pp}
  - parity: {live: "nets:same", rows: 400}
compute: {batch_size: 200, max_rows: 2000, shard_rows: 2000}
"""


@dataclass(frozen=True)
class Fault:
    """What is done to the folder, the cases that must fail, and related ones that may as well."""

    plant: Callable[[Path, np.random.Generator], None]
    caught: set[str]
    related: set[str] = field(default_factory=set)
    says: str = ""


def table(folder: Path, split: str) -> pa.Table:
    return pq.read_table(folder / f"{split}.parquet")


def put(folder: Path, split: str, **columns) -> None:
    found = table(folder, split)
    for name, values in columns.items():
        found = found.set_column(found.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(found, folder / f"{split}.parquet", row_group_size=200)


def images(folder: Path, split: str) -> list[bytes]:
    return table(folder, split)["image"].to_pylist()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def each(split: str, change: Callable[[np.ndarray], np.ndarray], share: float = 1.0):
    """Return what changes a share of the images of a split, saved as PNG again."""

    def plant(folder: Path, draw: np.random.Generator) -> None:
        found = images(folder, split)
        for row in draw.permutation(len(found))[: round(share * len(found))].tolist():
            found[row] = encoded(change(decoded(found[row])))
        put(folder, split, image=found)

    return plant


def truncated(folder: Path, draw: np.random.Generator) -> None:
    found = images(folder, "live")
    data = encoded(decoded(found[7]), "JPEG")
    found[7] = data[: len(data) // 2]
    put(folder, "live", image=found)


def turned(folder: Path, draw: np.random.Generator) -> None:
    """Save a tenth as a camera held upright does: pixels on their side, and a note to turn them."""
    found = images(folder, "live")
    exif = Image.Exif()
    exif[0x0112] = 6
    for row in draw.permutation(len(found))[: len(found) // 10].tolist():
        image, file = Image.fromarray(np.rot90(decoded(found[row])).copy()), io.BytesIO()
        image.save(file, "PNG", exif=exif)
        found[row] = file.getvalue()
    put(folder, "live", image=found)


def renumbered(folder: Path, draw: np.random.Generator) -> None:
    labels = table(folder, "live")["label"].to_numpy().copy()
    put(folder, "live", label=np.where(labels == 9, 10, labels))


def swapped_numbers(folder: Path, draw: np.random.Generator) -> None:
    labels = table(folder, "live")["label"].to_numpy()
    put(folder, "live", label=np.where(labels == 1, 9, np.where(labels == 9, 1, labels)))


def without_class(folder: Path, draw: np.random.Generator) -> None:
    found = table(folder, "live")
    kept = np.flatnonzero(found["label"].to_numpy() != 8)
    pq.write_table(found.take(pa.array(kept)), folder / "live.parquet")


def leaked(change: Callable | None, share: float):
    """Return what puts training images into the offline split, as they are or changed."""

    def plant(folder: Path, draw: np.random.Generator) -> None:
        source, found = table(folder, "train"), table(folder, "offline").to_pydict()
        count = round(share * len(found["id"]))
        rows = draw.permutation(len(source))[:count].tolist()
        places = draw.permutation(len(found["id"]))[:count].tolist()
        for row, place in zip(rows, places, strict=True):
            image = source["image"][row].as_py()
            if change is not None:
                image = encoded(change(decoded(image), draw))
            found["image"][place], found["label"][place] = image, source["label"][row].as_py()
        pq.write_table(pa.table(found), folder / "offline.parquet", row_group_size=200)

    return plant


def half_unlabelled(folder: Path, draw: np.random.Generator) -> None:
    labels = [
        None if row % 2 else label
        for row, label in enumerate(table(folder, "live")["label"].to_pylist())
    ]
    put(folder, "live", label=pa.array(labels, pa.int64()))


def renamed(folder: Path, draw: np.random.Generator) -> None:
    found = table(folder, "live")
    names = ["latency_ms" if name == "latency" else name for name in found.schema.names]
    pq.write_table(found.rename_columns(names), folder / "live.parquet", row_group_size=200)


def out_of_window(folder: Path, draw: np.random.Generator) -> None:
    times = table(folder, "live")["time"].to_numpy().copy()
    times[:10] -= np.timedelta64(400, "D")
    put(folder, "live", time=times)


def shortcut(folder: Path, draw: np.random.Generator) -> None:
    for split in ("train", "offline"):
        found, labels = images(folder, split), table(folder, split)["label"].to_pylist()
        for row, label in enumerate(labels):
            image = decoded(found[row]).copy()
            image[: SIZE // 6, : SIZE // 6] = 25 * label
            found[row] = encoded(image)
        put(folder, split, image=found)


def twice(folder: Path, draw: np.random.Generator) -> None:
    """Sixty live rows are logged a second time, under other ids."""
    found = table(folder, "live").to_pydict()
    for name in found:
        found[name] += found[name][:60]
    found["id"] = [f"live-{row:05d}" for row in range(len(found["id"]))]
    pq.write_table(pa.table(found), folder / "live.parquet", row_group_size=200)


def at_odds(folder: Path, draw: np.random.Generator) -> None:
    """Five live images are there twice, with another label the second time."""
    found, labels = images(folder, "live"), table(folder, "live")["label"].to_pylist()
    for row in range(5):
        found[row], labels[row] = found[row + 100], (labels[row + 100] + 1) % 10
    put(folder, "live", image=found, label=labels)


def of_suite(old: str, new: str):
    """Return what changes the suite: what serves the model is at fault, not the data."""

    def plant(folder: Path, draw: np.random.Generator) -> None:
        path = folder / "faults.suite.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return plant


FAULTS = {
    "BGR swap": Fault(
        each("live", lambda x: x[..., ::-1]), {"image_schema"}, {"tensor_schema"}, "red and blue"
    ),
    "BGR in the live path": Fault(
        of_suite("nets:same", "nets:reversed_channels"), {"parity"}, says="BGR for RGB"
    ),
    "÷255 forgotten in the live path": Fault(
        of_suite("nets:same", "nets:undivided"), {"parity"}, says="not divided by 255"
    ),
    "÷255 forgotten in the transform": Fault(
        of_suite('transform: "nets:plain"', 'transform: "nets:undivided"'),
        {"tensor_schema"},
        # Against the path that does divide.
        {"parity"},
        says="leave the range 0 to 1",
    ),
    "resize without antialias": Fault(
        of_suite('live: "nets:same"', 'live: "nets:nearest", offline: "nets:antialiased"'),
        {"parity"},
    ),
    "3 % black images": Fault(
        each("live", np.zeros_like, 0.03),
        {"image_schema"},
        {"images", "tensor_schema"},
        "are blank",
    ),
    "one truncated JPEG": Fault(truncated, {"image_schema", "images"}, says="cannot be read"),
    "turned by EXIF": Fault(turned, {"image_schema"}, {"images"}, says="EXIF says to turn"),
    "odd aspect ratio": Fault(
        each("live", lambda x: np.concatenate([x, x], axis=1), 0.02),
        {"image_schema"},
        {"images", "tensor_schema"},
        says="of another kind",
    ),
    "class renumbered": Fault(renumbered, {"labels", "label-schema"}, says="class 10 is new"),
    "two classes swap numbers": Fault(swapped_numbers, {"label_noise"}, says="renumbered"),
    "class missing live": Fault(without_class, {"labels"}, says="class bag has no row"),
    "1 % training images in offline": Fault(leaked(None, 0.01), {"leakage"}, says="6 exact"),
    "near copies, cropped and JPEG": Fault(leaked(again, 0.03), {"leakage"}, says="near copies"),
    "grey-scale live": Fault(
        each("live", lambda x: np.asarray(Image.fromarray(x).convert("L"))),
        {"image_schema"},
        {"images", "tensor_schema", "label_noise", "weak_slices"},
        says="40x40x1",
    ),
    "grey live, saved as RGB": Fault(
        each("live", lambda x: np.asarray(Image.fromarray(x).convert("L").convert("RGB"))),
        {"image_schema"},
        {"images", "tensor_schema"},
        says="show no colour",
    ),
    "half the labels missing": Fault(half_unlabelled, {"labels"}, says="95 % are asked"),
    "column renamed": Fault(renamed, {"log"}, says="latency"),
    "timestamps out of window": Fault(out_of_window, {"log"}, says="10 rows, such as live-00000"),
    "class-coloured corner": Fault(shortcut, {"shortcut"}, says="top_left"),
    "rows logged twice": Fault(twice, {"duplicates"}, says="60 exact"),
    "equal images, other labels": Fault(at_odds, {"labels"}, {"duplicates"}, says="another label"),
}


@pytest.fixture(scope="module")
def clean(pool, tmp_path_factory):
    """A folder with three logs of a colour set, a net, and a schema proposed from the training."""
    folder = tmp_path_factory.mktemp("faults")
    items, labels = pool
    start = 0
    for split, rows in ROWS.items():
        shown = coloured(items[start : start + rows], seed=start)
        write(
            folder / f"{split}.parquet",
            [encoded(image) for image in shown],
            labels[start : start + rows],
            split,
            seed=start,
        )
        if split == "train":
            fit(shown, labels[:rows], folder / "net.safetensors")
        start += rows
    (folder / "nets.py").write_text(NETS + "\ndef same(images):\n    return plain(images)\n")
    (folder / "faults.suite.yaml").write_text(SUITE)
    for name, content in schema(folder).items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2))
    return folder


def fit(shown: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """Write the weights of the net: random filters, and a linear layer by least squares."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 64, 5, stride=2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
    with torch.no_grad():
        seen = body(torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 255)
        seen = torch.cat([seen, torch.ones(len(seen), 1)], dim=1)
        wanted = nn.functional.one_hot(torch.from_numpy(labels), 10).float()
        squares = seen.T @ seen + 0.1 * torch.eye(seen.shape[1])
        weights = torch.linalg.solve(squares, seen.T @ wanted).T * 10
    state = {f"0.{name}": value for name, value in body.state_dict().items()}
    save_file(
        {**state, "1.weight": weights[:, :-1].contiguous(), "1.bias": weights[:, -1].contiguous()},
        path,
    )


def schema(folder: Path) -> dict:
    suite = load_suite(folder / "faults.suite.yaml")
    proposed = propose(suite, "train", store=Store(folder / "proposing"))
    window = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {
            "column": "time",
            "min_value": "2026-10-05T00:00:00",
            "max_value": "2026-10-19T00:00:00",
        },
    }
    proposed["log"]["expectations"].append(window)
    return proposed


@pytest.fixture
def planted(clean, tmp_path, monkeypatch):
    """A copy of the clean folder, on the evidence of which all faults share what they share."""
    monkeypatch.setenv("MODELCHECKS_CACHE", str(clean / "cache"))
    ignore = shutil.ignore_patterns("cache", "proposing")
    return Path(shutil.copytree(clean, tmp_path / "planted", ignore=ignore))


def judged(folder: Path) -> dict[str, tuple[str, str]]:
    run = run_suite(load_suite(folder / "faults.suite.yaml"))
    return {r.case.partition("[")[0]: (r.status, r.message) for r in run.results}


def test_nothing_is_found_in_clean_data(planted):
    assert {name: told for name, told in judged(planted).items() if told[0] != "passed"} == {}


@pytest.mark.filterwarnings("ignore")
def test_expectation_suites_round_trip_through_great_expectations(clean, tmp_path, monkeypatch):
    """What was proposed, opened and written by GX's own classes, is the same and asks the same."""
    gx = pytest.importorskip("great_expectations")
    monkeypatch.setenv("MODELCHECKS_CACHE", str(clean / "cache"))
    folder = Path(
        shutil.copytree(clean, tmp_path / "again", ignore=shutil.ignore_patterns("cache"))
    )
    context = gx.get_context(mode="file", project_root_dir=tmp_path / "gx")
    for name in ("images", "labels", "log"):
        path = folder / f"{name}.json"
        ours = json.loads(path.read_text())
        context.suites.add(gx.ExpectationSuite(**ours))
        # As GX keeps it on disk, read back by another context.
        kept = gx.get_context(mode="file", project_root_dir=tmp_path / "gx")
        theirs = kept.suites.get(ours["name"]).to_json_dict()
        assert len(theirs["expectations"]) == len(ours["expectations"]) > 5
        for mine, back in zip(ours["expectations"], theirs["expectations"], strict=True):
            assert {key: back[key] for key in mine} == mine
        path.write_text(json.dumps(theirs))
    assert {name: told for name, told in judged(folder).items() if told[0] != "passed"} == {}
    half_unlabelled(folder, np.random.default_rng(0))
    renamed(folder, np.random.default_rng(0))
    found = judged(folder)
    assert {name for name, (status, _) in found.items() if status == "failed"} == {"labels", "log"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_by_its_check_and_no_other(planted, name):
    fault = FAULTS[name]
    fault.plant(planted, np.random.default_rng(0))
    found = judged(planted)
    fired = {case for case, (status, _) in found.items() if status == "failed"}
    told = {case: found[case] for case in fired ^ fault.caught}
    assert fault.caught <= fired <= fault.caught | fault.related, told
    assert any(fault.says in found[case][1] for case in fault.caught), [
        found[case] for case in fault.caught
    ]
