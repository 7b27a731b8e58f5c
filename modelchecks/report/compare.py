"""What changed between two runs: verdicts, what they were run on, and every case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelchecks.report.matrix import RANKS
from modelchecks.report.numbers import NONE, limit_text, shown, unit_of
from modelchecks.report.summary import GLYPHS
from modelchecks.report.text import one_line
from modelchecks.results import Result, Run

Kind = Literal["worse", "better", "gone", "new", "moved", "same"]
TITLES: Mapping[Kind, str] = {
    "worse": "Worse",
    "better": "Better",
    "gone": "No longer asked",
    "new": "Newly asked",
    "moved": "Moved, same status",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One case in both runs; None where a run did not ask it."""

    case: str
    before: Result | None
    after: Result | None
    kind: Kind

    @property
    def result(self) -> Result | None:
        """The result in the later run, or in the earlier one."""
        return self.after or self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, side by side."""

    before: Run
    after: Run
    verdicts: tuple[tuple[str, str, str], ...]
    inputs: tuple[tuple[str, str, str], ...]
    changes: tuple[Change, ...]

    def of(self, kind: Kind) -> list[Change]:
        """Return the cases that changed in one way."""
        return [change for change in self.changes if change.kind == kind]


def compare(before: Run, after: Run) -> Comparison:
    """Return what changed from one run to another."""
    variants = dict.fromkeys([*after.decisions, *before.decisions])
    verdicts = tuple((name, _verdict(before, name), _verdict(after, name)) for name in variants)
    old, new = ({r.case: r for r in run.results} for run in (before, after))
    changes = (_change(case, old.get(case), new.get(case)) for case in {**new, **old})
    return Comparison(before, after, verdicts, tuple(_inputs(before, after)), tuple(changes))


def _verdict(run: Run, variant: str) -> str:
    decision = run.decisions.get(variant)
    return NONE if decision is None else decision.verdict


def _change(case: str, before: Result | None, after: Result | None) -> Change:
    kind: Kind
    if before is None or after is None:
        kind = "new" if before is None else "gone"
    elif before.status != after.status:
        better = RANKS.index(after.status) > RANKS.index(before.status)
        kind = "better" if better else "worse"
    else:
        alike = (before.estimate, before.threshold) == (after.estimate, after.threshold)
        kind = "same" if alike else "moved"
    return Change(case, before, after, kind)


def _inputs(before: Run, after: Run) -> Iterator[tuple[str, str, str]]:
    """Yield what the runs were made on, where it differs: (what, before, after)."""
    old, new = _facts(before), _facts(after)
    for what in {**new, **old}:
        if old.get(what) != new.get(what):
            yield what, shown(old.get(what)), shown(new.get(what))


def _facts(run: Run) -> dict[str, Any]:
    """Return what identifies a run's suite, variants, splits and versions."""
    suite = {key: run.suite.get(key) for key in ("name", "sha256", "champion")}
    told: list[tuple[str, Mapping[str, Any]]] = [("suite", suite), ("made with", run.provenance)]
    told += [(f"variant {name}", facts) for name, facts in run.variants.items()]
    told += [(f"split {name}", facts) for name, facts in run.splits.items()]
    return {
        f"{what} {key}": value
        for what, facts in told
        for key, value in facts.items()
        # Keys of evidence are made of what stands here already.
        if not isinstance(value, Mapping | list)
    }


def number(result: Result | None) -> str:
    """Return a result's value and interval, as it writes them."""
    if result is None or result.estimate is None:
        return NONE
    unit, found = unit_of(result), result.estimate
    return f"{unit.full(found.value)} {unit.interval(found.low, found.high)}"


def text(found: Comparison) -> str:
    """Return the comparison as plain text."""
    lines = [f"from {_named(found.before)}", f"to   {_named(found.after)}", "", "Verdicts"]
    lines += [
        f"  {name}: {old}" + (", as before" if old == new else f" -> {new}")
        for name, old, new in found.verdicts
    ]
    lines += ["", "What the runs were made on" + ("" if found.inputs else ": the same")]
    lines += [f"  {what}: {_cut(old)} -> {_cut(new)}" for what, old, new in found.inputs]
    for kind, title in TITLES.items():
        changes = found.of(kind)
        lines += ["", f"{title} ({len(changes)})"] if changes else []
        for change in changes:
            lines += _told(change)
    lines += ["", f"{len(found.of('same'))} of {len(found.changes)} cases are the same."]
    return "".join(f"{one_line(line)}\n" for line in lines)


def _told(change: Change) -> Sequence[str]:
    statuses = [NONE if r is None else r.status for r in (change.before, change.after)]
    sign = GLYPHS[change.result.status] if change.result is not None else " "
    said = statuses[0] if statuses[0] == statuses[1] else " -> ".join(statuses)
    lines = [f"  {sign} {change.case}: {said}"]
    numbers = [number(change.before), number(change.after)]
    if numbers != [NONE, NONE]:
        lines.append(f"      {' -> '.join(numbers)}")
    limits = [_limits(change.before), _limits(change.after)]
    if "" not in limits and limits[0] != limits[1]:
        lines.append(f"      threshold {' -> '.join(limits)}")
    return lines


def _limits(result: Result | None) -> str:
    if result is None:
        return ""
    unit = unit_of(result)
    return ", ".join(limit_text(name, value, unit) for name, value in result.threshold.items())


def _named(run: Run) -> str:
    return f"run {run.run_id} of {run.suite.get('name', '')}, {run.finished}"


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:12]}…"


def render(found: Comparison) -> str:
    """Return the comparison as a page of its own."""
    from modelchecks.report import page

    return page.filled(
        "compare.html",
        found=found,
        titles=TITLES,
        number=number,
        name=str(found.after.suite.get("name", "")),
    )
