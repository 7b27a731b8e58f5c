"""How every check decides: at which confidence, on rows drawn how, and what would settle it."""

from __future__ import annotations

from dataclasses import replace

from modelchecks.check import Outcome, View


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless the confidence is one that the bounds are made for."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence: {confidence:g} is not between 50% and 100%")


def level(confidence: float) -> float:
    """Return alpha = 1 - confidence, without the rounding error that 1 - 0.95 shows."""
    return round(1 - confidence, 12)


def settle(needed: int | None, have: int, rows: str, otherwise: str | None = None) -> str:
    """Return the sentence that says what would settle an inconclusive case."""
    if needed is None or needed <= have:
        more = f", or more {otherwise}" if otherwise else ""
        return f"Too close to the limit for any practical number of {rows} to settle it{more}"
    return f"About {needed:,} {rows} would settle it ({needed - have:,} more)"


def hold_if_unsampled(outcome: Outcome, view: View, split: str) -> Outcome:
    """Return a pass as inconclusive where the split's rows may not stand for live traffic."""
    reason = view.cannot_approve.get(split)
    if outcome.status != "passed" or reason is None:
        return outcome
    return replace(outcome, status="inconclusive", message=f"{outcome.message}; but {reason}")


def hold_if_unequal(outcome: Outcome, view: View, *splits: str, labelled: bool = True) -> Outcome:
    """Return a decision as inconclusive where it took unequal or dependent rows for equal ones.

    Weights are those of the labelled rows, so they do not matter where all rows were looked at.
    """
    if outcome.status not in ("passed", "failed"):
        return outcome
    for split in splits:
        drawn = view.split(split).drawn - (frozenset() if labelled else {"weight"})
        if drawn:
            how = " and ".join(_UNEQUAL[column] for column in sorted(drawn))
            message = (
                f"{outcome.message}; but the rows of {split!r} {how}, and this check counts each "
                "as one, so it decides nothing here"
            )
            return replace(outcome, status="inconclusive", message=message)
    return outcome


_UNEQUAL = {
    "weight": "were drawn with weights (`sampling: {weights: ...}`)",
    "group": "come in groups (`group:`)",
}
