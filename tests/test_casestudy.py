"""The case study's data, environment, models and log, on the real Fashion-MNIST."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as v2

from casestudy import live
from casestudy.copies import eight_bits
from casestudy.environment import (
    ADJACENT,
    LIVE,
    Environment,
    blurred,
    moved,
    photograph,
)
from casestudy.prepare import obtain
from casestudy.seeds import FURTHER, train_seeds
from casestudy.train import (
    FIELDS,
    Recipe,
    accuracy,
    coral,
    load_weights,
    predict,
    recipe_digest,
    stored_digest,
    train,
    train_all,
)
from modelchecks.load import read_suite
from modelchecks.registry import load
from modelchecks.sources.fashion_mnist import (
    CLASSES,
    SHIRT,
    SIZES,
    draw_rows,
    find_folder,
    load_pool,
    partition,
    read_idx,
)

SUITES = Path(__file__).resolve().parent.parent / "suites"

# Data


def test_pool_is_the_published_set(pool):
    images, labels = pool
    assert images.shape == (70_000, 28, 28)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [7_000] * 10


def test_partition_is_disjoint_and_complete(pool, rows):
    assert {name: len(rows[name]) for name in SIZES} == SIZES
    together = np.concatenate(list(rows.values()))
    assert np.array_equal(np.sort(together), np.arange(70_000))
    again = partition(pool[1])
    assert all(np.array_equal(rows[name], again[name]) for name in rows)


@pytest.mark.parametrize("split", SIZES)
def test_splits_follow_the_catalogue_prior(pool, rows, split):
    counts = np.bincount(pool[1][rows[split]], minlength=10)
    prior = np.where(np.arange(10) == SHIRT, 0.3, 1.0) / 9.3
    expected = prior * SIZES[split]
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 27.9  # 99.9 % point of chi-square with 9 degrees of freedom


def test_live_log_shows_more_shirts_and_no_item_of_another_split(pool, rows):
    chosen = live.live_rows(pool[1], rows["live_pool"])
    assert len(np.unique(chosen)) == live.ROWS
    assert np.isin(chosen, rows["live_pool"]).all()
    share = (pool[1][chosen] == SHIRT).mean()
    assert abs(share - 0.48 / 9.48) < 4 * math.sqrt(0.05 * 0.95 / live.ROWS)


def test_draw_rows_names_the_class_that_runs_out():
    labels = np.arange(10).repeat(3)
    with pytest.raises(ValueError, match=r"of class \d .* the pool has 3"):
        draw_rows(labels, np.arange(30), np.ones(10), 200, np.random.default_rng(0))


def test_find_folder_takes_only_what_the_user_named(fashion_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("FASHION_MNIST", raising=False)
    assert find_folder(fashion_folder) == fashion_folder
    with pytest.raises(FileNotFoundError) as missing:
        find_folder(tmp_path, cache=fashion_folder)
    for remedy in ("apt-get install dataset-fashion-mnist", "download=True", "folder: PATH"):
        assert remedy in str(missing.value)
    assert find_folder(cache=fashion_folder) == fashion_folder
    monkeypatch.setenv("FASHION_MNIST", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="FASHION_MNIST"):
        find_folder(cache=fashion_folder)
    with pytest.raises(FileNotFoundError):
        obtain(tmp_path / "cache", say=lambda line: None)
    assert not (tmp_path / "cache").exists()


def test_find_folder_accepts_the_layout_of_torchvision(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3"):
        (raw / f"{name}-ubyte").touch()
    with pytest.raises(FileNotFoundError):
        find_folder(tmp_path)
    (raw / "t10k-labels-idx1-ubyte.gz").touch()
    assert find_folder(tmp_path) == raw


def _idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3))
@settings(max_examples=20)
def test_idx_round_trip(tmp_path_factory, shape):
    array = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    path = tmp_path_factory.mktemp("idx") / "a.gz"
    path.write_bytes(gzip.compress(_idx(array)))
    assert np.array_equal(read_idx(path), array)


GOOD = _idx(np.zeros((3, 28, 28), np.uint8))
DAMAGED = {
    "cut gzip": (gzip.compress(GOOD, mtime=0)[:-20], "damaged"),
    "no gzip": (b"<html>not found</html>", "damaged"),
    "wrong bits": (gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 40, "damaged"),
    "a byte short": (gzip.compress(GOOD[:-1]), "asks for 2368 bytes, it has 2367"),
    "a byte long": (gzip.compress(GOOD + b"\0"), "asks for 2368 bytes, it has 2369"),
    "cut header": (gzip.compress(GOOD[:9]), "ends within its header"),
    "floats": (gzip.compress(b"\x00\x00\x0d\x03" + GOOD[4:]), "magic number"),
    "no dimension": (gzip.compress(b"\x00\x00\x08\x00"), "magic number"),
    "empty gzip": (gzip.compress(b""), "magic number"),
    "empty file": (b"", "magic number"),
}


@pytest.mark.parametrize(("content", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(tmp_path, content, reason):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte.gz.*{reason}"):
        read_idx(path)


def test_another_set_in_the_same_format_is_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(GOOD)
    with pytest.raises(ValueError, match=r"train-images.*\(3, 28, 28\), not \(60000, 28, 28\)"):
        load_pool(tmp_path)


# Environment


def test_severity_zero_is_the_identity(small):
    images = small["val"][0]
    for environment in (LIVE, ADJACENT):
        assert np.array_equal(photograph(images, environment, severity=0, seed=1), images)
    mixed = np.arange(len(images)) % 2.0
    seen = photograph(images, severity=mixed, seed=1)
    assert np.array_equal(seen[mixed == 0], images[mixed == 0])
    assert np.array_equal(seen[mixed == 1], photograph(images, seed=1)[mixed == 1])


@pytest.mark.parametrize("environment", [LIVE, ADJACENT])
def test_environment_is_deterministic_and_keeps_the_type(small, environment):
    images = small["val"][0]
    seen = photograph(images, environment, seed=5)
    assert seen.dtype == np.uint8
    assert seen.shape == images.shape
    assert np.array_equal(seen, photograph(images, environment, seed=5))
    assert np.array_equal(seen[:7], photograph(images[:7], environment, seed=5))
    assert not np.array_equal(seen, photograph(images, environment, seed=6))


def test_draws_are_made_once_and_scaled(small):
    """Twice the severity moves the same items twice as far, in the same direction."""
    spot = np.zeros((200, 29, 29), np.uint8)
    spot[:, 13:16, 13:16] = 255
    places = np.arange(29.0)
    shifts = []
    for severity in (0.5, 1.0):
        seen = photograph(spot, Environment(shift=4.0), severity=severity, seed=2).astype(float)
        mass = seen.sum((1, 2))
        down, right = (seen.sum(axis) @ places / mass - 14 for axis in (2, 1))
        shifts.append(np.stack([down, right]))
    assert np.allclose(2 * shifts[0], shifts[1], atol=0.02)
    assert np.abs(shifts[1]).max() > 3.8
    noisy = [
        photograph(spot + 100, Environment(noise=0.02), severity=s, seed=2)[:, :5, :5].astype(int)
        - 100
        for s in (1.0, 2.0)
    ]
    assert np.abs(noisy[1] - 2 * noisy[0]).max() <= 1.5
    assert abs(noisy[1].std() / 255 - 0.04) < 0.002


def test_motion_and_blur_are_those_of_torchvision(small):
    images = torch.from_numpy(small["val"][0][:20])[:, None].float() / 255
    draw = np.random.default_rng(0)
    degrees, right, down = (draw.uniform(-10, 10, 20) for _ in range(3))
    scale, sigma = draw.uniform(0.8, 1.3, 20), draw.uniform(0.3, 1.5, 20)
    ours = moved(images, degrees=degrees, scale=scale, right=right, down=down)
    for i, image in enumerate(images):
        theirs = v2.affine(
            image,
            angle=float(degrees[i]),
            translate=[float(right[i]), float(down[i])],
            scale=float(scale[i]),
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(ours[i], theirs, atol=1e-4, rtol=0)
    ours = blurred(images, sigma)
    for i, image in enumerate(images):
        theirs = v2.gaussian_blur(image, kernel_size=[9, 9], sigma=[float(sigma[i])] * 2)
        torch.testing.assert_close(ours[i], theirs, atol=1e-5, rtol=0)


def test_tones_are_those_of_torchvision(small):
    images = small["val"][0][:50]
    tensor = torch.from_numpy(images)[:, None]
    for environment, theirs in (
        (Environment(gamma=0.3), v2.adjust_gamma(tensor.float() / 255, math.exp(0.3))),
        (Environment(contrast=0.22), v2.adjust_brightness(tensor.float() / 255, 0.78)),
    ):
        ours = photograph(images, environment, seed=0).astype(int)
        assert np.abs(ours - 255 * theirs[:, 0].numpy()).max() < 0.51


def test_jpeg_quality_falls_with_the_severity(small):
    images = small["val"][0][:50]
    for severity, quality in ((0.5, 85), (1, 70), (2, 40), (3, 40)):
        seen = photograph(images, Environment(jpeg=30), severity=severity, seed=0)
        file = io.BytesIO()
        Image.fromarray(images[7]).save(file, "JPEG", quality=quality)
        assert np.array_equal(seen[7], np.asarray(Image.open(file)))


@pytest.mark.parametrize(
    ("images", "severity", "reason"),
    [
        (np.zeros((2, 28, 28)), 1.0, "uint8"),
        (np.zeros((28, 28), np.uint8), 1.0, r"\(n, height, width\)"),
        (np.zeros((2, 28, 28), np.uint8), -0.1, ">= 0"),
        (np.zeros((2, 28, 28), np.uint8), math.nan, ">= 0"),
        (np.zeros((2, 28, 28), np.uint8), np.ones(3), "broadcast"),
    ],
)
def test_environment_refuses_what_it_cannot_show(images, severity, reason):
    with pytest.raises(ValueError, match=reason):
        photograph(images, severity=severity, seed=0)


def test_no_images_are_no_error():
    assert photograph(np.zeros((0, 28, 28), np.uint8), seed=0).shape == (0, 28, 28)


# Models and training


def test_the_model_has_the_documented_shapes():
    model = load("casestudy:small_cnn", SUITES)().eval()
    images = torch.rand(3, 1, 28, 28)
    seen = []
    model.embedding.register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(images)
    assert logits.shape == (3, 10)
    assert seen[0].shape == (3, 128)
    assert torch.equal(seen[0], model.embed(images))
    assert sum(parameter.numel() for parameter in model.parameters()) == 390_474


def test_coral_is_zero_for_the_same_cloud_and_follows_its_formula():
    draw = torch.Generator().manual_seed(0)
    source, target = torch.randn(50, 4, generator=draw), torch.randn(60, 4, generator=draw) * 2 + 1
    assert float(coral(source, source)) == 0
    a, b = source.numpy().astype(float), target.numpy().astype(float)
    spread = ((np.cov(a.T) - np.cov(b.T)) ** 2).sum() / 4
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + spread
    assert float(coral(source, target)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_the_adaptation_adapts(pool, rows):
    """With the loss, accuracy in the adjacent environment is higher, and costs nothing at home."""
    images, labels = pool
    counts = {"train": 6144, "val": 1000, "adapt": 1000, "offline": 1000}
    splits = {name: (images[rows[name][:n]], labels[rows[name][:n]]) for name, n in counts.items()}
    plain = Recipe(name="plain", epochs=4, peak_rate=0.1, flips=True)
    (_, without), (_, adapted) = (
        train(recipe, splits, seed=0, say=lambda line: None)
        for recipe in (plain, replace(plain, coral=0.1))
    )
    assert adapted[-1]["adjacent_accuracy"] > without[-1]["adjacent_accuracy"] + 0.02
    assert adapted[-1]["offline_accuracy"] > without[-1]["offline_accuracy"] - 0.02


def test_a_small_training_learns(small):
    recipe = Recipe(name="tiny", epochs=10, peak_rate=0.05)
    model, history = train(recipe, small, seed=1, say=lambda line: None)
    reached = accuracy(model, *small["val"])
    assert reached > 0.6
    assert history[-1]["val_accuracy"] == reached
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2


def test_training_leaves_the_global_generator_alone(small):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    train(Recipe(name="tiny", epochs=1, peak_rate=0.1), small, seed=1, say=lambda line: None)
    assert torch.equal(before, torch.get_rng_state())


def test_curriculum_needs_an_order(small, tiny_recipes):
    with pytest.raises(ValueError, match="needs the order"):
        train(tiny_recipes["curriculum"], small, seed=0)


def test_histories_and_weights_are_written(trained, small, tiny_recipes):
    for name, recipe in tiny_recipes.items():
        with (trained / f"{name}.history.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0]) == FIELDS
        assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(recipe.epochs)]
        model = load_weights(trained / f"{name}.safetensors")
        assert f"{accuracy(model, *small['offline']):.6f}" == rows[-1]["offline_accuracy"]
    assert not list(trained.glob("*.partial"))


def test_what_is_there_is_not_trained_again(trained, small, tmp_path, tiny_recipes):
    for file in trained.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    said: list[str] = []
    files = train_all(small, tmp_path, seed=3, recipes=tiny_recipes, say=said.append)
    assert [line.endswith("skipped") for line in said] == [True] * 3
    files["domain_adapted"].write_bytes(files["domain_adapted"].read_bytes()[:1000])
    (tmp_path / "baseline.history.csv").unlink()
    said.clear()
    train_all(small, tmp_path, seed=3, recipes=tiny_recipes, say=said.append)
    assert sum(line.endswith("skipped") for line in said) == 1
    for name in tiny_recipes:
        again, first = (place / f"{name}.safetensors" for place in (tmp_path, trained))
        assert again.read_bytes() == first.read_bytes()


def test_the_digest_follows_recipe_seed_and_data(small, trained, tiny_recipes):
    recipe = tiny_recipes["baseline"]
    digest = recipe_digest(recipe, small, 3)
    assert stored_digest(trained / "baseline.safetensors") == digest
    images, labels = small["train"]
    flipped = {**small, "train": (images[:, :, ::-1], labels)}
    others = [
        recipe_digest(recipe, small, 4),
        recipe_digest(recipe, flipped, 3),
        recipe_digest(Recipe(name="baseline", epochs=3, peak_rate=0.1), small, 3),
    ]
    assert digest not in others
    assert stored_digest(trained / "none.safetensors") is None


# The live log


def test_live_log_has_its_columns_and_repeats(pool, rows, trained, tmp_path):
    images, labels = pool
    chosen = live.live_rows(labels, rows["live_pool"])[:300]
    baseline = trained / "baseline.safetensors"
    assert live.write_live(images, labels, chosen, baseline, tmp_path)
    parts = sorted(tmp_path.glob("*"))
    assert [part.name for part in parts] == [f"part-{i}.parquet" for i in range(live.PARTS)]
    written = [part.read_bytes() for part in parts]
    assert not live.write_live(images, labels, chosen, baseline, tmp_path)
    parts[1].write_bytes(written[1][:100])
    assert live.write_live(images, labels, chosen, baseline, tmp_path)
    assert [part.read_bytes() for part in parts] == written

    table = pq.read_table(tmp_path)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {
        "id": "string",
        "time": "timestamp[us, tz=UTC]",
        "camera": "string",
        "store": "string",
        "image": "binary",
        "label": "int64",
        "satisfaction": "int64",
        "latency_ms": "double",
        "audited": "int64",
    }
    assert not any(column.null_count for column in table.columns)
    assert table["label"].to_pylist() == labels[chosen].tolist()
    assert len(set(table["id"].to_pylist())) == 300
    times = table["time"].to_pylist()
    assert times == sorted(times)
    assert live.START < times[0] < times[-1] < live.START.replace(day=live.START.day + live.DAYS)
    seen = np.stack([np.asarray(Image.open(io.BytesIO(b))) for b in table["image"].to_pylist()])
    severity = live.visits(300)["severity"]
    assert np.array_equal(seen, photograph(images[chosen], severity=severity, seed=live.SEED))
    wrong = predict(load_weights(baseline), seen).argmax(1).numpy() != labels[chosen]
    stars = table["satisfaction"].to_numpy()
    assert set(stars) <= {1, 2, 3, 4, 5}
    assert stars[~wrong].mean() - stars[wrong].mean() > 0.8


def test_visits_have_severity_one_on_average_and_one_slow_camera():
    for shares in (live.CAMERAS, live.STORES):
        assert sum(share for share, _ in shares.values()) == pytest.approx(1)
        assert sum(share * extra for share, extra in shares.values()) == pytest.approx(0)
    columns = live.visits(20_000, seed=4)
    assert columns["severity"].mean() == pytest.approx(1, abs=0.003)
    tails = {
        camera: np.quantile(columns["latency_ms"][columns["camera"] == camera], 0.995)
        for camera in live.CAMERAS
    }
    assert tails["C"] > 2 * max(tails["A"], tails["B"])


# The schema


def test_schema_is_a_great_expectations_suite_for_every_declared_column():
    schema = json.loads((SUITES / "schema" / "fashion.json").read_text())
    assert set(schema) == {"name", "id", "expectations", "meta", "notes"}
    columns = {e["kwargs"].get("column") for e in schema["expectations"]} - {None}
    assert columns == {"id", "width", "height", "channels", "dtype", "min", "max", "label"}
    assert len({e["id"] for e in schema["expectations"]}) == len(schema["expectations"])


def _described(images, labels, ids):
    import pandas as pd

    flat = images.reshape(len(images), -1)
    return pd.DataFrame(
        {
            "id": ids,
            "width": images.shape[2],
            "height": images.shape[1],
            "channels": 1,
            "dtype": str(images.dtype),
            "min": flat.min(1),
            "max": flat.max(1),
            "label": labels,
        }
    )


def test_schema_accepts_real_images_and_refuses_broken_ones(pool, rows):
    gx = pytest.importorskip("great_expectations")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = gx.ExpectationSuite(**json.loads((SUITES / "schema" / "fashion.json").read_text()))
    source = context.data_sources.add_pandas("fashion").add_dataframe_asset("images")
    whole = source.add_batch_definition_whole_dataframe("all")

    def failed(table):
        outcome = whole.get_batch({"dataframe": table}).validate(suite)
        return {r.expectation_config.kwargs.get("column") for r in outcome.results if not r.success}

    images, labels = (array[rows["offline"]] for array in pool)
    ids = [f"fm-{row:05d}" for row in rows["offline"]]
    shown = photograph(images, seed=1)
    assert failed(_described(images, labels, ids)) == set()
    assert failed(_described(shown, labels, ids)) == set()
    assert failed(_described(255 - images, labels, ids)) == {"min"}
    assert failed(_described(255 - shown, labels, ids)) == {"min"}
    assert failed(_described(images / 255, labels, ids)) == {"dtype", "max"}
    assert failed(_described(images, labels, ["same"] * len(ids))) == {"id"}
    assert failed(_described(images, np.where(labels == 3, len(CLASSES), labels), ids)) == {"label"}


# What a held-out score never shows


def test_further_seeds_are_other_models_of_the_same_recipe(small, tmp_path):
    files = train_seeds(small, tmp_path, further=(1, 2), say=lambda line: None)
    assert [file.name for file in files.values()] == [
        "baseline.seed-1.safetensors",
        "baseline.seed-2.safetensors",
    ]
    first, second = (load_weights(file).classifier.weight for file in files.values())
    assert not torch.equal(first, second)
    said = []
    train_seeds(small, tmp_path, further=(1, 2), say=said.append)
    assert len(said) == 2
    assert all("skipped" in line for line in said)


def test_the_eight_bit_copy_is_near_the_model_and_no_copy_of_it(trained, small):
    model = load_weights(trained / "baseline.safetensors")
    before = predict(model, small["offline"][0])
    copy = eight_bits(load_weights(trained / "baseline.safetensors"))
    after = predict(copy, small["offline"][0])
    assert not torch.equal(before, after)
    assert float((before - after).abs().max()) < 0.05 * float(before.abs().max())
    kernel = copy.classifier.weight
    steps = kernel / (kernel.abs().amax(1, keepdim=True) / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-3)


def test_the_robustness_suite_is_sound_and_asks_all_that_make_gate_expects():
    suite, problems = read_suite(SUITES / "robustness.suite.yaml")
    assert not problems
    assert {declared.name for declared in suite.checks} == {
        *("contract", "latency", "corruption", "adversarial", "search"),
        *("stability", "training_history", "guardrail"),
    }
    seeds = [run["seed"] for run in suite.variants[0].runs]
    assert seeds == [0, *FURTHER]
