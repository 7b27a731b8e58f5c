"""Weights files, read without executing code from them, and only the bytes that were identified."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from modelchecks.errors import EvidenceError
from modelchecks.suite import Variant


def load_weights(module: torch.nn.Module, variant: Variant, path: Path, sha256: str | None) -> None:
    """Load a variant's weights into its module; raises EvidenceError that names the file.

    With `sha256` the bytes must have that digest: a file that is replaced between its
    identification and its use would be approved under another's name.
    """
    state = read_weights(path, trusted=variant.trusted, sha256=sha256)
    own = module.state_dict()
    for name in state.keys() & own.keys():
        # Torch converts in silence, int8 to float as well as complex to its real part.
        if _kind(state[name]) != _kind(own[name]):
            raise EvidenceError(
                f"variant {variant.name!r}: weights {path} hold {name!r} as {state[name].dtype}, "
                f"where `{variant.model}` has {own[name].dtype}"
            )
    try:
        module.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError) as error:
        raise EvidenceError(
            f"variant {variant.name!r}: weights {path} do not fit `{variant.model}`: "
            f"{first_lines(str(error))}"
        ) from error


def _kind(tensor: torch.Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def read_weights(
    path: Path, *, trusted: bool, sha256: str | None = None
) -> dict[str, torch.Tensor]:
    """Return the state dict in a weights file without executing code from it.

    `.safetensors` is read as such, anything else with `torch.load(weights_only=True)`; a pickle
    that needs code is read only when the suite says `trusted: true`. Raises EvidenceError.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise EvidenceError(f"weights {path} do not exist") from error
    except OSError as error:
        raise EvidenceError(f"weights {path} cannot be read: {error.strerror or error}") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise EvidenceError(
            f"weights {path} changed while the gate ran; run it again when nothing writes to them"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            state: Any = load(data)
        else:
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=not trusted)
    except (Exception, SystemExit) as error:
        remedy = "Write the file again"
        said = first_lines(str(error))
        if path.suffix != ".safetensors" and not trusted:
            # Not torch's own words, which advise to run the code.
            said = "it is damaged, or a pickle that would run code when it loads"
            remedy = "Save it as .safetensors (or, if you trust it, say `trusted: true`)"
        raise EvidenceError(
            f"weights {path} cannot be read: {type(error).__name__}: {said}. {remedy}"
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
    real = tensor.is_floating_point() or tensor.is_complex()
    return not real or bool(torch.isfinite(tensor).all())


def first_lines(text: str) -> str:
    """Return the first lines of a message, as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:300]
