"""Facets: what is seen of a split's rows, each gathered and stored under a key of its own.

Adding a check or a variant gathers the facets that are not there yet, and no other again.
"""

from __future__ import annotations

from collections.abc import Iterable

FEATURE = "feature:"
ROWS, IMAGES, COLUMNS = "rows", "images", "columns"
ANSWERS, LOGITS, EMBEDDING, INPUTS = "answers:", "logits:", "embedding:", "inputs:"
"""The facets; those with a colon are prefixes, completed by the name of a feature or variant."""

EVERY = "all:"
EVERY_ROW, EVERY_IMAGE, EVERY_COLUMN = (EVERY + kind for kind in (ROWS, IMAGES, COLUMNS))
HASHES = "all:hashes"
"""Facets that keep a line for every row, shard by shard on disk, where the others keep a sample."""

JUDGED = "judged"
REPORT = "report"
"""What stands in the place of a split where a case's outcome is stored, or a report's pictures."""


def keeps_every_row(facet: str) -> bool:
    """Return whether a facet has a line for every row; then it is read shard by shard.

    >>> keeps_every_row("all:images"), keeps_every_row("images")
    (True, False)
    """
    return facet.startswith(EVERY)


def variant_of(facet: str) -> str | None:
    """Return the variant that a facet belongs to, or None.

    >>> variant_of("answers:baseline"), variant_of("images")
    ('baseline', None)
    """
    kind, _, name = facet.partition(":")
    return name if f"{kind}:" in (ANSWERS, LOGITS, EMBEDDING, INPUTS) else None


_OF_VARIANT = {
    "predictions": (ANSWERS,),
    "logits": (ANSWERS, LOGITS),
    "embeddings": (ANSWERS, EMBEDDING),
    "inputs": (ANSWERS, INPUTS),
}
"""What a variant's facets must be gathered for each kind of need."""


def facets_of(kinds: Iterable[str], variant: str | None) -> set[str]:
    """Return the facets that hold what a check needs, for a case of `variant`; the rows always."""
    found = {ROWS}
    for kind in kinds:
        if kind in (IMAGES, COLUMNS) or kind.startswith((FEATURE, EVERY)):
            found.add(kind)
        elif kind in _OF_VARIANT and variant is not None:
            found |= {f"{prefix}{variant}" for prefix in _OF_VARIANT[kind]}
    return found
