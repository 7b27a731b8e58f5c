"""The plan: which cases are asked, what they need together, and the fixed list of shards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelchecks.check import Needs, ProbeRequest
from modelchecks.errors import Problem, SuiteError, did_you_mean
from modelchecks.facets import facets_of, variant_of
from modelchecks.results import DATA
from modelchecks.suite import DeclaredCheck, Suite, Variant


@dataclass(frozen=True, slots=True)
class Case:
    """One question to one variant (or, with variant None, to the data)."""

    declared: DeclaredCheck
    variant: str | None

    @property
    def id(self) -> str:
        """The stable name, such as `accuracy_drop[curriculum]` or `schema[data]`."""
        return f"{self.declared.id}[{self.variant or DATA}]"


@dataclass(frozen=True, slots=True)
class Shard:
    """Rows `start` to `stop` (exclusive) of a split; `index` counts from 0."""

    split: str
    index: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """What the one pass over a split gathers: its facets (see `facets`), and whose answers."""

    split: str
    facets: tuple[str, ...]
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The selected cases and the union of their needs; `declared` are all cases of the suite."""

    suite: Suite
    variants: tuple[str, ...]
    declared: tuple[Case, ...]
    cases: tuple[Case, ...]
    splits: tuple[SplitPlan, ...]
    probes: tuple[ProbeRequest, ...]


def all_cases(suite: Suite, variants: Sequence[str] | None = None) -> tuple[Case, ...]:
    """Return every case of a suite, in the order of the file, for all or the named variants."""
    names = [variant.name for variant in suite.variants if not variants or variant.name in variants]
    return tuple(
        Case(part, variant)
        for declared in suite.checks
        for part in _parts(declared, suite.folder)
        for variant in ([None] if declared.check.scope == "data" else names)
    )


def _parts(declared: DeclaredCheck, folder: Path) -> list[DeclaredCheck]:
    """Return the checks that a declared one falls into, where it has `parts`, else itself."""
    find = getattr(declared.check, "parts", None)
    parts = [] if find is None else find(folder)
    taken: Counter[str] = Counter()
    found = []
    for name, check in parts:
        taken[name] += 1
        number = f"-{taken[name]}" if taken[name] > 1 else ""
        found.append(replace(declared, id=f"{declared.id}.{_plain(name)}{number}", check=check))
    return found or [declared]


def _plain(name: str) -> str:
    """Return a name with what a case id may hold.

    >>> _plain("values-to-be-in-set.store name")
    'values-to-be-in-set.store-name'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)


def make_plan(
    suite: Suite,
    variants: Sequence[str] | None = None,
    select: Callable[[Case], bool] = lambda case: True,
) -> Plan:
    """Return the plan for the named variants (default: all) and the selected cases.

    Raises SuiteError when a named variant is not declared.
    """
    known = [variant.name for variant in suite.variants]
    wrong = [name for name in variants or () if name not in known]
    if wrong:
        raise SuiteError(
            [
                Problem(
                    str(suite.path),
                    1,
                    1,
                    f"no variant is named {name!r}{did_you_mean(name, known)}",
                )
                for name in wrong
            ]
        )
    declared = all_cases(suite, variants)
    cases = tuple(case for case in declared if select(case))
    facets: dict[str, set[str]] = {}
    probes: dict[ProbeRequest, None] = {}
    for case in cases:
        needs = case.declared.check.needs()
        for split, kinds in needs.splits.items():
            for variant in asked_of(suite, case, needs) or (None,):
                facets.setdefault(split, set()).update(facets_of(kinds, variant))
        for probe in needs.probes:
            probes[probe.of(case.variant, suite.champion)] = None
    splits = tuple(
        SplitPlan(
            split.name,
            tuple(sorted(facets[split.name])),
            tuple(v for v in suite.variants if v.name in map(variant_of, facets[split.name])),
        )
        for split in suite.splits
        if split.name in facets
    )
    chosen = tuple(name for name in known if not variants or name in variants)
    return Plan(suite, chosen, declared, cases, splits, tuple(probes))


def asked_of(suite: Suite, case: Case, needs: Needs) -> tuple[str, ...]:
    """Return the variants whose answers a case looks at, asked for by the user or not."""
    own = {case.variant, suite.champion if needs.whose == "champion" else None}
    return tuple(v.name for v in suite.variants if needs.whose == "all" or v.name in own)


def shards(split: str, rows: int, shard_rows: int) -> tuple[Shard, ...]:
    """Return the fixed list of shards of a split of `rows` rows (one empty shard for none)."""
    starts = range(0, max(rows, 1), shard_rows)
    return tuple(
        Shard(split, index, start, min(start + shard_rows, rows))
        for index, start in enumerate(starts)
    )
