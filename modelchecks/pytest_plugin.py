"""The pytest door: suite files are collected, one item per case. Loads nothing heavy.

Each case's result, and with a suite's first one what was gathered, travels in its test report, so
the controller alone decides and writes reports, with or without xdist workers.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from modelchecks.gather import Gathered
    from modelchecks.plan import Case, Plan
    from modelchecks.results import Result, Run
    from modelchecks.suite import Suite

TOLD = "modelchecks"
"""Where a test report carries a result, and a worker's output the suites that it collected."""
SUFFIXES = (".suite.yaml", ".suite.yml", ".suite.py")
_NOT_WORD = re.compile(r"\W")
_PYTEST_OWN = ("skip", "skipif", "xfail", "usefixtures", "filterwarnings", "parametrize")


class ModelchecksWarning(UserWarning):
    """A case of severity `warn` that did not pass, or one that the policy forgives."""


@dataclass
class _Session:
    """What this process knows of the suites of one pytest session; keys are absolute paths."""

    started: str = ""
    collected: dict[str, None] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    gathered: dict[str, Gathered] = field(default_factory=dict)
    untold: dict[str, Any] = field(default_factory=dict)
    markers: set[str] = field(default_factory=set)
    # What the controller hears, and concludes from it.
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    contexts: dict[str, Any] = field(default_factory=dict)
    runs: list[tuple[Run, Path | None]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


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
    parser.addini("modelchecks_report", "folder for the reports, from the root", default="")
    parser.addini("modelchecks_executor", "local, or ray", default="local")
    parser.addini("modelchecks_inconclusive", "fail, warn or skip", default="")
    parser.addini("modelchecks_no_cache", "gather all evidence again", type="bool", default=False)


def _option(config: pytest.Config, name: str) -> Any:
    given = config.getoption(f"modelchecks_{name}")
    return given if given else config.getini(f"modelchecks_{name}")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot be honoured, before anything runs."""
    config.stash[_SESSION] = _Session()
    executor = _option(config, "executor")
    if executor != "local":
        raise pytest.UsageError(
            f"--modelchecks-executor {executor}: planned and not built yet; leave it out or say "
            "`local`"
        )
    inconclusive = _option(config, "inconclusive")
    if inconclusive not in ("", "fail", "warn", "skip"):
        raise pytest.UsageError(
            f"modelchecks_inconclusive is {inconclusive!r}; it must be fail, warn or skip"
        )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `NAME.suite.yaml`."""
    if file_path.name.endswith(SUFFIXES):
        suite_file: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
        return suite_file
    return None


def _warn(node: pytest.Item | pytest.Collector, text: str) -> None:
    """Warn, and never raise: a warning of ours is an answer, also under `-W error`."""
    try:
        node.warn(ModelchecksWarning(text))
    except ModelchecksWarning:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ModelchecksWarning)
            node.warn(ModelchecksWarning(text))


def _shown(config: pytest.Config, path: str | Path) -> str:
    """Return a path as the user would write it, so that both doors name the same places."""
    return os.path.relpath(path, config.invocation_params.dir)


class SuiteFile(pytest.File):
    """One suite file; its items are its cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item per case; a suite with problems is a collection error that lists them."""
        from modelchecks.errors import SuiteError
        from modelchecks.load import read_suite
        from modelchecks.plan import make_plan

        try:
            with contextlib.chdir(self.config.invocation_params.dir):
                suite, problems = read_suite(_shown(self.config, self.path))
            if suite is None:
                raise SuiteError(problems)
            plan = make_plan(suite, _option(self.config, "variant") or None)
        except SuiteError as error:
            raise self.CollectError(str(error)) from None
        for problem in problems:
            _warn(self, str(problem))
        session = self.config.stash[_SESSION]
        session.collected[str(self.path)] = None
        session.plans[str(self.path)] = plan
        for case in plan.declared:
            # Named whole: pytest 9.2 parses `[...]` out of an id that it reads back for `--lf`, and
            # would not know again one that it composed itself.
            node_id = f"{self.nodeid}::{case.id}"
            yield CaseItem.from_parent(self, name=case.id, nodeid=node_id, case=case, suite=suite)


class CaseItem(pytest.Item):
    """One case as a pytest item."""

    def __init__(self, *, case: Case, suite: Suite, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.suite = suite
        self.told: str | None = None
        marks = [case.declared.name, case.declared.severity]
        if case.variant is not None:
            marks.append(f"variant_{case.variant}")
        known = self.config.stash[_SESSION].markers
        for mark in marks:
            name = _NOT_WORD.sub("_", mark).lstrip("_")
            if name in _PYTEST_OWN:
                # A check of that name must not skip or excuse its own cases.
                name = f"check_{name}"
            if name not in known:
                known.add(name)
                self.config.addinivalue_line("markers", f"{name}: modelchecks case")
            self.add_marker(name)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place in the suite file that declares the case."""
        return self.path, self.case.declared.location.line - 1, self.name

    def runtest(self) -> None:
        """Judge the case and turn its outcome into pytest's."""
        try:
            result = self._judge()
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            # SystemExit, pytest.skip() and their like are no answer; taken for what they mean
            # elsewhere they would end in green.
            name = type(error).__name__
            pytest.fail(f"errored: {self.name} raised {name}: {error}", pytrace=False)
        self._outcome(result)

    def _judge(self) -> Result:
        from modelchecks.report.record import result_to_json
        from modelchecks.run import judge

        session = self.config.stash[_SESSION]
        key = str(self.path)
        # Another test may have left the working directory elsewhere; a suite's paths may not
        # come to mean other files by that.
        with contextlib.chdir(self.config.invocation_params.dir):
            if key not in session.gathered:
                self._gather(session, key)
            result = judge(session.plans[key], self.case, session.gathered[key])
        told = {
            "suite": key,
            "result": result_to_json(result),
            "context": session.untold.pop(key, None),
        }
        self.told = json.dumps(told, allow_nan=False)
        return result

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
        store = suite_store(self.suite, lambda line: _warn(self, line))
        gathered = gather(plan, store, fresh=bool(_option(self.config, "no_cache")))
        session.untold[key] = to_json(conclude(plan, gathered, [], session.started))
        session.plans[key], session.gathered[key] = plan, gathered

    def _outcome(self, result: Result) -> None:
        policy = self.suite.policy
        word = "" if result.status == "failed" else f"{result.status}: "
        text = f"{word}{result.message}\n  declared at {self._place()}"
        if "traceback" in result.details:
            if self.config.get_verbosity() > 0:
                text += f"\n{result.details['traceback']}"
            else:
                text += " (-v shows the traceback)"
        if result.status == "passed":
            return
        if result.status == "not_applicable" and result.structural:
            pytest.skip(result.message)
        if result.severity == "info":
            self.add_report_section("call", "modelchecks", text)
            return
        if result.severity == "warn" or policy.mode == "observe":
            _warn(self, text)
            return
        inconclusive = _option(self.config, "inconclusive") or policy.inconclusive
        if result.status == "inconclusive" and inconclusive == "warn":
            _warn(self, text)
        elif result.status == "inconclusive" and inconclusive == "skip":
            pytest.skip(text)
        else:
            pytest.fail(text, pytrace=False)

    def _place(self) -> str:
        location = self.case.declared.location
        return f"{location.path}:{location.line}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a verdict at its place in the suite file, not at the line of ours that raised it."""
        shown: Any = super().repr_failure(excinfo, style)
        crash = getattr(shown, "reprcrash", None)
        if isinstance(excinfo.value, pytest.fail.Exception) and crash is not None:
            crash.path = str(self.path)
            crash.lineno = self.case.declared.location.line
            crash.message = str(excinfo.value)
        return shown

    def complete(self, report: pytest.TestReport) -> None:
        """Hand the result to the report, and a skip its place in the suite file."""
        if self.told is not None:
            vars(report)[TOLD] = self.told
        if report.skipped and isinstance(report.longrepr, tuple):
            line = self.case.declared.location.line
            report.longrepr = (str(self.path), line, report.longrepr[2])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a case's report carry its result to the controller."""
    report = yield
    if isinstance(item, CaseItem) and call.when == "call":
        item.complete(report)
    return report


class _Controller:
    """Hears every report of the session, its own or its workers', to conclude at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.state = config.stash[_SESSION]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
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

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        for name in dict.fromkeys(node_id.partition("::")[0] for node_id in ids):
            if name.endswith(SUFFIXES):
                path = os.path.normpath(self.config.rootpath / name)
                self.state.collected[path] = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output: Mapping[str, Any] = getattr(node, "workeroutput", None) or {}
        self.state.collected.update(dict.fromkeys(output.get(TOLD, ())))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen, in the process that concludes."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Controller(session.config), "modelchecks-controller")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Decide and write reports, however the session ended; in a worker say what was collected."""
    config = session.config
    state = config.stash[_SESSION]
    if hasattr(config, "workerinput"):
        config.workeroutput[TOLD] = list(state.collected)  # type: ignore[attr-defined]
        return
    if config.option.collectonly:
        return
    taken: set[str] = set()
    # Sorted: workers tell in any order, and two suites of one name need fixed folders.
    for key in sorted({*state.collected, *state.results}):
        try:
            run = _conclude(config, state, key)
            state.runs.append((run, None))
            state.runs[-1] = (run, _write(config, run, taken))
        except Exception as error:
            # No verdict may be missed in silence, whatever pytest itself would exit with.
            what = f"{type(error).__name__}: {error}"
            state.problems.append(f"{_shown(config, key)}: the run could not be recorded: {what}")
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def _write(config: pytest.Config, run: Run, taken: set[str]) -> Path | None:
    """Write the reports if asked to, and return the path of the first."""
    given = config.getoption("modelchecks_report")
    named = given or config.getini("modelchecks_report")
    if not named:
        return None
    from modelchecks.report.write import folder_name, write

    base = (config.invocation_params.dir if given else config.rootpath) / named
    name, number = folder_name(str(run.suite["name"])), 1
    while (folder := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    taken.add(folder)
    return next(iter(write(run, base / folder).values()))


def _conclude(config: pytest.Config, state: _Session, key: str) -> Run:
    """Return the run of one suite from all results that arrived; what is missing stays missing."""
    from modelchecks import gate
    from modelchecks.gather import Gathered
    from modelchecks.load import load_suite
    from modelchecks.plan import make_plan
    from modelchecks.report.record import from_json, result_from_json
    from modelchecks.run import conclude, notes, now

    with contextlib.chdir(config.invocation_params.dir):
        plan = state.plans.get(key) or make_plan(
            load_suite(_shown(config, key)), _option(config, "variant") or None
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
    return replace(
        context,
        finished=now(),
        results=results,
        decisions=gate.decide(plan.variants, plan.declared, results),
        notes=notes(plan, results),
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the verdicts, where a suite was collected."""
    state = config.stash[_SESSION]
    for run, written in state.runs:
        from modelchecks.report import terminal

        terminalreporter.section(f"modelchecks: {run.suite['name']}")
        # Line by line: where the terminal cannot show a sign, pytest escapes line ends as well.
        for line in terminal.verdicts(run).splitlines():
            terminalreporter.write_line(line)
        if written is not None:
            terminalreporter.write_line(f"report: {_shown(config, written)}")
    for problem in state.problems:
        terminalreporter.write_line(f"modelchecks: {problem}", red=True)
