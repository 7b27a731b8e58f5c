"""Is a shift one that costs more accuracy than may be lost? Labels decide, the rest suspects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, decide
from modelchecks.stats.interval import Floats, check_alpha, proportion_drop
from modelchecks.stats.label_free import LabelFree, label_free_guesses
from modelchecks.stats.temperature import two_sides

Harm = Literal["harmful", "benign", "unclear"]
VOTING = ("atc_bbse", "cot_bbse", "hybrid")
"""Methods without labels that allow for a shift of the classes: the others mistake it for harm."""


@dataclass(frozen=True, slots=True)
class HarmfulShift:
    """Whether a shift costs more than `max_drop`, and what says so.

    `shown`: labels have shown it, with error at most alpha; only then may 'harmful' block. Without
    it the state is a suspicion, for a warning or a hold. `drop` comes from the labels, None where
    there is none. `guesses` are drops as each method without labels sees them: those of
    `label_free_guesses`, and `agreement` where other variants' answers were given; `suspected` is
    the median of those that vote, `low` and `high` the smallest and largest of all. `label_shift`
    is the drop that the classes' changed shares alone would make. `reasons` are sentences, the
    decisive one first.
    """

    state: Harm
    shown: bool
    drop: Estimate | None
    suspected: float
    low: float
    high: float
    label_shift: float
    guesses: dict[str, float]
    evidence: LabelFree
    reasons: tuple[str, ...]

    @property
    def alarms(self) -> bool:
        """Whether a warning or a hold is due: whatever is not benign."""
        return self.state != "benign"

    @property
    def blocks(self) -> bool:
        """Whether it may block: labels have shown the harm."""
        return self.shown and self.state == "harmful"


def harmful_shift(
    offline_probabilities: NDArray[Any],
    offline_labels: NDArray[Any],
    live_probabilities: NDArray[Any],
    *,
    max_drop: float,
    live_labels: NDArray[Any] | None = None,
    offline_answers: NDArray[Any] | None = None,
    live_answers: NDArray[Any] | None = None,
    alpha: float = 0.05,
) -> HarmfulShift:
    """Return whether the accuracy lost between offline and live is more than `max_drop`.

    Probabilities (rows, classes), labels (rows,) from 0; `live_labels` (live rows,) has -1 where
    there is no label, and the labelled rows are a random sample. Answers (variants, rows) are the
    classes that other variants predict on the same rows, both or neither given. With labels it is
    decided on the bounds of `proportion_drop`: harmful and benign are wrong with probability at
    most `alpha` each. Where they do not decide, and without them, the methods without labels say
    what they suspect, with no guarantee (Garg et al. 2022): harmful where both the hybrid and the
    median of the votes lie above `max_drop`, benign where both lie within, else unclear; a vote
    that the labels' own value contradicts is unclear. Raises ValueError that names the argument.

    Source: BBSE (Lipton et al. 2018), ATC (Garg et al. 2022), COT (Lu et al. 2023); agreement of
    variants on the probit scale, Baek et al. (2022), NeurIPS.
    """
    check_alpha(alpha)
    if not 0 <= max_drop < 1:
        raise ValueError(f"max_drop: {max_drop} is not at least 0 and less than 1")
    offline, y, live = two_sides(
        offline_probabilities, offline_labels, live_probabilities, ("offline", "live")
    )
    answers, now = offline.argmax(axis=1), live.argmax(axis=1)
    right = answers == y
    evidence = label_free_guesses(offline, y, live)
    accuracy = evidence.source_accuracy
    guesses = {name: accuracy - value for name, value in evidence.values.items()}
    votes = [guesses[name] for name in VOTING]
    shift = evidence.label_shift
    weights = shift.weights[y] / shift.weights[y].sum()
    by_classes = accuracy - float(weights @ right)
    if (offline_answers is None) != (live_answers is None):
        raise ValueError("live_answers: other variants' answers are needed on both sides")
    if offline_answers is not None:
        before = _agreement(offline_answers, answers, weights, "offline_answers")
        after = _agreement(live_answers, now, np.full(len(now), 1 / len(now)), "live_answers")
        if len(before) != len(after):
            raise ValueError(
                f"live_answers: has {len(after)} variants, offline_answers has {len(before)}"
            )
        guesses["agreement"] = accuracy - _moved(float(weights @ right), before, after)
        votes.append(guesses["agreement"])
    suspected = float(np.median(votes))
    state: Harm = "unclear"
    if min(suspected, guesses["hybrid"]) > max_drop:
        state = "harmful"
    elif max(suspected, guesses["hybrid"]) <= max_drop:
        state = "benign"
    reasons = [_suspicion(state, suspected, guesses, votes, max_drop)]
    if shift.residual <= 0.01 and evidence.routed < 0.25 and abs(by_classes) > 0.01:
        reasons.append(f"changed class shares alone would cost {_pp(by_classes)}")
    elif evidence.routed >= 0.25:
        reasons.append("the answers have changed in a way that changed class shares do not explain")
    drop, shown = None, False
    if live_labels is not None:
        drop = _labelled(live_labels, now, int(right.sum()), len(y), alpha)
    if drop is not None:
        verdict = decide(drop, max_drop)
        shown = verdict != "inconclusive"
        bounds = f"{_pp(drop.value)} [{_pp(drop.lower_bound)}, {_pp(drop.upper_bound)}]"
        if shown:
            state = "harmful" if verdict == "failed" else "benign"
            told = "more than" if verdict == "failed" else "no more than"
            reasons.insert(0, f"{drop.n} labels show a drop of {told} {_pp(max_drop)}: {bounds}")
        else:
            if (drop.value > max_drop) != (state == "harmful"):
                state = "unclear"
            reasons.insert(0, f"{drop.n} labels do not decide it: a drop of {bounds}")
    return HarmfulShift(
        state,
        shown,
        drop,
        suspected,
        min(guesses.values()),
        max(guesses.values()),
        by_classes,
        guesses,
        evidence,
        tuple(reasons),
    )


def _labelled(
    labels: NDArray[Any], now: NDArray[np.int64], right: int, n: int, alpha: float
) -> Estimate | None:
    given = np.asarray(labels)
    if given.shape != now.shape or given.dtype.kind not in "iu" or (given < -1).any():
        raise ValueError("live_labels: must be whole numbers, one for each live row, -1 for none")
    known = given >= 0
    if not known.any():
        return None
    correct = int((given[known] == now[known]).sum())
    return proportion_drop(right, n, correct, int(known.sum()), alpha=alpha)


def _agreement(answers: Any, own: NDArray[np.int64], weights: Floats, name: str) -> Floats:
    others = np.asarray(answers)
    if others.ndim != 2 or not len(others) or others.shape[1] != len(own):
        raise ValueError(f"{name}: must be (variants, rows) with the rows of the probabilities")
    if others.dtype.kind not in "iu":
        raise ValueError(f"{name}: must be whole numbers")
    agree: Floats = (others == own) @ weights
    return agree


def _moved(accuracy: float, before: Floats, after: Floats) -> float:
    """Return the accuracy moved as far on the probit scale as the agreement has moved."""
    from scipy.special import ndtr, ndtri

    def probit(share: Any) -> Any:
        return ndtri(np.clip(share, 1e-6, 1 - 1e-6))

    return float(ndtr(probit(accuracy) + (probit(after) - probit(before)).mean()))


def _suspicion(
    state: Harm, suspected: float, guesses: dict[str, float], votes: list[float], max_drop: float
) -> str:
    above = sum(vote > max_drop for vote in votes)
    told = {"harmful": "suspect", "benign": "see no", "unclear": "do not agree on"}[state]
    return (
        f"without labels, methods {told} a drop beyond {_pp(max_drop)}: median {_pp(suspected)}, "
        f"{above} of {len(votes)} beyond it (range {_pp(min(guesses.values()))} to "
        f"{_pp(max(guesses.values()))})"
    )


def _pp(share: float) -> str:
    return f"{100 * share:.1f} pp" if math.isfinite(share) else "nothing"
