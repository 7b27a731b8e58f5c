"""The log of two weeks in production: other items, seen through the live environment."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from modelchecks.sources.fashion_mnist import CLASSES, SHIRT, SHIRT_WEIGHT, draw_rows

from .environment import LIVE, photograph
from .train import load_weights, predict

ROWS: Final = 5_000
PARTS: Final = 3
SEED: Final = 20_261_005
"""The reported draw of items, accidents and log columns; the severity was tuned on another."""

SHIRT_FACTOR: Final = 1.6
"""Shirts come 1.6 times as often as in the catalogue: 5.1 % of the rows instead of 3.2 %."""

START: Final = datetime(2026, 10, 5, tzinfo=UTC)
DAYS: Final = 14

# Name: (share of the rows, what it adds to a severity of 1). Both columns of extras have mean 0
# under the shares, so the whole log has severity 1 on average.
CAMERAS: Final = {"A": (0.5, -0.08), "B": (0.3, 0.04), "C": (0.2, 0.14)}
STORES: Final = {
    "Aarhus": (0.30, -0.04),
    "Bergen": (0.25, 0.0),
    "Cork": (0.20, 0.02),
    "Delft": (0.15, 0.04),
    "Espoo": (0.10, 0.02),
}
SLOW_CAMERA: Final = "C"
AUDITED: Final = 500
"""Rows, drawn at random, that an auditor has labelled so far; the others wait in `audited`."""


def live_rows(labels: NDArray[np.int64], live_pool: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the 5,000 rows of the pool that the live log shows, in the order of the log."""
    weights = np.where(np.arange(len(CLASSES)) == SHIRT, SHIRT_FACTOR * SHIRT_WEIGHT, 1.0)
    return draw_rows(labels, live_pool, weights, ROWS, np.random.default_rng(SEED))


def visits(rows: int, seed: int = SEED) -> dict[str, NDArray[Any]]:
    """Return the columns of `rows` visits, in order of time, and the severity each is seen with.

    `time` lies in 14 days of opening hours, 9 to 21 h UTC, most at three in the afternoon.
    `camera` and `store` are drawn by their shares; `severity` = 1 + what the two add.
    `latency_ms` = 32 exp(.25 z); in camera C one visit in 16 waits 1 + Pareto(1.5) times as long.
    """
    draw = np.random.default_rng([seed, 1])
    hours = 9 + 12 * draw.beta(2, 2, rows)
    offsets = np.sort(draw.integers(DAYS, size=rows) * 24.0 + hours)
    start = np.datetime64(START.replace(tzinfo=None), "us")
    camera = draw.choice(list(CAMERAS), rows, p=[share for share, _ in CAMERAS.values()])
    store = draw.choice(list(STORES), rows, p=[share for share, _ in STORES.values()])
    extra = np.array([CAMERAS[c][1] + STORES[s][1] for c, s in zip(camera, store, strict=True)])
    latency = 32 * np.exp(0.25 * draw.standard_normal(rows))
    stuck = (camera == SLOW_CAMERA) & (draw.random(rows) < 1 / 16)
    latency *= np.where(stuck, 1 + draw.pareto(1.5, rows), 1)
    return {
        "time": start + (offsets * 3_600_000_000).astype("timedelta64[us]"),
        "camera": camera,
        "store": store,
        "severity": 1 + extra,
        "latency_ms": latency.round(1),
    }


def satisfaction(wrong: NDArray[np.bool_], seed: int = SEED) -> NDArray[np.int64]:
    """Return the stars of each visit: 4.3 - 1.3 [wrong answer] + .7 z, rounded, within 1 to 5."""
    z = np.random.default_rng([seed, 2]).standard_normal(len(wrong))
    stars = np.rint(4.3 - 1.3 * wrong + 0.7 * z).clip(1, 5)
    return stars.astype(np.int64)


def unaudited(rows: int, seed: int = SEED) -> NDArray[np.bool_]:
    """Return which rows the auditor has not labelled yet."""
    draw = np.random.default_rng([seed, 3])
    left = np.ones(rows, dtype=np.bool_)
    left[draw.permutation(rows)[:AUDITED]] = False
    return left


def live_table(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    baseline: Path,
    *,
    severity: float = 1.0,
) -> pa.Table:
    """Return the log of `rows` of the pool, with the baseline in production.

    Columns: `image` (PNG, 28 x 28 grey; the JPEG of the environment is in its pixels), `label`,
    `id` (the item's number in the pool), `time`, `camera`, `store`, `satisfaction` (1 to 5),
    `latency_ms`, `audited` (the label of 500 rows at random, the others empty).
    """
    columns = visits(len(rows))
    seen = photograph(images[rows], LIVE, severity=severity * columns["severity"], seed=SEED)
    wrong = predict(load_weights(baseline), seen).argmax(1).numpy() != labels[rows]
    return pa.table(
        {
            "id": pa.array([f"fm-{row:05d}" for row in rows]),
            "time": pa.array(columns["time"], pa.timestamp("us", "UTC")),
            "camera": pa.array(columns["camera"].tolist()),
            "store": pa.array(columns["store"].tolist()),
            "image": pa.array([png(image) for image in seen], pa.binary()),
            "label": pa.array(labels[rows]),
            "satisfaction": pa.array(satisfaction(wrong)),
            "latency_ms": pa.array(columns["latency_ms"]),
            "audited": pa.array(labels[rows], mask=unaudited(len(rows))),
        }
    )


def write_live(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    baseline: Path,
    folder: Path,
) -> bool:
    """Write the log as part-N.parquet into `folder`; return False if it was there already.

    Every part carries the digest of what the log depends on: items, code and the baseline.
    """
    digest = _digest(images, labels, rows, baseline)
    parts = [folder / f"part-{number}.parquet" for number in range(PARTS)]
    if all(_stored_digest(part) == digest for part in parts):
        return False
    table = live_table(images, labels, rows, baseline)
    table = table.replace_schema_metadata({"recipe": digest})
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.parquet")) - set(parts):
        stale.unlink()
    cuts = np.linspace(0, len(table), PARTS + 1).astype(int)
    for part, start, stop in zip(parts, cuts, cuts[1:], strict=False):
        partial = part.with_suffix(".partial")
        rows = table.slice(start, stop - start)
        pq.write_table(rows, partial, row_group_size=500, write_page_checksum=True)
        os.replace(partial, part)
    return True


def _digest(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    baseline: Path,
) -> str:
    made = hashlib.sha256(baseline.read_bytes())
    for module in ("environment.py", "live.py"):
        made.update(Path(__file__).with_name(module).read_bytes())
    for array in (rows, images[rows], labels[rows]):
        made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()


def _stored_digest(part: Path) -> str | None:
    """Return the digest in a part's schema; None if it is missing, foreign or cut short."""
    try:
        metadata: Mapping[bytes, bytes] = pq.read_schema(part).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    return metadata.get(b"recipe", b"").decode()


def png(image: NDArray[np.uint8]) -> bytes:
    """Return an image (height, width) as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
