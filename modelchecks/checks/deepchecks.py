"""What deepchecks finds, with its own conditions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, SplitName, View, param
from modelchecks.errors import EvidenceError
from modelchecks.results import Severity, Status
from modelchecks.wording import listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Deepchecks:
    """A check or suite of deepchecks' vision package meets its conditions on the data.

    Statistic: deepchecks' own, on a random sample of at most `rows` rows of each split; conditions
    compare point estimates. Passed when every condition passed and every check ran; failed when a
    condition failed or warned; errored when a check did not run, which deepchecks itself would call
    a success. A check without a condition decides nothing. In a suite, checks that cannot run here
    (for detection, or on this numpy) are left out by name. Checks that look at answers are
    `deepchecks_model`.

    Assumes: what deepchecks assumes. It is an extra under AGPL-3.0: pip install
    "modelchecks[deepchecks]". Its telemetry is switched off.

    Reference: Chorev et al. (2022), Deepchecks: A Library for Testing and Validating Machine
    Learning Models and Data, Journal of Machine Learning Research 23 (285), 1-6.

    Example:
      - deepchecks:
          check: ImagePropertyDrift
          conditions: {drift_score_less_than: {max_allowed_drift_score: 0.3}}
          rows: 500
    """

    default_severity: ClassVar[Severity] = "warn"
    scope: ClassVar[Scope] = "data"

    check: str = param("name of a vision check or suite, such as ImagePropertyDrift")
    conditions: Mapping[str, Any] = param(
        "{condition: {argument: value}}, without add_condition_", default_factory=dict
    )
    params: Mapping[str, Any] = param("arguments of the check", default_factory=dict)
    leave_out: tuple[str, ...] = param("checks of a suite that are not run", default=())
    reference: SplitName = param("split that stands for training", default="train")
    current: SplitName = param("split to look at", default="live")
    rows: int = param("how many rows of each split it sees", default=1000)
    html: str | None = param("file for its own page, relative to the suite file", default=None)

    def __post_init__(self) -> None:
        if self.reference == self.current:
            raise ValueError("current: is the same split as `reference`")
        if self.rows < 10:
            raise ValueError("rows: must be at least 10")
        for name, arguments in self.conditions.items():
            if arguments is not None and not isinstance(arguments, Mapping):
                raise ValueError(f"conditions: {name!r} needs {{argument: value}}")
        try:
            json.dumps([dict(self.conditions), dict(self.params)], allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"params: must be plain values ({error})") from error

    def needs(self) -> Needs:
        """Return the labels of both splits, the variant's logits if it is asked, and the probe."""
        kinds = frozenset({"labels", "logits"} if self.scope == "variant" else {"labels"})
        return Needs({self.reference: kinds, self.current: kinds}, (_request(self),))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all conditions."""
        return _judge(self.check, view.probe(_request(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepchecksModel(Deepchecks):
    """A check or suite of deepchecks meets its conditions on the data and the variant's answers.

    Statistic: deepchecks' own, as in `deepchecks`; it sees the variant's probabilities on a random
    sample of at most `rows` rows of each split.

    Assumes: what deepchecks assumes. It is an extra under AGPL-3.0: pip install
    "modelchecks[deepchecks]". Its telemetry is switched off.

    Reference: Chorev et al. (2022), Deepchecks: A Library for Testing and Validating Machine
    Learning Models and Data, Journal of Machine Learning Research 23 (285), 1-6.

    Example:
      - deepchecks_model:
          check: PredictionDrift
          reference: offline
          conditions: {drift_score_less_than: {max_allowed_categorical_score: 0.2}}
    """

    scope: ClassVar[Scope] = "variant"

    check: str = param("name of a vision check or suite, such as PredictionDrift")


def _request(check: Deepchecks) -> ProbeRequest:
    plain = {
        name: json.dumps({key: _plain(value) for key, value in given.items()}, sort_keys=True)
        for name, given in (("conditions", check.conditions), ("params", check.params))
    }
    options = {
        "check": check.check,
        **plain,
        "leave_out": ",".join(check.leave_out),
        "rows": check.rows,
        "html": check.html,
    }
    return ProbeRequest(
        "deepchecks",
        check.current,
        (),
        tuple(sorted(options.items())),
        check.scope == "variant",
        others=(check.reference,),
    )


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _judge(name: str, outcome: Mapping[str, Any]) -> Outcome:
    """Return passed only where every check ran, and every condition of at least one passed."""
    failed, raised, passed, silent = [], [], 0, []
    for one in outcome["checks"]:
        if one["ran"] is not True:
            raised.append(f"{one['check']} did not run ({one['error']})")
            continue
        if not one["conditions"]:
            silent.append(one["check"])
        for condition in one["conditions"]:
            told = f"{one['check']}: {condition['name']}: {condition['details']}"
            if condition["category"] == "PASS":
                passed += 1
            elif condition["category"] in ("FAIL", "WARN"):
                failed.append(told)
            else:
                raised.append(told)
    status: Status = "failed" if failed else "errored" if raised else "passed"
    parts = []
    if failed:
        parts.append(f"{len(failed)} conditions not met: {listing(failed)}")
    if raised:
        hint = "" if len(outcome["checks"]) == 1 else " (name in `leave_out` what cannot run here)"
        parts.append(f"{len(raised)} could not be judged{hint}: {listing(raised, 6)}")
    if status == "passed" and not passed:
        if not outcome["checks"]:
            raise EvidenceError(f"deepchecks ran nothing of {name!r}")
        status = "inconclusive"
        parts.append(f"{listing(silent)} has no condition, so it decides nothing; add `conditions`")
    elif not parts:
        parts.append(f"{passed} conditions of {name} met")
    rows = outcome["rows"]
    parts.append(f"deepchecks saw {rows['reference']:,} and {rows['current']:,} sampled rows")
    return Outcome(status, ". ".join(parts), details=dict(outcome))
