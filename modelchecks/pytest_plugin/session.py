"""What one pytest session knows of its suites, and how it ends: decided and written, once."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.junitxml import xml_key

from modelchecks import SUITE_SUFFIXES

if TYPE_CHECKING:
    from modelchecks.gather import Gathered
    from modelchecks.ledger import Looks
    from modelchecks.plan import Plan
    from modelchecks.results import Result, Run
    from modelchecks.suite import Suite

TOLD = "modelchecks"
"""Where a test report carries a result, and a worker's output the suites that it collected."""


@dataclass
class State:
    """What this process knows of the suites of one pytest session; keys are absolute paths."""

    started: str = ""
    collected: dict[str, None] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    gathered: dict[str, Gathered] = field(default_factory=dict)
    looks: dict[str, Looks] = field(default_factory=dict)
    untold: dict[str, Any] = field(default_factory=dict)
    markers: set[str] = field(default_factory=set)
    suites: dict[str, Suite] = field(default_factory=dict)
    # What the controller hears, and concludes from it.
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    contexts: dict[str, Any] = field(default_factory=dict)
    runs: list[tuple[Run, Path | None]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cleared: bool = False


STATE = pytest.StashKey[State]()
MEASURED = pytest.StashKey[list[str]]()
"""What an item's checks answered, as JSON."""
HEARD = "modelchecks_measured"
"""Where a test report carries that."""


def option(config: pytest.Config, name: str) -> Any:
    """Return an option of ours: from the command line, else from the ini file."""
    given = config.getoption(f"modelchecks_{name}")
    return given if given else config.getini(f"modelchecks_{name}")


def shown(config: pytest.Config, path: str | Path) -> str:
    """Return a path as the user would write it, so that both doors name the same places."""
    return os.path.relpath(path, config.invocation_params.dir)


class Controller:
    """Hears every report of the session, its own or its workers', to conclude at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.state = config.stash[STATE]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a case's result, and what was gathered for its suite."""
        if report.when == "call":
            self._measured(report)
        text = vars(report).get(TOLD)
        if report.when != "call" or text is None:
            return
        told = json.loads(text)
        if told["context"] is not None:
            self.state.contexts.setdefault(told["suite"], told["context"])
        results = self.state.results.setdefault(told["suite"], {})
        case = told["result"]["case"]
        # Told twice (reruns, `--dist each`): a later pass does not undo what was no pass.
        if case not in results or results[case]["status"] == "passed":
            results[case] = told["result"]

    def _measured(self, report: pytest.TestReport) -> None:
        """Tell JUnit and whoever listens what a test's checks answered."""
        for text in vars(report).get(HEARD, ()):
            from modelchecks.report.record import result_from_json

            result = result_from_json(json.loads(text))
            xml = self.config.stash.get(xml_key, None)
            # The schema that pytest keeps to knows properties of a suite only; the older families
            # have them at the test (`tell`).
            if xml is not None and xml.family == "xunit2":
                for name, value in measured(report.nodeid, result):
                    xml.add_global_property(f"{report.nodeid}.{name}", value)
            self.config.hook.pytest_modelchecks_result(
                config=self.config, nodeid=report.nodeid, result=result
            )

    def pytest_runtest_logstart(self) -> None:
        """Clear the reports of an earlier session before the first test of this one."""
        if self.state.collected and not self.state.cleared:
            self.state.cleared = True
            clear_reports(self.config, self.state)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Know of the suites even where every worker crashes."""
        for name in dict.fromkeys(node_id.partition("::")[0] for node_id in ids):
            if name.endswith(SUITE_SUFFIXES):
                path = os.path.normpath(self.config.rootpath / name)
                self.state.collected[path] = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Know of the suites that a worker collected."""
        output: Mapping[str, Any] = getattr(node, "workeroutput", None) or {}
        self.state.collected.update(dict.fromkeys(output.get(TOLD, ())))


def measured(node_id: str, result: Result) -> list[tuple[str, str]]:
    """Return what a case measured, by names that are short where the test is that case's own."""
    from modelchecks.report.junit import properties

    own = f"{result.case}." if node_id.endswith(f"::{result.case}") else ""
    return [(name.removeprefix(own), value) for name, value in properties(result)]


def conclude_suite(config: pytest.Config, state: State, key: str) -> Run:
    """Return the run of one suite from all results that arrived; what is missing stays missing."""
    from modelchecks import gate
    from modelchecks.gather import Gathered
    from modelchecks.load import load_suite
    from modelchecks.plan import make_plan
    from modelchecks.report.record import from_json, result_from_json
    from modelchecks.run import conclude, day, notes, now

    with contextlib.chdir(config.invocation_params.dir):
        plan = state.plans.get(key) or make_plan(
            load_suite(shown(config, key)), option(config, "variant") or None
        )
        by_case = state.results.get(key, {})
        results = tuple(
            result_from_json(by_case[case.id]) for case in plan.declared if case.id in by_case
        )
        if key not in state.contexts:
            return conclude(plan, Gathered(), results, state.started or now())
    context = from_json(state.contexts[key])
    if context.suite["sha256"] != plan.suite.sha256:
        raise ValueError("the suite file changed while the session ran")
    results = gate.waive(results, plan.suite.waivers, day(context.started))
    return replace(
        context,
        finished=now(),
        results=results,
        decisions=gate.decide(plan.variants, plan.declared, results),
        notes=notes(plan, results, context.splits),
    )


def write_reports(config: pytest.Config, run: Run, taken: set[str]) -> Path | None:
    """Write the reports if asked to, and return the path of the first."""
    folder = _folder(config, str(run.suite["name"]), taken)
    if folder is None:
        return None
    from modelchecks.publish import publish
    from modelchecks.report.write import FORMATS

    written, problems = publish(run, folder, FORMATS)
    config.stash[STATE].problems += problems
    return next(iter(written.values()))


def clear_reports(config: pytest.Config, state: State) -> None:
    """Remove what an earlier session reported of these suites: this one may be killed."""
    from modelchecks.errors import SuiteError
    from modelchecks.load import load_suite
    from modelchecks.report.write import remove

    taken: set[str] = set()
    for key in sorted(state.collected):
        plan = state.plans.get(key)
        # A controller of workers has collected nothing itself.
        with contextlib.suppress(SuiteError, OSError):
            suite = load_suite(key) if plan is None else plan.suite
            folder = _folder(config, suite.name, taken)
            if folder is not None:
                remove(folder)


def _folder(config: pytest.Config, suite: str, taken: set[str]) -> Path | None:
    given = config.getoption("modelchecks_report")
    named = given or config.getini("modelchecks_report")
    if not named:
        return None
    from modelchecks.report.write import folder_name

    base = (config.invocation_params.dir if given else config.rootpath) / named
    name, number = folder_name(suite), 1
    while (folder := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    taken.add(folder)
    return Path(base / folder)
