"""The texts that `modelchecks init` writes: a suite, its schema, a workflow, a pre-commit entry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from modelchecks.proposing import Source, floor, margin

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


def schema(name: str, source: Source) -> dict[str, Any]:
    """Return the Great Expectations suite that a new suite starts with: what the data meets.

    Label and id have these names in the table that is validated, whatever the log calls them.
    """
    found: list[dict[str, Any]] = []

    def expect(kind: str, severity: str = "critical", **kwargs: Any) -> None:
        found.append({"type": f"expect_column_{kind}", "kwargs": kwargs, "severity": severity})

    if "id" in source.fields:
        expect("values_to_be_unique", column="id")
    if source.ids:
        expect("values_to_be_in_set", column="label", value_set=list(source.ids))
    for column in source.columns:
        if not column.nulls:
            expect("values_to_not_be_null", column=column.name)
        ends = {"min_value": column.low, "max_value": column.high}
        if column.values:
            expect("values_to_be_in_set", column=column.name, value_set=list(column.values))
        elif column.low is not None and not column.unique:
            # A little beyond what was seen is news, and no reason to block.
            expect("values_to_be_between", "warning", column=column.name, **ends)
    return {"name": name, "expectations": found}


def suite(
    name: str,
    sources: Sequence[Source],
    folder: Path,
    sampling: Sampling,
    schema_file: str | None,
) -> str:
    """Return the suite that judges these splits by what the first of them is like."""
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
    lines += ["", "checks:", *_checks(by_role, sources, bool(answers), schema_file), ""]
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
    roles: dict[str, Source], sources: Sequence[Source], answered: bool, schema_file: str | None
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
        pair = f"reference: {reference.role}, current: live"
        yield "  # Drift warns; only labelled harm blocks."
        if live.has_images and reference.has_images:
            yield f"  - feature_drift: {{{pair}, max_effect: 0.1}}"
        if live.labelled and reference.labelled:
            yield f"  - label_drift: {{{pair}, max_effect: 0.1}}"
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
