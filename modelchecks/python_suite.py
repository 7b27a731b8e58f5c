"""Suites written in Python: the same rules as in YAML, since no reader has seen the values."""

from __future__ import annotations

import dataclasses
import hashlib
import runpy
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from modelchecks.check import Check
from modelchecks.errors import Problem, did_you_mean
from modelchecks.fields import fields_of, markers
from modelchecks.results import DATA, Severity
from modelchecks.suite import Sampling, Suite
from modelchecks.variants import variant_faults


def read_python(path: Path, data: bytes) -> tuple[Suite | None, list[Problem]]:
    """Run a `.py` suite, which must leave a Suite in the name `suite`."""
    try:
        found = runpy.run_path(str(path)).get("suite")
        if not isinstance(found, Suite):
            problem = Problem(str(path), 1, 1, "leaves no modelchecks.Suite in the name `suite`")
            return None, [problem]
        suite = dataclasses.replace(found, path=path, sha256=hashlib.sha256(data).hexdigest())
        wrong = [Problem(str(path), 1, 1, said) for said in faults(suite)]
        return (None if wrong else suite), wrong
    except (Exception, SystemExit) as error:
        # SystemExit as well: a suite that ends the process would end it with an exit code of 0.
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame.lineno or 1 for frame in frames if frame.filename == str(path)]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            inside = [error.lineno or 1]
        line = inside[-1] if inside else 1
        source = "".join(data.decode("utf-8-sig").splitlines()[line - 1 : line])
        said = f"raised {type(error).__name__}: {error}"
        return None, [Problem(str(path), line, 1, said, source=source)]


def faults(suite: Suite) -> Iterator[str]:
    """Yield what is wrong with a suite that was built in Python rather than read from YAML."""
    splits = [split.name for split in suite.splits]
    variants = [variant.name for variant in suite.variants]
    ids = [declared.id for declared in suite.checks]
    for what, names in (("split", splits), ("variant", variants), ("check id", ids)):
        for name, count in Counter(names).items():
            if not isinstance(name, str) or not name:
                yield f"{what} name {name!r} is no text"
            elif count > 1:
                yield f"{what} {name!r} is declared {count} times"
    if not splits or not variants or not ids:
        yield "a suite needs splits, variants and checks; one that asks nothing cannot approve"
    if DATA in variants:
        yield f"the variant name {DATA!r} is reserved for cases of the data"
    if suite.champion is not None and suite.champion not in variants:
        hint = did_you_mean(suite.champion, variants)
        yield f"champion {suite.champion!r} is not a variant{hint}"
    for split in suite.splits:
        if split.sampling not in get_args(Sampling):
            known = ", ".join(get_args(Sampling))
            yield f"split {split.name!r} has sampling {split.sampling!r}, none of {known}"
        if (split.sampling == "weights") != (split.weights is not None):
            yield f"split {split.name!r} needs `weights` with sampling 'weights', and only then"
    for variant in suite.variants:
        yield from variant_faults(variant)
    if suite.policy.spending != "none" and suite.policy.ledger is None:
        yield "`spending` needs `ledger`, which counts the looks that it spends on"
    for declared in suite.checks:
        if declared.severity not in get_args(Severity):
            known = ", ".join(get_args(Severity))
            yield f"check {declared.id!r} has severity {declared.severity!r}, none of {known}"
        for said in _check(declared.check, splits, suite.champion):
            yield f"check {declared.id!r}: {said}"


def _check(check: Any, splits: list[str], champion: str | None) -> Iterator[str]:
    if not isinstance(check, Check):
        yield "is no check: see modelchecks.check.Check"
        return
    for name, hint in fields_of(type(check)).items():
        value = getattr(check, name)
        if "share" in markers(hint) and value is not None:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0 <= value <= 1):
                yield f"{name} is {value!r}, which is not between 0 and 1"
    if check.needs().whose == "champion" and champion is None:
        yield "compares with the champion; name one with `champion`"
    for name in check.needs().splits:
        if name not in splits:
            yield f"no split is named {name!r}{did_you_mean(name, splits)}"
