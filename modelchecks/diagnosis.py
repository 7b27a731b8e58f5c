"""Why two tensors that should be equal are not: what undoes most of the difference.

Every cause is tried on the tensors themselves; what it explains is the share of the squared
difference that goes away. Nothing here decides: it tells an engineer where to look first.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.float64]
Images = NDArray[np.uint8]

TELLING = 0.5
"""A cause that explains less than this share is not told."""
ROUNDS = 2
QUALITIES = (30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
_ALL = 0.9995
_CLEARLY = 0.02


@dataclass(frozen=True, slots=True)
class Cause:
    """What may have happened on the live side, and the share of the difference that it explains."""

    kind: str
    told: str
    explained: float


@dataclass(frozen=True, slots=True)
class _Trial:
    kind: str
    told: str
    offline: Tensor
    live: Tensor


def diagnose(
    offline: Tensor,
    live: Tensor,
    raw: Sequence[Images] | None = None,
    again: Callable[[Images], Tensor] | None = None,
) -> list[Cause]:
    """Return the causes that explain the difference of two tensors (n, ...), the first one first.

    `raw` are the images (height, width, channels) that both were made of, and `again` makes the
    offline tensor of some (n, height, width, channels). Up to two causes are told, one after the
    other: the second is looked for in what the first one leaves.
    """
    found: list[Cause] = []
    total = _squares(offline, live) if offline.shape == live.shape else None
    if total == 0:
        return []
    for _ in range(ROUNDS):
        best, gained = None, 0.0
        if offline.shape == live.shape and _only_rounding(offline, live):
            told = "live is rounded: nowhere off by a step of 8 bits (another dtype between?)"
            found.append(Cause("dtype", told, 1.0))
            return found
        before = _squares(offline, live) if offline.shape == live.shape else None
        for trial in _trials(offline, live, raw, again if not found else None):
            if trial.kind == "normalisation" and found and found[0].kind != "layout":
                # What another cause leaves always fits other constants a little better.
                continue
            left = _squares(trial.offline, trial.live)
            # Of a tensor that has another shape, the scale of the offline one is to be explained.
            whole = before if before is not None else _squares(offline, offline.mean(keepdims=True))
            gain = 1 - left / whole if whole else 0.0
            # A more complicated cause must be clearly better than a simpler one.
            if gain > gained + _CLEARLY:
                best, gained = trial, gain
        if best is None or gained < TELLING:
            break
        found.append(Cause(best.kind, best.told, min(gained, 1.0)))
        offline, live = best.offline, best.live
        if gained > _ALL:
            break
    return found


def _squares(one: Tensor, other: Tensor) -> float:
    return float(np.square(one - other).sum())


def _only_rounding(offline: Tensor, live: Tensor) -> bool:
    """Return whether live is nowhere further off than a step of 8 bits."""
    step = float(np.ptp(offline)) / 255
    return bool(0 < np.abs(offline - live).max() <= 0.75 * step)


def _trials(
    offline: Tensor,
    live: Tensor,
    raw: Sequence[Images] | None,
    again: Callable[[Images], Tensor] | None,
) -> Iterator[_Trial]:
    """Yield what may have happened, simple causes first, each with the tensors to compare then."""
    if offline.shape != live.shape:
        for axes, told in (((0, 3, 1, 2), "channels last"), ((0, 2, 3, 1), "channels first")):
            if live.ndim == 4 and tuple(live.shape[axis] for axis in axes) == offline.shape:
                yield _Trial("layout", f"live has its {told}", offline, live.transpose(axes))
        return
    yield _Trial("scale", "live was not divided by 255", offline, live / 255)
    yield _Trial("scale", "live was divided by 255 twice", offline, live * 255)
    colour = live.ndim == 4 and live.shape[1] == 3
    if colour:
        yield _Trial("channel order", "live has BGR for RGB", offline, live[:, ::-1])
    low, high = offline.min(), offline.max()
    yield _Trial("polarity", "live has black for white", offline, low + high - live)
    if live.ndim == 4:
        yield from _shifted(offline, live)
    if again is not None and raw is not None:
        yield from _compressed(live, raw, again)
    if raw is not None and live.ndim == 4:
        yield from _resized(offline, live, raw)
    yield _normalised("normalisation", "", offline, live)
    if colour:
        told = "live has BGR for RGB, and "
        yield _normalised("channel order and normalisation", told, offline, live[:, ::-1])


def _normalised(kind: str, told: str, offline: Tensor, live: Tensor) -> _Trial:
    """Return the trial of another scale and offset for each channel, by least squares."""
    axes = tuple(axis for axis in range(live.ndim) if axis != 1 or live.ndim < 3)
    middle, other = live.mean(axis=axes, keepdims=True), offline.mean(axis=axes, keepdims=True)
    spread = np.square(live - middle).mean(axis=axes, keepdims=True)
    both = ((live - middle) * (offline - other)).mean(axis=axes, keepdims=True)
    slope = both / np.where(spread > 0, spread, 1.0)
    fitted = other + slope * (live - middle)
    slopes = slope.ravel()
    if kind != "normalisation" and len(slopes) == 3:
        # Reversed before the same normalisation, its constants meet the wrong channels.
        if np.allclose([slopes[0] * slopes[2], slopes[1]], 1, atol=0.05):
            told = "live has BGR for RGB, before the normalisation"
            return _Trial("channel order", told, offline, fitted)
    elif np.allclose(slopes, -1, atol=0.05):
        return _Trial("polarity", "live has black for white", offline, fitted)
    factors = ", ".join(f"{value:.3g}" for value in slopes[:3])
    added = ", ".join(f"{value:.3g}" for value in (other - slope * middle).ravel()[:3])
    text = f"{told}other constants: offline = {factors} · live + {added}"
    return _Trial(kind, text, offline, fitted)


def _shifted(offline: Tensor, live: Tensor) -> Iterator[_Trial]:
    """Yield shifts by a pixel or two, compared where both have pixels."""
    height, width = live.shape[2:]
    if min(height, width) < 8:
        return
    for down in range(-2, 3):
        for right in range(-2, 3):
            if down or right:
                moved = np.roll(live, (down, right), axis=(2, 3))
                moved[:, :, : max(down, 0)] = offline[:, :, : max(down, 0)]
                moved[:, :, height + min(down, 0) :] = offline[:, :, height + min(down, 0) :]
                moved[..., : max(right, 0)] = offline[..., : max(right, 0)]
                moved[..., width + min(right, 0) :] = offline[..., width + min(right, 0) :]
                told = f"live is shifted by {-down} down and {-right} right (padding or crop)"
                yield _Trial("shift", told, offline, moved)


def _compressed(
    live: Tensor, raw: Sequence[Images], again: Callable[[Images], Tensor]
) -> Iterator[_Trial]:
    """Yield what the offline tensor would be of images that went through JPEG."""
    if any(image.dtype != np.uint8 or image.shape[2] not in (1, 3) for image in raw):
        return
    if len({image.shape for image in raw}) > 1:
        return
    for quality in QUALITIES:
        passed = np.stack([_jpeg(image, quality) for image in raw])
        tensor = again(passed)
        if tensor.shape == live.shape:
            told = f"live went through JPEG of a quality of about {quality}"
            yield _Trial("JPEG quality", told, tensor, live)


def _jpeg(image: Images, quality: int) -> Images:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(
        file, "JPEG", quality=quality
    )
    return np.asarray(Image.open(file)).reshape(image.shape)


def _resized(offline: Tensor, live: Tensor, raw: Sequence[Images]) -> Iterator[_Trial]:
    """Yield what the offline tensor would be of images that were resized otherwise.

    The kernel is told by which resized image resembles each tensor most; then live is explained by
    the image that resembles it, brought to the offline tensor's scale.
    """
    height, width = live.shape[2:]
    if all(image.shape[:2] == (height, width) for image in raw):
        return
    if any(image.shape[2] not in (live.shape[1], 3) for image in raw):
        return
    likeness: dict[str, tuple[float, float, Tensor]] = {}
    for name, resize in _KERNELS.items():
        made = np.stack([resize(image, height, width) for image in raw]).transpose(0, 3, 1, 2)
        made = made[:, : live.shape[1]].astype(np.float64)
        sides = [_normalised("", "", side, made).live for side in (offline, live)]
        residuals = [_squares(*pair) for pair in zip((offline, live), sides, strict=True)]
        likeness[name] = (residuals[0], residuals[1], sides[0])
    ours = min(likeness, key=lambda name: likeness[name][0])
    theirs = min(likeness, key=lambda name: likeness[name][1])
    if ours != theirs:
        # What offline would be by their kernel, against live.
        made = offline + likeness[theirs][2] - likeness[ours][2]
        told = f"live was resized by {theirs}, offline by {ours}"
        yield _Trial("resize", told, made, live)


def _by_pillow(resample: str) -> Callable[[Images, int, int], NDArray[Any]]:
    def resize(image: Images, height: int, width: int) -> NDArray[Any]:
        from PIL import Image

        method = getattr(Image.Resampling, resample)
        bands = [
            np.asarray(Image.fromarray(image[..., band]).resize((width, height), method))
            for band in range(image.shape[2])
        ]
        return np.stack(bands, axis=2)

    return resize


def _bilinear(image: Images, height: int, width: int) -> NDArray[Any]:
    """Return an image resized by interpolating between four pixels, whatever it is shrunk by."""
    sides = []
    for size, to in ((image.shape[0], height), (image.shape[1], width)):
        at = np.clip((np.arange(to) + 0.5) * size / to - 0.5, 0, size - 1)
        low = np.minimum(np.floor(at).astype(int), max(size - 2, 0))
        sides.append((low, np.minimum(low + 1, size - 1), at - low))
    (top, bottom, down), (left, right, across) = sides
    values = image.astype(np.float64)
    rows = values[top] * (1 - down)[:, None, None] + values[bottom] * down[:, None, None]
    return np.asarray(rows[:, left] * (1 - across)[:, None] + rows[:, right] * across[:, None])


_KERNELS: dict[str, Callable[[Images, int, int], NDArray[Any]]] = {
    "bilinear with antialias": _by_pillow("BILINEAR"),
    "bilinear without antialias": _bilinear,
    "bicubic with antialias": _by_pillow("BICUBIC"),
    "Lanczos": _by_pillow("LANCZOS"),
    "area": _by_pillow("BOX"),
    "nearest": _by_pillow("NEAREST"),
}
