"""Labels that keep arriving: look as often as you like, and err no more often for it.

The evidence against a live accuracy p0 is the wealth of a bettor who stakes on every label, at odds
that are fair if p0 holds: under p0 it grows beyond 1/alpha, at any look, with probability at most
alpha (Ville 1939). The bettor spreads the stake over all accuracies on the other side of p0, by a
Beta(16 p0, 16 (1 - p0)) prior cut at p0; each of these bets is 1 + lambda (x - p0) with lambda of
one sign, so the guarantee also holds against every p0 beyond, and where labels depend on the past.
The integral has a closed form in two counts, labels and right ones: order between looks, windows
and batches do not matter. 16 was measured: the same prior with 8 or 32 decides later at large or at
small drops, and a plug-in bet (Waudby-Smith and Ramdas 2023) later at every one.

Sources: Robbins (1970), Annals of Mathematical Statistics 41, 1397-1409; Waudby-Smith and Ramdas
(2023), JRSS B 86, 1-27; Podkopaev and Ramdas (2022), ICLR.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelchecks.stats.estimate import Estimate, Verdict
from modelchecks.stats.interval import Floats, check_counts, clopper_pearson

PRIOR_LABELS = 16.0
"""How many labels the bettor's prior is worth."""
_EDGE = 1e-9
"""Nulls are kept this far inside (0, 1); towards the other side of the bet, so none is gained."""

Side = Literal["below", "above"]


def log_evidence(correct: Any, n: Any, null: float, side: Side) -> Floats:
    """Return the log of the wealth that bets the accuracy is on that side of `null`.

    Under 'above' it is evidence against every accuracy up to `null`, under 'below' against every
    accuracy from `null` on: by any time it exceeds log(1/alpha) with probability at most alpha.
    `correct` of `n` outcomes so far, arrays of one shape; 0 at no outcomes.
    """
    from scipy.special import betainc, betaincc, betaln

    x, n = np.asarray(correct, dtype=np.float64), np.asarray(n, dtype=np.float64)
    a, b = PRIOR_LABELS * null, PRIOR_LABELS * (1 - null)
    mass = betaincc if side == "above" else betainc
    with np.errstate(divide="ignore"):
        kept = np.log(mass(x + a, n - x + b, null)) - math.log(mass(a, b, null))
    gained = betaln(x + a, n - x + b) - betaln(a, b)
    wealth: Floats = gained + kept - x * math.log(null) - (n - x) * math.log1p(-null)
    return wealth


class Canary:
    """A live accuracy watched label by label against an offline one.

    `status` is 'failed' once the drop is shown to exceed `max_drop`, 'passed' once it is shown not
    to, else 'inconclusive'; once decided it stays decided, whatever comes later. It is looked at
    after every label, and a wrong decision by any of them has probability at most `alpha_offline` +
    `alpha_live`, for 'passed' and for 'failed' each. Splitting the same outcomes otherwise into
    updates changes nothing, so a log alone gives the same answer. It assumes that the live accuracy
    does not change while it is watched. `n` counts the outcomes seen, `decided_at` those at the
    decision. Raises ValueError that names the argument.

    >>> canary = Canary(9400, 10000, max_drop=0.05)
    >>> canary.update([True] * 100)
    >>> canary.status, canary.decided_at
    ('passed', 46)
    """

    def __init__(
        self,
        offline_correct: int,
        offline_n: int,
        *,
        max_drop: float,
        alpha_offline: float = 0.01,
        alpha_live: float = 0.04,
    ) -> None:
        check_counts(offline_correct, offline_n, "offline_")
        if not 0 <= max_drop < 1:
            raise ValueError(f"max_drop: {max_drop} is not at least 0 and less than 1")
        for name, alpha in (("alpha_offline", alpha_offline), ("alpha_live", alpha_live)):
            if not 0 < alpha < 0.25:
                raise ValueError(f"{name}: {alpha} is not between 0 and 0.25")
        self.max_drop = max_drop
        self.alpha_offline, self.alpha_live = alpha_offline, alpha_live
        self.decided_at: int | None = None
        self._status: Verdict = "inconclusive"
        self._offline = (offline_correct, offline_n)
        low, high = self._offline_limits(alpha_offline)
        self._fails_below, self._passes_above = _inside(low - max_drop), _inside(high - max_drop)
        self._right: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    @property
    def status(self) -> Verdict:
        """'passed', 'failed' or 'inconclusive'."""
        return self._status

    @property
    def n(self) -> int:
        """How many outcomes were seen."""
        return len(self._right)

    def update(self, correct: Any) -> None:
        """Take one outcome, or several in order of arrival: right is True or 1, wrong False or 0.

        Raises ValueError for anything else; then nothing was taken.
        """
        outcomes = np.atleast_1d(np.asarray(correct))
        if outcomes.ndim != 1 or not np.isin(outcomes, (0, 1)).all():
            raise ValueError("correct: must be True or False (1 or 0), one or a list of them")
        before = self.n
        so_far = self._right[-1] if before else 0
        right = so_far + np.cumsum(outcomes.astype(np.int64))
        self._right = np.concatenate([self._right, right])
        if self._status != "inconclusive" or not len(right):
            return
        n, enough = np.arange(before + 1, self.n + 1), -math.log(self.alpha_live)
        failed = log_evidence(right, n, self._fails_below, "below") >= enough
        passed = log_evidence(right, n, self._passes_above, "above") >= enough
        decided = np.flatnonzero(failed | passed)
        if len(decided):
            self.decided_at = before + int(decided[0]) + 1
            self._status = "failed" if failed[decided[0]] else "passed"

    @property
    def accuracy(self) -> Estimate | None:
        """The live accuracy with bounds that hold at all looks at once; None before any outcome.

        Each decision bound has level `alpha_live`; `low` and `high` 2.5 %. They never widen.
        """
        if not self.n:
            return None
        lower, upper = self._bounds(self.alpha_live)
        return self._estimate(self._share, *self._bounds(0.025), lower, upper, self.alpha_live)

    @property
    def drop(self) -> Estimate | None:
        """The drop, offline minus live, with bounds that hold at all looks; None before any.

        Each decision bound has level `alpha_offline` + `alpha_live`; `low` and `high` 2.5 %, split
        alike. `decide` on it gives `status`, unless the outcomes contradict each other later.
        """
        if not self.n:
            return None
        alpha = self.alpha_offline + self.alpha_live
        offline = self._offline[0] / self._offline[1]
        return self._estimate(
            offline - self._share, *self._drops(0.025 / alpha), *self._drops(1.0), alpha
        )

    def _drops(self, scale: float) -> tuple[float, float]:
        first, last = self._offline_limits(self.alpha_offline * scale)
        low, high = self._bounds(self.alpha_live * scale)
        return first - high, last - low

    @property
    def _share(self) -> float:
        return float(self._right[-1]) / self.n

    def _offline_limits(self, alpha: float) -> tuple[float, float]:
        low, high = clopper_pearson(*self._offline, alpha=alpha)
        return float(low), float(high)

    def _estimate(
        self, value: float, low: float, high: float, lower: float, upper: float, alpha: float
    ) -> Estimate:
        # What was excluded earlier stays excluded; only what is read must enclose the value.
        low, high = min(low, value), max(high, value)
        return Estimate(value, low, high, lower, upper, alpha, self.n, "betting")

    def _bounds(self, alpha: float) -> tuple[float, float]:
        """Return the live accuracies beyond which all are excluded by some look so far."""
        return self._excluded("above", alpha), self._excluded("below", alpha)

    def _excluded(self, side: Side, alpha: float) -> float:
        from scipy.optimize import brentq

        n, enough = np.arange(1, self.n + 1), -math.log(alpha)
        null, last = (_EDGE, 1 - _EDGE) if side == "above" else (1 - _EDGE, _EDGE)
        # From the edge inwards: as far as the look that excludes most there reaches, and again.
        # Each step is one pass over all looks, a search over all would be dozens.
        moved = True
        while moved and (evidence := log_evidence(self._right, n, null, side)).max() > enough:
            look = int(evidence.argmax())

            def beyond(at: float, right: int = int(self._right[look]), n: int = look + 1) -> float:
                return float(log_evidence(right, n, at, side)) - enough

            if beyond(last) >= 0:
                return last
            before, null = null, float(brentq(beyond, null, last, xtol=1e-13, rtol=1e-13))
            moved = abs(null - before) > 1e-12
        if null in (_EDGE, 1 - _EDGE):
            return 0.0 if side == "above" else 1.0
        return null


def canary(
    offline_correct: int,
    offline_n: int,
    outcomes: Any,
    *,
    max_drop: float,
    alpha_offline: float = 0.01,
    alpha_live: float = 0.04,
) -> Canary:
    """Return the canary that has seen these outcomes, a log in order of arrival; may be empty."""
    watched = Canary(
        offline_correct,
        offline_n,
        max_drop=max_drop,
        alpha_offline=alpha_offline,
        alpha_live=alpha_live,
    )
    watched.update(np.asarray(outcomes))
    return watched


def _inside(share: float) -> float:
    return min(max(share, _EDGE), 1 - _EDGE)
