"""How long a variant takes beside the champion: the two take turns, so that both meet the same."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from modelchecks.check import ProbeRequest
from modelchecks.errors import EvidenceError
from modelchecks.identity import companion
from modelchecks.plan import Shard
from modelchecks.probes import AtOnce, ProbeContext
from modelchecks.probes.rows import draw, module_of

WARM_UP = 5


class Latency(AtOnce):
    """Seconds from pixels to logits of both, pair by pair; true of this moment alone."""

    kinds: ClassVar[frozenset[str]] = frozenset({"labels"})
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    momentary: ClassVar[bool] = True

    def run(
        self, request: ProbeRequest, context: ProbeContext, shard: Shard | None
    ) -> Mapping[str, Any]:
        """Return {champion, batch, own, theirs}: the seconds of each pair, in order."""
        options = dict(request.options)
        batch, pairs = int(options["batch"] or 1), int(options["pairs"] or 1)
        other = companion(request, context.suite)
        if other is None:
            raise EvidenceError(
                "the suite has no champion that is a model and not this variant, so there is "
                "nothing to compare its latency with; name one with `champion:`"
            )
        rows = draw(context, request.split, batch, labelled=False)
        (_, images), *rest = rows.groups()
        if rest:
            raise EvidenceError(f"split {request.split!r}: images of different shapes or types")
        models = (module_of(context, request.variant), module_of(context, None, of=other))
        seconds: tuple[list[float], list[float]] = ([], [])
        for number in range(pairs + WARM_UP):
            # Who begins changes, so that neither always finds the caches of the other.
            for which in (0, 1) if number % 2 else (1, 0):
                started = time.perf_counter()
                models[which].logits(images)
                taken = time.perf_counter() - started
                if number >= WARM_UP:
                    seconds[which].append(taken)
        own, theirs = seconds
        return {"champion": other.name, "batch": len(images), "own": own, "theirs": theirs}
