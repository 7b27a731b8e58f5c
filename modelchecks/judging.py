"""One case is judged: whatever goes wrong makes it `errored`, never anything better."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from typing import Any, get_args

from modelchecks import stats
from modelchecks.check import Check, History, Outcome, View
from modelchecks.errors import EvidenceError, UnexpectedError
from modelchecks.evidence import Evidence
from modelchecks.fields import fields_of, markers
from modelchecks.gather import Gathered
from modelchecks.illustrating import illustrated
from modelchecks.judged import remembered
from modelchecks.ledger import Look, Looks
from modelchecks.plan import Case, Plan
from modelchecks.results import Result, Status
from modelchecks.stats.estimate import Estimate
from modelchecks.suite import Suite

FINEST = 1e-9
"""No bound is computed at a smaller error than this."""


def judge(plan: Plan, case: Case, gathered: Gathered, looks: Looks | None = None) -> Result:
    """Return one case's result; whatever goes wrong makes it `errored`, never anything better.

    `looks` are those that the ledger counted (`ledger.take`), none where there is no ledger.
    """
    declared, suite = case.declared, plan.suite
    try:
        look = None if looks is None else looks.of(case)
        view = View(
            gathered.splits,
            case.variant,
            suite.champion,
            gathered.probes,
            unsampled(suite),
            suite.classes,
            tuple(variant.name for variant in suite.variants),
            suite.folder,
            None if look is None else look.history,
        )
        check = _spending(declared.check, suite, look)
        _two_samples(check, view)
        outcome = _sound(remembered(check, view, gathered, lambda: _sound(check.evaluate(view))))
        if look is not None:
            outcome = replace(outcome, details={**outcome.details, "look": look.number})
        if looks is not None and outcome.history is not None:
            looks.remember(case, outcome.history)
        outcome = replace(outcome, details=illustrated(suite, check, outcome, view))
    except stats.TooFewRowsError as error:
        outcome = Outcome("inconclusive", f"too few rows to decide: {error}")
    except UnexpectedError as error:
        told = "".join(traceback.format_exception(error.__cause__ or error))
        outcome = Outcome("errored", str(error), details={"traceback": told})
    except EvidenceError as error:
        outcome = Outcome("errored", str(error))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        # SystemExit too: `sys.exit(0)` or `pytest.skip()` in somebody's check is no answer.
        outcome = Outcome(
            "errored",
            f"check {declared.name!r} raised {type(error).__name__}: {error}",
            details={"traceback": traceback.format_exc()},
        )
    return Result(
        case=case.id,
        check=declared.name,
        variant=case.variant,
        severity=declared.severity,
        status=outcome.status,
        message=outcome.message,
        location=declared.location,
        estimate=outcome.estimate,
        threshold=dict(outcome.threshold),
        needed=outcome.needed,
        structural=outcome.structural,
        details=dict(outcome.details),
    )


def _spending(check: Check, suite: Suite, look: Look | None) -> Check:
    """Return the check at the confidence that is left to its look at these rows."""
    rule, confidence = suite.policy.spending, getattr(check, "confidence", None)
    if look is None or rule == "none" or not isinstance(confidence, float):
        return check
    alpha = stats.alpha_spending(look.number, alpha=1 - confidence, rule=rule)
    if alpha < FINEST:
        raise EvidenceError(
            f"the rows of split {look.split!r} are worn out: look {look.number:,} leaves an error "
            f"of {alpha:.1g} (spending: {rule}). Draw fresh rows"
        )
    made: Any = check
    spent: Check = replace(made, confidence=1 - alpha)
    return spent


def _two_samples(check: Check, view: View) -> None:
    """Raise where a check compares a split with itself under another name."""
    names = [
        str(getattr(check, name))
        for name, hint in fields_of(type(check)).items()
        if "split" in markers(hint)
    ]
    seen: dict[str, str] = {}
    for name in names:
        found = view.splits.get(name)
        fingerprint = found.meta.get("fingerprint") if isinstance(found, Evidence) else None
        if fingerprint is not None and (twin := seen.setdefault(str(fingerprint), name)) != name:
            raise EvidenceError(
                f"splits {twin!r} and {name!r} hold the same rows, so comparing them says nothing; "
                "correct the path of one of them"
            )


def _sound(outcome: Outcome) -> Outcome:
    """Return the outcome if it can be recorded; a check of somebody else's may answer anything."""
    if not isinstance(outcome, Outcome):
        raise TypeError(f"evaluate() answered {type(outcome).__name__} instead of Outcome")
    if outcome.status not in get_args(Status):
        raise ValueError(f"evaluate() answered status {outcome.status!r}")
    kinds: dict[str, tuple[type, ...]] = {
        "message": (str,),
        "estimate": (Estimate, type(None)),
        "needed": (int, type(None)),
        "structural": (bool,),
        "history": (History, type(None)),
    }
    for name, allowed in kinds.items():
        value = getattr(outcome, name)
        if not isinstance(value, allowed):
            raise TypeError(f"evaluate() answered {name} {value!r}")
    for name, limit in outcome.threshold.items():
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise TypeError(f"evaluate() answered threshold {name} {limit!r}, which is no number")
    # Strict: a NaN in a threshold or detail may not pass unseen.
    json.dumps([dict(outcome.threshold), dict(outcome.details)], allow_nan=False)
    return outcome


def unsampled(suite: Suite) -> dict[str, str]:
    """Return the splits whose labelled rows may not be a random sample, each with a remedy."""
    reason = (
        "how the labelled rows of {!r} were drawn is unknown, so this cannot approve: declare "
        "`sampling: random` on the split, or `assume_random: reason`"
    )
    return {
        split.name: reason.format(split.name)
        for split in suite.splits
        if split.sampling == "unknown" and split.assume_random is None
    }
