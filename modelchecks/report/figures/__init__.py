"""All evidence that a run recorded, in the order in which a reader asks for it."""

from __future__ import annotations

from collections.abc import Callable

from modelchecks.report.figures import losses, shifts
from modelchecks.report.figures.gallery import Figure, Gallery, Section
from modelchecks.results import Result, Run

_Whole = Callable[[Run, Gallery], list[Figure]]


def _each(draw: Callable[[Result, Gallery], list[Figure]]) -> _Whole:
    """Return what draws a run's results one by one."""

    def all_of(run: Run, gallery: Gallery) -> list[Figure]:
        return [figure for result in run.results for figure in draw(result, gallery)]

    return all_of


_KINDS: tuple[tuple[str, str, str, _Whole], ...] = (
    (
        "accuracy",
        "Offline against live",
        "A variant on the upper line loses nothing; between the lines it loses what is allowed. "
        "Bars are two-sided 95 % intervals. A gain that arrives live goes up as it goes right.",
        losses.offline_live,
    ),
    (
        "classes",
        "By class",
        "Hollow: offline. Full: live, with its interval. What loses most stands first.",
        losses.classes,
    ),
    ("slices", "By slice", "How far each slice dropped.", _each(losses.slices)),
    ("time", "Over time", "Each window with its interval.", _each(losses.over_time)),
    (
        "reliability",
        "Is the confidence right?",
        "On the line, what is answered with 80 % confidence is right eight times in ten.",
        _each(losses.reliability),
    ),
    (
        "drift",
        "What changed in the data",
        "The same on both sides, as shares.",
        _each(shifts.drift),
    ),
    (
        "embedding",
        "Embedding map",
        "What the last layer sees, projected: rows that lie apart look different to the model.",
        _each(shifts.embedding),
    ),
    (
        "severity",
        "Under harder conditions",
        "The same question while a disturbance grows.",
        shifts.severity,
    ),
    (
        "counterexamples",
        "Smallest counter-examples",
        "The smallest changes found that turn a right answer into a wrong one.",
        _each(shifts.counterexamples),
    ),
    (
        "confusion",
        "What is taken for what",
        "Of each class's rows, how many are called so more often live than offline, or less.",
        _each(losses.confusion),
    ),
    (
        "images",
        "Images lost live",
        "Some of the live images that a variant gets wrong.",
        _each(shifts.lost_images),
    ),
)


def sections(run: Run, gallery: Gallery) -> list[Section]:
    """Return all evidence that can be drawn; a kind that was not recorded has no section."""
    drawn = [(key, title, intro, draw(run, gallery)) for key, title, intro, draw in _KINDS]
    return [Section(key, title, intro, tuple(found)) for key, title, intro, found in drawn if found]
