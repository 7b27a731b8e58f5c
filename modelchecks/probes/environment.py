"""Images as a changed environment shows them, by torchvision's transforms, each in its own way.

Every random draw (where a square lies, which pixels are noisy) depends on the seed and the image's
position alone and is scaled by the amount, so that a curve over amounts follows the same images
through the same accidents.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelchecks.change import Change
from modelchecks.errors import EvidenceError

GREY = 0.5


def changed(
    images: NDArray[Any], change: Change | Sequence[Change], *, seed: int = 0
) -> NDArray[Any]:
    """Return images (n, height, width, channels) under one change, or under one for each of them.

    They keep their type: whole numbers of its whole range, or floats in [0, 1]. Raises
    EvidenceError for images that are neither grey nor RGB, or floats beyond [0, 1].
    """
    changes = [change] * len(images) if isinstance(change, Change) else list(change)
    if len(changes) != len(images):
        raise ValueError(f"change: has {len(changes)} changes for {len(images)} images")
    touched = [i for i, one in enumerate(changes) if any(one.amounts().values())]
    seen: NDArray[Any] = np.array(images, copy=True)
    if touched:
        _check(images)
        draws = _Draws(images.shape, seed, touched)
        shown = _shown(_to_tensor(images[touched]), [changes[i] for i in touched], draws)
        seen[touched] = _from_tensor(shown, images.dtype)
    return seen


def _check(images: NDArray[Any]) -> None:
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise EvidenceError(
            f"images of shape {images.shape[1:]} are neither grey (1 channel) nor RGB (3), so no "
            "environment can be laid over them"
        )
    if images.dtype.kind == "f" and not (images.min() >= 0 and images.max() <= 1):
        raise EvidenceError(
            f"float images must lie in [0, 1] for an environment to be laid over them; these reach "
            f"from {images.min():g} to {images.max():g}"
        )


def _to_tensor(images: NDArray[Any]) -> Tensor:
    whole = float(np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else 1.0
    return torch.from_numpy(np.ascontiguousarray(images / whole, np.float32)).permute(0, 3, 1, 2)


def _from_tensor(tensor: Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    array: NDArray[Any] = tensor.permute(0, 2, 3, 1).clamp(0, 1).numpy()
    if dtype.kind in "ui":
        return np.rint(array.astype(np.float64) * np.iinfo(dtype).max).astype(dtype)
    return array.astype(dtype)


class _Draws:
    """What is drawn for each touched image, whatever the amounts are."""

    def __init__(self, shape: tuple[int, ...], seed: int, touched: list[int]) -> None:
        self._shape, self._seed, self._touched = shape, seed, touched

    def places(self) -> NDArray[np.float64]:
        """Return where a square lies: two numbers in [0, 1] per image."""
        draw = np.random.default_rng([self._seed, 0])
        return draw.uniform(size=(self._shape[0], 2))[self._touched]

    def noise(self) -> Tensor:
        """Return standard normal noise (n, channels, height, width)."""
        count, *size = self._shape
        draw = np.random.default_rng([self._seed, 1])
        drawn = draw.standard_normal((count, *size), dtype=np.float32)[self._touched]
        return torch.from_numpy(drawn).permute(0, 3, 1, 2)


def _shown(x: Tensor, changes: list[Change], draws: _Draws) -> Tensor:
    from torchvision.transforms.v2 import functional as v2

    side = min(x.shape[-2:])
    x = _grouped(x, [(c.rotation, c.right, c.down, c.zoom) for c in changes], _moved)
    if any(c.occlusion for c in changes):
        x = _covered(x, changes, draws.places())

    def blurred(part: Tensor, sigma: float) -> Tensor:
        taps = min(2 * math.ceil(3 * sigma * side) + 1, side - 1 + side % 2)
        soft: Tensor = v2.gaussian_blur(part, [taps, taps], [sigma * side, sigma * side])
        return soft

    x = _grouped(x, [(c.blur,) for c in changes], blurred)
    x = _grouped(x, [(c.exposure,) for c in changes], lambda p, s: v2.adjust_brightness(p, 2**s))
    x = _grouped(x, [(c.contrast,) for c in changes], lambda p, s: v2.adjust_contrast(p, 1 + s))
    if any(c.noise for c in changes):
        x = (x + _column([c.noise for c in changes]) * draws.noise()).clamp(0, 1)
    return _grouped(x, [(c.jpeg,) for c in changes], _compressed)


def _grouped(x: Tensor, keys: Sequence[Hashable], step: Callable[..., Tensor]) -> Tensor:
    """Return x after a step, taken once for all images that have the same non-zero amounts."""
    groups: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    if not any(map(any, groups)):
        return x
    seen = x.clone()
    for key, places in groups.items():
        if any(key):
            seen[places] = step(x[places], *key)
    return seen


def _moved(x: Tensor, rotation: float, right: float, down: float, zoom: float) -> Tensor:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as v2

    height, width = x.shape[-2:]
    side = min(height, width)
    # What comes in from outside goes on like the edge, as a wall behind an item does.
    margin = math.ceil(side * (0.25 + max(abs(right), abs(down)) + max(0.0, -zoom)))
    around = v2.pad(x, [margin], padding_mode="edge")
    moved: Tensor = v2.affine(
        around,
        angle=-rotation,
        translate=[right * side, down * side],
        scale=math.exp(zoom),
        shear=[0.0, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )
    return moved[..., margin : margin + height, margin : margin + width].clone()


def _covered(x: Tensor, changes: list[Change], places: NDArray[np.float64]) -> Tensor:
    from torchvision.transforms.v2 import functional as v2

    height, width = x.shape[-2:]
    seen = x.clone()
    for number, (change, (top, left)) in enumerate(zip(changes, places, strict=True)):
        size = round(change.occlusion * min(height, width))
        if size:
            at = [round(float(top) * (height - size)), round(float(left) * (width - size))]
            grey = torch.full((x.shape[1], 1, 1), GREY)
            seen[number] = v2.erase(x[number], at[0], at[1], size, size, grey)
    return seen


def _compressed(x: Tensor, jpeg: float) -> Tensor:
    # Pillow's, bit for bit the same as v2's, which torchvision 0.29 deprecates.
    from PIL import Image

    shown = []
    for image in (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        plain = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        plain.save(file, "JPEG", quality=max(1, round(100 - jpeg)))
        shown.append(np.asarray(Image.open(file)).reshape(image.shape))
    return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float() / 255


def _column(amounts: Sequence[float]) -> Tensor:
    return torch.tensor(amounts, dtype=torch.float32)[:, None, None, None]


LEVELS = 16
"""A draw takes one of so many values, evenly over [-1, 1]: images with equal ones go together."""
BATTERY: dict[str, Callable[[NDArray[np.float64]], Change]] = {
    "rotation": lambda u: Change(rotation=30 * u[0]),
    "translation": lambda u: Change(right=0.15 * u[0], down=0.15 * u[1]),
    "scale": lambda u: Change(zoom=0.3 * u[0]),
    "occlusion": lambda u: Change(occlusion=0.4),
    "blur": lambda u: Change(blur=0.04 * (1 + 0.25 * u[0])),
    "exposure": lambda u: Change(exposure=1.25 * u[0]),
    "contrast": lambda u: Change(contrast=-0.6 * (1 + 0.25 * u[0])),
    "noise": lambda u: Change(noise=0.15),
    "jpeg": lambda u: Change(jpeg=85.0),
}
"""The battery at severity 5, for two draws u of an image in [-1, 1]; severity s is s / 5 of it."""


def battery(kind: str, rows: int, *, seed: int) -> list[Change]:
    """Return what a kind of change does to each of `rows` images at severity 5."""
    draw = np.random.default_rng([seed, *kind.encode()])
    grid = (2 * np.arange(LEVELS) + 1) / LEVELS - 1
    return [BATTERY[kind](u) for u in grid[draw.integers(0, LEVELS, (rows, 2))]]
