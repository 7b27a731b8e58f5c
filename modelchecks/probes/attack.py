"""Attacks by gradient within a box around each image, in the units of its pixels.

Fast gradient sign: Goodfellow, Shlens and Szegedy (2015), Explaining and harnessing adversarial
examples, ICLR. Projected gradient descent: Madry et al. (2018), Towards deep learning models
resistant to adversarial attacks, ICLR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from modelchecks.errors import EvidenceError
from modelchecks.inference import Model

_TOLERANCE = 1e-4
_PIXEL = 255.0


@dataclass(frozen=True)
class Target:
    """A module seen as a function of pixels (n, channels, height, width) between 0 and `top`.

    What lies between pixels and module is an affine map of each pixel, `scale * pixel + offset`.
    """

    module: Callable[[Tensor], Tensor]
    scale: Tensor
    offset: Tensor
    top: float
    batch: int = 128

    def unit(self, eps: float) -> float:
        """Return eps, given in steps of 1/255 of the range, in the pixels' own units."""
        return eps / _PIXEL * self.top

    def logits(self, pixels: Tensor) -> Tensor:
        """Return logits (n, classes), in float."""
        torch.manual_seed(0)
        found: Tensor = self.module(self.scale * pixels + self.offset).float()
        return found

    def losses(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy (n,) and whether each row is right."""
        parts = []
        with torch.no_grad():
            for rows in self.batches(len(pixels)):
                logits = self.logits(pixels[rows])
                loss = cross_entropy(logits, labels[rows], reduction="none")
                parts.append((loss, logits.argmax(1) == labels[rows]))
        return torch.cat([loss for loss, _ in parts]), torch.cat([right for _, right in parts])

    def gradient(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return each row's cross-entropy and its gradient with respect to the row's pixels."""
        losses, parts = [], []
        for rows in self.batches(len(pixels)):
            asked = pixels[rows].detach().clone().requires_grad_(True)
            each = cross_entropy(self.logits(asked), labels[rows], reduction="none")
            losses.append(each.detach())
            # Where nothing that it computes follows its pixels smoothly, all of it is masked.
            smooth = each.requires_grad
            (found,) = (
                torch.autograd.grad(each.sum(), asked, allow_unused=True) if smooth else (None,)
            )
            parts.append(torch.zeros_like(asked) if found is None else found.detach())
        return torch.cat(losses), torch.cat(parts)

    def batches(self, rows: int) -> Iterator[slice]:
        """Yield slices that together are all rows."""
        for start in range(0, rows, self.batch):
            yield slice(start, start + self.batch)


def target_of(model: Model, images: NDArray[Any]) -> tuple[Target, Tensor]:
    """Return a model as a target, and the images as the pixels that it is attacked in.

    Raises EvidenceError where what its transform does is not affine in each pixel: then no step in
    the pixels is a step in what the module gets.
    """
    top = float(np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else 1.0
    some = images[:8]
    with torch.no_grad():
        dark, light = (
            model.inputs(np.full_like(some[:1], value)).float() for value in (0, np.array(top))
        )
        pixels = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2)
        pixels = pixels.contiguous().to(dark.device)
        scale, offset = (light - dark) / top, dark
        seen = model.inputs(some).float()
        if dark.shape[1:] == pixels.shape[1:]:
            error = (scale * pixels[:8] + offset - seen).abs().max()
            if float(error) <= _TOLERANCE * float((light - dark).abs().max()):
                model.module.requires_grad_(False)
                return Target(model.module, scale, offset, top), pixels
    raise EvidenceError(
        "its transform is no affine map of each pixel (it resizes, crops or warps, say), so eps "
        "in pixels cannot be carried to what the module gets. Give the images in the module's own "
        "size and leave the transform to scale and shift"
    )


def fgsm(target: Target, pixels: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return pixels one step of eps (of 255) up the sign of the loss's gradient, within the range.

    >>> linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 2, bias=False))
    >>> linear[1].weight.data = torch.tensor([[1.0], [-1.0]])
    >>> target = Target(linear, torch.ones(1), torch.zeros(1), 255.0)
    >>> fgsm(target, torch.full((1, 1, 1, 1), 10.0), torch.tensor([0]), 4.0).item()
    6.0
    """
    step = target.unit(eps) * target.gradient(pixels, labels)[1].sign()
    return (pixels + step).clamp(0, target.top)


def pgd(
    target: Target,
    pixels: Tensor,
    labels: Tensor,
    eps: float,
    *,
    steps: int,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the pixels of highest loss that repeated small steps found within eps (of 255), loss.

    Each step is 2.5 eps / steps. `start` is an offset in [-1, 1] of eps for each pixel; default:
    from the images themselves.
    """
    within = target.unit(eps)
    low, high = (pixels - within).clamp(min=0), (pixels + within).clamp(max=target.top)
    found = pixels if start is None else (pixels + within * start).clamp(low, high)
    best, highest = found, torch.full_like(labels, -torch.inf, dtype=torch.float32)
    for number in range(steps + 1):
        last = number == steps
        if last:
            loss = target.losses(found, labels)[0]
        else:
            loss, slope = target.gradient(found, labels)
        better = loss > highest
        best = torch.where(better[:, None, None, None], found, best)
        highest = torch.where(better, loss, highest)
        if not last:
            found = (found + 2.5 * within / steps * slope.sign()).clamp(low, high)
    return best, highest
