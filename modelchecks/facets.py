"""Facets: what is seen of a split's rows, each gathered and stored under a key of its own.

Adding a check or a variant gathers the facets that are not there yet, and no other again.
"""

from __future__ import annotations

from collections.abc import Iterable

FEATURE = "feature:"
ROWS, IMAGES, COLUMNS = "rows", "images", "columns"
ANSWERS, LOGITS, EMBEDDING = "answers:", "logits:", "embedding:"
"""The facets; those with a colon are prefixes, completed by the name of a feature or variant."""


def variant_of(facet: str) -> str | None:
    """Return the variant that a facet belongs to, or None.

    >>> variant_of("answers:baseline"), variant_of("images")
    ('baseline', None)
    """
    kind, _, name = facet.partition(":")
    return name if f"{kind}:" in (ANSWERS, LOGITS, EMBEDDING) else None


_OF_VARIANT = {
    "predictions": (ANSWERS,),
    "logits": (ANSWERS, LOGITS),
    "embeddings": (ANSWERS, EMBEDDING),
}
"""What a variant's facets must be gathered for each kind of need."""


def facets_of(kinds: Iterable[str], variant: str | None) -> set[str]:
    """Return the facets that hold what a check needs, for a case of `variant`; the rows always."""
    found = {ROWS}
    for kind in kinds:
        if kind in (IMAGES, COLUMNS) or kind.startswith(FEATURE):
            found.add(kind)
        elif kind in _OF_VARIANT and variant is not None:
            found |= {f"{prefix}{variant}" for prefix in _OF_VARIANT[kind]}
    return found
