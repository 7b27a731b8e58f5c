"""The texts that `modelchecks init` writes: a suite, its schema, a workflow, a pre-commit entry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from modelchecks.calibrate import Proposal, as_yaml
from modelchecks.expecting import IMAGE_COLUMNS
from modelchecks.proposing import Column, Source, floor, margin
from modelchecks.suite import Split, Suite, Variant

Sampling = Literal["random", "unknown"]

WORKFLOW = """\
# May the model go live? Written by `modelchecks init`; make the job `gate` a required check.
name: modelchecks

on:
  pull_request:
  workflow_dispatch:

permissions:
  contents: read

jobs:
  gate:
    runs-on: ubuntu-24.04
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0
        with:
          python-version: "3.12"
      - run: python -m pip install modelchecks
      - run: modelchecks lint {suite}
      - name: gate
        # 0 approved, 1 blocked, 2 suite error, 3 undecided, 4 internal error, 5 nothing ran
        run: modelchecks gate {suite} --report reports
      - name: step summary, and annotations at the lines of the suite
        if: always()
        run: modelchecks github reports
      - uses: actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0
        if: always()
        with:
          name: modelchecks
          path: reports
"""

PRE_COMMIT = """\
  - repo: local
    hooks:
      - id: modelchecks-lint
        name: modelchecks lint
        entry: modelchecks lint
        language: system
        files: '\\.(suite|waivers)\\.ya?ml$|\\.suite\\.py$'
"""

EMPTY = """\
# Which variants may go live? `modelchecks lint {file}` reports every mistake in this file,
# `modelchecks explain` lists the checks, `modelchecks gate {file}` judges.
suite: {name}

data:
  # One row per sample: its label, an id, and here the answers of the model in a column.
  offline: {{source: parquet, path: ../data/offline.parquet, label: label, id: id,
            sampling: {sampling}}}
  # `sampling: random` if the labelled rows are a random sample of live traffic; what is unknown
  # can block and not approve. By `expected_labels` lint says which thresholds can be decided.
  live:    {{source: parquet, path: ../data/live.parquet, label: label, id: id,
            sampling: {sampling}, expected_labels: 1000}}

variants:
  candidate: {{logged: predicted}}
  # A model instead of logged answers, `build` being a function in model.py beside this file:
  # candidate: {{model: "model:build", weights: model.safetensors}}

checks:
  - accuracy_floor: {{split: offline, min_accuracy: 90%}}
    id: offline-floor
  - accuracy_drop: {{offline: offline, live: live, max_drop: 5pp, confidence: 95%}}
  - label_drift: {{reference: offline, current: live, max_effect: 0.1}}

policy: {{mode: observe}}      # records verdicts and blocks nothing; `enforce` when you trust it
"""


def empty_suite(name: str, file: str, sampling: Sampling) -> str:
    """Return a suite to be filled in, which lint finds valid as it is."""
    return EMPTY.format(name=name, file=file, sampling=sampling)


def relative(path: Path, folder: Path) -> str:
    """Return a path as a suite in `folder` names it."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def schema(name: str, sources: Sequence[Source], file: Path) -> dict[str, Any] | None:
    """Return the Great Expectations suite that a new suite starts with, inferred from all rows.

    It is that of the first split, and leaves out in another what that does not have. None where
    there is nothing but ids. Raises EvidenceError where the split cannot be read.
    """
    from modelchecks.proposal import propose

    first, others = sources[0], sources[1:]
    answers = dict.fromkeys(column for source in sources for column in source.right)
    split = Split(
        first.role,
        first.source,
        {"path": relative(first.path, file.parent), **first.fields},
        first.slices,
    )
    variants = tuple(Variant(column, logged=column) for column in answers)
    classes = next((source.classes for source in sources if source.classes), ())
    absent: dict[str, list[str]] = {}
    for other in others:
        names = {column.name for column in other.columns}
        lacking = [column.name for column in first.columns if column.name not in names]
        lacking += IMAGE_COLUMNS if first.has_images and not other.has_images else ()
        lacking += () if other.labelled else ("label",)
        for column in lacking:
            absent.setdefault(column, []).append(other.role)
    found = propose(
        Suite(name, file, (split,), variants, (), classes=classes),
        first.role,
        absent=absent,
        tables=("rows",),
    )
    return found.get("rows")


def suite(
    name: str,
    sources: Sequence[Source],
    folder: Path,
    sampling: Sampling,
    schema_file: str | None,
    margins: Sequence[Proposal] = (),
) -> str:
    """Return the suite that judges these splits by what the first of them is like.

    `margins` are those of the drift checks, each written with its reason.
    """
    by_role = {source.role: source for source in sources}
    classes = next((source.classes for source in sources if source.classes), ())
    answers = list(dict.fromkeys(column for source in sources for column in source.right))
    lines = [
        "# Written by `modelchecks init` from the data; every threshold is yours to change.",
        f"suite: {name}",
        *([f"classes: {json.dumps(list(classes), ensure_ascii=False)}"] if classes else []),
        "",
        "data:",
        *(_split(source, folder, sampling) for source in sources),
    ]
    if sampling == "unknown":
        lines += [
            "  # Say `sampling: random` where the labelled rows are a random sample of the traffic",
            "  # that they stand for; while it is unknown, the suite can block and not approve.",
        ]
    lines += ["", "variants:"]
    lines += [f"  {_word(column)}: {{logged: {_word(column)}}}" for column in answers]
    if not answers:
        lines += [
            "  # `build` is a function in model.py beside this file that returns the torch module.",
            '  candidate: {model: "model:build", weights: model.safetensors}',
        ]
    lines += ["", "checks:", *_checks(by_role, sources, bool(answers), schema_file, margins)]
    lines.append("")
    return "\n".join(lines)


def _split(source: Source, folder: Path, sampling: Sampling) -> str:
    fields = {"source": source.source, "path": relative(source.path, folder), **source.fields}
    parts = [f"{key}: {_word(value)}" for key, value in fields.items()]
    if source.slices:
        parts.append(f"slices: [{', '.join(map(_word, source.slices))}]")
    if source.labelled:
        parts.append(f"sampling: {sampling}")
    return f"  {source.role}: {{{', '.join(parts)}}}"


def _word(text: str) -> str:
    """Return a text as YAML, quoted where it could be read as something else."""
    plain = text.replace("_", "").replace("-", "").replace("/", "").replace(".", "")
    safe = plain.isalnum() and not plain.isdigit() and text.isascii() and text[0] not in "-"
    odd = text.lower() in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
    return text if safe and not odd else json.dumps(text, ensure_ascii=False)


def _checks(
    roles: dict[str, Source],
    sources: Sequence[Source],
    answered: bool,
    schema_file: str | None,
    margins: Sequence[Proposal],
) -> Iterator[str]:
    """Yield the checks; each split is used by at least one, as lint asks."""
    yield "  # Is it still the data that was seen when this was written?"
    names = ", ".join(roles)
    yield "  - schema:"
    if schema_file is not None:
        yield f"      expectations: {schema_file}"
    image = next((source.image for source in sources if source.has_images), None)
    if image is not None:
        parts = ", ".join(f"{key}: {json.dumps(value)}" for key, value in image.items())
        yield f"      image: {{{parts.replace(chr(34), '')}}}"
    yield f"      splits: [{names}]"
    reference = roles.get("train") or roles.get("offline")
    live, offline = roles.get("live"), roles.get("offline") or roles.get("train")
    if live is not None and reference is not None:
        yield "  # Drift warns; only labelled harm blocks."
        images = live.has_images and reference.has_images
        columns = {c.name: kind for c in reference.columns if (kind := _kind(c, live)) is not None}
        if images or columns:
            yield from _drift("feature_drift", reference, images, columns, margins)
        if live.labelled and reference.labelled:
            yield from _drift("label_drift", reference, True, {}, margins)
    judged = offline or live
    if judged is not None and judged.labelled:
        limit = floor(judged)
        seen = "what the answers in the data reach" if limit is not None else "to be set by you"
        yield f"  - accuracy_floor: {{split: {judged.role}, min_accuracy: {limit or 0.9:.0%}}}"
        yield f"    # {seen}"
    if live is not None and offline is not None and live.labelled and offline.labelled:
        drop = f"{100 * margin(offline, live):g}pp"
        yield f"  - accuracy_drop: {{offline: {offline.role}, live: live, max_drop: {drop}}}"
        yield f"    # the smallest margin that {live.labelled:,} labelled live rows decide well"
    if not answered and not any(source.labelled for source in sources):
        yield "  # No label was found: nothing here can approve a variant yet."


def compared(sources: Sequence[Source]) -> tuple[Source | None, Source | None]:
    """Return the split that drift starts from and the one that is compared with it."""
    roles = {source.role: source for source in sources}
    return roles.get("train") or roles.get("offline"), roles.get("live")


def _kind(column: Column, live: Source) -> str | None:
    """Return as what a column of both sides is compared, None for what tells rows apart."""
    other = next((c for c in live.columns if c.name == column.name), None)
    if other is None or other.kind != column.kind:
        return None
    if column.kind == "text":
        return "categorical" if column.values else None
    if column.kind != "number" or column.low is None or column.high is None:
        return None
    # Whole numbers of which none comes twice are ids.
    counted = column.unique and column.low.is_integer() and column.high.is_integer()
    return None if counted else "numeric"


def _drift(
    check: str,
    reference: Source,
    images: bool,
    columns: Mapping[str, str],
    margins: Sequence[Proposal],
) -> Iterator[str]:
    """Yield a drift check: with the margins measured for it, or with the usual one."""
    yield f"  - {check}:"
    yield f"      reference: {reference.role}"
    yield "      current: live"
    if not images:
        yield "      features: []"
    if columns:
        kinds = ", ".join(f"{_word(name)}: {kind}" for name, kind in columns.items())
        yield f"      columns: {{{kinds}}}"
    own = [margin for margin in margins if margin.check == check]
    if own:
        _, *lines = as_yaml(own).split("\n")
        yield from lines
    else:
        yield "      max_effect: 0.1"
