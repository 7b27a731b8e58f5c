"""What is wrong with a variant, however it was declared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelchecks.suite import Variant

PICKLES = (".pkl", ".pickle")


def variant_faults(variant: Variant) -> Iterator[str]:
    """Yield a sentence for everything in which a variant's fields do not fit each other."""
    name = variant.name
    if (variant.model is None) == (variant.logged is None):
        yield (
            f"variant {name!r} needs either `model` (with `weights`) or `logged` (a column of "
            "answers)"
        )
    elif variant.model is not None and variant.weights is None:
        yield f"variant {name!r} needs `weights`, so that its digest is known"
    elif variant.model is not None and ":" not in variant.model:
        yield f"`model` {variant.model!r} is not `module:callable`"
    runs = [run.get("weights") for run in variant.runs]
    if runs and (variant.model is None or not all(isinstance(one, str) for one in runs)):
        yield f"variant {name!r}: each of its `runs` needs `weights`, and it a `model`"
    for weights in (variant.weights, *runs):
        if Path(str(weights or "")).suffix.lower() in PICKLES and not variant.trusted:
            yield (
                f"weights {weights!r} are a pickle, which may run code when it loads; save them as "
                ".safetensors, or say `trusted: true`"
            )
