"""Run record ↔ strict JSON, with a schema version."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from modelchecks.errors import RecordError
from modelchecks.results import (
    Decision,
    Location,
    Result,
    Run,
    Severity,
    Status,
    Verdict,
    Waived,
)
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
            name: {
                "verdict": decision.verdict,
                "reasons": list(decision.reasons),
                "approved_with_waivers": list(decision.approved_with_waivers),
            }
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
        "waived": None if result.waived is None else asdict(result.waived),
    }


def result_from_json(value: Any) -> Result:
    """Return the result that `result_to_json` wrote; raises KeyError, TypeError or ValueError."""
    found = _kind(value, "a result", Mapping)
    estimate, location = found["estimate"], _kind(found["location"], "location", Mapping)
    return Result(
        case=_text(found, "case"),
        check=_text(found, "check"),
        variant=None if found["variant"] is None else _text(found, "variant"),
        severity=_one_of(found, "severity", Severity),
        status=_one_of(found, "status", Status),
        message=_text(found, "message"),
        location=Location(_text(location, "path"), _kind(location["line"], "line", int)),
        estimate=None if estimate is None else _estimate(_kind(estimate, "estimate", Mapping)),
        threshold=_mapping(found, "threshold"),
        needed=None if found["needed"] is None else _kind(found["needed"], "needed", int),
        structural=_kind(found.get("structural", False), "structural", bool),
        details=_mapping(found, "details"),
        waived=None if found.get("waived") is None else _waived(_mapping(found, "waived")),
    )


def _waived(value: Mapping[str, Any]) -> Waived:
    return Waived(*(_text(value, name) for name in ("owner", "reason", "until")))


def _estimate(value: Mapping[str, Any]) -> Estimate:
    numbers = {
        name: float(_kind(value[name], name, int, float))
        for name in ("value", "low", "high", "lower_bound", "upper_bound", "alpha")
    }
    return Estimate(**numbers, n=_kind(value["n"], "n", int), method=_text(value, "method"))


def _decision(variant: str, value: Any) -> Decision:
    found = _kind(value, f"the decision on {variant!r}", Mapping)
    # A record of before there were waivers has none.
    found = {"approved_with_waivers": [], **found}
    cases = (
        tuple(_kind(case, "a case", str) for case in _kind(found[key], key, list))
        for key in ("reasons", "approved_with_waivers")
    )
    return Decision(variant, _one_of(found, "verdict", Verdict), *cases)


def _kind(value: Any, what: str, *kinds: type) -> Any:
    """Return the value if it is of one of the kinds; true and false are no numbers."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise TypeError(f"{what} is of type {type(value).__name__}")
    return value


def _text(value: Mapping[str, Any], key: str) -> str:
    text: str = _kind(value[key], key, str)
    return text


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    return dict(_kind(value[key], key, Mapping))


def _mappings(value: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    found = _mapping(value, key)
    return {name: _mapping(found, name) for name in found}


def _one_of(value: Mapping[str, Any], key: str, words: Any) -> Any:
    if value[key] not in get_args(words):
        raise ValueError(f"{key} is {value[key]!r}, none of {', '.join(get_args(words))}")
    return value[key]


def from_json(value: Any, where: str = "run record") -> Run:
    """Return the run that `to_json` wrote; raises RecordError that says what is wrong.

    Keys that this version does not know are passed over: a later version may add some.
    """
    if not isinstance(value, Mapping) or "schema_version" not in value:
        raise RecordError(
            f"{where} is not a modelchecks run record: it has no `schema_version`. Name the "
            "run.json that `modelchecks gate` wrote"
        )
    version = value["schema_version"]
    if type(version) is not int or version != SCHEMA_VERSION:
        raise RecordError(
            f"{where} has schema version {version!r}; this modelchecks reads "
            f"version {SCHEMA_VERSION}. Read it with the version that wrote it, or update"
        )
    try:
        return Run(
            run_id=_text(value, "run_id"),
            started=_text(value, "started"),
            finished=_text(value, "finished"),
            suite=_mapping(value, "suite"),
            variants=_mappings(value, "variants"),
            splits=_mappings(value, "splits"),
            results=tuple(map(result_from_json, _kind(value["results"], "results", list))),
            decisions={
                name: _decision(name, decision)
                for name, decision in _mapping(value, "decisions").items()
            },
            provenance=_mapping(value, "provenance"),
            notes=tuple(
                _kind(note, "a note", str) for note in _kind(value.get("notes", []), "notes", list)
            ),
        )
    except KeyError as error:
        raise _damaged(where, f"{error} is missing") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged(where, str(error)) from error


def _damaged(where: str, what: str) -> RecordError:
    return RecordError(f"{where} is damaged: {what}. Make it again with `modelchecks gate`")


def dumps(run: Run) -> str:
    """Return the record as strict JSON text (no NaN, no infinity)."""
    return json.dumps(to_json(run), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read(path: str | Path) -> Run:
    """Return the run in a file; raises RecordError that names it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{path} cannot be read: {error}. Name the run.json that `modelchecks gate` wrote"
        ) from error
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"{path} is not strict JSON: {error}. Make it again with `modelchecks gate`"
        ) from error
    return from_json(value, str(path))


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is beyond any number")
    return number


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all; folders are made."""
    write(path, text)


def write(path: Path, content: str | bytes) -> None:
    """Write a report whole or not at all; folders are made."""
    if isinstance(content, str):
        content = content.encode("utf-8", errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
