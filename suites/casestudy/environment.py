"""Two environments that photograph the same items: the live one, and last season's camera.

What live data does to a model is one function of the images, an Environment, a severity and a seed.
Severity 0 is exactly the identity, 1 is the reported environment, and every random draw is made
once and scaled by the severity, so that a curve over severities follows the same items through the
same accidents.

torchvision.transforms.v2 does each step for one parameter at a time; here every image has its own,
so the steps are written for a whole batch. The tests hold each of them to v2's answer, image by
image. JPEG is Pillow's, bit for bit the same as v2's, which torchvision 0.29 deprecates.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

_CHUNK = 4096
_TAPS = 9


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What happens between an item and its pixels, at severity 1.

    u is uniform on [-1, 1] and z standard normal, drawn for each image and each use. Lengths are in
    pixels, angles in degrees, intensities in [0, 1]. The steps come in the order of the fields.
    """

    rotation: float = 0.0
    """Angle = rotation * u."""
    zoom: float = 0.0
    scale: float = 0.0
    """Log of the magnification = zoom + scale * u."""
    shift: float = 0.0
    drop: float = 0.0
    """Translation = shift * u to the right, drop + shift * u downward."""
    sharpen: float = 0.0
    """Unsharp mask: image + sharpen * (image - image blurred with sigma 1)."""
    blur: float = 0.0
    blur_spread: float = 0.0
    """Gaussian blur with sigma = blur * exp(blur_spread * z)."""
    gamma: float = 0.0
    gamma_spread: float = 0.0
    """Intensity to the power exp(gamma + gamma_spread * z)."""
    contrast: float = 0.0
    contrast_spread: float = 0.0
    """Contrast above black times (1 - contrast) * exp(contrast_spread * z): white turns grey."""
    noise: float = 0.0
    """Standard deviation of the sensor's normal noise."""
    jpeg: float = 0.0
    """JPEG of quality 100 - jpeg * min(severity, 2)."""


LIVE = Environment(
    rotation=13.5,
    scale=0.11,
    shift=1.6,
    blur=0.74,
    blur_spread=0.25,
    gamma=0.13,
    gamma_spread=0.1,
    contrast=0.22,
    contrast_spread=0.08,
    noise=0.03,
    jpeg=30.0,
)
"""The live environment: another photographer, a softer lens, an upload that compresses."""

ADJACENT = Environment(rotation=2.0, zoom=0.2, scale=0.02, shift=0.3, drop=1.5, sharpen=3.0)
"""Last season's camera, for the adaptation: nearer, lower and oversharpened. Not the live one."""


def photograph(
    images: NDArray[np.uint8],
    environment: Environment = LIVE,
    *,
    severity: float | NDArray[np.float64] = 1.0,
    seed: int,
) -> NDArray[np.uint8]:
    """Return the images (n, height, width) as the environment shows them; severity 0 is identity.

    `severity` is one number >= 0 or one per image. The draws of an image depend on the seed and
    its position only: not on the severity, nor on the images behind it. Raises ValueError for
    images that are not uint8 (n, height, width), or a severity below 0 or of another length.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(
            f"images must be uint8 (n, height, width), not {images.dtype} {images.shape}"
        )
    severities = np.broadcast_to(np.asarray(severity, np.float64), (len(images),))
    if not (severities >= 0).all():
        raise ValueError("severity must be a number >= 0")
    uniform, normal, noise = (
        np.random.default_rng([seed, stream]) for stream in range(3)
    )  # a stream each, so that the draws of one image do not depend on how many follow
    seen = images.copy()
    for start in range(0, len(images), _CHUNK):
        rows = slice(start, start + _CHUNK)
        u = uniform.uniform(-1, 1, (len(images[rows]), 4))
        z = normal.standard_normal((len(u), 3))
        e = noise.standard_normal(images[rows].shape, dtype=np.float32)
        touched = np.flatnonzero(severities[rows] > 0)
        if not len(touched):
            continue
        seen[start + touched] = _shown(
            images[rows][touched],
            environment,
            severities[rows][touched],
            u[touched],
            z[touched],
            e[touched],
        )
    return seen


def _shown(
    images: NDArray[np.uint8],
    environment: Environment,
    s: NDArray[np.float64],
    u: NDArray[np.float64],
    z: NDArray[np.float64],
    e: NDArray[np.float32],
) -> NDArray[np.uint8]:
    x = torch.from_numpy(images)[:, None].float() / 255
    x = moved(
        x,
        degrees=s * environment.rotation * u[:, 0],
        scale=np.exp(s * (environment.zoom + environment.scale * u[:, 1])),
        right=s * environment.shift * u[:, 2],
        down=s * (environment.drop + environment.shift * u[:, 3]),
    )
    if environment.sharpen:
        x = (x + _column(s * environment.sharpen) * (x - blurred(x, np.ones(len(s))))).clamp(0, 1)
    if environment.blur:
        x = blurred(x, s * environment.blur * np.exp(environment.blur_spread * z[:, 0]))
    x = x.pow(_column(np.exp(s * (environment.gamma + environment.gamma_spread * z[:, 1]))))
    contrast = (1 - s * environment.contrast) * np.exp(s * environment.contrast_spread * z[:, 2])
    x = x * _column(np.maximum(contrast, 0))
    x = x + _column(s * environment.noise) * torch.from_numpy(e)[:, None]
    pixels = (x.clamp(0, 1) * 255).round().to(torch.uint8)
    array: NDArray[np.uint8] = pixels[:, 0].numpy()
    if environment.jpeg:
        qualities = np.rint(100 - environment.jpeg * np.minimum(s, 2)).astype(int).tolist()
        for number, quality in enumerate(qualities):
            array[number] = _compressed(array[number], quality)
    return array


def _compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def moved(
    images: Tensor,
    *,
    degrees: NDArray[np.float64],
    scale: NDArray[np.float64],
    right: NDArray[np.float64],
    down: NDArray[np.float64],
) -> Tensor:
    """Return square images (n, 1, size, size) rotated, scaled and shifted, each in its own way.

    Bilinear, black outside, about the centre; the same as v2.affine of each image.
    """
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    half = images.shape[-1] / 2
    # grid_sample asks where each pixel comes from: the inverse motion, in units of half a side.
    rows = (
        (cosine, sine, -(cosine * right + sine * down) / half),
        (-sine, cosine, -(cosine * down - sine * right) / half),
    )
    theta = torch.from_numpy(np.stack([np.stack(row, -1) for row in rows], 1)).float()
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def blurred(images: Tensor, sigma: NDArray[np.float64]) -> Tensor:
    """Return images (n, 1, height, width) under a Gaussian of 9 x 9 taps, each with its own sigma.

    The same as v2.gaussian_blur of each image with `kernel_size=9`: edges are mirrored.
    """
    offsets = np.arange(_TAPS) - _TAPS // 2
    weights = np.exp(-0.5 * (offsets / np.maximum(sigma, 1e-3)[:, None]) ** 2)
    weights /= weights.sum(1, keepdims=True)
    height, width = images.shape[-2:]
    around = pad(images, [_TAPS // 2] * 4, mode="reflect")
    # Sums of shifted images instead of a convolution: the same bits for any size of batch.
    shifted = (_column(w) * around[..., i : i + height, :] for i, w in enumerate(weights.T))
    lines = sum(shifted, torch.zeros(()))
    columns = (_column(w) * lines[..., i : i + width] for i, w in enumerate(weights.T))
    return sum(columns, torch.zeros(()))


def _column(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()[:, None, None, None]
