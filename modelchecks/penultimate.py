"""What a module makes its logits of: the vectors before its last layer, from the same forward."""

from __future__ import annotations

from typing import Any

import torch

from modelchecks.errors import EvidenceError
from modelchecks.suite import Variant


class Penultimate:
    """Keeps the penultimate vectors (n, width) of the last forward, by hooks on the module.

    By default what the last linear layer gets that gives as many numbers as there are logits; else
    what the named layer gives, averaged over positions where it is a feature map.
    """

    def __init__(self, module: torch.nn.Module, variant: Variant) -> None:
        self.found: torch.Tensor | None = None
        self.absent = ""
        self._linear: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._named = variant.embedding
        if self._named == "none":
            self.absent = f"variant {variant.name!r} says `embedding: none`"
        elif self._named is not None:
            layers = dict(module.named_modules())
            if self._named not in layers:
                raise EvidenceError(
                    f"variant {variant.name!r} has no layer {self._named!r}, which `embedding:` "
                    f"names; it has {', '.join(filter(None, list(layers)[:40]))}"
                )
            layers[self._named].register_forward_hook(self._keep_output)
        else:
            self.absent = (
                f"variant {variant.name!r}: its logits come from no linear layer, so its embedding "
                "is unknown; name the layer with `embedding:`"
            )
            for layer in module.modules():
                if isinstance(layer, torch.nn.Linear):
                    layer.register_forward_hook(self._keep_input)

    def _keep_output(self, layer: torch.nn.Module, inputs: Any, output: Any) -> None:
        self.found = _vectors(output) if isinstance(output, torch.Tensor) else None

    def _keep_input(self, layer: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self._linear.append((inputs[0], output))

    def settle(self, logits: torch.Tensor) -> None:
        """Find, after a forward, the vectors that its logits were made of."""
        if self._named is None:
            like = [vectors for vectors, output in self._linear if output.shape == logits.shape]
            self.found = _vectors(like[-1]) if like else None
            self._linear.clear()


def _vectors(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.ndim == 4:
        tensor = tensor.mean(dim=(2, 3))
    return tensor.flatten(1).float().cpu()
