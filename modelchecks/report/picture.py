"""The key plot in a file of its own: offline against live, for a summary or a slide."""

from __future__ import annotations

from modelchecks.report.figures import draw, losses
from modelchecks.report.figures.grammar import PAPER, Spec
from modelchecks.results import Run


def png(run: Run) -> bytes:
    """Return the plot as PNG, empty where no check recorded both sides."""
    spec = _spec(run)
    try:
        return b"" if spec is None else draw.png(spec)
    except draw.CannotDrawError:
        return b""


def svg(run: Run) -> str:
    """Return the plot as an SVG file, empty where no check recorded both sides."""
    spec = _spec(run)
    try:
        return "" if spec is None else draw.svg_file(spec)
    except draw.CannotDrawError:
        return ""


def _spec(run: Run) -> Spec | None:
    points = next(iter(losses.pairs(run).values()), None)
    return None if points is None else losses.key_spec(PAPER, points)
