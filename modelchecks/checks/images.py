"""Are the images like those that the model was trained on?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from modelchecks.check import Needs, Outcome, Scope, Share, SplitName, View, param
from modelchecks.checks.deciding import check_confidence, hold_if_unequal, level
from modelchecks.checks.scale import Findings, Scale
from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence
from modelchecks.results import Severity
from modelchecks.stats.intensity import swapped_share
from modelchecks.wording import interval, listing, percent, threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSchema:
    """The decoded images of every split are like those of the reference: size, scale and colours.

    Statistic: over all rows, counts of images that are unreadable, blank (luminance spreads less
    than 1 %), NaN, lie on their side by EXIF, have sizes, channels or types that the reference has
    not, or lost their colours; each against its limit. A size is odd where width, height or aspect
    ratio leave the reference's range by more than `size_slack`, or differ at all where the
    reference has one size. On the sample: the shift of the mean in standard deviations of a
    reference pixel, the ratio of these deviations, and the share of images whose channels seem
    reversed (BGR for RGB), each with bounds against its limit. Passed when all hold, failed when
    one is broken, inconclusive when bounds leave one open. Where the reference's own colours do not
    tell the order of channels, that is said and not judged.

    Assumes: images are independent. A limit on unreadable images does not make other checks accept
    them: what needs every answer stays errored.

    Reference: Rogan and Gladen (1978), American Journal of Epidemiology 107, 71-76 (share of
    reversed images).

    Example:
      - image_schema: {reference: train, splits: [offline, live], max_blank: 0.5%}
    """

    default_severity: ClassVar[Severity] = "block"
    scope: ClassVar[Scope] = "data"

    splits: tuple[SplitName, ...] = param("splits to look at")
    reference: SplitName = param("split that the model was made for", default="train")
    max_unreadable: Share = param("largest share of images that cannot be read", default=0.0)
    max_blank: Share = param("largest share of images that show nothing", default=0.005)
    max_turned: Share = param("largest share that EXIF says to turn", default=0.0)
    max_odd: Share = param("largest share of odd sizes, channels or types", default=0.0)
    max_grey: Share = param("how many more may lack colour than in the reference", default=0.05)
    size_slack: float = param("factor that sizes may leave the reference's range by", default=1.5)
    max_shift: float = param("largest shift of the mean, in pixel deviations", default=0.5)
    max_ratio: float = param("largest ratio of pixel deviations", default=1.75)
    max_swapped: Share = param("largest share of images with reversed channels", default=0.5)
    confidence: Share = param("one-sided confidence of decisions on the sample", default=0.95)

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        if not self.splits:
            raise ValueError("splits: is empty; name at least one")
        if self.reference in self.splits:
            raise ValueError("splits: names the reference, which cannot be unlike itself")
        for name in ("size_slack", "max_ratio"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: is a factor, so at least 1")

    def needs(self) -> Needs:
        """Return the facts of all images of the reference and the splits."""
        return Needs(dict.fromkeys((self.reference, *self.splits), frozenset({"images"})))

    def evaluate(self, view: View) -> Outcome:
        """Return the decision over all splits and questions."""
        findings = Findings()
        reference = _Images(view.split(self.reference))
        for split in self.splits:
            images = _Images(view.split(split))
            findings.facts += [f"{split}: {told}" for told in self._faults(reference, images)]
            try:
                self._estimates(split, reference, images, findings)
            except EvidenceError as error:
                # What is NaN everywhere has no mean; it was told as a fault already.
                if not findings.facts:
                    raise error
        outcome = findings.outcome(f"images of {', '.join(self.splits)} are like {self.reference}")
        if findings.facts:
            # Counts over all rows are what they are, however these were drawn.
            return outcome
        return hold_if_unequal(outcome, view, self.reference, *self.splits, labelled=False)

    def _faults(self, reference: _Images, images: _Images) -> Iterator[str]:
        for kind, limit, what in (
            ("unreadable", self.max_unreadable, "cannot be read"),
            ("nan_images", 0.0, "hold NaN or infinity"),
            ("blank", self.max_blank, "are blank"),
            ("turned", self.max_turned, "lie on their side (EXIF says to turn them)"),
        ):
            count = images.count(kind)
            if count / images.total > limit:
                yield images.told(count, what, limit, images.examples(kind))
        odd = images.odd(reference, self.size_slack)
        if sum(odd.values()) / images.total > self.max_odd:
            kinds = listing([f"{count:,} with {kind}" for kind, count in odd.items()])
            seen = listing([*reference.shapes, *reference.kinds])
            text = images.told(sum(odd.values()), "are of another kind", self.max_odd)
            yield f"{text}: {kinds}; {reference.split} has {seen}"
        more = images.count("colourless") / images.total
        more -= reference.count("colourless") / reference.total
        if more > self.max_grey:
            text = images.told(images.count("colourless"), "show no colour", self.max_grey)
            before = percent(reference.count("colourless") / reference.total)
            yield f"{text}; {before} of {reference.split}"

    def _estimates(
        self, split: str, reference: _Images, images: _Images, findings: Findings
    ) -> None:
        alpha = level(self.confidence)
        ours, theirs = images.facts("mean", "std"), reference.facts("mean", "std")
        if len(ours) and len(theirs):
            scale = Scale(theirs, ours, self.max_shift, self.max_ratio, alpha)
            scale.judge(split, findings)
        names = ("red", "blue", "warm_top", "warm_bottom", "warm_spread")
        ours, theirs = images.facts(*names), reference.facts(*names)
        if not len(ours) or not len(theirs):
            return
        sides = [np.column_stack([side[:, 0] - side[:, 1], side[:, 2:]]) for side in (theirs, ours)]
        swapped = swapped_share(*sides, alpha=alpha)
        if swapped is None:
            findings.notes.append(f"{split}: colours do not tell the order of channels")
            return
        told = f"{split}: {percent(swapped.value)} {interval(swapped.low, swapped.high)} of images"
        told = f"{told} seem to have red and blue swapped"
        allowed = threshold(self.max_swapped, "%")
        findings.decide("swapped", swapped, self.max_swapped, told, allowed)


@dataclass(frozen=True, slots=True)
class _Images:
    """What was seen of the images of a split; EvidenceError where it has none."""

    evidence: Evidence

    def __post_init__(self) -> None:
        kinds = {key[0] for key in self.evidence.totals.counts}
        if not self.evidence.total or not kinds & {"shape", "unreadable"}:
            raise EvidenceError(
                f"split {self.split!r} has no images; name the column that holds them with "
                "`image:`, or leave the split out"
            )

    @property
    def split(self) -> str:
        """The name of the split."""
        return self.evidence.split

    @property
    def total(self) -> int:
        """How many rows there are, readable or not."""
        return self.evidence.total

    def _table(self, kind: str) -> dict[str, int]:
        counts = self.evidence.totals.counts
        return {str(key[1]): count for key, count in counts.items() if key[0] == kind}

    @property
    def shapes(self) -> dict[str, int]:
        """How many images have each shape, written `28x28x1`."""
        return self._table("shape")

    @property
    def kinds(self) -> dict[str, int]:
        """How many images have each type, such as uint8."""
        return self._table("dtype")

    def count(self, kind: str) -> int:
        """Return how many images have a fault."""
        if kind == "turned":
            return sum(n for value, n in self._table("orientation").items() if value != "1")
        return self.evidence.totals.counts.get((kind,), 0)

    def examples(self, kind: str) -> Sequence[str]:
        """Return some rows that have it."""
        return self.evidence.totals.examples.get((kind,), ())

    def told(self, count: int, what: str, limit: float, rows: Sequence[str] = ()) -> str:
        """Return how many images have a fault, in words."""
        share = f"{count:,} of {self.total:,} images ({percent(count / self.total)}) {what}"
        allowed = f"allowed {threshold(limit, '%')}" if limit else "none is allowed"
        return f"{share}, {allowed}" + (f": {listing(rows)}" if rows else "")

    def odd(self, reference: _Images, slack: float) -> dict[str, int]:
        """Return how many images have a shape or type unlike all of the reference."""
        known = [_size(shape) for shape in reference.shapes]
        channels = {size[2] for size in known}
        found = {kind: n for kind, n in self.kinds.items() if kind not in reference.kinds}
        for shape, count in self.shapes.items():
            size = _size(shape)
            if shape in reference.shapes:
                continue
            near = len(known) > 1 and all(
                min(values) / slack <= value <= max(values) * slack
                for value, values in (
                    (size[0], [one[0] for one in known]),
                    (size[1], [one[1] for one in known]),
                    (size[1] / size[0], [one[1] / one[0] for one in known]),
                )
            )
            if not near or size[2] not in channels:
                found[shape] = count
        return found

    def facts(self, *names: str) -> NDArray[np.float64]:
        """Return facts (n, names) of the sampled images that have all of them."""
        columns = self.evidence.rows.uniform().columns
        found = np.column_stack([np.asarray(columns[f"image:{n}"], np.float64) for n in names])
        return np.asarray(found[np.isfinite(found).all(axis=1)])


def _size(shape: str) -> tuple[int, int, int]:
    height, width, channels = (int(part) for part in shape.split("x"))
    return height, width, channels
