"""Numbers as the page writes them, each with the unit of its case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelchecks.results import Result
from modelchecks.wording import bare

NONE = "–"
"""Stands where there is no number."""
_UNITS = {
    "max_drop": "pp",
    "min_gain": "pp",
    "max_loss": "pp",
    "max_error": "pp",
    "max_relative_drop": "%",
    "min_accuracy": "%",
    "max_gap": "pp",
    "max_optimism": "pp",
    "max_spread": "pp",
    "max_flips": "%",
    "max_worst_loss": "%",
    "min_agreement": "%",
    "max_noise": "%",
    "max_exact": "%",
    "max_near": "%",
    "max_share": "%",
    "max_relative_fall": "%",
    "max_relative_rise": "%",
}
"""What the built-in thresholds count; a check says otherwise by `details["unit"]`."""
_RELATIVE = {"corruption"}
"""Checks whose `max_loss` is a share of what there was; else it is a difference of accuracies."""
_ALWAYS = {"max_relative_drop", "min_accuracy"}
"""Thresholds that are shares whatever is measured."""
_LEAST = ("min_", "at_least")


@dataclass(frozen=True, slots=True)
class Unit:
    """How the numbers of a case are written: `pp` and `%` stand for hundredths."""

    name: str = ""

    @property
    def hundredths(self) -> bool:
        """Whether 0.152 is written 15.2."""
        return self.name in ("pp", "%")

    def scaled(self, value: float) -> float:
        """Return the number that an axis shows."""
        return 100 * value if self.hundredths else value

    def bare(self, value: float | None) -> str:
        """Return a number without its unit."""
        if value is None:
            return NONE
        if self.hundredths:
            return bare(value)
        size = abs(value)
        if size and not 1e-4 <= size < 1e7:
            return f"{value:.2e}"
        return f"{value:,.0f}" if size >= 1000 else f"{value:.3g}"

    def full(self, value: float | None) -> str:
        """Return a number with its unit."""
        return f"{self.bare(value)} {self.name}".strip() if value is not None else NONE

    def limit(self, value: float) -> str:
        """Return a threshold with as many digits as it was given."""
        return f"{self.scaled(value):.6g} {self.name}".strip()

    def interval(self, low: float | None, high: float | None) -> str:
        """Return an interval without a unit, or nothing where there is none."""
        return "" if low is None or high is None else f"[{self.bare(low)}, {self.bare(high)}]"


def unit_of(result: Result) -> Unit:
    """Return the unit of a case's estimate and threshold."""
    told = result.details.get("unit")
    if isinstance(told, str):
        return Unit(told[:12])
    if "max_loss" in result.threshold and result.check.rpartition(":")[2] in _RELATIVE:
        return Unit("%")
    if "max_effect" in result.threshold:
        # A distance, whatever is also asked of what it costs.
        return Unit()
    # Some other metric may be no share.
    known = _ALWAYS if "metric" in result.details else _UNITS
    return next((Unit(_UNITS[name]) for name in result.threshold if name in known), Unit())


def limit_text(name: str, value: float, unit: Unit) -> str:
    """Return a threshold as a reader says it: 'at most 5 pp'."""
    if name == "max_loss" and unit.name != "%":
        return f"loses at most {unit.limit(value)}"
    said = "at least" if name.startswith(_LEAST) else "at most"
    known = name in _UNITS or name.startswith(("max_", "min_", "at_"))
    return f"{said} {unit.limit(value)}" if known else f"{name} {unit.limit(value)}"


def limit_at(name: str, value: float, unit: Unit) -> float:
    """Return where a threshold lies on the axis of the estimate: a loss is a negative gain."""
    return -value if name == "max_loss" and unit.name != "%" else value


def shown(value: Any) -> str:
    """Return a recorded value as a reader writes it: 10,000, 0.1428, yes, – for none."""
    if value is None or value in ("", [], {}):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping | list):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
