"""How many rows would settle a question, from how wide the bounds are now."""

from __future__ import annotations

import math

from modelchecks.stats.estimate import Estimate
from modelchecks.stats.power import MOST


def rows_to_settle(
    estimate: Estimate, gap: float, *, other: float = 0.0, power: float = 0.8
) -> int | None:
    """Return the number of rows from which an effect `gap` away from its margin is settled.

    For metrics without a formula of their own: the bounds of `estimate` are taken to close in with
    the root of its rows and to lie as far apart as a normal law's. `other` is half the distance of
    the bounds of a part whose rows stay as they are, such as the offline side of a drop. None where
    no practical number suffices. Raises ValueError.

    >>> from modelchecks.stats import proportion
    >>> rows_to_settle(proportion(450, 500), 0.02)
    1520
    """
    from scipy.special import ndtri

    for name, value in (("gap", gap), ("other", other)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}: {value} is not a finite number from 0 on")
    if not 0 < power < 1:
        raise ValueError(f"power: {power} is not between 0 and 1")
    z = float(ndtri(1 - estimate.alpha))
    reach = z + float(ndtri(power))
    own = (estimate.upper_bound - estimate.lower_bound) / 2
    room = (gap / reach) ** 2 - (other / z) ** 2
    if room <= 0:
        return None
    n = max(1, math.ceil(estimate.n * (own / z) ** 2 / room))
    return n if n <= MOST else None
