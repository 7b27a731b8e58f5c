"""Suite files and cases as pytest's collectors and items."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelchecks.pytest_plugin.fixtures import tell
from modelchecks.pytest_plugin.outcomes import marker, settle, warn
from modelchecks.pytest_plugin.session import STATE, TOLD, State, option, shown

if TYPE_CHECKING:
    from modelchecks.plan import Case
    from modelchecks.results import Result
    from modelchecks.suite import Suite


class SuiteFile(pytest.File):
    """One suite file; its items are its cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item per case; a suite with problems is a collection error that lists them."""
        from modelchecks.errors import SuiteError
        from modelchecks.load import read_suite
        from modelchecks.plan import make_plan

        try:
            with contextlib.chdir(self.config.invocation_params.dir):
                suite, problems = read_suite(shown(self.config, self.path))
            if suite is None:
                raise SuiteError(problems)
            plan = make_plan(suite, option(self.config, "variant") or None)
        except SuiteError as error:
            raise self.CollectError(str(error)) from None
        for problem in problems:
            warn(self, str(problem))
        session = self.config.stash[STATE]
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
        for mark in marks:
            self.add_marker(marker(self.config, mark))

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
        settle(self, self.suite, result)

    def _judge(self) -> Result:
        from modelchecks import gate
        from modelchecks.judging import judge
        from modelchecks.report.record import result_to_json
        from modelchecks.run import day, now

        session = self.config.stash[STATE]
        key = str(self.path)
        # Another test may have left the working directory elsewhere; a suite's paths may not
        # come to mean other files by that.
        with contextlib.chdir(self.config.invocation_params.dir):
            if key not in session.gathered:
                self._gather(session, key)
            result = judge(session.plans[key], self.case, session.gathered[key], session.looks[key])
        (result,) = gate.waive([result], self.suite.waivers, day(session.started or now()))
        tell(self, result)
        told = {
            "suite": key,
            "result": result_to_json(result),
            "context": session.untold.pop(key, None),
        }
        self.told = json.dumps(told, allow_nan=False)
        return result

    def _gather(self, session: State, key: str) -> None:
        """Gather for all items that pytest selected from this suite, in one pass."""
        from modelchecks.gather import gather
        from modelchecks.ledger import take
        from modelchecks.plan import make_plan
        from modelchecks.report.record import to_json
        from modelchecks.run import conclude, now, suite_store

        session.started = session.started or now()
        selected = {
            item.case.id
            for item in self.session.items
            if isinstance(item, CaseItem) and item.path == self.path
        }
        asked = option(self.config, "variant") or None
        plan = make_plan(self.suite, asked, lambda case: case.id in selected)
        store = suite_store(self.suite, lambda line: warn(self, line))
        gathered = gather(plan, store, fresh=bool(option(self.config, "no_cache")))
        looks = take(plan, gathered)
        session.untold[key] = to_json(conclude(plan, gathered, [], session.started, looks))
        session.plans[key], session.gathered[key], session.looks[key] = plan, gathered, looks

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
