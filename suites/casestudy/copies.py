"""What may be deployed in a model's place."""

from __future__ import annotations

import torch
from torch import nn


def eight_bits(module: nn.Module) -> nn.Module:
    """Return the module with every kernel rounded to 255 steps, each output channel by itself.

    What an 8-bit export of the weights computes, at the speed of before: symmetric, so that the
    largest weight of a channel becomes 127. Norms and biases stay. Changes the module in place.
    """
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim < 2:
                continue
            flat = parameter.flatten(1)
            step = flat.abs().amax(1).clamp(min=1e-12) / 127
            step = step.view(-1, *[1] * (parameter.ndim - 1))
            parameter.copy_((parameter / step).round() * step)
    return module
