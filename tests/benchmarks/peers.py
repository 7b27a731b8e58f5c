"""Peers asked the same questions over the same images and the same model, as whole processes.

`python peers.py deepchecks FOLDER` and `python peers.py ours FOLDER` each print one line of JSON:
seconds without start-up, and the peak memory above what torch alone takes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from measure import megabytes

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "suites"))


LOADED = (
    *("filelock", "great_expectations", "PIL.Image", "PIL.PngImagePlugin", "pyarrow.parquet"),
    *("pyarrow.pandas_compat", "safetensors.torch", "scipy.stats", "threadpoolctl"),
    *("modelchecks.pacing", "modelchecks.probes.expectations", "modelchecks.sources.arrays"),
    *("modelchecks.report.page", "modelchecks.report.picture"),
)


def prepare(folder: Path, rows: int = 10_000) -> None:
    """Write 2 x 10,000 images, the baseline's weights and a suite with the matched questions."""
    import shutil

    from casestudy.environment import photograph
    from modelchecks.sources.fashion_mnist import find_folder, load_pool, partition

    images, labels = load_pool(find_folder(cache=ROOT / "suites" / "data" / "fashion-mnist"))
    parts = partition(labels)
    train, live = parts["train"][:rows], parts["live_pool"][:rows]
    np.save(folder / "train.npy", images[train])
    np.save(folder / "live.npy", photograph(images[live], seed=1))
    np.save(folder / "train_labels.npy", labels[train])
    np.save(folder / "live_labels.npy", labels[live])
    shutil.copytree(ROOT / "suites" / "casestudy", folder / "casestudy", dirs_exist_ok=True)
    shutil.copy(ROOT / "suites" / "runs" / "baseline.safetensors", folder)
    (folder / "labels.json").write_text(
        json.dumps(
            {
                "name": "labels",
                "expectations": [
                    {
                        "type": "expect_column_values_to_be_in_set",
                        "kwargs": {"column": "label", "value_set": list(range(10))},
                    }
                ],
            }
        )
    )
    (folder / "s.suite.yaml").write_text(
        "suite: s\ndata:\n"
        "  train: {source: arrays, images: train.npy, labels: train_labels.npy, sampling: random}\n"
        "  live: {source: arrays, images: live.npy, labels: live_labels.npy, sampling: random}\n"
        "variants:\n  v: {model: 'casestudy:small_cnn', weights: baseline.safetensors}\n"
        "checks:\n"
        "  - feature_drift: {reference: train, current: live}\n"
        "  - label_drift: {reference: train, current: live}\n"
        "  - prediction_drift: {reference: train, current: live}\n"
        "  - schema: {splits: [live], expectations: labels.json}\n"
        "  - accuracy_drop: {offline: train, live: live, max_drop: 5pp}\n"
    )


def ours(folder: Path) -> None:
    """Answer the questions with modelchecks and write the reports."""
    import torch  # noqa: F401

    floor = megabytes()
    started = time.perf_counter()
    import shutil
    from importlib import import_module
    from pkgutil import iter_modules

    from modelchecks import checks, stats
    from modelchecks.load import load_suite
    from modelchecks.publish import warm_up
    from modelchecks.report.figures.draw import remembering
    from modelchecks.report.write import write
    from modelchecks.run import run_suite

    # As a gate does it; what a run loads on its way counts as start-up, as it does where all is
    # loaded at once.
    drawing = warm_up(["html"])
    for name in LOADED:
        import_module(name)
    for package in (checks, stats):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    assert drawing is not None
    drawing.join()
    shutil.rmtree(folder / ".modelchecks", ignore_errors=True)
    suite = folder / "s.suite.yaml"
    if precision := os.environ.get("PRECISION"):
        swift = folder / "swift.suite.yaml"
        swift.write_text(f"{suite.read_text()}compute: {{precision: {precision}}}\n")
        suite = swift
    imported = time.perf_counter()
    run = run_suite(load_suite(suite))
    with remembering({}):
        written = write(run, folder / "reports")
    done = time.perf_counter()
    assert all(result.status != "errored" for result in run.results)
    size = sum(path.stat().st_size for path in written.values())
    tell(done - imported, imported - started, megabytes() - floor, size)


def deepchecks(folder: Path) -> None:
    """Answer them with deepchecks: its three vision suites, or the checks that match ours."""
    os.environ["DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY"] = "1"
    import torch

    floor = megabytes()
    started = time.perf_counter()
    import contextlib
    import io
    import warnings

    warnings.simplefilter("ignore")
    from deepchecks.vision import BatchOutputFormat, Suite, VisionData
    from deepchecks.vision import checks as vision
    from deepchecks.vision.suites import data_integrity, model_evaluation, train_test_validation

    from casestudy.train import load_weights

    imported = time.perf_counter()
    model = load_weights(folder / "baseline.safetensors")

    def data(split: str) -> VisionData:
        images, labels = np.load(folder / f"{split}.npy"), np.load(folder / f"{split}_labels.npy")

        def collate(rows: list[int]) -> BatchOutputFormat:
            pixels = images[rows]
            with torch.inference_mode():
                scaled = torch.from_numpy(pixels)[:, None].float() / 255
                probabilities = model(scaled).softmax(1)
            return BatchOutputFormat(
                images=[image[..., None] for image in pixels],
                labels=labels[rows].tolist(),
                predictions=probabilities.numpy(),
            )

        loader = torch.utils.data.DataLoader(range(len(images)), 250, collate_fn=collate)
        return VisionData(loader, task_type="classification", reshuffle_data=False)

    if os.environ.get("MATCHED"):
        suites = [
            Suite(
                "matched",
                vision.ImagePropertyDrift(),
                vision.LabelDrift(),
                vision.PredictionDrift(),
                vision.NewLabels(),
                vision.ClassPerformance(),
            )
        ]
    else:
        suites = [train_test_validation(), model_evaluation(), data_integrity()]
    train, live = data("train"), data("live")
    size = 0
    for number, suite in enumerate(suites):
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            result = suite.run(train, live, max_samples=None)
            path = folder / f"deepchecks-{number}.html"
            path.unlink(missing_ok=True)
            result.save_as_html(str(path), as_widget=False)
        size += path.stat().st_size
    tell(time.perf_counter() - imported, imported - started, megabytes() - floor, size)


def tell(seconds: float, imports: float, memory: float, report: int) -> None:
    """Print what a process measured of itself, as its last line."""
    found = {"seconds": seconds, "imports": imports, "megabytes": memory, "report": report}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    {"prepare": prepare, "ours": ours, "deepchecks": deepchecks}[sys.argv[1]](Path(sys.argv[2]))
