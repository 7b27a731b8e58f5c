"""Is it still the data that the model was made for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from modelchecks.check import Needs, Outcome, ProbeRequest, Scope, SplitName, SuitePath, View, param
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.results import Severity, Status
from modelchecks.wording import listing


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
    in its own JSON format, validated by Great Expectations over a table with one row per image
    (id, label, width, height, channels, dtype, min, max, mean, and the log's own columns; at most
    `max_rows` sampled rows, and the message says so where that is not all). `image` states what
    every decoded image must be, judged over all rows. An image that cannot be read fails the
    check. An expectation of GX severity `warning` or `info` is reported but does not fail it.

    Assumes: nothing. An expectation that raised is `errored`, never passed.

    Reference: Great Expectations 1.x, ExpectationSuite.

    Example:
      - schema: {expectations: schema/fashion.json, splits: [train, offline, live]}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "data"

    splits: tuple[SplitName, ...] = param("splits to look at")
    expectations: SuitePath | None = param("Great Expectations suite (JSON)", default=None)
    image: ImageSchema | None = param("shape, dtype and range of every image", default=None)

    def __post_init__(self) -> None:
        if not self.splits:
            raise ValueError("splits: is empty; name at least one")
        if self.expectations is None and self.image is None:
            raise ValueError("asks nothing; give `expectations` or `image`")

    def needs(self) -> Needs:
        """Return the per-image facts, labels and log columns, and a probe per split."""
        kinds = frozenset({"images", "labels", "columns"})
        probes = tuple(self._request(split) for split in self.splits if self.expectations)
        return Needs(dict.fromkeys(self.splits, kinds), probes)

    def _request(self, split: str) -> ProbeRequest:
        return ProbeRequest("expectations", split, (str(self.expectations),))

    def evaluate(self, view: View) -> Outcome:
        """Return passed only when every statement was seen to hold on every split."""
        broken: list[str] = []
        noted: list[str] = []
        raised: list[str] = []
        met, partial, details = 0, [], {}
        for split in self.splits:
            evidence = view.split(split)
            if not evidence.total:
                raise EvidenceError(f"split {split!r} has no rows")
            unreadable = evidence.totals.counts.get(("unreadable",), 0)
            if unreadable:
                examples = listing(evidence.totals.examples.get(("unreadable",), ()))
                broken.append(f"{split}: {unreadable:,} unreadable images: {examples}")
            if self.image is not None:
                broken += [f"{split}: {fault}" for fault in self.image.broken(evidence)]
            if self.expectations is None:
                continue
            outcome = view.probe(self._request(split))
            details[split] = outcome
            if outcome["rows"] != outcome["of"]:
                partial.append(f"{outcome['rows']:,} of {outcome['of']:,} rows of {split}")
            for item in outcome["expectations"]:
                text = f"{split}: {_tell(item)}"
                if item["raised"] is not None:
                    raised.append(f"{text} raised {item['raised']}")
                elif item["met"] is True:
                    met += 1
                elif item["severity"] in ("warning", "info"):
                    noted.append(text)
                else:
                    broken.append(text)
        status: Status = "failed" if broken else "errored" if raised else "passed"
        if status == "passed" and not met and self.image is None:
            # All that was asked is of severity warning or info, and nothing of it held.
            status = "inconclusive"
        parts = []
        if broken:
            parts.append(f"{len(broken)} not met: {listing(broken, 4)}")
        if raised:
            parts.append(f"{len(raised)} could not be judged: {listing(raised)}")
        if noted:
            parts.append(f"{len(noted)} noted: {listing(noted)}")
        if not parts:
            what = f"{met} expectations met" if self.expectations else "image schema holds"
            parts.append(f"{what} on {', '.join(self.splits)}")
        if partial:
            parts.append(f"expectations looked at a sample: {', '.join(partial)}")
        return Outcome(status, ". ".join(parts), details=details)


def _tell(item: Mapping[str, Any]) -> str:
    """Return one expectation as a reader of CI understands it."""
    kwargs = dict(item["kwargs"])
    column = kwargs.pop("column", None)
    words = str(item["type"]).removeprefix("expect_").replace("_", " ")
    rest = ", ".join(f"{key} {value}" for key, value in kwargs.items() if value is not None)
    text = f"{words} ({', '.join(filter(None, [column, rest]))})"
    if item["unexpected"]:
        rows = ", ".join(item["examples"][:3])
        text += f": {item['unexpected']:,} rows" + (f", such as {rows}" if rows else "")
    elif item["observed"] is not None:
        text += f": observed {str(item['observed'])[:80]}"
    return text
