"""An expectation suite in Great Expectations' own JSON, read without loading Great Expectations.

What this gate asks beyond that format lies in an expectation's `meta`, which GX keeps as it is:

    "meta": {"modelchecks": {"not_in": ["live"], "optional_in": ["live"]}}

`not_in` names environments where the expectation is not asked; in those of `optional_in` its column
may be missing or empty, and what is there must meet it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelchecks.errors import EvidenceError
from modelchecks.facets import EVERY_COLUMN, EVERY_IMAGE, EVERY_ROW

Name = Literal["rows", "images", "labels", "log"]
"""The tables that expectations may be asked of."""
IMAGE_COLUMNS = (
    "width",
    "height",
    "channels",
    "mode",
    "dtype",
    "min",
    "max",
    "mean",
    "bytes",
    "entropy",
    "format",
    "orientation",
)
"""What the images table tells of every image."""
OWN = "modelchecks"
_KEYS = ("type", "kwargs", "meta", "severity")


@dataclass(frozen=True, slots=True)
class Asked:
    """One expectation: its place in the file, from 0, and what the file says of it."""

    place: int
    content: Mapping[str, Any]
    not_in: tuple[str, ...] = ()
    optional_in: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The expectation's type, such as `expect_column_to_exist`; empty where there is none."""
        return str(self.content.get("type") or "")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is about."""
        kwargs = self.content.get("kwargs") or {}
        named = [kwargs.get(key) for key in ("column", "column_A", "column_B")]
        several = kwargs.get("column_list") or []
        return tuple(str(name) for name in [*named, *several] if name is not None)

    @property
    def name(self) -> str:
        """A short name, such as `values-to-be-in-set.label`."""
        words = self.type.removeprefix("expect_").removeprefix("column_").replace("_", "-")
        return ".".join([words or "expectation", *self.columns])

    def for_great_expectations(self) -> dict[str, Any]:
        """Return what an ExpectationSuite is made of; its place travels in the meta."""
        content = {key: self.content[key] for key in _KEYS if key in self.content}
        meta = dict(content.get("meta") or {})
        return {**content, "meta": {**meta, OWN: {**(meta.get(OWN) or {}), "place": self.place}}}

    @staticmethod
    def place_in(config: Mapping[str, Any]) -> int:
        """Return the place that `for_great_expectations` gave to an expectation."""
        return int(config["meta"][OWN]["place"])


def table_facets(name: Name) -> tuple[str, ...]:
    """Return the facets that a table is made of; the first one tells the rows."""
    parts: Mapping[str, tuple[str, ...]] = {
        "images": (EVERY_IMAGE,),
        "log": (EVERY_COLUMN,),
        "labels": (),
    }
    return (EVERY_ROW, *parts.get(name, (EVERY_IMAGE, EVERY_COLUMN)))


def read_suite(path: Path) -> dict[str, Any]:
    """Return an expectation suite as JSON; EvidenceError names the file and what is wrong."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(
            f"expectation suite {path} cannot be read ({error.strerror or error}). Write it there "
            "or correct `expectations:`"
        ) from error
    except ValueError as error:
        raise EvidenceError(f"expectation suite {path} is not JSON: {error}") from error
    if not isinstance(content, dict) or not content.get("expectations"):
        raise EvidenceError(
            f"expectation suite {path} holds no expectations; a suite that asks nothing cannot "
            "approve. Add some under `expectations`"
        )
    return content


def asked_of(path: Path, content: Mapping[str, Any]) -> list[Asked]:
    """Return the expectations of a suite, in their order."""
    found = []
    expectations = content["expectations"]
    if not isinstance(expectations, list):
        raise EvidenceError(f"expectation suite {path}: `expectations` must be a list")
    for place, item in enumerate(expectations):
        if not isinstance(item, Mapping):
            raise EvidenceError(f"expectation suite {path}: expectation {place + 1} is no object")
        meta = item.get("meta") or {}
        own = meta.get(OWN) or {} if isinstance(meta, Mapping) else {}
        where = f"expectation suite {path}: `meta: {OWN}:` of expectation {place + 1}"
        if not isinstance(own, Mapping) or set(own) - {"not_in", "optional_in", "place"}:
            raise EvidenceError(f"{where} may hold `not_in` and `optional_in`, not {own!r:.80}")
        names = [_names(own.get(key, []), f"{where}: {key}") for key in ("not_in", "optional_in")]
        found.append(Asked(place, item, *names))
    return found


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise EvidenceError(f"{where} must be a list of environments, not {value!r:.80}")
    return tuple(str(name) for name in value)
