"""What the tensors are that a model gets: facts of each row, after the variant's own transform."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PLAIN: Final = ("min", "max", "broken", "flat")
"""The first facts of a row: range of its finite values, how many are not, whether all are one."""
_MOST_CHANNELS = 16


def facts(tensor: NDArray[Any]) -> NDArray[np.float64]:
    """Return facts (n, 4 + 2 channels): those of `PLAIN`, then means, then standard deviations.

    The second axis of (n, channels, ...) holds the channels; a tensor of another layout, or of many
    channels, has one mean over all. Values that are not finite are left out; NaN where none is.
    """
    count = len(tensor)
    channels = tensor.shape[1] if tensor.ndim == 4 else 1
    channels = channels if 0 < channels <= _MOST_CHANNELS else 1
    flat = tensor.reshape(count, channels, -1).astype(np.float64)
    finite = np.isfinite(flat)
    whole = finite.all(axis=(1, 2))
    broken = (~finite).sum(axis=(1, 2))
    found = np.full((count, len(PLAIN) + 2 * channels), np.nan)
    found[:, 2], found[:, 3] = broken, 0.0
    for row in np.flatnonzero(~whole).tolist():
        # Rare, and told as a fault: one at a time.
        found[row] = _of_broken(flat[row], found[row])
    clean = flat[whole]
    if clean.size:
        lowest, highest = clean.min(axis=(1, 2)), clean.max(axis=(1, 2))
        numbers = [lowest, highest, np.zeros(len(clean)), lowest == highest]
        found[whole] = np.column_stack([*numbers, clean.mean(axis=2), clean.std(axis=2)])
    return found


def _of_broken(channels: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    values = channels[np.isfinite(channels)]
    if values.size:
        found[0], found[1] = values.min(), values.max()
        found[3] = float(found[0] == found[1])
    for number, channel in enumerate(channels):
        kept = channel[np.isfinite(channel)]
        if kept.size:
            found[len(PLAIN) + number] = kept.mean()
            found[len(PLAIN) + len(channels) + number] = kept.std()
    return found


def kind(tensor: NDArray[Any]) -> str:
    """Return the shape of one row and the type, such as `3x32x32 float32`."""
    return f"{'x'.join(map(str, tensor.shape[1:])) or 'scalar'} {tensor.dtype}"
