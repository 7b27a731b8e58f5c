"""Past runs in one SQLite file: decisions and key estimates, kept from gate to gate.

Several gates may write to one file at the same time: each run is added in one transaction, or not
at all. An older file is brought up to date when it is next opened, and loses nothing; a newer one
is left alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelchecks.errors import RecordError
from modelchecks.report.numbers import unit_of
from modelchecks.results import Run

FILE = "history.sqlite"
"""The name of the file where neither the policy nor a flag names one."""
WAIT_S = 60.0
"""How long to wait for others who write."""

_UPGRADES = (
    """
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY, suite TEXT NOT NULL, finished TEXT NOT NULL, git TEXT);
    CREATE TABLE decisions (
        run_id TEXT NOT NULL REFERENCES runs, variant TEXT NOT NULL, verdict TEXT NOT NULL,
        reasons TEXT NOT NULL, PRIMARY KEY (run_id, variant));
    CREATE TABLE estimates (
        run_id TEXT NOT NULL REFERENCES runs, case_id TEXT NOT NULL, variant TEXT,
        status TEXT NOT NULL, value REAL, low REAL, high REAL, n INTEGER,
        PRIMARY KEY (run_id, case_id));
    CREATE INDEX runs_of_suite ON runs (suite, finished);
    """,
    """
    ALTER TABLE runs ADD COLUMN suite_sha256 TEXT;
    ALTER TABLE decisions ADD COLUMN weights_sha256 TEXT;
    ALTER TABLE estimates ADD COLUMN check_name TEXT;
    ALTER TABLE estimates ADD COLUMN severity TEXT;
    ALTER TABLE estimates ADD COLUMN threshold TEXT;
    ALTER TABLE estimates ADD COLUMN unit TEXT;
    """,
)
"""What leads from each version of the file to the next; version 0 is an empty file."""
VERSION = len(_UPGRADES)


@dataclass(frozen=True, slots=True)
class PastDecision:
    """One variant's verdict in one run."""

    variant: str
    verdict: str
    reasons: tuple[str, ...]
    weights_sha256: str | None


@dataclass(frozen=True, slots=True)
class PastEstimate:
    """One case's outcome in one run; the numbers are None where it had none."""

    case: str
    variant: str | None
    status: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    check: str | None
    severity: str | None
    unit: str | None
    threshold: dict[str, float]


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run as it is remembered."""

    run_id: str
    suite: str
    finished: str
    git: str | None
    decisions: tuple[PastDecision, ...]
    estimates: tuple[PastEstimate, ...]


def add(path: Path, run: Run) -> None:
    """Remember a run, once however often it is added; raises RecordError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path) as base, _writing(base):
        known = base.execute("SELECT 1 FROM runs WHERE run_id = ?", (run.run_id,)).fetchone()
        if known is None:
            _insert(base, run)


def past(path: Path, suite: str | None = None, last: int | None = None) -> list[PastRun]:
    """Return the runs of a suite (default: of all), oldest first; raises RecordError."""
    if not path.is_file():
        raise RecordError(f"{path} is no history; `modelchecks gate` writes one")
    with _opened(path) as base:
        rows = base.execute(
            "SELECT run_id, suite, finished, git FROM runs WHERE ? IS NULL OR suite = ? "
            "ORDER BY finished DESC, run_id DESC LIMIT ?",
            (suite, suite, -1 if last is None else last),
        ).fetchall()
        return [_past(base, *row) for row in reversed(rows)]


def suites(path: Path) -> list[str]:
    """Return the names of the suites in a history; raises RecordError."""
    with _opened(path) as base:
        return [name for (name,) in base.execute("SELECT DISTINCT suite FROM runs ORDER BY suite")]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a history, brought up to date."""
    try:
        with closing(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)) as base:
            _upgrade(base, path)
            yield base
    except (sqlite3.Error, ValueError) as error:
        raise RecordError(f"history {path}: {error}. Move the file away to start anew") from error


@contextmanager
def _writing(base: sqlite3.Connection) -> Iterator[None]:
    """Write in one transaction, after all others."""
    base.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        base.execute("ROLLBACK")
        raise
    base.execute("COMMIT")


def _version(base: sqlite3.Connection) -> int:
    return int(base.execute("PRAGMA user_version").fetchone()[0])


def _upgrade(base: sqlite3.Connection, path: Path) -> None:
    if _version(base) == VERSION:
        return
    with _writing(base):
        # Read again: somebody else may have brought it up to date meanwhile.
        version = _version(base)
        if version > VERSION:
            raise RecordError(
                f"history {path} was written by a later modelchecks (version {version} of the "
                f"file, this one knows {VERSION}); upgrade modelchecks, or name another file"
            )
        for script in _UPGRADES[version:]:
            for statement in script.split(";"):
                base.execute(statement)
        base.execute(f"PRAGMA user_version = {VERSION}")


def _insert(base: sqlite3.Connection, run: Run) -> None:
    name, sha256 = str(run.suite.get("name", "")), run.suite.get("sha256")
    git = run.provenance.get("git")
    base.execute(
        "INSERT INTO runs (run_id, suite, finished, git, suite_sha256) VALUES (?, ?, ?, ?, ?)",
        (run.run_id, _text(name), run.finished, git and str(git), sha256 and str(sha256)),
    )
    base.executemany(
        "INSERT INTO decisions VALUES (?, ?, ?, ?, ?)",
        [
            (
                run.run_id,
                _text(decision.variant),
                decision.verdict,
                json.dumps(decision.reasons),
                run.variants.get(decision.variant, {}).get("weights_sha256"),
            )
            for decision in run.decisions.values()
        ],
    )
    base.executemany(
        "INSERT OR IGNORE INTO estimates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run.run_id,
                _text(result.case),
                result.variant and _text(result.variant),
                result.status,
                *(getattr(result.estimate, key, None) for key in ("value", "low", "high", "n")),
                _text(result.check),
                result.severity,
                json.dumps(dict(result.threshold)),
                unit_of(result).name,
            )
            for result in run.results
        ],
    )


def _text(text: str) -> str:
    """Return text that SQLite can hold: a lone surrogate would be refused."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _past(
    base: sqlite3.Connection, run_id: str, suite: str, finished: str, git: str | None
) -> PastRun:
    decisions = base.execute(
        "SELECT variant, verdict, reasons, weights_sha256 FROM decisions WHERE run_id = ? "
        "ORDER BY rowid",
        (run_id,),
    )
    estimates = base.execute(
        "SELECT case_id, variant, status, value, low, high, n, check_name, severity, unit, "
        "threshold FROM estimates WHERE run_id = ? ORDER BY rowid",
        (run_id,),
    )
    return PastRun(
        run_id,
        suite,
        finished,
        git,
        tuple(
            PastDecision(variant, verdict, tuple(json.loads(reasons)), weights)
            for variant, verdict, reasons, weights in decisions
        ),
        tuple(_estimate(row) for row in estimates),
    )


def _estimate(row: Sequence[object]) -> PastEstimate:
    *facts, threshold = row
    told = json.loads(threshold) if isinstance(threshold, str) else {}
    return PastEstimate(*facts, threshold=told)  # type: ignore[arg-type, misc]
