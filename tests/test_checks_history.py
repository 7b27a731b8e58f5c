"""training_history: planted histories in every format, and what cannot be read is an error."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from modelchecks import load_suite, run_suite
from modelchecks.checks.history import TrainingHistory
from modelchecks.probes.tensorboard import scalars
from modelchecks.results import Result
from tests.planted import SIDE, Planted

CHECK = (
    "training_history: {rows: 4000, later_rows: 8000, max_optimism: 2pp, live: offline, "
    "later: later_accuracy}"
)
FIELDS = ("epoch", "train_loss", "val_accuracy", "later_accuracy")
SOUND = [(n, 1 / n, 0.80 + 0.02 * n, 0.80 + 0.02 * n - 0.002) for n in range(1, 8)]
OVERFIT = [(n, 1 / n, 0.90 + 0.005 * n, 0.90 - 0.01 * n) for n in range(1, 8)]


@pytest.fixture
def trained(planted: Planted) -> Planted:
    images = np.random.default_rng(0).integers(0, 256, (200, SIDE, SIDE), dtype=np.uint8)
    planted.images(images, np.arange(200) % 2)
    planted.weights("it", weight=np.ones((1, SIDE, SIDE), np.float32), bias=np.zeros(1, np.float32))
    return planted


def csv(rows: list[tuple]) -> str:
    return "\n".join([",".join(FIELDS), *(",".join(map(str, row)) for row in rows)])


def judged(trained: Planted, name: str, check: str = CHECK) -> Result:
    path = trained.write(check, {"it": "linear"}, more=f", history: {name}")
    (result,) = run_suite(load_suite(path)).results
    return result


def test_a_sound_history_passes(trained: Planted) -> None:
    (trained.folder / "h.csv").write_text(csv(SOUND))
    found = judged(trained, "h.csv")
    assert found.status == "passed", found.message
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.002)
    assert found.estimate.n == 8000
    assert found.details["chosen"] == 7
    assert found.details["agreement"]["tau"] == 1
    assert "parting" not in found.details
    assert "Live accuracy is" in found.message


def test_a_validation_metric_that_parts_from_later_rows_fails(trained: Planted) -> None:
    (trained.folder / "h.csv").write_text(csv(OVERFIT))
    found = judged(trained, "h.csv")
    assert found.status == "failed"
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.105)
    assert found.details["agreement"]["tau"] == -1
    assert found.details["parting"]["from"] == 1
    assert "goes on falling" in found.message


def test_a_choice_within_noise_is_said_to_be_hardly_one(trained: Planted) -> None:
    rows = [(n, 1.0, 0.90 + 0.0002 * n, 0.90) for n in range(1, 8)]
    (trained.folder / "h.csv").write_text(csv(rows))
    assert "6 more are within noise of the best" in judged(trained, "h.csv").message


def event(step: int, values: dict[str, float]) -> bytes:
    """Return one TFRecord of TensorBoard scalars, written by the format's own description."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    summaries = b"".join(
        field(1, field(1, tag.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", value))
        for tag, value in values.items()
    )
    message = bytes([1 << 3 | 1]) + struct.pack("<d", 0.0) + bytes([2 << 3, step])
    message += field(5, summaries)
    return struct.pack("<Q", len(message)) + b"crc." + message + b"crc."


@pytest.mark.parametrize("name", ["h.jsonl", "h.json", "logs"])
def test_every_format_says_the_same(trained: Planted, name: str) -> None:
    rows = [dict(zip(FIELDS, row, strict=True)) for row in SOUND]
    path = trained.folder / name
    if name == "logs":
        path.mkdir()
        events = b"".join(
            event(row["epoch"], {k: v for k, v in row.items() if k != "epoch"}) for row in rows
        )
        (path / "events.out.tfevents.1.host").write_bytes(events + events[:20])
    elif name == "h.json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    (trained.folder / "h.csv").write_text(csv(SOUND))
    found, plain = judged(trained, name), judged(trained, "h.csv")
    assert found.status == "passed", found.message
    for column, values in found.details["columns"].items():
        assert values == pytest.approx(plain.details["columns"][column])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "h.csv"),
        ("", "no column 'val_accuracy'"),
        (csv(SOUND).replace("later_accuracy", "other"), "no column 'later_accuracy'"),
        (csv([(1, 1, "nan", 0.9)]), "which is no number"),
        (csv([(1, 1, 0.9, "high")]), "'later_accuracy' is 'high'"),
        (csv([(1, 1, 90, 0.9)]), "shares between 0 and 1"),
        (csv([(1, 1, 0.9, "")]), "has no number yet"),
        (csv([]), "no column"),
        (csv([(1, 1, "", 0.9)]), "no checkpoint"),
    ],
)
def test_what_cannot_be_read_is_an_error(trained: Planted, text: str | None, says: str) -> None:
    if text is not None:
        (trained.folder / "h.csv").write_text(text)
    found = judged(trained, "h.csv")
    assert found.status == "errored", found.message
    assert says in found.message


def test_no_history_is_an_error(trained: Planted) -> None:
    found = trained.judge(CHECK, "linear", "it")
    assert found.status == "errored"
    assert "`history:`" in found.message


def test_a_damaged_event_file_is_no_history(tmp_path: Path) -> None:
    path = tmp_path / "events.tfevents"
    path.write_bytes(b"\xff" * 40)  # a record longer than the file: cut short
    assert scalars(path) == {}
    path.write_bytes(struct.pack("<Q", 4) + b"crc." + b"\xff" * 4 + b"crc.")
    with pytest.raises(ValueError, match="event file"):
        scalars(path)


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"later_rows": 0}, {"later": "val_accuracy"}])
def test_what_cannot_be_asked_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrainingHistory(**{"rows": 10, "later_rows": 10, "max_optimism": 0.1, **wrong})
