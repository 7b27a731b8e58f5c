"""`modelchecks verify`: is this model file, byte for byte, one that a run approved?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from modelchecks.shell import say, tell


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("run_json", type=click.Path(path_type=Path))
def verify(model: Path, run_json: Path) -> int:
    """Say whether this model file, byte for byte, is one that this run approved.

    For the step that deploys: what it is about to ship must be what the gate has seen. A run.json
    is as trustworthy as the place that keeps it; let the deployment fetch it from where only the
    gate can write.

    \b
    Example:
      modelchecks verify model.safetensors reports/fashion/run.json && ./deploy.sh

    \b
    Exit codes: 0 approved, 1 not approved or not seen by that run, 2 a file is unreadable.
    """
    from modelchecks.errors import RecordError
    from modelchecks.report import record
    from modelchecks.report.summary import sentence

    try:
        with model.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        say(f"Error: {model} cannot be read: {error.strerror or error}")
        return 2
    try:
        run = record.read(run_json)
    except RecordError as error:
        say(f"Error: {error}")
        return 2
    names = [name for name, facts in run.variants.items() if facts.get("weights_sha256") == digest]
    if not names:
        tell(f"NOT APPROVED: {model} (sha256 {digest}) was not judged in {run_json}\n")
        return 1
    # One file under two names is approved when both are.
    decisions = [run.decisions.get(name) for name in names]
    if any(decision is None or decision.verdict != "approved" for decision in decisions):
        tell(f"NOT APPROVED: {model} (sha256 {digest}) is {', '.join(names)} in {run_json}\n")
        for decision in decisions:
            if decision is not None:
                tell(f"  {sentence(run, decision)}\n")
        return 1
    waived = any(decision is not None and decision.approved_with_waivers for decision in decisions)
    word = "APPROVED WITH WAIVERS" if waived else "approved"
    tell(f"{word}: {model} (sha256 {digest}) is {', '.join(names)} of {run_json}\n")
    for decision in decisions if waived else ():
        if decision is not None:
            tell(f"  {sentence(run, decision)}\n")
    return 0
