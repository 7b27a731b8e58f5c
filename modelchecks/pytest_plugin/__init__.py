"""The pytest door: suite files are collected, one item per case. Loads nothing heavy.

Each case's result, and with a suite's first one what was gathered, travels in its test report, so
the controller alone decides and writes reports, with or without xdist workers.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from modelchecks import SUITE_SUFFIXES
from modelchecks.pytest_plugin.fixtures import case, evidence, parametrize, variant
from modelchecks.pytest_plugin.items import CaseItem, SuiteFile
from modelchecks.pytest_plugin.outcomes import ModelchecksWarning
from modelchecks.pytest_plugin.session import (
    HEARD,
    MEASURED,
    STATE,
    TOLD,
    Controller,
    State,
    conclude_suite,
    option,
    shown,
    write_reports,
)

__all__ = ["CaseItem", "ModelchecksWarning", "SuiteFile", "case", "evidence", "variant"]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Publish the hooks for results and decisions."""
    from modelchecks.pytest_plugin import hooks

    pluginmanager.add_hookspecs(hooks)


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


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what cannot be honoured, before anything runs."""
    config.stash[STATE] = State()
    config.addinivalue_line(
        "markers", "modelchecks_suite(path): the suite that `variant`, `evidence` and `case` mean"
    )
    executor = option(config, "executor")
    if executor != "local":
        raise pytest.UsageError(
            f"--modelchecks-executor {executor}: planned and not built yet; leave it out or say "
            "`local`"
        )
    inconclusive = option(config, "inconclusive")
    if inconclusive not in ("", "fail", "warn", "skip"):
        raise pytest.UsageError(
            f"modelchecks_inconclusive is {inconclusive!r}; it must be fail, warn or skip"
        )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `NAME.suite.yaml`."""
    if file_path.name.endswith(SUITE_SUFFIXES):
        suite_file: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
        return suite_file
    return None


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a suite's `variant` or `case` once for each."""
    parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a case's report carry its result to the controller."""
    report = yield
    if call.when == "call" and MEASURED in item.stash:
        vars(report)[HEARD] = item.stash[MEASURED]
    if isinstance(item, CaseItem) and call.when == "call":
        item.complete(report)
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen, in the process that concludes."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Controller(session.config), "modelchecks-controller")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Decide and write reports, however the session ended; in a worker say what was collected."""
    config = session.config
    state = config.stash[STATE]
    if hasattr(config, "workerinput"):
        config.workeroutput[TOLD] = list(state.collected)  # type: ignore[attr-defined]
        return
    if config.option.collectonly:
        return
    taken: set[str] = set()
    # Sorted: workers tell in any order, and two suites of one name need fixed folders.
    for key in sorted({*state.collected, *state.results}):
        try:
            run = conclude_suite(config, state, key)
            state.runs.append((run, None))
            report = write_reports(config, run, taken)
            state.runs[-1] = (run, report)
            for decision in run.decisions.values():
                config.hook.pytest_modelchecks_decision(config=config, run=run, decision=decision)
            config.hook.pytest_modelchecks_run(config=config, run=run, report=report)
        except Exception as error:
            # No verdict may be missed in silence, whatever pytest itself would exit with.
            what = f"{type(error).__name__}: {error}"
            state.problems.append(f"{shown(config, key)}: the run could not be recorded: {what}")
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the verdicts, where a suite was collected."""
    state = config.stash[STATE]
    for run, written in state.runs:
        from modelchecks.report import terminal
        from modelchecks.report.text import one_line

        terminalreporter.section(f"modelchecks: {one_line(str(run.suite['name']))}")
        # Line by line: where the terminal cannot show a sign, pytest escapes line ends as well.
        for line in terminal.verdicts(run).splitlines():
            terminalreporter.write_line(line)
        if written is not None:
            terminalreporter.write_line(f"report: {shown(config, written)}")
    for problem in state.problems:
        terminalreporter.write_line(f"modelchecks: {problem}", red=True)
