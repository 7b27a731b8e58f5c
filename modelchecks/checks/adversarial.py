"""Does the variant keep its answer when somebody changes the pixels on purpose?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

from modelchecks import stats
from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import (
    check_confidence,
    hold_if_unequal,
    hold_if_unsampled,
    level,
    settle,
)
from modelchecks.checks.shown import before_after, on_curve
from modelchecks.results import Severity
from modelchecks.stats.paired import paired_bounds
from modelchecks.wording import accuracy, percent, threshold

SILENT = 0.01
"""A share of rows without any gradient beyond this is a sign that gradients are masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversarial:
    """The variant stays right under imperceptible changes that are made to mislead it.

    Attacks on the same rows: fast gradient sign, projected gradient descent from the image and from
    a random start, random noise, and what misleads another variant (transfer). No pixel changes by
    more than `eps` of 255. A row counts as robust when it is right as it is and under all of them.

    Statistic: the share of robust rows with Clopper-Pearson bounds. Passed when the lower bound
    reaches `min_accuracy`, failed when the upper bound stays below it, else inconclusive. The
    severity curve at the larger eps of `also` is for reading.

    Assumes: the attacks see. A pass is held back where gradients are masked: the loss does not grow
    with eps, one step is stronger than many, noise or another model misleads more rows than the
    gradient does, more than 1 % of the rows have no gradient at all, or with unlimited eps rows
    still stay right. Robust accuracy is an upper limit: an attack that nobody tried may do worse.
    The transform must be affine in each pixel.

    Reference: Goodfellow et al. (2015); Madry et al. (2018); Athalye, Carlini and Wagner (2018),
    Obfuscated gradients give a false sense of security, ICML.

    Example:
      - adversarial: {split: offline, eps: 2, min_accuracy: 80%, images: 500}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "variant"

    min_accuracy: Share = param("smallest allowed share of rows that stay right")
    eps: float = param("largest change of a pixel, of 255", default=2.0)
    also: tuple[float, ...] = param("larger eps for the curve in the report", default=(4.0, 8.0))
    split: SplitName = param("split of labelled rows to attack", default="offline")
    images: int = param("how many rows, drawn at random: what the attack may cost", default=500)
    steps: int = param("steps of projected gradient descent", default=10)
    confidence: Share = param("one-sided confidence of either decision", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not 0 < self.eps <= 255:
            raise ValueError(f"eps: {self.eps:g} is not between 0 and 255")
        if not all(self.eps < one <= 255 for one in self.also):
            raise ValueError(f"also: must lie between eps = {self.eps:g} and 255")
        if sorted(set(self.also)) != list(self.also):
            raise ValueError("also: must rise")
        for name, value in (("images", self.images), ("steps", self.steps)):
            if value < 1:
                raise ValueError(f"{name}: must be at least 1")

    def needs(self) -> Needs:
        """Return the labels and the probe."""
        return Needs({self.split: frozenset({"labels"})}, (self._request(),))

    def _request(self) -> ProbeRequest:
        options = (
            ("also", ",".join(f"{one:g}" for one in self.also)),
            ("eps", self.eps),
            ("images", self.images),
            ("steps", self.steps),
        )
        return ProbeRequest("adversarial", self.split, (), options, asks_model=True, beside="other")

    def evaluate(self, view: View) -> Outcome:
        """Return the decision on the robust accuracy, and what speaks against believing it."""
        found, alpha = view.probe(self._request()), level(self.confidence)
        n, attacked = int(found["rows"]), found["attacked"]
        robust = stats.proportion(attacked["all"], n, alpha=alpha)
        status = stats.decide_at_least(robust, self.min_accuracy)
        by = [f"{name} {percent(attacked['right'][name] / n)}" for name in ("fgsm", "pgd")]
        if found["surrogate"] is not None:
            share = percent(attacked["right"]["transfer"] / n)
            by.append(f"transfer from {found['surrogate']} {share}")
        said = (
            f"accuracy under attack at eps {self.eps:g} of 255 {accuracy(robust)}; "
            f"{', '.join(by)}, without attack {percent(found['clean'] / n)}"
        )
        floor, needed = threshold(self.min_accuracy, "%"), None
        if status == "passed":
            message = f"{said}; at least {percent(robust.lower_bound)}, which reaches {floor}"
        elif status == "failed":
            message = f"{said}; at most {percent(robust.upper_bound)}, below the {floor} asked"
        else:
            needed = stats.labels_needed_floor(robust.value, floor=self.min_accuracy, alpha=alpha)
            message = f"{said}; {floor} is asked. {settle(needed, n, 'attacked rows')}"
        signs = masked(found, alpha)
        if signs:
            told = "; ".join(signs)
            message += f". The attack cannot be believed, gradients are masked: {told}"
        details: dict[str, Any] = {
            "clean": found["clean"],
            "attacks": attacked["right"],
            "masking": signs,
            "surrogate": found["surrogate"],
            "losses": [[point["eps"], point["loss"]] for point in found["curve"]],
            "curves": {
                name: [
                    on_curve(point["eps"], stats.proportion(int(point[key]), n, alpha=alpha))
                    for point in found["curve"]
                ]
                for name, key in (("fast gradient sign, eps", "fgsm"), ("gradient, eps", "pgd"))
            },
            "counterexamples": before_after(found["images"]),
        }
        outcome = Outcome(
            status, message, robust, {"min_accuracy": self.min_accuracy}, needed, details=details
        )
        if signs and status == "passed":
            outcome = replace(outcome, status="inconclusive")
        return hold_if_unsampled(hold_if_unequal(outcome, view, self.split), view, self.split)


def masked(found: Mapping[str, Any], alpha: float) -> list[str]:
    """Return the signs that the attacks of a probe's outcome saw nothing, each in a sentence."""
    n, signs = int(found["rows"]), []
    losses = [(point["eps"], point["loss"]) for point in found["curve"]]
    for (before, less), (after, more) in pairwise(losses):
        if not more > less:
            signs.append(f"the loss does not grow from eps {before:g} to {after:g}")
    names = {
        "fgsm": "one step misleads more rows than many",
        "noise": "random noise misleads more rows than the gradient",
        "transfer": f"what misleads {found['surrogate']} misleads it more than its own gradient",
    }
    for name, (stronger, weaker) in found["attacked"]["over_pgd"].items():
        if float(paired_bounds(stronger, weaker, n, alpha=alpha)[0]) > 0:
            signs.append(f"{names[name]} ({stronger} rows against {weaker})")
    thrown, own = found["attacked"]["starts"]
    if float(paired_bounds(thrown, own, n, alpha=alpha)[0]) > SILENT:
        signs.append(f"a random start misleads {thrown} rows that a start at the image does not")
    if float(stats.clopper_pearson(found["silent"], n, alpha=alpha)[0]) > SILENT:
        signs.append(f"{found['silent']} of {n} rows have no gradient at all")
    chance = 1 / int(found["classes"])
    if float(stats.clopper_pearson(found["unbounded"], n, alpha=alpha)[0]) > chance:
        signs.append(f"with unlimited eps {found['unbounded']} of {n} rows still stay right")
    return signs
