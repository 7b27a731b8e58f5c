"""Batch norms folded into the convolutions before them: the same answers, sooner."""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_NORMS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}


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
    pairs = _pairs(graph, dict(other.named_modules()), keep)
    for convolution, norm in pairs:
        one, two = other.get_submodule(convolution), other.get_submodule(norm)
        other.set_submodule(convolution, fuse_conv_bn_eval(one, two))  # type: ignore[type-var]
        other.set_submodule(norm, nn.Identity())
    return other if pairs else None


def _pairs(graph: fx.Graph, layers: dict[str, nn.Module], keep: str | None) -> list[tuple[str, str]]:
    """Return the names of each convolution and of the norm that alone sees what it gives."""
    names = {id(layer): name for name, layer in layers.items()}
    asked = Counter(id(layers[node.target]) for node in graph.nodes if node.op == "call_module")
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    found = []
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(before, fx.Node):
            continue
        if before.op != "call_module" or len(before.users) > 1:
            continue
        one, two = layers[before.target], layers[node.target]
        plain = all(
            asked[id(layer)] == 1
            and not layer.training
            and not any((layer._forward_hooks, layer._forward_pre_hooks))
            and names[id(layer)] not in read
            for layer in (one, two)
        )
        if (
            plain
            and _NORMS.get(type(one)) is type(two)
            and two.running_mean is not None
            and keep != before.target
        ):
            found.append((str(before.target), str(node.target)))
    return found
