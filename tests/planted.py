"""Models with a fault that is known because it was put there, and a folder to judge them in."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save_file

from modelchecks import load_suite, run_suite
from modelchecks.results import Result, Run

SIDE = 28

MODELS = '''
import torch
from torch import nn

SIDE = 28


class Linear(nn.Module):
    """Two logits, linear in the pixels: w.x + b and minus that."""

    def __init__(self, channels=1):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, SIDE, SIDE))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        score = (x * self.weight).flatten(1).sum(1) + self.bias
        return torch.stack([score, -score], 1)


class Restless(Linear):
    """Drops some pixels at random, in evaluation mode as well."""

    def forward(self, x):
        return super().forward(nn.functional.dropout(x, 0.2, training=True))


class Normed(nn.Module):
    """A batch norm before a linear model."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.linear = Linear()

    def forward(self, x):
        return self.linear(self.norm(x))


class AlwaysTraining(Normed):
    """Somebody's `train` keeps the batch norm in training mode."""

    def train(self, mode=True):
        super().train(mode)
        self.norm.training = True
        return self


class Swapped(Linear):
    """Takes BGR where it was trained on RGB."""

    def __init__(self):
        super().__init__(3)

    def forward(self, x):
        return super().forward(x.flip(1))


class Relative(Linear):
    """Divides by the brightness, which a dark image does not have."""

    def forward(self, x):
        return super().forward(x / x.mean((1, 2, 3), keepdim=True))


class OnePixel(nn.Module):
    """Decides by one pixel: bright is class 0."""

    def __init__(self):
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(1))

    def forward(self, x):
        score = (x[:, 0, SIDE // 2, SIDE // 2 - 1] - 0.5) * self.sharpness
        return torch.stack([score, -score], 1)


class Halves(OnePixel):
    """Decides by which half is brighter."""

    def forward(self, x):
        left, right = x[..., : SIDE // 2].mean((1, 2, 3)), x[..., SIDE // 2 :].mean((1, 2, 3))
        score = (left - right) * self.sharpness
        return torch.stack([score, -score], 1)


class Stepped(Linear):
    """Rounds its input, so that no gradient passes: masked, not robust."""

    def forward(self, x):
        return super().forward((x * 4).round() / 4)


def linear():
    return Linear()


def colour():
    return Linear(3)


def restless():
    return Restless()


def normed():
    return Normed()


def always_training():
    return AlwaysTraining()


def swapped():
    return Swapped()


def stepped():
    return Stepped()


def relative():
    return Relative()


def one_pixel():
    return OnePixel()


def halves():
    return Halves()


def same(module):
    return module


def eight_bits(module):
    step = module.weight.detach().abs().max() / 127
    module.weight.data = (module.weight.data / step).round() * step
    return module


def two_bits(module):
    step = module.weight.detach().abs().max()
    module.weight.data = (module.weight.data / step).round() * step
    return module


def broken(module):
    raise RuntimeError("no such operator")
'''


def png(image: np.ndarray) -> bytes:
    """Return an image (height, width) or (height, width, 3) as PNG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


class Planted:
    """A folder with `planted.py`, splits and weights; suites are written into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "planted.py").write_text(MODELS, encoding="utf-8")

    def images(self, images: np.ndarray, labels: np.ndarray, name: str = "offline") -> None:
        """Write a split."""
        table = {
            "id": [f"{name}-{row:05d}" for row in range(len(labels))],
            "image": pa.array([png(image) for image in images], pa.binary()),
            "label": labels,
        }
        pq.write_table(pa.table(table), self.folder / f"{name}.parquet", row_group_size=200)

    def weights(self, name: str, **tensors: np.ndarray) -> None:
        """Write a weights file."""
        made = {key.replace("__", "."): torch.tensor(value) for key, value in tensors.items()}
        save_file(made, self.folder / f"{name}.safetensors")

    def write(
        self,
        check: str,
        variants: Mapping[str, str],
        *,
        weights: str | None = None,
        splits: Iterable[str] = ("offline",),
        champion: str | None = None,
        more: str = "",
    ) -> Path:
        """Write a suite of one check over variants, each with its model in `planted.py`."""
        lines = ["suite: planted", "data:"]
        lines += [
            f"  {name}: {{source: parquet, path: {name}.parquet, image: image, label: label, "
            "id: id, sampling: random}"
            for name in splits
        ]
        lines += ["variants:"]
        lines += [
            f"  {name}: {{model: 'planted:{model}', weights: {weights or name}.safetensors{more}}}"
            for name, model in variants.items()
        ]
        lines += [f"champion: {champion}"] if champion else []
        lines += ["checks:", f"  - {check}"]
        path = self.folder / "planted.suite.yaml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def run(self, *arguments: Any, **options: Any) -> Run:
        """Judge such a suite."""
        return run_suite(load_suite(self.write(*arguments, **options)))

    def judge(self, check: str, model: str, weights: str, **options: Any) -> Result:
        """Judge one variant named `it` and return its only result."""
        (result,) = self.run(check, {"it": model}, weights=weights, **options).results
        return result
