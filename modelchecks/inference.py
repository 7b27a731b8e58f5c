"""THE torch file: turns a declared variant into a model and its answers to a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelchecks import registry
from modelchecks.collect import Answers, by_shape
from modelchecks.errors import EvidenceError
from modelchecks.sources import Batch
from modelchecks.suite import Compute, Variant

Transform = Callable[[NDArray[Any]], torch.Tensor]


def to_tensor(images: NDArray[Any]) -> torch.Tensor:
    """Return images (n, h, w, c) as float32 (n, c, h, w); integers are scaled to [0, 1]."""
    tensor = torch.from_numpy(np.array(images, copy=True)).permute(0, 3, 1, 2)
    if images.dtype.kind in "ui":
        return tensor.float().div_(float(np.iinfo(images.dtype).max))
    return tensor.float()


class Model:
    """A variant's model, loaded once, in eval mode, answering batch after batch."""

    def __init__(self, variant: Variant, folder: Path, compute: Compute) -> None:
        """Load the variant; raises EvidenceError that names the file and the remedy."""
        self._name = variant.name
        self._device = _device(compute.device)
        try:
            self._transform: Transform = (
                registry.load(variant.transform, folder) if variant.transform else to_tensor
            )
            module = registry.load(str(variant.model), folder)()
        except registry.UnknownNameError as error:
            raise EvidenceError(f"variant {variant.name!r}: {error}") from error
        except Exception as error:
            raise EvidenceError(
                f"variant {variant.name!r}: `{variant.model}` raised "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(module, torch.nn.Module):
            raise EvidenceError(
                f"variant {variant.name!r}: `{variant.model}` gave a "
                f"{type(module).__name__}; it must return a torch.nn.Module"
            )
        if variant.weights is not None:
            path = folder / variant.weights
            state = read_weights(path, trusted=variant.trusted)
            try:
                module.load_state_dict(state, strict=True)
            except RuntimeError as error:
                raise EvidenceError(
                    f"variant {variant.name!r}: weights {path} do not fit `{variant.model}`: "
                    f"{_first_lines(str(error))}"
                ) from error
        self._module = module.to(self._device).eval()
        self._outputs: int | None = None

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Answers:
        """Return one answer per row; raises EvidenceError where the model cannot answer."""
        groups = by_shape(batch)
        if len(groups) > 1 and self._transform is to_tensor:
            shapes = ", ".join(str(images.shape[1:]) for _, images in groups[:4])
            raise EvidenceError(
                f"variant {self._name!r}: images of different shapes ({shapes}) need a "
                "`transform: module:function` that makes one tensor of them"
            )
        predicted = np.full(len(batch), -1, dtype=np.int64)
        confidence = np.full(len(batch), np.nan, dtype=np.float32)
        finite = np.zeros(len(batch), dtype=np.bool_)
        for where, images in groups:
            logits = self._forward(images)
            predicted[where] = logits.argmax(dim=1).cpu().numpy()
            confidence[where] = logits.softmax(dim=1).amax(dim=1).cpu().numpy()
            finite[where] = torch.isfinite(logits).all(dim=1).cpu().numpy()
        return Answers(predicted, confidence, finite, self._outputs or 0)

    def _forward(self, images: NDArray[Any]) -> torch.Tensor:
        try:
            inputs = self._transform(images).to(self._device)
            logits = self._module(inputs)
        except Exception as error:
            raise EvidenceError(
                f"variant {self._name!r} raised {type(error).__name__} on images of shape "
                f"{images.shape}: {_first_lines(str(error))}"
            ) from error
        if not isinstance(logits, torch.Tensor):
            raise EvidenceError(
                f"variant {self._name!r} gave a {type(logits).__name__} instead of a tensor of "
                "logits (n, classes)"
            )
        expected = (len(images), self._outputs or logits.shape[-1] if logits.ndim else 0)
        if logits.ndim != 2 or tuple(logits.shape) != expected or logits.shape[1] < 2:
            raise EvidenceError(
                f"variant {self._name!r} gave logits of shape {tuple(logits.shape)} for "
                f"{len(images)} images; expected ({len(images)}, classes) with at least 2 classes"
            )
        self._outputs = int(logits.shape[1])
        return logits.float()


def read_weights(path: Path, *, trusted: bool) -> dict[str, torch.Tensor]:
    """Return the state dict in a weights file without executing code from it.

    `.safetensors` is read as such, anything else with `torch.load(weights_only=True)`; a pickle
    that needs code is read only when the suite says `trusted: true`. Raises EvidenceError.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=not trusted)
    except FileNotFoundError as error:
        raise EvidenceError(f"weights {path} do not exist") from error
    except Exception as error:
        remedy = "Write the file again"
        if path.suffix != ".safetensors" and not trusted:
            remedy = (
                "Save it as .safetensors; `trusted: true` in the suite would let a pickle run code"
            )
        raise EvidenceError(
            f"weights {path} cannot be read: {type(error).__name__}: "
            f"{_first_lines(str(error))}. {remedy}"
        ) from error
    if isinstance(state, torch.nn.Module):
        state = state.state_dict()
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise EvidenceError(f"weights {path} hold a {type(state).__name__}, not a state dict")
    bad = [name for name, tensor in state.items() if not _all_finite(tensor)]
    if bad:
        raise EvidenceError(
            f"weights {path} hold NaN or infinity in {', '.join(bad[:3])}: the training diverged "
            "or the file is damaged"
        )
    return state


def _all_finite(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _device(name: str) -> torch.device:
    if name == "auto":
        # Only the CPU path is verified on the machines that test this project.
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:
        raise EvidenceError(
            f"device {name!r} cannot be used here: {_first_lines(str(error))}. Set `compute: "
            "{device: cpu}` in the suite"
        ) from error
    return device


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:300]
