"""The ledger: how often the same rows have judged variants, in a file that outlives the gates.

A test set that decides again and again is no test set any more: who keeps the best of many takes
luck for skill. A look is one question (check and parameters) to certain weights on certain rows;
asking it again is free, new weights or a new threshold count. The number of a look is counted for
each check and set of rows. It can make a decision stricter (`policy: {spending: ...}`), never the
other way round, and a ledger that cannot be read decides nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelchecks import stats
from modelchecks.check import ANSWERS, History, judged_split
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.gather import Gathered
from modelchecks.identity import digest
from modelchecks.plan import Case, Plan, asked_of
from modelchecks.suite import Suite

FILE = "looks.jsonl"
"""The ledger's file, where the policy names a folder."""
PATIENCE = 60
"""Seconds that a gate waits for another one to finish writing."""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """One case's look at its rows: its number among those of that check, from 1."""

    number: int
    split: str
    memory: str
    history: History | None = None


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks of one run by case; `splits` sums up the ledger for the rows of each split.

    Where the ledger cannot be used, `problem` stands in the place of every look that was `wanted`.
    """

    path: Path | None = None
    cases: Mapping[str, Look] = field(default_factory=dict)
    splits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    problem: EvidenceError | None = None

    def of(self, case: Case) -> Look | None:
        """Return a case's look, None where it takes none; raises what is wrong with the ledger."""
        if self.problem is not None and case.id in self.wanted:
            raise self.problem
        return self.cases.get(case.id)

    def remember(self, case: Case, history: History) -> None:
        """Keep which labels a case saw, so that its next look can tell whether they were changed.

        Raises EvidenceError where the ledger cannot be written.
        """
        look = self.cases.get(case.id)
        if self.path is None or look is None or look.history == history:
            return
        with _opened(self.path) as entries:
            entries.append({"memory": look.memory, **asdict(history)})


def take(plan: Plan, gathered: Gathered) -> Looks:
    """Return the looks that the plan's cases take at what was gathered, counted in the ledger.

    A case whose evidence has a gap sees nothing, so it takes no look. Nothing raises: what is
    wrong with the ledger becomes the `problem` that every case would meet.
    """
    suite = plan.suite
    if suite.policy.ledger is None:
        return Looks()
    path = suite.folder / suite.policy.ledger
    if path.is_dir() or not path.suffix:
        path = path / FILE
    wanted = {case.id: entry for case in plan.cases if (entry := _entry(suite, case, gathered))}
    try:
        with _opened(path) as entries:
            numbers = {id: _numbered(entries, entry) for id, entry in wanted.items()}
            histories = {entry["memory"]: entry for entry in entries if "sha256" in entry}
            judged = {entry["split"]: entry["rows"] for entry in wanted.values()}
            splits = {
                name: _summary(entries, rows, gathered.splits[name])
                for name, rows in judged.items()
            }
    except EvidenceError as error:
        return Looks(path, wanted=frozenset(wanted), problem=error)
    cases = {
        id: Look(numbers[id], entry["split"], memory, _history(histories.get(memory)))
        for id, entry in wanted.items()
        if (memory := digest([suite.name, entry["split"], entry["variants"], entry["asked"]]))
    }
    return Looks(path, cases, splits)


def _entry(suite: Suite, case: Case, gathered: Gathered) -> Entry | None:
    """Return what a case looks at, or None where it judges no variant by labelled rows."""
    check, name = case.declared.check, judged_split(case.declared.check)
    needs = check.needs()
    if name is None or not ANSWERS & needs.splits[name]:
        return None
    evidence, asked = gathered.splits.get(name), asked_of(suite, case, needs)
    if not isinstance(evidence, Evidence) or set(asked) & set(evidence.failures):
        return None
    seen = evidence.meta.get("variants", {})
    if not set(asked) <= set(seen):
        return None
    # What a case says of its variant, it says of it and the champion, whoever else is described.
    judged = [v for v in asked if case.variant is None or v in (case.variant, suite.champion)]
    variants = [seen[v].get("weights_sha256") or f"logged:{seen[v].get('logged')}" for v in judged]
    return {
        "rows": evidence.meta.get("fingerprint"),
        "variants": sorted(variants),
        "check": case.declared.name,
        "asked": digest(asdict(check)),  # type: ignore[call-overload]
        "split": name,
        "case": case.id,
    }


def _numbered(entries: list[Entry], wanted: Entry) -> int:
    """Return the number of a look, which is entered where it is new."""
    identity = ("rows", "variants", "check", "asked")
    for entry in entries:
        if "number" in entry and all(entry[key] == wanted[key] for key in identity):
            return int(entry["number"])
    alike = [e for e in entries if all(e.get(key) == wanted[key] for key in ("rows", "check"))]
    number = 1 + max((int(entry["number"]) for entry in alike), default=0)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    entries.append({**wanted, "number": number, "at": at})
    return number


def _summary(entries: list[Entry], rows: str, evidence: Evidence | EvidenceError) -> dict[str, Any]:
    """Return how worn the rows of a split are."""
    looks = [entry for entry in entries if entry.get("rows") == rows]
    variants = len({variant for entry in looks for variant in entry["variants"]})
    found: dict[str, Any] = {"looks": len(looks), "variants": variants, "worn_out": False}
    shares = []
    if isinstance(evidence, Evidence):
        for variant in evidence.meta.get("variants", {}):
            with suppress(EvidenceError):
                shares.append(evidence.correct(variant))
    if shares and variants > 1:
        right, n = max(shares)
        best = stats.proportion(right, n)
        luck = stats.best_of_optimism(best.value, n, variants=variants)
        found |= {"luck_of_the_best": luck, "worn_out": luck > best.value - best.lower_bound}
    return found


def told(split: str, facts: Mapping[str, Any]) -> str:
    """Return what a reader is told about the looks at the rows of a split."""
    text = (
        f"ledger: the rows of split {split!r} have judged {facts['variants']:,} variants in "
        f"{facts['looks']:,} looks"
    )
    if "luck_of_the_best" in facts:
        text += (
            f"; were all equally good, the best of them would look "
            f"{100 * facts['luck_of_the_best']:.1f} pp better than it is"
        )
    if facts["worn_out"]:
        text += (
            ", more than a bound of 95 % confidence allows for. These rows are worn out: draw "
            "fresh ones before a choice between variants rests on them"
        )
    return text


def _history(entry: Entry | None) -> History | None:
    return None if entry is None else History(int(entry["n"]), str(entry["sha256"]))


@contextmanager
def _opened(path: Path) -> Iterator[list[Entry]]:
    """Yield all entries under the ledger's lock; what is appended to the list is written after.

    Raises EvidenceError where the ledger cannot be read, locked or written, or is damaged.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=PATIENCE):
            entries = _read(path)
            known = len(entries)
            yield entries
            if new := entries[known:]:
                with path.open("a", encoding="utf-8") as stream:
                    stream.writelines(json.dumps(e, allow_nan=False) + "\n" for e in new)
                    stream.flush()
                    os.fsync(stream.fileno())
    except Timeout as error:
        raise EvidenceError(
            f"the ledger {path} is held by another gate for more than {PATIENCE} s; run again"
        ) from error
    except OSError as error:
        raise EvidenceError(
            f"the ledger {path} cannot be used ({error.strerror or error}), so this look would not "
            "be counted; make it writable, or correct `policy: {ledger: ...}`"
        ) from error


def _read(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        # A line without its end was torn while it was written.
        if not line.endswith(b"\n") or not _sound(entry):
            raise EvidenceError(
                f"the ledger {path} is damaged in line {number}, so looks cannot be counted; "
                "restore it from where CI keeps it, or remove that line"
            )
        entries.append(entry)
    return entries


def _sound(entry: Any) -> bool:
    """Return whether an entry is a look or a memory, with the kinds of values that these have."""
    kinds: dict[str, type] = {"memory": str, "n": int, "sha256": str}
    if isinstance(entry, dict) and "number" in entry:
        kinds = {"rows": str, "variants": list, "check": str, "asked": str, "number": int}
    return isinstance(entry, dict) and all(
        type(entry.get(name)) is kind for name, kind in kinds.items()
    )
