"""The large products behind a comparison of embeddings: on a GPU where this process has one."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.interval import Floats
from modelchecks.stats.kernel import Singles


def gpu() -> Any:
    """Return the device to multiply on, or None where numpy is to do it.

    torch is not imported for it: stored evidence is judged without. Where a gate has loaded it and
    it finds CUDA, that is it. Unverified on a GPU, for want of one; the same lines are tested on
    torch's CPU.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return torch.device("cuda")


def waves(rows: Singles, turns: Singles, phase: Singles | float, *names: str) -> list[Singles]:
    """Return functions (`cos`, `sin`) of rows @ turns + phase, each (rows, turns' columns)."""
    device = gpu()
    if device is None:
        angles = rows @ turns
        angles += phase
        return [getattr(np, name)(angles) for name in names]
    torch = sys.modules["torch"]
    # In double precision: TF32, which a user may have allowed, would cost three digits.
    one, other, moved = (
        torch.as_tensor(np.array(part), device=device).double() for part in (rows, turns, phase)
    )
    angles = one @ other + moved
    return [getattr(torch, name)(angles).float().cpu().numpy() for name in names]


def squared(rows: Singles) -> NDArray[np.floating[Any]]:
    """Return rows.T @ rows."""
    device = gpu()
    if device is None:
        return rows.T @ rows
    placed = sys.modules["torch"].as_tensor(np.array(rows), device=device).double()
    found: Floats = (placed.T @ placed).cpu().numpy()
    return found
