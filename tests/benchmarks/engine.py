"""The pass against bare forwards of the same models over the same batches, and its memory."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import ROOT, Ratio, in_turns, megabytes, process

FACETS = ("images", "columns", "feature:brightness", "feature:contrast", "feature:entropy")
FEATURES = (*FACETS, "feature:sharpness", "rows")
NETS = """
import torch, torchvision
from torch import nn
def resnet18():
    return torchvision.models.resnet18(num_classes=10)
def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
"""


def suite_folder(model: str, images: np.ndarray, variants: int, precision: str = "float32") -> Path:
    """Write images, labels, weights and a suite over them; return the folder."""
    import torch
    from safetensors.torch import save_file

    from modelchecks.registry import load

    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    (folder / "nets.py").write_text(NETS)
    shutil.copytree(ROOT / "suites" / "casestudy", folder / "casestudy")
    np.save(folder / "x.npy", images)
    np.save(folder / "y.npy", np.arange(len(images)) % 10)
    lines = []
    for number in range(variants):
        torch.manual_seed(number)
        save_file(load(model, folder)().state_dict(), folder / f"v{number}.safetensors")
        lines.append(f"  v{number}: {{model: '{model}', weights: v{number}.safetensors}}")
    (folder / "s.suite.yaml").write_text(
        "suite: s\ndata:\n"
        "  a: {source: arrays, images: x.npy, labels: y.npy, sampling: random}\n"
        "variants:\n" + "\n".join(lines) + "\n"
        "checks:\n  - accuracy_floor: {split: a, min_accuracy: 1%}\n"
        f"compute: {{precision: {precision}}}\n"
    )
    return folder


def full_plan(folder: Path, heavy: bool):
    """Return the suite and a plan with every facet; `heavy` adds logits and embeddings."""
    from modelchecks.load import load_suite
    from modelchecks.plan import make_plan

    suite = load_suite(folder / "s.suite.yaml")
    plan = make_plan(suite)
    kinds = ("answers", "logits", "embedding") if heavy else ("answers",)
    facets = {*FEATURES, *(f"{kind}:{v.name}" for kind in kinds for v in suite.variants)}
    (split,) = plan.splits
    return suite, dataclasses.replace(
        plan, splits=(dataclasses.replace(split, facets=tuple(sorted(facets))),)
    )


def pass_against_bare(
    name: str,
    model: str,
    images: np.ndarray,
    repeats: int,
    budget: str,
    precision: str = "float32",
) -> Ratio:
    """Return the pass with all evidence over the bare forwards of the same batches."""
    import torch

    from modelchecks.gather import gather
    from modelchecks.identity import Pace
    from modelchecks.inference import Model
    from modelchecks.store import Store

    folder = suite_folder(model, images, variants=3, precision=precision)
    suite, plan = full_plan(folder, heavy=True)
    store = Store(folder / "cache")

    def ours() -> float:
        shutil.rmtree(folder / "cache" / "evidence", ignore_errors=True)
        started = time.perf_counter()
        found = gather(plan, store)
        seconds = time.perf_counter() - started
        (evidence,) = found.splits.values()
        assert not isinstance(evidence, Exception), evidence
        assert not evidence.failures, evidence.failures
        return seconds

    (first,) = gather(plan, store).splits.values()  # measures and remembers the pace
    pace = Pace(**first.meta["variants"][suite.variants[0].name]["pace"])
    models = [Model(v, suite.folder, suite.compute, pace).module for v in suite.variants]
    # Not by `None`: that axis has a stride of 0, with which torch takes 1.4 times as long.
    stacked = images.reshape(*images.shape, 1) if images.ndim == 3 else images

    @torch.inference_mode()
    def bare() -> float:
        started = time.perf_counter()
        for start in range(0, len(stacked), pace.batch_size):
            batch = torch.from_numpy(stacked[start : start + pace.batch_size])
            inputs = batch.permute(0, 3, 1, 2).float().div_(255)
            if pace.channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            for module in models:
                with torch.autocast(
                    "cpu", torch.bfloat16, enabled=pace.bfloat16, cache_enabled=False
                ):
                    module(inputs)
        return time.perf_counter() - started

    found = in_turns(f"{name}: pass / bare forwards", ours, bare, repeats, budget)
    shutil.rmtree(folder)
    return found


def memory(rows: int) -> float:
    """Return the peak MB of a process that gathers all evidence of `rows` images from a file."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    command = [sys.executable, str(Path(__file__)), "gather", str(folder), str(rows)]
    found = process(command, ROOT)
    shutil.rmtree(folder)
    return float(json.loads(found.output.strip().splitlines()[-1])["megabytes"])


def _write(folder: Path, rows: int) -> None:
    """Write `rows` images block by block, so that it takes no memory."""
    small = suite_folder("nets:linear", np.zeros((1, 28, 28), np.uint8), variants=1)
    shutil.copytree(small, folder, dirs_exist_ok=True)
    shutil.rmtree(small)
    draw = np.random.default_rng(0)
    with (folder / "x.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, 28, 28)}
        np.lib.format.write_array_header_2_0(file, header)
        for start in range(0, rows, 10_000):
            size = min(10_000, rows - start)
            file.write(draw.integers(0, 256, (size, 28, 28), dtype=np.uint8).tobytes())
    np.save(folder / "y.npy", np.arange(rows) % 10)


def _gather(folder: Path, rows: int) -> None:
    from modelchecks.gather import gather
    from modelchecks.store import Store

    _write(folder, rows)
    _, plan = full_plan(folder, heavy=True)
    (evidence,) = gather(plan, Store(folder / "cache")).splits.values()
    assert evidence.total == rows
    print(json.dumps({"megabytes": megabytes()}))


if __name__ == "__main__":
    _gather(Path(sys.argv[2]), int(sys.argv[3]))
