"""The fixtures `variant`, `evidence` and `case`: a suite's variants and data in ordinary tests.

A test says which suite it means by the marker `modelchecks_suite(PATH)`, by a `Suite` in its
module's name `suite`, or by lying beside the only suite file of its folder. A test that takes
`variant` runs once for each variant, one that takes `case` once for each case. Ordinary tests judge
as the gate does and decide nothing: a verdict comes from the cases of a suite alone.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from modelchecks import SUITE_SUFFIXES
from modelchecks.pytest_plugin.outcomes import marker, warn
from modelchecks.pytest_plugin.session import MEASURED, STATE, measured, option, shown

if TYPE_CHECKING:
    from modelchecks.check import Check, Needs, Scope
    from modelchecks.evidence import Evidence
    from modelchecks.gather import Gathered
    from modelchecks.plan import Case, Plan
    from modelchecks.results import Result, Severity
    from modelchecks.suite import DeclaredCheck, Suite, Variant


@dataclass(frozen=True)
class SuiteEvidence:
    """A suite's evidence, gathered when it is asked for and stored as the gate stores it.

    `variant` names the variant that checks are asked about, None where the test takes none.
    """

    node: pytest.Item = field(repr=False)
    suite: Suite = field(repr=False)
    variant: str | None

    def split(self, name: str, *kinds: str) -> Evidence:
        """Return a split's evidence of these kinds (`labels`, `predictions`, ...: see Needs).

        Raises EvidenceError where it cannot be had.
        """
        from modelchecks.check import Needs, View

        wanted = Wanted(Needs({name: frozenset(kinds)}))
        _, gathered = self._gather(self._declared(wanted, "evidence", "info"), self.variant)
        return View(gathered.splits).split(name)

    def judge(
        self,
        check: Check,
        *,
        name: str | None = None,
        variant: str | None = None,
        severity: Severity | None = None,
    ) -> Result:
        """Return what a check answers about the variant, as its case in a suite would.

        Whatever goes wrong makes the result `errored`, never anything better.
        """
        named = name or type(check).__name__
        declared = self._declared(check, named, severity or check.default_severity)
        return self.judge_declared(declared, variant or self.variant)

    def judge_declared(self, declared: DeclaredCheck, variant: str | None) -> Result:
        """Return what a check answers as the suite, or a test, declares it."""
        from modelchecks.judging import judge
        from modelchecks.ledger import take

        if declared.check.scope == "variant" and variant is None:
            raise TypeError(
                f"{declared.name} asks about a variant: let the test take `variant`, or name one"
            )
        plan, gathered = self._gather(declared, variant)
        with contextlib.chdir(self.node.config.invocation_params.dir):
            # A look is a look, whoever takes it.
            result = judge(plan, plan.cases[0], gathered, take(plan, gathered))
        tell(self.node, result)
        return result

    def _declared(self, check: Check, name: str, severity: Severity) -> DeclaredCheck:
        from modelchecks.results import Location
        from modelchecks.suite import DeclaredCheck

        path, line, _ = self.node.reportinfo()
        place = Location(shown(self.node.config, str(path)), (line or 0) + 1)
        return DeclaredCheck(name, name, check, severity, place)

    def _gather(self, declared: DeclaredCheck, variant: str | None) -> tuple[Plan, Gathered]:
        from modelchecks.gather import gather
        from modelchecks.plan import make_plan
        from modelchecks.run import suite_store

        config = self.node.config
        with contextlib.chdir(config.invocation_params.dir):
            suite = replace(self.suite, checks=(declared,))
            plan = make_plan(suite, None if variant is None else [variant])
            store = suite_store(suite, lambda line: warn(self.node, line))
            return plan, gather(plan, store, fresh=bool(option(config, "no_cache")))


@dataclass(frozen=True)
class Wanted:
    """Stands for a check where evidence alone is wanted."""

    wanted: Needs
    default_severity: ClassVar[Severity] = "info"
    scope: ClassVar[Scope] = "variant"

    def needs(self) -> Needs:
        """Return what is wanted."""
        return self.wanted

    def evaluate(self, view: Any) -> Any:
        """Answer nothing: it is never judged."""
        raise NotImplementedError


@dataclass(frozen=True)
class AskedCase:
    """One case of a suite in an ordinary test; `assert_case(case)` does what its own item does."""

    case: Case
    evidence: SuiteEvidence

    @property
    def id(self) -> str:
        """The case id, such as `accuracy_drop[curriculum]`."""
        return self.case.id

    @property
    def variant(self) -> str | None:
        """The variant that the case is about, None where it is about the data."""
        return self.case.variant

    @cached_property
    def result(self) -> Result:
        """The case's result, with its waiver where one counts."""
        from modelchecks import gate
        from modelchecks.run import day, now

        result = self.evidence.judge_declared(self.case.declared, self.variant)
        (result,) = gate.waive([result], self.evidence.suite.waivers, day(now()))
        return result


def tell(node: pytest.Item, result: Result) -> None:
    """Let the test's report carry a result, for JUnit and for those who hear results."""
    from modelchecks.report.record import result_to_json

    node.stash.setdefault(MEASURED, []).append(json.dumps(result_to_json(result)))
    config = node.config
    if config.getoption("xmlpath", None) and config.getini("junit_family") != "xunit2":
        node.user_properties += measured(node.nodeid, result)


def suite_of(node: pytest.Item, module: Any) -> Suite:
    """Return the suite that a test means; fails the test where it cannot be told."""
    found = _suite(node, module)
    if isinstance(found, str):
        pytest.fail(found, pytrace=False)
    return found


def _suite(node: pytest.Item, module: Any) -> Suite | str:
    """Return the suite that a test means, or why it cannot be told."""
    from modelchecks.load import read_suite
    from modelchecks.suite import Suite

    config, folder = node.config, node.path.parent
    mark, found = node.get_closest_marker("modelchecks_suite"), getattr(module, "suite", None)
    if mark is not None:
        if len(mark.args) != 1 or mark.kwargs:
            pytest.fail("modelchecks_suite takes one path, from the test's folder", pytrace=False)
        path = folder / mark.args[0]
    elif isinstance(found, Suite):
        return found
    else:
        paths = sorted(p for p in folder.iterdir() if p.name.endswith(SUITE_SUFFIXES))
        if len(paths) != 1:
            return (
                f"which suite {node.name} is about is not said, and {folder} holds "
                f"{', '.join(path.name for path in paths) or 'none'}. Mark the test "
                "`@pytest.mark.modelchecks_suite(PATH)`, or name a Suite `suite`"
            )
        path = paths[0]
    suites = config.stash[STATE].suites
    if str(path) not in suites:
        with contextlib.chdir(config.invocation_params.dir):
            suite, problems = read_suite(shown(config, path))
        if suite is None:
            pytest.fail("\n".join(map(str, problems)), pytrace=False)
        suites[str(path)] = suite
    return suites[str(path)]


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes our `variant` or `case` once for each of the suite."""
    name = next((name for name in ("case", "variant") if _is_ours(metafunc, name)), None)
    if name is None:
        return
    from modelchecks.errors import SuiteError
    from modelchecks.plan import make_plan

    config = metafunc.config
    suite = _suite(metafunc.definition, metafunc.module)
    if isinstance(suite, str):
        # Then the fixture says so, where it is really ours that is asked for.
        return
    try:
        plan = make_plan(suite, option(config, "variant") or None)
    except SuiteError as error:
        pytest.fail(str(error), pytrace=False)
    variants = {variant.name: variant for variant in suite.variants}
    if name == "case":
        params = [
            _param(
                config, case, case.id, case.declared.name, case.declared.severity, of=case.variant
            )
            for case in plan.declared
        ]
    else:
        params = [_param(config, variants[chosen], chosen, of=chosen) for chosen in plan.variants]
    metafunc.parametrize(name, params, indirect=True)


def _param(config: pytest.Config, value: Any, id: str, *words: str, of: str | None) -> Any:
    marks = [*words, *([] if of is None else [f"variant_{of}"])]
    return pytest.param(
        value, id=id, marks=[getattr(pytest.mark, marker(config, word)) for word in marks]
    )


def _is_ours(metafunc: pytest.Metafunc, name: str) -> bool:
    """Return whether a test takes our fixture, not another of that name or a parameter.

    pytest has no public way to ask which fixture a name means and what is parametrized already.
    """
    if name not in metafunc.fixturenames:
        return False
    if any(name in call.params for call in getattr(metafunc, "_calls", ())):
        return False
    found = getattr(metafunc, "_arg2fixturedefs", {}).get(name, ())
    return len(found) > 0 and found[-1].func.__module__ == __name__


@pytest.fixture
def variant(request: pytest.FixtureRequest) -> Variant | None:
    """The variant of a suite, each in turn; that of `case` where the test takes it as well."""
    if hasattr(request, "param"):
        chosen: Variant = request.param
        return chosen
    if "case" not in request.fixturenames:
        suite_of(request.node, request.module)
        pytest.fail("`variant` is for tests; a fixture that needs it must be taken by a test")
    case: AskedCase = request.getfixturevalue("case")
    return case.evidence.suite.variant(case.variant)


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> SuiteEvidence:
    """What the suite's data and variants show, gathered when it is asked for."""
    chosen = request.getfixturevalue("variant") if "variant" in request.fixturenames else None
    node: pytest.Item = request.node
    name = getattr(chosen, "name", chosen)
    return SuiteEvidence(node, suite_of(node, request.module), name)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> AskedCase:
    """One case of the suite, each in turn."""
    if not hasattr(request, "param"):
        suite_of(request.node, request.module)
        pytest.fail("`case` is for tests; a fixture that needs it must be taken by a test")
    node: pytest.Item = request.node
    chosen: Case = request.param
    return AskedCase(chosen, SuiteEvidence(node, suite_of(node, request.module), chosen.variant))
