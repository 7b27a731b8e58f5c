"""What a result is to pytest: a pass, a warning, a skip, an expected failure or a failure."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import pytest

from modelchecks.pytest_plugin.session import STATE, option

if TYPE_CHECKING:
    from modelchecks.results import Result
    from modelchecks.suite import Suite

_NOT_WORD = re.compile(r"\W")
_PYTEST_OWN = ("skip", "skipif", "xfail", "usefixtures", "filterwarnings", "parametrize")


class ModelchecksWarning(UserWarning):
    """A case of severity `warn` that did not pass, one that the policy forgives, a moot waiver."""


def warn(node: pytest.Item | pytest.Collector, text: str) -> None:
    """Warn, and never raise: a warning of ours is an answer, also under `-W error`."""
    try:
        node.warn(ModelchecksWarning(text))
    except ModelchecksWarning:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ModelchecksWarning)
            node.warn(ModelchecksWarning(text))


def marker(config: pytest.Config, word: str) -> str:
    """Return the marker that stands for a check, a severity or a variant; it is registered."""
    name = _NOT_WORD.sub("_", word).lstrip("_")
    if name in _PYTEST_OWN:
        # A check of that name must not skip or excuse its own cases.
        name = f"check_{name}"
    known = config.stash[STATE].markers
    if name not in known:
        known.add(name)
        config.addinivalue_line("markers", f"{name}: modelchecks case")
    return name


def settle(node: pytest.Item, suite: Suite, result: Result) -> None:
    """Return where a result is a pass to pytest; warn, skip, xfail or fail where it is not."""
    from modelchecks.report.text import one_line

    __tracebackhide__ = True
    config, policy = node.config, suite.policy
    place = f"{result.location.path}:{result.location.line}"
    if result.status == "passed":
        for waiver in suite.waivers:
            if waiver.case == result.case:
                at = f"{waiver.location.path}:{waiver.location.line}"
                warn(node, f"WAIVER NOT NEEDED: {result.case} passed; remove its waiver at {at}")
        return
    word = "" if result.status == "failed" else f"{result.status}: "
    text = f"{word}{one_line(result.message)}\n  declared at {place}"
    if "traceback" in result.details:
        if config.get_verbosity() > 0:
            text += f"\n{result.details['traceback']}"
        else:
            text += " (-v shows the traceback)"
    if result.status == "not_applicable" and result.structural:
        pytest.skip(one_line(result.message))
    if result.severity == "info":
        node.add_report_section("call", "modelchecks", text)
        return
    if result.waived is not None:
        waived = result.waived
        said = one_line(f"waived until {waived.until} by {waived.owner}: {waived.reason}")
        # Raised, not marked: a strict marker would fail a model that got better. Where
        # `--runxfail` makes it do nothing, the failure below stands.
        pytest.xfail(f"{said}; {one_line(result.message)}")
    if result.severity == "warn" or policy.mode == "observe":
        warn(node, text)
        return
    inconclusive = option(config, "inconclusive") or policy.inconclusive
    if result.status == "inconclusive" and inconclusive == "warn":
        warn(node, text)
    elif result.status == "inconclusive" and inconclusive == "skip":
        pytest.skip(text)
    else:
        pytest.fail(text, pytrace=False)
