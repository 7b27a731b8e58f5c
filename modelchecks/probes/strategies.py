"""THE Hypothesis file: environment changes as strategies, and the smallest that breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, example, given, seed, settings, target
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

from modelchecks.change import COMMON, SIGNED, Change

STEPS = 20
"""Every amount is a multiple of this part of its largest value, so that it can be written down."""
SHRINKING = 2
"""How much more making a change smaller may cost than finding one."""


def changes(within: Change = COMMON) -> st.SearchStrategy[Change]:
    """Return a strategy of changes up to `within`, whose simplest value changes nothing.

    What has a direction goes both ways. It shrinks each amount toward 0 by itself, so that what
    Hypothesis shows is a change of which nothing can be taken away.
    """
    parts = {
        name: st.integers(-STEPS if name in SIGNED else 0, STEPS)
        for name, largest in within.amounts().items()
        if largest
    }
    largest = within.amounts()

    def made(steps: dict[str, int]) -> Change:
        return Change(
            **{name: round(abs(largest[name]) * n / STEPS, 12) for name, n in steps.items()}
        )

    return st.fixed_dictionaries(parts).map(made)


class _BreaksError(AssertionError):
    pass


def smallest(
    within: Change,
    known: Sequence[Change],
    effect: Callable[[Change], float],
    breaks: Callable[[Change], bool],
    *,
    tries: int,
    start: int,
    folder: Path,
) -> Change | None:
    """Return the smallest change found for which something breaks, or None.

    The known ones come first, as explicit examples, and end the search where one breaks. Then
    `tries` further ones, led toward a larger `effect`, and twice as many to make one smaller.
    Where Hypothesis derandomizes (its `ci` profile, which it loads where CI is set) there is no
    database; elsewhere what broke before is in `folder` and comes before anything new.
    """
    broken: list[Change] = []
    verdicts: dict[Change, bool] = {}
    most = [0]
    common = settings(
        max_examples=max(tries, 1),
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        phases=tuple(Phase) if tries else (Phase.explicit,),
    )

    def holds(change: Change) -> None:
        if change not in verdicts:
            # Shrinking asks on and on: past its budget what is new counts as no smaller one.
            verdicts[change] = not (broken and len(verdicts) >= most[0]) and breaks(change)
        if verdicts[change]:
            most[0] = most[0] or len(verdicts) + SHRINKING * tries
            broken.append(change)
            raise _BreaksError
        if tries:
            target(effect(change))

    asked = given(changes(within))(holds)
    for change in reversed(known):
        asked = example(change)(asked)
    if settings.default.derandomize:  # type: ignore[union-attr]
        asked = settings(common, derandomize=True, database=None)(asked)
    else:
        database = DirectoryBasedExampleDatabase(folder)
        # In this order: `seed` takes the database away from what it is laid over.
        asked = settings(common, derandomize=False, database=database)(seed(start)(asked))
    try:
        asked()
    except _BreaksError:
        return broken[-1]
    return None
