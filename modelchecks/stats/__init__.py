"""Statistics in pure numpy and scipy: arrays and counts in, estimates out; no thresholds, no I/O.

Importing this package loads numpy alone; scipy is loaded by the functions that need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelchecks.stats.distance import kolmogorov as kolmogorov
    from modelchecks.stats.distance import total_variation as total_variation
    from modelchecks.stats.estimate import Estimate as Estimate
    from modelchecks.stats.estimate import decide as decide
    from modelchecks.stats.estimate import decide_at_least as decide_at_least
    from modelchecks.stats.interval import clopper_pearson as clopper_pearson
    from modelchecks.stats.interval import drop_p_value as drop_p_value
    from modelchecks.stats.interval import newcombe as newcombe
    from modelchecks.stats.interval import proportion as proportion
    from modelchecks.stats.interval import proportion_drop as proportion_drop
    from modelchecks.stats.interval import wilson as wilson
    from modelchecks.stats.multiplicity import holm as holm
    from modelchecks.stats.power import (
        drop_operating_characteristics as drop_operating_characteristics,
    )
    from modelchecks.stats.power import labels_needed as labels_needed
    from modelchecks.stats.power import labels_needed_floor as labels_needed_floor

_HOME = {
    "Estimate": "estimate",
    "clopper_pearson": "interval",
    "decide": "estimate",
    "decide_at_least": "estimate",
    "drop_operating_characteristics": "power",
    "drop_p_value": "interval",
    "holm": "multiplicity",
    "kolmogorov": "distance",
    "labels_needed": "power",
    "labels_needed_floor": "power",
    "newcombe": "interval",
    "proportion": "interval",
    "proportion_drop": "interval",
    "total_variation": "distance",
    "wilson": "interval",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"modelchecks.stats.{_HOME[name]}"), name)
    raise AttributeError(f"module 'modelchecks.stats' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOME)
