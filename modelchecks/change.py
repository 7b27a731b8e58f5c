"""A change of the environment that an image is taken in, as numbers whose zero changes nothing."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from modelchecks.check import param

SIGNED = ("rotation", "right", "down", "zoom", "exposure", "contrast")
"""What goes either way; the others only grow."""

KINDS = (
    "rotation",
    "translation",
    "scale",
    "occlusion",
    "blur",
    "exposure",
    "contrast",
    "noise",
    "jpeg",
)
"""The realistic changes of the battery; `probes.environment` says how strong they get."""
SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to every image, in this order; 0 leaves it as it is, bit for bit."""

    rotation: float = param("degrees, counter-clockwise", default=0.0)
    right: float = param("shift to the right, as a share of the shorter side", default=0.0)
    down: float = param("shift downward, as a share of the shorter side", default=0.0)
    zoom: float = param("log of the magnification: 0.1 is 10.5 % larger", default=0.0)
    occlusion: float = param("side of a grey square, as a share of the shorter side", default=0.0)
    blur: float = param("sigma of a Gaussian, as a share of the shorter side", default=0.0)
    exposure: float = param("stops of light: 1 is twice as bright", default=0.0)
    contrast: float = param("-0.3 is 30 % less contrast around the mean", default=0.0)
    noise: float = param("sd of the sensor's noise, as a share of the range", default=0.0)
    jpeg: float = param("100 - quality of a JPEG", default=0.0)

    def __post_init__(self) -> None:
        for name, amount in self.amounts().items():
            if not math.isfinite(amount):
                raise ValueError(f"{name}: {amount} is not a finite number")
            if name not in SIGNED and amount < 0:
                raise ValueError(f"{name}: {amount:g} is below 0")
        if self.contrast < -1:
            raise ValueError(f"contrast: {self.contrast:g} is below -1, which would be a negative")
        if self.jpeg > 99:
            raise ValueError(f"jpeg: {self.jpeg:g} is above 99, the lowest quality there is")
        if self.occlusion > 1:
            raise ValueError(f"occlusion: {self.occlusion:g} is above 1, the whole image")

    def amounts(self) -> dict[str, float]:
        """Return every amount by its name, the zeros too."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def told(self) -> str:
        """Return the amounts that are not 0 as a YAML mapping that a suite can hold.

        >>> Change(rotation=9.5, noise=0.02).told()
        '{rotation: 9.5, noise: 0.02}'
        """
        kept = (f"{name}: {amount:.12g}" for name, amount in self.amounts().items() if amount)
        return f"{{{', '.join(kept)}}}"

    def times(self, factor: float) -> Change:
        """Return the change with all amounts scaled."""
        return Change(**{name: factor * amount for name, amount in self.amounts().items()})

    def share_of(self, largest: Change) -> float:
        """Return its largest amount as a share of that of another change; infinite beyond all."""
        whole = largest.amounts()
        shares = (
            (abs(amount) / whole[name] if whole[name] else math.inf)
            for name, amount in self.amounts().items()
            if amount
        )
        return max(shares, default=0.0)


COMMON = Change(
    rotation=10,
    right=0.05,
    down=0.05,
    zoom=0.1,
    blur=0.02,
    exposure=0.5,
    contrast=0.25,
    noise=0.03,
    jpeg=40,
)
"""What everybody's photographs go through: a hand-held camera, other light, an upload."""
