"""Batch norms folded into the convolutions before them: the same answers, sooner."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_NORMS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


def folded(module: nn.Module, keep: str | None = None) -> nn.Module | None:
    """Return a copy that gives the same answers with fewer steps, None where nothing can be folded.

    In eval mode a batch norm scales and shifts each channel, which the convolution before it can do
    itself. Which norm follows which convolution is read off the graph of one forward, so a module
    whose way depends on its inputs is left alone, and so is the layer named `keep` (whose output
    somebody looks at). All other weights are those of the module itself.

    Source: `torch.fx.experimental.optimization.fuse`, which gives a graph without the module's own
    layers; here they keep their names.
    """
    # Shared, not copied: a large model is not held twice.
    held = [*module.parameters(), *module.buffers()]
    other = copy.deepcopy(module, {id(tensor): tensor for tensor in held})
    if not any(type(layer) in _NORMS.values() for layer in other.modules()):
        return None
    try:
        graph = fx.Tracer().trace(other)
    except (Exception, SystemExit):
        return None
    pairs = _pairs(graph, other, keep)
    for convolution, norm in pairs:
        layers: tuple[Any, Any] = other.get_submodule(convolution), other.get_submodule(norm)
        other.set_submodule(convolution, fuse_conv_bn_eval(*layers))
        other.set_submodule(norm, nn.Identity())
    return other if pairs else None


def _pairs(graph: fx.Graph, module: nn.Module, keep: str | None) -> list[tuple[str, str]]:
    """Return the names of each convolution and of the norm that alone sees what it gives."""
    layers = dict(module.named_modules())
    names = Counter(id(layer) for _, layer in module.named_modules(remove_duplicate=False))
    asked = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}

    def alone(name: str) -> bool:
        layer = layers[name]
        hooks = (layer._forward_hooks, layer._forward_pre_hooks)
        once = names[id(layer)] == 1 == asked[name]
        return once and name not in read and not layer.training and not any(hooks)

    found = []
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(before, fx.Node):
            continue
        if before.op != "call_module" or len(before.users) > 1 or before.target == keep:
            continue
        first, second = str(before.target), str(node.target)
        fits = _NORMS.get(type(layers[first])) is type(layers[second])
        known = getattr(layers[second], "running_mean", None) is not None
        if fits and known and alone(first) and alone(second):
            found.append((first, second))
    return found
