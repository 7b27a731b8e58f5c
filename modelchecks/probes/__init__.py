"""Probes: work that a plain pass cannot do, each in a file of its own, named by a check's needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from modelchecks.check import ProbeRequest
from modelchecks.collect import Predictor
from modelchecks.evidence import Evidence
from modelchecks.plan import Shard
from modelchecks.sources import Samples
from modelchecks.suite import Suite


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """What a probe may use: the evidence it named, the split's samples and the request's model.

    `samples` and `model` open on the call, so that a probe that needs neither pays for neither.
    The model's answers hold logits; `model(of)` is that of another variant, which the request must
    name in `beside`, and `model(transform=…)` asks it with another transform than its own.
    `every_row(facet)` yields the columns of a facet that keeps all rows, shard by shard, or those
    of the shard of a given index. `of` gives the same for another split that the request names.
    `own_folder` is for what a probe finds useful to know the next time; no outcome may depend on it
    where the environment variable CI is set. All of them raise EvidenceError.
    """

    suite: Suite
    evidence: Evidence
    samples: Callable[[], Samples]
    model: Callable[..., Predictor]
    every_row: Callable[..., Iterator[Mapping[str, Any]]]
    of: Callable[[str], ProbeContext]
    own_folder: Path


@runtime_checkable
class Probe(Protocol):
    """Work of one kind, as an object without state; its outcome is stored and judged many times.

    `kinds` are the kinds of evidence that it reads of the request's split (see `check.Needs`), and
    `packages` the distributions whose versions its outcome depends on. With `by_shard` it is asked
    once for each shard of the split, in any process, else once with None. One that says
    `momentary = True` is asked in every gate run: what it measures is true of that moment alone.
    """

    kinds: ClassVar[frozenset[str]]
    packages: ClassVar[tuple[str, ...]]
    by_shard: ClassVar[bool]

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return the outcome, or one shard's part of it, as JSON values.

        Raises EvidenceError where there is none.
        """
        ...

    def merge(self, parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the outcome of the whole split from those of its shards, in their order."""
        ...


class AtOnce:
    """What a probe has in common that is asked once for the whole split."""

    by_shard: ClassVar[bool] = False

    def merge(self, parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the only part."""
        return parts[0]
