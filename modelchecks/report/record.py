"""Run record ↔ strict JSON, with a schema version."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelchecks.errors import RecordError
from modelchecks.results import Decision, Location, Result, Run
from modelchecks.stats.estimate import Estimate

SCHEMA_VERSION = 1


def to_json(run: Run) -> dict[str, Any]:
    """Return the record as JSON values, in the layout of schema version 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "started": run.started,
        "finished": run.finished,
        "suite": dict(run.suite),
        "variants": {name: dict(value) for name, value in run.variants.items()},
        "splits": {name: dict(value) for name, value in run.splits.items()},
        "results": [result_to_json(result) for result in run.results],
        "decisions": {
            name: {"verdict": decision.verdict, "reasons": list(decision.reasons)}
            for name, decision in run.decisions.items()
        },
        "provenance": dict(run.provenance),
        "notes": list(run.notes),
    }


def result_to_json(result: Result) -> dict[str, Any]:
    """Return one result as JSON values."""
    return {
        "case": result.case,
        "check": result.check,
        "variant": result.variant,
        "severity": result.severity,
        "status": result.status,
        "estimate": None if result.estimate is None else asdict(result.estimate),
        "threshold": dict(result.threshold),
        "message": result.message,
        "needed": result.needed,
        "location": asdict(result.location),
        "structural": result.structural,
        "details": dict(result.details),
    }


def result_from_json(value: Mapping[str, Any]) -> Result:
    """Return the result that `result_to_json` wrote; raises KeyError, TypeError or ValueError."""
    estimate = value["estimate"]
    return Result(
        case=value["case"],
        check=value["check"],
        variant=value["variant"],
        severity=value["severity"],
        status=value["status"],
        message=value["message"],
        location=Location(**value["location"]),
        estimate=None if estimate is None else Estimate(**estimate),
        threshold=value["threshold"],
        needed=value["needed"],
        structural=value.get("structural", False),
        details=value["details"],
    )


def from_json(value: Any, where: str = "run record") -> Run:
    """Return the run that `to_json` wrote; raises RecordError that says what is wrong."""
    if not isinstance(value, Mapping) or "schema_version" not in value:
        raise RecordError(f"{where} is not a modelchecks run record: it has no `schema_version`")
    if value["schema_version"] != SCHEMA_VERSION:
        raise RecordError(
            f"{where} has schema version {value['schema_version']!r}; this modelchecks reads "
            f"version {SCHEMA_VERSION}. Read it with the version that wrote it, or update"
        )
    try:
        return Run(
            run_id=value["run_id"],
            started=value["started"],
            finished=value["finished"],
            suite=value["suite"],
            variants=value["variants"],
            splits=value["splits"],
            results=tuple(result_from_json(result) for result in value["results"]),
            decisions={
                name: Decision(name, decision["verdict"], tuple(decision["reasons"]))
                for name, decision in value["decisions"].items()
            },
            provenance=value["provenance"],
            notes=tuple(value.get("notes", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(
            f"{where} is damaged: {type(error).__name__}: {error}; make it again with "
            "`modelchecks gate`"
        ) from error


def dumps(run: Run) -> str:
    """Return the record as strict JSON text (no NaN, no infinity)."""
    return json.dumps(to_json(run), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read(path: str | Path) -> Run:
    """Return the run in a file; raises RecordError that names it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise RecordError(f"{path} is not strict JSON: {error}") from error
    return from_json(value, str(path))


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def write_text(path: Path, text: str) -> None:
    """Write a report whole or not at all; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
