"""What many tests need: a folder with a real suite over real Parquet logs of answers, no model."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

# A machine may be busy: no test is about seconds.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SUITES = Path(__file__).resolve().parent.parent / "suites"


@dataclass
class Bench:
    """A folder with logs `offline.parquet` and `live.parquet`, and the suites written into it.

    Every log has the columns id, label (0 to 3), camera, and for each variant its answers: `good`
    and `bad` are predicted classes, `probabilities` lists of four probabilities whose largest is
    at the answer of `good`.
    """

    folder: Path

    def log(
        self, name: str, *, rows: int = 2000, good: float = 0.94, bad: float = 0.70, seed: int = 0
    ) -> Path:
        """Write a log in which exactly the shares `good` and `bad` of the answers are right."""
        draw = np.random.default_rng([seed, rows])
        label = draw.integers(0, 4, rows)

        def answers(share: float) -> np.ndarray:
            wrong = draw.permutation(rows) >= round(share * rows)
            return np.where(wrong, (label + draw.integers(1, 4, rows)) % 4, label)

        good_answers = answers(good)
        probabilities = np.full((rows, 4), 0.1)
        probabilities[np.arange(rows), good_answers] = 0.7
        table = pa.table(
            {
                "id": [f"{name}-{row:05d}" for row in range(rows)],
                "label": label,
                "camera": draw.choice(["A", "B"], rows).tolist(),
                "good": good_answers,
                "bad": answers(bad),
                "probabilities": pa.array(probabilities.tolist(), pa.list_(pa.float64())),
            }
        )
        path = self.folder / f"{name}.parquet"
        pq.write_table(table, path, row_group_size=300)
        return path

    def write(self, name: str, **columns: object) -> Path:
        """Write a log of these columns, and of ids where they name none."""
        rows = len(next(iter(columns.values())))  # type: ignore[arg-type]
        ids = {"id": [f"{name}-{row:05d}" for row in range(rows)]}
        path = self.folder / f"{name}.parquet"
        pq.write_table(pa.table({**ids, **columns}), path, row_group_size=500)
        return path

    def suite(
        self,
        checks: str = "- accuracy_drop: {max_drop: 5pp}",
        *,
        name: str = "live",
        variants: str = "good: {logged: good}\nbad: {logged: bad}",
        rest: str = "",
        sampling: str = "random",
        of_offline: str = "",
        of_live: str = "",
    ) -> Path:
        """Write `NAME.suite.yaml` over both logs and return its path.

        `of_offline` and `of_live` say how that split's rows were drawn, in the place of `sampling`.
        """
        parts = [
            f"suite: {name}-gate",
            "data:",
            f"  offline: {{source: parquet, path: offline.parquet, label: label, id: id, "
            f"{of_offline or f'sampling: {sampling}'}}}",
            f"  live: {{source: parquet, path: live.parquet, label: label, id: id, "
            f"{of_live or f'sampling: {sampling}'}}}",
            "variants:",
            indent(dedent(variants).strip(), "  "),
            "checks:",
            indent(dedent(checks).strip(), "  "),
            dedent(rest).strip(),
        ]
        path = self.folder / f"{name}.suite.yaml"
        path.write_text("\n".join(parts) + "\n", encoding="utf-8")
        return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Two logs in a folder of their own: `good` drops by 1 point, `bad` by 24; evidence beside."""
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    made = Bench(tmp_path)
    made.log("offline", good=0.94, bad=0.94, seed=1)
    made.log("live", good=0.93, bad=0.70, seed=2)
    return made


# The case study on a few hundred real images; torch is imported only where one of these is asked.


@pytest.fixture(scope="session")
def fashion_folder():
    """The folder with Fashion-MNIST; without it these tests fail and say how to get it."""
    from casestudy.prepare import obtain

    return obtain(SUITES / "data" / "fashion-mnist")


@pytest.fixture(scope="session")
def pool(fashion_folder):
    """All 70,000 images and labels."""
    from modelchecks.sources.fashion_mnist import load_pool

    return load_pool(fashion_folder)


@pytest.fixture(scope="session")
def rows(pool):
    """The partition of the pool."""
    from modelchecks.sources.fashion_mnist import partition

    return partition(pool[1])


@pytest.fixture(scope="session")
def small(pool, rows):
    """The splits, cut to a few hundred images each."""
    images, labels = pool
    counts = {"train": 1024, "val": 300, "adapt": 128, "offline": 300}
    return {name: (images[rows[name][:n]], labels[rows[name][:n]]) for name, n in counts.items()}


@pytest.fixture(scope="session")
def tiny_recipes():
    """The three recipes, cut to a few steps."""
    from casestudy.train import Recipe

    recipes = (
        Recipe(name="baseline", epochs=4, peak_rate=0.1),
        Recipe(name="domain_adapted", epochs=1, peak_rate=0.1, flips=True, coral=0.1),
        Recipe(name="curriculum", epochs=2, peak_rate=0.1, smoothing=0.05, easy_first=True),
    )
    return {recipe.name: recipe for recipe in recipes}


@pytest.fixture(scope="session")
def trained(small, tiny_recipes, tmp_path_factory):
    """A folder with the three variants, trained on a few hundred images."""
    from casestudy.train import train_all

    runs = tmp_path_factory.mktemp("runs")
    train_all(small, runs, seed=3, recipes=tiny_recipes, say=lambda line: None)
    return runs


@pytest.fixture(scope="session")
def _real_gate(pool, rows, trained, tmp_path_factory):
    from casestudy.environment import photograph
    from casestudy.live import png

    images, labels = pool
    folder = tmp_path_factory.mktemp("real")
    for name, split in (("train", "train"), ("offline", "offline"), ("live", "live_pool")):
        chosen = rows[split][:400]
        seen = images[chosen] if name != "live" else photograph(images[chosen], seed=1)
        table = pa.table(
            {
                "image": pa.array([png(image) for image in seen], pa.binary()),
                "label": labels[chosen],
                "id": [f"{name}-{row}" for row in chosen],
                "camera": np.where(chosen % 2, "A", "B").tolist(),
            }
        )
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=150)
    shutil.copytree(SUITES / "casestudy", folder / "casestudy")
    for weights in trained.glob("*.safetensors"):
        shutil.copy(weights, folder)
    (folder / "columns.json").write_text(
        json.dumps(
            {
                "name": "columns",
                "expectations": [
                    {
                        "type": "expect_column_values_to_not_be_null",
                        "kwargs": {"column": "label"},
                    },
                    {
                        "type": "expect_column_values_to_be_in_set",
                        "kwargs": {"column": "camera", "value_set": ["A", "B"]},
                    },
                ],
            }
        )
    )
    splits = "".join(
        f"  {name}: {{source: parquet, path: {name}.parquet, image: image, label: label, id: id, "
        "slices: [camera], sampling: random}\n"
        for name in ("train", "offline", "live")
    )
    variants = "".join(
        f"  {name}: {{model: 'casestudy:small_cnn', weights: {name}.safetensors}}\n"
        for name in ("baseline", "domain_adapted", "curriculum")
    )
    (folder / "real.suite.yaml").write_text(
        f"""suite: real
data:
{splits}variants:
{variants}checks:
  - schema:
      expectations: columns.json
      image: {{shape: [28, 28, 1], dtype: uint8, range: [0, 255]}}
      splits: [train, offline, live]
  - feature_drift: {{reference: train, current: live}}
  - label_drift: {{reference: train, current: live}}
  - prediction_drift: {{reference: offline, current: live}}
  - accuracy_floor: {{split: offline, min_accuracy: 1%}}
  - accuracy_drop: {{max_drop: 90pp}}
compute: {{shard_rows: 150, batch_size: 64}}
"""
    )
    return folder


@pytest.fixture
def real_gate(_real_gate, tmp_path, monkeypatch):
    """A folder with `real.suite.yaml`: 3 x 400 real images, three trained models, all approved.

    The limits are so wide that the tiny models pass: what a test breaks is all that can be wrong.
    """
    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    return Path(shutil.copytree(_real_gate, tmp_path / "real"))


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder for models with a known fault (see `tests.planted`)."""
    from tests.planted import Planted

    monkeypatch.delenv("MODELCHECKS_CACHE", raising=False)
    return Planted(tmp_path)
