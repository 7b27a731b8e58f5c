"""What a built-in check answered on the same evidence before is read from the store."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from modelchecks.check import Check, Outcome, View
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.facets import JUDGED
from modelchecks.gather import Gathered
from modelchecks.identity import REFERENCE, digest
from modelchecks.stats.estimate import Estimate

_OURS, _STATS = "modelchecks.checks.", "modelchecks.stats."
_KIND = "kind"
_CALLS = re.compile(f'"{REFERENCE.pattern}"')
"""A JSON text that names somebody's code, as a value or a key."""


def remembered(
    check: Check, view: View, gathered: Gathered, judge: Callable[[], Outcome]
) -> Outcome:
    """Return the outcome of a case, judged where the store does not hold it.

    Kept are outcomes of the built-in checks that call nobody else's code: they are functions of the
    check's fields, the evidence and our code, all of which are in the key. What errors is not kept,
    and neither is what a ledger must remember.
    """
    store = gathered.store
    key = None if store is None else _key(check, view, gathered)
    if store is None or key is None:
        return judge()
    if (known := store.outcome(key)) is not None:
        return _from_json(known)
    outcome = judge()
    if outcome.status == "errored" or outcome.history is not None:
        return outcome
    kept = _to_json(outcome)
    # A store that is for reading alone remembers nothing, and what was judged stands.
    with suppress(EvidenceError, OSError):
        store.save_outcome(key, kept, {"split": JUDGED, "facet": type(check).__name__})
    # As it will be read the next time: lists in place of tuples.
    return _from_json(json.loads(json.dumps(kept)))


def _key(check: Check, view: View, gathered: Gathered) -> str | None:
    """Return what an outcome is stored under, None where it depends on more than that holds."""
    kind = type(check)
    fields = asdict(check)  # type: ignore[call-overload]
    try:
        text = json.dumps(fields, ensure_ascii=False)
    except TypeError:
        # What is no plain value, such as a function in a Python suite, has no name to trust.
        return None
    if not f"{kind.__module__}.".startswith(_OURS) or _CALLS.search(text):
        return None
    splits = {
        name: [gathered.keys.get(name), sorted(found.failures.items()), found.total, found.labelled]
        if isinstance(found, Evidence)
        else str(found)
        for name, found in gathered.splits.items()
    }
    probes = []
    for asked in check.needs().probes:
        found = gathered.probes.get(asked.of(view.variant, view.champion))
        # By content: a probe of the moment answers anew under the same key.
        probes.append(str(found) if isinstance(found, EvidenceError) else digest(found))
    history = None if view.history is None else asdict(view.history)
    suite = [
        view.variant,
        view.champion,
        dict(view.cannot_approve),
        view.class_names,
        view.variants,
        history,
    ]
    outcomes = sorted(gathered.probe_keys.values())
    return digest(["judged", kind.__name__, fields, splits, probes, outcomes, suite, _code()])


@lru_cache
def _code() -> list[str]:
    """Return what an outcome depends on beside evidence: all of our code, and what it counts with.

    All of it, since a list of what a check calls would have gaps.
    """
    here = Path(__file__).parent
    code = hashlib.sha256()
    for file in sorted(here.rglob("*.py")):
        code.update(file.relative_to(here).as_posix().encode() + b"\0" + file.read_bytes())
    return [code.hexdigest(), np.__version__, version("scipy")]


def _to_json(outcome: Outcome) -> dict[str, Any]:
    estimate, kind = outcome.estimate, type(outcome.estimate)
    return {
        "status": outcome.status,
        "message": outcome.message,
        "estimate": None
        if estimate is None
        else {**asdict(estimate), _KIND: [kind.__module__, kind.__name__]},
        "threshold": dict(outcome.threshold),
        "needed": outcome.needed,
        "structural": outcome.structural,
        "details": dict(outcome.details),
    }


def _from_json(value: Mapping[str, Any]) -> Outcome:
    estimate = value["estimate"]
    return Outcome(**{**value, "estimate": None if estimate is None else _estimate(estimate)})


def _estimate(value: Mapping[str, Any]) -> Estimate:
    numbers = dict(value)
    module, name = numbers.pop(_KIND)
    if not module.startswith(_STATS):
        raise ValueError(f"{module} is no module of {_STATS}")
    found: Estimate = getattr(import_module(module), name)(**numbers)
    return found
