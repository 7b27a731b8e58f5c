"""Is it still the data that the model was made for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, SplitName, SuitePath, View, param
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.expecting import Name, asked_of, read_suite, table_facets
from modelchecks.results import Severity, Status
from modelchecks.wording import listing

MOST_PICTURES = 24
"""How many images of failing rows a report shows for a case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSchema:
    """What every decoded image is: shape, type and value range."""

    shape: tuple[int, ...] | None = param("[height, width, channels]", default=None)
    dtype: str | None = param("numpy type of the pixels, such as uint8", default=None)
    range: tuple[float, ...] | None = param("[smallest, largest] allowed value", default=None)

    def __post_init__(self) -> None:
        if self.shape is not None and (len(self.shape) != 3 or min(self.shape) < 1):
            raise ValueError("shape: must be [height, width, channels]")
        if self.range is not None and (len(self.range) != 2 or self.range[0] > self.range[1]):
            raise ValueError("range: must be [smallest, largest]")
        if self.shape is None and self.dtype is None and self.range is None:
            raise ValueError("asks nothing; give `shape`, `dtype` or `range`")

    def broken(self, evidence: Evidence) -> list[str]:
        """Return what is wrong with the images of a split, over all rows."""
        counts, faults = evidence.totals.counts, list[str]()
        if not any(key[0] in ("shape", "unreadable") for key in counts):
            raise EvidenceError(
                f"split {evidence.split!r} has no images; name the column that holds them with "
                "`image:`, or leave out the image schema"
            )
        wanted = {
            "shape": None if self.shape is None else "x".join(map(str, self.shape)),
            "dtype": self.dtype,
        }
        for fact, expected in wanted.items():
            others = {
                str(key[1]): count
                for key, count in counts.items()
                if key[0] == fact and key[1] != expected
            }
            if expected is not None and others:
                seen = ", ".join(f"{count:,} with {other}" for other, count in others.items())
                faults.append(f"image {fact} is not {expected}: {seen}")
        bad = counts.get(("nan_values",), 0)
        if bad:
            faults.append(f"{bad:,} pixel values are NaN or infinite")
        if self.range is not None:
            low, high = evidence.totals.lows.get(("value",)), evidence.totals.highs.get(("value",))
            if low is None or high is None:
                raise EvidenceError(f"split {evidence.split!r} has no pixel values to look at")
            if low < self.range[0] or high > self.range[1]:
                faults.append(
                    f"pixel values {low:g} to {high:g} leave the range "
                    f"{self.range[0]:g} to {self.range[1]:g}"
                )
        return faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The rows of every named split are what the model was made for.

    Statistic: none; each statement is true or false. `expectations` is a Great Expectations suite
    in its own JSON format, validated by Great Expectations over one of these tables, each with an
    `id` and one row per image:
    images (width, height, channels, mode, dtype, min, max, mean, bytes, entropy, format,
    orientation), labels (label, name, form: id, name or one-hot), log (the log's own columns), or
    rows, all of them but name and form. Expectations about single values are asked of all rows;
    those about a whole column (a mean, uniqueness) of the sample of at most `max_rows` rows, and
    the message says so where that is not all. `image` states what every decoded image must be, over
    all rows. An image that cannot be read fails the check. An expectation of GX severity `warning`
    or `info` is reported but does not fail it.

    An expectation's `meta: {modelchecks: {not_in: [live], optional_in: [live]}}` leaves it out in
    an environment, or lets its column be missing there. A split is its own environment unless
    `environments` names another one. With `results: expectation` each expectation is a case.

    Assumes: nothing. An expectation that raised is `errored`, one that met no value at all
    `inconclusive`; neither is passed.

    Reference: Great Expectations 1.x, ExpectationSuite; Breck et al. (2019), Data Validation for
    Machine Learning, MLSys (environments).

    Example:
      - schema: {expectations: schema/fashion.json, splits: [train, offline, live]}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "data"

    splits: tuple[SplitName, ...] = param("splits to look at")
    expectations: SuitePath | None = param("Great Expectations suite (JSON)", default=None)
    table: Name = param("the table that expectations are asked of", default="rows")
    environments: Mapping[str, Any] = param(
        "{split: environment}, where that is not its own name", default_factory=dict
    )
    results: Literal["suite", "expectation"] = param("one case, or one each", default="suite")
    image: ImageSchema | None = param("shape, dtype and range of every image", default=None)

    def __post_init__(self) -> None:
        if not self.splits:
            raise ValueError("splits: is empty; name at least one")
        if self.expectations is None and self.image is None:
            raise ValueError("asks nothing; give `expectations` or `image`")
        if self.results == "expectation" and self.expectations is None:
            raise ValueError("results: there are no `expectations` to have a case each")
        for split, name in self.environments.items():
            if split not in self.splits or not isinstance(name, str):
                raise ValueError(f"environments: {split!r} is not among `splits`, or has no name")

    def needs(self) -> Needs:
        """Return the per-image facts, labels and log columns, and a probe per split."""
        kinds = {"labels"} | ({"images"} if self.image is not None else set())
        if self.expectations is not None:
            kinds |= set(table_facets(self.table))
        probes = tuple(self._request(split) for split in self.splits if self.expectations)
        return Needs(dict.fromkeys(self.splits, frozenset(kinds)), probes)

    def _request(self, split: str) -> ProbeRequest:
        environment = str(self.environments.get(split, split))
        options = (("environment", environment), ("table", self.table))
        return ProbeRequest("expectations", split, (str(self.expectations),), options)

    def parts(self, folder: Path) -> list[tuple[str, SchemaPart]]:
        """Return the cases that this one falls into, each with a name; none where it is one case.

        A file that cannot be read leaves it one case, which says so when it is judged.
        """
        if self.results == "suite":
            return []
        try:
            path = folder / str(self.expectations)
            asked = asked_of(path, read_suite(path))
        except EvidenceError:
            return []
        return [(one.name, SchemaPart(self, one.place, one.type)) for one in asked]

    def evaluate(self, view: View) -> Outcome:
        """Return passed only when every statement was seen to hold on every split."""
        seen = Seen()
        for split in self.splits:
            evidence = view.split(split)
            if not evidence.total:
                raise EvidenceError(f"split {split!r} has no rows")
            unreadable = evidence.totals.counts.get(("unreadable",), 0)
            # Where images are asked about: what other cases saw of them is not this one's answer.
            if unreadable and (self.image is not None or self.table in ("rows", "images")):
                examples = listing(evidence.totals.examples.get(("unreadable",), ()))
                seen.broken.append(f"{split}: {unreadable:,} unreadable images: {examples}")
            if self.image is not None:
                seen.broken += [f"{split}: {fault}" for fault in self.image.broken(evidence)]
            if self.expectations is not None:
                seen.look(split, view.probe(self._request(split)))
        held = "image schema holds" if self.expectations is None else None
        return seen.outcome(held, self.splits)


@dataclass(frozen=True, slots=True)
class SchemaPart:
    """One expectation of a schema, as a case of its own."""

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "data"

    schema: Schema
    place: int
    type: str

    def needs(self) -> Needs:
        """Return what the whole schema needs: it is asked once for all its parts."""
        return self.schema.needs()

    def evaluate(self, view: View) -> Outcome:
        """Return whether the expectation is met on every split where it is asked."""
        seen = Seen()
        for split in self.schema.splits:
            outcome = view.probe(self.schema._request(split))
            mine = [item for item in outcome["expectations"] if item["place"] == self.place]
            if any(item["type"] != self.type for item in mine):
                raise EvidenceError(
                    f"{self.schema.expectations} changed while it was asked; run the gate again"
                )
            seen.look(split, {**outcome, "expectations": mine, "left_out": int(not mine)})
        return seen.outcome(None, self.schema.splits)


@dataclass(slots=True)
class Seen:
    """What was found on the splits looked at so far, in words."""

    met: int = 0
    broken: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def look(self, split: str, outcome: Mapping[str, Any]) -> None:
        """Take in the outcome of the expectations on a split."""
        told = []
        for item in outcome["expectations"]:
            text = f"{split}: {_tell(item)}"
            mild = item["severity"] in ("warning", "info")
            if item["raised"] is not None:
                self.raised.append(f"{text} raised {item['raised']}")
            elif item["vacuous"]:
                if not item["optional"] and not mild:
                    self.empty.append(text)
            elif item["met"] is True:
                self.met += 1
            elif mild:
                self.noted.append(text)
            else:
                self.broken.append(text)
            if item["met"] is not True:
                self.pictures += [
                    {"caption": f"{split} {row['id']}", "png": row["picture"]}
                    for row in item["examples"]
                    if row["picture"] is not None
                ]
            told.append({**item, "examples": [row["id"] for row in item["examples"]]})
        sampled = [item for item in outcome["expectations"] if not item["by_row"]]
        sampled = [item for item in sampled if item["of_sample"]]
        if outcome["sampled"] < outcome["of"] and sampled:
            rows = f"{outcome['sampled']:,} of {outcome['of']:,} rows of {split}"
            self.partial.append(f"{rows} ({len(sampled)} about whole columns)")
        self.details[split] = {**outcome, "expectations": told}

    def outcome(self, held: str | None, splits: Sequence[str]) -> Outcome:
        """Return the decision: passed only where something was met, and nothing was not."""
        status: Status = "failed" if self.broken else "errored" if self.raised else "passed"
        if status == "passed" and (self.empty or (held is None and not self.met)):
            # Nothing of severity critical was seen to hold.
            status = "inconclusive"
        parts = []
        if self.broken:
            parts.append(f"{len(self.broken)} not met: {listing(self.broken, 4)}")
        if self.raised:
            parts.append(f"{len(self.raised)} could not be judged: {listing(self.raised)}")
        if self.empty:
            parts.append(
                f"{len(self.empty)} found no value to look at: {listing(self.empty)} (say "
                "`optional_in` where that may be)"
            )
        if self.noted:
            parts.append(f"{len(self.noted)} noted: {listing(self.noted)}")
        if not parts and not held and not self.met:
            parts.append(f"nothing was asked that must hold on {', '.join(splits)}")
        if not parts:
            parts.append(f"{held or f'{self.met} expectations met'} on {', '.join(splits)}")
        if self.partial:
            parts.append(f"expectations looked at a sample: {', '.join(self.partial)}")
        details = {**self.details, "images": self.pictures[:MOST_PICTURES]}
        return Outcome(status, ". ".join(parts), details=details)


def _tell(item: Mapping[str, Any]) -> str:
    """Return one expectation as a reader of CI understands it."""
    kwargs = dict(item["kwargs"])
    column = kwargs.pop("column", None)
    words = str(item["type"]).removeprefix("expect_").replace("_", " ")
    rest = ", ".join(f"{key} {value}" for key, value in kwargs.items() if value is not None)
    text = f"{words} ({', '.join(filter(None, [column, rest]))})"
    if item["unexpected"]:
        rows = ", ".join(row["id"] for row in item["examples"][:3])
        text += f": {item['unexpected']:,} rows" + (f", such as {rows}" if rows else "")
    elif item["observed"] is not None:
        text += f": observed {str(item['observed'])[:80]}"
    return text
