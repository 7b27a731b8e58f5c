"""The pytest door: suite files are collected, one item per case. Loads nothing heavy.

Results travel in each report's `user_properties`, and what was gathered in xdist's worker output,
so the controller alone decides and writes reports, with or without workers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from modelchecks.gather import Gathered
    from modelchecks.plan import Case, Plan
    from modelchecks.results import Result, Run
    from modelchecks.suite import Suite

PROPERTY = "modelchecks"
SUFFIXES = (".suite.yaml", ".suite.yml", ".suite.py")
_NOT_WORD = re.compile(r"\W")


class ModelchecksWarning(UserWarning):
    """A case of severity `warn` that did not pass, or one that the policy forgives."""


@dataclass
class _Session:
    """What this process knows of the suites of one pytest session."""

    plans: dict[str, Plan] = field(default_factory=dict)
    gathered: dict[str, Gathered] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    contexts: dict[str, Any] = field(default_factory=dict)
    suites: dict[str, str] = field(default_factory=dict)
    started: str = ""
    runs: list[Run] = field(default_factory=list)


_SESSION = pytest.StashKey[_Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; each is an ini value as well."""
    group = parser.getgroup("modelchecks", "model validation suites (*.suite.yaml)")
    group.addoption(
        "--modelchecks-variant",
        action="append",
        metavar="NAME",
        help="judge only this variant (repeatable)",
    )
    group.addoption("--modelchecks-report", metavar="DIR", help="write the reports here")
    group.addoption("--modelchecks-executor", metavar="NAME", help="local, or ray")
    group.addoption(
        "--modelchecks-inconclusive",
        choices=["fail", "warn", "skip"],
        help="what an inconclusive case is to pytest (default: as the suite's policy says)",
    )
    group.addoption("--modelchecks-no-cache", action="store_true", help="gather all evidence again")
    parser.addini("modelchecks_variant", "variants to judge", type="args", default=[])
    parser.addini("modelchecks_report", "folder for the reports", default="")
    parser.addini("modelchecks_executor", "local, or ray", default="local")
    parser.addini("modelchecks_inconclusive", "fail, warn or skip", default="")
    parser.addini("modelchecks_no_cache", "gather all evidence again", type="bool", default=False)


def _option(config: pytest.Config, name: str) -> Any:
    given = config.getoption(f"modelchecks_{name}")
    return given if given else config.getini(f"modelchecks_{name}")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot be honoured, before anything runs."""
    config.stash[_SESSION] = _Session()
    # A warning of ours is an answer, not an accident: `filterwarnings = error` must not fail it.
    config.addinivalue_line("filterwarnings", f"always::{__name__}.ModelchecksWarning")
    executor = _option(config, "executor")
    if executor != "local":
        raise pytest.UsageError(
            f"--modelchecks-executor {executor}: planned and not built yet; leave it out or say "
            "`local`"
        )
    if _option(config, "inconclusive") not in ("", "fail", "warn", "skip"):
        raise pytest.UsageError("modelchecks_inconclusive must be fail, warn or skip")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `NAME.suite.yaml`."""
    if file_path.name.endswith(SUFFIXES):
        suite_file: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
        return suite_file
    return None


class SuiteFile(pytest.File):
    """One suite file; its items are its cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item per case; a suite with problems is a collection error that lists them."""
        from modelchecks.errors import SuiteError
        from modelchecks.load import read_suite
        from modelchecks.plan import make_plan

        shown = os.path.relpath(self.path, self.config.invocation_params.dir)
        asked = _option(self.config, "variant") or None
        try:
            suite, problems = read_suite(shown if Path(shown).exists() else self.path)
            if suite is None:
                raise SuiteError(problems)
            for problem in problems:
                self.warn(ModelchecksWarning(str(problem)))
            plan = make_plan(suite, asked)
        except SuiteError as error:
            raise self.CollectError(str(error)) from None
        session = self.config.stash[_SESSION]
        key = str(self.path)
        session.plans[key] = plan
        session.suites[key] = str(suite.path)
        for case in plan.declared:
            yield CaseItem.from_parent(self, name=case.id, case=case, suite=suite)


class CaseItem(pytest.Item):
    """One case as a pytest item."""

    def __init__(self, *, case: Case, suite: Suite, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.suite = suite
        marks = [case.declared.name, case.declared.severity]
        if case.variant is not None:
            marks.append(f"variant_{case.variant}")
        for mark in marks:
            name = _NOT_WORD.sub("_", mark).lstrip("_")
            self.config.addinivalue_line("markers", f"{name}: modelchecks case")
            self.add_marker(name)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place in the suite file that declares the case."""
        return self.path, self.case.declared.location.line - 1, self.name

    def runtest(self) -> None:
        """Judge the case and turn its outcome into pytest's."""
        from modelchecks.report.record import result_to_json
        from modelchecks.run import judge

        session = self.config.stash[_SESSION]
        key = str(self.path)
        if key not in session.gathered:
            self._gather(session, key)
        result = judge(session.plans[key], self.case, session.gathered[key])
        told = {"suite": key, "result": result_to_json(result)}
        self.user_properties.append((PROPERTY, json.dumps(told, allow_nan=False)))
        self._outcome(result)

    def _gather(self, session: _Session, key: str) -> None:
        """Gather for all items that pytest selected from this suite, in one pass."""
        from modelchecks.gather import gather
        from modelchecks.plan import make_plan
        from modelchecks.report.record import to_json
        from modelchecks.run import conclude, now, suite_store

        session.started = session.started or now()
        selected = {
            item.case.id
            for item in self.session.items
            if isinstance(item, CaseItem) and item.path == self.path
        }
        asked = _option(self.config, "variant") or None
        plan = make_plan(self.suite, asked, lambda case: case.id in selected)
        session.plans[key] = plan
        store = suite_store(self.suite, self._say)
        fresh = bool(_option(self.config, "no_cache"))
        session.gathered[key] = gather(plan, store, fresh=fresh)
        context = to_json(conclude(plan, session.gathered[key], [], session.started))
        session.contexts[key] = context

    def _say(self, line: str) -> None:
        self.warn(ModelchecksWarning(line))

    def _outcome(self, result: Result) -> None:
        policy = self.suite.policy
        place = f"{result.location.path}:{result.location.line}"
        word = "" if result.status == "failed" else f"{result.status}: "
        text = f"{word}{result.message}\n  declared at {place}"
        if "traceback" in result.details:
            text += f"\n{result.details['traceback']}"
        if result.status == "passed":
            return
        if result.status == "not_applicable" and result.structural:
            pytest.skip(result.message)
        if result.severity == "info":
            return
        if result.severity == "warn" or policy.mode == "observe":
            self.warn(ModelchecksWarning(text))
            return
        inconclusive = _option(self.config, "inconclusive") or policy.inconclusive
        if result.status == "inconclusive" and inconclusive == "warn":
            self.warn(ModelchecksWarning(text))
        elif result.status == "inconclusive" and inconclusive == "skip":
            pytest.skip(text)
        else:
            pytest.fail(text, pytrace=False)


class _Controller:
    """Hears every report of the session, its own or its workers', and concludes at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.state = config.stash[_SESSION]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                told = json.loads(str(value))
                cases = self.state.results.setdefault(told["suite"], {})
                cases[told["result"]["case"]] = told["result"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output: Mapping[str, Any] = getattr(node, "workeroutput", None) or {}
        for key, context in output.get(PROPERTY, {}).items():
            self.state.contexts.setdefault(key, context)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen, in the process that concludes."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Controller(session.config), "modelchecks-controller")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker hand over what was gathered; in the controller decide and write reports."""
    config = session.config
    state = config.stash[_SESSION]
    if hasattr(config, "workerinput"):
        config.workeroutput[PROPERTY] = state.contexts  # type: ignore[attr-defined]
        return
    if config.option.collectonly:
        return
    for key in dict.fromkeys([*state.plans, *state.results]):
        state.runs.append(_conclude(config, state, key))
    folder = _option(config, "report")
    if folder and state.runs:
        from modelchecks.report.write import folder_name, write

        names: dict[str, int] = {}
        for run in state.runs:
            name = folder_name(str(run.suite["name"]))
            names[name] = names.get(name, 0) + 1
            suffix = f"-{names[name]}" if names[name] > 1 else ""
            write(run, config.invocation_params.dir / folder / f"{name}{suffix}")


def _conclude(config: pytest.Config, state: _Session, key: str) -> Run:
    """Return the run of one suite from all results that arrived; what is missing stays missing."""
    from modelchecks import gate
    from modelchecks.gather import Gathered
    from modelchecks.load import load_suite
    from modelchecks.plan import make_plan
    from modelchecks.report.record import from_json, result_from_json
    from modelchecks.run import conclude, notes, now

    plan = state.plans.get(key) or make_plan(load_suite(key), _option(config, "variant") or None)
    by_case = state.results.get(key, {})
    results = tuple(
        result_from_json(by_case[case.id]) for case in plan.declared if case.id in by_case
    )
    if key not in state.contexts:
        return conclude(plan, Gathered(), results, state.started or now())
    return replace(
        from_json(state.contexts[key]),
        finished=now(),
        results=results,
        decisions=gate.decide(plan.variants, plan.declared, results),
        notes=notes(plan, results),
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the verdicts, where a suite was collected."""
    for run in config.stash[_SESSION].runs:
        from modelchecks.report import terminal

        terminalreporter.section(f"modelchecks: {run.suite['name']}")
        terminalreporter.write(terminal.verdicts(run))
