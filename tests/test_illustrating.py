"""Images of the rows that a case is about, read from the data, and maps of embeddings."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from modelchecks import illustrating, load_suite, run_suite, thumbnail
from modelchecks.check import Outcome, View
from modelchecks.evidence import Evidence

ROWS = 400


def grey(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8), value).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def suite(bench):
    """A gate over images each of one grey, by which a row is known again; `bad` loses class 0."""
    for name, wrong in (("offline", 10), ("live", 60)):
        label = np.arange(ROWS) % 4
        said = np.where((label == 0) & (np.arange(ROWS) < 4 * wrong), 2, label)
        table = {
            "id": [f"{name}-{row}" for row in range(ROWS)],
            "image": pa.array([grey(row % 200) for row in range(ROWS)], pa.binary()),
            "label": label,
            "bad": said,
        }
        pq.write_table(pa.table(table), bench.folder / f"{name}.parquet", row_group_size=100)
    path = bench.folder / "pictures.suite.yaml"
    log = "source: parquet, image: image, label: label, id: id, sampling: random"
    path.write_text(
        "suite: pictures\nclasses: [coat, bag, shirt, boot]\ndata:\n"
        f"  offline: {{path: offline.parquet, {log}}}\n  live: {{path: live.parquet, {log}}}\n"
        "variants:\n  bad: {logged: bad}\n"
        "checks:\n  - accuracy_drop: {max_drop: 5pp}\n  - label_drift: {reference: offline, "
        "current: live, max_effect: 0.5}\n"
    )
    return load_suite(path)


def pixel(image):
    return Image.open(io.BytesIO(base64.b64decode(image["png"]))).getpixel((0, 0))


def of(run, check):
    (found,) = [result for result in run.results if result.check == check]
    return found


def test_live_rows_that_a_variant_loses_are_shown(suite):
    drop = of(run_suite(suite), "accuracy_drop")
    assert drop.status == "failed"
    (image,) = drop.details["images"]
    assert image["caption"].startswith("coat called shirt: live-")
    row = int(image["caption"].rpartition("live-")[2])
    assert row % 4 == 0
    assert row < 240
    assert pixel(image) == row % 200


def test_a_case_that_passed_needs_no_images(suite, bench):
    path = bench.folder / "pictures.suite.yaml"
    path.write_text(path.read_text().replace("5pp", "40pp"))
    drop = of(run_suite(load_suite(path)), "accuracy_drop")
    assert drop.status == "passed"
    assert "images" not in drop.details


def test_rows_of_changed_data_are_not_shown(suite, bench):
    """The log was written anew between gathering and judging: its rows are others now."""
    from modelchecks.gather import gather
    from modelchecks.judging import judge
    from modelchecks.plan import make_plan
    from modelchecks.run import suite_store

    plan = make_plan(suite)
    gathered = gather(plan, suite_store(suite))
    table = pq.read_table(bench.folder / "live.parquet")
    other = pa.array([f"other-{row}" for row in range(ROWS)])
    pq.write_table(table.set_column(0, "id", other), bench.folder / "live.parquet")
    drop = judge(plan, plan.cases[0], gathered)
    assert drop.status == "failed"
    assert "images" not in drop.details
    (bench.folder / "live.parquet").unlink()
    gone = judge(plan, plan.cases[0], gathered)
    assert replace(gone, details={}) == replace(drop, details={})
    assert "images" not in gone.details


def test_the_sides_of_a_comparison_are_named(suite):
    drift = of(run_suite(suite), "label_drift")
    assert drift.details["splits"] == {"reference": "offline", "current": "live"}


@dataclass(frozen=True)
class Embedded:
    """What `embedding_drift` declares, as far as its rows are shown by it."""

    default_severity: ClassVar = "warn"
    scope: ClassVar = "variant"
    reference: str = "offline"
    current: str = "live"


class Seen(Evidence):
    """Evidence that is asked for embeddings alone."""

    def __init__(self, embedding):
        object.__setattr__(self, "embedding", embedding)

    def sample(self, column, *, labelled=False):
        assert (column, labelled) == ("embedding:bad", False)
        return self.embedding


def named(*rows):
    return [{"id": f"{split}-{row}", "row": row, "score": 1.0} for split, row in rows]


def test_rows_that_embedding_drift_names_are_shown(suite):
    draw = np.random.default_rng(0)
    sides = [draw.normal(shift, 1, (300, 5)) for shift in (0, 4)]
    view = View({"offline": Seen(sides[0]), "live": Seen(sides[1])}, "bad")
    outcome = Outcome(
        "failed",
        "",
        details={
            "directions": [],
            "current_least_like_reference": named(("live", 7), ("live", 150)),
            "reference_least_like_current": named(("offline", 3)),
        },
    )
    found = illustrating.illustrated(suite, Embedded(), outcome, view)
    assert [image["caption"] for image in found["images"]] == [
        "live live-7, least like offline",
        "live live-150, least like offline",
        "offline offline-3, least like live",
    ]
    assert [pixel(image) for image in found["images"]] == [7, 150, 3]
    again = illustrating.illustrated(suite, Embedded(), outcome, view)
    assert again == found


def test_what_a_check_records_itself_stands(suite):
    outcome = Outcome("failed", "", details={"images": [], "embedding": {}, "splits": {}})
    found = illustrating.illustrated(suite, Embedded(), outcome, View({}, "bad"))
    assert found == outcome.details


@pytest.mark.parametrize("details", [{"confusions": 3}, {"current_least_like_reference": [1]}])
def test_odd_details_cost_the_images_alone(suite, details):
    outcome = Outcome("failed", "", details=details)
    found = illustrating.illustrated(suite, Embedded(), outcome, View({}, "bad"))
    assert found == {**details, "splits": {"reference": "offline", "current": "live"}}


@pytest.mark.parametrize(
    ("image", "first"),
    [
        (np.full((4, 4, 1), 7, np.uint8), 7),
        (np.full((4, 4, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 4, 4), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 4, 1), 0.5), 128),
        (np.full((4, 4, 1), np.nan), 0),
    ],
)
def test_images_of_any_kind_become_small_pngs(image, first):
    assert pixel({"png": thumbnail.png(image)}) == first
    large = thumbnail.png(np.zeros((300, 200, 3), np.uint8))
    assert max(Image.open(io.BytesIO(base64.b64decode(large))).size) == thumbnail.SIDE


def test_there_is_no_png_of_nothing():
    assert thumbnail.png(None) is None
    assert thumbnail.png(np.zeros((0, 0, 1), np.uint8)) is None
