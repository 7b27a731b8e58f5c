"""`assert_CHECK(evidence, ...)` for every registered check: a suite's question in ordinary tests.

```python
from modelchecks import assert_accuracy_drop

def test_live(variant, evidence):
    assert_accuracy_drop(evidence, offline="offline", live="live", max_drop="5pp")
```

The parameters are those of the check, written as in a suite file. What did not pass fails, warns or
skips the test as the case of a suite would; what passed is returned with its numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import yaml

from modelchecks.pytest_plugin.fixtures import AskedCase, SuiteEvidence
from modelchecks.pytest_plugin.outcomes import settle

if TYPE_CHECKING:
    from modelchecks.check import Check
    from modelchecks.results import Result, Severity

_PREFIX = "assert_"


class AssertCheck(Protocol):
    """The shape of every `assert_CHECK`."""

    def __call__(
        self,
        evidence: SuiteEvidence,
        *,
        variant: Any = None,
        severity: Severity | None = None,
        **parameters: Any,
    ) -> Result:
        """Assert that the check passes, and return its result."""
        ...


def assert_case(case: AskedCase) -> Result:
    """Do what the case's own item would do, and return its result."""
    __tracebackhide__ = True
    settle(case.evidence.node, case.evidence.suite, case.result)
    return case.result


def assert_check(
    evidence: SuiteEvidence,
    check: Check,
    *,
    name: str | None = None,
    variant: Any = None,
    severity: Severity | None = None,
) -> Result:
    """Assert that a check of yours passes, and return its result."""
    __tracebackhide__ = True
    chosen = getattr(variant, "name", variant)
    result = evidence.judge(check, name=name, variant=chosen, severity=severity)
    settle(evidence.node, evidence.suite, result)
    return result


def _build(evidence: SuiteEvidence, name: str, parameters: dict[str, Any]) -> Check:
    """Return the check of that name, its parameters read as a suite file's are."""
    __tracebackhide__ = True
    from modelchecks import registry
    from modelchecks.fields import INVALID, Reader

    cls = registry.find("checks", name, evidence.suite.folder)
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in parameters.items()}
    text = yaml.safe_dump(plain, sort_keys=False)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None
    reader = Reader(name, text)
    reader.splits = dict.fromkeys((split.name for split in evidence.suite.splits), node)
    check: Any = reader.build(cls, node, f"check {name!r}")
    if check is INVALID or reader.problems:
        raise ValueError("; ".join(problem.message for problem in reader.problems))
    found: Check = check
    return found


def __getattr__(attribute: str) -> AssertCheck:
    from modelchecks import registry
    from modelchecks.errors import did_you_mean

    known = registry.names("checks") if attribute.startswith(_PREFIX) else ()
    name = attribute.removeprefix(_PREFIX)
    if name not in known:
        hint = did_you_mean(attribute, [_PREFIX + one for one in known])
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}{hint}")

    def assert_it(
        evidence: SuiteEvidence,
        *,
        variant: Any = None,
        severity: Severity | None = None,
        **parameters: Any,
    ) -> Result:
        __tracebackhide__ = True
        check = _build(evidence, name, parameters)
        return assert_check(evidence, check, name=name, variant=variant, severity=severity)

    assert_it.__name__ = assert_it.__qualname__ = attribute
    assert_it.__doc__ = f"Assert that `{name}` passes, and return its result."
    return assert_it
