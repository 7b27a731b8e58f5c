"""Which thresholds can hardly be decided at the number of labelled rows that a suite expects."""

from __future__ import annotations

from collections.abc import Iterator

from modelchecks import stats
from modelchecks.checks.accuracy import AccuracyDrop, AccuracyFloor
from modelchecks.checks.deciding import level
from modelchecks.errors import Problem
from modelchecks.suite import DeclaredCheck, Suite
from modelchecks.wording import percent, threshold

POWER = 0.8
"""A good model should be told from a bad one at least as often as this."""
ACCURACY = 0.9
"""The accuracy that is assumed where no floor of the suite says more."""
MANY = 100_000
"""Offline rows where their number is not declared: they are not to be what is too few."""


def hard_to_decide(suite: Suite) -> Iterator[Problem]:
    """Yield a warning for each threshold that the declared `expected_labels` can hardly settle."""
    expected = {
        split.name: split.expected_labels
        for split in suite.splits
        if split.expected_labels is not None
    }
    for declared in suite.checks:
        said = _said(declared, expected, suite)
        if said is not None:
            place = declared.location
            yield Problem(place.path, place.line, 1, f"{declared.id}: {said}", "warning")


def _said(declared: DeclaredCheck, expected: dict[str, int], suite: Suite) -> str | None:
    check = declared.check
    if getattr(check, "metric", "accuracy") != "accuracy":
        return None
    if isinstance(check, AccuracyFloor) and check.split in expected:
        return floor_said(check, expected[check.split])
    if isinstance(check, AccuracyDrop) and check.live in expected:
        offline = expected.get(check.offline, MANY)
        return drop_said(check, _accuracy(suite, check.offline), offline, expected[check.live])
    return None


def _accuracy(suite: Suite, split: str) -> float:
    """Return what accuracy to assume on a split: what a floor of the suite asks of it."""
    checks = [declared.check for declared in suite.checks]
    floors = [c.min_accuracy for c in checks if isinstance(c, AccuracyFloor) and c.split == split]
    return max([floor for floor in floors if floor is not None and floor < 1] or [ACCURACY])


def drop_said(check: AccuracyDrop, accuracy: float, offline_n: int, live_n: int) -> str | None:
    """Return what is wrong with a drop's margin at these numbers of labelled rows, if anything."""
    margin = check.max_drop
    if margin is None or accuracy - margin < 0:
        return None
    alpha = level(check.confidence)
    passed = stats.drop_operating_characteristics(
        accuracy, offline_n, live_n, true_drop=0.0, max_drop=margin, alpha=alpha
    ).passed
    if passed >= POWER:
        return None
    needed = None
    if margin > 0:
        needed = stats.labels_needed(
            accuracy, offline_n, true_drop=0.0, max_drop=margin, alpha=alpha, power=POWER
        )
    word = "cannot" if passed < 0.01 else "can hardly"
    return (
        f"a drop of at most {threshold(margin, 'pp')} {word} be shown with {live_n:,} labelled "
        f"rows of {check.live!r}: a variant that loses nothing passes in {percent(passed, 0)} of "
        f"such samples (accuracy {percent(accuracy, 0)}). "
        f"{_mend(needed, check.live, check.offline)}"
    )


def floor_said(check: AccuracyFloor, n: int) -> str | None:
    """Return what is wrong with a floor at this number of labelled rows, if anything."""
    floor, alpha = check.min_accuracy, level(check.confidence)
    if floor is None:
        return None
    best = float(stats.clopper_pearson(n, n, alpha=alpha)[0])
    # Half way between the floor and no error at all: a good variant.
    good = (1 + floor) / 2
    needed = stats.labels_needed_floor(good, floor=floor, alpha=alpha, power=POWER)
    if needed is not None and n >= needed:
        return None
    asked = f"an accuracy of {threshold(floor, '%')}"
    if best < floor:
        why = f"cannot be shown with {n:,} labelled rows: {n:,} right of {n:,} show {percent(best)}"
    else:
        why = (
            f"can hardly be shown with {n:,} labelled rows, if the variant is right in "
            f"{percent(good)} of them"
        )
    return f"{asked} {why}. {_mend(needed, check.split)}"


def _mend(needed: int | None, split: str, other: str | None = None) -> str:
    if needed is not None:
        return f"About {needed:,} labelled rows of {split!r} are needed"
    more = f", more rows of {other!r}" if other else ""
    return f"No practical number of rows of {split!r} would do{more} or a wider margin may"
