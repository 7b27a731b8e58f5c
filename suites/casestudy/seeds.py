"""The baseline's recipe run again: what chance alone does to its accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from .train import RECIPES, Splits, train_all

FURTHER: Final = (1, 2, 3, 4)
"""Seeds beside that of the baseline itself: five runs of one recipe, of which each is cheap."""


def train_seeds(
    splits: Splits,
    runs: Path,
    *,
    seed: int = 0,
    further: tuple[int, ...] = FURTHER,
    say: Callable[[str], None] | None = None,
) -> dict[int, Path]:
    """Train the baseline once for each further seed, counted from `seed`; return the weights.

    Writes `baseline.seed-N.safetensors` and its history; what is there, made by the same recipe,
    seed, code and data, is skipped (see `train_all`).
    """
    files = {}
    for number in further:
        name = f"baseline.seed-{number}"
        recipe = replace(RECIPES["baseline"], name=name)
        made = train_all(splits, runs, seed=seed + number, recipes={name: recipe}, say=say)
        files[number] = made[name]
    return files
